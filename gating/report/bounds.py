"""Page of the study `bounds`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gating.report.compare import ERROR, LOG_LOSS
from gating.report.figures import Facet, FigureSpec, Row, Settings, Study, Trace, YAxis
from gating.report.names import CONDITIONS, GROUPS, MEASURES, condition_name, in_order
from gating.report.query import select
from gating.report.tables import Block, TextTable, whole

__all__ = ["BOUNDS", "crossover_table"]

PREDICTORS = {"in_weight": "in-weight g", "in_context": "in-context h"}
KINDS = {"lower": "lower bound", "exact": "exact", "upper": "upper bound"}
LINEAR_LOSS = YAxis("linear loss", -0.04, 1.04)
LOSSES = {"error": ERROR, "log_loss": LOG_LOSS, "linear_loss": LINEAR_LOSS}


MOST_COLUMNS = 7  # of N, in a terminal


def by_condition(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each test condition that the table holds."""
    held = set(zip(summary["distribution"], summary["context"], strict=True))
    return tuple(
        Facet(name, {"distribution": key[0], "context": key[1]}) for key, name in CONDITIONS.items() if key in held
    )


def risk_table(rows: pd.DataFrame, measure: str, distribution: str, context: str, most: int = 1000) -> TextTable:
    """Risks of both predictors: a row for each predictor, group and kind, a column for each N, or `most` of them."""
    held = select(rows, {"measure": measure, "distribution": distribution, "context": context})
    found = sorted(int(n) for n in held["n"].dropna().unique())
    found = [
        found[place] for place in np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    ]
    cells = held.set_index(["system", "group", "kind", "n"])["value"].to_dict()
    body = [
        (predictor, GROUPS[group], name, *(_risk(cells[system, group, kind, n]) for n in found))
        for system, predictor in PREDICTORS.items()
        for group in in_order(held["group"], GROUPS)
        for kind, name in KINDS.items()
        if (system, group, kind, found[0]) in cells
    ]
    header = ("predictor", "group", "kind", *(f"N={whole(n)}" for n in found))
    return TextTable(header, tuple(body))


def _risk(value: float) -> str:
    """Five decimals, or three figures where that is more."""
    return f"{value:.5f}" if value >= 0.001 or value == 0 else f"{value:.2e}"


def crossover_table(rows: pd.DataFrame) -> TextTable:
    """N from which in-weight is at least as good: a row for each loss, context and group."""
    found = rows[rows["measure"].str.startswith("crossover_", na=False)]
    places = list(zip(found["measure"], found["context"], found["group"], strict=True))
    cells = dict(zip(zip(places, found["kind"], strict=True), found["value"], strict=True))
    body = [
        (
            MEASURES.get(measure.removeprefix("crossover_"), measure),
            context.replace("_", " "),
            GROUPS[group],
            *(whole(cells[place, kind]) if (place, kind) in cells else "" for kind in KINDS),
        )
        for place in dict.fromkeys(places)
        for measure, context, group in (place,)
    ]
    return TextTable(("loss", "context", "group", "earliest", "exact N*", "latest"), tuple(body))


def _tables(rows: pd.DataFrame, most: int = 1000) -> list[tuple[str, TextTable]]:
    risks = select(rows, {"system": tuple(PREDICTORS)})
    keys = dict.fromkeys(zip(risks["measure"], risks["distribution"], risks["context"], strict=True))
    places = sorted(keys, key=lambda key: (list(LOSSES).index(key[0]), key[1]))
    titles = [f"{MEASURES[measure].capitalize()}; {condition_name(*condition)}" for measure, *condition in places]
    return [(title, risk_table(rows, *key, most)) for title, key in zip(titles, places, strict=True)]


def _results(summary: pd.DataFrame, settings: Settings) -> list[Block]:
    crossovers = ("Training sequences from which in-weight is at least as good", crossover_table(summary))
    return [Block("Risks by N", tuple(_tables(summary))), Block("Crossovers", (crossovers,))]


def _text(table: pd.DataFrame) -> str:
    crossovers = crossover_table(table)
    parts = [f"{title}\n\n{found}" for title, found in _tables(table, MOST_COLUMNS)]
    if crossovers.rows:
        parts.append(f"Training sequences from which in-weight is at least as good\n\n{crossovers}")
    return "\n\n".join(parts)


def _figure(measure: str, title: str) -> FigureSpec:
    return FigureSpec(
        name=f"{measure.replace('_', '-')}-by-n",
        title=title,
        look="Blue is the in-weight predictor, orange the in-context one; solid curves are exact risks, dashed ones"
        " bounds. Where the blue band lies above the orange one in-context learning is certain to be better, where"
        " below in-weight learning is; the crossover lies in between.",
        x="n",
        rows=tuple(
            Row(GROUPS[group], {"group": group}, (Trace(measure),), LOSSES[measure], optional=True) for group in GROUPS
        ),
        columns=by_condition,
        theory=True,
    )


BOUNDS = Study(
    title="Risks of the in-weight and the in-context predictor",
    question="What can each predictor reach after N training sequences, at best and at worst, and from which N is"
    " answering from weights at least as good as answering from the context?",
    systems=(),
    figures=(
        _figure("error", "Error (0-1 loss) against the number of training sequences N"),
        _figure("log_loss", "Log loss against the number of training sequences N"),
        _figure("linear_loss", "Linear loss against the number of training sequences N"),
    ),
    terms=(
        ("In-weight g", "Add-beta label counts of each class; it sees the query alone, and knows its class."),
        ("In-context h", "Softmax similarity: copies the labels of context inputs near the query."),
        ("Exact", "A finite sum or integral on clean inputs, never a simulation."),
        ("Lower bound of g", "No in-weight predictor that treats labels alike can be better."),
        ("Upper bound of g", "The tabular predictor is at least as good, whatever the law of its labels."),
        ("Bounds of h", "They hold with the input noise of the settings, for centres at one squared distance."),
        ("Crossover", "The N from which in-weight is at least as good. Earliest: some in-weight predictor may be."
         " Latest: the tabular one surely is."),
    ),
    results_title="Tables",
    results=_results,
    text=_text,
    all_rows=False,
)  # fmt: skip
"""The page of the study `bounds`."""
