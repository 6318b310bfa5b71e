"""Maps of certified phases over two parameters, as SVG text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch

from gating.page.canvas import canvas
from gating.page.draw import UNDECIDED
from gating.page.names import in_order
from gating.page.words import page_words
from gating.results.query import select
from gating.studies.vocabulary import GROUPS
from theory.validation import Floats

__all__ = ["draw_map"]

AXIS_NAMES = page_words("gating.studies.phases").said
"""What the fields of the data are called along an axis."""
PHASES = {
    1: ("certified in-context (ICL)", "#f5a667"),
    0: ("undecided", UNDECIDED),
    -1: ("certified in-weight (IWL)", "#6baed6"),
}
"""Name and colour of each phase, in the order of the legend."""
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
    groups = in_order(points["group"], GROUPS)
    with canvas(PANEL * len(groups) + 0.6, PANEL + 0.7) as (figure, text):
        panels = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
        figure.suptitle(title)
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, select(points, {"group": group}), x, y)
            axes.set_title(GROUPS[group])
            axes.set_xlabel(AXIS_NAMES.get(x, x))
        panels[0].set_ylabel(AXIS_NAMES.get(y, y))
        patches = [Patch(facecolor=colour, label=name) for name, colour in PHASES.values()]
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    return text.getvalue()


def _panel(axes: Axes, points: pd.DataFrame, x: str, y: str) -> None:
    x_values, y_values = (points[name].unique().tolist() for name in (x, y))
    phases = points.pivot(index=y, columns=x, values="value").reindex(index=y_values, columns=x_values)
    x_at, y_at = _places(x_values), _places(y_values)
    colours = ListedColormap([PHASES[code][1] for code in sorted(PHASES)])
    norm = BoundaryNorm([-1.5, -0.5, 0.5, 1.5], colours.N)
    axes.grid(False)
    axes.pcolormesh(_edges(x_at), _edges(y_at), phases.to_numpy(np.float64), cmap=colours, norm=norm, rasterized=True)
    if _is_log(x_at):
        axes.set_xscale("log")
    if _is_log(y_at):
        axes.set_yscale("log")
    if isinstance(x_values[0], str):
        axes.set_xticks(x_at, x_values)
    if isinstance(y_values[0], str):
        axes.set_yticks(y_at, y_values)


def _places(values: Sequence[Any]) -> Floats:
    """Where values stand on an axis; words stand at 0, 1, 2 ..."""
    return np.array(range(len(values)) if isinstance(values[0], str) else values, dtype=np.float64)


def _is_log(at: Floats) -> bool:
    """Whether places are positive and stand about as far apart in ratio."""
    return len(at) >= 3 and bool((at > 0).all() and at[-1] / at[0] > 30 and at[-1] - at[-2] > 5 * (at[1] - at[0]))


def _edges(at: Floats) -> Floats:
    """Borders of the cells around places."""
    if len(at) == 1:
        return np.array([-0.5, 0.5]) * (abs(at[0]) or 1.0) + at
    log = _is_log(at)
    at = np.log(at) if log else at
    between = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - between[0]], between, [2 * at[-1] - between[-1]]])
    return np.exp(edges) if log else edges
