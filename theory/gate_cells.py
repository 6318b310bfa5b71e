"""What a gate chooses between: the two predictors' probabilities of each outcome in each cell."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import Floats, require_choice, require_nonnegative, require_probability

__all__ = ["GATE_LOSSES", "GateCells", "require_joint"]


GATE_LOSSES = ("log_loss", "linear_loss")
_TABLES = ("probability", "p_in_weight", "p_in_context")


def require_joint(probability: ArrayLike) -> Floats:
    """A joint probability of cells and outcomes, (cells, outcomes), as an array.

    Raises:
        ValueError: it does not sum to 1, or a cell has no mass.
    """
    p = require_probability("probability", probability)
    if p.ndim != 2 or abs(p.sum() - 1) > 1e-9 or (p.sum(axis=1) == 0).any():
        raise ValueError(
            "`probability` must be a (cells, outcomes) table that sums to 1, every cell with positive mass;"
            f" got shape {p.shape} and sum {p.sum():.12g}"
        )
    return p


@dataclass(frozen=True, eq=False)
class GateCells:
    """What the two predictors say of each outcome of each cell.

    Args:
        probability: (cells, outcomes) joint probability of cell and outcome, in [0, 1], summing to 1. Pad rows of
            different length with probability 0.
        p_in_weight: (cells, outcomes) probability that the in-weight predictor gives to the outcome, in [0, 1].
        p_in_context: (cells, outcomes) the same for the in-context predictor.
        query: (cells,) query class of each cell, integers 0 .. Q - 1, each of them met; 0, 1, 2 ... by default.
        context: (cells,) kind of context of each cell, integers >= 0; all 0 by default. A pair (query, context) is
            one cell.

    Raises:
        ValueError: naming the argument, its allowed set and the value got.

    Example:
        >>> cells = GateCells([[0.5], [0.5]], [[0.9], [0.1]], [[0.6], [0.6]])
        >>> cells.query_frequency.tolist()
        [0.5, 0.5]
    """

    probability: ArrayLike
    p_in_weight: ArrayLike
    p_in_context: ArrayLike
    query: ArrayLike | None = None
    context: ArrayLike | None = None
    _arrays: dict[str, NDArray[Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tables = {name: require_probability(name, getattr(self, name)) for name in _TABLES}
        p = tables["probability"] = require_joint(tables["probability"])
        for name, table in tables.items():
            if table.shape != p.shape:
                raise ValueError(f"`{name}` must have the shape {p.shape} of `probability`; got {table.shape}")
        query = _require_labels("query", np.arange(len(p)) if self.query is None else self.query, len(p))
        context = _require_labels("context", np.zeros(len(p)) if self.context is None else self.context, len(p))
        if len(np.unique(query)) != query.max() + 1:
            raise ValueError(f"`query` must name every class 0 .. {query.max()}; got {query.tolist()}")
        if len(np.unique(np.stack([query, context]), axis=1).T) != len(p):
            raise ValueError("`query` and `context` must differ between cells; got two cells with the same pair")
        object.__setattr__(self, "_arrays", {**tables, "query": query, "context": context})

    @property
    def n_queries(self) -> int:
        """Q, the number of query classes."""
        return int(self._arrays["query"].max()) + 1

    @property
    def query_frequency(self) -> Floats:
        """(Q,) probability of each query class; sums to 1."""
        mass: Floats = self._arrays["probability"].sum(axis=1)
        return np.bincount(self._arrays["query"], weights=mass).astype(np.float64)

    def losses(self, alpha: ArrayLike, *, loss: str = "log_loss") -> Floats:
        r"""(cells,) expected loss of a gate in each cell, times the cell's probability; the sum is the risk.

        ``loss="log_loss"``: :math:`-\sum_o p_o \ln(\alpha g_o + (1-\alpha) h_o)` in nats; ``"linear_loss"``: the
        probability :math:`\sum_o p_o (1 - \alpha g_o - (1-\alpha) h_o)` of not naming the outcome. ``alpha`` is
        (cells,) or a number.

        Example:
            >>> GateCells([[1.0]], [[0.9]], [[0.5]]).losses(0.5, loss="linear_loss").round(3).tolist()
            [0.3]
        """
        p, _, _, mixture = self._mixed(alpha, loss)
        if loss == "linear_loss":
            return (p * (1 - mixture)).sum(axis=1)
        with np.errstate(divide="ignore"):
            return -np.where(p > 0, p * np.log(np.where(p > 0, mixture, 1.0)), 0.0).sum(axis=1)

    def slopes(self, alpha: ArrayLike, *, loss: str = "log_loss") -> Floats:
        """(cells,) derivative of each entry of :meth:`losses` in its own weight.

        Example:
            >>> GateCells([[1.0]], [[0.9]], [[0.5]]).slopes(0.5, loss="linear_loss").round(3).tolist()
            [-0.4]
        """
        p, g, h, mixture = self._mixed(alpha, loss)
        divisor = 1.0 if loss == "linear_loss" else np.where(p > 0, mixture, 1.0)
        return -(p * (g - h) / divisor).sum(axis=1)

    def _mixed(self, alpha: ArrayLike, loss: str) -> tuple[Floats, Floats, Floats, Floats]:
        """p, g, h and the mixture of g and h, each (cells, outcomes)."""
        require_choice("loss", loss, GATE_LOSSES)
        p, g, h = (self._arrays[name] for name in _TABLES)
        weight = np.broadcast_to(require_probability("alpha", alpha), len(p))[:, None]
        return p, g, h, weight * g + (1 - weight) * h


def _require_labels(name: str, value: ArrayLike, n_cells: int) -> NDArray[np.int64]:
    labels = require_nonnegative(name, value)
    if labels.shape != (n_cells,) or (labels != np.floor(labels)).any():
        raise ValueError(f"`{name}` must be {n_cells} integers >= 0, one per cell; got {np.asarray(value).tolist()}")
    return labels.astype(np.int64)
