"""Small multiples of curves, drawn from a `FigureSpec` and the summarised table, as SVG text."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gating.page.canvas import canvas
from gating.page.figures import Facet, FigureSpec, Mark, Row, Settings, YAxis
from gating.page.names import INK, in_order, known_systems, system_of
from gating.results.query import last_step, select, sizes

__all__ = [
    "IN_CONTEXT_THEORY",
    "IN_WEIGHT_THEORY",
    "PAPER",
    "REFERENCE_COLOUR",
    "UNDECIDED",
    "Panels",
    "draw",
    "panels",
]

IN_WEIGHT_THEORY, IN_CONTEXT_THEORY = "#0b2f5e", "#6e2c00"
"""Darker blue and orange: theory of in-weight and of in-context predictors."""
THEORY_COLOURS = {"tabular": IN_WEIGHT_THEORY, "any_in_weight": IN_WEIGHT_THEORY, "copying": IN_CONTEXT_THEORY}
UNDECIDED = "#d5d5da"
"""Grey of what is neither."""
PAPER = "#fefefe"
REFERENCE_COLOUR = "#8a8a92"
THEORY_LINES = {"exact": "-", "upper": "--", "lower": "--"}
X_LABELS = {"n": "training sequences N", "step": "training steps"}
MOST_MARKERS = 30  # points of a curve, beyond which it is drawn without markers
PANEL_WIDTH, PANEL_HEIGHT = 2.9, 2.0  # inches


class Panels(NamedTuple):
    """What a figure shows of a table: its rows and columns that hold data, and the data of each panel."""

    rows: tuple[Row, ...]
    columns: tuple[Facet, ...]
    cells: dict[tuple[int, int], pd.DataFrame]
    absent: tuple[str, ...]

    @property
    def data(self) -> pd.DataFrame:
        """Rows of every panel together."""
        return pd.concat(self.cells.values()).drop_duplicates()

    def places(self, mark: Mark) -> list[tuple[int, int]]:
        """The panels that a mark belongs to."""
        shown = {(i, j): {**self.rows[i].where, **self.columns[j].where} for i, j in self.cells}
        return [place for place, where in shown.items() if mark.where.items() <= where.items()]

    def spans(self, mark: Mark, x: str) -> bool:
        """Whether a mark lies between the least and the largest ``x`` drawn."""
        found = self.data[x].dropna()
        return bool(len(found)) and bool(found.min() <= mark.at <= found.max())


def panels(spec: FigureSpec, summary: pd.DataFrame) -> Panels | None:
    """The panels of a figure, without rows and columns that have nothing measured; None where nothing is.

    In a table of theory alone, panels that have any theory are kept.

    Args:
        spec: the figure.
        summary: rows as `gating.results.table.summarise` returns them.
    """
    kept = last_step(summary) if spec.x == "n" else summary
    if spec.systems:
        kept = select(kept, {"system": spec.systems})
    if not spec.theory:
        kept = select(kept, {"kind": "measured"})
    declared = spec.columns(summary)
    cells = {
        (i, j): select(kept, {**row.where, **column.where, "measure": tuple(t.measure for t in row.traces)})
        for i, row in enumerate(spec.rows)
        for j, column in enumerate(declared)
    }
    decides = {} if spec.theory and not (summary["kind"] == "measured").any() else {"kind": "measured"}
    filled = [place for place, cell in cells.items() if not select(cell, decides).empty]
    if not filled:
        return None
    row_places, column_places = (sorted(set(places)) for places in zip(*filled, strict=True))
    missing = [row for i, row in enumerate(spec.rows) if i not in row_places and not row.optional]
    absent = [row.label.replace("\n", ", ") for row in missing]
    absent += [column.label for j, column in enumerate(declared) if j not in column_places]
    return Panels(
        tuple(spec.rows[i] for i in row_places),
        tuple(declared[j] for j in column_places),
        {(a, b): cells[i, j] for a, i in enumerate(row_places) for b, j in enumerate(column_places)},
        tuple(absent),
    )


def draw(spec: FigureSpec, shown: Panels, settings: Settings) -> str:
    """The figure as SVG text; the same input gives the same text.

    Args:
        spec: the figure.
        shown: its panels, of `panels`.
        settings: resolved settings of the run, for reference lines.
    """
    count_rows, count_columns = len(shown.rows), len(shown.columns)
    width, height = max(PANEL_WIDTH * count_columns + 0.8, 7.0), PANEL_HEIGHT * count_rows + 1.7
    with canvas(width, height) as (figure, text):
        axes = figure.subplots(count_rows, count_columns, squeeze=False, sharex=True, sharey="row")
        figure.suptitle(spec.title)
        shift = _shifts(shown.data) if spec.x == "n" else {}
        handles: dict[str, Line2D] = {}
        for (i, j), cell in shown.cells.items():
            row = shown.rows[i]
            handles |= _reference(axes[i, j], row.axis, settings)
            handles |= _theory(axes[i, j], cell, spec)
            handles |= _measured(axes[i, j], cell, row, spec, shift)
        for mark in spec.marks:
            if shown.spans(mark, spec.x):
                handles |= _mark([axes[place] for place in shown.places(mark)], mark)
        _label(axes, spec, shown)
        _legend(figure, handles, spec)
    return text.getvalue()


def _shifts(data: pd.DataFrame) -> dict[str, float]:
    """Factor on N for each system, so that intervals at one N stand side by side: at most a seventh of the gap."""
    keys = in_order(data.loc[data["kind"] == "measured", "system"], known_systems())
    octaves = np.diff(np.log2(np.array(sizes(data), dtype=np.float64)))
    reach = min(octaves.min(initial=1.0), 1.0) / 7
    places = np.linspace(-1, 1, len(keys)) if len(keys) != 1 else np.zeros(1)
    return {key: float(2 ** (reach * place)) for key, place in zip(keys, places, strict=True)}


def _measured(axes: Axes, cell: pd.DataFrame, row: Row, spec: FigureSpec, shift: dict[str, float]) -> dict[str, Line2D]:
    """Curves of every system (or class) and trace, in the fixed order of systems; returns their legend entries."""
    measured = cell[cell["kind"] == "measured"]
    if cell.empty:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=REFERENCE_COLOUR)
    handles = {}
    for key in in_order(measured[spec.hue], spec.order or known_systems()):
        system = spec.look_of(key)
        for trace in row.traces:
            curves = select(measured, {spec.hue: key, "measure": trace.measure})
            if curves.empty:
                continue
            look: dict[str, Any] = {
                "color": system.colour,
                "marker": "" if trace.suffix or spec.lines or len(curves) > MOST_MARKERS else system.marker,
                "linewidth": 0.8 if spec.lines else None,
                "linestyle": trace.line,
                "markerfacecolor": system.colour if system.filled else PAPER,
            }
            for curve in [part for _, part in curves.groupby(spec.lines)] if spec.lines else [curves]:
                _curve(axes, curve, spec.x, look, shift.get(key))
            if trace.suffix:
                handles[trace.suffix] = Line2D([], [], color=REFERENCE_COLOUR, linestyle=trace.line)
            else:
                handles[system.name] = Line2D([], [], **look)
    return handles


def _curve(axes: Axes, curve: pd.DataFrame, x: str, look: dict[str, Any], shift: float | None) -> None:
    """A curve with its intervals: bars where it has a shift, else a band. Without steps: a horizontal line."""
    colour = look["color"]
    if x == "step" and curve["step"].isna().all():
        level, floor, ceiling = (float(curve[name].iloc[0]) for name in ("value", "low", "high"))
        axes.axhline(level, **{**look, "marker": "", "linewidth": 1.1, "zorder": 1.8})
        if np.isfinite(floor):
            axes.axhspan(floor, ceiling, color=colour, alpha=0.1, linewidth=0)
        return
    curve = curve.sort_values(x)
    at, value, low, high = (curve[name].to_numpy(dtype=np.float64) for name in (x, "value", "low", "high"))
    at = at * (shift or 1.0)
    axes.plot(at, value, **look)
    if not np.isfinite(low).any():
        return
    if shift or len(at) == 1:
        axes.vlines(at, low, high, color=colour, linewidth=1.1, alpha=0.6)
    else:
        axes.fill_between(at, low, high, color=colour, alpha=0.1, linewidth=0)


def _theory(axes: Axes, cell: pd.DataFrame, spec: FigureSpec) -> dict[str, Line2D]:
    """Exact risks and bounds, thin and without markers; over steps, horizontal lines."""
    handles, x = {}, spec.x
    theory = cell[cell["kind"] != "measured"]
    for (key, kind), curve in theory.sort_values([x, "n"]).groupby(["system", "kind"], sort=True):
        words = system_of(str(key)).name.partition(" (")[0]  # a legend has room for little more
        name = spec.theory_name or f"Theory, {words} ({'exact' if kind == 'exact' else 'bounds'})"
        look: dict[str, Any] = {
            "color": THEORY_COLOURS.get(str(key), REFERENCE_COLOUR),
            "linestyle": THEORY_LINES[str(kind)],
            "linewidth": 1.4 if len(theory) == len(cell) else 0.9,
        }
        if x == "step" and curve["step"].isna().all():
            axes.axhline(float(curve["value"].iloc[0]), zorder=1.7, **look)
        else:
            at, value = curve[x].to_numpy(dtype=np.float64), curve["value"].to_numpy()
            axes.plot(at, value, zorder=1.7, marker="" if len(at) > 1 else "_", **look)
        handles[name] = Line2D([], [], **look)
    return handles


def _reference(axes: Axes, axis: YAxis, settings: Settings) -> dict[str, Line2D]:
    value = axis.reference(settings) if axis.reference else None
    if value is None:
        return {}
    line = axes.axhline(value, color=REFERENCE_COLOUR, linestyle=(0, (1, 2)), linewidth=1.2, zorder=1.5)
    return {axis.reference_name: line}


def _mark(panels: Iterable[Axes], mark: Mark) -> dict[str, Line2D]:
    """A vertical line; its legend entry is upright too."""
    handles = {}
    for axes in panels:
        axes.axvline(mark.at, color=INK, linestyle=mark.line, linewidth=0.8, zorder=1.6)
        handles[mark.name] = Line2D([], [], color=INK, linestyle="", marker="|", markersize=11, markeredgewidth=0.8)
    return handles


def _label(axes: Any, spec: FigureSpec, shown: Panels) -> None:
    """Headings, axis labels, scales and limits."""
    for j, column in enumerate(shown.columns):
        axes[0, j].set_title(column.label)
        axes[-1, j].set_xlabel(spec.x_label or X_LABELS[spec.x])
    for i, row in enumerate(shown.rows):
        axes[i, 0].set_ylabel(f"{row.label}\n{row.axis.label}")
        if row.axis.scale == "symlog":
            axes[i, 0].set_yscale("symlog", linthresh=row.axis.linear_below, linscale=0.5)
        cells = [cell for (place, _), cell in shown.cells.items() if place == i]
        axes[i, 0].set_ylim(row.axis.low, _top(row.axis, cells) if row.axis.high is None else row.axis.high)
    found = {float(v) for cell in shown.cells.values() for v in cell[spec.x].dropna()}
    (_scale_n if spec.x == "n" else _scale_step)(axes[0, 0], found)


def _top(axis: YAxis, cells: Iterable[pd.DataFrame]) -> float:
    """Upper limit of an open axis: above every point, not above every interval."""
    highest = max(float(cell["value"].max()) for cell in cells if not cell.empty)
    return max(2 * highest if axis.scale == "symlog" else 1.05 * highest, 0.01)


def _scale_n(axes: Axes, found: Iterable[float]) -> None:
    """A log2 axis from the first positive N, with at most seven ticks, each a power of two."""
    positive = [n for n in found if n > 0] or [1.0]
    low, high = np.log2(min(positive)), np.log2(max(positive))
    margin = max(0.05 * (high - low), 0.5 if high == low else 0.3)
    every = max(1, round(np.ceil((high - low) / 6)))
    axes.set_xscale("log", base=2)
    axes.set_xticks([2.0**k for k in range(round(low), int(high) + 1, every)])
    axes.set_xticks([], minor=True)
    axes.set_xlim(2 ** (low - margin), 2 ** (high + margin))


def _scale_step(axes: Axes, found: Iterable[float]) -> None:
    """A log axis from the first positive step; step 0, where measured, sits left of it."""
    positive = [step for step in found if step > 0] or [1.0]
    low, high = min(positive), max(positive)
    leading = (1, 2, 5) if high / low <= 300 else (1,)
    ticks = [d * 10.0**k for k in range(8) for d in leading if low / 1.3 <= d * 10.0**k <= high * 1.3]
    if min(found, default=1.0) <= 0:
        axes.set_xscale("symlog", linthresh=low, linscale=0.3)
        left, ticks = -0.1 * low, [0.0, *ticks]
    else:
        axes.set_xscale("log")
        left = low / 1.3
    axes.set_xticks(ticks, [f"{step:,.0f}" for step in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(left, high * 1.3)


def _legend(figure: Figure, handles: dict[str, Line2D], spec: FigureSpec) -> None:
    """One legend under the panels: systems in their order, then theory and reference lines."""
    width = figure.get_figwidth()
    columns = max(1, min(4, int(width // 2.9), len(handles)))
    known = (spec.look_of(key).name for key in spec.order or known_systems())
    names = list(dict.fromkeys([*(name for name in known if name in handles), *handles]))
    figure.legend([handles[name] for name in names], names, loc="outside lower center", ncols=columns)
