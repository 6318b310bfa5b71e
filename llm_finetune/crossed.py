r"""Means over seeds and subjects that are crossed, with intervals for other seeds and other subjects.

Every seed asks the same subjects, so that outcomes are alike within a seed and within a subject. Variances are
clustered both ways (Cameron, Gelbach and Miller 2011, "Robust inference with multiway clustering", J. of Business &
Economic Statistics 29(2)). Near an end of the range a symmetric interval misses the mean, so that here its variance
shrinks towards the ends (`gating.results.intervals`). On simulated outcomes of 6 seeds and 8 subjects, with means from
0.02 to 0.8, these intervals covered the mean in 96% to 99% of the cases, symmetric ones in 88% to 100%. 8 subjects, of
which a few do all and the others nothing, are too few for 20 seeds to help: 87%.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gating.results.intervals import mean_interval, unvaried_margin
from theory.validation import Floats

__all__ = ["Ends", "crossed_interval"]

LEVEL = 0.95


class Ends(NamedTuple):
    """A value with the ends of its interval, NaN where there is none."""

    value: float
    low: float
    high: float


def crossed_interval(tables: Sequence[tuple[Floats, float]], *, low: float, high: float) -> Ends:
    r"""The mean of outcomes by seed and subject, with its 95% interval.

    .. math:: \bar v = \sum_k c_k \bar v_k, \qquad
        \widehat{\mathrm{Var}} = \max(V_S + V_F - V_{SF},\, V_S,\, V_F,\, V_{SF}), \qquad
        (\bar v - \mu)^2 \le t_{0.975,\, n - 1}^2\, \widehat{\mathrm{Var}}\, w(\mu) / w(\bar v)

    with the variance :math:`V_S` of a mean over seeds, :math:`V_F` over subjects (summed over tables with the squares
    of c), :math:`V_{SF}` over all outcomes, n the number of seeds or of subjects of a table, whichever is least, and
    :math:`w(\mu) = (\mu - low)(high - \mu)`, or 1 where there is no range. With one seed there is :math:`V_F` alone.
    Where nothing varies, as when all are right, the interval is that of n outcomes 0 or 1.

    Args:
        tables: one or more, each of another set of subjects: outcomes of shape (S, F), and their weight c > 0; the
            weights are divided by their sum.
        low: least value that there can be.
        high: largest.

    Raises:
        ValueError: there is no table, or tables differ in their number of seeds.

    Example:
        >>> outcomes = (np.random.default_rng(0).random((20, 8)) < 0.5).astype(float)
        >>> found = crossed_interval([(outcomes, 1.0)], low=0, high=1)
        >>> bool(found.low < outcomes.mean() == found.value < found.high)
        True
        >>> round(crossed_interval([(np.ones((20, 8)), 1.0)], low=0, high=1).low, 2)
        0.68
    """
    if not tables or len({len(table) for table, _ in tables}) != 1:
        shapes = [table.shape for table, _ in tables]
        raise ValueError(f"`tables` must be one or more, with as many seeds each; got shapes {shapes}")
    shares = np.array([weight for _, weight in tables])
    shares = shares / shares.sum()
    outcomes = [table for table, _ in tables]
    value = float(shares @ [table.mean() for table in outcomes])
    over_seeds = np.sum([c * table.mean(axis=1) for c, table in zip(shares, outcomes, strict=True)], axis=0)
    counts = [table.shape[1] for table in outcomes] + ([len(over_seeds)] if len(over_seeds) > 1 else [])
    n = min(counts)
    if all(np.ptp(table) == 0 for table in outcomes):
        margin = float(unvaried_margin(n))
        return Ends(value, max(value - margin, low), min(value + margin, high))
    if n < 2:
        return Ends(value, np.nan, np.nan)
    subjects, cells = (float(shares**2 @ found) for found in zip(*map(_variances, outcomes), strict=True))
    seeds = _of_mean(over_seeds) if len(over_seeds) > 1 else 0.0
    variance = max(seeds + subjects - cells, seeds, subjects, cells) if len(over_seeds) > 1 else subjects
    found = mean_interval([value], tests=n, standard_errors=variance**0.5, low=low, high=high, confidence=LEVEL)
    return Ends(value, float(found.low), float(found.high))


def _of_mean(values: Floats) -> float:
    """Variance of the mean of independent values."""
    return float(values.var(ddof=1) / values.size)


def _variances(table: Floats) -> tuple[float, float]:
    """Variance of the mean of a table, by subjects and by single outcomes."""
    return _of_mean(table.mean(axis=0)), _of_mean(table.ravel())
