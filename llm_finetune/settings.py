"""How a language model is fine-tuned."""

from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from gating.training.descent import DescentSettings, OptimizerSettings
from theory.fields import Count, Positive, Whole
from theory.settings import settings

__all__ = ["UNDECISIVE", "FinetuneSettings", "Precision"]

Precision = Literal["auto", "bf16", "float32"]

UNDECISIVE = ("evaluate_at", "save_every")
"""Settings that leave the fine-tuned model as it is."""


@settings
class FinetuneSettings(DescentSettings):
    """How a language model is fine-tuned, by AdamW without decay unless told otherwise.

    Args:
        batch_size: examples per step, over all devices together, >= 1.
        precision: ``bf16`` or ``float32`` products, or ``auto``: bf16 where the device has it in hardware.
        lora_rank: rank of the low-rank adapters that are trained in place of the model, >= 1; None trains the model.
        lora_alpha: scale of the adapters, > 0: their product is multiplied by ``lora_alpha / lora_rank``.
        evaluate_at: steps after which the model is evaluated, from 0 (before training) to `steps`; the last always is.
    """

    steps: Count = 40
    batch_size: Count = 8
    learning_rate: Positive = 5e-5
    max_grad_norm: Positive | None = 1.0
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings("adamw"))
    save_every: Count = 50
    precision: Precision = "auto"
    lora_rank: Count | None = None
    lora_alpha: Positive = 16.0
    evaluate_at: tuple[Whole, ...] = (0,)

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        yield from super().problems()
        if max(self.evaluate_at, default=0) > self.steps:
            yield f"`evaluate_at` must hold steps in 0 .. `steps`, {self.steps}; got {list(self.evaluate_at)}"

    @property
    def evaluations(self) -> list[int]:
        """Steps after which the model is evaluated, ascending; the last is `steps`.

        Example:
            >>> FinetuneSettings(steps=40, evaluate_at=(10, 0)).evaluations
            [0, 10, 40]
        """
        return sorted({*self.evaluate_at, self.steps})
