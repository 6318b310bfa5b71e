"""How well gates predict what Transformers answer: in cells that the fit has seen, and in held-out ones."""

from collections.abc import Iterator
from functools import partial
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
from gating.results.bootstrap import cluster_bootstrap
from gating.studies.strategies.cells import GROUPS, StudyCells
from gating.studies.strategies.gates import PlayedGate
from theory.validation import Floats

__all__ = ["agreement_rows", "cell_measures"]

Row = dict[str, Any]

FEWEST_RUNS = 5
"""Fewest runs that an interval is made from."""

OUTPUT_MEASURES = {"kl": (total_variation, rank_correlation, argmax_agreement), "squared": (r_squared,)}
"""What is measured between predicted and actual outputs of a cell."""


def cell_measures(cells: StudyCells, gate: PlayedGate, kind: str) -> dict[str, Floats]:
    """Agreement of a gate's mixture with the Transformer's outputs in every cell, (c,) each.

    Args:
        cells: all cells.
        gate: the gate.
        kind: kind of test sequences.

    Returns:
        ``weight`` (of M, mean over rows), ``discrepancy`` (KL divergence in nats, or squared error), and the output
        measures of the distance.
    """
    found: list[dict[str, Tensor]] = []
    for number, run in enumerate(cells.runs):
        answers = run.answers[kind]
        before = torch.from_numpy(gate.log_odds[cells.run == number])
        odds = before.unsqueeze(-1) + gate.kappa * answers.evidence
        predicted = blend(odds, answers.m, answers.g, distance=cells.distance)
        actual = answers.transformer.double()
        apart = actual.exp() * (actual - predicted) if cells.distance == "kl" else (actual - predicted).square()
        measures = {measure.__name__: measure(predicted, actual) for measure in OUTPUT_MEASURES[cells.distance]}
        found.append({"weight": odds.sigmoid().mean(-1), "discrepancy": apart.sum(-1).mean(-1), **measures})
    return {name: torch.cat([of_run[name] for of_run in found]).numpy() for name in found[0]}


def agreement_rows(cells: StudyCells, gates: list[PlayedGate], *, n_resamples: int, seed: int) -> Iterator[Row]:
    """Rows of the result table: each gate's agreement, by kind of test sequences and by what the fit has seen.

    ``correlation`` is Pearson's, over cells, between the gate's weight of M and the relative distance; the other
    measures are means over cells. Intervals are percentiles over runs drawn with replacement, from five runs on; the
    fitted gate is held fixed in them.
    """
    for gate in gates:
        for kind, relative in cells.relative.items():
            values = cell_measures(cells, gate, kind)
            weights = values.pop("weight")
            for group in GROUPS:
                inside = cells.described & (cells.group == group)
                if not inside.any():
                    continue
                compared = partial(_agreement, weights[inside], relative[inside], [v[inside] for v in values.values()])
                runs = cells.run[inside]
                found = cluster_bootstrap(compared, runs, n_resamples=n_resamples, seed=seed, fewest=FEWEST_RUNS)
                place = {"system": gate.name, "distribution": kind, "group": group, "kind": "measured"}
                for name, value, low, high in zip(("correlation", *values), *found[:3], strict=True):
                    yield {**place, "measure": name, "value": value, "low": low, "high": high}


def _agreement(weights: Floats, relative: Floats, values: list[Floats], rows: NDArray[np.int64]) -> list[float]:
    """Correlation, and the mean of each measure, over the cells of one resample."""
    return [correlation(weights[rows], relative[rows]), *(_mean(value[rows]) for value in values)]


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
