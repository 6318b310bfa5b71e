"""What a figure is: small multiples of curves, declared as queries on the summarised result table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

from gating.page.names import System, system_of
from gating.page.text_table import Block, TextTable

__all__ = ["Block", "Columns", "Drawing", "Facet", "FigureSpec", "Mark", "Page", "Row", "Settings", "Trace", "YAxis"]

Settings = Mapping[str, Any]


class Facet(NamedTuple):
    """A column of panels: its heading and the rows of the table that it shows."""

    label: str
    where: Mapping[str, Any]


class Trace(NamedTuple):
    """A measure and the line it is drawn with; `suffix` sets it apart in the legend from the main measure."""

    measure: str
    line: Literal["-", "--", ":"] = "-"
    suffix: str = ""


class YAxis(NamedTuple):
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


class Row(NamedTuple):
    """A row of panels: its heading, the rows of the table that it shows, its measures and its axis.

    An `optional` row is left out without a word where the table has nothing for it.
    """

    label: str
    where: Mapping[str, Any]
    traces: tuple[Trace, ...]
    axis: YAxis
    optional: bool = False


class Mark(NamedTuple):
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
        theory_name: what a legend calls theory, where it is not exact risks and bounds of predictors.
        note: a sentence for the caption about theory or reference lines.
        hue: the column whose values colours tell apart.
        lines: a column that tells several thin lines of one colour apart, where there are some.
        look_of: how a value of that column looks.
        order: its values in the order of legends; that of the declared systems where it is empty.
        x_label: label of the horizontal axis, where it is not what ``x`` says.
        marks: vertical lines; those outside the drawn range are named in the caption instead.
    """

    name: str
    title: str
    look: str
    x: Literal["n", "step"]
    rows: tuple[Row, ...]
    columns: Columns
    systems: tuple[str, ...] = ()
    theory: bool = False
    theory_name: str = ""
    note: str = ""
    hue: str = "system"
    lines: str = ""
    look_of: Callable[[str], System] = system_of
    order: tuple[str, ...] = ()
    x_label: str = ""
    marks: tuple[Mark, ...] = ()


class Drawing(NamedTuple):
    """A figure that is drawn already: file name without ending, title, SVG text, and sentences of its caption."""

    name: str
    title: str
    svg: str
    sentences: list[str]


@dataclass(frozen=True)
class Page:
    """The page of a run, as data.

    Args:
        title: its heading.
        question: the question it answers.
        systems: the systems it measures, in order; empty where nothing is measured.
        figures: its figures, drawn or to be drawn from the table.
        terms: words a reader needs, and what they mean.
        blocks: its tables.
        intervals: how intervals are made that are not over seeds.
        results_title: heading of its tables.
        every_row: every row of the last step, folded, at the end; None for a page without.
    """

    title: str
    question: str
    systems: tuple[str, ...]
    figures: tuple[FigureSpec | Drawing, ...]
    terms: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]
    intervals: str = ""
    results_title: str = "Results at the last step"
    every_row: TextTable | None = None
