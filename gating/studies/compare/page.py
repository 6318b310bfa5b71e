"""Page of the study `compare`: theory, stylized models and Transformers on the same data."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from gating.page.figures import FigureSpec, Mark, Page, Row, Settings, Trace, YAxis
from gating.page.text_table import Block
from gating.page.words import page_words
from gating.results.query import select
from gating.results.table import summarise
from gating.studies import vocabulary as words
from gating.studies.compare.answers import GATED, LOSSES
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.page_tables import crossing_tables, error_text, last_step_blocks, phase_table, summary_table

__all__ = ["compare_page", "compare_text"]

GATE_TRACES = (
    Trace("effective_gate"),
    Trace("mean_gate", ":", "the stylized model's own mean gate"),
    Trace("effective_gate_reference", "--", "reference Transformers in place of g and h"),
)
RESIDUAL_TRACES = (
    Trace("effective_gate_residual"),
    Trace("effective_gate_reference_residual", "--", "reference Transformers in place of g and h"),
)

CONDITIONS_SHOWN = words.conditions(*list(words.CONDITIONS)[:4])

WORDS = page_words("gating.studies.compare")


def _by_group(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    return tuple(Row(words.GROUPS[group], {"group": group}, traces, axis) for group in ("high", "low"))


def _over_time(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    return tuple(
        Row(f"{words.condition_name(*where)}\n{words.GROUPS[group]}",
            {"distribution": where[0], "context": where[1], "group": group}, traces, axis)
        for where in (("oobd", "relevant"), ("ibd", "irrelevant"))
        for group in ("high", "low")
    )  # fmt: skip


def _of_loss(marks: dict[str, tuple[Mark, ...]], loss: str, settings: Settings) -> tuple[Mark, ...]:
    return marks[loss]


def _figures(marks: dict[str, tuple[Mark, ...]]) -> tuple[FigureSpec, ...]:
    by_n: dict[str, Any] = {"x": "n", "columns": CONDITIONS_SHOWN}
    by_step: dict[str, Any] = {"x": "step", "columns": words.by_size}
    axes = {"error": words.ERROR, "log_loss": words.LOG_LOSS}
    risks = tuple(
        FigureSpec(
            **WORDS.figures[f"{loss.replace('_', '-')}-by-n"], **by_n, rows=_by_group(axes[loss], Trace(loss)),
            theory=True, marks=partial(_of_loss, marks, loss),
        )
        for loss in LOSSES
    )  # fmt: skip
    gates = (*_by_group(words.GATE, *GATE_TRACES), *_by_group(words.RESIDUAL, *RESIDUAL_TRACES))
    return (
        *risks,
        FigureSpec(
            **WORDS.figures["error-by-step"], **by_step, rows=_over_time(words.ERROR, Trace("error")), theory=True
        ),
        FigureSpec(**WORDS.figures["gate-by-n"], **by_n, rows=gates, systems=GATED),
        FigureSpec(
            **WORDS.figures["gate-by-step"], **by_step, rows=_over_time(words.GATE, *GATE_TRACES), systems=GATED
        ),
    )


def predicted_marks(table: pd.DataFrame, loss: str) -> tuple[Mark, ...]:
    """Lines where the risks of label counts and of copying cross by theory, contexts as trained: at the exact N* of
    each group, at its bounds where it is not exact.

    Args:
        table: the result table, answers included.
        loss: ``error`` or ``log_loss``.
    """
    found = select(table, {"system": "theory", "measure": f"crossover_{loss}"})
    marks = []
    for group, rows in found.groupby("group", sort=False):
        at = rows.set_index("kind")["value"].to_dict()
        where = {"distribution": "ibd", "context": "as_trained", "group": group}
        name = f"risk crossing N*, {loss.replace('_', ' ')}"
        bounds = [Mark(at[kind], f"bounds of the {name}", where, ":") for kind in ("lower", "upper")]
        marks += [Mark(at["exact"], f"predicted {name}", where)] if "exact" in at else bounds
    return tuple(marks)


def compare_page(question: str, config: CompareConfig, table: pd.DataFrame) -> Page:
    """The page of the study `compare`."""
    summary = summarise(table[~table["answer"]])
    return Page(
        WORDS.title, question, tuple(words.SYSTEMS),
        _figures({loss: predicted_marks(table, loss) for loss in LOSSES}), words.MIXTURE_TERMS,
        (
            Block("Certified phases", (phase_table(table),)),
            Block("Crossings, predicted and measured", crossing_tables(config, table)),
            *last_step_blocks(summary, noisy=config.distribution.label_noise > 0),
        ),
        intervals=WORDS.said["intervals"],
        every_row=summary_table(summary),
    )  # fmt: skip


def compare_text(config: CompareConfig, table: pd.DataFrame) -> str:
    """Errors at the last step, and crossings, for a terminal."""
    crossings = (f"{title}\n\n{found}" for title, found in crossing_tables(config, table) if found.rows)
    return "\n\n".join([error_text(table), *crossings])
