"""How a language model is fine-tuned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from llm_finetune.precision import PRECISIONS, Precision
from theory.distribution import SpecError
from theory.validation import is_integer, require_choice, require_integer, require_nonnegative, require_positive

__all__ = ["UNDECISIVE", "FinetuneSettings"]

UNDECISIVE = ("evaluate_at", "save_every")
"""Settings that leave the fine-tuned model as it is."""


@dataclass(frozen=True)
class FinetuneSettings:
    """How a language model is fine-tuned: AdamW, a linear warm-up, then a constant learning rate.

    Args:
        steps: number of optimizer steps, >= 1.
        batch_size: examples per step, over all devices together, >= 1.
        learning_rate: AdamW's step size, > 0.
        weight_decay: AdamW's decay, >= 0.
        warm_up: steps over which the learning rate rises from 0, >= 0.
        max_grad_norm: gradients of a larger Euclidean norm are scaled down to it, > 0.
        precision: ``bf16`` or ``float32`` products, or ``auto``: bf16 where the device has it in hardware.
        lora_rank: rank of the low-rank adapters that are trained in place of the model, >= 1; None trains the model.
        lora_alpha: scale of the adapters, > 0: their product is multiplied by ``lora_alpha / lora_rank``.
        evaluate_at: steps after which the model is evaluated, from 0 (before training) to `steps`; the last always is.
        save_every: steps between saved states, from which a killed run goes on, >= 1.
    """

    steps: int = 40
    batch_size: int = 8
    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    warm_up: int = 0
    max_grad_norm: float = 1.0
    precision: Precision = "auto"
    lora_rank: int | None = None
    lora_alpha: float = 16.0
    evaluate_at: tuple[int, ...] = (0,)
    save_every: int = 50

    def __post_init__(self) -> None:
        problems = []
        checks: dict[str, Callable[[str, Any], Any]] = {
            **dict.fromkeys(("steps", "batch_size", "save_every", "lora_rank"), partial(require_integer, least=1)),
            **dict.fromkeys(("learning_rate", "max_grad_norm", "lora_alpha"), require_positive),
            "warm_up": require_integer,
            "weight_decay": require_nonnegative,
            "precision": partial(require_choice, choices=PRECISIONS),
        }
        if self.lora_rank is None:
            del checks["lora_rank"]
        for name, check in checks.items():
            try:
                check(name, getattr(self, name))
            except ValueError as error:
                problems.append(str(error))
        last = self.steps if is_integer(self.steps) else 0
        if not all(is_integer(step) and 0 <= step <= last for step in self.evaluate_at):
            problems.append(f"`evaluate_at` must hold steps in 0 .. `steps`, {self.steps!r}; got {self.evaluate_at!r}")
        if problems:
            raise SpecError(problems)

    @property
    def evaluations(self) -> list[int]:
        """Steps after which the model is evaluated, ascending; the last is `steps`.

        Example:
            >>> FinetuneSettings(steps=40, evaluate_at=(10, 0)).evaluations
            [0, 10, 40]
        """
        return sorted({*self.evaluate_at, self.steps})
