"""Tables of results at the last step, as text for a terminal and as rows for a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gating.evaluation.table import summarise
from gating.report.names import CONDITIONS, GROUPS, MEASURES, SYSTEMS, THEORY, condition_name, in_order, system_of
from gating.report.query import at_last_step, few_sizes, seeds_phrase, select, sizes, steps_phrase

__all__ = [
    "Block",
    "TextTable",
    "condition_table",
    "error_text",
    "last_step_blocks",
    "markdown_tables",
    "number",
    "summary_table",
    "whole",
    "with_ends",
]

KIND_WORDS = {"measured": "", "exact": "exact", "upper": "upper bound", "lower": "lower bound"}
PROBABILITIES = ("error", "expected_error", "effective_gate", "effective_gate_reference", "mean_gate", "linear_loss")
LAST_STEP_TABLES = (
    ("Error (0-1), against the noisy label", ("error",)),
    ("Log loss (nats), against the noisy label", ("log_loss",)),
    ("Effective gate (0 = context, 1 = weights) and its residual", (
        "effective_gate", "effective_gate_residual", "mean_gate",
        "effective_gate_reference", "effective_gate_reference_residual",
    )),
)  # fmt: skip
SHORT_CONDITIONS = (("ibd", "relevant"), ("ibd", "irrelevant"), ("oobd", "relevant"))


@dataclass(frozen=True)
class TextTable:
    """A table of ready-made text: a heading for each column, and rows of cells of which the first names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        split = [cell.split("\n") for cell in self.header]
        depth = max(len(parts) for parts in split)
        header = zip(*(parts + [""] * (depth - len(parts)) for parts in split), strict=True)
        rows = [*header, *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.header))]
        lines = [
            row[0].ljust(widths[0]) + "".join("  " + cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))
            for row in rows
        ]
        return "\n".join(line.rstrip() for line in lines)

    @property
    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [self.header, ("---", *("---:" for _ in self.header[1:])), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True)
class Block:
    """Tables of a page, each with its title, under one heading that folds."""

    title: str
    tables: tuple[tuple[str, TextTable], ...]


def number(value: float, low: float, high: float, digits: int = 3) -> str:
    """A mean and the half width of its interval; the mean alone where there is no interval.

    Example:
        >>> number(0.2504, 0.2404, 0.2604), number(0.25, float("nan"), float("nan"))
        ('0.250 ± 0.010', '0.250')
    """
    if pd.isna(value):
        return ""
    mean = f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0.0 turns -0.0 into 0.0
    return mean if pd.isna(low) or pd.isna(high) else f"{mean} ± {(high - low) / 2:.{digits}f}"


def with_ends(value: float, low: float, high: float) -> str:
    """A value and the ends of its interval, which need not lie evenly about it; empty where there is no value.

    Example:
        >>> with_ends(0.25, 0.24, 0.27), with_ends(0.25, float("nan"), float("nan"))
        ('0.25 [0.24, 0.27]', '0.25')
    """
    if math.isnan(value):
        return ""
    return f"{value:.3g}" if math.isnan(low) or math.isnan(high) else f"{value:.3g} [{low:.3g}, {high:.3g}]"


def whole(value: float) -> str:
    """A number of sequences for a table.

    Example:
        >>> whole(12345.0), whole(float("inf")), whole(2e12)
        ('12,345', 'never', '2e+12')
    """
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if value < 1e9 else f"{value:.3g}"


def _cells(rows: pd.DataFrame) -> list[str]:
    """The number of each row; a small one in nats, which may be worth citing, with more digits."""
    return [
        number(value, low, high, 5 if measure not in PROBABILITIES and 0 < abs(value) < 0.01 else 3)
        for measure, value, low, high in rows[["measure", "value", "low", "high"]].itertuples(index=False, name=None)
    ]


def condition_table(summary: pd.DataFrame, measures: Sequence[str], n: int, *, short: bool = False) -> TextTable:
    """Measures at the last step for one N: a row for each system and kind, a column for each condition and group.

    Args:
        summary: rows as `gating.evaluation.table.summarise` returns them.
        measures: measures to show; with several, each has rows of its own.
        n: number of training sequences.
        short: the keys of systems in place of their names, only the three telling conditions, and no bounds.
    """
    groups = tuple(group for group in GROUPS if group != "all")
    rows = select(at_last_step(summary), {"n": n, "measure": tuple(measures), "group": groups})
    if short:
        rows = select(rows, {"kind": ("measured", "exact")})
    rows = rows.assign(cell=_cells(rows))
    held = set(zip(rows["distribution"], rows["context"], strict=True))
    wanted = SHORT_CONDITIONS if short else tuple(CONDITIONS)
    columns = [(*key, group) for key in wanted if key in held for group in groups]
    if short:
        rows = rows.assign(cell=rows["cell"].str.replace(" ", ""))
    cells = {tuple(row[:-1]): row[-1] for row in rows[[*LINE, *COLUMN, "cell"]].itertuples(index=False, name=None)}
    lines = sorted(dict.fromkeys(key[:3] for key in cells), key=lambda line: _place(line, measures))
    body = (
        (_line_name(line, len(measures) > 1, short), *(cells.get((*line, *column), "") for column in columns))
        for line in lines
    )
    header = ("" if short else "system", *(_column_name(column, short) for column in columns))
    return TextTable(header, tuple(row for row in body if any(row[1:])))


LINE = ("system", "kind", "measure")
COLUMN = ("distribution", "context", "group")


def _place(line: tuple[str, ...], measures: Sequence[str]) -> tuple[int, int, str, int]:
    """Measured systems in their order, then theory."""
    system, kind, measure = line
    rank = list(SYSTEMS).index(system) if system in SYSTEMS else len(SYSTEMS)
    return list(KIND_WORDS).index(kind), rank, system, list(measures).index(measure)


def _line_name(line: tuple[str, ...], with_measure: bool, short: bool) -> str:
    system, kind, measure = line
    name = system if short else system_of(system).name
    if kind != "measured":
        name = (
            f"{system} ({kind})"
            if short
            else f"Theory, {THEORY.get(system, system_of(system).name)} ({KIND_WORDS[kind]})"
        )
    return f"{name}: {MEASURES.get(measure, measure)}" if with_measure else name


def _column_name(column: tuple[str, str, str], short: bool) -> str:
    distribution, context, group = column
    if short:
        return f"{distribution}\n{context}\n{group}"
    return f"{condition_name(distribution, context)}, {GROUPS[group].removesuffix(' classes')}"


def summary_table(summary: pd.DataFrame) -> TextTable:
    """Every row of the last step, one line for each system, N, kind, condition and group, one column per measure."""
    rows = at_last_step(summary)
    measures = in_order(rows["measure"], MEASURES)
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    keys = rows[["measure", "system", "kind", "n", *COLUMN]].astype(str).itertuples(index=False, name=None)
    for (measure, *key), cell in zip(keys, _cells(rows), strict=True):
        lines.setdefault(tuple(key), {})[measure] = cell
    body = tuple((*key, *(held.get(measure, "") for measure in measures)) for key, held in lines.items())
    named = (MEASURES.get(measure, measure) for measure in measures)
    return TextTable(("system", "kind", "N", "distribution", "context", "group", *named), body)


def last_step_blocks(summary: pd.DataFrame, settings: Mapping[str, Any]) -> list[Block]:
    """Error, log loss and effective gate at the last step, a block for each N."""
    return [
        Block(
            f"N = {n:,} training sequences",
            tuple((title, condition_table(summary, measures, n)) for title, measures in LAST_STEP_TABLES),
        )
        for n in sizes(summary)
    ]


def error_text(table: pd.DataFrame) -> str:
    """Error at the last step for a few N, by system, condition and group, as text for a terminal.

    Args:
        table: rows of the schema of `gating.evaluation.table`.

    Example:
        >>> from gating.evaluation.table import make_table
        >>> key = {"system": "transformer", "n": 64, "distribution": "ibd", "context": "relevant", "group": "low"}
        >>> rows = [{**key, "seed": s, "measure": "error", "kind": "measured", "value": v}
        ...         for s, v in enumerate([0.1, 0.2, 0.3])]
        >>> print(error_text(make_table(rows)))
        Error (0-1) after training. Mean over 3 seeds, with Student's 95% interval of that mean.
        <BLANKLINE>
        N = 64            ibd          ibd
                     relevant     relevant
                         high          low
        transformer            0.200±0.248
    """
    summary = summarise(table[table["measure"] == "error"])
    last = at_last_step(summary)
    blocks = [f"Error (0-1) {steps_phrase(last)}. {seeds_phrase(last)}"]
    for n in few_sizes(summary):
        found = condition_table(summary, ["error"], n, short=True)
        blocks.append(str(TextTable((f"N = {n:,}", *found.header[1:]), found.rows)))
    return "\n\n".join(blocks)


def markdown_tables(table: pd.DataFrame) -> str:
    """Error, log loss and effective gate at the last step for every N, as Markdown tables.

    Args:
        table: rows of the schema of `gating.evaluation.table`.
    """
    summary = summarise(table)
    last = at_last_step(summary)
    blocks = [f"Measured {steps_phrase(last)}. {seeds_phrase(last)}"]
    for measure in ("error", "log_loss", "effective_gate", "effective_gate_residual"):
        blocks.append(f"## {MEASURES.get(measure, measure)}")
        for n in sorted(select(last, {"measure": measure})["n"].dropna().unique()):
            blocks += [f"### N = {n:,}", condition_table(summary, [measure], int(n)).markdown]
    return "\n\n".join(blocks) + "\n"
