"""The best weights of m predictors in hindsight, cell by cell or under a budget that all cells share.

The gate of two predictors is :func:`theory.oracle.oracle_gate`. A monotone or a smooth gate orders or compares one
number per cell; m weights have no such order, so what carries over to m predictors is a budget: what a unit of each
weight uses of it is given.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.gate_budget import balanced
from theory.gate_cells import GATE_LOSSES, require_joint
from theory.simplex import simplex_weights
from theory.validation import (
    Floats,
    require_choice,
    require_nonnegative,
    require_probability,
    require_scalar,
)

__all__ = ["OracleWeights", "oracle_weights"]


@dataclass(frozen=True, eq=False)
class OracleWeights:
    """The solution of :func:`oracle_weights` with its certificate.

    Attributes:
        weights: (cells, m) weight of each predictor, on the simplex.
        value: expected loss (nats, or probability for linear loss).
        loss: ``log_loss`` or ``linear_loss``.
        memory_price: loss that more memory would save at the margin, per unit; 0 where the budget does not bind. Under
            linear loss, where the last unit can save more than the next one, a price between the two.
        optimality_gap: upper bound >= 0 on ``value`` minus the best value, from the price and the slopes alone.
    """

    weights: Floats
    value: float
    loss: str
    memory_price: float
    optimality_gap: float


def oracle_weights(
    probability: ArrayLike,
    predictors: ArrayLike,
    *,
    loss: str = "log_loss",
    memory: float | None = None,
    use: ArrayLike | None = None,
) -> OracleWeights:
    r"""Weights of m predictors of least expected loss.

    .. math:: \min_{w_i \in \Delta_m} \sum_{i,o} p_{io}\, \ell\Big(\sum_j w_{ij} p_{ijo}\Big)
        \quad \text{with} \quad \sum_{i,j} u_{ij} w_{ij} \le \text{memory}

    with :math:`\ell(u) = -\ln u` (log) or :math:`1 - u` (linear). The budget is priced: each cell is solved by itself
    at a price per unit, which is found between two bounds.

    Args:
        probability: (cells, outcomes) joint probability of cell and outcome, summing to 1, every cell with positive
            mass. Pad rows of different length with probability 0.
        predictors: (cells, m, outcomes) probability that each of m >= 2 predictors gives to the outcome.
        loss: ``log_loss`` (nats) or ``linear_loss`` (probability of not naming the outcome).
        memory: budget >= 0 on what the weights use; needs ``use``.
        use: u >= 0, broadcasts to (cells, m): what a unit of each weight uses, as ``[1, 0, 0]`` where only the first
            predictor is held in weights.

    Returns:
        The weights, their value, the price of the budget and the certificate.

    Raises:
        ValueError: an argument outside its set, such as a budget at or below what the least demanding predictors use,
            or under log loss an outcome that all predictors exclude.

    Example:
        >>> p, predictors = [[0.45, 0.5, 0.05]], [[[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]]
        >>> oracle_weights(p, predictors).weights.round(4).tolist()
        [[0.4662, 0.5338, 0.0]]
        >>> held = oracle_weights(p, predictors, memory=0.25, use=[1, 0, 0])
        >>> held.weights.round(4).tolist(), held.memory_price.__round__(4)
        ([[0.25, 0.75, 0.0]], 0.5855)

    Source: docs/theory.md, statements 3.11, 7.1 and 7.4.
    """
    p, q = require_joint(probability), require_probability("predictors", predictors)
    if q.ndim != 3 or (q.shape[0], q.shape[2]) != p.shape or q.shape[1] < 2:
        raise ValueError(f"`predictors` must be (cells, m, outcomes) with m >= 2 beside {p.shape}; got {q.shape}")
    require_choice("loss", loss, GATE_LOSSES)
    if loss == "log_loss" and ((q.max(axis=1) == 0) & (p > 0)).any():
        raise ValueError("`predictors` must not all be 0 for an outcome of positive probability under log loss")
    if (memory is None) != (use is None):
        raise ValueError("`memory` and `use` must be given together; got only one of them")
    if memory is None or use is None:
        w, price, spends, budget = _respond(p, q, loss, np.zeros(q.shape[:2])), 0.0, np.zeros(q.shape[:2]), 0.0
    else:
        budget, spends = require_scalar("memory", require_nonnegative("memory", memory)), _require_use(use, q)
        w, price = _within_budget(p, q, loss, spends, budget)
    mix = (w[:, None] @ q)[:, 0]
    safe = np.where(p > 0, mix, 1.0)
    losses = -p * np.log(safe) if loss == "log_loss" else p * (1 - mix)
    slopes = -(q @ (p / safe if loss == "log_loss" else p)[:, :, None])[..., 0]
    least = (slopes + price * spends).min(axis=1).sum() - price * budget
    return OracleWeights(w, float(losses.sum()), loss, price, max(0.0, float((slopes * w).sum() - least)))


def _require_use(use: ArrayLike, predictors: Floats) -> Floats:
    table = require_nonnegative("use", use)
    try:
        return np.broadcast_to(table, predictors.shape[:2])
    except ValueError as mismatch:
        raise ValueError(f"`use` must broadcast to {predictors.shape[:2]}; got {table.shape}") from mismatch


def _respond(p: Floats, q: Floats, loss: str, charges: Floats) -> Floats:
    """Best weights of each cell where a unit of each weight costs so much; the first of equals under linear loss."""
    if loss == "log_loss":
        return simplex_weights(p, q, charges).weights
    best = (charges - (q @ p[:, :, None])[..., 0]).argmin(axis=1)
    return np.eye(q.shape[1])[best]


def _within_budget(p: Floats, q: Floats, loss: str, use: Floats, budget: float) -> tuple[Floats, float]:
    """Best weights that use at most the budget, and its price."""

    def used(w: Floats) -> float:
        return float((use * w).sum())

    free = _respond(p, q, loss, np.zeros(use.shape))
    if used(free) <= budget:
        return free, 0.0
    if use.min(axis=1).sum() >= budget:
        raise ValueError(f"`memory` must be above {use.min(axis=1).sum():g}, the least that weights use; got {budget}")
    found = balanced(lambda price: _respond(p, q, loss, price * use), used, budget, 1.0 / len(p), within=1e-9)
    return found.mixed, found.price
