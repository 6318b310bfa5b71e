"""How an ensemble is trained, and at which steps it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from theory.distribution import SpecError
from theory.validation import is_integer, require_positive, require_scalar

__all__ = ["TrainSettings", "square_root_schedule"]


@dataclass(frozen=True)
class TrainSettings:
    """How an ensemble is trained.

    Args:
        steps: number of optimizer steps, >= 1.
        batch_size: sequences per step and replica, >= 1.
        learning_rate: Adam's step size, > 0.
        checkpoints: how many checkpoints to keep, spaced evenly in the square root of the step, >= 1.
        save_every: steps between saved states, from which a killed run goes on, >= 1.
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 3e-4
    checkpoints: int = 12
    save_every: int = 500

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
        if problems:
            raise SpecError(problems)

    @property
    def checkpoint_steps(self) -> list[int]:
        """Steps of the checkpoints, ascending; the last is `steps`."""
        return square_root_schedule(self.steps, self.checkpoints)


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
