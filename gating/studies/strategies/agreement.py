"""How well gates predict what Transformers answer: in cells that the fit has seen, and in held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gating.evaluation.agreement import (
    argmax_agreement,
    blend,
    correlation,
    r_squared,
    rank_correlation,
    total_variation,
)
from gating.evaluation.relative_distance import relative_distance
from gating.studies.strategies.cells import GROUPS, StudyCells
from gating.studies.strategies.gates import PlayedGate

__all__ = ["agreement_rows", "cell_measures", "relative_distances"]

Floats = NDArray[np.float64]
Row = dict[str, Any]

FEWEST_RUNS = 5
"""Fewest runs that an interval is made from."""

OUTPUT_MEASURES: dict[str, dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "kl": {
        "total_variation": total_variation,
        "rank_correlation": rank_correlation,
        "argmax_agreement": argmax_agreement,
    },
    "squared": {"r_squared": r_squared},
}
"""What is measured between predicted and actual outputs of a cell."""


def relative_distances(cells: StudyCells, distance: str) -> dict[str, Floats]:
    """Relative distance of each cell, 1 at M and 0 at G, by kind of test sequences, (c,) each."""
    return {
        kind: np.concatenate(
            [
                relative_distance(a.transformer, a.m, a.g, distance=distance).numpy()
                for a in (run.answers[kind] for run in cells.runs)
            ]
        )
        for kind in cells.kinds
    }


def cell_measures(cells: StudyCells, gate: PlayedGate, kind: str, distance: str) -> dict[str, Floats]:
    """Agreement of a gate's mixture with the Transformer's outputs in every cell, (c,) each.

    Args:
        cells: all cells.
        gate: the gate.
        kind: kind of test sequences.
        distance: ``kl`` or ``squared``.

    Returns:
        ``weight`` (of M, mean over rows), ``discrepancy`` (KL divergence in nats, or squared error), and the output
        measures of the distance.
    """
    found: dict[str, list[Tensor]] = {}
    for number, run in enumerate(cells.runs):
        answers = run.answers[kind]
        before = torch.from_numpy(gate.log_odds[cells.run == number])
        odds = before.unsqueeze(-1) + gate.kappa * answers.evidence
        predicted = blend(odds, answers.m, answers.g, loss=distance)
        actual = answers.transformer.double()
        found.setdefault("weight", []).append(odds.sigmoid().mean(-1))
        if distance == "kl":
            apart = (actual.exp() * (actual - predicted)).sum(-1).mean(-1)
        else:
            apart = (actual - predicted).square().sum(-1).mean(-1)
        found.setdefault("discrepancy", []).append(apart)
        for name, measure in OUTPUT_MEASURES[distance].items():
            found.setdefault(name, []).append(measure(predicted, actual))
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def agreement_rows(
    cells: StudyCells, gates: list[PlayedGate], distance: str, *, resamples: int, seed: int
) -> Iterator[Row]:
    """Rows of the result table: each gate's agreement, by kind of test sequences and by what the fit has seen.

    ``correlation`` is Pearson's, over cells, between the gate's weight of M and the relative distance; the other
    measures are means over cells. Intervals are percentiles over runs drawn with replacement, from five runs on; the
    fitted gate is held fixed in them.
    """
    measured = relative_distances(cells, distance)
    for gate in gates:
        for kind in cells.kinds:
            values = cell_measures(cells, gate, kind, distance)
            weights = values.pop("weight")
            for group in GROUPS:
                inside = cells.described & (cells.group == group)
                if not inside.any():
                    continue
                place = {"system": gate.name, "distribution": kind, "group": group, "kind": "measured"}
                draws = _resampled(cells.run[inside], resamples, seed)
                at = {"weight": weights[inside], "relative": measured[kind][inside]}
                yield {**place, "measure": "correlation", **_interval(at, _correlation, draws)}
                for name, value in values.items():
                    yield {**place, "measure": name, **_interval({"value": value[inside]}, _mean, draws)}


def _correlation(at: Mapping[str, Floats]) -> float:
    return correlation(at["weight"], at["relative"])


def _mean(at: Mapping[str, Floats]) -> float:
    return float(np.nanmean(at["value"])) if np.isfinite(at["value"]).any() else float("nan")


def _resampled(runs: NDArray[np.int64], resamples: int, seed: int) -> list[NDArray[np.int64]]:
    """Cells of runs drawn with replacement; none where runs are too few for the draws to tell anything."""
    rng, names = np.random.default_rng(seed), np.unique(runs)
    if len(names) < FEWEST_RUNS:
        return []
    members = [np.flatnonzero(runs == name) for name in names]
    drawn = rng.integers(len(names), size=(resamples, len(names)))
    return [np.concatenate([members[k] for k in draw]) for draw in drawn]


def _interval(
    at: Mapping[str, Floats], statistic: Callable[[Mapping[str, Floats]], float], draws: list[NDArray[np.int64]]
) -> Row:
    values = [statistic({name: part[draw] for name, part in at.items()}) for draw in draws]
    values = [value for value in values if np.isfinite(value)]
    low, high = np.quantile(values, [0.025, 0.975]) if values else (np.nan, np.nan)
    return {"value": statistic(at), "low": low, "high": high}
