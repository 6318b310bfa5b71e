"""The one result table: every system, every theory and every answer is a row of it.

Key columns say what was measured where; ``value`` is the number. A row with a seed is of that seed; `summarise` turns
seeds into a mean with an interval. Rows without a seed hold for all: theory, and what was made from all seeds at once,
with an interval of its own. A bound that depends on what a seed saw carries that seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gating.results.columns import BASE, Column, Measure, column, columns, measure
from gating.results.intervals import moment_intervals
from gating.results.moments import Moments, grouped_moments, leaves
from gating.results.query import last_step
from theory.validation import Floats

__all__ = ["json_rows", "key_names", "make_table", "summarise"]

MERGED = 2**18
"""Groups of parts that `summarise` holds before it puts them together."""


def make_table(rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table of declared columns: those of every table, and the others that have a value.

    Args:
        rows: a table or dictionaries; absent columns are missing values, and rows that do not say so are no answers.

    Raises:
        ValueError: naming a column that is not declared, one with a value of another type or outside its range, or a
            measure with a value outside its range.

    Example:
        >>> table = make_table([{"system": "transformer", "n": 64, "measure": "error", "value": 0.25}])
        >>> table["n"].tolist(), list(table.columns) == [column.name for column in BASE]
        ([64], True)
        >>> make_table([{"measure": "error", "value": 1.5}])
        Traceback (most recent call last):
        ...
        ValueError: `error` must be in [0, 1]; got 1.5
    """
    held = rows if isinstance(rows, pd.DataFrame) else list(rows) if isinstance(rows, Iterable) else [rows]
    if not isinstance(held, pd.DataFrame) and not all(isinstance(row, Mapping) for row in held):
        raise ValueError(f"`rows` must be a table or dictionaries; got {rows!r}")
    table = pd.DataFrame(held)
    unknown = sorted(str(name) for name in table.columns if column(name) is None)
    if unknown:
        raise ValueError(f"`rows` must have declared columns, {[c.name for c in columns()]}; got {unknown}")
    extra = [c for c in columns() if c not in BASE and c.name in table and table[c.name].notna().any()]
    wanted = [*BASE, *extra]
    table = table.reindex(columns=[c.name for c in wanted])
    table["answer"] = table["answer"].astype("boolean").fillna(False)
    for entry in wanted:
        try:
            table[entry.name] = table[entry.name].astype(entry.kind)
        except (TypeError, ValueError) as error:
            got = table[entry.name].tolist()[:8]
            raise ValueError(f"column `{entry.name}` must be {entry.kind}; got {got}") from error
        if entry.kind != "string":
            _require_range(entry, table[entry.name])
    for name, values in table.groupby("measure", sort=False)["value"]:
        _require_range(measure(str(name)), values)
    return table


def _require_range(entry: Column | Measure, values: pd.Series[Any]) -> None:
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    outside = leaves(numbers, entry.low, entry.high)
    if outside.any():
        raise ValueError(f"`{entry.name}` must be in [{entry.low:g}, {entry.high:g}]; got {numbers[outside][0]:g}")


def json_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the last step as JSON takes them: missing columns left out, a number that is infinite as null.

    Example:
        >>> json_rows(make_table([{"system": "theory", "measure": "crossover_error", "value": float("inf")}]))
        [{'system': 'theory', 'measure': 'crossover_error', 'answer': False, 'value': None}]
    """
    records = last_step(table).astype(object).to_dict("records")
    return [
        {str(k): None if v in (math.inf, -math.inf) else v for k, v in row.items() if not pd.isna(v)} for row in records
    ]


def key_names(table: pd.DataFrame) -> list[str]:
    """Names of the columns of a table that tell its rows apart.

    Example:
        >>> key_names(make_table([]))[:3]
        ['study', 'system', 'n']
    """
    return [name for name in table.columns if (entry := column(name)) is None or entry.key]


def summarise(table: pd.DataFrame | Iterable[pd.DataFrame], *, confidence: float = 0.95) -> pd.DataFrame:
    """Mean over the seeds of each key, with the interval of `gating.results.intervals`; rows without a seed pass.

    Rows that differ in any key column but the seed stay apart: two settings are not averaged.

    Args:
        table: rows of the schema; or a table in parts with the same columns, such as those of
            `gating.results.parquet.read_batches`, of which no more is held than one part and the summary.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        A table without ``seed``, ``tests`` and ``standard_error``, and with ``seeds`` (how many were averaged; 0 for
        the others) and ``over``: what the interval is over, ``seeds``, ``test sequences`` or ``none``. That of a table
        in parts is the same up to rounding.

    Raises:
        ValueError: there is no part, parts have different columns, or a value is outside the range of its measure.

    Example:
        >>> rows = [{"system": "transformer", "n": 64, "seed": s, "measure": "log_loss", "value": v}
        ...         for s, v in enumerate([0.1, 0.2, 0.3])]
        >>> table = make_table(rows)
        >>> summarise(table).round(3)[["value", "low", "seeds", "over"]].values.tolist()
        [[0.2, 0.062, 3, 'seeds']]
        >>> summarise([table[:1], table[1:]]).round(3)[["value", "low", "seeds", "over"]].values.tolist()
        [[0.2, 0.062, 3, 'seeds']]
    """
    held, others, columns = [], [], None
    for part in [table] if isinstance(table, pd.DataFrame) else table:
        columns = columns or list(part.columns)
        if list(part.columns) != columns:
            raise ValueError(f"`table` must have parts with the same columns; got {columns} and {list(part.columns)}")
        keys = [name for name in key_names(part) if name != "seed"]
        seeded = part["seed"].notna()
        held.append(_moments(part[seeded], keys))
        others.append(part.loc[~seeded, [*keys, "value", "low", "high"]].assign(seeds=0, over="none"))
        if sum(len(rows) for rows, _ in held[1:]) > max(MERGED, len(held[0][0])):
            held = [_merged(held, keys)]
    if not held:
        raise ValueError("`table` must be a table, or one or more parts of one; got no part")
    rows, moments = _merged(held, keys)
    low, high = _ranges(rows)
    found = moment_intervals(moments, low=low, high=high, confidence=confidence)
    return pd.concat([rows.assign(**found._asdict()), *others], ignore_index=True)


_Groups = tuple[pd.DataFrame, Moments]
"""Key columns of groups of rows, in the order of their appearance, and the moments of each."""


def _grouped(rows: pd.DataFrame, keys: list[str]) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Group of each row, and the key columns of each group."""
    groups = rows.groupby(keys, dropna=False, sort=False).ngroup().to_numpy().astype(np.int64)
    return groups, rows[keys].iloc[np.unique(groups, return_index=True)[1]]


def _moments(measured: pd.DataFrame, keys: list[str]) -> _Groups:
    groups, first = _grouped(measured, keys)
    low, high = _ranges(first)
    found = grouped_moments(
        groups,
        measured["value"].to_numpy(np.float64),
        len(first),
        tests=measured["tests"].to_numpy(np.float64, na_value=np.nan),
        standard_errors=measured["standard_error"].to_numpy(np.float64, na_value=np.nan),
        low=low,
        high=high,
    )
    return first, found


def _merged(held: list[_Groups], keys: list[str]) -> _Groups:
    if len(held) == 1:
        return held[0]
    groups, first = _grouped(pd.concat([rows for rows, _ in held], ignore_index=True), keys)
    return first, Moments.merged([moments for _, moments in held], groups, len(first))


def _ranges(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """Least and largest values of the measures of rows."""
    places, names = pd.factorize(rows["measure"])
    ranges = np.array([(entry.low, entry.high) for entry in map(measure, map(str, names))], np.float64).reshape(-1, 2)
    return ranges[places, 0], ranges[places, 1]
