"""Page of the study `regret`."""

from __future__ import annotations

import pandas as pd

from gating.page.figures import Facet, FigureSpec, Page, Row, Trace, YAxis
from gating.page.names import in_order, system_of
from gating.page.text_table import Block, TextTable, number
from gating.page.words import page_words
from gating.results.query import at_last_step, seeds_phrase, select
from gating.results.table import summarise
from gating.studies.regret.config import LOSSES
from gating.studies.vocabulary import GROUPS, group_of

__all__ = ["regret_page", "regret_text"]

WORDS = page_words("gating.studies.regret")
GATE_LEARNERS = WORDS.systems
"""Online gates in the order of legends and tables, and what they are measured against."""

LOSS_NAMES = {"log_loss": "log loss (nats)", "linear_loss": "linear loss"}
LEARNERS = tuple(key for key in GATE_LEARNERS if key != "best_partition")
PREDICTORS = ("tabular", "in_weight", "copying", "best_partition")


def by_gate(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each gate learner."""
    found = set(summary["system"]) - set(PREDICTORS)
    return tuple(Facet(system_of(key).name, {"system": key}) for key in in_order(found, GATE_LEARNERS))


def regret_table(summary: pd.DataFrame, loss: str, group: str) -> TextTable:
    """Measured regret, bound and their ratio at the last round: a row for each gate learner."""
    rows = select(at_last_step(summary), {"group": group, "context": "as_trained"})
    gates = in_order(set(select(rows, {"measure": f"regret_ratio_{loss}"})["system"]), GATE_LEARNERS)
    body = [
        (
            system_of(gate).name,
            _cell(rows, gate, f"regret_{loss}", "measured", 2),
            _cell(rows, gate, f"regret_{loss}", "upper", 2),
            _cell(rows, gate, f"regret_ratio_{loss}", "measured", 4),
        )
        for gate in gates
    ]
    return TextTable(("gate learner", "measured regret", "bound", "regret / bound"), tuple(body))


def total_table(summary: pd.DataFrame, loss: str) -> TextTable:
    """Total loss of the mixed predictions beside its bound, and of the predictors."""
    rows = select(at_last_step(summary), {"measure": f"total_{loss}"})
    names = in_order(rows["system"], (*GATE_LEARNERS, *PREDICTORS))
    body = [
        (
            system_of(name).name,
            *(_cell(rows, name, f"total_{loss}", kind, 2) for kind in ("measured", "upper")),
        )
        for name in names
    ]
    return TextTable(("", "total loss", "bound of the composition"), tuple(body))


def _cell(rows: pd.DataFrame, system: str, measure: str, kind: str, digits: int) -> str:
    found = select(rows, {"system": system, "measure": measure, "kind": kind})
    if found.empty:
        return ""
    value, low, high = (float(v) for v in found[["value", "low", "high"]].iloc[0])
    return number(value, low, high, digits)


def _losses(rows: pd.DataFrame) -> list[str]:
    return [loss for loss in LOSSES if (rows["measure"] == f"total_{loss}").any()]


def _blocks(summary: pd.DataFrame) -> tuple[Block, ...]:
    blocks = []
    for loss in _losses(summary):
        regrets = [(f"Regret, cells of {name}", regret_table(summary, loss, group)) for group, name in GROUPS.items()]
        totals = ("Total loss of the mixed predictions and of the predictors", total_table(summary, loss))
        blocks.append(Block(f"{LOSS_NAMES[loss].capitalize()}", (*regrets, totals)))
    return tuple(blocks)


def regret_text(table: pd.DataFrame) -> str:
    """Regrets and totals for a terminal."""
    summary = summarise(at_last_step(table[~table["answer"]]))
    head = f"After {int(table['step'].max()):,} rounds. {seeds_phrase(summary)}"
    parts = [head]
    for loss in _losses(summary):
        tables = regret_table(summary, loss, "all"), total_table(summary, loss)
        parts += [f"{LOSS_NAMES[loss].capitalize()}, all cells", *map(str, tables)]
    return "\n\n".join(parts)


def _regret_rows() -> tuple[Row, ...]:
    return tuple(
        Row(
            f"{LOSS_NAMES[loss]}\n{GROUPS[group]}",
            {"group": group},
            (Trace(f"regret_{loss}"),),
            YAxis("regret", None, None, scale="symlog", linear_below=1.0),
            optional=True,
        )
        for loss in LOSSES
        for group in ("high", "low")
    )


def _path_rows() -> tuple[Row, ...]:
    contexts = {"as_trained": "", "relevant": "\nclass in context", "irrelevant": "\nclass not in context"}
    return tuple(
        Row(
            f"{LOSS_NAMES[loss]}{words}",
            {"context": context},
            (Trace(f"gate_{loss}"),),
            YAxis("gate\n0 = context, 1 = weights", -0.04, 1.04),
            optional=True,
        )
        for loss in LOSSES
        for context, words in contexts.items()
    )


FIGURES = (
    FigureSpec(
        **WORDS.figures["regret-by-round"], x="step", rows=_regret_rows(), columns=by_gate, systems=LEARNERS,
        theory=True,
    ),
    FigureSpec(
        **WORDS.figures["gate-by-round"], x="step", rows=_path_rows(), columns=by_gate, systems=LEARNERS, hue="group",
        look_of=group_of, lines="query_class",
    ),
)  # fmt: skip


def regret_page(question: str, table: pd.DataFrame) -> Page:
    """The page of the study `regret`."""
    return Page(
        title=WORDS.title,
        question=question,
        systems=LEARNERS,
        figures=FIGURES,
        terms=WORDS.terms,
        blocks=_blocks(summarise(at_last_step(table[~table["answer"]]))),
        results_title="Results at the last round",
    )
