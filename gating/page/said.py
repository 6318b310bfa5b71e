"""Pieces of the sentences that say what came out."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gating.page.text_table import whole, with_ends

__all__ = ["Row", "few_seeds", "in_lines", "interval", "listed", "sized"]

Row = Mapping[Any, Any] | pd.Series
"""A row of a table, by the names of its columns."""

WIDTH = 100
NO_SPREAD = "No interval says how much another would differ"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"])
        ('a, b and c', 'a')
    """
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def interval(row: Row) -> str:
    """Value and interval of a row, with three figures.

    Example:
        >>> interval({"value": 0.25, "low": 0.2412, "high": 0.27})
        '0.25 [0.241, 0.27]'
    """
    return with_ends(*(float(row[name]) for name in ("value", "low", "high")))


def sized(row: Row) -> str:
    """A number of sequences, steps or bits of a row, with the ends of its interval.

    Example:
        >>> sized({"value": 4096.0, "low": 2048.0, "high": 8192.0})
        '4,096 [2,048, 8,192]'
    """
    value, *ends = (float(row[name]) for name in ("value", "low", "high"))
    return whole(value) + (f" [{', '.join(map(whole, ends))}]" if not any(map(pd.isna, ends)) else "")


def in_lines(sentences: Sequence[str]) -> str:
    """Sentences for a terminal, each from the beginning of a line.

    Example:
        >>> print(in_lines(["One.", "Two."]))
        One.
        Two.
    """
    return "\n".join(line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH, subsequent_indent="  "))


def few_seeds(table: pd.DataFrame, over: str = "its test sequences") -> tuple[str, ...]:
    """A warning where a table is of one or two seeds.

    Args:
        table: rows of the schema of `gating.results`.
        over: what intervals of one seed are over; empty where one seed has none.
    """
    seeds = table.loc[(table["kind"] == "measured") & ~table["answer"], "seed"].dropna().nunique()
    if seeds == 1:
        spread = f"Intervals are over {over} alone, and another seed may differ" if over else NO_SPREAD
        return (f"Caution: this is one seed. {spread}.",)
    return ("Caution: two seeds say little about how much a third would differ.",) if seeds == 2 else ()
