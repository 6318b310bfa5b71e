"""How a language model is fine-tuned."""

import os
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from gating.training.descent import DescentSettings, OptimizerSettings
from theory.fields import DIFFERENT, Count, PathText, Positive, Rule, Whole, shown
from theory.settings import settings

__all__ = ["UNDECISIVE", "DataSettings", "FinetuneSettings", "Precision"]

Precision = Literal["auto", "bf16", "float32"]
Names = Annotated[tuple[Annotated[str, Rule("texts that are not empty", bool)], ...], DIFFERENT]

UNDECISIVE = ("evaluate_at", "save_every")
"""Settings that leave the fine-tuned model as it is."""


@settings
class DataSettings:
    """Data of one's own, which the share `data` of a mixture is drawn from.

    Args:
        file: a file of JSON Lines or Parquet, whose rows have ``prompt`` and ``completion``, or ``messages``; None for
            none.
        learn: ``every`` turn of the assistant in a conversation, or the ``last`` one.
        max_length: longest row in tokens, >= 2; longer ones are cut at their end. None refuses those that are longer
            than the model's context, and cuts none.
    """

    file: PathText | None = None
    learn: Literal["every", "last"] = "every"
    max_length: Annotated[int, Field(ge=2)] | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.file is not None and not os.path.isfile(self.file):
            yield f"`data.file` must be an existing file of JSON Lines or Parquet, or null; got {shown(self.file)}"


@settings
class FinetuneSettings(DescentSettings):
    """How a language model is fine-tuned, by AdamW without decay unless told otherwise.

    Args:
        batch_size: examples per step, over all devices together, >= 1.
        accumulation: passes in which the examples of a step are taken, >= 1: it changes the memory that a step needs,
            and its result only by rounding, or where a model has dropout.
        checkpointing: whether activations are computed again in the backward pass, which saves memory and takes longer.
        precision: ``bf16`` or ``float32`` products, or ``auto``: bf16 where the device has it in hardware.
        weights: what weights are held in. In ``bf16`` changes below 1/512 of a weight are lost, but for adapters, which
            are float32 always; ``4bit`` holds what adapters are put around in four bits (needs bitsandbytes).
        lora_rank: rank of the low-rank adapters that are trained in place of the model, >= 1; None trains the model.
        lora_alpha: scale of the adapters, > 0: their product is multiplied by ``lora_alpha / lora_rank``.
        lora_dropout: share of their inputs that adapters drop in training, in [0, 1).
        lora_targets: ends of the names of the layers that have adapters, such as ``q_proj``; none for all linear ones
            but the last.
        evaluate_at: steps after which the model is evaluated, from 0 (before training) to `steps`; the last always is.
    """

    steps: Count = 40
    batch_size: Count = 8
    learning_rate: Positive = 5e-5
    max_grad_norm: Positive | None = 1.0
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings("adamw"))
    save_every: Count = 50
    accumulation: Count = 1
    checkpointing: bool = False
    precision: Precision = "auto"
    weights: Literal["float32", "bf16", "4bit"] = "float32"
    lora_rank: Count | None = None
    lora_alpha: Positive = 16.0
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    lora_targets: Names = ()
    evaluate_at: tuple[Whole, ...] = (0,)

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        yield from super().problems()
        if max(self.evaluate_at, default=0) > self.steps:
            yield f"`evaluate_at` must hold steps in 0 .. `steps`, {self.steps}; got {list(self.evaluate_at)}"
        if self.accumulation > self.batch_size:
            yield f"`accumulation` must be at most `batch_size`, {self.batch_size}; got {self.accumulation}"
        if self.lora_rank is None:
            if self.weights == "4bit":
                yield "`lora_rank` must be given where `weights` is '4bit': such weights are not trained; got null"
            for name, value in (("lora_dropout", self.lora_dropout), ("lora_targets", self.lora_targets)):
                if value:
                    yield f"`{name}` must be left out where `lora_rank` is null; got {shown(value)}"

    @property
    def evaluations(self) -> list[int]:
        """Steps after which the model is evaluated, ascending; the last is `steps`.

        Example:
            >>> FinetuneSettings(steps=40, evaluate_at=(10, 0)).evaluations
            [0, 10, 40]
        """
        return sorted({*self.evaluate_at, self.steps})
