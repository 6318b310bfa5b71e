"""Where curves fall to their level for good, and the power law of where they do."""

import numpy as np
from numpy.typing import ArrayLike

from gating.results.moments import reals_with_gaps
from theory.validation import Floats, require_positive, require_reals

__all__ = ["crossing", "power_law_exponent"]

FEWEST_POINTS = 3
"""Least number of frequencies that an exponent is fitted to."""


def crossing(n: ArrayLike, excess: ArrayLike) -> Floats:
    """Size from which an excess over a level stays at or below zero, interpolated linearly in ln n.

    Args:
        n: sizes, ascending, at least two, shape (M,).
        excess: value minus level at each size, shape (..., M).

    Returns:
        Shape (...); 0 where the excess is nowhere positive, infinite where it still is at the largest size, NaN where
        an excess is NaN.

    Raises:
        ValueError: when sizes are fewer than two, not ascending, not finite or not positive, or when `excess` does not
            have one number for each.

    Example:
        >>> crossing([10, 100, 1000], [[3, 1, -1], [1, 2, 3], [-1, -2, -3]]).round(1).tolist()
        [316.2, inf, 0.0]
    """
    sizes, excess = require_reals("n", n), reals_with_gaps("excess", excess)
    if sizes.ndim != 1 or len(sizes) < 2 or sizes[0] <= 0 or (np.diff(sizes) <= 0).any():
        raise ValueError(f"`n` must be at least two ascending positive sizes; got {sizes.tolist()}")
    if excess.ndim < 1 or excess.shape[-1] != len(sizes):
        raise ValueError(f"`excess` must have one number for each of {len(sizes)} sizes `n`; got shape {excess.shape}")
    above = excess > 0
    last = len(sizes) - 1 - above[..., ::-1].argmax(-1)
    place = np.minimum(last, len(sizes) - 2)[..., None]
    before, after = (np.take_along_axis(excess, place + k, -1)[..., 0] for k in (0, 1))
    crosses = above.any(-1) & ~above[..., -1]
    share = before / np.where(crosses, before - after, 1.0)
    start, end = (np.log(sizes)[place[..., 0] + k] for k in (0, 1))
    found = np.exp(np.where(crosses, start + share * (end - start), 0.0))
    found = np.where(crosses, found, np.where(above[..., -1], np.inf, 0.0))
    return np.where(np.isnan(excess).any(-1), np.nan, found)


def power_law_exponent(q: ArrayLike, n: ArrayLike) -> Floats:
    """Least-squares slope of ln n on ln q over the points where n is positive and finite.

    Args:
        q: frequencies > 0, shape (F,).
        n: sizes, shape (..., F).

    Returns:
        Shape (...); NaN where fewer than three points are left, or their frequencies are all alike.

    Raises:
        ValueError: when a frequency is not > 0, or `n` does not have one size for each.

    Example:
        >>> power_law_exponent([0.01, 0.02, 0.04], [[800, 400, 200], [800, 0, 200]]).round(6).tolist()
        [-1.0, nan]
    """
    q, n = require_positive("q", q), reals_with_gaps("n", n)
    if q.ndim != 1 or n.ndim < 1 or n.shape[-1] != len(q):
        raise ValueError(f"`q` must have shape (F,) and `n` (..., F); got {q.shape} and {n.shape}")
    kept = np.isfinite(n) & (n > 0)
    x, y = np.broadcast_to(np.log(q), n.shape), np.log(np.where(kept, n, 1.0))
    count = np.maximum(kept.sum(-1, keepdims=True), FEWEST_POINTS)  # fewer have no slope
    x = np.where(kept, x - (x * kept).sum(-1, keepdims=True) / count, 0.0)
    spread = (x**2).sum(-1)
    enough = (kept.sum(-1) >= FEWEST_POINTS) & (spread > 1e-24)
    return np.where(enough, (x * y).sum(-1) / np.where(enough, spread, 1.0), np.nan)
