"""Tables of ready-made text, for a terminal and for a page."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import pandas as pd

__all__ = ["Block", "TextTable", "cross_table", "ends_of", "number", "whole", "with_ends"]


@dataclass(frozen=True)
class TextTable:
    """A table of ready-made text: a heading for each column, and rows of cells of which the first names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        header = zip_longest(*(cell.split("\n") for cell in self.header), fillvalue="")
        rows = [*header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
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


class Block(NamedTuple):
    """Tables of a page, each with its title, under one heading that folds."""

    title: str
    tables: tuple[tuple[str, TextTable], ...]


def cross_table(
    rows: pd.DataFrame,
    first: tuple[str, ...],
    line: Callable[[Any], tuple[str, ...]],
    column: Callable[[Any], str],
    cell: Callable[[Any], str],
    columns: Iterable[str] = (),
) -> TextTable:
    """A table with a cell for each row of a result table; lines whose cells are all empty are left out.

    Args:
        rows: rows in the order of the lines.
        first: headings of what names a line.
        line: what names the line of a row, whose columns are attributes.
        column: heading of a row's column.
        cell: text of a row.
        columns: headings in order, rows of others being left out; where there are none, all as they come.

    Example:
        >>> rows = pd.DataFrame({"of": ["rare", "rare", "frequent", "all"], "n": [1, 2, 2, 2], "value": [4, 5, 6, 0]})
        >>> print(cross_table(rows, ("of",), lambda r: (r.of,), lambda r: str(r.n), lambda r: "x" * r.value))
        of           1       2
        rare      xxxx   xxxxx
        frequent        xxxxxx
    """
    cells = [(line(row), column(row), cell(row)) for row in rows.itertuples(index=False)]
    headings = dict.fromkeys([*columns] or [heading for _, heading, _ in cells], "")
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for names, heading, text in cells:
        if heading in headings:
            lines.setdefault(names, {})[heading] = text
    body = ((*names, *(headings | held).values()) for names, held in lines.items() if any(held.values()))
    return TextTable((*first, *headings), tuple(body))


def number(value: float, low: float, high: float, digits: int = 3) -> str:
    """A mean and the ends of its interval; the mean alone where there is no interval.

    Example:
        >>> number(0.2504, 0.2404, 0.2704), number(0.25, float("nan"), float("nan"))
        ('0.250 [0.240, 0.270]', '0.250')
    """
    if pd.isna(value):
        return ""
    texts = [f"{round(part, digits) + 0.0:.{digits}f}" for part in (value, low, high)]  # adding 0.0 turns -0.0 into 0.0
    return texts[0] if pd.isna(low) or pd.isna(high) else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def ends_of(row: Any, digits: int = 2) -> str:
    """`number` of a row of a table, by its columns ``value``, ``low`` and ``high``; empty where there is no row.

    Example:
        >>> ends_of({"value": 0.25, "low": 0.125, "high": 0.5}), ends_of(None)
        ('0.25 [0.12, 0.50]', '')
    """
    return "" if row is None else number(float(row["value"]), float(row["low"]), float(row["high"]), digits)


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
