"""How an ensemble is trained, and at which steps it is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from theory.distribution import SpecError
from theory.validation import is_integer, require_positive, require_scalar

__all__ = ["TrainSettings", "square_root_schedule"]


Annealing = Literal["none", "linear", "cosine"]
MatmulPrecision = Literal["highest", "high", "medium"]


@dataclass(frozen=True)
class TrainSettings:
    """How an ensemble is trained.

    Args:
        steps: number of optimizer steps, >= 1.
        batch_size: sequences per step and replica, >= 1.
        learning_rate: Adam's step size, > 0.
        checkpoints: how many checkpoints to keep, spaced evenly in the square root of the step, >= 1.
        save_every: steps between saved states, from which a killed run goes on, >= 1.
        warm_up: first steps, over which the step size grows linearly from 0, in 0 .. `steps`.
        annealing: how the step size falls from the end of the warm-up to 0 at the last step.
        clip: largest norm of a replica's gradient, > 0; longer ones are scaled down to it. None leaves all alone.
        matmul_precision: of float32 matrix products, as torch names it. Less than ``highest`` lets a processor that
            has shorter formats use them inside a product; one that has none may still take a faster kernel.
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 3e-4
    checkpoints: int = 12
    save_every: int = 500
    warm_up: int = 0
    annealing: Annealing = "none"
    clip: float | None = None
    matmul_precision: MatmulPrecision = "highest"

    def __post_init__(self) -> None:
        problems = [
            f"`{name}` must be an integer >= 1; got {getattr(self, name)!r}"
            for name in ("steps", "batch_size", "checkpoints", "save_every")
            if not is_integer(getattr(self, name)) or getattr(self, name) < 1
        ]
        try:
            require_scalar("learning_rate", require_positive("learning_rate", self.learning_rate))
        except ValueError:
            problems.append(f"`learning_rate` must be a number > 0; got {self.learning_rate!r}")
        most = self.steps if is_integer(self.steps) else math.inf
        if not is_integer(self.warm_up) or not 0 <= self.warm_up <= most:
            problems.append(f"`warm_up` must be an integer in 0 .. `steps`; got {self.warm_up!r}")
        try:
            require_scalar("clip", require_positive("clip", 1.0 if self.clip is None else self.clip))
        except ValueError:
            problems.append(f"`clip` must be a finite number > 0, or null; got {self.clip!r}")
        for name, allowed in (("annealing", get_args(Annealing)), ("matmul_precision", get_args(MatmulPrecision))):
            if getattr(self, name) not in allowed:
                problems.append(f"`{name}` must be one of {allowed}; got {getattr(self, name)!r}")
        if problems:
            raise SpecError(problems)

    @property
    def checkpoint_steps(self) -> list[int]:
        """Steps of the checkpoints, ascending; the last is `steps`."""
        return square_root_schedule(self.steps, self.checkpoints)

    def rate(self, step: int) -> float:
        """Step size of the update that follows `step` others.

        Example:
            >>> settings = TrainSettings(100, learning_rate=1.0, warm_up=10, annealing="linear")
            >>> settings.rate(4), settings.rate(10), settings.rate(55)
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
        ValueError: when `last` or `count` is no integer >= 1, or `first` none >= 0.

    Example:
        >>> square_root_schedule(2000, 4)
        [20, 320, 980, 2000]
        >>> square_root_schedule(10, 3)
        [10]
    """
    if not (is_integer(last) and is_integer(count) and is_integer(first)) or last < 1 or count < 1 or first < 0:
        raise ValueError(f"`last` and `count` must be >= 1 and `first` >= 0; got {last!r}, {count!r} and {first!r}")
    if count == 1 or first >= last:
        return [last]
    low, high = first**0.5, last**0.5
    return sorted({round((low + (high - low) * k / (count - 1)) ** 2) for k in range(count)})
