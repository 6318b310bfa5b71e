"""Page of the study `bounds`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gating.page.figures import Facet, FigureSpec, Page, Row, Trace, YAxis
from gating.page.names import in_order
from gating.page.text_table import Block, TextTable, whole
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import select
from gating.studies.vocabulary import CONDITIONS, ERROR, GROUPS, LOG_LOSS, THEORY, condition_name

__all__ = ["bounds_page", "bounds_text", "crossover_table"]

WORDS = page_words("gating.studies.bounds")
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
        for system, predictor in THEORY.items()
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
            measure_of(measure.removeprefix("crossover_")).meaning,
            context.replace("_", " "),
            GROUPS[group],
            *(whole(cells[place, kind]) if (place, kind) in cells else "" for kind in KINDS),
        )
        for place in dict.fromkeys(places)
        for measure, context, group in (place,)
    ]
    return TextTable(("loss", "context", "group", "earliest", "exact N*", "latest"), tuple(body))


def _tables(rows: pd.DataFrame, most: int = 1000) -> list[tuple[str, TextTable]]:
    risks = select(rows, {"system": tuple(THEORY)})
    keys = dict.fromkeys(zip(risks["measure"], risks["distribution"], risks["context"], strict=True))
    places = sorted(keys, key=lambda key: (list(LOSSES).index(key[0]), key[1]))
    titles = [
        f"{measure_of(measure).meaning.capitalize()}; {condition_name(*condition)}" for measure, *condition in places
    ]
    return [(title, risk_table(rows, *key, most)) for title, key in zip(titles, places, strict=True)]


def bounds_text(table: pd.DataFrame) -> str:
    """Risks at a few N, and crossovers, for a terminal."""
    crossovers = crossover_table(table)
    parts = [f"{title}\n\n{found}" for title, found in _tables(table, MOST_COLUMNS)]
    if crossovers.rows:
        parts.append(f"Training sequences from which in-weight is at least as good\n\n{crossovers}")
    return "\n\n".join(parts)


def _figure(measure: str) -> FigureSpec:
    return FigureSpec(
        **WORDS.figures[f"{measure.replace('_', '-')}-by-n"],
        x="n",
        rows=tuple(
            Row(GROUPS[group], {"group": group}, (Trace(measure),), LOSSES[measure], optional=True) for group in GROUPS
        ),
        columns=by_condition,
        theory=True,
    )


def bounds_page(question: str, table: pd.DataFrame) -> Page:
    """The page of the study `bounds`."""
    crossovers = ("Training sequences from which in-weight is at least as good", crossover_table(table))
    return Page(
        title=WORDS.title,
        question=question,
        systems=(),
        figures=tuple(map(_figure, LOSSES)),
        terms=WORDS.terms,
        blocks=(Block("Risks by N", tuple(_tables(table))), Block("Crossovers", (crossovers,))),
        results_title="Tables",
    )
