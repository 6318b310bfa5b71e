"""When each model goes over from G to M, measured and predicted, and how that time grows with task diversity."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from gating.evaluation.crossing import crossing, power_law_exponent
from gating.gates.posterior import PosteriorParameters
from gating.gates.posterior_cells import PosteriorCells
from gating.results.bootstrap import cluster_bootstrap, percentile_interval
from gating.results.intervals import geometric_mean_interval
from gating.results.query import select
from gating.studies.strategies.cells import StudyCells
from gating.studies.strategies.config import StrategiesConfig
from theory.validation import Floats

__all__ = ["diversity_threshold", "measured_transitions", "times_over_seeds", "transience", "transition_rows"]

Row = dict[str, Any]

RESAMPLES = 1000


def measured_transitions(cells: StudyCells) -> Floats:
    """Step from which each run stays nearer to M than to G on sequences of training tasks, (runs,).

    Interpolated between checkpoints in the logarithm of the step, from the first that M and G describe on: 0 for a run
    that is nearer to M there already, infinite for one that is not by the end, NaN for one that is
    described at fewer than two checkpoints.
    """
    found = np.full(len(cells.runs), np.nan)
    relative = cells.relative["ibd"]
    for run in range(len(cells.runs)):
        inside = cells.described & (cells.run == run) & np.isfinite(relative)
        if inside.sum() >= 2:
            found[run] = crossing(cells.trained.steps[inside], 0.5 - relative[inside])
    return found


def transience(cells: StudyCells, run: int) -> float:
    """How far a model has gone from G since it was nearest to it, on unseen tasks: a loss of what it could once do.

    Over the checkpoints that M and G describe, since an untrained model may lie nearer to G and can do nothing.
    """
    relative = cells.relative["oobd"]
    mine = relative[cells.described & (cells.run == run) & np.isfinite(relative)]
    return float(mine[-1] - mine.min()) if len(mine) else float("nan")


def diversity_threshold(n_tasks: Floats, weight: Floats) -> float:
    """Largest task diversity D at which M has at least half the weight, interpolated in ln D.

    Args:
        n_tasks: D, ascending, (n,).
        weight: weight of M, or relative distance, at each D, (n,).

    Returns:
        0 where M has less at every D, infinity where it has half or more at the largest.

    Example:
        >>> round(diversity_threshold(np.array([4.0, 16.0, 64.0]), np.array([1.0, 0.75, 0.25])), 6)
        32.0
    """
    if weight[-1] >= 0.5:
        return float("inf")
    last = np.flatnonzero(weight >= 0.5)
    if not len(last):
        return 0.0
    k = last[-1]
    share = (weight[k] - 0.5) / (weight[k] - weight[k + 1])
    return float(np.exp(np.log(n_tasks[k]) + share * np.log(n_tasks[k + 1] / n_tasks[k])))


def transition_rows(
    config: StrategiesConfig, cells: StudyCells, played: Sequence[PosteriorParameters]
) -> Iterator[Row]:
    """Transition time and transience of each run; exponents of the times in D, and task-diversity thresholds.

    Args:
        config: settings of the study.
        cells: all cells.
        played: fitted parameters of the posterior, and then those of its bootstrap, which give the intervals of what is
            predicted.
    """
    runs = cells.trained.select(np.searchsorted(cells.run, np.arange(len(cells.runs))))
    measured = measured_transitions(cells)
    predicted = np.stack([p.transition_time(runs.loss_gap, runs.complexity_m, runs.complexity_g) for p in played])
    for k, replica in enumerate(config.replicas):
        place = {"n_tasks": replica.n_tasks, "mlp_factor": replica.mlp_factor, "seed": replica.seed}
        time = {**place, "distribution": "ibd", "measure": "transition_time"}
        yield {**time, "system": "transformer", "kind": "measured", "value": measured[k]}
        yield {**time, "system": "posterior", "kind": "predicted", **_predicted(predicted[:, k])}
        yield {**place, "system": "transformer", "kind": "measured", "measure": "transience", "distribution": "oobd",
               "value": transience(cells, k)}  # fmt: skip
    for factor in config.mlp_factors:
        yield from _exponent_rows(runs, factor, measured, predicted)
        yield from _threshold_rows(config, cells, factor, played)


def _exponent_rows(runs: PosteriorCells, factor: float, measured: Floats, predicted: Floats) -> Iterator[Row]:
    """Slopes of ln N* on ln D over the runs of one width whose transition was seen; `group` says which.

    Measured: interval by resampling those runs. Predicted: over the draws of the parameters, once for the same runs
    and once for all.
    """
    place = {"distribution": "ibd", "measure": "transition_exponent", "mlp_factor": factor}
    every, seen = (
        np.flatnonzero((runs.width == factor) & np.isfinite(times) & (times > 0)) for times in (predicted[0], measured)
    )
    found: Row = {"value": np.nan}
    if len(seen):
        slope = partial(_slope, runs.n_tasks[seen], measured[seen])
        found = _ends(cluster_bootstrap(slope, seen, n_resamples=RESAMPLES, seed=0)[:3])
    yield {**place, "system": "transformer", "group": "seen", "kind": "measured", **found}
    for group, chosen in (("seen", seen), ("all", every)):
        slopes = [_slope(runs.n_tasks, times, chosen) for times in predicted]
        yield {**place, "system": "posterior", "group": group, "kind": "predicted", **_predicted(slopes)}


def _slope(n_tasks: Floats, times: Floats, chosen: NDArray[np.int64]) -> float:
    if len(np.unique(n_tasks[chosen])) < 3:
        return float("nan")
    return float(power_law_exponent(n_tasks[chosen], times[chosen]))


def _threshold_rows(
    config: StrategiesConfig, cells: StudyCells, factor: float, played: Sequence[PosteriorParameters]
) -> Iterator[Row]:
    """Task-diversity threshold at the last checkpoint: of each seed, measured; of the mean over seeds, predicted."""
    last = (cells.checkpoint == cells.checkpoint.max()) & (cells.trained.width == factor)
    diversities = np.array(config.n_tasks, dtype=np.float64)
    place = {"distribution": "ibd", "measure": "diversity_threshold", "mlp_factor": factor,
             "step": int(cells.trained.steps.max())}  # fmt: skip
    for seed in sorted({replica.seed for replica in config.replicas}):
        relative = cells.relative["ibd"][last & (cells.trained.seed == seed)]
        value = diversity_threshold(diversities, np.nan_to_num(relative))
        yield {**place, "system": "transformer", "kind": "measured", "seed": seed, "value": value}
    odds = [cells.trained.select(last).log_odds(p).reshape(len(diversities), config.n_seeds).mean(1) for p in played]
    found = [diversity_threshold(diversities, expit(of_each)) for of_each in odds]
    yield {**place, "system": "posterior", "kind": "predicted", **_predicted(found)}


def _predicted(values: ArrayLike) -> Row:
    """What the fitted parameters predict, the first of the values, with the interval of what the drawn ones do."""
    first, *drawn = np.asarray(values, dtype=np.float64)
    return _ends((first, *percentile_interval(drawn)))


def _ends(found: Iterable[Any]) -> Row:
    return dict(zip(("value", "low", "high"), map(float, found), strict=True))


def times_over_seeds(table: pd.DataFrame) -> Iterator[Row]:
    """Answers: transition times of each width and D over seeds, and how many seeds go over, or were there already.

    Measured: geometric mean over the seeds whose transition was seen, with its interval where it was in all. Predicted:
    geometric means of the times and of the ends of their intervals.

    Args:
        table: rows of the study.
    """
    keys = ["system", "kind", "mlp_factor", "n_tasks"]
    for values, rows in select(table, {"measure": "transition_time"}).groupby(keys, sort=False):
        place = {**dict(zip(keys, values, strict=True)), "distribution": "ibd"}
        times = rows["value"].to_numpy(np.float64)
        if place["kind"] == "measured":
            found = geometric_mean_interval(times)[:3]
            yield {**place, "measure": "seeds_over", "value": np.sum(np.isfinite(times) & (times > 0))}
            yield {**place, "measure": "seeds_over_at_once", "value": np.sum(times == 0)}
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                found = np.exp(np.log(rows[["value", "low", "high"]].to_numpy(np.float64)).mean(0))
        yield {**place, "measure": "transition_time", **_ends(found)}
