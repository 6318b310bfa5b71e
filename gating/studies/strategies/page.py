"""Page of the study `strategies`: memorizing or generalizing, through training, and how well gates predict it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from gating.page.cells import borders
from gating.page.figures import Axis, Figure, Layer, Page, Panel
from gating.page.multiples import DASHED, DOTTED, points
from gating.page.names import GREY, INK, SHAPES, System, declare_systems, in_order, system_of
from gating.page.said import in_lines
from gating.page.text_table import with_ends
from gating.results.columns import measure as measure_of
from gating.results.query import seeds_phrase, select
from gating.results.table import summarise
from gating.studies.strategies import page_tables as tables
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.page_tables import GATES, KINDS, WORDS, described, steps_of, widths
from gating.studies.strategies.verdict import strategies_verdict
from gating.studies.vocabulary import SYSTEMS
from theory.validation import Floats

__all__ = ["strategies_page", "strategies_text", "strategy_cells"]

TRANSFORMER = declare_systems({"transformer": SYSTEMS["transformer"]})
SHADES = ("#d55e00", "#f3c9a5", "#f4f4f2", "#a9cbe4", "#0072b2")
"""From orange, generalizing in context, to blue, memorizing in weights."""
RAMP = ["2e46bb", "664cac", "8a539f", "aa5792", "cf5586", "ec577b", "ed726e", "dd9360", "d3ab50", "cebf3e", "cad224"]
"""From few to many training tasks; colour-blind readers tell any two apart."""
MOST_POINTS = 30  # measured points of a curve; more would hide the predicted line
TICKS = (0.0, 0.05, 0.2, 0.5, 1.0)  # fractions of the last step, about evenly spaced in the square root


def strategies_page(question: str, config: StrategiesConfig, table: pd.DataFrame) -> Page:
    """The page of the study `strategies`."""
    return Page(
        title=WORDS.title,
        question=question,
        systems=(*TRANSFORMER, *GATES),
        figures=tuple(figure for figure in _figures(config, table) if figure.panels),
        terms=WORDS.terms,
        blocks=tuple(tables.strategies_blocks(table)),
        verdict=strategies_verdict(config, table),
        intervals=f"{WORDS.said['over_runs']} {WORDS.said['held_fixed']}",
        results_title="Results",
    )


def strategies_text(config: StrategiesConfig, table: pd.DataFrame) -> str:
    """What came out; agreement of the posterior, its parameters, exponents and thresholds. Cells are on the page."""
    parameters = tables.parameter_table(select(table, {"system": "posterior"}))
    found = (tables.posterior_table(table), parameters, tables.exponent_table(table))
    return "\n\n".join([in_lines(strategies_verdict(config, table)), WORDS.said["over_runs"], *map(str, found)])


def strategy_cells(table: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """Relative distance and predicted weight of every checkpoint, means over the seeds that M and G describe there.

    Args:
        table: rows of the study.
        distribution: kind of test sequences that the distance was measured on.

    Returns:
        One row for each ``mlp_factor``, ``n_tasks`` and ``step``: ``value`` with its interval ``low`` to ``high`` over
        ``seeds``; ``weight`` with ``weight_low`` and ``weight_high``, means of the ends of its bootstrap interval;
        ``held``, whether the fit has not seen the cell. Numbers are missing where no seed is described.
    """
    keys = ["mlp_factor", "n_tasks", "step"]
    weights = select(table, {"system": "posterior", "measure": "weight"}).groupby(keys)[["value", "low", "high"]].mean()
    ends = weights.add_prefix("weight_").rename(columns={"weight_value": "weight"})
    found = summarise(described(table, distribution)).join(ends, on=keys)
    return found.assign(held=found["group"] != "in_fit").sort_values(keys)


def _figures(config: StrategiesConfig, table: pd.DataFrame) -> Iterator[Figure]:
    """Figures of the page, the maps first."""
    kinds = in_order(select(table, {"measure": "relative_distance"})["distribution"], KINDS)
    cells, said = {kind: strategy_cells(table, kind) for kind in kinds}, WORDS.said
    seeds = [str(seed) for seed in sorted(table["seed"].dropna().unique())]
    made = f"Task {config.task}, dimension {config.dim}, length {config.length}; seeds {', '.join(seeds)}."
    last, least, most = float(table["step"].max()), config.n_tasks[0] / 1.2, config.n_tasks[-1] * 1.2
    diversity = Axis("training tasks D", least, most, "log", config.n_tasks)
    ticks = (float(f"{share * last:.1g}") for share in TICKS)
    steps = Axis("training steps (square-root scale)", 0, last, "sqrt", tuple(tick for tick in ticks if tick <= last))
    if "ibd" in cells:
        shades = Axis(said["shades"], 0, 1), SHADES
        yield _figure("strategy-maps", steps, _maps(cells["ibd"], diversity), said["means"], made, shades=shades)
    for kind, of_kind in cells.items():
        words = said["paths"], seeds_phrase(of_kind)
        yield _figure(f"strategy-paths-{kind}", steps, _paths(of_kind), *words, legend=said["looks"])
    times = select(table, {"measure": "transition_time", "answer": True})
    yield _figure("transition-times", diversity, _times(times, last), said["times"])
    means = summarise(select(table, {"system": ("memorizing", "generalizing"), "answer": False}))
    yield _figure("losses-and-lengths", diversity, _predictors(means), seeds_phrase(means))


def _figure(name: str, x: Axis, panels: Iterator[Panel], *sentences: str, **more: Any) -> Figure:
    """A figure with its own words and further sentences; at most two panels are beside each other."""
    words, drawn = WORDS.figures[name], tuple(panels)
    return Figure(name, words["title"], (words["look"], *sentences), x, drawn, min(len(drawn), 2), **more)


def _rule(name: str, mark: Any, dash: tuple[float, ...], at: float) -> Layer:
    """A thin line across or upright."""
    place = pd.DataFrame({"x": [at], "value": [at], "said": [f"{at:,g}"]})
    return Layer(System(name, "", INK, dash=dash), place, mark)


def _maps(cells: pd.DataFrame, diversity: Axis) -> Iterator[Panel]:
    """Measured relative distance beside the predicted weight of M over step and D, a row of panels for each width."""
    for heading, mine in widths(cells):
        x, x2 = _ends(mine["step"], "sqrt")
        low, high = _ends(mine["n_tasks"], "log")
        y, shared = diversity._replace(low=low.min(), high=high.max()), mine[["n_tasks"]]
        shared = shared.assign(x=x, x2=x2, low=low, high=high)
        frames = Layer(System("frame", "", GREY), _frames(shared[mine["held"] & mine["weight"].notna()]), "frame")
        for column, of, name in (("value", "", "measured"), ("weight", "weight_", "predicted")):
            parts = mine[["n_tasks", "step", column, f"{of}low", f"{of}high"]].itertuples(index=False)
            said = [f"D = {d:,}, step {step:,}: {with_ends(*ends)}" for d, step, *ends in parts]
            shown = shared.assign(value=mine[column], said=said).dropna(subset="value")
            yield Panel(heading, name, y, (Layer(System(name, "", GREY), shown, "cells"), frames))


def _ends(at: pd.Series, scale: str) -> tuple[Floats, Floats]:
    """Lower and upper borders of the cells of rows."""
    places, index = np.unique(at.to_numpy(np.float64), return_inverse=True)
    edges = borders(places, scale)
    return edges[index], edges[index + 1]


def _frames(held: pd.DataFrame) -> pd.DataFrame:
    """A frame round the held-out cells of each D, or of neighbours where they are the same steps."""
    around = {"x": "min", "x2": "max", "low": "min", "high": "max"}
    ends = held.groupby("n_tasks").agg(around)
    before = ends.shift()
    apart = (ends["x"] != before["x"]) | (ends["x2"] != before["x2"]) | (ends["low"] != before["high"])
    return ends.groupby(apart.cumsum()).agg(around)


def _paths(cells: pd.DataFrame) -> Iterator[Panel]:
    """Relative distance against steps, points measured and lines predicted, a look for each D."""
    y = Axis("0 = generalizing, 1 = memorizing", -0.04, 1.04, ticks=(0, 0.5, 1))
    looks = _looks(cells)
    late = select(cells, {"group": "held_out_steps"})["step"].min()
    rules = [_rule("half way", "across", DOTTED, 0.5)]
    rules += [_rule("from here on not seen by the fit", "upright", DASHED, late)] if pd.notna(late) else []
    for heading, mine in widths(cells):
        layers = []
        for n_tasks, look in looks.items():
            curve = select(mine, {"n_tasks": n_tasks}).dropna(subset="weight")
            few = curve.iloc[:: max(1, -(-len(curve) // MOST_POINTS))]
            line = curve[["step", "weight", "weight_low", "weight_high"]].set_axis(
                ["x", "value", "low", "high"], axis=1
            )
            layers += [Layer(look, points(few, "step"), "points"), Layer(look, line, "line")]
        held = ", held out" * bool(heading and mine["group"].eq("held_out_widths").any())
        yield Panel(heading + held, "", y, (*layers, *rules))


def _looks(cells: pd.DataFrame) -> dict[int, System]:
    """How each D looks; points of those that the fit has not seen are open."""
    found = sorted(cells["n_tasks"].unique())
    fitted, looks = set(cells.loc[~cells["held"], "n_tasks"]), {}
    for place, n_tasks in enumerate(found):
        colour = RAMP[round(place * (len(RAMP) - 1) / max(1, len(found) - 1))]
        name = f"D = {n_tasks:,}" + ", held out" * (n_tasks not in fitted)
        looks[n_tasks] = System(name, "", f"#{colour}", [*SHAPES][place % len(SHAPES)], n_tasks in fitted)
    return looks


def _times(times: pd.DataFrame, last: float) -> Iterator[Panel]:
    """Transition time over seeds against D, measured and predicted, a panel for each width; training ends at `last`."""
    said = [steps_of(row) for row in times.itertuples()]
    seen = times["value"].where(np.isfinite(times["value"]) & (times["value"] > 0))
    low, high = np.nanmin([last, seen.min()]) / 2, np.nanmax([last, seen.max()]) * 2
    shown = times.assign(value=seen, said=said, low=times["low"].clip(lower=low), high=times["high"].clip(upper=high))
    for heading, mine in widths(shown):
        layers = []
        for kind, system, mark in (("predicted", "posterior", "curve"), ("measured", "transformer", "points")):
            look = system_of(system)._replace(name=f"{system_of(system).name}, {kind}")
            rows = select(mine, {"kind": kind}).dropna(subset="value")
            layers.append(Layer(look, points(rows, "n_tasks", said="said"), mark))  # type: ignore[arg-type]
        y = Axis("transition time (steps)", low, high, "log")
        yield Panel(heading, "", y, (*layers, _rule("end of training", "across", DOTTED, last)))


def _predictors(means: pd.DataFrame) -> Iterator[Panel]:
    """Log losses, and description lengths, of M and G against D."""
    scales = {"log_loss": Axis("nats per answer"), "description_bits": Axis("bits", scale="log")}
    for measure, y in scales.items():
        of = {name: select(means, {"measure": measure, "system": name}) for name in ("memorizing", "generalizing")}
        layers = tuple(Layer(system_of(name), points(of[name], "n_tasks"), "curve") for name in of)
        yield Panel("", measure_of(measure).meaning.removesuffix(" (bits)").capitalize(), y, layers)
