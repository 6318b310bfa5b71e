"""Figures of the study `crossover`: predicted and measured N* against the frequency of a rare class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gating.evaluation.crossing import CrossingEstimate, estimate_crossings
from gating.report.canvas import canvas
from gating.report.compare import ERROR, GATE, RESIDUAL
from gating.report.draw import PAPER, REFERENCE_COLOUR, THEORY_COLOURS
from gating.report.figures import Block, Drawing, Facet, FigureSpec, Row, Settings, Study, Trace
from gating.report.names import system_of
from gating.report.tables import TextTable, with_ends

__all__ = ["CROSSOVER", "crossing_table", "draw_crossings"]

PREDICTED = {"crossover_expected_error": ("0-1 loss", "-"), "crossover_expected_log_loss": ("log loss", "--")}
"""Loss and line style of each predicted N*."""

FILLED = ("Label counts, 0-1 loss", "Transformer, gate rises past 1/2")
TITLE = "Crossover N* of a rare class against its frequency q"
LOOK = (
    "Left, the training-set size at which weights take over a rare class; theory says that it is inverse to the"
    " frequency of the class, a slope of -1. Right, the same over the predicted N* of its loss (of 0-1 loss for the"
    " Transformers), with a band of 10%. A fraction beside a point says how many seeds cross among the sizes measured,"
    " where not all do."
)
INTERVALS = (
    "Label counts: 95% bootstrap interval over training sets. Transformers: geometric mean over seeds with Student's"
    " 95% interval of the mean logarithm, where every seed crosses."
)
TERMS = (
    ("N*", "The smallest number of training sequences from which a curve stays on the far side of its level."),
    ("Label counts", "Add-beta counts of the labels of each class on clean inputs. N* is where their mean risk falls to"
     " that of copying from contexts as trained, by the same loss."),
    ("Gate rises past 1/2", "The effective gate of a Transformer, between label counts of its own training set and"
     " copying from the context, on out-of-base sequences with a relevant context."),
    ("In-weight error falls past 1/2", "The error of a Transformer on in-base sequences with an irrelevant context,"
     " which only its weights can answer."),
    ("Frequency q", "Probability that the query is of one given rare class: (1 - p_high) / n_low."),
)  # fmt: skip
SHIFT = 0.025  # octaves of q to either side, between points that stand side by side


def by_setting(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each frequency, the rarest last."""
    settings = summary.loc[summary["kind"] == "measured", "setting"].dropna().unique()
    return tuple(Facet(setting.replace("=", " = "), {"setting": setting}) for setting in settings)


def _rare(label: str, distribution: str, context: str, measure: str, axis: Any) -> Row:
    where = {"distribution": distribution, "context": context, "group": "low"}
    return Row(label, where, (Trace(measure),), axis)


def draw_crossings(estimates: Sequence[CrossingEstimate]) -> str:
    """N* against the frequency of one rare class, and its ratio to the predicted N*, as SVG text.

    Args:
        estimates: measured crossovers, of `gating.evaluation.crossing.estimate_crossings`.

    Raises:
        ValueError: when there is none.
    """
    if not estimates:
        raise ValueError("`estimates` must hold at least one crossover; got none")
    with canvas(10.0, 5.2) as (figure, text):
        sizes, ratios = figure.subplots(1, 2, sharex=True)
        figure.suptitle(TITLE)
        handles = _predicted(sizes, estimates)
        for place, estimate in enumerate(estimates):
            handles.append(_measured(sizes, ratios, estimate, place - (len(estimates) - 1) / 2))
        _axes(sizes, ratios, estimates[0].frequency)
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return text.getvalue()


def _predicted(axes: Axes, estimates: Sequence[CrossingEstimate]) -> list[Line2D]:
    """Lines of the predicted N*, one for each loss; returns their legend entries."""
    handles = []
    for measure in dict.fromkeys(estimate.onset.predicted for estimate in estimates):
        estimate = next(e for e in estimates if e.onset.predicted == measure)
        loss, line = PREDICTED[measure]
        look: dict[str, Any] = {"color": THEORY_COLOURS["in_weight"], "linestyle": line, "linewidth": 1.1, "marker": ""}
        axes.plot(estimate.frequency, estimate.predicted, zorder=1.7, **look)
        name = f"Theory, {loss}: slope {estimate.predicted_exponent:.2f}"
        handles.append(Line2D([], [], label=name, **look))
    return handles


def _measured(sizes: Axes, ratios: Axes, estimate: CrossingEstimate, place: float) -> Line2D:
    """Points with intervals in both panels; returns the legend entry with the fitted exponent."""
    system, beside = system_of(estimate.onset.system), 2 ** (2 * SHIFT * place)
    face = system.colour if estimate.onset.name in FILLED else PAPER
    look: dict[str, Any] = {"color": system.colour, "marker": system.marker, "markerfacecolor": face, "linestyle": ""}
    q = estimate.frequency
    # counts lie on the lines of the theory, where a shift would look like a difference
    at = q if estimate.onset.system == "tabular" else q * beside
    for axes, x, unit in ((sizes, at, np.ones_like(q)), (ratios, q * beside, estimate.predicted)):
        axes.vlines(x, estimate.low / unit, estimate.high / unit, color=system.colour, linewidth=1.1, alpha=0.6)
        axes.plot(x, estimate.value / unit, **look)
    for x, y, reached in zip(at, estimate.value, estimate.reached, strict=True):
        if 0 < reached < estimate.seeds:
            sizes.annotate(f"{reached}/{estimate.seeds} ", (x, y), ha="right", va="top", fontsize=7)
    slope, low, high = estimate.exponent
    fitted = "" if np.isnan(slope) else f": slope {slope:.2f}" + ("" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]")
    return Line2D([], [], label=f"{estimate.onset.name}{fitted}", **look)


def _axes(sizes: Axes, ratios: Axes, frequency: Any) -> None:
    for axes in (sizes, ratios):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("frequency q of one rare class")
    sizes.xaxis.set_major_locator(FixedLocator([float(q) for q in frequency]))
    sizes.xaxis.set_major_formatter(FuncFormatter(lambda q, _: f"{q:g}"))
    sizes.xaxis.set_minor_locator(NullLocator())
    sizes.set_ylabel("N* (training sequences)")
    ratios.set_ylabel("measured N* / predicted N*")
    ratios.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    ratios.axhspan(0.9, 1.1, color=REFERENCE_COLOUR, alpha=0.15, linewidth=0)
    ratios.axhline(1.0, color=REFERENCE_COLOUR, linestyle=(0, (1, 2)), linewidth=1.2)


def crossing_table(estimates: Sequence[CrossingEstimate]) -> TextTable:
    """Predicted and measured N*, their ratio with its interval, and how many seeds cross, one row per frequency."""
    header = ("what crosses", "q", "predicted N*", "measured N*", "ratio", "seeds that cross")
    rows = []
    for estimate in estimates:
        for q, predicted, value, low, high, reached, already in zip(
            estimate.frequency, estimate.predicted, estimate.value, estimate.low, estimate.high, estimate.reached,
            estimate.already, strict=True,
        ):  # fmt: skip
            ratio = with_ends(value / predicted, low / predicted, high / predicted)
            size = "none" if np.isnan(value) else f"{value:,.0f}"
            crossed = f"{reached} of {estimate.seeds}" + (f", {already} at every N" if already else "")
            rows.append((estimate.onset.name, f"{q:.4g}", f"{predicted:,.0f}", size, ratio, crossed))
        exponent = with_ends(*estimate.exponent)
        rows.append((estimate.onset.name, "slope on q", f"{estimate.predicted_exponent:.3f}", exponent, "", ""))
    return TextTable(header, tuple(rows))


def _by_seed(table: pd.DataFrame, settings: Settings) -> tuple[list[Drawing], list[Block]]:
    estimates = estimate_crossings(table)
    drawing = Drawing("crossover-by-frequency", TITLE, draw_crossings(estimates), [LOOK, INTERVALS])
    tables = tuple((f"{estimate.onset.name}{_after(estimate)}", crossing_table([estimate])) for estimate in estimates)
    return [drawing], [Block("Predicted and measured N*", tables)]


def _after(estimate: CrossingEstimate) -> str:
    return "" if estimate.step is None else f", after {estimate.step:,} steps"


def _text(table: pd.DataFrame) -> str:
    estimates = estimate_crossings(table)
    steps = [_after(estimate) for estimate in estimates if estimate.step is not None]
    return f"Transformers{steps[0] if steps else ' are not in the table'}. {INTERVALS}\n\n{crossing_table(estimates)}"


CROSSOVER = Study(
    title="How many training sequences until weights take over a rare class",
    question="Is the training-set size N* at which a rare class is answered from weights inverse to its frequency q, as"
    " the theory has it, for counted labels and for Transformers?",
    systems=("transformer", "in_context", "tabular"),
    figures=(
        FigureSpec(
            name="handover-by-n",
            title="Rare classes: who answers, against the number of training sequences N",
            look="The first N* is where the effective gate stays above 1/2, the second where the in-weight error stays"
            " below it. Where the gate is high and its residual is large at small N, neither label counts nor copying"
            " describe the model: it has not yet learned to copy for rare classes.",
            x="n",
            rows=(
                _rare("OOBD, relevant", "oobd", "relevant", "effective_gate", GATE),
                _rare("OOBD, relevant", "oobd", "relevant", "effective_gate_residual", RESIDUAL),
                _rare("IBD, irrelevant", "ibd", "irrelevant", "error", ERROR),
                _rare("OOBD, relevant", "oobd", "relevant", "error", ERROR),
            ),
            columns=by_setting,
            systems=("transformer",),
        ),
    ),
    terms=TERMS,
    results_title="Crossovers",
    results=lambda summary, settings: [],
    by_seed=_by_seed,
    text=_text,
    all_rows=False,
)
"""The page of the study `crossover`."""
