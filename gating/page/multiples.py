"""Small multiples of curves, declared as queries on the summarised result table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from gating.page.captions import Shown, caption
from gating.page.figures import Axis, Figure, Layer, Page, Panel, Settings
from gating.page.names import GREY, INK, System, in_order, known_systems, system_of
from gating.results.query import last_step, select

__all__ = ["DASHED", "DOTTED", "Columns", "Facet", "Mark", "Multiples", "Row", "Trace", "YAxis", "drawn", "figures_of",
           "points"]  # fmt: skip

DASHED, DOTTED, DASH_DOTTED, LONG_DASHED = (6, 4), (1.5, 3), (6, 3, 1.5, 3), (13, 4)
"""Strokes and gaps of lines."""

X_LABELS = {"n": "training sequences N", "step": "training steps"}
MOST_STEPS = 16  # that a reader can choose from


class Facet(NamedTuple):
    """A column of panels: its heading and the rows of the table that it shows."""

    label: str
    where: Mapping[str, Any]


class Trace(NamedTuple):
    """A measure and the strokes of its line; `suffix` is its own entry in the legend, after the system's name."""

    measure: str
    dash: tuple[float, ...] = ()
    suffix: str = ""


class YAxis(NamedTuple):
    """A vertical axis, and a horizontal line that curves are compared with, computed from the settings."""

    axis: Axis
    reference: Callable[[Settings], float | None] | None = None
    reference_name: str = ""


class Row(NamedTuple):
    """A row of panels: its heading, the rows of the table that it shows, its measures and its axis.

    An `optional` row is left out without a word where the table has nothing for it.
    """

    label: str
    where: Mapping[str, Any]
    traces: tuple[Trace, ...]
    y: YAxis
    optional: bool = False


class Mark(NamedTuple):
    """A vertical line: where it stands, its entry in the legend, and the panels that it belongs to."""

    at: float
    name: str
    where: Mapping[str, Any]
    dash: tuple[float, ...] = DASH_DOTTED


Columns = Callable[[pd.DataFrame], tuple[Facet, ...]]
"""Columns of a figure, which may depend on what the table holds."""


@dataclass(frozen=True)
class Multiples:
    """A curve for each system and trace, in panels of rows and columns.

    Args:
        name: name of the figure.
        title: what it decides, and along which axis.
        look: what the reader should look at, for the caption.
        x: ``n`` (at the last step of each system, or one that the reader chooses) or ``step``.
        rows: rows of panels.
        columns: columns of panels; those without any data are left out.
        systems: systems to draw; an empty tuple draws every one in the table.
        theory: whether exact risks and bounds are drawn under the measured curves.
        theory_name: what the legend calls theory, where it is not exact risks and bounds of predictors.
        note: a sentence for the caption about theory or reference lines.
        hue: the column whose values colours tell apart.
        lines: a column that tells several thin lines of one colour apart, where there are some.
        look_of: how a value of that column looks.
        order: its values in the order of legends; that of the declared systems where it is empty.
        x_label: label of the horizontal axis, where it is not what ``x`` says.
        marks: vertical lines; those outside the drawn range are named in the caption instead.
    """

    name: str
    title: str
    look: str
    x: Literal["n", "step"]
    rows: tuple[Row, ...]
    columns: Columns
    systems: tuple[str, ...] = ()
    theory: bool = False
    theory_name: str = ""
    note: str = ""
    hue: str = "system"
    lines: str = ""
    look_of: Callable[[str], System] = system_of
    order: tuple[str, ...] = ()
    x_label: str = ""
    marks: tuple[Mark, ...] = ()


def drawn(spec: Multiples, systems: tuple[str, ...], summary: pd.DataFrame, settings: Settings) -> Figure | None:
    """The figure, without rows and columns that have nothing measured; None where nothing is.

    In a table of theory alone, panels that have any theory are kept.

    Args:
        spec: what is drawn.
        systems: systems that the study compares, for a figure that does not name its own.
        summary: rows as `gating.results.table.summarise` returns them, without answers.
        settings: resolved settings of the run, for reference lines.
    """
    steps = _steps(spec, summary)
    asked = _asked(spec, summary)
    kept = last_step(asked) if spec.x == "n" else asked
    declared = spec.columns(summary)
    cells = {(i, j): _cell(kept, row, column) for i, row in enumerate(spec.rows) for j, column in enumerate(declared)}
    decides = {} if spec.theory and not (summary["kind"] == "measured").any() else {"kind": "measured"}
    filled = [place for place, cell in cells.items() if not select(cell, decides).empty]
    if not filled:
        return None
    places = sorted({i for i, _ in filled}), sorted({j for _, j in filled})
    shown = {(i, j): cells[i, j] for i in places[0] for j in places[1]}
    data = pd.concat(shown.values()).drop_duplicates()
    missing = [row for i, row in enumerate(spec.rows) if i not in places[0] and not row.optional]
    absent = [row.label.replace("\n", ", ") for row in missing]
    absent += [column.label for j, column in enumerate(declared) if j not in places[1]]
    every = pd.concat([_at_steps(asked, steps), asked[asked["step"].isna()]]) if steps else kept
    panels = []
    for i, j in shown:
        row, column = spec.rows[i], declared[j]
        cell = _cell(every, row, column) if steps else shown[i, j]
        marks = [mark for mark in spec.marks if _spans(data, mark, spec.x) and _is_of(mark, row, column)]
        layers = [*_reference(row.y, settings), *_theory(cell, spec), *_measured(cell, row, spec), *_uprights(marks)]
        panels.append(Panel(row.label, column.label, row.y.axis, tuple(layers)))
    found = Shown(tuple((spec.rows[i], declared[j]) for i, j in shown), data, tuple(absent))
    within = [_spans(data, mark, spec.x) for mark in spec.marks]
    sentences = tuple(caption(spec, systems, found, settings, within))
    axis = _horizontal(spec, data)
    names = [spec.look_of(key).name for key in spec.order or known_systems()]
    order = tuple(name for known in names for name in _entries(panels) if name.partition(": ")[0] == known)
    return Figure(spec.name, spec.title, sentences, axis, tuple(panels), len(places[1]), steps=steps, order=order)


def _entries(panels: list[Panel]) -> list[str]:
    return list(dict.fromkeys(layer.look.name for panel in panels for layer in panel.layers))


def figures_of(page: Page, summary: pd.DataFrame, settings: Settings) -> tuple[tuple[Figure, ...], tuple[str, ...]]:
    """The figures of a page, and titles of those that the table has no rows for.

    Args:
        page: the page.
        summary: rows as `gating.results.table.summarise` returns them, without answers.
        settings: resolved settings of the run.
    """
    found = [
        figure if isinstance(figure, Figure) else drawn(figure, page.systems, summary, settings)
        for figure in page.figures
    ]
    missing = tuple(given.title for given, figure in zip(page.figures, found, strict=True) if figure is None)
    return tuple(figure for figure in found if figure), missing


def _asked(spec: Multiples, summary: pd.DataFrame) -> pd.DataFrame:
    """Rows of what the figure draws at any step."""
    kept = select(summary, {"system": spec.systems}) if spec.systems else summary
    return kept if spec.theory else select(kept, {"kind": "measured"})


def _cell(rows: pd.DataFrame, row: Row, column: Facet) -> pd.DataFrame:
    return select(rows, {**row.where, **column.where, "measure": tuple(trace.measure for trace in row.traces)})


def _is_of(mark: Mark, row: Row, column: Facet) -> bool:
    return mark.where.items() <= {**row.where, **column.where}.items()


def _spans(data: pd.DataFrame, mark: Mark, x: str) -> bool:
    """Whether a mark lies between the least and the largest ``x`` drawn."""
    found = data[x].dropna()
    return bool(len(found)) and bool(found.min() <= mark.at <= found.max())


def _steps(spec: Multiples, summary: pd.DataFrame) -> tuple[int, ...]:
    """Steps that the reader can choose from, of a figure over N; the last is where every system ends."""
    if spec.x != "n":
        return ()
    found = sorted(int(step) for step in select(_asked(spec, summary), {"kind": "measured"})["step"].dropna().unique())
    if len(found) < 2:
        return ()
    kept = np.unique(np.linspace(0, len(found) - 1, min(MOST_STEPS, len(found))).round().astype(int))
    return tuple(found[place] for place in kept)


def _at_steps(rows: pd.DataFrame, steps: tuple[int, ...]) -> pd.DataFrame:
    """At each step, the rows of the last step of each system and N up to there."""
    return pd.concat(last_step(rows[rows["step"] <= step]).assign(step=step) for step in steps)


def points(rows: pd.DataFrame, x: str, **others: str) -> pd.DataFrame:
    """Rows of a table as points of a layer.

    Args:
        rows: rows of the summarised table.
        x: the column of the horizontal axis.
        others: for another column of a layer, the one of the table.
    """
    wanted = {"x": x, **{name: name for name in ("value", "low", "high", "seeds", "step") if name != x}, **others}
    return pd.DataFrame({to: rows[name].array for to, name in wanted.items() if name in rows}).sort_values("x")


def _measured(cell: pd.DataFrame, row: Row, spec: Multiples) -> Iterator[Layer]:
    """Curves of every system (or class) and trace, in the fixed order of systems."""
    measured = cell[cell["kind"] == "measured"]
    of = dict(iter(measured.groupby([spec.hue, "measure"], sort=False)))
    for key in in_order(measured[spec.hue].dropna(), spec.order or known_systems()):
        look = spec.look_of(key)
        for trace in row.traces:
            curves = of.get((key, trace.measure))
            if curves is None:
                continue
            name = f"{look.name}: {trace.suffix}" if trace.suffix else look.name
            mine = look._replace(name=name, dash=trace.dash, shape="" if trace.suffix or spec.lines else look.shape)
            if spec.x == "step" and curves["step"].isna().all():
                level = mine._replace(dash=mine.dash or LONG_DASHED)  # which theory's may lie on
                yield Layer(level, points(curves, "step"), "across")
            else:
                shown = points(curves, spec.x, **({"line": spec.lines} if spec.lines else {}))
                yield Layer(mine, shown, "line" if spec.lines else "curve")


def _theory(cell: pd.DataFrame, spec: Multiples) -> Iterator[Layer]:
    """Exact risks and bounds, thin and without points; over steps, horizontal lines."""
    theory = cell[cell["kind"] != "measured"]
    for (key, kind), curve in theory.groupby(["system", "kind"], sort=True):
        system = system_of(str(key))
        words = system.name.partition(" (")[0]  # a legend has room for little more
        words = words[:1].lower() + words[1:]
        name = spec.theory_name or f"Theory, {words} ({'exact' if kind == 'exact' else 'bounds'})"
        look = System(name, "", GREY if spec.theory_name else system.colour, dash=() if kind == "exact" else DASHED)
        across = spec.x == "step" and curve["step"].isna().all()
        if across:
            curve = curve.drop_duplicates(["value"])
        yield Layer(look, points(curve.assign(kind=str(kind)), spec.x, line="kind"), "across" if across else "line")


def _reference(y: YAxis, settings: Settings) -> Iterator[Layer]:
    value = y.reference(settings) if y.reference else None
    if value is not None:
        rows = pd.DataFrame({"x": [np.nan], "value": [value]})
        yield Layer(System(y.reference_name, "", GREY, dash=DOTTED), rows, "across")


def _uprights(marks: list[Mark]) -> Iterator[Layer]:
    for mark in marks:
        rows = pd.DataFrame({"x": [mark.at], "value": [np.nan], "said": [f"{mark.at:,.6g}"]})
        yield Layer(System(mark.name, "", INK, dash=mark.dash), rows, "upright")


def _horizontal(spec: Multiples, data: pd.DataFrame) -> Axis:
    label = spec.x_label or X_LABELS[spec.x]
    found = sorted({float(value) for value in data[spec.x].dropna() if value > 0}) or [1.0]
    if spec.x == "n":
        low, high = np.log2(found[0]), np.log2(found[-1])
        every = max(1, round(np.ceil((high - low) / 4)))
        ticks = tuple(2.0**k for k in range(round(low), int(high) + 1, every))
        return Axis(label, scale="log", ticks=ticks)
    if (data["step"].dropna() <= 0).any():  # step 0 sits left of the first one
        few = (0.0, *found) if len(found) < 5 else ()
        return Axis(label, low=-0.1 * found[0], scale="symlog", ticks=few, linear_below=found[0])
    return Axis(label, scale="log")
