"""Cells of a map: rectangles around the points of a grid."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from gating.page.figures import Axis
from gating.page.text_table import whole
from theory.validation import Floats

__all__ = ["borders", "map_axis", "map_cells"]

SCALES: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "linear": (np.asarray, np.asarray), "log": (np.log2, np.exp2), "sqrt": (np.sqrt, np.square)
}  # fmt: skip
"""Scales on which numbers stand, and their inverses."""


def map_axis(label: str, values: Sequence[Any]) -> Axis:
    """The axis of a map: of words where the values are, logarithmic where they stand about as far apart in ratio.

    Example:
        >>> map_axis("N", [1, 10, 100, 1000]).scale, map_axis("p", [0.5, 0.6]).scale, map_axis("law", ["a", "b"]).scale
        ('log', 'linear', 'words')
    """
    if isinstance(values[0], str):
        return Axis(label, scale="words")
    at = np.asarray(values, np.float64)
    log = len(at) > 2 and (at > 0).all() and at[-1] / at[0] > 30 and at[-1] - at[-2] > 5 * (at[1] - at[0])
    scale: Literal["log", "linear"] = "log" if log else "linear"
    ends = borders(at, scale)
    return Axis(label, float(ends[0]), float(ends[-1]), scale)


def borders(at: Floats, scale: str) -> Floats:
    """Borders of cells around ascending places, half way between them on a scale.

    Example:
        >>> borders(np.array([1.0, 2.0, 4.0]), "linear").tolist()
        [0.5, 1.5, 3.0, 5.0]
    """
    if len(at) == 1:
        return at + np.array([-0.5, 0.5]) * (abs(at[0]) or 1.0)
    to, back = SCALES[scale]
    at = to(at)
    between = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - between[0]], between, [2 * at[-1] - between[-1]]])
    return back(np.maximum(edges, 0.0) if scale == "sqrt" else edges)


def map_cells(grid: pd.DataFrame, x: Axis, y: Axis) -> pd.DataFrame:
    """Rows of a layer of cells: neighbours in a line that have the same value are one cell.

    Args:
        grid: values, by ``y`` in lines and ``x`` in columns, both ascending; missing where there is no cell.
        x: axis of the columns, of `map_axis`.
        y: axis of the lines.
    """
    values = grid.to_numpy(np.float64)
    words, places, lines = x.scale == "words", _places(grid.columns, x), _places(grid.index, y)
    rows = []
    for line, row in enumerate(values):
        changes = np.flatnonzero((row[1:] != row[:-1]) | words) + 1
        for start, end in zip([0, *changes], [*changes, len(row)], strict=True):
            if not np.isnan(row[start]):
                across = {"x": places[start]} if words else {"x": places[start], "x2": places[end]}
                up = {"low": lines[line]} if y.scale == "words" else {"low": lines[line], "high": lines[line + 1]}
                ends = dict.fromkeys((_said(grid.columns[start]), _said(grid.columns[end - 1])))
                said = f"{x.label} {' to '.join(ends)}; {y.label} {_said(grid.index[line])}"
                rows.append({**across, **up, "value": row[start], "said": said})
    return pd.DataFrame(rows)


def _places(values: pd.Index, axis: Axis) -> list[Any]:
    """Words, or the borders around numbers."""
    return list(values) if axis.scale == "words" else list(borders(values.to_numpy(np.float64), axis.scale))


def _said(value: Any) -> str:
    """A place on an axis in words."""
    return value if isinstance(value, str) else whole(float(value)) if value >= 100 else f"{value:.3g}"
