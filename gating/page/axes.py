"""Axes of a panel: where they end, how they are scaled, and which values are labelled."""

import math
from typing import Any

import numpy as np
import pandas as pd

from gating.page.figures import Axis, Figure

__all__ = ["NUMBERS", "horizontal", "vertical"]

NUMBERS = ",.6~r"  # 65536 is 65,536 and 0.001 is 0.001; without the 6 an axis rounds to its steps, 25 to 30


def horizontal(figure: Figure) -> dict[str, Any]:
    """The horizontal channel of every panel, around the points of all."""
    found = [
        layer.rows[name]
        for panel in figure.panels
        for layer in panel.layers
        for name in ("x", "x2")
        if name in layer.rows and layer.mark != "across"
    ]
    return _channel(figure.x, "x", found)


def vertical(figure: Figure, axis: Axis) -> dict[str, Any]:
    """The vertical channel of the panels that have this very axis, around their points."""
    values = ("value", "low", "high") if figure.shades else ("value",)
    found = [
        layer.rows[name]
        for panel in figure.panels
        if panel.y is axis
        for layer in panel.layers
        for name in (("low", "high") if layer.mark in ("cells", "frame") else values)
        if name in layer.rows and layer.mark != "upright"
    ]
    return _channel(axis, "y", found)


def _ends(axis: Axis, found: list[pd.Series]) -> tuple[float, float]:
    """Least and largest value of an axis: its own, or where the points are."""
    values = np.concatenate([np.asarray(each, np.float64) for each in found]) if found else np.zeros(0)
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


def _channel(axis: Axis, field: str, found: list[pd.Series]) -> dict[str, Any]:
    """A channel: field, scale with its ends, and axis."""
    if axis.scale == "words":
        return {"field": field, "type": "ordinal", "title": axis.label, "sort": None, "axis": {"labelAngle": 0}}
    ends = _ends(axis, found)
    scale: dict[str, Any] = {"type": axis.scale, "domain": list(ends), "nice": False}
    if axis.scale == "symlog":
        scale["constant"] = axis.linear_below
    if axis.scale == "linear":
        scale["zero"] = False
    ticks = axis.ticks or _decades(axis, *ends)
    chosen: dict[str, Any] = {"values": list(ticks)} if ticks else {"tickCount": 5}
    return {
        "field": field,
        "type": "quantitative",
        "title": axis.label,
        "scale": scale,
        "axis": {"format": NUMBERS, **chosen},
    }


def _decades(axis: Axis, low: float, high: float) -> tuple[float, ...]:
    """Ticks of a logarithmic axis, of which a chart would choose few: 1, 2 and 5 in a short one, else decades."""
    if axis.scale not in ("log", "symlog"):
        return ()
    least = max(low, axis.linear_below) if axis.scale == "symlog" else low
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(max(high, least))) + 1)
    leading = (1, 2, 5) if high / least < 300 else (1,)
    every = max(1, math.ceil(len(powers) / 7))
    ticks = [first * 10.0**power for power in powers[::every] for first in leading]
    found = [tick for tick in ticks if least * 0.999 <= tick <= high * 1.001]
    return (*([-tick for tick in reversed(found)] if low < -least else []), *([0.0] if low <= 0 else []), *found)
