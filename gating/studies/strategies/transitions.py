"""When each model goes over from G to M, measured and predicted, and how that time grows with task diversity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from gating.evaluation.crossing import crossing, power_law_exponent
from gating.evaluation.table import setting_text
from gating.gates.posterior import PosteriorParameters
from gating.gates.posterior_cells import PosteriorCells
from gating.studies.strategies.cells import StudyCells
from gating.studies.strategies.config import StrategiesConfig

__all__ = ["diversity_threshold", "measured_transitions", "transience_rows", "transition_rows"]

Floats = NDArray[np.float64]
Row = dict[str, Any]

RESAMPLES = 1000


def measured_transitions(cells: StudyCells, relative: Floats) -> Floats:
    """Step from which each run stays nearer to M than to G, (runs,).

    Interpolated between checkpoints in the logarithm of the step, from the first that M and G describe on: 0 for a run
    that is nearer to M there already, infinite for one that is not by the end, NaN for one that is
    described at fewer than two checkpoints.
    """
    found = np.full(len(cells.runs), np.nan)
    for run in range(len(cells.runs)):
        inside = cells.described & (cells.run == run) & np.isfinite(relative)
        if inside.sum() >= 2:
            found[run] = crossing(cells.trained.steps[inside], 0.5 - relative[inside])
    return found


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
    config: StrategiesConfig,
    cells: StudyCells,
    relative: Floats,
    parameters: PosteriorParameters,
    draws: Sequence[PosteriorParameters],
) -> Iterator[Row]:
    """Transition times of each run, their exponents in D, and the task-diversity threshold at the last step.

    Args:
        config: settings of the study.
        cells: all cells.
        relative: relative distance of each cell on sequences of training tasks, (c,).
        parameters: fitted parameters of the posterior.
        draws: parameters of its bootstrap, which give the intervals of what is predicted.
    """
    first = np.searchsorted(cells.run, np.arange(len(cells.runs)))
    runs = cells.trained.select(first)
    measured = measured_transitions(cells, relative)
    predicted = _predicted(runs, parameters)
    drawn = np.stack([_predicted(runs, draw) for draw in draws])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0, method="nearest")
    for k, replica in enumerate(config.replicas):
        place = {"seed": replica.seed, "distribution": "ibd", "measure": "transition_time",
                 "setting": setting_text({"n_tasks": replica.n_tasks, "mlp_factor": replica.mlp_factor})}  # fmt: skip
        yield {**place, "system": "transformer", "kind": "measured", "value": measured[k]}
        yield {
            **place,
            "system": "posterior",
            "kind": "predicted",
            "value": predicted[k],
            "low": low[k],
            "high": high[k],
        }
    for factor in config.mlp_factors:
        yield from _exponent_rows(runs, factor, measured, predicted, drawn)
        yield from _threshold_rows(config, cells, relative, factor, parameters, draws)


def transience_rows(config: StrategiesConfig, cells: StudyCells, relative: Floats) -> Iterator[Row]:
    """How far each model has gone from G since it was nearest to it, on unseen tasks: a loss of what it could once do.

    Over the checkpoints that M and G describe, since an untrained model may lie nearer to G and can do nothing.

    Args:
        config: settings of the study.
        cells: all cells.
        relative: relative distance of each cell on sequences of unseen tasks, (c,).
    """
    for k, replica in enumerate(config.replicas):
        mine = relative[cells.described & (cells.run == k) & np.isfinite(relative)]
        yield {"system": "transformer", "kind": "measured", "measure": "transience", "distribution": "oobd",
               "seed": replica.seed, "value": mine[-1] - mine.min() if len(mine) else np.nan,
               "setting": setting_text({"n_tasks": replica.n_tasks, "mlp_factor": replica.mlp_factor})}  # fmt: skip


def _predicted(runs: PosteriorCells, parameters: PosteriorParameters) -> Floats:
    return parameters.transition_time(runs.loss_gap, runs.complexity_m, runs.complexity_g)


def _exponent_rows(
    runs: PosteriorCells, factor: float, measured: Floats, predicted: Floats, drawn: Floats
) -> Iterator[Row]:
    """Slopes of ln N* on ln D over the runs of one width whose transition was seen; `group` says which.

    Measured: interval by resampling those runs. Predicted: over the draws of the parameters, once for the same runs
    and once for all.
    """
    setting = setting_text({"mlp_factor": factor})
    place = {"distribution": "ibd", "measure": "transition_exponent", "setting": setting}
    every = np.flatnonzero((runs.width == factor) & np.isfinite(predicted) & (predicted > 0))
    seen = np.flatnonzero((runs.width == factor) & np.isfinite(measured) & (measured > 0))
    rng = np.random.default_rng(0)
    resampled = [seen[rng.integers(len(seen), size=len(seen))] for _ in range(RESAMPLES)] if len(seen) else []
    slopes = [_slope(runs.n_tasks, measured, chosen) for chosen in resampled]
    yield {**place, "system": "transformer", "group": "seen", "kind": "measured",
           "value": _slope(runs.n_tasks, measured, seen), **_quantiles(slopes)}  # fmt: skip
    for group, chosen in (("seen", seen), ("all", every)):
        slopes = [_slope(runs.n_tasks, draw, chosen) for draw in drawn]
        yield {**place, "system": "posterior", "group": group, "kind": "predicted",
               "value": _slope(runs.n_tasks, predicted, chosen), **_quantiles(slopes)}  # fmt: skip


def _slope(n_tasks: Floats, times: Floats, chosen: NDArray[np.int64]) -> float:
    if len(np.unique(n_tasks[chosen])) < 3:
        return float("nan")
    return float(power_law_exponent(n_tasks[chosen], times[chosen]))


def _threshold_rows(
    config: StrategiesConfig,
    cells: StudyCells,
    relative: Floats,
    factor: float,
    parameters: PosteriorParameters,
    draws: Sequence[PosteriorParameters],
) -> Iterator[Row]:
    """Task-diversity threshold at the last checkpoint: of each seed, measured; of the mean over seeds, predicted."""
    last = (cells.checkpoint == cells.checkpoint.max()) & (cells.trained.width == factor)
    diversities = np.array(config.n_tasks, dtype=np.float64)
    place = {"distribution": "ibd", "measure": "diversity_threshold", "setting": setting_text({"mlp_factor": factor}),
             "step": int(cells.trained.steps.max())}  # fmt: skip
    for seed in sorted({replica.seed for replica in config.replicas}):
        mine = last & (cells.trained.seed == seed)
        value = diversity_threshold(diversities, np.nan_to_num(relative[mine]))
        yield {**place, "system": "transformer", "kind": "measured", "seed": seed, "value": value}
    ends = cells.trained.select(last)

    def predicted(played: PosteriorParameters) -> float:
        odds = ends.log_odds(played).reshape(len(diversities), config.n_seeds).mean(1)
        return diversity_threshold(diversities, expit(odds))

    yield {**place, "system": "posterior", "kind": "predicted", "value": predicted(parameters),
           **_quantiles([predicted(draw) for draw in draws])}  # fmt: skip


def _quantiles(values: Sequence[float]) -> Row:
    """Ends of the percentile interval; missing where fewer than half of the values are numbers."""
    known = np.array([value for value in values if not np.isnan(value)])
    if len(known) < max(2, len(values) / 2):
        return {}
    low, high = np.quantile(known, [0.025, 0.975], method="nearest")
    return {"low": low, "high": high}
