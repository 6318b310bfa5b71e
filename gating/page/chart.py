"""A figure as a chart: a Vega-Lite specification for the page, for notebooks, and for SVG and PNG files.

Text of the data is data in it: never a name of a field, a part of an expression or markup.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd

from gating.page.axes import NUMBERS, horizontal, vertical
from gating.page.figures import Figure, Layer
from gating.page.marks import MARKS, Ground, Scales, Spec
from gating.page.names import GREY, INK, PAPER, SHAPES, System, in_places
from gating.page.text_table import with_ends

__all__ = ["COLOURS", "Spec", "columns_of", "legend_of", "specification"]

Target = Literal["page", "notebook", "paper"]

COLOURS = {INK: "--ink", PAPER: "--paper", GREY: "--grey", "#dcdce0": "--grid", "#0b2f5e": "--deep-blue",
           "#d5d5da": "--undecided"}  # fmt: skip
"""Colours that follow the reader's light or dark mode on the page, and the names of their variables there."""

PANEL_WIDTH, PANEL_HEIGHT = 215, 150  # pixels
SAFE = {ord("\\"): "⧵", **dict.fromkeys([*range(32), 127, 0x2028, 0x2029], " ")}
"""For titles of what a reader points at, which Vega-Lite writes into code and in which it escapes quotes alone."""
MOST_MARKERS = 30  # points of a curve, beyond which it is drawn without markers
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no SVG file may hold, and on which the program that draws one ends without a word."""

FIELDS = {"x": "x", "x2": "x2", "value": "y", "low": "l", "high": "h", "line": "g", "step": "s", "seeds": "n",
          "said": "t"}  # fmt: skip
"""Columns of the rows of a layer, and their short names in a chart; ``p``, ``m`` and ``k`` are the panel, the mark and
the entry of the legend."""


def columns_of(figure: Figure, target: Target = "page") -> dict[str, list[Any]]:
    """All points of a figure, column by column; missing numbers are None.

    A paper shows the last step alone. On the page values are put into words by the reader's browser.
    """
    layers = [(place, layer) for place, panel in enumerate(figure.panels) for layer in panel.layers if len(layer.rows)]
    parts = [layer.rows[[name for name in FIELDS if name in layer.rows and layer.rows[name].notna().any()]]
             for _, layer in layers]  # fmt: skip
    rows = pd.concat(parts or [pd.DataFrame()], ignore_index=True).reindex(columns=[*FIELDS]).rename(columns=FIELDS)
    looks = pd.DataFrame([(place, _mark(layer), layer.look.name) for place, layer in layers], columns=["p", "m", "k"])
    rows = rows.join(looks.loc[looks.index.repeat([len(part) for part in parts])].reset_index(drop=True))
    if target == "paper" and figure.steps:
        rows = rows[rows["s"].isna() | (rows["s"] == figure.steps[-1])].reset_index(drop=True)
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
    return {name: looks[name] for name in in_places([*looks], figure.order)}


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
        "concat": list(_panels(figure, scales, target)),
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
        "config": _config(target),
    }
    if target == "page":
        del spec["title"]
        spec["params"].append({"name": "shown", "value": None})
    else:
        columns = columns_of(figure, target)
        if target == "paper":
            panels = {name: spec.pop(name) for name in ("concat", "columns", "spacing", "resolve")}
            spec["vconcat"] = [panels, *_key(figure, scales)]
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


def _key(figure: Figure, scales: Scales) -> list[Spec]:
    """The legend of a paper, as a panel of its own below the others: Vega's shows lines as dots."""
    entries, most = legend_of(figure), max(1, min(figure.columns, 4))
    if len(entries) < 2:
        return []
    width = (290 if figure.columns > 2 else 400) * most
    columns = max(1, min(most, width // (45 + 6 * max(len(entry["name"]) for entry in entries))))
    rows = [
        {"k": entry["name"], "m": entry["mark"], "i": at % columns, "j": at // columns, "d": bool(entry["shape"])}
        for at, entry in enumerate(entries)
    ]
    scale = {"domain": [0, columns], "nice": False}
    place: Spec = {
        "x": {"field": "i", "type": "quantitative", "axis": None, "scale": scale},
        "y": {"field": "j", "type": "ordinal", "axis": None},
    }
    drawn: list[tuple[str, Spec, Spec]] = [
        ("datum.m !== 'cells' && (!datum.d || datum.m === 'curve')",
         {"type": "rule", "xOffset": 3, "x2Offset": 29, "strokeWidth": 1.6},
         {"x2": {"field": "i"}, "color": scales.colour, "strokeDash": scales.dash}),
        ("datum.m !== 'cells' && datum.d",
         {"type": "point", "xOffset": 16, "size": 50, "strokeWidth": 1.5, "opacity": 1},
         {"stroke": scales.colour, "fill": scales.fill, "shape": scales.shape}),
        ("datum.m === 'cells'", {"type": "square", "xOffset": 16, "size": 120, "opacity": 1}, {"color": scales.colour}),
        ("true", {"type": "text", "xOffset": 36, "align": "left", "baseline": "middle"}, {"text": {"field": "k"}}),
    ]  # fmt: skip
    layers = [{"mark": mark, "transform": [{"filter": kept}], "encoding": place | look} for kept, mark, look in drawn]
    return [{"data": {"values": rows}, "layer": layers, "width": width, "height": {"step": 18}}]


def _colour(colour: str, target: Target) -> str:
    return f"var({COLOURS[colour]})" if target == "page" and colour in COLOURS else colour


def _scales(figure: Figure, target: Target) -> Scales:
    looks = looks_of(figure)
    legend: Spec | None = None
    if target == "notebook":
        title = figure.legend or None
        legend = {"title": title, "orient": "bottom", "columns": max(1, figure.columns), "labelLimit": 400}

    def channel(of: Callable[[System], Any]) -> Spec:
        scale = {"domain": list(looks), "range": [of(look) for look in looks.values()]}
        return {"field": "k", "type": "nominal", "scale": scale, "legend": legend}

    return Scales(
        colour=channel(lambda look: _colour(look.colour, target)),
        fill=channel(lambda look: _colour(look.colour if look.filled else PAPER, target)),
        shape=channel(lambda look: SHAPES[look.shape or "circle"]),
        dash=channel(lambda look: list(look.dash) or [1, 0]),
    )


def _config(target: Target) -> Spec:
    ink, grid = _colour(INK, target), _colour("#dcdce0", target)
    axis = {"labelColor": ink, "titleColor": ink, "domainColor": ink, "tickColor": ink, "gridColor": grid}
    symbol = {"symbolStrokeWidth": 1.6, "symbolOpacity": 1}
    return {
        "background": "transparent" if target == "page" else PAPER,
        "font": "system-ui, sans-serif" if target == "page" else "sans-serif",
        "view": {"stroke": None},
        "mark": {"aria": False},  # what it would say of a mark is names of fields
        "axis": {**axis, "titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 11.5, "labelOverlap": True},
        "title": {"color": ink, "subtitleColor": ink, "anchor": "start", "fontSize": 12, "fontWeight": 600},
        "legend": {"labelColor": ink, "titleColor": ink, "labelFontSize": 11, **symbol},
        "concat": {"spacing": 18},
    }


def _panels(figure: Figure, scales: Scales, target: Target) -> Iterator[Spec]:
    """All panels; those with one vertical axis have one channel for it."""
    x, channels = horizontal(figure), dict[int, Spec]()
    for place, panel in enumerate(figure.panels):
        if id(panel.y) not in channels:
            channels[id(panel.y)] = vertical(figure, panel.y)
        yield _panel(figure, place, _ground(figure, x, channels[id(panel.y)], scales, target), target)


def _panel(figure: Figure, place: int, on: Ground, target: Target) -> Spec:
    """One panel: its layers from the ground up, each of the points of one mark."""
    panel = figure.panels[place]
    present = dict.fromkeys(_mark(layer) for layer in panel.layers)
    layers = [layer for mark in MARKS if mark in present for layer in MARKS[mark](on)]
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


def _ground(figure: Figure, x: Spec, y: Spec, scales: Scales, target: Target) -> Ground:
    hover = [
        {"field": "k", "type": "nominal", "title": figure.legend.translate(SAFE) or "of"},
        {"field": "x", "type": x["type"], "title": figure.x.label.translate(SAFE), "format": NUMBERS},
        {"field": "t", "type": "nominal", "title": "value"},
    ]
    shade: Spec | None = None
    if figure.shades:
        axis, shades = figure.shades
        bar = {"orient": "bottom", "titleLimit": 300, "gradientLength": 260, "direction": "horizontal"}
        scale = {"domain": [axis.low, axis.high], "range": list(shades), "interpolate": "lab"}
        legend = {"title": axis.label, **bar}
        shade = {"field": "y", "type": "quantitative", "scale": scale, "legend": legend}
    return Ground(x, y, scales, hover, shade, _colour(INK, target), _colour(PAPER, target), target == "paper")


def _filters(place: int, mark: str, figure: Figure, target: Target) -> Iterator[Spec]:
    yield {"filter": f"datum.p === {place} && datum.m === '{mark}'"}
    if target == "page":
        yield {"filter": "shown === null || indexof(shown, datum.k) >= 0"}
    if figure.steps and target != "paper":
        yield {"filter": "datum.s === null || datum.s === step"}
