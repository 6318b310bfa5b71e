"""Predicted crossovers N* of the study `compare` beside the N at which its measured curves cross."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gating.evaluation.crossing import crossing
from gating.report.figures import Settings
from gating.report.names import GROUPS, MEASURES, system_of
from gating.report.query import at_last_step, select
from gating.report.tables import Block, TextTable, last_step_blocks, whole
from theory.crossover import crossover
from theory.distribution import ClassMixture
from theory.phases import Comparison

__all__ = ["compare_blocks"]

IN_WEIGHT = ("tabular", "in_weight")
GATED = ("transformer", "stylized", "stylized_frozen")

# Sizes, and what a curve exceeds its level by at each.
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def compare_blocks(summary: pd.DataFrame, settings: Settings) -> list[Block]:
    """Crossovers, where the settings describe the data, then the results at the last step for each N."""
    if "distribution" not in settings:
        return last_step_blocks(summary, settings)
    last = select(at_last_step(summary), {"kind": "measured"})
    risks = (
        "N from which answering from weights is at least as good as h, as trained",
        _risk_crossovers(last, settings),
    )
    gates = ("N from which the effective gate stays above 1/2 (OOBD, relevant)", _gate_crossovers(last))
    block = Block("Crossovers N*, predicted and measured", (risks, gates))
    return [block, *last_step_blocks(summary, settings)]


def _risk_crossovers(last: pd.DataFrame, settings: Settings) -> TextTable:
    spec = ClassMixture(**settings["distribution"])
    rows = []
    for measure in ("error", "log_loss"):
        compare = Comparison(measure, "as_trained", covered=bool(settings["cover_classes"]))
        for group in (name for name in ("high", "low") if len(spec.group(name))):
            found = crossover(spec, group, compare)
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
