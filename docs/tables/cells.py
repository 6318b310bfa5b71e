"""One number of a committed table as text, in a table or in a sentence."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from docs.tables.committed import summary
from docs.tables.pages import computed
from gating.page.text_table import TextTable, ends_of

__all__ = ["cell", "one", "said", "table_of", "value"]


NUMBERS = ("value", "low", "high")


@cache
def _columns(name: str) -> dict[str, Any]:
    """Columns of the summary of a table as arrays of Python's own values, in which many cells are found fast."""
    rows = summary(name)
    others = rows.drop(columns=[*NUMBERS]).astype(object)
    words = {str(key): of.where(of.notna(), None).to_numpy(object) for key, of in others.items()}
    return words | {key: rows[key].to_numpy(np.float64) for key in NUMBERS}


def one(name: str, **where: Any) -> dict[str, Any]:
    """The one row of the summary of a committed table whose columns have these values; None is a missing value.

    Raises:
        ValueError: there is none, or there are several.
    """
    columns = _columns(name)
    keep = np.ones(len(columns["value"]), bool)
    for column, wanted in where.items():
        keep &= columns[column] == wanted
    (found,) = np.nonzero(keep)
    if len(found) != 1:
        raise ValueError(f"`where` must be true of one row of {name!r}; got {len(found)} with {where}")
    return {key: of[found[0]] for key, of in columns.items()}


def cell(name: str, digits: int = 2, **where: Any) -> str:
    """Value and interval of `one` row."""
    return ends_of(one(name, **where), digits)


def said(name: str, digits: int = 2, **where: Any) -> str:
    """`cell` as a computed number of a sentence."""
    return computed(cell(name, digits, **where))


def value(name: str, digits: int = 2, **where: Any) -> str:
    """The value of `one` row without its interval, as a computed number of a sentence."""
    return computed(f"{one(name, **where)['value']:.{digits}f}")


def table_of(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    return TextTable(tuple(header), tuple(map(tuple, rows))).markdown
