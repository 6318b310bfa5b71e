"""Page of the study `bounds`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gating.page.figures import Axis, Page
from gating.page.multiples import Facet, Multiples, Row, Trace, YAxis
from gating.page.names import in_order
from gating.page.said import in_lines, listed
from gating.page.text_table import Block, TextTable, cross_table, whole
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import ordered, select
from gating.studies.bounds.config import BoundsConfig
from gating.studies.vocabulary import CONDITIONS, ERROR, GROUPS, LOG_LOSS, THEORY, condition_name, conditions

__all__ = ["bounds_page", "bounds_text", "bounds_verdict", "crossover_table"]

WORDS = page_words("gating.studies.bounds")
KINDS = {"lower": "lower bound", "exact": "exact", "upper": "upper bound"}
LOSSES = {"error": ERROR, "log_loss": LOG_LOSS, "linear_loss": YAxis(Axis("linear loss", -0.04, 1.04))}
MOST_COLUMNS = 7  # of N, in a terminal
CROSSOVERS = "Training sequences from which in-weight is at least as good"


def by_condition(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each test condition that the table holds."""
    held = set(zip(summary["distribution"], summary["context"], strict=True))
    return conditions(*(key for key in CONDITIONS if key in held))(summary)


def risk_table(rows: pd.DataFrame, most: int) -> TextTable:
    """Risks of one loss and condition: a row for each predictor, group and kind, a column for each N, or `most`."""
    sizes = sorted(rows["n"].unique())
    shown = np.linspace(0, len(sizes) - 1, min(most, len(sizes))).round().astype(int)
    known = select(rows, {"system": tuple(THEORY), "group": tuple(GROUPS), "kind": tuple(KINDS)})
    return cross_table(ordered(known, ["system", "group", "kind"], [*THEORY, *GROUPS, *KINDS]),
                       ("predictor", "group", "kind"),
                       lambda row: (THEORY[row.system], GROUPS[row.group], KINDS[row.kind]),
                       lambda row: f"N={whole(row.n)}", lambda row: _risk(row.value),
                       [f"N={whole(int(sizes[place]))}" for place in shown])  # fmt: skip


def _risk(value: float) -> str:
    """Five decimals, or three figures where that is more."""
    return f"{value:.5f}" if value >= 0.001 or value == 0 else f"{value:.2e}"


def crossover_table(rows: pd.DataFrame) -> TextTable:
    """N from which in-weight is at least as good: a row for each loss, context and group."""
    kinds = {"lower": "earliest", "exact": "exact N*", "upper": "latest"}

    def line(row: Any) -> tuple[str, ...]:
        loss = measure_of(row.measure.removeprefix("crossover_")).meaning
        return loss, row.context.replace("_", " "), GROUPS.get(row.group, row.group)

    return cross_table(rows[rows["measure"].str.startswith("crossover_", na=False)], ("loss", "context", "group"), line,
                       lambda row: kinds.get(row.kind, ""), lambda row: whole(row.value), kinds.values())  # fmt: skip


def _risk_tables(rows: pd.DataFrame, most: int = 1000) -> list[tuple[str, TextTable]]:
    """Tables of risks with their titles, by loss and distribution."""
    risks = select(rows, {"system": tuple(THEORY)})
    keys = dict.fromkeys(zip(risks["measure"], risks["distribution"], risks["context"], strict=True))
    return [
        (
            f"{measure_of(measure).meaning.capitalize()}; {condition_name(distribution, context)}",
            risk_table(select(risks, {"measure": measure, "distribution": distribution, "context": context}), most),
        )
        for measure, distribution, context in sorted(keys, key=lambda key: (list(LOSSES).index(key[0]), key[1]))
    ]


def bounds_verdict(config: BoundsConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """From which N on weights do at least as well, for each group of classes and loss, contexts as trained."""
    found = select(table, {"measure": tuple(f"crossover_{loss}" for loss in LOSSES)})
    contexts = in_order(found["context"].dropna(), ("as_trained", "relevant", "irrelevant"))
    said, first = [], select(found, {"context": contexts[0] if contexts else ""})
    where = "" if contexts[:1] == ["as_trained"] else f" ({contexts[0]} contexts)" if contexts else ""
    some = first[first["group"] != "all"]
    for group, rows in (first if some.empty else some).groupby("group", sort=False):
        by = [
            f"{_from(dict(zip(ends['kind'], ends['value'], strict=True)))} by {_loss(str(measure))}"
            for measure, ends in rows.groupby("measure", sort=False)
        ]
        said.append(
            f"{GROUPS[str(group)].capitalize()}{where}: answers from weights are at least as good as copying from the "
            f"context {listed(by)}."
        )
    always = select(found, {"context": "relevant"})
    exact = select(always, {"kind": "exact"})["value"]
    if "relevant" in contexts[1:] and len(exact) == always.groupby(["measure", "group"]).ngroups:
        latest = float(exact.max())
        how = "for every group and loss "
        how += "at every N" if latest == 0 else f"from N = {whole(latest)} on"
        how = "for some group or loss at no N" if np.isinf(latest) else how
        said.append(f"Where the context always shows the query's class, that is so {how}.")
    if not said:
        said.append("The table has no N from which weights are at least as good.")
    if config.inputs == "noisy":
        said.append(
            "Exact risks are of clean inputs and known classes; bounds and crossovers are of learners that see noisy "
            "inputs and are never told a class."
        )
    elif config.distribution.input_noise > 0:
        said.append(
            "Exact risks are of clean inputs and known classes; on noisy inputs a learner needs more sequences."
        )
    else:
        said.append(
            "These are risks of predictors that know the query's class; a model has to learn the classes as well."
        )
    return tuple(said)


def _loss(measure: str) -> str:
    """The loss of a crossover, in words."""
    return measure_of(measure.removeprefix("crossover_")).meaning


def _from(ends: Mapping[Any, float]) -> str:
    """From which N on weights do at least as well, from the bounds of that N, and the exact one where it is known."""
    low, exact, high = (float(ends.get(kind, np.nan)) for kind in KINDS)
    if not np.isnan(exact):
        return "at no N" if np.isinf(exact) else f"from N = {whole(exact)} on" if exact > 0 else "at every N"
    if low == high:
        return _from({"exact": high})
    if np.isfinite(high):
        return (
            f"from an N between {whole(low)} and {whole(high)} on"
            if low > 0
            else f"at the latest from N = {whole(high)} on"
        )
    return (
        "at no N"
        if np.isinf(low)
        else f"at no N before {whole(low)}"
        if low > 0
        else "from an N that bounds do not tell"
    )


def bounds_text(config: BoundsConfig, table: pd.DataFrame) -> str:
    """What came out, risks at a few N, and crossovers, for a terminal."""
    tables = [*_risk_tables(table, MOST_COLUMNS), (CROSSOVERS, crossover_table(table))]
    shown = (f"{title}\n\n{found}" for title, found in tables if found.rows)
    left = table.loc[table["kind"].notna(), "n"].nunique() - MOST_COLUMNS
    rest = [f"Left out here: {left} of the N, which `--json` and the page have."] if left > 0 else []
    return "\n\n".join([in_lines(bounds_verdict(config, table)), *shown, *rest])


def _figure(measure: str) -> Multiples:
    return Multiples(
        **WORDS.figures[f"{measure.replace('_', '-')}-by-n"],
        x="n",
        rows=tuple(
            Row(GROUPS[group], {"group": group}, (Trace(measure),), LOSSES[measure], optional=True) for group in GROUPS
        ),
        columns=by_condition,
        theory=True,
    )


def bounds_page(question: str, config: BoundsConfig, table: pd.DataFrame) -> Page:
    """The page of the study `bounds`."""
    crossovers = Block("Crossovers", ((CROSSOVERS, crossover_table(table)),))
    return Page(
        title=WORDS.title,
        question=question,
        systems=(),
        figures=tuple(map(_figure, LOSSES)),
        terms=WORDS.terms,
        blocks=(Block("Risks by N", tuple(_risk_tables(table))), crossovers),
        verdict=bounds_verdict(config, table),
        results_title="Tables",
    )
