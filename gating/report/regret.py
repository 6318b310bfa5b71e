"""Page of the study `regret`."""

from __future__ import annotations

import pandas as pd

from gating.evaluation.table import summarise
from gating.report.figures import Facet, FigureSpec, Row, Settings, Study, Trace, YAxis
from gating.report.names import GATE_LEARNERS, GROUPS, in_order, system_of
from gating.report.query import at_last_step, seeds_phrase, select
from gating.report.tables import Block, TextTable, number

__all__ = ["REGRET"]

LOSSES = {"log_loss": "log loss (nats)", "linear_loss": "linear loss"}
LEARNERS = tuple(key for key in GATE_LEARNERS if key != "best_partition")
PREDICTORS = ("tabular", "in_weight", "in_context", "best_partition")


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


def _results(summary: pd.DataFrame, settings: Settings) -> list[Block]:
    blocks = []
    for loss in _losses(summary):
        regrets = [(f"Regret, cells of {name}", regret_table(summary, loss, group)) for group, name in GROUPS.items()]
        totals = ("Total loss of the mixed predictions and of the predictors", total_table(summary, loss))
        blocks.append(Block(f"{LOSSES[loss].capitalize()}", (*regrets, totals)))
    return blocks


def _text(table: pd.DataFrame) -> str:
    summary = summarise(at_last_step(table))
    head = f"After {int(table['step'].max()):,} rounds. {seeds_phrase(summary)}"
    parts = [head]
    for loss in _losses(summary):
        tables = regret_table(summary, loss, "all"), total_table(summary, loss)
        parts += [f"{LOSSES[loss].capitalize()}, all cells", *map(str, tables)]
    return "\n\n".join(parts)


def _regret_rows() -> tuple[Row, ...]:
    return tuple(
        Row(
            f"{LOSSES[loss]}\n{GROUPS[group]}",
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
            f"{LOSSES[loss]}{words}",
            {"context": context},
            (Trace(f"gate_{loss}"),),
            YAxis("gate\n0 = context, 1 = weights", -0.04, 1.04),
            optional=True,
        )
        for loss in LOSSES
        for context, words in contexts.items()
    )


REGRET = Study(
    title="Regret of online gates between an in-weight and an in-context predictor",
    question="When both predictors and the gate learn as sequences come in, one by one, how much more does a gate lose"
    " than the better predictor of each class, and how much do the regret bounds allow it?",
    systems=LEARNERS,
    figures=(
        FigureSpec(
            name="regret-by-round",
            title="Regret against rounds, beside its bound",
            look="The curve must stay below the dashed bound. The axis is linear between -1 and 1 and logarithmic"
            " beyond; a negative regret means that the gate beat both predictors, by moving between or blending them.",
            x="step",
            rows=_regret_rows(),
            columns=by_gate,
            systems=LEARNERS,
            theory=True,
            note="Regret and bound are sums over the cells of the group.",
            x_label="rounds t",
        ),
        FigureSpec(
            name="gate-by-round",
            title="The path of the gate: weight of the in-weight predictor against rounds, class by class",
            look="A thin line is the gate of one class. It starts undecided or with the context and turns to"
            " the weights once enough queries of its class have been seen: earlier for frequent than for rare classes.",
            x="step",
            rows=_path_rows(),
            columns=by_gate,
            systems=LEARNERS,
            hue="group",
            x_label="rounds t",
        ),
    ),
    terms=(
        ("Round", "One sequence, drawn anew: g, h and the gate predict, pay, and then learn from what they paid."),
        ("Cell", "What a gate of its own is kept for: a class of queries, as the nearest class centre tells it, or"
         " that and whether the context shows the class."),
        ("Regret", "What the gate paid minus what the better of g and h paid in the same cell, summed over cells."),
        ("Gate", "The weight, from 0 to 1, of the in-weight predictor g in the mixture with the in-context"
         " predictor h."),
        ("Composition", "The loss of the mixed predictions is at most that of the better predictor of each cell plus"
         " the regret bounds of all gates."),
        ("Losses", "The first three gates pay the mixture of the two losses, the last two the log loss of the mixed"
         " prediction, which is never more."),
    ),
    results_title="Results at the last round",
    results=_results,
    text=_text,
    all_rows=False,
)  # fmt: skip
"""The page of the study `regret`."""
