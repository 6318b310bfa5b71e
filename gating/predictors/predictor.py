"""The protocol of predictors."""

from typing import Protocol

from torch import Tensor

from gating.tasks.sequences import Sequences

__all__ = ["Predictor"]


class Predictor(Protocol):
    """Answers sequences: a module, a function or any other object that is called with them.

    An answer depends on its own sequence alone, on nothing that it is about to predict, and not on true classes.
    :func:`gating.checks.check_predictor` looks whether a predictor keeps this contract.
    """

    def __call__(self, sequences: Sequences, /) -> Tensor:
        """Answers of one of three kinds.

        Args:
            sequences: of leading shape (R, B), R replicas of B sequences, or (...).

        Returns:
            Log-probabilities of the query's label in nats, (R, B, C); or of every y given the pairs before it and its
            own x, (R, B, T, C); or the mean of every y, given the same, (R, B, T).
        """
