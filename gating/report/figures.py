"""What a figure is: small multiples of curves, declared as queries on the summarised result table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from gating.report.names import CONDITIONS
from gating.report.query import few_sizes

__all__ = ["Columns", "Facet", "FigureSpec", "Row", "Study", "Trace", "YAxis", "by_size", "conditions"]

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Facet:
    """A column of panels: its heading and the rows of the table that it shows."""

    label: str
    where: Mapping[str, Any]


@dataclass(frozen=True)
class Trace:
    """A measure and the line it is drawn with; `suffix` sets it apart in the legend from the main measure."""

    measure: str
    line: Literal["-", "--", ":"] = "-"
    suffix: str = ""


@dataclass(frozen=True)
class YAxis:
    """A vertical axis: label with unit, limits, scale, and a horizontal reference line computed from the settings."""

    label: str
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "symlog"] = "linear"
    reference: Callable[[Settings], float | None] | None = None
    reference_name: str = ""


@dataclass(frozen=True)
class Row:
    """A row of panels: its heading, the rows of the table that it shows, its measures and its axis."""

    label: str
    where: Mapping[str, Any]
    traces: tuple[Trace, ...]
    axis: YAxis


Columns = Callable[[pd.DataFrame], tuple[Facet, ...]]
"""Columns of a figure, which may depend on what the table holds."""


@dataclass(frozen=True)
class FigureSpec:
    """Small multiples of curves, one curve for each system and trace.

    Args:
        name: file name of the plot, without ending.
        title: what the figure decides, and along which axis.
        look: what the reader should look at, for the caption.
        x: ``n`` (at the last step of each system) or ``step``.
        rows: rows of panels.
        columns: columns of panels; those without any data are left out.
        systems: systems to draw; an empty tuple draws every one in the table.
        theory: whether exact risks and bounds are drawn under the measured curves.
        note: a sentence for the caption about theory or reference lines.
    """

    name: str
    title: str
    look: str
    x: Literal["n", "step"]
    rows: tuple[Row, ...]
    columns: Columns
    systems: tuple[str, ...] = ()
    theory: bool = False
    note: str = ""


@dataclass(frozen=True)
class Study:
    """The page of a study: its title, the question it answers, the systems it compares and its figures."""

    title: str
    question: str
    systems: tuple[str, ...]
    figures: tuple[FigureSpec, ...]


def conditions(*keys: tuple[str, str]) -> Columns:
    """One column for each test condition, given as (distribution, context).

    Example:
        >>> [facet.label for facet in conditions(("ibd", "relevant"), ("oobd", "relevant"))(pd.DataFrame())]
        ['IBD, relevant', 'OOBD, relevant']
    """
    facets = tuple(Facet(CONDITIONS[key], {"distribution": key[0], "context": key[1]}) for key in keys)
    return lambda summary: facets


def by_size(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for the smallest, the middle and the largest number of training sequences."""
    return tuple(Facet(f"N = {n:,}", {"n": n}) for n in few_sizes(summary))
