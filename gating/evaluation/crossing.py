"""Crossovers N* from measured curves: where a curve falls to its level for good, with intervals over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from theory.validation import require_integer, require_positive, require_reals

__all__ = ["ONSETS", "CrossingEstimate", "Onset", "crossing", "estimate_crossings", "power_law_exponent"]

Floats = NDArray[np.float64]
Interval = tuple[float, float, float]

CONFIDENCE = 0.95
N_BOOTSTRAP = 2000
FEWEST_POINTS = 3
"""Least number of frequencies that an exponent is fitted to."""


@dataclass(frozen=True)
class Onset:
    """A curve over N whose fall to a level for good is a crossover.

    Args:
        name: what crosses.
        system: system of the curve's rows.
        where: distribution, context and measure of its rows.
        level: the level, or the measure of system ``in_context`` that gives it.
        falling: False for a curve that rises to its level.
        predicted: measure of the theory row with the predicted N*.
    """

    name: str
    system: str
    where: tuple[str, str, str]
    level: float | str
    falling: bool
    predicted: str


ONSETS = (
    Onset("Label counts, 0-1 loss", "tabular", ("ibd", "as_trained", "expected_error"), "expected_error", True,
          "crossover_expected_error"),
    Onset("Label counts, log loss", "tabular", ("ibd", "as_trained", "expected_log_loss"), "expected_log_loss", True,
          "crossover_expected_log_loss"),
    Onset("Transformer, gate rises past 1/2", "transformer", ("oobd", "relevant", "effective_gate"), 0.5, False,
          "crossover_expected_error"),
    Onset("Transformer, in-weight error falls past 1/2", "transformer", ("ibd", "irrelevant", "error"), 0.5, True,
          "crossover_expected_error"),
)  # fmt: skip
"""The crossovers that are measured, each beside a predicted one."""


@dataclass(frozen=True)
class CrossingEstimate:
    """Measured crossovers of one onset over frequencies of the rare classes.

    Attributes:
        onset: what crosses.
        step: optimizer step, None where nothing is trained.
        frequency: frequency q of one rare class, ascending, shape (F,).
        predicted: N* of the theory, shape (F,).
        value: measured N*, NaN where no seed has one, shape (F,).
        low: lower end of its 95% interval, NaN where a seed has no crossover among the sizes measured, shape (F,).
        high: upper end, shape (F,).
        reached: how many seeds have a crossover among the sizes measured, shape (F,).
        already: how many are past the level at every size measured, shape (F,).
        seeds: number of seeds.
        exponent: slope of ln N* on ln q and the ends of its interval; NaN where fewer than three frequencies have one.
        predicted_exponent: the slope of the predicted N*.
    """

    onset: Onset
    step: int | None
    frequency: Floats
    predicted: Floats
    value: Floats
    low: Floats
    high: Floats
    reached: NDArray[np.int64]
    already: NDArray[np.int64]
    seeds: int
    exponent: Interval
    predicted_exponent: float


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
    sizes, excess = require_reals("n", n), _with_gaps("excess", excess)
    if sizes.ndim != 1 or len(sizes) < 2 or sizes[0] <= 0 or (np.diff(sizes) <= 0).any():
        raise ValueError(f"`n` must be at least two ascending positive sizes; got {sizes.tolist()}")
    if excess.ndim < 1 or excess.shape[-1] != len(sizes):
        raise ValueError(f"`excess` must have one number for each of {len(sizes)} sizes; got shape {excess.shape}")
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


def _with_gaps(name: str, value: ArrayLike) -> Floats:
    """Real numbers as a float64 array, where NaN stands for a missing one."""
    try:
        array = np.asarray(value)
    except ValueError as ragged:
        raise ValueError(f"`{name}` must be real numbers; got {value!r}") from ragged
    if array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` must be real numbers; got {value!r}")
    return array.astype(np.float64)


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
    q, n = require_positive("q", q), _with_gaps("n", n)
    if q.ndim != 1 or n.ndim < 1 or n.shape[-1] != len(q):
        raise ValueError(f"`q` must have shape (F,) and `n` (..., F); got {q.shape} and {n.shape}")
    kept = np.isfinite(n) & (n > 0)
    x, y = np.broadcast_to(np.log(q), n.shape), np.log(np.where(kept, n, 1.0))
    count = np.maximum(kept.sum(-1, keepdims=True), 1)
    x = np.where(kept, x - (x * kept).sum(-1, keepdims=True) / count, 0.0)
    spread = (x**2).sum(-1)
    enough = (kept.sum(-1) >= FEWEST_POINTS) & (spread > 1e-24)
    return np.where(enough, (x * y).sum(-1) / np.where(enough, spread, 1.0), np.nan)


def estimate_crossings(
    table: pd.DataFrame, *, step: int | None = None, bootstrap_seed: int = 0
) -> list[CrossingEstimate]:
    """Crossovers of every onset in a table of the crossover study.

    Label counts: N* is where the mean over training sets crosses; its interval takes the 2.5% and 97.5% quantiles over
    2,000 resamplings of the training sets. Transformers: each seed has an N*; their geometric mean, with Student's
    interval of the mean of ln N*. Exponents likewise: one for each resampling, or for each seed.

    Args:
        table: rows of the schema, as the study writes them.
        step: optimizer step of the Transformers; the last one when None.
        bootstrap_seed: seed of the resampling.

    Returns:
        One estimate for each member of `ONSETS` that the table has rows for.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"`table` must be a table of the schema; got {table!r}")
    require_integer("bootstrap_seed", bootstrap_seed)
    if step is not None:
        require_integer("step", step)
    theory = table[table["system"] == "theory"]
    frequency = theory[theory["measure"] == "query_frequency"].set_index("setting")["value"].sort_values()
    steps = table["step"].dropna()
    at = (int(steps.max()) if len(steps) else None) if step is None else step
    estimates = []
    for onset in ONSETS:
        exact = theory[(theory["measure"] == onset.predicted) & (theory["kind"] == "exact")].set_index("setting")[
            "value"
        ]
        curves = _curves(table, onset, at)
        if curves:
            q, predicted = (column[list(curves)].to_numpy(np.float64) for column in (frequency, exact))
            order = np.argsort(q)
            kept = [list(curves.values())[place] for place in order]
            estimates.append(_estimate(onset, at, q[order], predicted[order], kept, bootstrap_seed))
    return estimates


def _curves(table: pd.DataFrame, onset: Onset, step: int | None) -> dict[str, tuple[Floats, Floats]]:
    """Sizes and excess over the level, (M,) and (seeds, M), for each setting."""
    distribution, context, measure = onset.where
    held = table[
        (table["distribution"] == distribution) & (table["context"] == context) & (table["kind"] == "measured")
    ]
    mine = held[(held["system"] == onset.system) & (held["measure"] == measure)]
    if onset.system == "transformer":
        mine = mine[mine["step"] == step]
    copied = held[(held["system"] == "in_context") & (held["measure"] == onset.level)]
    curves = {}
    for setting, rows in mine.groupby("setting", sort=False):
        by_seed = rows.pivot(index="seed", columns="n", values="value")
        values, level = by_seed.to_numpy(np.float64), onset.level
        if isinstance(level, str):
            by_copying = copied[copied["setting"] == setting].set_index("seed")["value"]
            values = values - by_copying.loc[by_seed.index].to_numpy(np.float64)[:, None]
        else:
            values = values - level if onset.falling else level - values
        curves[str(setting)] = by_seed.columns.to_numpy(np.float64), values
    return curves


def _estimate(
    onset: Onset, step: int | None, q: Floats, predicted: Floats, curves: list[tuple[Floats, Floats]], seed: int
) -> CrossingEstimate:
    n_seeds = min(len(excess) for _, excess in curves)
    curves = [(n, excess[:n_seeds]) for n, excess in curves]
    trained = onset.system == "transformer"
    (value, low, high, *counts), exponent = _over_seeds(q, curves) if trained else _resampled(q, curves, seed)
    reached, already = (count.astype(np.int64) for count in counts)
    return CrossingEstimate(
        onset, step if trained else None, q, predicted, value, low, high, reached, already, n_seeds, exponent,
        float(power_law_exponent(q, predicted)),
    )  # fmt: skip


def _over_seeds(q: Floats, curves: list[tuple[Floats, Floats]]) -> tuple[Floats, Interval]:
    """Crossovers of seeds: geometric mean, interval, seeds that cross and that already have, (5, F); the exponent."""
    found = np.stack([crossing(n, excess) for n, excess in curves], axis=-1)
    crosses = np.isfinite(found) & (found > 0)
    ends = np.array([_student(np.log(column[kept])) for column, kept in zip(found.T, crosses.T, strict=True)]).T
    value, low, high = np.exp(ends)
    low, high = (np.where(crosses.all(0), end, np.nan) for end in (low, high))
    slopes = power_law_exponent(q, found)
    return np.stack([value, low, high, crosses.sum(0), (found == 0).sum(0)]), _student(slopes[np.isfinite(slopes)])


def _resampled(q: Floats, curves: list[tuple[Floats, Floats]], seed: int) -> tuple[Floats, Interval]:
    """Crossover of the mean curve, bootstrap interval, all seeds or none in both counts, (5, F); the exponent."""
    n_seeds = len(curves[0][1])
    weights = np.random.default_rng(seed).multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), N_BOOTSTRAP) / n_seeds
    value = np.array([float(crossing(n, excess.mean(0))) for n, excess in curves])
    draws = np.stack([crossing(n, weights @ excess) for n, excess in curves], axis=-1)
    low, high = _quantiles(draws)
    crosses = np.isfinite(value) & (value > 0)
    counts = n_seeds * np.array([crosses, value == 0])
    value = np.where(crosses, value, np.nan)
    slopes = power_law_exponent(q, draws)
    slope_low, slope_high = _quantiles(slopes[np.isfinite(slopes)]) if np.isfinite(slopes).any() else (np.nan, np.nan)
    exponent = float(power_law_exponent(q, value)), float(slope_low), float(slope_high)
    return np.stack([value, low, high, *counts]), exponent


def _quantiles(draws: Floats) -> Floats:
    """2.5% and 97.5% quantiles over the first axis; draws themselves, since some may be infinite."""
    return np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0, method="inverted_cdf")


def _student(values: Floats) -> Interval:
    """Mean and Student's interval; NaN ends for a single value, NaN throughout for none."""
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, np.nan, np.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
