"""What the study finds: predicted gates, where weights take over, and how far predictions are off."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from gating.evaluation.crossing import crossing
from gating.results.bootstrap import moment_bootstrap
from gating.results.intervals import mean_interval
from gating.results.query import select
from llm_finetune.handover.config import BASELINES, CLASSES, COPIED, LLM, READ, TEACHING
from llm_finetune.handover.curves import Points, curve_of, foretold, points_of, with_columns
from theory.handover import handover_error
from theory.validation import Floats

__all__ = ["answer_rows", "gate_errors", "systems_of"]

Row = dict[str, Any]
N_RESAMPLES = 500
SETTING = ["mixture", "answered", "exposure", "group"]
FEWEST = 3  # seeds, below which draws are too few to tell how far others differ
HALF = 0.5  # error of classes at which weights take over


def systems_of(table: pd.DataFrame) -> list[str]:
    """Systems that a table holds, in the order of the page."""
    return [system for system in (LLM, *CLASSES) if (table["system"] == system).any()]


def answer_rows(table: pd.DataFrame) -> Iterator[Row]:
    """Answers of every system.

    Args:
        table: rows of `llm_finetune.handover.runs.joined_rows`.
    """
    table = with_columns(table, SETTING)
    for system in systems_of(table):
        shared = {"study": "handover", "system": system, "answer": True}
        points = points_of(table, system)
        for rows in (_gates(points), _errors(points), _handovers(table, system, points), _differences(table, system)):
            for row in rows:
                yield {**shared, **{name: value for name, value in row.items() if not pd.isna(value)}}


def _gates(points: Points) -> Iterator[Row]:
    """The predicted gate of each point, a mean over seeds, and how many points have one."""
    everyone, counts = np.arange(len(points.seeds)), np.ones(len(points.memory_seeds))
    for teaching in TEACHING:
        found = foretold(points, teaching, everyone, counts)["handover"]
        known = np.isfinite(found).all(axis=0)
        for place, mean in zip(np.flatnonzero(known), found[:, known].mean(axis=0), strict=True):
            where = {str(name): value for name, value in points.where.iloc[place].items()}
            yield {**where, "measure": "effective_gate", "kind": "predicted", "teaching": teaching, "value": mean}
        share = {"measure": "gates_predicted", "kind": "exact", "teaching": teaching}
        yield {**share, "value": float(np.isfinite(found[np.isfinite(points.gates)]).mean())}


def gate_errors(points: Points, teaching: str, drawn: Any, counts: Floats) -> dict[str, float]:
    """Mean absolute error of the predicted gate and of the baselines, over the gates that all of them foretell.

    The baseline of other shares is left out where there is one share alone, or one seed. The constant is the median of
    these gates: none is nearer.

    Args:
        points: the gates.
        teaching: which rows teach the weights, one of `TEACHING`.
        drawn: places of the seeds that are looked at.
        counts: how often each seed of the memory-only run counts.

    Returns:
        Errors by name, `BASELINES` and ``handover``; empty where nothing is foretold.
    """
    gates, found = points.gates[drawn], foretold(points, teaching, drawn, counts)
    if not np.isfinite(found["other_share"]).any():
        del found["other_share"]
    common = np.isfinite(gates) & np.all([np.isfinite(values) for values in found.values()], axis=0)
    if not common.any():
        return {}
    found["constant"] = np.full(gates.shape, np.median(gates[common]))
    return {name: float(np.abs(values - gates)[common].mean()) for name, values in found.items()}


def _errors(points: Points) -> Iterator[Row]:
    """Errors, and those of the prediction less those of each baseline, with intervals for other seeds.

    Seeds of mixtures and of the memory-only run are drawn anew; where both have the same ones, together. With S seeds,
    the fewer of the two, the standard deviation of the draws is multiplied by sqrt(S / (S - 1)), since draws from S
    vary too little, and by Student's quantile. Where either has fewer than three there is no interval.
    """
    everyone, counts = np.arange(len(points.seeds)), np.ones(len(points.memory_seeds))
    for teaching in TEACHING:
        value = gate_errors(points, teaching, everyone, counts)
        found = [gate_errors(points, teaching, *draw) for draw in _resamples(points)]
        draws = pd.DataFrame(found, columns=[*value], dtype=float)
        for name, error in value.items():
            place = {"kind": "measured", "teaching": teaching, "predictor": name}
            yield {**place, "measure": "gate_error", "value": error, **_ends(points, error, draws[name], 0.0)}
            if name in BASELINES:
                less, difference = draws["handover"] - draws[name], value["handover"] - error
                ends = _ends(points, difference, less, -1.0)
                yield {**place, "measure": "gate_error_less", "value": difference, **ends}


def _resamples(points: Points) -> Iterator[tuple[Any, Floats]]:
    rng, n, m = np.random.default_rng(0), len(points.seeds), len(points.memory_seeds)
    same = {*points.seeds} == {*points.memory_seeds}
    for _ in range(N_RESAMPLES if min(n, m) >= FEWEST else 0):
        drawn = rng.integers(n, size=n)
        yield drawn, np.bincount(drawn if same else rng.integers(m, size=m), minlength=m).astype(np.float64)


def _ends(points: Points, value: float, draws: pd.Series, least: float) -> Row:
    if draws.notna().sum() < 2:
        return {}
    fewest = min(len(points.seeds), len(points.memory_seeds))
    margin = t.ppf(0.975, fewest - 1) * (fewest / (fewest - 1)) ** 0.5 * float(draws.std(ddof=1))
    return {"low": max(value - margin, least), "high": min(value + margin, 1.0)}


def _handovers(table: pd.DataFrame, system: str, points: Points) -> Iterator[Row]:
    """How often training has to ask until weights win where the context does not answer, measured and predicted.

    0 stands for from the first size on, infinity for no size measured.
    """
    measure = "margin" if system == LLM else "error"
    level = 0.0 if system == LLM else HALF
    rivals = select(table, {"system": system, "measure": measure, "context": COPIED[system][1]})
    missed = select(table, {"system": system, "measure": "memory_miss"})
    for _, setting in points.where.drop_duplicates(SETTING).iterrows():
        where = {name: setting[name] for name in SETTING}
        row = {**where, "measure": "handover_asked"}
        yield from _crossed({**row, "kind": "measured"}, _rows_at(rivals, where), level)
        of_memory = _rows_at(missed, {name: where[name] for name in ("exposure", "group")})
        p, part = float(setting["answered"]), float(setting["taught"] / setting["asked"])
        for teaching, share in zip(TEACHING, (1.0, part), strict=True):
            predicted = {**row, "kind": "predicted", "teaching": teaching}
            yield from _crossed(predicted, of_memory, float(handover_error(p)), share)


def _rows_at(rows: pd.DataFrame, where: Row) -> pd.DataFrame:
    for name, value in where.items():
        rows = rows[rows[name].isna() if pd.isna(value) else rows[name] == value]
    return rows


def _crossed(row: Row, rows: pd.DataFrame, level: float, share: float = 1.0) -> Iterator[Row]:
    """Where the mean curve of seeds falls to a level for good, with a bootstrap over seeds; in sizes over a share."""
    if rows.empty:
        return
    curve = curve_of(rows)
    whole = np.isfinite(curve.values).all(axis=0)
    if whole.sum() < 2:
        return
    asked = curve.asked[whole]

    def where(values: Floats) -> Floats:
        found = crossing(asked, values.mean(axis=1) - level)
        return np.divide(found, share) if share else np.full(found.shape, np.inf)

    found = moment_bootstrap(where, curve.values[:, whole], n_resamples=N_RESAMPLES, seed=0)
    yield {**row, **{name: float(getattr(found, name)) for name in ("value", "low", "high")}}


def _differences(table: pd.DataFrame, system: str) -> Iterator[Row]:
    """Of each share, the gate where the context does not answer less that where it does; 0 where it cannot tell."""
    gates = select(table, {"system": system, "measure": "effective_gate", "answer": False})
    keys = ["seed", "answered", "mixture", "exposure", "group", "n", "step", "asked"]
    sides = [select(gates, {"context": places[system][1]}) for places in (COPIED, READ)]
    without, given = (side.set_index(keys)["value"] for side in sides)
    moved = (without - given).dropna().groupby("answered").apply(lambda part: part.groupby("seed").mean())
    for share in moved.index.unique("answered") if len(moved) else ():
        found = mean_interval(moved.loc[share].to_numpy(float), low=-1, high=1)
        ends = {name: float(getattr(found, name)) for name in ("value", "low", "high")}
        yield {"measure": "gate_difference", "kind": "measured", "answered": float(share), **ends}
