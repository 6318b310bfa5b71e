r"""How far the mixture ``w M + (1 - w) G`` is from a model's outputs, as a function of the log odds of w.

A fit asks for this at thousands of weights, always of the same outputs. As a function of the log odds it is smooth
(:math:`\ln(w m + (1-w) g) = \ln g + \zeta(x + \ln m - \ln g) - \zeta(x)`, :math:`\zeta(x) = \ln(1+e^x)`), so a table of
its value, slope and curvature on a grid holds all that the fit needs of a checkpoint, however many outputs it is
measured on.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from gating.predictors.tables import row_blocks
from theory.validation import Floats, require_choice, require_reals

__all__ = ["DISTANCES", "DiscrepancyCurves", "OutputRows", "Slopes", "output_rows"]

DISTANCES = ("kl", "squared")

# Log odds beyond which a float64 weight is 0 or 1; they are clipped there.
REACH = 36.0
# Quintic interpolation with this spacing is within 3e-9 nats: h^6 / 46080 times a sixth derivative of at most 1/2.
SPACING = 0.25
NODES = np.arange(-REACH, REACH + SPACING / 2, SPACING)
# Probabilities below e^-300 count as e^-300, so no divergence is infinite.
LEAST_LOG = -300.0

# Outputs that are tabulated together, node by node: few enough to stay in the processor's cache.
IN_CACHE = 8192

# Polynomial on [0, 1] (rows: powers 0 .. 5) from value, slope and curvature at 0 and then at 1.
HERMITE = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.5, 0.0, 0.0, 0.0],
        [-10.0, -6.0, -1.5, 10.0, -4.0, 0.5],
        [15.0, 8.0, 1.5, -15.0, 7.0, -1.0],
        [-6.0, -3.0, -0.5, 6.0, -3.0, 0.5],
    ]
)


class Slopes(NamedTuple):
    """Discrepancy of every cell at some log odds, shape (c,) each.

    Attributes:
        value: mean KL divergence in nats, or mean squared distance.
        slope: its derivative in the log odds of the cell.
        slope_kappa: its derivative in kappa.
    """

    value: Floats
    slope: Floats
    slope_kappa: Floats


@dataclass(frozen=True)
class DiscrepancyCurves:
    """Discrepancy of every cell at any log odds, tabulated.

    Attributes:
        table: value, slope and curvature in the log odds on a grid from -36 to 36, shape (c, 289, 3). All that has to
            be kept of a cell: ``DiscrepancyCurves(table)`` restores it.

    Raises:
        ValueError: a table of another shape, or not finite.

    Example:
        >>> log = lambda *p: np.log(np.array([[p]]))
        >>> rows = output_rows(log(0.5, 0.5), log(0.8, 0.2), log(0.2, 0.8), distance="kl")
        >>> curves = rows.tabulate()
        >>> curves.at(np.array([0.0])).value.round(9).tolist()  # the even mixture is what the model says
        [0.0]
    """

    table: Floats

    def __post_init__(self) -> None:
        table = require_reals("table", self.table)
        if table.ndim != 3 or table.shape[1:] != (len(NODES), 3):
            raise ValueError(f"`table` must have shape (cells, {len(NODES)}, 3); got {table.shape}")
        object.__setattr__(self, "table", table)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: NDArray[np.int64]) -> Self:
        return type(self)(self.table[index])

    @cached_property
    def _polynomials(self) -> Floats:
        """Coefficients of the powers 0 .. 5 between two nodes of the grid, shape (c, 288, 6)."""
        ends = np.concatenate([self.table[:, :-1], self.table[:, 1:]], axis=2)
        return (ends * np.array([1, SPACING, SPACING**2] * 2)) @ HERMITE.T

    def at(self, log_odds: Floats, kappa: float = 0.0) -> Slopes:
        """Discrepancy and slopes at the log odds of each cell, shape (c,); a table knows no context, so kappa is 0."""
        if kappa != 0:
            raise ValueError(f"`kappa` must be 0 for tabulated discrepancies; got {kappa}")
        place = (np.clip(log_odds, -REACH, REACH) + REACH) / SPACING
        left = np.minimum(place.astype(np.int64), len(NODES) - 2)
        powers, u = self._polynomials[np.arange(len(self)), left].T, place - left
        value, slope = powers[5], 0.0
        for power in (4, 3, 2, 1, 0):
            slope = slope * u + value
            value = value * u + powers[power]
        inside = np.abs(log_odds) < REACH
        return Slopes(value, np.where(inside, slope / SPACING, 0.0), np.zeros(len(self)))


@dataclass(frozen=True)
class OutputRows:
    """Outputs of a model, M and G on the same sequences, for cells that hold n rows (positions of sequences) each.

    Made by :func:`output_rows`. Needed as such only where the gate differs between the rows of a cell (evidence of the
    context); otherwise :meth:`tabulate` keeps less and is faster.

    Attributes:
        distance: ``kl`` or ``squared``.
        target: probabilities of the model (kl) or its distance from G, shape (c, n, C).
        step: log ratio of M and G (kl) or distance of M from G, shape (c, n, C).
        base: discrepancy of G from the model in each row, shape (c, n).
        evidence: nats for M from the context of each row, shape (c, n).
    """

    distance: str
    target: Floats
    step: Floats
    base: Floats
    evidence: Floats

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, index: NDArray[np.int64] | slice) -> Self:
        parts = (part[index] for part in (self.target, self.step, self.base, self.evidence))
        return type(self)(self.distance, *parts)

    def at(self, log_odds: Floats, kappa: float = 0.0) -> Slopes:
        """Discrepancy and slopes where row i of a cell has log odds ``log_odds + kappa * evidence_i``."""
        odds = log_odds[:, None] + kappa * self.evidence
        value, slope, _ = self._rows(np.clip(odds, -REACH, REACH))
        slope = np.where(np.abs(odds) < REACH, slope, 0.0)
        return Slopes(value.mean(axis=1), slope.mean(axis=1), (slope * self.evidence).mean(axis=1))

    def tabulate(self) -> DiscrepancyCurves:
        """The same for one weight per cell, as a table; evidence is left out."""
        table = np.empty((len(self), len(NODES), 3))
        for block in row_blocks(len(self), self.target[0].size, IN_CACHE):
            cells = self[block]
            for k, node in enumerate(NODES):
                table[block, k] = np.stack([part.mean(axis=1) for part in cells._rows(np.full((1, 1), node))], axis=1)
        return DiscrepancyCurves(table)

    def _rows(self, odds: Floats) -> tuple[Floats, Floats, Floats]:
        """Value, slope and curvature in the log odds of each row, shape (c, n)."""
        weight = expit(odds)
        spread = weight * (1 - weight)
        if self.distance == "squared":
            product, power = (_dot(part, self.step) for part in (self.target, self.step))
            pull = 2 * (weight * power - product)
            value = self.base + weight * (weight * power - 2 * product)
            return value, pull * spread, 2 * power * spread**2 + pull * spread * (1 - 2 * weight)
        grown = np.exp(odds[..., None] + self.step)
        share = grown / (1 + grown)
        mass = self.target.sum(axis=-1)
        value = self.base + mass * np.logaddexp(0, odds) - _dot(self.target, np.log1p(grown))
        slope = mass * weight - _dot(self.target, share)
        return value, slope, mass * spread - _dot(self.target, share * (1 - share))


def output_rows(
    model: NDArray[np.floating] | Tensor,
    memorizer: NDArray[np.floating] | Tensor,
    generalizer: NDArray[np.floating] | Tensor,
    *,
    distance: str,
    evidence: NDArray[np.floating] | Tensor | None = None,
) -> OutputRows:
    r"""Outputs of checkpoints beside those of M and G, ready for a fit.

    ``kl``: :math:`\mathrm{KL}(T \,\|\, w M + (1-w) G)` from log-probabilities; ``squared``:
    :math:`\|T - w M - (1-w) G\|^2`. Both are averaged over the rows of a cell.

    Args:
        model: outputs T of the model, shape (c, n, C): c cells, n rows, C labels or output dimensions. For ``kl``
            log-probabilities in nats; those below -300 count as -300.
        memorizer: outputs of M, the memorizing predictor, of a shape that broadcasts to that of ``model``.
        generalizer: outputs of G, the generalizing predictor, likewise.
        distance: ``kl`` or ``squared``.
        evidence: nats for M from the context of each row (:func:`gating.gates.posterior.context_evidence`), shape
            (c, n) or one that broadcasts to it; None for no evidence.

    Returns:
        `OutputRows` in float64.

    Raises:
        ValueError: a shape that does not fit, an output that is NaN or, except log-probabilities of -inf, infinite,
            positive log-probabilities, or evidence that is not finite.

    Example:
        >>> one, zero = np.ones((1, 4, 1)), np.zeros((1, 4, 1))
        >>> rows = output_rows(0.25 * one, one, zero, distance="squared")
        >>> rows.at(np.array([0.0])).value.item()  # (1/4 - 1/2)^2
        0.0625
    """
    require_choice("distance", distance, DISTANCES)
    t = _array("model", model, distance)
    if t.ndim != 3 or t.size == 0:
        raise ValueError(f"`model` must have shape (cells, rows, outputs), none of them 0; got {t.shape}")
    named = {"memorizer": memorizer, "generalizer": generalizer}
    m, g = (_spread(name, _array(name, part, distance), t.shape) for name, part in named.items())
    known = np.zeros(()) if evidence is None else require_reals("evidence", _numpy(evidence))
    seen = _spread("evidence", known, t.shape[:2])
    if distance == "squared":
        return OutputRows(distance, t - g, m - g, ((t - g) ** 2).sum(axis=-1), seen)
    p = np.exp(t)
    return OutputRows(distance, p, m - g, _dot(p, t - g), seen)


def _dot(a: Floats, b: Floats) -> Floats:
    """Sum of products over the last axis."""
    return np.asarray(np.einsum("...i,...i->...", a, b))


def _numpy(values: NDArray[np.floating] | Tensor) -> NDArray[np.floating]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _spread(name: str, values: NDArray[np.float64], shape: tuple[int, ...]) -> Floats:
    try:
        return np.broadcast_to(values, shape)
    except ValueError as mismatch:
        raise ValueError(f"`{name}` must broadcast to shape {shape}; got {values.shape}") from mismatch


def _array(name: str, values: NDArray[np.floating] | Tensor, distance: str) -> Floats:
    array = _numpy(values).astype(np.float64)
    if distance == "squared":
        return require_reals(name, array)
    if np.isnan(array).any() or (array > 1e-3).any():
        raise ValueError(f"`{name}` must be log-probabilities; got values from {array.min()} to {array.max()}")
    return np.maximum(array, LEAST_LOG)
