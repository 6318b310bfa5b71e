r"""The interval of a mean over seeds, inside the range of what is measured and never without width.

Seed s has a mean :math:`v_s` over its test sequences. The spread of the S seeds gives the half width
:math:`t_{S-1}\, s / \sqrt S`. The test sequences alone give :math:`t_{N-S}\, \sigma / \sqrt S`, where
:math:`\sigma^2` is the mean square of the seeds' standard errors and N counts the test sequences of all seeds. The
larger of the two is c: seeds vary at least as much as their test sequences make them, and a few that agree say little
about how far seeds vary. On the whole line the interval is :math:`\bar v \pm c`. In a range from low to high, the
variance of a mean shrinks towards the ends like :math:`w(\mu) = (\mu - low)(high - \mu)`, and the interval holds
every :math:`\mu` with

.. math:: (\bar v - \mu)^2 \le c^2\, w(\mu) / w(\bar v).

For the errors of one seed this is Wilson's interval, for several seeds Wilson's with a design effect. Where the range
has one end, as for log losses, it runs from :math:`\bar v e^{-2 a}` to :math:`\bar v e^{2 a}`, both counted from that
end, with :math:`a = \operatorname{asinh}(c / 2 \bar v)`.

Where the standard errors are unknown or zero and the range is finite, n test sequences of each seed give
:math:`\sigma^2 = w(\bar v) / n`, the largest that such values can have and exact for values 0 and 1, and the normal
quantile stands for :math:`t_{N-S}`.

How often the interval holds the mean: ``docs/intervals.md``, measured by ``benchmarks/coverage.py``.

Source: Wilson (1927); Korn and Graubard (1998) for clusters: an effective number of test sequences, corrected by
Student's quantile and never larger than their number; Bhatia and Davis (2000) for the largest variance in a range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from gating.results.moments import ROUNDING, Moments, grouped_moments, ranges, reals_with_gaps
from theory.validation import Floats, require_probability, require_scalar

__all__ = [
    "Interval",
    "geometric_mean_interval",
    "grouped_intervals",
    "mean_interval",
    "moment_intervals",
    "sequence_interval",
    "unvaried_margin",
]


class Interval(NamedTuple):
    """Means with their intervals, arrays of one shape.

    Attributes:
        value: the mean; NaN where nothing is known.
        low: lower end; NaN where neither seeds nor test sequences say how far the mean may be off.
        high: upper end; NaN likewise.
        seeds: how many seeds were averaged.
        over: what the width comes from: ``seeds``, ``test sequences`` (a single seed, or several that differ by less
            than their test sequences make them), or ``none`` where the ends are NaN.
    """

    value: Floats
    low: Floats
    high: Floats
    seeds: NDArray[np.int64]
    over: NDArray[np.str_]

    def reshape(self, shape: tuple[int, ...]) -> Interval:
        """The same intervals in another shape; numbers for the shape ()."""
        return Interval._make(part.reshape(shape)[()] for part in self)


def mean_interval(
    values: ArrayLike,
    *,
    tests: ArrayLike = np.nan,
    standard_errors: ArrayLike = np.nan,
    low: ArrayLike = -np.inf,
    high: ArrayLike = np.inf,
    confidence: float = 0.95,
) -> Interval:
    """Interval of the mean over seeds; for formula and sources see the module.

    The difference of two systems on the same seeds is a mean of differences: give those, their range (-1 to 1 for
    errors), and their standard errors, if known, as those of paired differences.

    Args:
        values: one value for each seed, NaN for one that is missing, shape (..., S).
        tests: number of test sequences that each value is a mean over, NaN where unknown, broadcast to (..., S).
        standard_errors: standard error of each value over its test sequences, likewise.
        low: least value that can be measured, broadcast to (...).
        high: largest value that can be measured, likewise.
        confidence: coverage, in (0, 1).

    Returns:
        An `Interval` of arrays of shape (...).

    Raises:
        ValueError: when an argument is not in its set, or a value not in its range.

    Example:
        >>> print(mean_interval([0.1, 0.2, 0.3]).high.round(3))
        0.448
        >>> found = mean_interval([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3]], tests=200, low=0, high=1)
        >>> found.low.round(3).tolist(), found.high.round(3).tolist(), found.over.tolist()
        ([0.0, 0.057], [0.006, 0.51], ['test sequences', 'seeds'])
    """
    array = reals_with_gaps("values", values)
    if array.ndim < 1 or array.shape[-1] < 1:
        raise ValueError(f"`values` must have one number for each seed, shape (..., S); got shape {array.shape}")
    shape, n_seeds = array.shape[:-1], array.shape[-1]
    n_groups = array.size // n_seeds
    found = grouped_intervals(
        np.repeat(np.arange(n_groups), n_seeds),
        array.ravel(),
        n_groups,
        tests=reals_with_gaps("tests", tests, shape=array.shape).ravel(),
        standard_errors=reals_with_gaps("standard_errors", standard_errors, shape=array.shape).ravel(),
        low=reals_with_gaps("low", low, shape=shape).ravel(),
        high=reals_with_gaps("high", high, shape=shape).ravel(),
        confidence=confidence,
    )
    return found.reshape(shape)


def grouped_intervals(
    groups: ArrayLike,
    values: ArrayLike,
    n_groups: int,
    *,
    tests: ArrayLike = np.nan,
    standard_errors: ArrayLike = np.nan,
    low: ArrayLike = -np.inf,
    high: ArrayLike = np.inf,
    confidence: float = 0.95,
) -> Interval:
    """`mean_interval` of each group of rows, for groups of any sizes in any order.

    With pandas: ``grouped = table.groupby(keys, dropna=False)``, ``grouped.ngroup()`` and ``grouped.ngroups``.

    Args:
        groups: group of each row, integers from 0 to n_groups - 1, shape (rows,).
        values: value of each row, NaN where it is missing, shape (rows,).
        n_groups: number of groups, >= 0.
        tests: number of test sequences of each row, NaN where unknown, broadcast to (rows,).
        standard_errors: standard error of each row over its test sequences, likewise.
        low: least value that can be measured in each group, broadcast to (groups,).
        high: largest one, likewise.
        confidence: coverage, in (0, 1).

    Returns:
        An `Interval` of arrays of shape (groups,).

    Raises:
        ValueError: when an argument is not in its set, or a value not in the range of its group.

    Example:
        >>> grouped_intervals([0, 1, 0, 0], [0.2, 5.0, 0.1, 0.3], 2).value.round(3).tolist()
        [0.2, 5.0]
    """
    found = grouped_moments(groups, values, n_groups, tests=tests, standard_errors=standard_errors, low=low, high=high)
    return moment_intervals(found, low=low, high=high, confidence=confidence)


def moment_intervals(
    of: Moments, *, low: ArrayLike = -np.inf, high: ArrayLike = np.inf, confidence: float = 0.95
) -> Interval:
    """`grouped_intervals` from moments of the groups; `low`, `high` and `confidence` as there.

    Raises:
        ValueError: when an argument is not in its set.

    Example:
        >>> found = moment_intervals(grouped_moments([0, 0, 0], [0.1, 0.2, 0.3], 1))
        >>> found.high.round(3).tolist()
        [0.448]
    """
    quantile = _quantile(confidence)
    least, largest = ranges(len(of.mean), low, high)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _intervals(of, least, largest, quantile)


def _quantile(confidence: float) -> float:
    checked = require_probability("confidence", confidence, above_zero=True, below_one=True)
    return (1 + require_scalar("confidence", checked)) / 2


def geometric_mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Geometric mean over seeds of crossovers or times, with Student's interval of the mean logarithm.

    The mean is over the seeds that have one: 0 stands for a seed that is past it from the start, infinity for one that
    does not reach it, NaN for one that is not measured. With any of these there is no interval.

    Args:
        values: numbers >= 0, shape (..., S).
        confidence: coverage, in (0, 1).

    Raises:
        ValueError: when a value is negative or `confidence` is not in (0, 1).

    Example:
        >>> found = geometric_mean_interval([[10.0, 20.0, 40.0], [10.0, 40.0, float("inf")]])
        >>> found.value.round(3).tolist(), found.low.round(3).tolist(), found.seeds.tolist()
        ([20.0, 20.0], [3.575, nan], [3, 2])
    """
    array = reals_with_gaps("values", values)
    if (array < 0).any():
        raise ValueError(f"`values` must be numbers >= 0; got {values!r}")
    seen = np.isfinite(array) & (array > 0)
    logs = mean_interval(np.where(seen, np.log(np.where(seen, array, 1.0)), np.nan), confidence=confidence)
    every = seen.all(-1)
    low, high = (np.where(every, np.exp(end), np.nan)[()] for end in (logs.low, logs.high))
    return Interval(np.exp(logs.value), low, high, logs.seeds, np.where(every, logs.over, "none")[()])


def unvaried_margin(n: ArrayLike, *, confidence: float = 0.95) -> Floats:
    r"""How far the mean of outcomes 0 and 1 may lie from n that are all alike: :math:`z^2 / (n + z^2)`, after Wilson.

    Args:
        n: number of independent outcomes, >= 1, any shape.
        confidence: coverage, in (0, 1).

    Raises:
        ValueError: when `confidence` is not in its set.

    Example:
        >>> round(float(unvaried_margin(4)), 2) == round(1 - float(sequence_interval([1.0] * 4).low), 2)
        True
    """
    z = stats.norm.ppf(_quantile(confidence)) ** 2
    return np.asarray(z / (np.asarray(n) + z))


def sequence_interval(
    values: ArrayLike, *, low: float = -np.inf, high: float = np.inf, confidence: float = 0.95
) -> Interval:
    """Interval of a mean over test sequences, or prompts, of one seed: Wilson's where every value is 0 or 1.

    Else Student's, inside the range as `mean_interval` has it.

    Args:
        values: one value for each test sequence, shape (n,).
        low: least value that can be measured.
        high: largest value that can be measured.
        confidence: coverage, in (0, 1).

    Raises:
        ValueError: when an argument is not in its set, or a value not in its range.

    Example:
        >>> found = sequence_interval([1.0, 1.0, 1.0, 1.0])
        >>> round(float(found.low), 2), float(found.high)
        (0.51, 1.0)
    """
    array = reals_with_gaps("values", values)
    if array.ndim != 1 or not len(array) or np.isnan(array).any():
        raise ValueError(f"`values` must be one number for each test sequence, shape (n,); got {values!r}")
    if np.isin(array, (0.0, 1.0)).all():
        low, high, error = 0.0, 1.0, np.nan
    else:
        error = array.std(ddof=1) / len(array) ** 0.5 if len(array) > 1 else np.nan
    mean = array.mean(keepdims=True)
    return mean_interval(mean, tests=len(array), standard_errors=error, low=low, high=high, confidence=confidence)


def _intervals(of: Moments, low: Floats, high: Floats, quantile: float) -> Interval:
    seeds, mean = of.seeds, np.clip(of.mean, low, high)
    variance = (of.spread + seeds * (of.mean - mean) ** 2) / (seeds - 1)
    agree = ~(variance > (ROUNDING * mean) ** 2)  # also for a single seed
    between = np.where(agree, 0.0, stats.t.ppf(quantile, seeds - 1) ** 2 * variance / seeds)
    below, above = mean - low, high - mean
    at_edge = ~(below * above > 0)
    # of a finite range: c^2 / w if each test sequence has the largest variance that its mean allows
    largest = stats.norm.ppf(quantile) ** 2 * (of.inverse_tests / of.counted) / seeds
    largest = np.where(np.isfinite(low) & np.isfinite(high) & np.isfinite(largest), largest, 0.0)
    squares, freedom = of.squares / of.judged, of.freedom
    known = stats.t.ppf(quantile, np.where(freedom > 0, freedom, np.inf)) ** 2 * squares / seeds
    within = np.where(squares > 0, known, np.where(largest > 0, largest * below * above, 0.0))
    square = np.maximum(between, within)
    ratio = np.where(at_edge, largest, square / (below * above))
    tilt = np.where(at_edge, largest * (above - below), square / below - square / above) / 2
    root = np.sqrt(tilt**2 + (1 + ratio) * square)
    found = (np.where(at_edge, ratio, square) > 0) & np.isfinite(square)
    lower, upper = (
        np.where(found, np.clip(mean + (tilt + way * root) / (1 + ratio), low, high), np.nan) for way in (-1, 1)
    )
    over = np.where(found, np.where(between > within, "seeds", "test sequences"), "none")
    return Interval(mean, lower, upper, seeds.astype(np.int64), over)
