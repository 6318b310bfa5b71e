"""The registry of the result table: every column and every measure, with its type, unit and range.

A study declares what differs between its rows, and what it measures, where it makes them; one name has one meaning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["SCHEMA_VERSION", "Column", "Measure", "column", "columns", "declare", "measure"]

SCHEMA_VERSION = 2
"""Version of the table's form: 1 had a text column ``setting``; 2 has a typed column for whatever differs."""

Kind = Literal["string", "Int64", "float64", "boolean"]


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        name: its name.
        kind: pandas' name of its type; every one knows missing values.
        meaning: what it holds, with its unit.
        low: least value, of a number.
        high: largest value, of a number.
        key: whether rows that differ in it are different rows.
    """

    name: str
    kind: Kind
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    key: bool = True


@dataclass(frozen=True)
class Measure:
    """A measure, a value of the column ``measure``.

    Args:
        name: its name.
        meaning: what a table or an axis calls it, with its unit.
        low: least value that it can have.
        high: largest value.
    """

    name: str
    meaning: str
    low: float = -math.inf
    high: float = math.inf


Declared = TypeVar("Declared", Column, Measure)

_COLUMNS: dict[str, Column] = {}
_MEASURES: dict[str, Measure] = {}


def declare(*entries: Declared) -> tuple[Declared, ...]:
    """Puts columns or measures into the registry; returns them.

    Raises:
        ValueError: a name is taken by one with another meaning.

    Example:
        >>> declare(Measure("error", "error in per cent", 0, 100))
        Traceback (most recent call last):
        ...
        ValueError: `error` must have one meaning; it is declared as ...
    """
    for entry in entries:
        known: dict[str, Declared] = _COLUMNS if isinstance(entry, Column) else _MEASURES  # type: ignore[assignment]
        if known.setdefault(entry.name, entry) != entry:
            raise ValueError(f"`{entry.name}` must have one meaning; it is declared as {known[entry.name]} and {entry}")
    return entries


def column(name: str) -> Column | None:
    """The column of a name; None where it is not declared."""
    return _COLUMNS.get(name)


def columns() -> tuple[Column, ...]:
    """All columns that are declared, in order."""
    return tuple(_COLUMNS.values())


def measure(name: str) -> Measure:
    """The measure of a name; one that is not declared is called by its name and has no range.

    Example:
        >>> measure("error").high, measure("my_measure").meaning
        (1, 'my measure')
    """
    return _MEASURES.get(name, Measure(name, name.replace("_", " ")))


BASE = declare(
    Column("study", "string", "name of the study"),
    Column("system", "string", "what was measured, or whom a theory is about: transformer, tabular, copying ..."),
    Column("n", "Int64", "training sequences N", 0),
    Column("step", "Int64", "optimizer steps, or rounds of online learning; missing where nothing is trained", 0),
    Column("seed", "Int64", "data seed; missing where a row is of no seed or of all together", 0),
    Column("distribution", "string", "ibd or oobd: labels as trained, or moved"),
    Column("context", "string", "kind of context"),
    Column("group", "string", "group of classes or facts: high (frequent), low (rare), all; high_0 ... of single ones"),
    Column("measure", "string", "what the value is, a name of the registry"),
    Column("kind", "string", "measured, exact, upper, lower, fitted or predicted"),
    Column("answer", "boolean", "whether the row is something that the study found, made from the others"),
    Column("value", "float64", "the number", key=False),
    Column("low", "float64", "lower end of its 95% interval", key=False),
    Column("high", "float64", "upper end of its 95% interval", key=False),
    Column("tests", "Int64", "test sequences that a seed's value is a mean over", 0, key=False),
    Column("standard_error", "float64", "standard error of a seed's value over its test sequences", 0, key=False),
)
"""Columns that every table has, in order."""

declare(
    Measure("error", "error (0-1)", 0, 1),
    Measure("expected_error", "expected error", 0, 1),
    Measure("log_loss", "log loss (nats)", 0),
    Measure("expected_log_loss", "expected log loss (nats)", 0),
    Measure("linear_loss", "linear loss", 0, 1),
    Measure("effective_gate", "effective gate", 0, 1),
    Measure("effective_gate_residual", "gate residual (nats)", 0),
    Measure("mean_gate", "own mean gate", 0, 1),
)
