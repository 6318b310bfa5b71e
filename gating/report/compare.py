"""Figures of the study `compare`: theory, stylized models and Transformers on the same data."""

from __future__ import annotations

import math

from gating.report.figures import FigureSpec, Row, Settings, Study, Trace, YAxis, by_size, conditions
from gating.report.names import GROUPS, SYSTEMS, condition_name
from gating.report.predicted import compare_blocks, crossover_marks
from gating.report.query import find_setting

__all__ = ["COMPARE"]


def _n_classes(settings: Settings) -> int | None:
    counts = [find_setting(settings, name) for name in ("n_high", "n_low")]
    return None if None in counts else sum(counts)


def chance_error(settings: Settings) -> float | None:
    """Error of a uniform guess over the labels; None where the settings do not say how many there are."""
    classes = _n_classes(settings)
    return 1 - 1 / classes if classes else None


def chance_log_loss(settings: Settings) -> float | None:
    """Log loss of a uniform guess over the labels, in nats."""
    classes = _n_classes(settings)
    return math.log(classes) if classes else None


ERROR = YAxis("error (0-1 loss)", -0.04, 1.04, reference=chance_error, reference_name="chance (uniform guess)")
LOG_LOSS = YAxis(
    "log loss (nats)", 0, scale="symlog", reference=chance_log_loss, reference_name="chance (uniform guess)"
)
GATE = YAxis("effective gate\n0 = context, 1 = weights", -0.04, 1.04)
RESIDUAL = YAxis("residual KL (nats)", 0, scale="symlog")

GATE_TRACES = (
    Trace("effective_gate"),
    Trace("mean_gate", ":", "the stylized model's own mean gate"),
    Trace("effective_gate_reference", "--", "reference Transformers in place of g and h"),
)
RESIDUAL_TRACES = (
    Trace("effective_gate_residual"),
    Trace("effective_gate_reference_residual", "--", "reference Transformers in place of g and h"),
)

CONDITIONS_SHOWN = conditions(("ibd", "relevant"), ("ibd", "irrelevant"), ("oobd", "relevant"), ("ibd", "as_trained"))
GATED = ("transformer", "stylized", "stylized_frozen")

THEORY_NOTE = (
    "Thin lines without markers are theory: solid the exact risk, dashed upper and lower bounds where there are"
    " any, of the tabular in-weight predictor and of softmax copying on clean inputs (input noise 0). They are what the"
    " predictors could reach with the classes known, not fits to the measured curves."
)


def _by_group(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    return tuple(Row(GROUPS[group], {"group": group}, traces, axis) for group in ("high", "low"))


def _over_time(axis: YAxis, *traces: Trace) -> tuple[Row, ...]:
    return tuple(
        Row(
            f"{condition_name(distribution, context)}\n{GROUPS[group]}",
            {"distribution": distribution, "context": context, "group": group},
            traces,
            axis,
        )
        for distribution, context in (("oobd", "relevant"), ("ibd", "irrelevant"))
        for group in ("high", "low")
    )


COMPARE = Study(
    title="In weights or in context: theory, stylized model and Transformer side by side",
    question="On classes of which some are frequent and some rare, when does a model answer from its weights, and when"
    " from its context, as the number of training sequences N and the training steps grow?",
    systems=tuple(SYSTEMS),
    figures=(
        FigureSpec(
            name="error-by-n",
            title="Who answers what: error against the number of training sequences N",
            look="IBD, irrelevant can only be answered from weights, OOBD, relevant only from context. Look for the N"
            " at which the first falls and the second rises, earlier for frequent than for rare classes; a"
            " model whose OOBD error goes from low to high with N has lost its in-context ability.",
            x="n",
            rows=_by_group(ERROR, Trace("error")),
            columns=CONDITIONS_SHOWN,
            theory=True,
            note=THEORY_NOTE,
            marks=crossover_marks("error"),
        ),
        FigureSpec(
            name="log-loss-by-n",
            title="How sure they are: log loss against the number of training sequences N",
            look="The axis is linear below 0.001 nats and logarithmic above. A log loss above chance is an answer that"
            " is sure and wrong: what a predictor from weights does on OOBD labels.",
            x="n",
            rows=_by_group(LOG_LOSS, Trace("log_loss")),
            columns=CONDITIONS_SHOWN,
            theory=True,
            note=THEORY_NOTE,
            marks=crossover_marks("log_loss"),
        ),
        FigureSpec(
            name="error-by-step",
            title="Emergence and transience: error over training steps",
            look="Read a column downwards. In-context learning emerges where OOBD, relevant falls and is transient"
            " where it rises again; in-weight learning is where IBD, irrelevant falls. Predictors without"
            " training steps are horizontal lines.",
            x="step",
            rows=_over_time(ERROR, Trace("error")),
            columns=by_size,
            theory=True,
            note=THEORY_NOTE,
        ),
        FigureSpec(
            name="gate-by-n",
            title="The gate in use: effective gate against the number of training sequences N",
            look="The effective gate is the weight of g in the mixture of g and h that is nearest to the model (least"
            " KL divergence); its residual, in the lower rows, is the divergence that is left. Where the residual is"
            " large no mixture of g and h describes the model and the gate means little. A dotted line is the gate"
            " that a stylized model itself computes: it should lie under its measured one. Dashed, the reference"
            " Transformers take the places of g and h.",
            x="n",
            rows=(*_by_group(GATE, *GATE_TRACES), *_by_group(RESIDUAL, *RESIDUAL_TRACES)),
            columns=CONDITIONS_SHOWN,
            systems=GATED,
            marks=crossover_marks("error"),
        ),
        FigureSpec(
            name="gate-by-step",
            title="The gate over time: effective gate over training steps",
            look="A gate that rises with the steps hands over from context to weights. Compare frequent with rare"
            " classes, and the Transformer with the stylized models. Read it beside the residuals of the"
            " figure before.",
            x="step",
            rows=_over_time(GATE, *GATE_TRACES),
            columns=by_size,
            systems=GATED,
        ),
    ),
    results=compare_blocks,
)
"""The page of the study `compare`."""
