"""How an ensemble is trained, and at which steps it is kept."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from theory.fields import Count, Positive, Whole
from theory.settings import settings
from theory.validation import require_integer

__all__ = ["TrainSettings", "square_root_schedule"]


Annealing = Literal["none", "linear", "cosine"]
MatmulPrecision = Literal["highest", "high", "medium"]
MOST_CHECKPOINTS = 2**20


@settings
class TrainSettings:
    """How an ensemble is trained.

    Args:
        steps: number of optimizer steps, >= 1.
        batch_size: sequences per step and replica, >= 1.
        learning_rate: Adam's step size, > 0.
        checkpoints: how many checkpoints to keep, spaced evenly in the square root of the step, in
            1 .. 2^20.
        save_every: steps between saved states, from which a killed run goes on, >= 1.
        warm_up: first steps, over which the step size grows linearly from 0, in 0 .. `steps`.
        annealing: how the step size falls from the end of the warm-up to 0 at the last step.
        max_grad_norm: largest norm of a replica's gradient, > 0; longer ones are scaled down to it. None leaves all
            alone.
        matmul_precision: of float32 matrix products, as torch names it. Less than ``highest`` lets a processor that
            has shorter formats use them inside a product; one that has none may still take a faster kernel.
    """

    steps: Count
    batch_size: Count = 32
    learning_rate: Positive = 3e-4
    checkpoints: Annotated[int, Field(ge=1, le=MOST_CHECKPOINTS)] = 12
    save_every: Count = 500
    warm_up: Whole = 0
    annealing: Annealing = "none"
    max_grad_norm: Positive | None = None
    matmul_precision: MatmulPrecision = "highest"

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.warm_up > self.steps:
            yield f"`warm_up` must be an integer in 0 .. `steps`; got {self.warm_up}"

    @property
    def checkpoint_steps(self) -> list[int]:
        """Steps of the checkpoints, ascending; the last is `steps`."""
        return square_root_schedule(self.steps, self.checkpoints)

    def rate(self, step: int) -> float:
        """Step size of the update that follows `step` others.

        Example:
            >>> schedule = TrainSettings(100, learning_rate=1.0, warm_up=10, annealing="linear")
            >>> schedule.rate(4), schedule.rate(10), schedule.rate(55)
            (0.5, 1.0, 0.5)
        """
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        falls = {"none": 1.0, "linear": 1.0 - done, "cosine": (1.0 + math.cos(math.pi * done)) / 2}
        return self.learning_rate * falls[self.annealing]


def square_root_schedule(last: int, count: int, first: int = 20) -> list[int]:
    """Steps evenly spaced in their square root from `first` to `last`, at most `count` distinct ones.

    Raises:
        ValueError: when `last` is no integer in 1 .. 2^53, `count` none in 1 .. 2^20, or `first` none >= 0.

    Example:
        >>> square_root_schedule(2000, 4)
        [20, 320, 980, 2000]
        >>> square_root_schedule(10, 3)
        [10]
    """
    require_integer("last", last, least=1, most=2**53)
    require_integer("count", count, least=1, most=MOST_CHECKPOINTS)
    require_integer("first", first)
    if count == 1 or first >= last:
        return [last]
    low, high = first**0.5, last**0.5
    return sorted({round((low + (high - low) * k / (count - 1)) ** 2) for k in range(count)})
