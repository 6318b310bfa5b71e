"""Page of the study `regret`."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gating.page.figures import Axis, Page
from gating.page.multiples import Facet, Multiples, Row, Trace, YAxis
from gating.page.names import in_order, system_of
from gating.page.said import few_seeds, in_lines, interval, listed, sized
from gating.page.text_table import Block, TextTable, cross_table, number
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.intervals import Interval, mean_interval
from gating.results.query import last_step, ordered, seeds_phrase, select
from gating.results.table import summarise
from gating.studies.regret.config import LOSSES
from gating.studies.vocabulary import GATE, GROUPS, group_of

__all__ = ["regret_page", "regret_text", "regret_verdict"]

WORDS = page_words("gating.studies.regret")
LEARNERS = tuple(key for key in WORDS.systems if key != "best_partition")
"""The project's online gates in the order of legends and tables."""
TOTALS = (*LEARNERS, "tabular", "in_weight", "copying", "best_partition")
"""All that have a total loss, in the order of its table."""


def learners(table: pd.DataFrame) -> tuple[str, ...]:
    """The project's online gates, then others that a table has, by name."""
    return tuple(in_order([*LEARNERS, *table["system"][table["measure"].str.startswith("gate_")]], LEARNERS))


def by_gate(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each gate learner."""
    found = set(summary["system"])
    return tuple(Facet(system_of(key).name, {"system": key}) for key in learners(summary) if key in found)


def regret_table(summary: pd.DataFrame, loss: str, group: str) -> TextTable:
    """Measured regret, bound and their ratio at the last round: a row for each gate learner."""
    rows = select(last_step(summary), {"group": group, "context": "as_trained"})
    headings = {(f"regret_{loss}", "measured"): "measured regret", (f"regret_{loss}", "upper"): "bound",
                (f"regret_ratio_{loss}", "measured"): "regret / bound"}  # fmt: skip
    gates = set(select(rows, {"measure": f"regret_ratio_{loss}"})["system"])
    return _table(rows[rows["system"].isin(gates)], LEARNERS, "gate learner", headings)


def total_table(summary: pd.DataFrame, loss: str) -> TextTable:
    """Total loss of the mixed predictions beside its bound, and of the predictors."""
    total = f"total_{loss}"
    headings = {(total, "measured"): "total loss", (total, "upper"): "bound of the composition"}
    return _table(select(last_step(summary), {"measure": total}), TOTALS, "", headings)


def _table(
    rows: pd.DataFrame, order: tuple[str, ...], first: str, headings: Mapping[tuple[str, str], str]
) -> TextTable:
    """A row for each system, a column for each measure and kind; ratios have more digits."""
    return cross_table(ordered(rows.sort_values("system"), ["system"], order), (first,),
                       lambda row: (system_of(row.system).name,), lambda row: headings.get((row.measure, row.kind), ""),
                       lambda row: number(row.value, row.low, row.high, 4 if "_ratio_" in row.measure else 2),
                       headings.values())  # fmt: skip


def _losses(rows: pd.DataFrame) -> dict[str, str]:
    """Losses that were played, and what headings call them."""
    return {loss: measure_of(loss).meaning for loss in LOSSES if (rows["measure"] == f"total_{loss}").any()}


def _blocks(summary: pd.DataFrame) -> Iterator[Block]:
    for loss, title in _losses(summary).items():
        regrets = [(f"Regret, cells of {name}", regret_table(summary, loss, group)) for group, name in GROUPS.items()]
        totals = ("Total loss of the mixed predictions and of the predictors", total_table(summary, loss))
        yield Block(title.capitalize(), (*regrets, totals))


def regret_verdict(table: pd.DataFrame) -> tuple[str, ...]:
    """For each loss: who paid least, beside the better predictor; whether regrets keep bounds; what regret is of."""
    rows = select(last_step(table[~table["answer"]]), {"group": "all", "kind": "measured"})
    said: list[str] = []
    for loss, name in _losses(table).items():
        totals = select(rows, {"measure": f"total_{loss}"})
        paid = totals.pivot_table("value", "seed", "system").dropna(axis=1, how="all")
        gates = [key for key in learners(table) if key in paid]
        if gates and "best_partition" in paid:
            rounds = f" after {int(totals['step'].max()):,} rounds" if totals["step"].notna().any() else ""
            sums = {row["system"]: _sum(row) for row in summarise(totals).to_dict("records")}
            said.append(f"By {name}, {_least(paid, gates, sums)}{rounds}: {_beside_best(paid, gates, sums)}.")
            said += _of_losses(select(rows, {"measure": f"regret_{loss}", "system": tuple(gates)}), paid, loss)
    ratios = table[table["measure"].str.startswith("regret_ratio_")].dropna(subset="value")
    if len(ratios):  # a table refuses a ratio above 1
        said.append("Every regret is within its bound, for every seed.")
    return (*(said or ["The table has no total losses: nothing can be said of the gates."]), *few_seeds(table, ""))


def _least(paid: pd.DataFrame, gates: list[str], sums: Mapping[str, str]) -> str:
    """Which gate paid least, how much, and which others cannot be told apart from it."""
    least = str(paid[gates].mean().idxmin())
    near = [system_of(key).name for key in gates if key != least and not _beyond(paid, key, least).low > 0]
    tied = f" ({listed(near)} cannot be told apart from it)" if near else ""
    how = "paid least of the gates" if len(gates) > 1 else "paid"
    return f"{system_of(least).name} {how}, {sums[least]}{tied},"


def _beside_best(paid: pd.DataFrame, gates: list[str], sums: Mapping[str, str]) -> str:
    """What that gate paid beside the better predictor of each cell."""
    beyond = _beyond(paid, str(paid[gates].mean().idxmin()), "best_partition")
    how = (
        "less than" if beyond.high < 0 else "more than" if beyond.low > 0 else "no more, and no less for certain, than"
    )
    return f"{how} the better predictor of each cell, chosen in hindsight ({sums['best_partition']})"


def _beyond(paid: pd.DataFrame, system: str, other: str) -> Interval:
    """What a system paid beyond another, over seeds, which share their rounds."""
    return mean_interval(paid[system].to_numpy(np.float64) - paid[other].to_numpy(np.float64))


def _sum(row: Mapping[Hashable, Any]) -> str:
    """A total over rounds, with its interval over seeds."""
    return sized(row) if row["value"] >= 100 else interval(row)


def _of_losses(regrets: pd.DataFrame, paid: pd.DataFrame, loss: str) -> Iterator[str]:
    """A warning about gates whose regret is of another loss than their total: of the mixture of both losses."""
    means = {str(key): float(rows["value"].mean()) for key, rows in regrets.groupby("system", sort=False)}
    beyond = {key: float((paid[key] - paid["best_partition"]).mean()) for key in means}
    others = {key: found for key, found in means.items() if found - beyond[key] > 0.01 * max(abs(found), 1.0)}
    if others:
        worst = max(others, key=lambda key: others[key])
        names = listed([system_of(key).name for key in in_order(others, LEARNERS)])
        yield (
            f"Regrets of {names} are of the mixture of the two predictors' losses, never less than the loss of the "
            f"mixed prediction: one of {others[worst]:,.0f} is no contradiction to a total of "
            f"{paid[worst].mean():,.0f}."
        )


def regret_text(table: pd.DataFrame) -> str:
    """Regrets and totals for a terminal."""
    summary = summarise(last_step(table[~table["answer"]]))
    parts = [in_lines(regret_verdict(table)), f"After {int(table['step'].max()):,} rounds. {seeds_phrase(summary)}"]
    for loss, title in _losses(summary).items():
        tables = regret_table(summary, loss, "all"), total_table(summary, loss)
        parts += [f"{title.capitalize()}, all cells", *map(str, tables)]
    return "\n\n".join(parts)


REGRET = YAxis(Axis("regret", scale="symlog", linear_below=1.0))
SINGLE_GROUPS = {key: GROUPS[key] for key in ("high", "low")}
CONTEXTS = {"as_trained": "", "relevant": "class in context", "irrelevant": "class not in context"}


def _rows(measure: str, axis: YAxis, column: str, words: Mapping[str, str]) -> tuple[Row, ...]:
    """A row for each loss and each value of a column, given with its words."""
    names = {loss: measure_of(loss).meaning for loss in LOSSES}
    return tuple(
        Row(f"{name}\n{text}".rstrip(), {column: value}, (Trace(f"{measure}_{loss}"),), axis, optional=True)
        for loss, name in names.items()
        for value, text in words.items()
    )


def figures(systems: tuple[str, ...]) -> tuple[Multiples, ...]:
    """Regrets and gates of these gate learners against rounds."""
    return (
        Multiples(
            **WORDS.figures["regret-by-round"], x="step", rows=_rows("regret", REGRET, "group", SINGLE_GROUPS),
            columns=by_gate, systems=systems, theory=True,
        ),
        Multiples(
            **WORDS.figures["gate-by-round"], x="step", rows=_rows("gate", GATE, "context", CONTEXTS),
            columns=by_gate, systems=systems, hue="group", look_of=group_of, lines="query_class",
        ),
    )  # fmt: skip


def regret_page(question: str, table: pd.DataFrame) -> Page:
    """The page of the study `regret`."""
    return Page(
        title=WORDS.title,
        question=question,
        systems=learners(table),
        figures=figures(learners(table)),
        terms=WORDS.terms,
        blocks=tuple(_blocks(summarise(last_step(table[~table["answer"]])))),
        verdict=regret_verdict(table),
        results_title="Results at the last round",
    )
