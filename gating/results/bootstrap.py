"""The bootstrap over clusters: seeds or runs are drawn with replacement, whole, and the statistic is made again.

Rows of one seed or run are alike; drawn one by one they give intervals that are too short. Ends are draws themselves
(quantiles of the empirical distribution), since a crossover or a time may be infinite in some draws.

Percentile intervals of few clusters are short: with S clusters their variance is (S - 1) / S of the right one, and
normal quantiles stand for Student's. For a mean, `gating.results.intervals` does not have this fault.

Source: Efron and Tibshirani (1993), chapters 6, 8 and 13; Davison and Hinkley (1997), section 3.8.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gating.results.moments import leaves, reals_with_gaps
from theory.validation import Floats, require_choice, require_integer, require_probability, require_scalar

__all__ = ["Bootstrap", "cluster_bootstrap", "moment_bootstrap", "percentile_interval"]

Form = Literal["rows", "weights"]


class Bootstrap(NamedTuple):
    """A statistic of shape (...) with its bootstrap interval.

    Attributes:
        value: the statistic of the whole sample.
        low: lower end of the interval; NaN where fewer than half of the draws are numbers, or clusters are too few.
        high: upper end likewise.
        draws: the statistic of each resample, shape (n_resamples, ...); none where clusters are too few.
    """

    value: Floats
    low: Floats
    high: Floats
    draws: Floats


def cluster_bootstrap(
    statistic: Callable[[NDArray[Any]], ArrayLike],
    clusters: ArrayLike,
    *,
    n_resamples: int,
    seed: int,
    confidence: float = 0.95,
    fewest: int = 2,
    form: Form = "rows",
) -> Bootstrap:
    """Percentile interval of a statistic over clusters drawn with replacement.

    The same clusters, `n_resamples` and `seed` give the same resamples, so that several statistics can be drawn
    together.

    Args:
        statistic: form ``rows``: from the numbers of the rows of one resample, shape (any,), to a result of shape
            (...); called for each resample. Form ``weights``: from the shares of the S clusters, in ascending order of
            their labels, in B resamples at once, shape (B, S), to results of shape (B, ...): a mean over clusters is
            then a matrix product.
        clusters: label of the cluster of each row, shape (rows,).
        n_resamples: number of resamples B, >= 1.
        seed: seed of the resamples, >= 0.
        confidence: coverage, in (0, 1).
        fewest: least number of clusters that an interval is made from, >= 2.
        form: ``rows`` or ``weights``.

    Raises:
        ValueError: when an argument is not in its set, or `statistic` does not give one result for each resample.

    Example:
        >>> runs = np.array([0, 0, 1, 1, 1, 2, 2, 3, 4])
        >>> x = np.arange(9.0)
        >>> found = cluster_bootstrap(lambda rows: x[rows].mean(), runs, n_resamples=999, seed=0)
        >>> float(found.value), bool(found.low < 4 < found.high)
        (4.0, True)
        >>> means = np.array([0.1, 0.2, 0.4])
        >>> shares = cluster_bootstrap(lambda w: w @ means, range(3), n_resamples=999, seed=0, form="weights")
        >>> round(float(shares.low), 3), round(float(shares.high), 3)
        (0.1, 0.4)
    """
    try:
        labels, place = np.unique(np.asarray(clusters), return_inverse=True)
    except (TypeError, ValueError) as unsorted:
        raise ValueError(f"`clusters` must be labels of one type, shape (rows,); got {clusters!r}") from unsorted
    if np.ndim(clusters) != 1 or not len(labels):
        raise ValueError(f"`clusters` must be the label of each row, shape (rows,); got {clusters!r}")
    n, rng = len(labels), np.random.default_rng(require_integer("seed", seed))
    n_draws = _number_of_draws(statistic, n, n_resamples, fewest)
    if require_choice("form", form, ("rows", "weights")) == "weights":
        even = np.full(n, 1 / n)
        return _summary(statistic, even[None], rng.multinomial(n, even, n_draws) / n, confidence)
    members = [np.flatnonzero(place == k) for k in range(n)]
    drawn = [np.concatenate([members[k] for k in chosen]) for chosen in rng.integers(n, size=(n_draws, n))]
    return _summary(lambda samples: [statistic(s) for s in samples], [np.arange(len(place))], drawn, confidence)


def moment_bootstrap(
    statistic: Callable[[Floats], ArrayLike],
    values: ArrayLike,
    *,
    n_resamples: int,
    seed: int,
    standard_errors: ArrayLike = np.nan,
    low: ArrayLike = -np.inf,
    high: ArrayLike = np.inf,
    confidence: float = 0.95,
    fewest: int = 2,
) -> Bootstrap:
    """Percentile interval of a statistic of values, of which each cluster has the same ones; all resamples at once.

    With standard errors the test sequences inside of a cluster are drawn as well, from what rows carry of them: a drawn
    value is the cluster's plus its standard error times a normal number, clipped to its range. Since clusters differ by
    their test sequences already, the variance within counts twice: the interval is too long, by the factor sqrt(2) at
    most, and keeps a width where few clusters agree, unless their standard errors are 0 too.

    Args:
        statistic: from the values of B resamples, shape (B, S, ...), to results of shape (B, ...).
        values: values of each cluster, shape (S, ...).
        n_resamples: number of resamples B, >= 1.
        seed: seed of the resamples, >= 0.
        standard_errors: standard errors of the values, NaN where unknown, broadcast to (S, ...).
        low: least value that can be measured, broadcast to (S, ...).
        high: largest value that can be measured, likewise.
        confidence: coverage, in (0, 1).
        fewest: least number of clusters that an interval is made from, >= 2.

    Raises:
        ValueError: when an argument is not in its set, or `statistic` does not give one result for each resample.

    Example:
        >>> errors = np.array([[0.3, 0.1], [0.5, 0.2], [0.4, 0.1], [0.4, 0.0]])  # of four seeds at two sizes
        >>> fall = moment_bootstrap(lambda v: v[..., 0].mean(1) - v[..., 1].mean(1), errors, n_resamples=999, seed=0)
        >>> round(float(fall.value), 3), round(float(fall.low), 3), round(float(fall.high), 3)
        (0.3, 0.225, 0.375)
    """
    value = reals_with_gaps("values", values)
    if value.ndim < 1 or not len(value):
        raise ValueError(f"`values` must be those of each cluster, shape (S, ...); got shape {value.shape}")
    error = reals_with_gaps("standard_errors", standard_errors, shape=value.shape, least=0)
    least, largest = reals_with_gaps("low", low, shape=value.shape), reals_with_gaps("high", high, shape=value.shape)
    if leaves(value, least, largest).any():
        raise ValueError(f"`values` must be from `low` to `high`; got {values!r}")
    n, rng = len(value), np.random.default_rng(require_integer("seed", seed))
    chosen = rng.integers(n, size=(_number_of_draws(statistic, n, n_resamples, fewest), n))
    noise = np.where(np.isnan(error), 0.0, error)[chosen] * rng.normal(size=(len(chosen), *value.shape))
    drawn = np.clip(value[chosen] + noise, least[chosen], largest[chosen])
    return _summary(statistic, value[None], drawn, confidence)


def percentile_interval(draws: ArrayLike, *, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of the percentile interval of draws: draws themselves, which may be infinite; those that are NaN left out.

    Args:
        draws: one along the first axis for each resample, shape (B, ...).
        confidence: coverage, in (0, 1).

    Returns:
        Lower and upper ends, shape (...); NaN where fewer than half of the draws, or fewer than two, are numbers.

    Raises:
        ValueError: when an argument is not in its set.

    Example:
        >>> low, high = percentile_interval([1.0, 2.0, 3.0, float("inf"), float("nan")])
        >>> float(low), float(high)
        (1.0, inf)
    """
    checked = require_probability("confidence", confidence, above_zero=True, below_one=True)
    coverage = require_scalar("confidence", checked)
    array = reals_with_gaps("draws", draws)
    if array.ndim < 1:
        raise ValueError(f"`draws` must have one number for each resample, shape (B, ...); got {draws!r}")
    ordered, known = np.sort(array, axis=0), (~np.isnan(array)).sum(0)  # NaN last
    enough = known >= max(2, len(ordered) / 2)
    if not enough.any():
        return np.full(known.shape, np.nan), np.full(known.shape, np.nan)
    places = (np.maximum(np.ceil(known * q - 1), 0).astype(int) for q in ((1 - coverage) / 2, (1 + coverage) / 2))
    low, high = (np.where(enough, np.take_along_axis(ordered, p[None], axis=0)[0], np.nan) for p in places)
    return low, high


def _number_of_draws(statistic: Any, n_clusters: int, n_resamples: int, fewest: int) -> int:
    if not callable(statistic):
        raise TypeError(f"`statistic` must be a function; got {statistic!r}")
    n_resamples = require_integer("n_resamples", n_resamples, least=1)
    return n_resamples if n_clusters >= require_integer("fewest", fewest, least=2) else 0


def _summary(statistic: Callable[[Any], Any], whole: Any, resamples: Any, confidence: float) -> Bootstrap:
    """Of a statistic that gives one result for each sample; `whole` holds one sample, `resamples` may hold none."""
    value = _results(statistic, whole)
    draws = _results(statistic, resamples) if len(resamples) else value[:0]
    low, high = percentile_interval(draws, confidence=confidence)
    return Bootstrap(value[0], low[()], high[()], draws)


def _results(statistic: Callable[[Any], Any], samples: Any) -> Floats:
    found = np.asarray(statistic(samples), dtype=np.float64)
    if found.ndim < 1 or len(found) != len(samples):
        raise ValueError(f"`statistic` must give one result for each of {len(samples)} resamples; got {found!r}")
    return found
