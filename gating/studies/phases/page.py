"""Page of the study `phases`."""

import pandas as pd

from gating.page.figures import Drawing, Page
from gating.page.names import in_order
from gating.page.text_table import Block, TextTable
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import select
from gating.studies.phases.config import PhasesConfig
from gating.studies.phases.drawings import draw_map
from gating.studies.vocabulary import GROUPS
from theory.phases import ICL, IWL, UNDECIDED

__all__ = ["SHARES", "phases_page", "phases_text"]

SHARES = {"share_icl": ICL, "share_iwl": IWL, "share_undecided": UNDECIDED}
"""Share of the points in a phase, and the phase."""
WORDS = page_words("gating.studies.phases")


def share_table(rows: pd.DataFrame) -> TextTable:
    """Share of the points of each group in each phase."""
    shares = select(rows, {"measure": tuple(SHARES)}).set_index(["group", "measure"])["value"]
    groups = in_order(shares.index.get_level_values(0), GROUPS)
    body = [(GROUPS[group], *(f"{shares[group, measure]:.4f}" for measure in SHARES)) for group in groups]
    return TextTable(("share of points", *(measure_of(name).meaning for name in SHARES)), tuple(body))


def phases_page(question: str, config: PhasesConfig, table: pd.DataFrame) -> Page:
    """The page of the study `phases`."""
    title = f"Loss: {measure_of(config.measure).meaning}; context: {config.context}; bounds: {config.bounds}"
    words = WORDS.figures["phases"]
    svg = draw_map(words["title"], table, config.x.column, config.y.column)
    return Page(
        title=WORDS.title,
        question=question,
        systems=(),
        figures=(Drawing(words["name"], words["title"], svg, [words["look"]]),),
        terms=WORDS.terms,
        blocks=(Block(title, (("Share of points in each phase", share_table(table)),)),),
        results_title="Shares",
    )


def phases_text(table: pd.DataFrame) -> str:
    """Shares for a terminal."""
    points = select(table, {"measure": "phase"})
    n_points = len(points) // max(points["group"].nunique(), 1)
    return f"Certified phases of {n_points:,} points for each group.\n\n{share_table(table)}"
