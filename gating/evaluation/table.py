"""The one result table: every system and every theory writes the same rows.

Key columns say what was measured where; ``value`` is the number. A row with a seed is of that seed; `summarise` turns
seeds into a mean with an interval. Rows without a seed hold for all: theory, and what was made from all seeds at once,
with an interval of its own. A bound that depends on what a seed saw carries that seed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from scipy import stats

from theory.validation import require_probability, require_scalar

__all__ = ["COLUMNS", "KEYS", "json_rows", "make_table", "read_setting", "setting_text", "summarise"]

COLUMNS: dict[str, str] = {
    "study": "string",
    "system": "string",  # in_weight, in_context, stylized, stylized_frozen, transformer, transformer_iw, ...
    "n": "Int64",  # training sequences N
    "step": "Int64",  # optimizer steps, or rounds of online learning; missing where nothing is trained
    "seed": "Int64",  # missing for theory
    "distribution": "string",  # ibd, oobd
    "context": "string",  # relevant, irrelevant, as_trained
    "group": "string",  # high (frequent queries), low (rare), all; high_0, low_7 ... for single classes
    "setting": "string",  # fields of the data that differ between rows, `p_high=0.9`; missing where none does
    "measure": "string",  # error, log_loss, expected_error, expected_log_loss, effective_gate, ...
    "kind": "string",  # measured, exact, upper, lower
    "value": "float64",
    "low": "float64",
    "high": "float64",
}
"""Columns of the table in order, with their types."""

KEYS = tuple(name for name in COLUMNS if name not in ("value", "low", "high"))
"""Columns that identify a row."""


def make_table(rows: pd.DataFrame | Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with exactly the columns of `COLUMNS`; absent ones are missing values.

    Raises:
        ValueError: naming a column that the schema does not have, or one with a value of another type.

    Example:
        >>> table = make_table([{"system": "transformer", "n": 64, "measure": "error", "value": 0.25}])
        >>> list(table.columns) == list(COLUMNS)
        True
    """
    try:
        table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`rows` must be a table or dictionaries; got {rows!r}") from error
    unknown = sorted(set(table.columns) - set(COLUMNS))
    if unknown:
        raise ValueError(f"`rows` must have columns among {list(COLUMNS)}; got {unknown}")
    table = table.reindex(columns=list(COLUMNS))
    try:
        return table.astype(COLUMNS)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`rows` must have values of the types of `COLUMNS`: {_misfit(table)}") from error


def _misfit(table: pd.DataFrame) -> str:
    """The first column that cannot take its type, and what it holds."""
    for name, kind in COLUMNS.items():
        try:
            table[[name]].astype({name: kind})
        except (TypeError, ValueError):
            return f"column `{name}` is {kind}; got {table[name].tolist()[:8]}"
    return "none was found"


def json_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the last step as JSON takes them: missing columns left out, a ``value`` that is infinite as null.

    Example:
        >>> json_rows(make_table([{"system": "theory", "measure": "crossover_error", "value": float("inf")}]))
        [{'system': 'theory', 'measure': 'crossover_error', 'value': None}]
    """
    last = table["step"].isna() | (
        table["step"] == table.groupby(["system", "n"], dropna=False)["step"].transform("max")
    )
    records = table[last.fillna(False)].astype(object).to_dict("records")
    return [
        {str(k): None if v in (math.inf, -math.inf) else v for k, v in row.items() if not pd.isna(v)} for row in records
    ]


def setting_text(values: Mapping[str, Any]) -> str | None:
    """The column ``setting`` from names and values; None where there are none.

    Example:
        >>> setting_text({"p_high": 0.9, "label_noise_kind": "shift"})
        'p_high=0.9; label_noise_kind="shift"'
    """
    return "; ".join(f"{name}={json.dumps(value)}" for name, value in values.items()) or None


def read_setting(text: str | None) -> dict[str, Any]:
    """Names and values of the column ``setting``.

    Example:
        >>> read_setting('p_high=0.9; label_noise_kind="shift"')
        {'p_high': 0.9, 'label_noise_kind': 'shift'}
    """
    pairs = (pair.split("=", 1) for pair in text.split("; ")) if isinstance(text, str) else ()
    return {name: json.loads(value) for name, value in pairs}


def summarise(table: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    r"""Mean over seeds with Student's interval :math:`\bar v \pm t_{S-1} s / \sqrt{S}`; rows without seed pass.

    Args:
        table: rows of the schema.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        A table of the schema without ``seed`` and with a column ``seeds`` (how many were averaged; 0 for the others).
        ``low`` and ``high`` are missing where there is a single seed.

    Example:
        >>> rows = [{"system": "transformer", "n": 64, "seed": s, "kind": "measured", "value": v}
        ...         for s, v in enumerate([0.1, 0.2, 0.3])]
        >>> summarise(make_table(rows))[["value", "low", "high", "seeds"]].round(3).values.tolist()
        [[0.2, -0.048, 0.448, 3.0]]
    """
    checked = require_probability("confidence", confidence, above_zero=True, below_one=True)
    confidence = require_scalar("confidence", checked)
    seeded = table["seed"].notna()
    measured = table[seeded]
    keys = [name for name in KEYS if name != "seed"]
    grouped = measured.groupby(keys, dropna=False, sort=False)["value"]
    summary = grouped.agg(value="mean", spread="std", seeds="count").reset_index()
    half = summary["spread"] / summary["seeds"] ** 0.5
    half *= stats.t.ppf((1 + confidence) / 2, summary["seeds"].clip(lower=2) - 1)
    summary = summary.assign(low=summary["value"] - half, high=summary["value"] + half).drop(columns="spread")
    theory = table[~seeded].drop(columns="seed").assign(seeds=0)
    return pd.concat([summary, theory], ignore_index=True)[[*keys, "value", "low", "high", "seeds"]]
