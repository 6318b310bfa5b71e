"""What a figure is: small multiples of curves, declared as queries on the summarised result table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from gating.report.names import CONDITIONS, MIXTURE_TERMS
from gating.report.query import few_sizes
from gating.report.tables import Block, error_text, last_step_blocks

__all__ = [
    "Block",
    "Columns",
    "Drawing",
    "Facet",
    "FigureSpec",
    "MapSpec",
    "Mark",
    "Row",
    "Study",
    "Trace",
    "YAxis",
    "by_size",
    "conditions",
]

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
    """A vertical axis: label with unit, limits, scale, and a horizontal reference line computed from the settings.

    A ``symlog`` scale is linear below `linear_below` and logarithmic above.
    """

    label: str
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "symlog"] = "linear"
    linear_below: float = 0.001
    reference: Callable[[Settings], float | None] | None = None
    reference_name: str = ""


@dataclass(frozen=True)
class Row:
    """A row of panels: its heading, the rows of the table that it shows, its measures and its axis.

    An `optional` row is left out without a word where the table has nothing for it.
    """

    label: str
    where: Mapping[str, Any]
    traces: tuple[Trace, ...]
    axis: YAxis
    optional: bool = False


@dataclass(frozen=True)
class Mark:
    """A thin vertical line: where it stands, its legend entry, and the panels that it belongs to."""

    at: float
    name: str
    where: Mapping[str, Any]
    line: Literal["-.", ":"] = "-."


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
        hue: what colours tell apart: systems, groups of classes (a class is a thin line), or conditions of a language
            model.
        x_label: label of the horizontal axis, where it is not what ``x`` says.
        marks: vertical lines, from the settings; those outside the drawn range are named in the caption instead.
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
    hue: Literal["system", "group", "context"] = "system"
    x_label: str = ""
    marks: Callable[[Settings], tuple[Mark, ...]] | None = None


@dataclass(frozen=True)
class MapSpec:
    """A map of certified phases over the two axes of the settings, one panel for each group."""

    name: str
    title: str
    look: str


class Drawing(NamedTuple):
    """A figure that is drawn already: file name without ending, title, SVG text, and sentences of its caption."""

    name: str
    title: str
    svg: str
    sentences: list[str]


@dataclass(frozen=True)
class Study:
    """The page of a study.

    Args:
        title: its heading.
        question: the question it answers.
        systems: the systems it measures, in order; empty where nothing is measured.
        figures: its figures.
        terms: words a reader needs, and what they mean.
        intervals: how intervals are made that are not over seeds.
        results_title: heading of its tables.
        results: its tables, from the summarised table and the settings.
        by_seed: figures and tables that single seeds are needed for, from the result table and the settings; they come
            first.
        beside: tables from other files of the run's folder; they come last.
        text: its tables in short for a terminal, from the result table.
        all_rows: whether the page ends with every row of the last step.
    """

    title: str
    question: str
    systems: tuple[str, ...]
    figures: tuple[FigureSpec | MapSpec, ...]
    terms: tuple[tuple[str, str], ...] = MIXTURE_TERMS
    intervals: str = ""
    results_title: str = "Results at the last step"
    results: Callable[[pd.DataFrame, Settings], list[Block]] = last_step_blocks
    by_seed: Callable[[pd.DataFrame, Settings], tuple[list[Drawing], list[Block]]] = lambda table, settings: ([], [])
    beside: Callable[[Path], list[Block]] = lambda folder: []
    text: Callable[[pd.DataFrame], str] = error_text
    all_rows: bool = True


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
