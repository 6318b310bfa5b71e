"""What a page and its figures are, as data: panels of layers, each a table of points with one entry in the legend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from gating.page.names import System
from gating.page.text_table import Block, TextTable

if TYPE_CHECKING:
    from gating.page.multiples import Multiples

__all__ = ["Axis", "Block", "Figure", "Layer", "Page", "Panel", "Settings"]

Settings = Mapping[str, Any]


class Axis(NamedTuple):
    """An axis.

    Args:
        label: what it measures, with its unit.
        low: least value shown; that of the points where it is None.
        high: largest value shown, likewise.
        scale: ``symlog`` is linear below `linear_below` and logarithmic above; ``words`` stand in order.
        ticks: values that are labelled; chosen by the chart where there are none.
        linear_below: see `scale`.
    """

    label: str
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log", "sqrt", "symlog", "words"] = "linear"
    ticks: tuple[float, ...] = ()
    linear_below: float = 0.001


class Layer(NamedTuple):
    """Points that share a look and an entry in the legend.

    Args:
        look: how they look; its name is the entry.
        rows: one row for each point, with columns of numbers: ``x``, ``value``, and where there are any ``low`` and
            ``high``, the ends of its interval; ``line`` tells lines of one look apart; ``step``, where the reader can
            choose one; ``seeds``, whose mean a value is; ``said``, what a reader is told who points at the point, where
            that is not its value.
        mark: how they are drawn. A ``curve`` is a line with a band and points, a ``line`` has no points, ``points``
            have bars and no line. An ``across`` is a horizontal line at ``value``, an ``upright`` a vertical one at
            ``x``. ``cells`` are rectangles from ``x`` to ``x2`` and from ``low`` to ``high``, coloured by ``value``
            where the figure has shades; a ``frame`` is the outline of one. ``words`` are the texts ``said``.
    """

    look: System
    rows: pd.DataFrame
    mark: Literal["curve", "line", "points", "across", "upright", "cells", "frame", "words"]


class Panel(NamedTuple):
    """A panel: what is shown in it, in words, as the row and the column of a grid; its vertical axis; its layers."""

    row: str
    column: str
    y: Axis
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Figure:
    """Panels with one horizontal axis and one legend.

    Args:
        name: its name, of letters, digits and hyphens.
        title: what it decides, and along which axis.
        sentences: its caption; the first says what to look at.
        x: the horizontal axis of every panel.
        panels: the panels, row by row.
        columns: panels beside each other, where there is room.
        shades: colours from the least to the largest value of cells; where there are some, the axis that they measure.
        steps: training steps that the reader can choose from; the last is shown first.
        legend: heading of the legend, where it needs one.
        order: entries of the legend in their order; others stand behind them as they come.
    """

    name: str
    title: str
    sentences: tuple[str, ...]
    x: Axis
    panels: tuple[Panel, ...]
    columns: int
    shades: tuple[Axis, tuple[str, ...]] | None = None
    steps: tuple[int, ...] = ()
    legend: str = ""
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """The page of a run, as data.

    Args:
        title: its heading.
        question: the question it answers.
        systems: the systems it measures, in order; empty where nothing is measured.
        figures: its figures, or queries that make them of the table; the first shows what the verdict says.
        terms: words a reader needs, and what they mean.
        blocks: its tables.
        verdict: what came out, in three to six sentences.
        intervals: how intervals are made that are not over seeds.
        results_title: heading of its tables.
        every_row: every row of the last step, folded, at the end; None for a page without.
    """

    title: str
    question: str
    systems: tuple[str, ...]
    figures: tuple[Figure | Multiples, ...]
    terms: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]
    verdict: tuple[str, ...] = ()
    intervals: str = ""
    results_title: str = "Results at the last step"
    every_row: TextTable | None = None
