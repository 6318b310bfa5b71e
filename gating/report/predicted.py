"""Certified phases and predicted crossovers N* of the study `compare`, beside where its measured curves cross."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gating.evaluation.crossing import crossing
from gating.report.figures import Mark, Settings
from gating.report.names import GROUPS, MEASURES, system_of
from gating.report.query import at_last_step, select, sizes
from gating.report.tables import Block, TextTable, last_step_blocks, whole
from theory.crossover import Crossover, crossover
from theory.distribution import ClassMixture
from theory.phases import ICL, IWL, UNDECIDED, Comparison, risk_bounds

__all__ = ["compare_blocks", "crossover_marks"]

IN_WEIGHT = ("tabular", "in_weight")
GATED = ("transformer", "stylized", "stylized_frozen")

LOSSES = ("error", "log_loss")
PHASE_WORDS = {ICL: "context", IWL: "weights", UNDECIDED: "undecided"}
PHASES_TITLE = (
    "Which the bounds prove better, contexts as trained: copying than every in-weight predictor (context), or label"
    " counts than copying (weights)"
)
RISKS_TITLE = "N from which answering from weights is at least as good as h, as trained"

_crossover = lru_cache(crossover)  # captions, figures and tables ask for the same ones

# Sizes, and what a curve exceeds its level by at each.
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def compare_blocks(summary: pd.DataFrame, settings: Settings) -> list[Block]:
    """Phases and crossovers, where the settings describe the data, then the results at the last step for each N."""
    if "distribution" not in settings:
        return last_step_blocks(summary, settings)
    last = select(at_last_step(summary), {"kind": "measured"})
    gates = ("N from which the effective gate stays above 1/2 (OOBD, relevant)", _gate_crossovers(last))
    try:
        phases = Block("Certified phases", ((PHASES_TITLE, _phases(sizes(summary), settings)),))
        crossovers = Block("Crossovers N*, predicted and measured", ((RISKS_TITLE, _risks(last, settings)), gates))
    except ValueError as refusal:
        phases = Block(f"Certified phases and predicted crossovers are left out: {refusal}", ())
        crossovers = Block("Crossovers N*, measured", (gates,))
    return [phases, crossovers, *last_step_blocks(summary, settings)]


def crossover_marks(measure: str) -> Callable[[Settings], tuple[Mark, ...]]:
    """Lines at the predicted crossover of each group, contexts as trained; at its bounds where it is not exact.

    None where the settings do not describe the data, or theory refuses them.

    Args:
        measure: ``error`` or ``log_loss``.
    """

    def marks(settings: Settings) -> tuple[Mark, ...]:
        try:
            found = _predicted(measure, settings) if "distribution" in settings else {}
        except ValueError:
            found = {}
        return tuple(mark for group, at in found.items() for mark in _marks(at, group, MEASURES[measure]))

    return marks


def _marks(found: Crossover, group: str, loss: str) -> list[Mark]:
    where = {"distribution": "ibd", "context": "as_trained", "group": group}
    if not math.isnan(found.exact):
        return [Mark(found.exact, f"predicted crossover N*, {loss}", where)]
    name = f"bounds of the predicted crossover N*, {loss}"
    return [Mark(at, name, where, ":") for at in (found.earliest, found.latest)]


def _compared(measure: str, settings: Settings) -> tuple[ClassMixture, Comparison]:
    compare = Comparison(measure, "as_trained", covered=bool(settings["cover_classes"]))
    return ClassMixture(**settings["distribution"]), compare


def _predicted(measure: str, settings: Settings) -> dict[str, Crossover]:
    """Crossovers of the groups that have classes."""
    spec, compare = _compared(measure, settings)
    return {group: _crossover(spec, group, compare) for group in ("high", "low") if len(spec.group(group))}


def _phases(found: list[int], settings: Settings) -> TextTable:
    rows = []
    for measure in LOSSES:
        spec, compare = _compared(measure, settings)
        bounds = risk_bounds([spec], found, compare)
        for group in (name for name in ("high", "low") if name in bounds):
            words = (PHASE_WORDS[int(phase)] for phase in bounds[group].phases[0])
            rows.append((f"{MEASURES[measure]}, {GROUPS[group]}", *words))
    return TextTable(("loss and group", *(f"N = {n:,}" for n in found)), tuple(rows))


def _risks(last: pd.DataFrame, settings: Settings) -> TextTable:
    rows = []
    for measure in LOSSES:
        for group, found in _predicted(measure, settings).items():
            exact = whole(found.exact) if not math.isnan(found.exact) else _range(found.earliest, found.latest)
            measured = [_met(_against_copying(last, system, measure, group)) for system in IN_WEIGHT]
            rows.append((MEASURES[measure], GROUPS[group], exact, *measured))
    names = (f"measured: {system_of(system).name}" for system in IN_WEIGHT)
    return TextTable(("loss", "group", "predicted", *names), tuple(rows))


def _gate_crossovers(last: pd.DataFrame) -> TextTable:
    held = select(last, {"measure": "effective_gate", "distribution": "oobd", "context": "relevant"})
    rows = []
    for system in GATED:
        curves = [_curve(select(held, {"system": system, "group": group})) for group in ("high", "low")]
        if any(len(n) for n, _ in curves):
            rows.append((system_of(system).name, *(_met((n, 0.5 - gate)) for n, gate in curves)))
    return TextTable(("system", GROUPS["high"], GROUPS["low"]), tuple(rows))


def _against_copying(last: pd.DataFrame, system: str, measure: str, group: str) -> Curve:
    """Risk of an in-weight predictor minus that of h, at the sizes where both were measured."""
    where = {"measure": f"expected_{measure}", "distribution": "ibd", "context": "as_trained", "group": group}
    risks, copied = (select(last, {**where, "system": key}).set_index("n")["value"] for key in (system, "in_context"))
    return _curve((risks - copied).dropna().rename("value").reset_index())


def _curve(rows: pd.DataFrame) -> Curve:
    ordered = rows.sort_values("n")
    return ordered["n"].to_numpy(np.float64), ordered["value"].to_numpy(np.float64)


def _met(curve: Curve) -> str:
    """Where an excess falls to zero for good, interpolated on ln N, in words where that is outside the sizes."""
    n, excess = curve
    if len(n) < 2:
        return "not measured"
    found = float(crossing(n, excess))
    if math.isinf(found):
        return "not reached"
    return whole(found) if found else f"before {whole(n[0])}"


def _range(earliest: float, latest: float) -> str:
    """The bounds of an N* that is not known exactly."""
    return f"{whole(earliest)} to {whole(latest)}"
