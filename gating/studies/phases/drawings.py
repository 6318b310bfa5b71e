"""Maps of certified phases over two parameters, as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch
from numpy.typing import NDArray

from gating.page.canvas import canvas
from gating.page.draw import UNDECIDED
from gating.results.query import select
from gating.studies.vocabulary import GROUPS

__all__ = ["draw_map"]

PHASE_COLOURS = {-1: "#6baed6", 0: UNDECIDED, 1: "#f5a667"}
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


def draw_map(title: str, table: pd.DataFrame, x: str, y: str) -> str:
    """The map as SVG text; the same input gives the same text.

    Args:
        title: its title.
        table: rows with the measure ``phase``: 1 certified ICL, -1 certified IWL, 0 undecided.
        x: column of the horizontal axis.
        y: column of the vertical axis.
    """
    points = select(table, {"measure": "phase"})
    groups = [group for group in GROUPS if (points["group"] == group).any()]
    with canvas(PANEL * len(groups) + 0.6, PANEL + 0.7) as (figure, text):
        panels = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
        figure.suptitle(title)
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, select(points, {"group": group}), x, y)
            axes.set_title(GROUPS[group])
            axes.set_xlabel(AXIS_NAMES.get(x, x))
        panels[0].set_ylabel(AXIS_NAMES.get(y, y))
        patches = [Patch(facecolor=PHASE_COLOURS[code], label=name) for code, name in PHASE_NAMES.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    return text.getvalue()


def _panel(axes: Axes, points: pd.DataFrame, x: str, y: str) -> None:
    columns = [points[name].tolist() for name in (x, y)]
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
