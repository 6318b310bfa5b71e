"""Page of the study `regret`."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from gating.page.figures import Axis, Page
from gating.page.multiples import Facet, Multiples, Row, Trace, YAxis
from gating.page.names import in_order, system_of
from gating.page.text_table import Block, TextTable, number
from gating.results.columns import measure as measure_of
from gating.results.query import last_step, seeds_phrase, select
from gating.results.table import summarise
from gating.studies.regret.config import LOSSES
from gating.studies.regret.verdict import LEARNERS, WORDS, learners, regret_verdict
from gating.studies.vocabulary import GROUPS, group_of

__all__ = ["regret_page", "regret_text"]

TOTALS = (*LEARNERS, "tabular", "in_weight", "copying", "best_partition")
"""All that have a total loss, in the order of its table."""


def by_gate(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each gate learner."""
    found = set(summary["system"])
    return tuple(Facet(system_of(key).name, {"system": key}) for key in learners(summary) if key in found)


def regret_table(summary: pd.DataFrame, loss: str, group: str) -> TextTable:
    """Measured regret, bound and their ratio at the last round: a row for each gate learner."""
    rows = select(last_step(summary), {"group": group, "context": "as_trained"})
    regret, ratio = f"regret_{loss}", f"regret_ratio_{loss}"
    gates = in_order(select(rows, {"measure": ratio})["system"], LEARNERS)
    header = ("gate learner", "measured regret", "bound", "regret / bound")
    return _table(rows, gates, header, (regret, "measured", 2), (regret, "upper", 2), (ratio, "measured", 4))


def total_table(summary: pd.DataFrame, loss: str) -> TextTable:
    """Total loss of the mixed predictions beside its bound, and of the predictors."""
    total = f"total_{loss}"
    rows = select(last_step(summary), {"measure": total})
    header = ("", "total loss", "bound of the composition")
    return _table(rows, in_order(rows["system"], TOTALS), header, (total, "measured", 2), (total, "upper", 2))


def _table(
    rows: pd.DataFrame, systems: list[str], header: tuple[str, ...], *columns: tuple[str, str, int]
) -> TextTable:
    """A row for each system, a column for each measure and kind, with its number of digits."""
    body = ((system_of(key).name, *(_cell(rows, key, *column) for column in columns)) for key in systems)
    return TextTable(header, tuple(body))


def _cell(rows: pd.DataFrame, system: str, measure: str, kind: str, digits: int) -> str:
    found = select(rows, {"system": system, "measure": measure, "kind": kind})
    value, low, high = found[["value", "low", "high"]].to_numpy(np.float64)[0] if len(found) else [np.nan] * 3
    return number(value, low, high, digits)


def _losses(rows: pd.DataFrame) -> dict[str, str]:
    """Losses that were played, and what headings call them."""
    return {loss: measure_of(loss).meaning for loss in LOSSES if (rows["measure"] == f"total_{loss}").any()}


def _blocks(summary: pd.DataFrame) -> Iterator[Block]:
    for loss, title in _losses(summary).items():
        regrets = [(f"Regret, cells of {name}", regret_table(summary, loss, group)) for group, name in GROUPS.items()]
        totals = ("Total loss of the mixed predictions and of the predictors", total_table(summary, loss))
        yield Block(title.capitalize(), (*regrets, totals))


def regret_text(table: pd.DataFrame) -> str:
    """Regrets and totals for a terminal."""
    summary = summarise(last_step(table[~table["answer"]]))
    parts = ["\n".join(regret_verdict(table)), f"After {int(table['step'].max()):,} rounds. {seeds_phrase(summary)}"]
    for loss, title in _losses(summary).items():
        tables = regret_table(summary, loss, "all"), total_table(summary, loss)
        parts += [f"{title.capitalize()}, all cells", *map(str, tables)]
    return "\n\n".join(parts)


REGRET = YAxis(Axis("regret", scale="symlog", linear_below=1.0))
GATE = YAxis(Axis("gate: 0 context, 1 weights", -0.04, 1.04))
SINGLE_GROUPS = {key: GROUPS[key] for key in ("high", "low")}
CONTEXTS = {"as_trained": "", "relevant": "class in context", "irrelevant": "class not in context"}


def _rows(measure: str, axis: YAxis, column: str, words: Mapping[str, str]) -> tuple[Row, ...]:
    """A row for each loss and each value of a column, given with its words."""
    return tuple(
        Row(
            f"{measure_of(loss).meaning}\n{text}".rstrip(),
            {column: value},
            (Trace(f"{measure}_{loss}"),),
            axis,
            optional=True,
        )
        for loss in LOSSES
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
