r"""Weights of m predictors on the simplex under log loss: one convex problem for each of many cells, with certificates.

A cell has outcomes k of mass :math:`t_k` and m predictors with probability :math:`p_{jk}` of outcome k. Its problem is

.. math:: \min_{w \in \Delta_m} -\sum_k t_k \ln \sum_j w_j p_{jk} + \sum_j c_j w_j

with charges c that are 0 unless a budget prices the predictors. All cells take interior-point steps side by side. Every
quantity of a step is a sum of positive terms of the responsibilities :math:`w_j p_{jk} / \sum_i w_i p_{ik}`, so
predictors that lie many orders of magnitude apart cost no accuracy.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from theory.validation import (
    Floats,
    require_nonnegative,
    require_positive,
    require_reals,
    require_scalar,
)

__all__ = ["SimplexWeights", "certified", "simplex_weights"]

# Numbers of a block of cells: few enough to stay in the processor's cache.
IN_CACHE = 2**16
MOST_STEPS = 200
CLOSEST = 0.995
"""How much of the way to the edge of the simplex a step may go."""


class SimplexWeights(NamedTuple):
    r"""Solution of every cell with its certificates, each in nats per unit of mass.

    Attributes:
        weights: (cells, m) weights on the simplex.
        violation: (cells,) :math:`\max_j e_j - \sum_j w_j e_j` >= 0, :math:`e_j = E[p_j/\mathrm{mix}] - c_j` with E the
            mean over outcomes by mass. Without charges :math:`\max_j E[p_j/\mathrm{mix}] - 1`. No weights are better
            by more than this.
        curvature: (cells,) smallest eigenvalue >= 0 of the Hessian on directions that keep the sum of the weights; 0
            where two mixtures do equally well.
    """

    weights: Floats
    violation: Floats
    curvature: Floats


def simplex_weights(
    mass: ArrayLike, predictors: ArrayLike, charges: ArrayLike = 0.0, *, tolerance: float = 1e-10
) -> SimplexWeights:
    r"""Best weights of every cell.

    Args:
        mass: (cells, K) mass t >= 0 of each outcome, each cell with a positive sum. Pad with 0.
        predictors: (cells, m, K) probabilities >= 0 of the m predictors, or numbers proportional to them: scaling all
            predictors of one outcome moves no minimiser. An outcome that all of them exclude does not count.
        charges: c, broadcasts to (cells, m); what a unit of each weight costs, in the unit of the mass.
        tolerance: largest violation, > 0.

    Returns:
        `SimplexWeights`.

    Raises:
        ValueError: an argument outside its set.
        ArithmeticError: when the steps do not end.

    Example:
        >>> predictors = np.array([[[0.9, 0.1, 0.0], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]])
        >>> found = simplex_weights(np.array([[0.5, 0.1, 0.4]]), predictors)
        >>> found.weights.round(4).tolist(), bool(found.violation < 1e-10)
        ([[0.5, 0.5, 0.0]], True)

    Source: the optimality conditions are those of mixture likelihoods (Lindsay 1983); steps: Boyd and Vandenberghe
    (2004), section 11.7; the bound: docs/theory.md, statement 7.2.
    """
    t, p = require_nonnegative("mass", mass), require_nonnegative("predictors", predictors)
    if t.ndim != 2 or p.ndim != 3 or (len(t), t.shape[1]) != (len(p), p.shape[2]):
        raise ValueError(f"`predictors` must be (cells, m, K) beside (cells, K) of `mass`; got {p.shape} and {t.shape}")
    t = np.where((p > 0).any(axis=1), t, 0.0)
    if not (t.sum(axis=1) > 0).all():
        raise ValueError("`mass` must have a positive sum in every cell, of outcomes that some predictor allows")
    p = p / np.maximum(p.max(axis=1, keepdims=True), np.finfo(float).tiny)
    c = np.broadcast_to(require_reals("charges", charges), p.shape[:2])
    limit = require_scalar("tolerance", require_positive("tolerance", tolerance))
    block = max(1, IN_CACHE // (p.shape[1] * p.shape[2]))
    parts = [slice(start, start + block) for start in range(0, len(t), block)]
    solved = [_solve(t[part], p[part], c[part], limit) for part in parts]
    return SimplexWeights(*(np.concatenate(columns) for columns in zip(*solved, strict=True)))


def certified(mass: Floats, predictors: Floats, weights: Floats, charges: Floats | float = 0.0) -> SimplexWeights:
    """Given weights with their certificates; mass, in proportion, predictors and charges as in `simplex_weights`.

    Example:
        >>> even = certified(np.array([[1.0, 0.0]]), np.array([[[0.9, 0.1], [0.1, 0.9]]]), np.array([[0.5, 0.5]]))
        >>> even.violation.round(6).tolist()
        [0.8]
    """
    total = mass.sum(axis=1, keepdims=True)
    ratio = _ratio(predictors, weights)
    earned = _times(ratio, mass / total) - charges / total
    violation = earned.max(axis=1) - (weights * earned).sum(axis=1)
    hessian = (ratio * (mass / total)[:, None]) @ ratio.transpose(0, 2, 1)
    flat = np.linalg.qr(np.eye(weights.shape[1]) - 1 / weights.shape[1])[0][:, :-1]  # directions that sum to 0
    least = np.zeros(len(weights))
    finite = np.isfinite(hessian).all(axis=(1, 2))
    if flat.shape[1]:
        least[finite] = np.linalg.eigvalsh(flat.T @ hessian[finite] @ flat)[:, 0].clip(min=0.0)
    return SimplexWeights(weights, np.maximum(violation, 0.0), least)


def _solve(mass: Floats, predictors: Floats, charges: Floats, limit: float) -> SimplexWeights:
    """Primal-dual interior-point steps from the even weights, cells leaving as they end."""
    total = mass.sum(axis=1, keepdims=True)
    t, p, c = mass / total, predictors, charges / total
    found = np.full(c.shape, 1 / c.shape[1])
    at, w = np.arange(len(t)), found.copy()
    earned = _times(_ratio(p, w), t)
    price = (earned - c).max(axis=1, keepdims=True) + 0.1
    slack = price + c - earned
    for _ in range(MOST_STEPS):
        share = w / w.sum(axis=1, keepdims=True)
        net = earned * w.sum(axis=1, keepdims=True) - c
        ended = net.max(axis=1) - (share * net).sum(axis=1) <= limit
        found[at[ended]] = share[ended]
        if ended.all():
            swept = _without_dust(mass / total, predictors, charges / total, found, limit)
            return certified(mass, predictors, swept, charges)
        t, p, c, at, w, slack, price, earned = (a[~ended] for a in (t, p, c, at, w, slack, price, earned))
        w, slack, price, earned = _step(t, p, c, w, slack, price, earned)
    raise ArithmeticError(f"the weights of {len(at)} of {len(found)} cells were not found to within {limit}")


def _step(
    t: Floats, p: Floats, c: Floats, w: Floats, slack: Floats, price: Floats, earned: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """One damped Newton step towards w * slack = a tenth of its mean, relative to the weights."""
    target = 0.1 * (w * slack).mean(axis=1, keepdims=True)
    held = w[:, :, None] * _ratio(p, w)
    matrix = (held * t[:, None]) @ held.transpose(0, 2, 1)
    diagonal = np.arange(w.shape[1])
    matrix[:, diagonal, diagonal] += w * slack + 1e-15
    sides = np.stack([w * (earned - c - price) + target, w], axis=2)
    first, second = np.moveaxis(np.linalg.solve(matrix, sides), 2, 0)
    rise = ((w * first).sum(axis=1, keepdims=True) + w.sum(axis=1, keepdims=True) - 1) / (w * second).sum(
        axis=1, keepdims=True
    )
    relative = first - rise * second
    moved = target / w - slack - slack * relative
    most = np.maximum(-relative, -moved / slack).max(axis=1, keepdims=True)
    length = np.minimum(1.0, CLOSEST / np.maximum(most, 1e-300))
    before = _residual(w, slack, price, earned, c, target)
    for _ in range(40):
        at_w, at_slack, at_price = w * (1 + length * relative), slack + length * moved, price + length * rise
        at_earned = _times(_ratio(p, at_w), t)
        after = _residual(at_w, at_slack, at_price, at_earned, c, target)
        worse = after > (1 - 0.01 * length) * before + 1e-15
        if not worse.any():
            break
        length = np.where(worse, length / 2, length)
    return at_w, at_slack, at_price, at_earned


def _residual(w: Floats, slack: Floats, price: Floats, earned: Floats, c: Floats, target: Floats) -> Floats:
    """Norm of the optimality conditions, stationarity times the weights, (cells, 1)."""
    parts = (w * (price + c - earned - slack), w * slack - target, w.sum(axis=1, keepdims=True) - 1)
    return np.asarray(np.sqrt(sum((part**2).sum(axis=1, keepdims=True) for part in parts)))


def _without_dust(t: Floats, p: Floats, c: Floats, w: Floats, limit: float) -> Floats:
    """The weights with those that only the distance to the edge keeps above 0 set to 0, where that stays optimal."""
    net = _times(_ratio(p, w), t) - c
    short = (w * net).sum(axis=1, keepdims=True) - net
    swept = np.where(w < short, 0.0, w)
    swept /= swept.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        net = _times(_ratio(p, swept), t) - c
        good = net.max(axis=1) - (swept * net).sum(axis=1) <= limit
    return np.where(good[:, None], swept, w)


def _ratio(p: Floats, w: Floats) -> Floats:
    """Probability of each predictor over that of the mixture, (cells, m, K); infinite where only the mixture has 0."""
    mix = w[:, None, :] @ p
    with np.errstate(divide="ignore", over="ignore"):
        return np.divide(p, mix, out=np.where(p > 0, np.inf, 0.0), where=mix > 0)


def _times(ratio: Floats, t: Floats) -> Floats:
    """Sum over outcomes of the mass times the ratio, (cells, m)."""
    with np.errstate(invalid="ignore"):
        return np.asarray((ratio @ t[:, :, None])[..., 0])
