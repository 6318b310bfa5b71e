"""A figure as a chart: a Vega-Lite specification for the page, for notebooks, and for SVG and PNG files.

Text of the data is data in it: never a name of a field, a part of an expression or markup.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from gating.page.figures import Axis, Figure, Layer, Panel
from gating.page.names import GREY, INK, PAPER, SHAPES, System
from gating.page.text_table import with_ends

__all__ = ["COLOURS", "Spec", "columns_of", "legend_of", "specification"]

Spec = dict[str, Any]
Target = Literal["page", "notebook", "paper"]

COLOURS = {
    INK: "--ink",
    PAPER: "--paper",
    GREY: "--grey",
    "#dcdce0": "--grid",
    "#0b2f5e": "--deep-blue",
    "#d5d5da": "--undecided",
}
"""Colours that follow the reader's light or dark mode on the page, and the names of their variables there."""

PANEL_WIDTH, PANEL_HEIGHT = 215, 150  # pixels
MOST_MARKERS = 30  # points of a curve, beyond which it is drawn without markers
SAFE = {ord("\\"): "⧵", **dict.fromkeys([*range(32), 127, 0x2028, 0x2029], " ")}
"""For titles of what a reader points at, which Vega-Lite writes into code and in which it escapes quotes alone."""
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no SVG file may hold, and on which the program that draws one ends without a word."""
NUMBERS = ",.6~r"  # 65536 is 65,536 and 0.001 is 0.001; without the 6 an axis rounds to its steps, 25 to 30

FIELDS = {
    "x": "x",
    "x2": "x2",
    "value": "y",
    "low": "l",
    "high": "h",
    "line": "g",
    "step": "s",
    "seeds": "n",
    "said": "t",
}
"""Columns of the rows of a layer, and their short names in a chart; ``p``, ``m`` and ``k`` are the panel, the mark and
the entry of the legend."""


def columns_of(figure: Figure, target: Target = "page") -> dict[str, list[Any]]:
    """All points of a figure, column by column; missing numbers are None.

    A paper shows the last step alone. On the page values are put into words by the reader's browser.
    """
    parts = []
    for place, panel in enumerate(figure.panels):
        for layer in panel.layers:
            kept = layer.rows
            if target == "paper" and figure.steps and "step" in kept:
                kept = kept[kept["step"].isna() | (kept["step"] == figure.steps[-1])]
            part = kept[[name for name in FIELDS if name in kept]].rename(columns=FIELDS)
            parts.append(part.assign(p=place, m=_mark(layer), k=layer.look.name))
    rows = pd.concat(parts or [pd.DataFrame()], ignore_index=True).reindex(columns=[*FIELDS.values(), "p", "m", "k"])
    if target != "page":
        said = [_said(*map(float, ends)) for ends in rows[["y", "l", "h", "n"]].to_numpy(np.float64, na_value=np.nan)]
        rows["t"] = rows["t"].where(rows["t"].notna(), pd.Series(said, rows.index, dtype=object))
    return {str(name): _plain(column) for name, column in rows.items() if column.notna().any()}


def _said(value: float, low: float, high: float, seeds: float) -> str:
    """A value, its interval and its seeds, as the page's script says them too."""
    return with_ends(value, low, high) + (f", {seeds:.0f} seeds" if seeds > 1 else "")


def _mark(layer: Layer) -> str:
    if layer.mark == "curve" and (not layer.look.shape or layer.rows["x"].nunique() > MOST_MARKERS):
        return "smooth"
    return layer.mark


def _plain(column: pd.Series) -> list[Any]:
    """A column as JSON takes it; numbers with five figures, which no reader tells from more, and whole ones whole."""
    if not pd.api.types.is_numeric_dtype(column):
        return [None if pd.isna(value) else _number(value) if not isinstance(value, str) else value for value in column]
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    return [_number(value) for value in numbers.tolist()]


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 2**53 else float(f"{value:.5g}")


def looks_of(figure: Figure) -> dict[str, System]:
    """What the legend names, in order."""
    looks: dict[str, System] = {}
    for panel in figure.panels:
        for layer in panel.layers:
            if layer.mark not in ("frame", "words") and not (layer.mark == "cells" and figure.shades):
                looks.setdefault(layer.look.name, layer.look)
    return looks


def legend_of(figure: Figure) -> list[Spec]:
    """Entries of the legend, as the page draws them: a line, points, both, or a patch."""
    marks: dict[str, str] = {}
    for panel in figure.panels:
        for layer in panel.layers:
            mark = _mark(layer)
            marks[layer.look.name] = mark if marks.get(layer.look.name, mark) == mark else "curve"
    return [
        {
            "name": look.name,
            "mark": marks[look.name],
            "colour": _colour(look.colour, "page"),
            "shape": SHAPES.get(look.shape, ""),
            "filled": look.filled,
            "dash": list(look.dash),
        }
        for look in looks_of(figure).values()
    ]


class _Scales(NamedTuple):
    """Channels by which the legend's entries are told apart."""

    colour: Spec
    fill: Spec
    shape: Spec
    dash: Spec


def specification(figure: Figure, target: Target) -> Spec:
    """A figure as a Vega-Lite specification, without its points for the page, which has them as `columns_of` them.

    Args:
        figure: the figure.
        target: the ``page``, whose legend is its own; a ``notebook``; a ``paper``, where nothing moves.
    """
    scales = _scales(figure, target)
    spec: Spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": figure.title, "anchor": "start", "fontSize": 14, "offset": 12},
        "columns": figure.columns,
        "spacing": 18,
        "data": {"name": "points"},
        "params": [],
        "concat": [_panel(figure, place, scales, target) for place in range(len(figure.panels))],
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
        "config": _config(target),
    }
    if target == "page":
        del spec["title"]
        spec["params"].append({"name": "shown", "value": None})
    else:
        columns = columns_of(figure, target)
        spec["data"]["values"] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if figure.steps and target != "paper":
        bind = {"bind": {"input": "select", "options": list(figure.steps), "name": "training steps "}}
        spec["params"].append({"name": "step", "value": figure.steps[-1], **(bind if target == "notebook" else {})})
    if not spec["params"]:
        del spec["params"]
    return spec if target == "page" else _printable(spec)


def _printable(value: Any) -> Any:
    """A part of a specification with a sign in place of every character that cannot be drawn."""
    if isinstance(value, dict):
        return {name: _printable(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_printable(held) for held in value]
    return NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value


def _colour(colour: str, target: Target) -> str:
    return f"var({COLOURS[colour]})" if target == "page" and colour in COLOURS else colour


def _scales(figure: Figure, target: Target) -> _Scales:
    looks = looks_of(figure)
    legend: Spec | None = None
    if target != "page":
        title = figure.legend or None
        legend = {"title": title, "orient": "bottom", "columns": max(1, figure.columns), "labelLimit": 400}

    def channel(values: list[Any]) -> Spec:
        scale = {"domain": list(looks), "range": values}
        return {"field": "k", "type": "nominal", "scale": scale, "legend": legend}

    colours = [_colour(look.colour, target) for look in looks.values()]
    fills = [
        colour if look.filled else _colour(PAPER, target) for colour, look in zip(colours, looks.values(), strict=True)
    ]
    shapes = [SHAPES[look.shape or "circle"] for look in looks.values()]
    return _Scales(
        channel(colours),
        channel(fills),
        channel(shapes),
        channel([list(look.dash) or [1, 0] for look in looks.values()]),
    )


def _config(target: Target) -> Spec:
    ink, grid = _colour(INK, target), _colour("#dcdce0", target)
    axis = {"labelColor": ink, "titleColor": ink, "domainColor": ink, "tickColor": ink, "gridColor": grid}
    return {
        "background": "transparent" if target == "page" else PAPER,
        "font": "system-ui, sans-serif" if target == "page" else "sans-serif",
        "view": {"stroke": None},
        "mark": {"aria": False},  # what it would say of a mark is names of fields
        "axis": {**axis, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11.5, "labelOverlap": True},
        "title": {"color": ink, "subtitleColor": ink, "anchor": "start", "fontSize": 12, "fontWeight": 600},
        "legend": {
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": 11,
            "symbolStrokeWidth": 1.6,
            "symbolOpacity": 1,
        },
        "concat": {"spacing": 18},
    }


def _panel(figure: Figure, place: int, scales: _Scales, target: Target) -> Spec:
    """One panel: its layers from the ground up, each of the points of one mark."""
    panel = figure.panels[place]
    present = dict.fromkeys(_mark(layer) for layer in panel.layers)
    x, y = _channel("x", figure.x, _ends(panel, figure, "x")), _channel("y", panel.y, _ends(panel, figure, "y"))
    hover = [
        {"field": "k", "type": "nominal", "title": figure.legend.translate(SAFE) or "of"},
        {
            "field": "x",
            "type": "nominal" if figure.x.scale == "words" else "quantitative",
            "title": figure.x.label.translate(SAFE),
            "format": NUMBERS,
        },
        {"field": "t", "type": "nominal", "title": "value"},
    ]
    layers = [layer for mark in MARKS if mark in present for layer in MARKS[mark](x, y, scales, hover, figure, target)]
    layers = [{"transform": [*_filters(place, layer.pop("of"), figure, target)], **layer} for layer in layers]
    if target != "paper" and layers and figure.x.scale != "words" and panel.y.scale != "words":
        zoom = {"type": "interval", "encodings": ["x", "y"], "zoom": "wheel![event.ctrlKey || event.shiftKey]"}
        at = [layer for layer in layers[::-1] if {"x", "y"} <= layer["encoding"].keys()]
        first = next(iter(at), layers[0])
        first["params"] = [{"name": f"zoom{place}", "select": zoom, "bind": "scales"}] if at else []
        if target == "notebook" and place == 0 and looks_of(figure):
            first["params"].append({"name": "shown", "select": {"type": "point", "fields": ["k"]}, "bind": "legend"})
    if not layers:
        grey = _colour(GREY, target)
        layers = [{"data": {"values": [{}]}, "mark": {"type": "text", "text": "not measured", "color": grey}}]
    heading = [text for text in (panel.column, panel.row) if text]
    return {
        "title": {"text": [line for text in heading for line in text.split("\n")]},
        "width": PANEL_WIDTH if figure.columns > 2 else PANEL_WIDTH * 3 // 2,
        "height": PANEL_HEIGHT if figure.columns > 2 else PANEL_HEIGHT * 3 // 2,
        "layer": layers,
    }


def _filters(place: int, mark: str, figure: Figure, target: Target) -> Iterator[Spec]:
    yield {"filter": f"datum.p === {place} && datum.m === '{mark}'"}
    if target == "page":
        yield {"filter": "shown === null || indexof(shown, datum.k) >= 0"}
    if figure.steps and target != "paper":
        yield {"filter": "datum.s === null || datum.s === step"}


def _ends(panel: Panel, figure: Figure, of: Literal["x", "y"]) -> tuple[float, float] | None:
    """Least and largest value of an axis: its own, or where the points are, every panel's for the horizontal one."""
    axis = figure.x if of == "x" else panel.y
    if axis.scale == "words":
        return None
    panels = figure.panels if of == "x" else tuple(other for other in figure.panels if other.y is panel.y)
    names = ("x", "x2") if of == "x" else ("value", "low", "high") if figure.shades else ("value",)
    found = [
        np.asarray(layer.rows[name], np.float64)
        for other in panels
        for layer in other.layers
        for name in (("low", "high") if of == "y" and layer.mark in ("cells", "frame") else names)
        if name in layer.rows
        and not (of == "x" and layer.mark == "across")
        and not (of == "y" and layer.mark == "upright")
    ]
    values = np.concatenate(found) if found else np.zeros(0)
    values = values[np.isfinite(values) & ((values > 0) | (axis.scale != "log"))]
    empty = (0.1, 1.0) if axis.scale == "log" else (0.0, 1.0)
    low = axis.low if axis.low is not None else float(values.min()) if len(values) else empty[0]
    high = axis.high if axis.high is not None else float(values.max()) if len(values) else empty[1]
    return _widened(axis, low, high)


def _widened(axis: Axis, low: float, high: float) -> tuple[float, float]:
    """The ends with a little room beyond those that are not the axis's own."""
    if axis.scale == "log":
        room = max(high / low, 1.0) ** 0.04 * 1.05
        return (low if axis.low is not None else low / room, high if axis.high is not None else high * room)
    room = 0.04 * (high - low) or abs(high) * 0.04 or 0.5
    down, up = (0.0 if axis.low is not None else room), (0.0 if axis.high is not None else room)
    if axis.scale in ("symlog", "sqrt") and (low >= 0 or axis.low is not None):
        top = high * (1.25 if axis.scale == "symlog" else 1.05) + (up and axis.linear_below * 0.2)
        return low, max(top, axis.linear_below) if up else top
    return low - down, high + up


def _channel(name: str, axis: Axis, ends: tuple[float, float] | None) -> Spec:
    if ends is None:
        return {"field": name, "type": "ordinal", "title": axis.label, "sort": None, "axis": {"labelAngle": 0}}
    scale: Spec = {"type": axis.scale, "domain": list(ends), "nice": False}
    if axis.scale == "symlog":
        scale["constant"] = axis.linear_below
    if axis.scale == "linear":
        scale["zero"] = False
    ticks = axis.ticks or _decades(axis, *ends)
    chosen: Spec = {"values": list(ticks)} if ticks else {"tickCount": 5}
    return {
        "field": name,
        "type": "quantitative",
        "title": axis.label,
        "scale": scale,
        "axis": {"format": NUMBERS, **chosen},
    }


def _decades(axis: Axis, low: float, high: float) -> tuple[float, ...]:
    """Ticks of a logarithmic axis, of which a chart would choose few: 1, 2 and 5 if it is short, else decades."""
    if axis.scale not in ("log", "symlog"):
        return ()
    least = max(low, axis.linear_below) if axis.scale == "symlog" else low
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(max(high, least))) + 1)
    leading = (1, 2, 5) if high / least < 300 else (1,)
    every = max(1, math.ceil(len(powers) / 7))
    ticks = [first * 10.0**power for power in powers[::every] for first in leading]
    found = [tick for tick in ticks if least * 0.999 <= tick <= high * 1.001]
    return (*([-tick for tick in reversed(found)] if low < -least else []), *([0.0] if low <= 0 else []), *found)


Marks = Iterator[Spec]


def _curve(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    yield from _smooth(x, y, scales, [], figure, target, "curve")
    yield _dots(x, y, scales, hover, "curve")


def _smooth(
    x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target, of: str = "smooth"
) -> Marks:
    """A line with a band; invisible points answer where a reader points at."""
    colour = {"color": scales.colour, "detail": {"field": "g"}}
    band = {"x": x, "y": {**y, "field": "l"}, "y2": {"field": "h"}, **colour}
    yield {"of": of, "mark": {"type": "area", "opacity": 0.12, "clip": True}, "encoding": band}
    line = {"x": x, "y": y, **colour, "strokeDash": scales.dash}
    yield {"of": of, "mark": {"type": "line", "strokeWidth": 1.6, "clip": True}, "encoding": line}
    if hover and target != "paper":
        mark = {"type": "point", "opacity": 0, "size": 60, "filled": True, "clip": True}
        yield {"of": of, "mark": mark, "encoding": {"x": x, "y": y, "tooltip": hover}}


def _line(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    found = list(_smooth(x, y, scales, hover, figure, target, "line"))
    found[1]["mark"]["strokeWidth"] = 1.0
    yield from found


def _points(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    bar = {"x": x, "y": {**y, "field": "l"}, "y2": {"field": "h"}, "color": scales.colour}
    yield {"of": "points", "mark": {"type": "rule", "opacity": 0.6, "clip": True}, "encoding": bar}
    yield _dots(x, y, scales, hover, "points")


def _dots(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], of: str) -> Spec:
    mark = {"type": "point", "size": 42, "strokeWidth": 1.5, "opacity": 1, "clip": True}
    look = {"stroke": scales.colour, "fill": scales.fill, "shape": scales.shape}
    return {"of": of, "mark": mark, "encoding": {"x": x, "y": y, **look, "tooltip": hover}}


def _across(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    band = {"y": {**y, "field": "l"}, "y2": {"field": "h"}, "color": scales.colour}
    yield {"of": "across", "mark": {"type": "rect", "opacity": 0.1, "clip": True}, "encoding": band}
    told = [field for field in hover if field["field"] != "x"]
    rule = {"y": y, "color": scales.colour, "strokeDash": scales.dash, "tooltip": told}
    yield {"of": "across", "mark": {"type": "rule", "strokeWidth": 1.2, "clip": True}, "encoding": rule}


def _upright(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    told = [field for field in hover if field["field"] != "y"]
    rule = {"x": x, "color": scales.colour, "strokeDash": scales.dash, "tooltip": told}
    yield {"of": "upright", "mark": {"type": "rule", "strokeWidth": 1.0, "clip": True}, "encoding": rule}


def _cells(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    place: Spec = {"x": x, "y": {**y, "field": "l"}}
    place |= {"x2": {"field": "x2"}} if x["type"] == "quantitative" else {}
    place |= {"y2": {"field": "h"}} if y["type"] == "quantitative" else {}
    colour = scales.colour
    if figure.shades:
        axis, shades = figure.shades
        legend = {
            "title": axis.label,
            "orient": "bottom",
            "titleLimit": 300,
            "gradientLength": 260,
            "direction": "horizontal",
        }
        scale = {"domain": [axis.low, axis.high], "range": list(shades), "interpolate": "lab"}
        colour = {"field": "y", "type": "quantitative", "scale": scale, "legend": legend}
    hover = [field for field in hover if field["field"] == "t" or (field["field"] == "k" and not figure.shades)]
    edge = {**colour, "legend": None}  # in the colour of the cell, so that no ground shows between neighbours
    cell = {"type": "rect", "clip": True, "strokeWidth": 0.7}
    yield {"of": "cells", "mark": cell, "encoding": {**place, "color": colour, "stroke": edge, "tooltip": hover}}


def _frame(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    place = {"x": x, "x2": {"field": "x2"}, "y": {**y, "field": "l"}, "y2": {"field": "h"}}
    frame = {"type": "rect", "fill": None, "stroke": _colour(INK, target), "strokeWidth": 1.2, "strokeDash": [4, 3]}
    ground = {"type": "rect", "fill": None, "stroke": _colour(PAPER, target), "strokeWidth": 3}
    yield {"of": "frame", "mark": ground, "encoding": place}  # dashes are seen on cells of any shade
    yield {"of": "frame", "mark": frame, "encoding": place}


def _words(x: Spec, y: Spec, scales: _Scales, hover: list[Spec], figure: Figure, target: Target) -> Marks:
    text = {"type": "text", "fontSize": 10, "dx": -5, "dy": 9, "align": "right", "color": _colour(INK, target)}
    yield {"of": "words", "mark": text, "encoding": {"x": x, "y": y, "text": {"field": "t"}}}


MARKS = {
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
"""How each mark is drawn, from the ground up."""
