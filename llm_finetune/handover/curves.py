"""Measured curves as arrays, and what they foretell of a gate: between sizes that were measured, and never beyond."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gating.results.query import select
from llm_finetune.handover.config import READ, TEACHING
from theory.handover import optimal_handover
from theory.validation import Floats

__all__ = ["Curve", "Points", "curve_of", "foretold", "interpolated", "other_seeds", "points_of",
           "with_columns"]  # fmt: skip

PLACE = ["mixture", "answered", "exposure", "group", "n", "step", "asked", "taught"]
CLOSE = 1e-9  # relative; below it two sizes are the same, computed in another order


class Curve(NamedTuple):
    """A curve of each seed over how often training asked.

    Attributes:
        asked: ascending, shape (M,).
        values: NaN where a seed was not measured, shape (S, M).
        seeds: shape (S,).
    """

    asked: Floats
    values: Floats
    seeds: NDArray[np.int64]


class Points(NamedTuple):
    """Gates of one system, and what is known of each without looking at it.

    Attributes:
        where: what was measured, a row for each of P points, in the columns of `PLACE`.
        gates: of each seed, NaN where it was not measured, shape (S, P).
        seeds: of the gates, shape (S,).
        misses: by what teaches the weights: what the memory-only run of each seed misses, shape (R, P).
        memory_seeds: of the memory-only run, shape (R,).
        others: gate of each seed at other shares, shape (S, P).
    """

    where: pd.DataFrame
    gates: Floats
    seeds: NDArray[np.int64]
    misses: dict[str, Floats]
    memory_seeds: NDArray[np.int64]
    others: Floats


def interpolated(at: Floats, curve: Curve) -> Floats:
    """Each seed's curve at other sizes, linear in ln n; NaN outside of what the seed was measured at.

    Args:
        at: sizes, shape (P,).
        curve: the curve of S seeds.

    Returns:
        Shape (S, P).

    Example:
        >>> curve = Curve(np.array([1.0, 100.0]), np.array([[1.0, 0.0]]), np.array([0]))
        >>> interpolated(np.array([0.5, 1.0, 10.0, 100.0, 200.0]), curve).tolist()
        [[nan, 1.0, 0.5, 0.0, nan]]
    """
    found = np.full((len(curve.values), len(at)), np.nan)
    for row, values in enumerate(curve.values):
        known = np.isfinite(values)
        if known.any():
            n = curve.asked[known]
            inside = (at >= n[0] * (1 - CLOSE)) & (at <= n[-1] * (1 + CLOSE))
            found[row, inside] = np.interp(np.log(at[inside]), np.log(n), values[known])
    return found


def curve_of(rows: pd.DataFrame) -> Curve:
    """Rows of one group, with a value for each seed and size, as a curve."""
    table = rows.pivot_table("value", "seed", "asked")
    asked, values = (np.asarray(part, np.float64) for part in (table.columns, table.values))
    return Curve(asked, values, table.index.to_numpy(np.int64))


def with_columns(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Rows with columns that a table leaves out where nothing is in them.

    Example:
        >>> list(with_columns(pd.DataFrame({"value": [0.5]}), ["mixture", "value"]))
        ['value', 'mixture']
    """
    return rows.reindex(columns=[*rows.columns, *(name for name in names if name not in rows)])


def points_of(table: pd.DataFrame, system: str) -> Points:
    """Gates of a system where weights and context say different things, with what tells of each of them.

    Args:
        table: rows of `llm_finetune.handover.runs.joined_rows`.
        system: one that has gates in it.
    """
    rows = select(table, {"system": system, "measure": "effective_gate", "context": READ[system][1], "answer": False})
    rows = with_columns(rows, PLACE)
    grouped = rows.groupby(PLACE, dropna=False, sort=False)
    place, seeds = grouped.ngroup().to_numpy(), np.unique(rows["seed"].to_numpy(int))
    where = rows[PLACE].iloc[np.unique(place, return_index=True)[1]].reset_index(drop=True)
    gates = np.full((len(seeds), len(where)), np.nan)
    gates[np.searchsorted(seeds, rows["seed"].to_numpy(int)), place] = rows["value"].to_numpy(float)
    missed = select(table, {"system": system, "measure": "memory_miss", "answer": False})
    memory_seeds = np.unique(missed["seed"].to_numpy(int))
    sizes = {"every": where["asked"], "unanswered": where["taught"]}
    misses = {name: np.full((len(memory_seeds), len(where)), np.nan) for name in TEACHING}
    others = np.full(gates.shape, np.nan)
    for here in _strata(where):
        own = _alike(missed, where.iloc[here[0]])
        if len(own):
            curve = curve_of(own)
            for name, at in sizes.items():
                found = interpolated(at.to_numpy(float)[here], curve)
                misses[name][np.ix_(np.searchsorted(memory_seeds, curve.seeds), here)] = found
        others[:, here] = _elsewhere(_alike(rows, where.iloc[here[0]]), where.iloc[here], seeds)
    return Points(where, gates, seeds, misses, memory_seeds, others)


def _strata(where: pd.DataFrame) -> Iterator[NDArray[np.int64]]:
    """Places of the points of each group and exposure."""
    numbers = where.groupby(["exposure", "group"], dropna=False, sort=False).ngroup().to_numpy()
    for number in np.unique(numbers):
        yield np.flatnonzero(numbers == number)


def _alike(rows: pd.DataFrame, point: pd.Series) -> pd.DataFrame:
    """Rows of the group and exposure of a point."""
    found = rows[rows["group"] == point["group"]]
    return found if pd.isna(point["exposure"]) else found[found["exposure"] == point["exposure"]]


def _elsewhere(rows: pd.DataFrame, where: pd.DataFrame, seeds: NDArray[np.int64]) -> Floats:
    """Mean over the other shares of each seed's gate, at the same sizes; NaN where one of them was not measured."""
    found = np.full((len(seeds), len(where)), np.nan)
    curves = {share: curve_of(part) for share, part in rows.groupby("answered")}
    for place, (share, asked) in enumerate(zip(where["answered"], where["asked"], strict=True)):
        each = []
        for other, curve in curves.items():
            if other != share:
                column = np.full(len(seeds), np.nan)
                column[np.searchsorted(seeds, curve.seeds)] = interpolated(np.array([asked]), curve)[:, 0]
                each.append(column)
        if each:
            found[:, place] = np.mean(each, axis=0)
    return found


def other_seeds(seeds: NDArray[np.int64], memory_seeds: NDArray[np.int64], counts: Floats | None = None) -> Floats:
    """How much each seed of another run counts for each seed: those that are not the same one, alike.

    Args:
        seeds: shape (S,).
        memory_seeds: shape (R,).
        counts: how often each of these was drawn, shape (R,); once where it is None.

    Returns:
        Weights that sum to 1, shape (S, R); NaN where no other seed was drawn.

    Example:
        >>> other_seeds(np.array([0, 1, 2]), np.array([0, 1, 5])).tolist()
        [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.3333333333333333, 0.3333333333333333, 0.3333333333333333]]
    """
    drawn = np.ones(len(memory_seeds)) if counts is None else counts
    weights = (seeds[:, None] != memory_seeds) * drawn
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=np.full(weights.shape, np.nan), where=total > 0)


def foretold(points: Points, teaching: str, drawn: NDArray[np.int64], counts: Floats) -> dict[str, Floats]:
    """Gates that the handover and the baselines foretell, each for seeds that they have not seen.

    Args:
        points: the P points.
        teaching: which rows teach the weights, one of `TEACHING`.
        drawn: places of the S' seeds that are looked at.
        counts: how often each seed of the memory-only run counts, shape (R,).

    Returns:
        ``handover``, ``memory`` and ``other_share``, each of shape (S', P), NaN where nothing is foretold.
    """
    seeds = points.seeds[drawn]
    missed = _mixed(other_seeds(seeds, points.memory_seeds, counts), points.misses[teaching])
    known = np.isfinite(missed)
    alpha = optimal_handover(points.where["answered"].to_numpy(float), np.where(known, missed, 0.0)).alpha
    own = np.bincount(drawn, minlength=len(points.seeds)).astype(np.float64)
    others = _mixed(other_seeds(seeds, points.seeds, own), points.others)
    return {"handover": np.where(known, alpha, np.nan), "memory": 1 - missed, "other_share": others}


def _mixed(weights: Floats, values: Floats) -> Floats:
    """Weighted means over the seeds that have a value; NaN where none has, or there is no weight."""
    known = np.isfinite(values)
    total = weights @ known
    found = weights @ np.where(known, values, 0.0)
    return np.clip(np.divide(found, total, out=np.full(found.shape, np.nan), where=total > 0), 0.0, 1.0)
