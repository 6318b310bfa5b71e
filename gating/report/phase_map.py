"""Maps of certified phases over two parameters, as SVG text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch
from numpy.typing import NDArray

from gating.evaluation.table import read_setting
from gating.report.canvas import canvas
from gating.report.figures import MapSpec, Settings
from gating.report.names import GROUPS
from gating.report.query import select

__all__ = ["PHASE_COLOURS", "draw_map"]

PHASE_COLOURS = {-1: "#6baed6", 0: "#d5d5da", 1: "#f5a667"}
PHASE_NAMES = {1: "certified in-context (ICL)", 0: "undecided", -1: "certified in-weight (IWL)"}
AXIS_NAMES = {
    "n": "training sequences N",
    "p_high": "mass of frequent classes, p_high",
    "p_relevant": "probability of a relevant context",
    "context_length": "context length L",
    "label_noise": "label noise",
    "input_noise": "input noise",
    "dim": "input dimension d",
    "n_high": "number of frequent classes",
    "n_low": "number of rare classes",
    "zipf": "Zipf exponent",
}
PANEL = 3.6  # inches


def draw_map(spec: MapSpec, summary: pd.DataFrame, settings: Settings) -> str:
    """The map as SVG text, empty where the table has no phases; the same input gives the same text.

    Args:
        spec: the figure.
        summary: rows with the measure ``phase``: 1 certified ICL, -1 certified IWL, 0 undecided.
        settings: resolved settings of the run, whose ``x.field`` and ``y.field`` name the axes.
    """
    points = select(summary, {"measure": "phase"})
    groups = [group for group in GROUPS if (points["group"] == group).any()]
    if not groups:
        return ""
    x, y = settings["x"]["field"], settings["y"]["field"]
    with canvas(PANEL * len(groups) + 0.6, PANEL + 0.7) as (figure, text):
        panels = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
        figure.suptitle(spec.title)
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, select(points, {"group": group}), x, y)
            axes.set_title(GROUPS[group])
            axes.set_xlabel(AXIS_NAMES.get(x, x))
        panels[0].set_ylabel(AXIS_NAMES.get(y, y))
        patches = [Patch(facecolor=PHASE_COLOURS[code], label=name) for code, name in PHASE_NAMES.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    return text.getvalue()


def _panel(axes: Axes, points: pd.DataFrame, x: str, y: str) -> None:
    columns = [points["n"].tolist() if name == "n" else _setting_column(points, name) for name in (x, y)]
    x_values, y_values = (list(dict.fromkeys(column)) for column in columns)
    phases = np.full((len(y_values), len(x_values)), np.nan)
    across, up = ({value: place for place, value in enumerate(values)} for values in (x_values, y_values))
    for x_value, y_value, phase in zip(*columns, points["value"], strict=True):
        phases[up[y_value], across[x_value]] = phase
    colours = ListedColormap([PHASE_COLOURS[code] for code in sorted(PHASE_COLOURS)])
    norm = BoundaryNorm([-1.5, -0.5, 0.5, 1.5], colours.N)
    axes.grid(False)
    axes.pcolormesh(_edges(x_values), _edges(y_values), phases, cmap=colours, norm=norm, rasterized=True)
    for name, values in (("x", x_values), ("y", y_values)):
        _scale(axes, name, values)


def _setting_column(points: pd.DataFrame, name: str) -> list[Any]:
    """Values of a field of the data, lists as text so that they can be told apart."""
    values = [read_setting(text)[name] for text in points["setting"]]
    return [value if isinstance(value, (int, float, str)) else json.dumps(value) for value in values]


def _is_log(values: Sequence[Any]) -> bool:
    """Whether the values are positive numbers that stand about as far apart in ratio."""
    if len(values) < 3 or not all(isinstance(value, (int, float)) and value > 0 for value in values):
        return False
    numbers = np.array(values, dtype=np.float64)
    return bool(numbers[-1] / numbers[0] > 30 and np.diff(numbers)[-1] > 5 * np.diff(numbers)[0])


def _edges(values: Sequence[Any]) -> NDArray[np.float64]:
    """Borders of the cells around the values; words stand at 0, 1, 2 ..."""
    if not all(isinstance(value, (int, float)) for value in values):
        return np.arange(len(values) + 1, dtype=np.float64) - 0.5
    numbers = np.array(values, dtype=np.float64)
    if len(numbers) == 1:
        return np.array([-0.5, 0.5]) * (abs(float(numbers[0])) or 1.0) + numbers
    log = _is_log(values)
    at = np.log(numbers) if log else numbers
    between = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - between[0]], between, [2 * at[-1] - between[-1]]])
    return np.asarray(np.exp(edges) if log else edges, dtype=np.float64)


def _scale(axes: Axes, name: str, values: Sequence[Any]) -> None:
    if _is_log(values):
        (axes.set_xscale if name == "x" else axes.set_yscale)("log")
    elif not all(isinstance(value, (int, float)) for value in values):
        (axes.set_xticks if name == "x" else axes.set_yticks)(range(len(values)), [str(value) for value in values])
