"""The registry of the result table: every column and every measure, with its type, unit and range.

A study declares what differs between its rows, and what it measures; one name has one meaning. Declarations are data,
in a file ``columns.yaml`` of a package, or calls of `declare`.
"""

import math
from importlib import resources
from typing import Literal, NamedTuple, TypeVar

import yaml

__all__ = ["BASE", "SCHEMA_VERSION", "Column", "Measure", "column", "columns", "declare", "declare_from", "measure"]

SCHEMA_VERSION = 2
"""Version of the table's form: 1 had a text column ``setting``; 2 has a typed column for whatever differs."""

Kind = Literal["string", "Int64", "float64", "boolean"]


class Column(NamedTuple):
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


class Measure(NamedTuple):
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
        known: dict[str, Declared] = _COLUMNS if isinstance(entry, Column) else _MEASURES
        if known.setdefault(entry.name, entry) != entry:
            raise ValueError(f"`{entry.name}` must have one meaning; it is declared as {known[entry.name]} and {entry}")
    return entries


def declare_from(package: str) -> tuple[Column, ...]:
    """Declares what the file ``columns.yaml`` of a package holds, columns and measures by name; returns the columns.

    Raises:
        ValueError: a name is taken by one with another meaning.

    Example:
        >>> [column.name for column in declare_from("gating.studies.regret")]
        ['query_class']
    """
    held = yaml.safe_load((resources.files(package) / "columns.yaml").read_text(encoding="utf-8"))
    declare(*(Measure(name, **entry) for name, entry in held.get("measures", {}).items()))
    return declare(*(Column(name, **entry) for name, entry in held.get("columns", {}).items()))


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


BASE = declare_from("gating.results")
"""Columns that every table has, in order."""
