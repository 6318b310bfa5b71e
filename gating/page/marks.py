"""How the marks of a panel are drawn: layers of a Vega-Lite specification, from the ground up."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ["MARKS", "Ground", "Scales", "Spec"]

Spec = dict[str, Any]


class Scales(NamedTuple):
    """Channels by which the legend's entries are told apart."""

    colour: Spec
    fill: Spec
    shape: Spec
    dash: Spec


class Ground(NamedTuple):
    """What the marks of a panel are drawn on.

    Args:
        x: horizontal channel.
        y: vertical channel, of values.
        scales: looks of the legend's entries.
        hover: what a reader is told who points at a mark.
        shade: channel of the colour of cells that are shaded by their value; None where they are of an entry's colour.
        ink: colour of lines that belong to no entry.
        paper: colour of the ground.
        still: whether nobody can point at anything.
    """

    x: Spec
    y: Spec
    scales: Scales
    hover: list[Spec]
    shade: Spec | None
    ink: str
    paper: str
    still: bool

    @property
    def span(self) -> Spec:
        """From the lower to the upper end of each point."""
        return {"y": {**self.y, "field": "l"}, "y2": {"field": "h"}}

    def told(self, *fields: str) -> list[Spec]:
        """Some of what a reader is told."""
        return [entry for entry in self.hover if entry["field"] in fields]


def _layer(of: str, kind: str, encoding: Spec, **mark: Any) -> Spec:
    return {"of": of, "mark": {"type": kind, "clip": True, **mark}, "encoding": encoding}


def _line(on: Ground, of: str = "line", width: float = 1.0, *, alone: bool = True) -> Iterator[Spec]:
    """A line with a band; where it has no points, invisible ones answer where a reader points at."""
    colour = {"color": on.scales.colour, "detail": {"field": "g"}}
    yield _layer(of, "area", {"x": on.x, **on.span, **colour}, opacity=0.12)
    yield _layer(of, "line", {"x": on.x, "y": on.y, **colour, "strokeDash": on.scales.dash}, strokeWidth=width)
    if alone and not on.still:
        yield _layer(of, "point", {"x": on.x, "y": on.y, "tooltip": on.hover}, opacity=0, size=60, filled=True)


def _smooth(on: Ground) -> Iterator[Spec]:
    yield from _line(on, "smooth", 1.6)


def _curve(on: Ground) -> Iterator[Spec]:
    yield from _line(on, "curve", 1.6, alone=False)
    yield _dots(on, "curve")


def _points(on: Ground) -> Iterator[Spec]:
    yield _layer("points", "rule", {"x": on.x, **on.span, "color": on.scales.colour}, opacity=0.6)
    yield _dots(on, "points")


def _dots(on: Ground, of: str) -> Spec:
    look = {"stroke": on.scales.colour, "fill": on.scales.fill, "shape": on.scales.shape}
    place = {"x": on.x, "y": on.y, **look, "tooltip": on.hover}
    return _layer(of, "point", place, size=42, strokeWidth=1.5, opacity=1)


def _across(on: Ground) -> Iterator[Spec]:
    yield _layer("across", "rect", {**on.span, "color": on.scales.colour}, opacity=0.1)
    yield _rule(on, "across", {"y": on.y}, 1.2)


def _upright(on: Ground) -> Iterator[Spec]:
    yield _rule(on, "upright", {"x": on.x}, 1.0)


def _rule(on: Ground, of: str, place: Spec, width: float) -> Spec:
    look = {"color": on.scales.colour, "strokeDash": on.scales.dash, "tooltip": on.told("k", "t")}
    return _layer(of, "rule", place | look, strokeWidth=width)


def _cells(on: Ground) -> Iterator[Spec]:
    """Rectangles with an edge in their own colour, so that no ground shows between neighbours."""
    place = {"x": on.x, **on.span}
    place |= {"x2": {"field": "x2"}} if on.x["type"] == "quantitative" else {}
    if on.y["type"] != "quantitative":
        del place["y2"]
    colour = on.shade or on.scales.colour
    told = on.told("t") if on.shade else on.told("k", "t")
    edge = {**colour, "legend": None}
    if on.shade:  # the legend of an equal scale would be taken for the same one
        low, high = colour["scale"]["domain"]
        edge["scale"] = {**colour["scale"], "domain": [low, high + 1e-9 * (high - low)]}
    look = {"color": colour, "stroke": edge, "tooltip": told}
    yield _layer("cells", "rect", place | look, strokeWidth=0.7)


def _frame(on: Ground) -> Iterator[Spec]:
    """Dashes on a line of the ground's colour, which are seen on cells of any shade."""
    place = {"x": on.x, "x2": {"field": "x2"}, **on.span}
    yield _layer("frame", "rect", place, clip=False, fill=None, stroke=on.paper, strokeWidth=3)
    yield _layer("frame", "rect", place, clip=False, fill=None, stroke=on.ink, strokeWidth=1.2, strokeDash=[4, 3])


def _words(on: Ground) -> Iterator[Spec]:
    place = {"x": on.x, "y": on.y, "text": {"field": "t"}}
    yield _layer("words", "text", place, clip=False, fontSize=10, dx=-5, dy=9, align="right", color=on.ink)


MARKS: dict[str, Callable[[Ground], Iterator[Spec]]] = {
    "cells": _cells,
    "frame": _frame,
    "across": _across,
    "upright": _upright,
    "line": _line,
    "smooth": _smooth,
    "curve": _curve,
    "points": _points,
    "words": _words,
}
"""How each mark is drawn, from the ground up; ``smooth`` is a curve without points."""
