"""Figures of the study `strategies`: maps and paths of the strategy, transition times, losses and lengths."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from gating.page.canvas import canvas
from gating.page.draw import PAPER, REFERENCE_COLOUR
from gating.page.names import INK, system_of
from gating.results.query import select
from theory.validation import Floats

__all__ = ["draw_maps", "draw_paths", "draw_predictors", "draw_transitions"]

STRATEGY = LinearSegmentedColormap.from_list("strategy", ["#d55e00", "#f3c9a5", "#f4f4f2", "#a9cbe4", "#0072b2"])
"""From orange, generalizing in context, to blue, memorizing in weights."""
DIVERSITY = LinearSegmentedColormap.from_list("diversity", ["#3f6fd1", "#1f9e89", "#e0a100", "#cf4a30"])
"""From few to many training tasks; seen on white and on black."""
HATCH: dict[str, Any] = {"hatch": "////", "fill": False, "edgecolor": INK, "linewidth": 0.0, "alpha": 0.45}
MOST_DOTS = 30  # measured points of a curve; more would hide the predicted line
TICKS = (0.0, 0.05, 0.2, 0.5, 1.0)  # fractions of the last step, about evenly spaced in the square root
WIDTH, HEIGHT = 4.6, 3.0  # inches of a panel


def draw_maps(title: str, cells: pd.DataFrame) -> str:
    """Measured relative distance beside the predicted weight of M over step and D, a row for each width, as SVG text.

    Args:
        title: heading of the figure.
        cells: rows of `gating.studies.strategies.page.strategy_cells`.
    """
    factors = _factors(cells)
    with canvas(2 * WIDTH + 0.8, HEIGHT * len(factors) + 0.9) as (figure, text):
        figure.suptitle(title)
        panels = figure.subplots(len(factors), 2, squeeze=False, sharey=True)
        for row, factor in zip(panels, factors, strict=True):
            mine = select(cells, {"mlp_factor": factor})
            for axes, column, name in zip(row, ("value", "weight"), ("measured", "predicted"), strict=True):
                mesh = _map(axes, mine, column)
                axes.set_title(name + _of_width(factor, factors))
            row[0].set_ylabel("training tasks D")
        bar = figure.colorbar(mesh, ax=panels, shrink=0.9 / len(factors), aspect=30)
        bar.set_label("0 = generalizing G, 1 = memorizing M")
        bar.outline.set_visible(False)
        if cells["held"].any():
            figure.legend(handles=[Patch(**HATCH, label="not seen by the fit")], loc="outside lower center")
    return text.getvalue()


def _map(axes: Axes, cells: pd.DataFrame, column: str) -> matplotlib.collections.QuadMesh:
    values, held = (cells.pivot(index="n_tasks", columns="step", values=name) for name in (column, "held"))
    x, y = _edges(np.sqrt(values.columns.to_numpy(np.float64))), _edges(np.log2(values.index.to_numpy(np.float64)))
    shown = values.to_numpy(np.float64)
    axes.grid(False)
    mesh = axes.pcolormesh(x, y, shown, cmap=STRATEGY, vmin=0, vmax=1, rasterized=True)
    marked = held.to_numpy(bool) & np.isfinite(shown)
    for row in range(len(y) - 1):
        for start, end in np.flatnonzero(np.diff(marked[row], prepend=False, append=False)).reshape(-1, 2):
            axes.add_patch(Rectangle((x[start], y[row]), x[end] - x[start], y[row + 1] - y[row], **HATCH))
    _step_axis(axes, cells)
    axes.set_yticks(np.log2(values.index), [f"{d:,.0f}" for d in values.index])
    return mesh


def draw_paths(title: str, cells: pd.DataFrame) -> str:
    """Relative distance against steps, dots measured and lines predicted, a curve for each D, as SVG text.

    Args:
        title: heading of the figure.
        cells: rows of `gating.studies.strategies.page.strategy_cells`.
    """
    diversities = sorted(cells["n_tasks"].unique())
    colours = dict(zip(diversities, DIVERSITY(np.linspace(0, 1, len(diversities))), strict=True))
    with _by_width(title, cells, "0 = generalizing, 1 = memorizing") as (figure, text, panels):
        for axes, mine in panels:
            for n_tasks, colour in colours.items():
                _path(axes, select(mine, {"n_tasks": n_tasks}), colour)
            axes.axhline(0.5, color=REFERENCE_COLOUR, linestyle=(0, (1, 2)), linewidth=1.0)
            axes.set_ylim(-0.06, 1.06)
            _step_axis(axes, cells)
        handles = [Line2D([], [], color=colour, marker="o", label=f"D = {d:,.0f}") for d, colour in colours.items()]
        figure.legend(handles=handles, loc="outside right upper", title="dots measured,\nlines predicted")
    return text.getvalue()


def _path(axes: Axes, cells: pd.DataFrame, colour: NDArray[np.float64]) -> None:
    cells = cells[cells["weight"].notna()]
    x, weight, low, high = _columns(cells, "step", "weight", "weight_low", "weight_high")
    axes.plot(np.sqrt(x), weight, color=colour, marker="", linewidth=1.4)
    axes.fill_between(np.sqrt(x), low, high, color=colour, alpha=0.13, linewidth=0)
    few = cells.iloc[:: max(1, -(-len(cells) // MOST_DOTS))]
    for held, face in ((False, colour), (True, PAPER)):
        x, value, low, high = _columns(few[few["held"] == held], "step", "value", "low", "high")
        axes.vlines(np.sqrt(x), low, high, color=colour, linewidth=0.8, alpha=0.35)
        axes.plot(np.sqrt(x), value, color=colour, marker="o", markersize=3.6, markerfacecolor=face, linestyle="")


def draw_transitions(title: str, times: pd.DataFrame, last: float) -> str:
    """Transition time against D, measured and predicted, a panel for each width, as SVG text.

    Args:
        title: heading of the figure.
        times: transition times over seeds, rows of the table.
        last: last step of the training.
    """
    known = times["value"][np.isfinite(times["value"]) & (times["value"] > 0)]
    with _by_width(title, times, "transition time (steps)") as (figure, text, panels):
        for axes, mine in panels:
            axes.set_yscale("log")
            axes.axhline(last, color=REFERENCE_COLOUR, linestyle=(0, (1, 2)), linewidth=1.0, label="end of training")
            _predicted_times(axes, select(mine, {"kind": "predicted"}))
            _points(axes, select(mine, {"kind": "measured"}), "transformer", "measured")
            axes.set_ylim(min(known, default=last) / 2, 2 * max(known.max(), last) if len(known) else 2 * last)
            _diversity_axis(axes, times["n_tasks"])
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return text.getvalue()


def _predicted_times(axes: Axes, times: pd.DataFrame) -> None:
    x, value, low, high = _columns(times, "n_tasks", "value", "low", "high")
    drawn, look = np.isfinite(value) & (value > 0), system_of("posterior")
    x, low, high = np.log2(x[drawn]), low[drawn], high[drawn]
    axes.plot(x, value[drawn], color=look.colour, marker="", label="predicted")
    axes.fill_between(x, np.maximum(low, 1e-300), high, color=look.colour, alpha=0.2, linewidth=0)


def draw_predictors(title: str, losses: pd.DataFrame, lengths: pd.DataFrame) -> str:
    """Log losses, and description lengths, of M and G against D, as SVG text.

    Args:
        title: heading of the figure.
        losses: means over seeds of ``log_loss``, rows of `gating.results.table.summarise`.
        lengths: the same of ``description_bits``.
    """
    with canvas(2 * WIDTH, HEIGHT + 0.3) as (figure, text):
        figure.suptitle(title)
        left, right = figure.subplots(1, 2)
        for axes, rows in ((left, losses), (right, lengths)):
            for system in ("memorizing", "generalizing"):
                _points(axes, select(rows, {"system": system}), system, system_of(system).name, line="-")
            _diversity_axis(axes, rows["n_tasks"])
        left.set_ylabel("log loss (nats per answer)")
        right.set_ylabel("description length (bits)")
        right.set_yscale("log")
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return text.getvalue()


def _points(axes: Axes, rows: pd.DataFrame, system: str, label: str, line: str = "") -> None:
    """Means with intervals against D."""
    look = system_of(system)
    x, value, low, high = _columns(rows, "n_tasks", "value", "low", "high")
    axes.vlines(np.log2(x), low, high, color=look.colour, linewidth=1.1, alpha=0.6)
    axes.plot(np.log2(x), value, color=look.colour, marker=look.marker, linestyle=line, label=label)


def _columns(rows: pd.DataFrame, *names: str) -> list[Floats]:
    return [rows[name].to_numpy(np.float64) for name in names]


def _factors(rows: pd.DataFrame) -> list[float]:
    return sorted(rows["mlp_factor"].unique())


def _of_width(factor: float, factors: Sequence[float]) -> str:
    return f", MLP factor {factor:g}" if len(factors) > 1 else ""


@contextmanager
def _by_width(
    title: str, rows: pd.DataFrame, y_label: str
) -> Iterator[tuple[Figure, io.StringIO, list[tuple[Axes, pd.DataFrame]]]]:
    """A figure with a panel for each width, at most two side by side: `canvas`, and the panels with their rows."""
    factors = _factors(rows)
    columns = min(len(factors), 2)
    n_lines = -(-len(factors) // columns)
    with canvas((2 - 0.35 * (columns == 1)) * WIDTH, 1.25 * HEIGHT * n_lines) as (figure, text):
        figure.suptitle(title)
        grid = [*figure.subplots(n_lines, columns, squeeze=False, sharey=True).flat]
        for axes, factor in zip(grid, factors, strict=False):
            axes.set_title(_of_width(factor, factors).removeprefix(", "))
        for axes in grid[: len(factors) : columns]:
            axes.set_ylabel(y_label)
        for axes in grid[len(factors) :]:
            axes.remove()
        yield figure, text, [(axes, select(rows, {"mlp_factor": k})) for axes, k in zip(grid, factors, strict=False)]


def _step_axis(axes: Axes, cells: pd.DataFrame) -> None:
    """An axis of square roots of steps with steps as its labels."""
    last = float(cells["step"].max())
    ticks = [round(share * last) for share in TICKS]
    axes.set_xticks(np.sqrt(ticks), [f"{tick:,}" for tick in ticks])
    axes.set_xlim(0, 1.02 * last**0.5)
    axes.set_xlabel("training steps (square-root scale)")


def _diversity_axis(axes: Axes, n_tasks: pd.Series) -> None:
    """An axis of base-2 logarithms of D with D as its labels."""
    values = sorted(n_tasks.unique())
    axes.set_xticks(np.log2(values), [f"{value:,.0f}" for value in values])
    axes.set_xlabel("training tasks D")


def _edges(at: Floats) -> Floats:
    """Borders of cells around ascending places, half way between them."""
    if len(at) == 1:
        return at + np.array([-0.5, 0.5])
    between = (at[1:] + at[:-1]) / 2
    return np.concatenate([[1.5 * at[0] - at[1] / 2], between, [1.5 * at[-1] - at[-2] / 2]])
