"""Page of the study `compare`: theory, stylized models and Transformers on the same data."""

from __future__ import annotations

import pandas as pd

from gating.page.figures import FigureSpec, Mark, Page, Row, Trace, YAxis
from gating.page.text_table import Block
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

THEORY_NOTE = (
    "Thin lines without markers are theory: solid the exact risk, on clean inputs (no input noise), of label counts and"
    " of softmax copying; dashed bounds, where there are any: below any in-weight predictor, above label counts, and of"
    " copying with the input noise of the settings. They are what the predictors could reach with the classes known,"
    " not fits to the measured curves."
)
N_NOTE = f"{THEORY_NOTE} A line at N* is where, by theory, the risk of label counts falls to that of copying."
GATE_NOTE = "Theory predicts at which N the risks of both predictors cross, not at which a gate does: no line is drawn."


def _by_group(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    return tuple(Row(words.GROUPS[group], {"group": group}, traces, axis) for group in ("high", "low"))


def _over_time(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    return tuple(
        Row(f"{words.condition_name(*where)}\n{words.GROUPS[group]}",
            {"distribution": where[0], "context": where[1], "group": group}, traces, axis)
        for where in (("oobd", "relevant"), ("ibd", "irrelevant"))
        for group in ("high", "low")
    )  # fmt: skip


def _figures(marks: dict[str, tuple[Mark, ...]]) -> tuple[FigureSpec, ...]:
    return (
        FigureSpec(
            "error-by-n", "Who answers what: error against the number of training sequences N",
            "IBD, irrelevant can only be answered from weights, OOBD, relevant only from context. Look for the N"
            " at which the first falls and the second rises, earlier for frequent than for rare classes; a"
            " model whose OOBD error goes from low to high with N has lost its in-context ability.",
            "n", _by_group(words.ERROR, Trace("error")), CONDITIONS_SHOWN, theory=True, note=N_NOTE,
            marks=lambda settings: marks["error"],
        ),
        FigureSpec(
            "log-loss-by-n", "How sure they are: log loss against the number of training sequences N",
            "The axis is linear below 0.001 nats and logarithmic above. A log loss above chance is an answer that"
            " is sure and wrong: what a predictor from weights does on OOBD labels.",
            "n", _by_group(words.LOG_LOSS, Trace("log_loss")), CONDITIONS_SHOWN, theory=True, note=N_NOTE,
            marks=lambda settings: marks["log_loss"],
        ),
        FigureSpec(
            "error-by-step", "Emergence and transience: error over training steps",
            "Read a column downwards. In-context learning emerges where OOBD, relevant falls and is transient"
            " where it rises again; in-weight learning is where IBD, irrelevant falls. Predictors without"
            " training steps are horizontal lines.",
            "step", _over_time(words.ERROR, Trace("error")), words.by_size, theory=True, note=THEORY_NOTE,
        ),
        FigureSpec(
            "gate-by-n", "The gate in use: effective gate against the number of training sequences N",
            "The effective gate is the weight of g in the mixture of g and h that is nearest to the model (least"
            " KL divergence); its residual, in the lower rows, is the divergence that is left. Where the residual is"
            " large no mixture of g and h describes the model and the gate means little. A dotted line is the gate"
            " that a stylized model itself computes: it should lie under its measured one. Dashed, the reference"
            " Transformers take the places of g and h.",
            "n", (*_by_group(words.GATE, *GATE_TRACES), *_by_group(words.RESIDUAL, *RESIDUAL_TRACES)),
            CONDITIONS_SHOWN, GATED, note=GATE_NOTE,
        ),
        FigureSpec(
            "gate-by-step", "The gate over time: effective gate over training steps",
            "A gate that rises with the steps hands over from context to weights. Compare frequent with rare"
            " classes, and the Transformer with the stylized models. Read it beside the residuals of the"
            " figure before.",
            "step", _over_time(words.GATE, *GATE_TRACES), words.by_size, GATED,
        ),
    )  # fmt: skip


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
        "In weights or in context: theory, stylized model and Transformer side by side", question, tuple(words.SYSTEMS),
        _figures({loss: predicted_marks(table, loss) for loss in LOSSES}), words.MIXTURE_TERMS,
        (
            Block("Certified phases", (phase_table(table),)),
            Block("Crossings, predicted and measured", crossing_tables(config, table)),
            *last_step_blocks(summary, noisy=config.distribution.label_noise > 0),
        ),
        intervals="Crossings: geometric mean over seeds, with Student's interval of the mean logarithm where every seed"
        " crosses among the sizes measured.",
        every_row=summary_table(summary),
    )  # fmt: skip


def compare_text(config: CompareConfig, table: pd.DataFrame) -> str:
    """Errors at the last step, and crossings, for a terminal."""
    crossings = (f"{title}\n\n{found}" for title, found in crossing_tables(config, table) if found.rows)
    return "\n\n".join([error_text(table), *crossings])
