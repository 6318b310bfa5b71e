"""The one type that predictors, gates and models read."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Sequences"]


class Sequences(NamedTuple):
    """A batch of sequences ``(x_1, y_1, ..., x_L, y_L, x, y)``; the last pair is the query and its label.

    Any leading dimensions are allowed (batch, or replica and batch).

    Attributes:
        x: inputs, shape (..., L + 1, d).
        y: labels, integers in 0 .. C - 1, shape (..., L + 1); the last is the target, hidden from predictors.
        classes: true class of each token, shape (..., L + 1); for evaluation only, hidden from predictors.
    """

    x: Tensor
    y: Tensor
    classes: Tensor

    @property
    def query(self) -> Tensor:
        """Input of the query, shape (..., d)."""
        return self.x[..., -1, :]

    @property
    def context_x(self) -> Tensor:
        """Inputs of the context, shape (..., L, d)."""
        return self.x[..., :-1, :]

    @property
    def context_y(self) -> Tensor:
        """Labels of the context, shape (..., L)."""
        return self.y[..., :-1]

    @property
    def target(self) -> Tensor:
        """Label of the query, shape (...)."""
        return self.y[..., -1]

    @property
    def query_class(self) -> Tensor:
        """True class of the query, shape (...)."""
        return self.classes[..., -1]
