"""Page of the study `crossover`: predicted and measured N* against the frequency of a rare class."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gating.page.canvas import canvas
from gating.page.draw import IN_WEIGHT_THEORY, PAPER, REFERENCE_COLOUR
from gating.page.figures import Drawing, Facet, FigureSpec, Page, Row, Trace, YAxis
from gating.page.names import system_of
from gating.page.text_table import Block, TextTable, number, whole, with_ends
from gating.page.words import page_words
from gating.results.query import last_step, select
from gating.studies.crossover.answers import ONSETS, Onset
from gating.studies.vocabulary import CONDITIONS, ERROR, GATE, RESIDUAL

__all__ = ["crossover_page", "crossover_text", "draw_crossovers"]

THEORY_LINES = {"error": "-", "log_loss": "--", "error_level": ":"}
"""The style of the line of a predicted N*, by the key of its onset."""

WORDS = page_words("gating.studies.crossover")
FIGURE, INTERVALS = WORDS.figures["crossover-by-frequency"], WORDS.said["intervals"]
HEADER = ("q", "predicted N*", "measured N*", "ratio", "seeds that cross")
ENDS = ["value", "low", "high"]
SHIFT = 0.025  # octaves of q to either side, between points that stand side by side


def by_frequency(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each frequency, the rarest last."""
    values = sorted(summary.loc[summary["kind"] == "measured", "p_high"].dropna().unique())
    return tuple(Facet(f"p_high = {value:g}", {"p_high": value}) for value in values)


PARTS = {
    "predicted": ("crossover", "exact"), "measured": ("crossover", "measured"),
    "ratio": ("crossover_ratio", "measured"), "predicted slope": ("exponent", "exact"),
    "slope": ("exponent", "measured"), "slope ratio": ("exponent_ratio", "measured"),
}  # fmt: skip
"""Measure, without the onset's key, and kind of what is shown of an onset."""


def by_onset(table: pd.DataFrame) -> dict[Onset, dict[str, pd.DataFrame]]:
    """The `PARTS` of each onset that was measured, from the answers at the last step and the rows of theory.

    Each has columns ``value``, ``low`` and ``high``, missing where there is nothing; slopes have one row, the others
    one for each frequency ``q``, ascending.
    """
    last = last_step(table[table["answer"] | (table["kind"] == "exact")])
    q = select(last, {"measure": "query_frequency"}).set_index("p_high")["value"].sort_values()
    found = {}
    for onset in ONSETS:
        parts = {part: select(last, {"measure": f"{measure}_{onset.key}", "kind": kind}).set_index("p_high")
                 for part, (measure, kind) in PARTS.items()}  # fmt: skip
        places = [p_high for p_high in q.index if p_high in parts["measured"].index]
        if places:
            found[onset] = {part: rows.reindex([np.nan] if "slope" in part else places).assign(q=q)
                            for part, rows in parts.items()}  # fmt: skip
    return found


def draw_crossovers(table: pd.DataFrame) -> str:
    """N* against the frequency of one rare class, and its ratio to the predicted N*, as SVG text.

    Args:
        table: rows of theory, and answers.

    Raises:
        ValueError: there is no answer.
    """
    onsets = by_onset(table)
    if not onsets:
        raise ValueError("`table` must hold at least one measured crossover; got none")
    with canvas(10.0, 5.2) as (figure, text):
        sizes, ratios = figure.subplots(1, 2, sharex=True)
        figure.suptitle(FIGURE["title"])
        handles = [_predicted(sizes, onset, parts) for onset, parts in onsets.items() if onset.key in THEORY_LINES]
        for place, (onset, parts) in enumerate(onsets.items()):
            handles.append(_measured(sizes, ratios, onset, parts, place - (len(onsets) - 1) / 2))
        _axes(sizes, ratios, next(iter(onsets.values()))["measured"]["q"])
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return text.getvalue()


def _fitted(slope: pd.DataFrame) -> str:
    """The end of a legend entry; nothing where there is no slope."""
    value, low, high = slope[ENDS].iloc[0]
    words = number(value, low, high, 2)
    return f": slope {words}" if words else ""


def _predicted(axes: Axes, onset: Onset, parts: dict[str, pd.DataFrame]) -> Line2D:
    """A line of the predicted N*; returns its legend entry."""
    line = THEORY_LINES[onset.key]
    look: dict[str, Any] = {"color": IN_WEIGHT_THEORY, "linestyle": line, "linewidth": 1.1, "marker": ""}
    axes.plot(parts["predicted"]["q"], parts["predicted"]["value"], zorder=1.7, **look)
    return Line2D([], [], label=WORDS.said[f"predicted_{onset.key}"] + _fitted(parts["predicted slope"]), **look)


def _measured(sizes: Axes, ratios: Axes, onset: Onset, parts: dict[str, pd.DataFrame], place: float) -> Line2D:
    """Points with intervals in both panels; returns the legend entry with the fitted exponent."""
    system, measured = system_of(onset.system), parts["measured"]
    face = system.colour if onset.key in ("error", "gate") else PAPER
    look: dict[str, Any] = {"color": system.colour, "marker": system.marker, "markerfacecolor": face, "linestyle": ""}
    beside = measured["q"] * 2 ** (2 * SHIFT * place)
    # counts lie on the lines of the theory, where a shift would look like a difference
    at = measured["q"] if onset.system == "tabular" else beside
    for axes, x, rows in ((sizes, at, measured), (ratios, beside, parts["ratio"])):
        axes.vlines(x, rows["low"], rows["high"], color=system.colour, linewidth=1.1, alpha=0.6)
        axes.plot(x, rows["value"], **look)
    for x, y, reached, seeds in zip(at, measured["value"], measured["reached"], measured["seeds"], strict=True):
        if 0 < reached < seeds:
            sizes.annotate(f"{reached}/{seeds} ", (x, y), ha="right", va="top", fontsize=7)
    return Line2D([], [], label=WORDS.said[onset.key] + _fitted(parts["slope"]), **look)


def _axes(sizes: Axes, ratios: Axes, frequency: Any) -> None:
    for axes in (sizes, ratios):
        axes.set(xscale="log", yscale="log", xlabel="frequency q of one rare class")
    sizes.set_xticks(frequency, [f"{q:g}" for q in frequency])
    sizes.set_xticks([], minor=True)
    sizes.set_ylabel("N* (training sequences)")
    ratios.set_ylabel("measured N* / predicted N*")
    ratios.yaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}")
    ratios.axhspan(0.9, 1.1, color=REFERENCE_COLOUR, alpha=0.15, linewidth=0)
    ratios.axhline(1.0, color=REFERENCE_COLOUR, linestyle=(0, (1, 2)), linewidth=1.2)


def crossover_tables(table: pd.DataFrame) -> dict[str, TextTable]:
    """Of each onset, by what crosses and after how many steps: N*, predicted and measured, and the slopes."""
    found = {}
    for onset, parts in by_onset(table).items():
        step = parts["measured"]["step"].max()
        after = "" if pd.isna(step) else f", after {step:,} steps"
        found[WORDS.said[onset.key] + after] = TextTable(HEADER, tuple(_cells(parts)))
    return found


def _cells(parts: dict[str, pd.DataFrame]) -> Iterator[tuple[str, ...]]:
    for predicted, row, ratio in zip(*(parts[part].to_dict("records") for part in list(PARTS)[:3]), strict=True):
        crossed = f"{row['reached']} of {row['seeds']}" + (f", {row['already']} at every N" if row["already"] else "")
        over = with_ends(*(ratio[name] for name in ENDS))
        yield f"{row['q']:.4g}", _sizes(predicted), _sizes(row) or "none", over, crossed
    yield "slope on q", *(number(*parts[part][ENDS].iloc[0]) for part in list(PARTS)[3:]), ""


def _sizes(row: Mapping[str, Any]) -> str:
    size, *ends = ("" if np.isnan(row[name]) else whole(row[name]) for name in ENDS)
    return f"{size} [{', '.join(ends)}]" if all(ends) else size


def crossover_text(table: pd.DataFrame) -> str:
    """Predicted and measured N*, for a terminal."""
    return "\n\n".join([*(f"{title}\n\n{found}" for title, found in crossover_tables(table).items()), INTERVALS])


def _low(distribution: str, context: str, measure: str, axis: YAxis) -> Row:
    where = {"distribution": distribution, "context": context, "group": "low"}
    return Row(CONDITIONS[distribution, context], where, (Trace(measure),), axis)


HANDOVER = FigureSpec(
    **WORDS.figures["handover-by-n"],
    x="n",
    rows=(
        _low("oobd", "relevant", "effective_gate", GATE),
        _low("oobd", "relevant", "effective_gate_residual", RESIDUAL),
        _low("ibd", "irrelevant", "error", ERROR),
        _low("oobd", "relevant", "error", ERROR),
    ),
    columns=by_frequency,
    systems=("transformer",),
)


def crossover_page(question: str, table: pd.DataFrame) -> Page:
    """The page of the study `crossover`."""
    return Page(
        title=WORDS.title,
        question=question,
        systems=("transformer", "copying", "tabular"),
        figures=(
            Drawing(FIGURE["name"], FIGURE["title"], draw_crossovers(table), [FIGURE["look"], INTERVALS]),
            HANDOVER,
        ),
        terms=WORDS.terms,
        blocks=(Block("Predicted and measured N*", tuple(crossover_tables(table).items())),),
        results_title="Crossovers",
    )
