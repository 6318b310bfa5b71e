"""Page of the study `crossover`: predicted and measured N* against the frequency of a rare class."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gating.page.figures import Axis, Figure, Layer, Page, Panel
from gating.page.multiples import DASHED, DOTTED, Facet, Multiples, Row, Trace, YAxis
from gating.page.names import GREY, System, system_of
from gating.page.said import in_lines, interval, sized
from gating.page.text_table import Block, TextTable, number
from gating.page.words import page_words
from gating.studies.crossover.answers import Onset, by_onset, frequencies
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.verdict import crossover_verdict
from gating.studies.level import FROM_INPUTS
from gating.studies.vocabulary import CONDITIONS, ERROR, GATE, RESIDUAL

__all__ = ["crossover_figure", "crossover_page", "crossover_text"]

THEORY_LINES = {"error": (), "log_loss": DASHED, "error_level": DOTTED}
"""Strokes of the line of a predicted N*, by the key of its onset."""

WORDS = page_words("gating.studies.crossover")
HEADER = ("q", "predicted N*", "measured N*", "ratio")
NAMES = {"bayes": "best learner's\nfrom noisy inputs", "nearest_mean": "nearest\nmean's"}
STYLIZED = ("stylized\nmodel's N*", "ratio to it")
ENDS = ["value", "low", "high"]
NEAR = 0.1  # of 1: a ratio this close is marked as equal


def by_frequency(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each frequency, the rarest last."""
    return tuple(Facet(f"q = {q:.4g}", {"p_high": p_high}) for p_high, q in frequencies(summary)[::-1].items())


def crossover_figure(table: pd.DataFrame) -> Figure | None:
    """N* against the frequency of one rare class, and its ratio to the predicted N*; None where nothing is measured.

    Args:
        table: rows of theory, and answers.
    """
    onsets = by_onset(table)
    if not onsets:
        return None
    measured = [(_look(onset), _rows(parts["measured"])) for onset, parts in onsets.items()]
    layers = [Layer(look, rows, "points") for look, rows in measured]
    layers += [Layer(look, rows[rows["said"].notna()], "words") for look, rows in measured]
    twins = {onset: _look(onset._replace(system="stylized")) for onset, parts in onsets.items() if _has_twin(parts)}
    layers += [Layer(look, _rows(onsets[onset]["stylized"]), "points") for onset, look in twins.items()]
    for onset, parts in onsets.items():
        if onset.key in THEORY_LINES:
            name = WORDS.said[f"predicted_{onset.key}"]
            look = System(name, "", system_of("any_in_weight").colour, dash=THEORY_LINES[onset.key])
            layers.append(Layer(look, _rows(parts["predicted"]), "line"))
    panels = [Panel("", "N*, measured and predicted", _axis("N* (training sequences)", layers), tuple(layers))]
    for system in dict.fromkeys(onset.system for onset in onsets):
        ratios = [
            Layer(_look(onset), _rows(parts["ratio"]), "points")
            for onset, parts in onsets.items()
            if onset.system == system and parts["ratio"]["value"].notna().any()
        ]
        ratios += [Layer(look, _rows(onsets[onset]["stylized ratio"]), "points")
                   for onset, look in twins.items() if onset.system == system]  # fmt: skip
        ratios = [layer for layer in ratios if len(layer.rows)]
        if ratios:
            one = pd.DataFrame({"x": [np.nan], "value": [1.0], "low": [1 - NEAR], "high": [1 + NEAR]})
            ratios.append(Layer(System(WORDS.said["equal"], "", GREY, dash=DOTTED), one, "across"))
            axis = _axis("measured N* / predicted N*", ratios)
            panels.append(Panel("", f"{WORDS.said[system]}: ratio to predicted N*", axis, tuple(ratios)))
    words = WORDS.figures["crossover-by-frequency"]
    q = tuple(frequencies(table))
    x = Axis("frequency q of one rare class", q[0] / 1.4, q[-1] * 1.2, scale="log", ticks=q)
    sentences = (words["look"], words["note"], WORDS.said["intervals"])
    return Figure(words["name"], words["title"], sentences, x, tuple(panels), len(panels))


def _look(onset: Onset) -> System:
    name = WORDS.said[f"stylized_{onset.key}" if onset.system == "stylized" else onset.key]
    return system_of(onset.system)._replace(name=name, filled=onset.key in ("error", "gate"))


def _has_twin(parts: dict[str, pd.DataFrame]) -> bool:
    """Whether stylized models were trained beside the Transformers."""
    return bool(parts["stylized"]["seeds"].notna().any())


def _rows(part: pd.DataFrame) -> pd.DataFrame:
    """Points of one of the `PARTS`; ``said`` is how many of the seeds cross, where some do and some do not."""
    rows = part.reset_index()[["q", *ENDS, "reached", "seeds"]].astype(np.float64)
    some = (rows["reached"] > 0) & (rows["reached"] < rows["seeds"])
    said = [f"{reached:.0f}/{seeds:.0f}" for reached, seeds in rows[["reached", "seeds"]].values]
    rows = rows.assign(said=pd.Series(said, dtype=object).where(some)).drop(columns="seeds")
    return rows[rows["value"].notna()].rename(columns={"q": "x", "reached": "seeds"})


def _axis(label: str, layers: list[Layer]) -> Axis:
    """Around all values, and their intervals up to 8 times as far; linear where that is little."""
    rows = pd.concat([layer.rows for layer in layers])
    value = rows["value"][np.isfinite(rows["value"]) & (rows["value"] > 0)]
    low, high = max(rows["low"].min(), value.min() / 8), min(rows["high"].max(), value.max() * 8)
    low, high = np.fmin(low, value.min()), np.fmax(high, value.max())
    room = 1.02 * (high / low) ** 0.04
    return Axis(label, low / room, high * room, "log" if high > 3 * low else "linear")


def crossover_tables(table: pd.DataFrame) -> dict[str, TextTable]:
    """Of each onset, by what crosses and after how many steps: N*, predicted and measured, and the slopes."""
    found = {}
    for onset, parts in by_onset(table).items():
        step = parts["measured"]["step"].max()
        after = "" if pd.isna(step) else f", after {step:,} steps"
        header = (*HEADER[:2], *(NAMES[system] for system in _learners(parts)), *HEADER[2:],
                  *(STYLIZED if _has_twin(parts) else ()), "seeds that cross")  # fmt: skip
        found[WORDS.said[onset.key] + after] = TextTable(header, tuple(_cells(parts)))
    return found


def _cells(parts: dict[str, pd.DataFrame]) -> Iterator[tuple[str, ...]]:
    twin = _has_twin(parts)
    shown = ("predicted", "measured", "ratio", "stylized", "stylized ratio")
    for k in range(len(parts["measured"])):
        predicted, row, ratio, stylized, over = (parts[part].iloc[k] for part in shown)
        crossed = f"{row['reached']} of {row['seeds']}" + (f", {row['already']} at every N" if row["already"] else "")
        beside = (_size(stylized) or "none", interval(over)) if twin else ()
        noisy = (_size(parts[system].iloc[k]) for system in _learners(parts))
        yield f"{row['q']:.4g}", _size(predicted), *noisy, _size(row) or "none", interval(ratio), *beside, crossed
    slopes = ("predicted slope", "slope", "slope ratio", *(("stylized slope",) if twin else ()))
    first, *others = (number(*parts[part][ENDS].iloc[0]) for part in slopes)
    yield "slope on q", first, *("" for _ in _learners(parts)), *others, *[""] * (2 if twin else 1)


def _learners(parts: dict[str, pd.DataFrame]) -> list[str]:
    """Learners from noisy inputs that theory has N* of."""
    return [system for system in FROM_INPUTS if parts[system]["value"].notna().any()]


def _size(row: pd.Series) -> str:
    return "" if np.isnan(row["value"]) else sized(row)


def crossover_text(config: CrossoverConfig, table: pd.DataFrame) -> str:
    """What came out, then predicted and measured N*, for a terminal."""
    tables = (f"{title}\n\n{found}" for title, found in crossover_tables(table).items())
    return "\n\n".join([in_lines(crossover_verdict(config, table)), *tables, WORDS.said["intervals"]])


def _low(label: str, distribution: str, context: str, measure: str, axis: YAxis) -> Row:
    where = {"distribution": distribution, "context": context, "group": "low"}
    return Row(f"{label}\n{CONDITIONS[distribution, context]}", where, (Trace(measure),), axis)


HANDOVER = Multiples(
    **WORDS.figures["handover-by-n"],
    x="n",
    rows=(
        _low("gate", "oobd", "relevant", "effective_gate", GATE),
        _low("residual of the gate", "oobd", "relevant", "effective_gate_residual", RESIDUAL),
        _low("in-weight error", "ibd", "irrelevant", "error", ERROR),
        _low("in-context error", "oobd", "relevant", "error", ERROR),
    ),
    columns=by_frequency,
    systems=("transformer", "stylized"),
)


def crossover_page(question: str, config: CrossoverConfig, table: pd.DataFrame) -> Page:
    """The page of the study `crossover`."""
    figure = crossover_figure(table)
    return Page(
        title=WORDS.title,
        question=question,
        systems=("transformer", "stylized", "copying", "tabular"),
        figures=(*([figure] if figure else []), HANDOVER),
        terms=WORDS.terms,
        blocks=(Block("Predicted and measured N*", tuple(crossover_tables(table).items())),),
        verdict=crossover_verdict(config, table),
        results_title="Crossovers",
    )
