"""Page of the study `phases`."""

from __future__ import annotations

import pandas as pd

from gating.report.figures import MapSpec, Settings, Study
from gating.report.names import GROUPS, MEASURES
from gating.report.query import select
from gating.report.tables import Block, TextTable

__all__ = ["PHASES"]

SHARES = {"share_icl": "certified ICL", "share_iwl": "certified IWL", "share_undecided": "undecided"}


def share_table(rows: pd.DataFrame) -> TextTable:
    """Share of the points of each group in each phase."""
    shares = select(rows, {"measure": tuple(SHARES)}).set_index(["group", "measure"])["value"]
    groups = [group for group in GROUPS if group in shares.index.get_level_values(0)]
    body = [(GROUPS[group], *(f"{shares[group, measure]:.4f}" for measure in SHARES)) for group in groups]
    return TextTable(("share of points", *SHARES.values()), tuple(body))


def _results(summary: pd.DataFrame, settings: Settings) -> list[Block]:
    measure = str(settings["measure"])
    title = f"Loss: {MEASURES.get(measure, measure)}; context: {settings['context']}; bounds: {settings['bounds']}"
    return [Block(title, (("Share of points in each phase", share_table(summary)),))]


def _text(table: pd.DataFrame) -> str:
    points = select(table, {"measure": "phase"})
    n_points = len(points) // max(points["group"].nunique(), 1)
    return f"Certified phases of {n_points:,} points for each group.\n\n{share_table(table)}"


PHASES = Study(
    title="Certified phases: where in-context, where in-weight learning must win",
    question="In which settings is copying from the context sure to beat every in-weight predictor, in which is the"
    " tabular in-weight predictor sure to beat the context, and which can the bounds not decide?",
    systems=(),
    figures=(
        MapSpec(
            name="phases",
            title="Certified phases",
            look="Each cell is one setting; the certificate is a pair of bounds that do not overlap. Compare frequent"
            " with rare classes: the same N may be in-weight for the first and in-context for the second.",
        ),
    ),
    terms=(
        ("Certified ICL", "The upper bound of the in-context risk is below what every in-weight predictor must pay."),
        ("Certified IWL", "The upper bound of the tabular in-weight risk is below the in-context lower bound."),
        ("Undecided", "The bounds overlap. Tighter bounds can turn such a point into either phase, never the reverse."),
        ("Frequent and rare classes", "The group of the query's class. Risks are means over the group by frequency."),
    ),
    results_title="Shares",
    results=_results,
    text=_text,
    all_rows=False,
)
"""The page of the study `phases`."""
