"""What the study finds: the N* of every onset, how it grows as a class gets rarer, and what theory says of the same."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gating.evaluation.crossing import crossing, power_law_exponent
from gating.results.bootstrap import cluster_bootstrap
from gating.results.intervals import geometric_mean_interval, mean_interval
from gating.results.query import last_step, select
from gating.studies.crossover.measure import LEVEL
from gating.studies.level import FROM_INPUTS
from theory.validation import Floats

__all__ = ["ONSETS", "Onset", "answer_rows", "by_onset", "frequencies"]

Curve = tuple[Floats, Floats]
"""Sizes N, shape (M,), and what each seed exceeds the level by, (S, M)."""
Row = dict[str, Any]

RESAMPLES = 2000


class Onset(NamedTuple):
    """A curve over N that falls, or rises, to a level for good at N*.

    Args:
        key: what its measures end with: ``crossover_gate`` is the N* of the gate, ``exponent_gate`` its slope.
        system: system of the curve's rows.
        where: distribution, context and measure of its rows.
        level: the level; None where it is the risk of copying, by the same measure.
        falling: False for a curve that rises to its level.
    """

    key: str
    system: str
    where: tuple[str, str, str]
    level: float | None = LEVEL
    falling: bool = True


ONSETS = (
    Onset("error", "tabular", ("ibd", "as_trained", "expected_error"), None),
    Onset("log_loss", "tabular", ("ibd", "as_trained", "expected_log_loss"), None),
    Onset("gate", "transformer", ("oobd", "relevant", "effective_gate"), falling=False),
    Onset("error_level", "transformer", ("ibd", "irrelevant", "error")),
)
"""The crossovers that are measured; theory predicts an N* where it has rows of the same measure, so none of a gate."""

CLASS_TOLD = ("theory", "tabular")
"""Systems of predicted N* that measured ones are divided by: they know the class of each query."""

PARTS = {
    "predicted": ("crossover", "exact"), "measured": ("crossover", "measured"),
    "ratio": ("crossover_ratio", "measured"), "stylized": ("crossover", "predicted"),
    "stylized ratio": ("crossover_ratio", "predicted"), "predicted slope": ("exponent", "exact"),
    "slope": ("exponent", "measured"), "slope ratio": ("exponent_ratio", "measured"),
    "stylized slope": ("exponent", "predicted"),
}  # fmt: skip
"""Measure, without the onset's key, and kind of what is shown of an onset."""


def frequencies(table: pd.DataFrame) -> pd.Series:
    """Frequency q of one rare class by `p_high`, ascending."""
    rows = select(table, {"measure": "query_frequency"}).reindex(columns=["p_high", "value"])
    return rows.set_index("p_high")["value"].sort_values()


def by_onset(table: pd.DataFrame) -> dict[Onset, dict[str, pd.DataFrame]]:
    """The `PARTS` of each onset that was measured, from the answers at the last step and the rows of theory.

    Each has columns ``value``, ``low`` and ``high``, missing where there is nothing; slopes have one row, the others
    one for each frequency ``q``, ascending.
    """
    last = last_step(table[table["answer"] | (table["kind"] == "exact")])
    last = last.reindex(columns=[*last, *{"p_high", "reached", "already", "seeds"} - {*last}])
    q = frequencies(last)
    told, found = last[~last["system"].isin(FROM_INPUTS)], {}
    for onset in ONSETS:
        parts = {part: select(told, {"measure": f"{measure}_{onset.key}", "kind": kind})
                 for part, (measure, kind) in PARTS.items()}  # fmt: skip
        noisy = {"measure": f"crossover_{onset.key}", "kind": "exact"}
        parts |= {system: select(last, {**noisy, "system": system}) for system in FROM_INPUTS}
        parts = {part: rows.set_index("p_high") for part, rows in parts.items()}
        places = [p_high for p_high in q.index if p_high in parts["measured"].index]
        if places:
            found[onset] = {part: rows.reindex([np.nan] if "slope" in part else places).assign(q=q)
                            for part, rows in parts.items()}  # fmt: skip
    return found


def answer_rows(table: pd.DataFrame) -> Iterator[Row]:
    """N* of every onset, `p_high` and checkpoint, and slopes of ln N* on ln q; each over the predicted one, if any.

    Label counts: N* is where the mean over training sets crosses, all seeds or none; intervals are over 2,000
    resamplings of the training sets. Transformers: each seed has an N*; their geometric mean, with an interval where
    every seed crosses. Slopes likewise: one for each resampling, or for each seed; no row where fewer than three
    frequencies have an N*.

    Args:
        table: rows of the study, measured ones and those of theory.
    """
    theory = table[table["kind"] == "exact"]
    frequency = select(theory, {"measure": "query_frequency"}).set_index("p_high")["value"]
    for onset in ONSETS:
        rows = select(theory, {"measure": f"crossover_{onset.key}", "system": CLASS_TOLD}).set_index("p_high")
        predicted = rows["value"].replace([0.0, np.inf], np.nan)  # none to divide by, and no point of a power law
        slope = float(power_law_exponent(frequency[rows.index], predicted)) if len(rows) else np.nan
        place = {"study": "crossover", "distribution": onset.where[0], "context": onset.where[1], "group": "low",
                 "level": onset.level}  # fmt: skip
        exact = {**place, "kind": "exact", "system": rows["system"].max()}
        yield from _row(exact, f"exponent_{onset.key}", np.array([slope, np.nan, np.nan]))
        for step, curves in _curves(onset, table):
            mine = {**place, "kind": "measured", "system": onset.system, "step": step}
            estimate = _resampled if onset.level is None else _over_seeds
            ends, reached, already = estimate(frequency[[*curves]].to_numpy(), list(curves.values()))
            for k, (p_high, (_, excess)) in enumerate(curves.items()):
                here = {**mine, "p_high": p_high}
                counts = {"reached": reached[k], "already": already[k], "seeds": len(excess)}
                yield from _row(here, f"crossover_{onset.key}", ends[k], counts)
                yield from _row(here, f"crossover_ratio_{onset.key}", ends[k] / predicted.get(p_high, np.nan))
            yield from _row(mine, f"exponent_{onset.key}", ends[-1])
            yield from _row(mine, f"exponent_ratio_{onset.key}", ends[-1] / (slope or np.nan))
        if onset.system == "transformer":
            yield from _stylized_rows(onset, table, frequency, place)


def _stylized_rows(onset: Onset, table: pd.DataFrame, frequency: pd.Series, place: Row) -> Iterator[Row]:
    """N* of the stylized models, trained on the same sequences for as many steps, as a prediction of the Transformers',
    and the Transformers' over it, seed by seed."""
    stylized_curves = dict(_curves(onset._replace(system="stylized"), table))
    for step, curves in _curves(onset, table):
        same = [p_high for p_high in curves if p_high in stylized_curves.get(step, {})]
        if not same:
            continue
        mine = {**place, "kind": "predicted", "system": "stylized", "step": step}
        theirs = [stylized_curves[step][p_high] for p_high in same]
        ends, reached, already = _over_seeds(frequency[same].to_numpy(), theirs)
        trained, stylized = _crossings([curves[p_high] for p_high in same]), _crossings(theirs)
        both = np.isfinite(trained) & np.isfinite(stylized) & (trained > 0) & (stylized > 0)
        ratios = geometric_mean_interval(np.where(both, trained / np.where(both, stylized, 1.0), np.inf).T)
        for k, p_high in enumerate(same):
            here = {**mine, "p_high": p_high}
            counts = {"reached": reached[k], "already": already[k], "seeds": len(theirs[k][1])}
            yield from _row(here, f"crossover_{onset.key}", ends[k], counts)
            yield from _row(here, f"crossover_ratio_{onset.key}", np.array([part[k] for part in ratios[:3]]))
        yield from _row(mine, f"exponent_{onset.key}", ends[-1])


def _row(place: Row, measure: str, found: Floats, counts: Row | None = None) -> Iterator[Row]:
    """A row of a value and its ends; none where there is neither a value nor counts of seeds."""
    value, *ends = found.tolist()
    if counts or not np.isnan(value):
        low, high = sorted(ends)  # a negative unit turns them
        yield {**place, "measure": measure, "value": value, "low": low, "high": high, **(counts or {})}


def _curves(onset: Onset, table: pd.DataFrame) -> Iterator[tuple[Any, dict[Any, Curve]]]:
    """The curves of each `p_high`, by checkpoint."""
    curve = dict(zip(("distribution", "context", "measure"), onset.where, strict=True)) | {"kind": "measured"}
    measured, copied = (select(table, {**curve, "system": system}) for system in (onset.system, "copying"))
    for step, rows in measured.groupby("step", dropna=False):
        curves: dict[Any, Curve] = {}
        for p_high, mine in rows.groupby("p_high"):
            by_seed = mine.pivot(index="seed", columns="n", values="value").reindex(sorted(rows["seed"].unique()))
            level: Any = onset.level
            if level is None:
                level = select(copied, {"p_high": p_high}).set_index("seed")["value"][by_seed.index].to_numpy()[:, None]
            excess = by_seed.to_numpy(np.float64) - level
            if by_seed.shape[1] > 1:
                curves[p_high] = by_seed.columns.to_numpy(np.float64), excess if onset.falling else -excess
        if curves:
            yield step, curves


def _crossings(curves: list[Curve]) -> Floats:
    """Crossovers of seeds, shape (S, F)."""
    return np.stack([crossing(n, excess) for n, excess in curves], axis=-1)


def _over_seeds(q: Floats, curves: list[Curve]) -> tuple[Floats, Any, Any]:
    """Crossovers of seeds: geometric mean and ends at each frequency, then of the exponent, (F + 1, 3); seeds that
    cross, (F,), and that already have."""
    found = _crossings(curves)
    sizes, slope = geometric_mean_interval(found.T), mean_interval(power_law_exponent(q, found))
    ends = np.stack([np.append(of_size, of_slope) for of_size, of_slope in zip(sizes[:3], slope[:3], strict=True)], -1)
    return ends, sizes.seeds, (found == 0).sum(0)


def _resampled(q: Floats, curves: list[Curve]) -> tuple[Floats, Any, Any]:
    """Crossovers of the mean curve, likewise: all seeds cross or none."""

    def statistic(shares: Floats) -> Floats:
        found = np.stack([crossing(n, shares @ excess) for n, excess in curves], axis=-1)
        return np.column_stack([found, power_law_exponent(q, found)])

    n_seeds = len(curves[0][1])
    found = cluster_bootstrap(statistic, range(n_seeds), n_resamples=RESAMPLES, seed=0, form="weights")
    ends, sizes = np.stack(found[:3], axis=-1), found.value[:-1]
    crosses = np.isfinite(sizes) & (sizes > 0)
    ends[:-1][~crosses] = np.nan
    return ends, n_seeds * crosses, n_seeds * (sizes == 0)
