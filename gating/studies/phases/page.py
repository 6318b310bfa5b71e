"""Page of the study `phases`."""

import numpy as np
import pandas as pd

from gating.page.cells import map_axis, map_cells
from gating.page.figures import Block, Figure, Layer, Page, Panel
from gating.page.names import in_order
from gating.page.said import in_lines, listed
from gating.page.text_table import TextTable, whole
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import select
from gating.studies.phases.config import PhasesConfig
from gating.studies.vocabulary import GROUPS
from theory.phases import ICL, IWL, UNDECIDED

__all__ = ["SHARES", "phases_page", "phases_text", "phases_verdict"]

SHARES = {"share_icl": ICL, "share_iwl": IWL, "share_undecided": UNDECIDED}
"""Share of the points in a phase, and the phase."""
WORDS = page_words("gating.studies.phases")
SEE = {"told": "are told the class of each query", "noisy": "see noisy inputs and are never told a class"}
MUST = {ICL: "from context", IWL: "from weights"}


def share_table(rows: pd.DataFrame) -> TextTable:
    """Share of the points of each group in each phase."""
    shares = select(rows, {"measure": tuple(SHARES)}).set_index(["group", "measure"])["value"]
    groups = in_order(shares.index.get_level_values(0), GROUPS)
    body = [(GROUPS[group], *(f"{shares[group, measure]:.4f}" for measure in SHARES)) for group in groups]
    return TextTable(("share of points", *(measure_of(name).meaning for name in SHARES)), tuple(body))


def grid_of(table: pd.DataFrame, config: PhasesConfig, group: str) -> pd.DataFrame:
    """Phases of a group by ``y`` and ``x``, in the order of the settings."""
    points = select(table, {"measure": "phase", "group": group})
    x, y = config.x.column, config.y.column
    return points.pivot(index=y, columns=x, values="value").reindex(
        index=points[y].unique(), columns=points[x].unique()
    )


def phase_map(config: PhasesConfig, table: pd.DataFrame) -> Figure:
    """The map: a panel for each group of classes."""
    words, names = WORDS.figures["phases"], WORDS.said
    grids = {group: grid_of(table, config, group) for group in groups_of(table)}
    first = next(iter(grids.values()))
    x = map_axis(names.get(config.x.column, config.x.column), list(first.columns))
    y = map_axis(names.get(config.y.column, config.y.column), list(first.index))
    panels = []
    for group, grid in grids.items():
        cells = map_cells(grid, x, y)
        looks = WORDS.looks
        layers = [Layer(looks[name], rows, "cells")
                  for name, phase in SHARES.items() if len(rows := cells[cells["value"] == phase])]  # fmt: skip
        panels.append(Panel("", GROUPS[group], y, tuple(layers)))
    return Figure(words["name"], words["title"], (words["look"],), x, tuple(panels), len(panels))


def groups_of(table: pd.DataFrame) -> list[str]:
    """Groups of classes of a table, in order."""
    return in_order(select(table, {"measure": "phase"})["group"], GROUPS)


def phases_verdict(config: PhasesConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What is certified where: the shares of each group, and where its first and last line change."""
    groups = groups_of(table)
    said = []
    for group in [group for group in groups if group != "all"] or groups:
        grid = grid_of(table, config, group)
        values = grid.to_numpy(np.float64)
        values = values[~np.isnan(values)]
        context, weights, open_ = (_percent(float((values == phase).mean())) for phase in SHARES.values())
        said.append(
            f"{GROUPS[group].capitalize()}: answers must come from the context in {context} of the settings on the "
            f"map, from the weights in {weights}; in {open_} the bounds do not decide. {_borders(config, grid)}"
        )
    if not said:
        said.append("The table has no points of the map: nothing can be said.")
    loss = f"by {measure_of(config.measure).meaning}, {config.context.replace('_', ' ')} contexts"
    said.append(
        f"This is theory {loss}, for in-weight predictors that {SEE[config.inputs]}; "
        "shares are of the settings that are drawn, and change with the ends of the map."
    )
    return tuple(said)


def _percent(share: float) -> str:
    """A share in per cent, which is 0% or 100% only where it is none or all."""
    if 0 < share < 0.005 or 0.995 < share < 1:
        return "less than 1%" if share < 0.5 else "more than 99%"
    return f"{100 * share:.0f}%"


def _borders(config: PhasesConfig, grid: pd.DataFrame) -> str:
    """Where along the horizontal axis the first and the last line of a map change."""
    name = WORDS.said.get(config.y.column, config.y.column).rpartition(", ")[2]
    parts = []
    for line in dict.fromkeys((0, len(grid) - 1)):
        row, value = grid.iloc[line], grid.index[line]
        at = [(MUST[phase], _stretch(row, phase)) for phase in MUST]
        found = listed([f"{where} {stretch}" for where, stretch in at if stretch]) or "nothing is certain"
        parts.append(f"at {name} = {value if isinstance(value, str) else f'{value:g}'}: {found}")
    words = WORDS.said.get(config.x.column, config.x.column)
    return f"Along {words}, {'; '.join(parts)}."


def _stretch(row: pd.Series, phase: int) -> str:
    """Where a line of the map has a phase, in words; empty where nowhere, or not in one piece."""
    places = [place for place, value in enumerate(row) if value == phase]
    if places and isinstance(row.index[0], str):  # words have no order
        return "throughout" if len(places) == len(row) else f"for {listed([row.index[place] for place in places])}"
    if not places or places[-1] - places[0] + 1 != len(places):
        return "in several pieces" if places else ""
    first, last = (whole(at) if (at := float(row.index[place])) >= 10 else f"{at:.3g}"
                   for place in (places[0], places[-1]))  # fmt: skip
    if places[0] == 0:
        return "throughout" if places[-1] == len(row) - 1 else f"up to {last}"
    return f"from {first}" if places[-1] == len(row) - 1 else f"from {first} to {last}"


def phases_page(question: str, config: PhasesConfig, table: pd.DataFrame) -> Page:
    """The page of the study `phases`."""
    title = f"Loss: {measure_of(config.measure).meaning}; context: {config.context}; bounds: {config.bounds}"
    title += f"; in-weight predictors {SEE[config.inputs]}"
    return Page(
        title=WORDS.title,
        question=question,
        systems=(),
        figures=(phase_map(config, table),),
        terms=WORDS.terms,
        blocks=(Block(title, (("Share of points in each phase", share_table(table)),)),),
        verdict=phases_verdict(config, table),
        results_title="Shares",
    )


def phases_text(config: PhasesConfig, table: pd.DataFrame) -> str:
    """What is certified where, and shares, for a terminal."""
    points = select(table, {"measure": "phase"})
    n_points = len(points) // max(points["group"].nunique(), 1)
    said = in_lines(phases_verdict(config, table))
    return f"{said}\n\nCertified phases of {n_points:,} points for each group.\n\n{share_table(table)}"
