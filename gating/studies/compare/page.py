"""Page of the study `compare`: theory, stylized models and Transformers on the same data."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.page.multiples import DASHED, DOTTED, Mark, Multiples, Row, Trace, YAxis
from gating.page.said import in_lines
from gating.page.text_table import Block
from gating.page.words import Words
from gating.results.query import select
from gating.results.table import summarise
from gating.studies import vocabulary as words
from gating.studies.compare import page_tables as tables
from gating.studies.compare.answers import GATED, LOSSES
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.verdict import compare_verdict

__all__ = ["by_group", "compare_page", "compare_text", "comparison_figures"]

TRAINED_REFERENCES = ("transformer_iw", "transformer_ic")
REFERENCES = "reference Transformers in place of g and h"
GATE_TRACES = (
    Trace("effective_gate"),
    Trace("mean_gate", DOTTED, "the stylized model's own mean gate"),
    Trace("effective_gate_reference", DASHED, REFERENCES),
)
RESIDUAL_TRACES = (Trace("effective_gate_residual"), Trace("effective_gate_reference_residual", DASHED, REFERENCES))


def by_group(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    """Frequent and rare classes, a row each."""
    return tuple(Row(words.GROUPS[group], {"group": group}, traces, axis) for group in ("high", "low"))


def _over_time(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    return tuple(
        Row(f"{words.condition_name(*where)}\n{words.GROUPS[group]}",
            {"distribution": where[0], "context": where[1], "group": group}, traces, axis)
        for where in (("oobd", "relevant"), ("ibd", "irrelevant"))
        for group in ("high", "low")
    )  # fmt: skip


def comparison_figures(table: pd.DataFrame, figure: dict[str, dict[str, Any]], *, theory: bool) -> Iterator[Multiples]:
    """Errors, losses and gates, against N and over steps.

    Args:
        table: the result table, answers included.
        figure: texts of each figure, by its name.
        theory: whether the table has exact risks and bounds.
    """
    by_n: dict[str, Any] = {"x": "n", "columns": words.conditions(*list(words.CONDITIONS)[:4])}
    by_step: dict[str, Any] = {"x": "step", "columns": words.by_size}
    for loss, axis in zip(LOSSES, (words.ERROR, words.LOG_LOSS), strict=True):
        risks, marks = by_group(axis, Trace(loss)), predicted_marks(table, loss)
        yield Multiples(**figure[f"{loss.replace('_', '-')}-by-n"], **by_n, rows=risks, theory=theory, marks=marks)
    errors, gates = _over_time(words.ERROR, Trace("error")), _over_time(words.GATE, *GATE_TRACES)
    yield Multiples(**figure["error-by-step"], **by_step, rows=errors, theory=theory)
    with_residuals = (*by_group(words.GATE, *GATE_TRACES), *by_group(words.RESIDUAL, *RESIDUAL_TRACES))
    yield Multiples(**figure["gate-by-n"], **by_n, rows=with_residuals, systems=GATED)
    yield Multiples(**figure["gate-by-step"], **by_step, rows=gates, systems=GATED)


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
        bounds = [Mark(at[kind], f"bounds of the {name}", where, DOTTED) for kind in ("lower", "upper")]
        marks += [Mark(at["exact"], f"predicted {name}", where)] if "exact" in at else bounds
    return tuple(marks)


def compare_page(
    question: str,
    config: CompareConfig,
    table: pd.DataFrame,
    *,
    verdict: tuple[str, ...] | None = None,
    texts: Words = tables.WORDS,
    figures: tuple[Multiples, ...] = (),
    theory: bool = True,
) -> Page:
    """The page of a study that trains the systems of `compare`.

    Args:
        question: the question it answers.
        config: settings of the run.
        table: its rows, answers included.
        verdict: what came out, `compare_verdict` unless it is given.
        texts: title, terms and texts of the figures.
        figures: those of `comparison_figures` unless others are given.
        theory: whether the table has exact risks, bounds and phases.
    """
    summary = summarise(table[~table["answer"]])
    phases = (Block("Certified phases", (tables.phase_table(table),)),) if theory else ()
    crossings = "Crossings, predicted and measured" if theory else "Crossings"
    left_out = () if config.references else TRAINED_REFERENCES
    return Page(
        texts.title, question, tuple(name for name in words.SYSTEMS if name not in left_out),
        figures or tuple(comparison_figures(table, texts.figures, theory=theory)),
        (*words.MIXTURE_TERMS, *texts.terms),
        (
            *phases,
            Block(crossings, tables.crossing_tables(config, table)),
            *tables.last_step_blocks(summary, noisy=config.distribution.label_noise > 0),
        ),
        verdict=verdict or compare_verdict(config, table),
        intervals=tables.WORDS.said["intervals"],
        every_row=tables.summary_table(summary),
    )  # fmt: skip


def compare_text(config: CompareConfig, table: pd.DataFrame, verdict: tuple[str, ...] | None = None) -> str:
    """What came out, errors at the last step, and crossings, for a terminal."""
    crossings = (f"{title}\n\n{found}" for title, found in tables.crossing_tables(config, table) if found.rows)
    return "\n\n".join([in_lines(verdict or compare_verdict(config, table)), tables.error_text(table), *crossings])
