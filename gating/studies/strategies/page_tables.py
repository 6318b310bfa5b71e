"""Tables of the study `strategies`: agreement of gates, their parameters, transitions, losses and lengths."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from gating.page.names import in_order, system_of
from gating.page.text_table import Block, TextTable, number, whole, with_ends
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import select
from gating.results.table import summarise
from gating.studies.strategies.config import PARAMETERS

__all__ = ["GATES", "KINDS", "SEEN", "WORDS", "described", "steps_of", "strategies_blocks", "widths"]

WORDS = page_words("gating.studies.strategies")
GATES = WORDS.systems
"""Gates between the two strategies in the order of tables, their ablations and the controls."""
KINDS = {"ibd": "training tasks", "oobd": "unseen tasks", "absent": "query's item not in the context"}
"""What test sequences are of."""
SEEN = {"in_fit": "cells of the fit", "held_out_tasks": "held-out D", "held_out_steps": "held-out steps",
        "held_out_widths": "held-out widths"}  # fmt: skip
"""What the fit has seen of a cell."""
AGREEMENT = ("correlation", "total_variation", "r_squared", "rank_correlation", "argmax_agreement", "discrepancy")
FITTED = (*PARAMETERS, "fit_loss", "searches_agreeing")
RUNS = {"seen": ", runs whose transition was seen", "all": ", all runs"}


def described(table: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """Relative distances of every checkpoint; NaN where M and G do not describe it, which then has no prediction."""
    keys = ["mlp_factor", "n_tasks", "step", "seed"]
    predicted = pd.MultiIndex.from_frame(select(table, {"system": "posterior", "measure": "weight"})[keys])
    found = select(table, {"measure": "relative_distance", "distribution": distribution})
    return found.assign(value=found["value"].where(pd.MultiIndex.from_frame(found[keys]).isin(predicted)))


def widths(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of each width with its heading, which a single one does not need."""
    found = sorted(rows["mlp_factor"].dropna().unique())
    for factor in found:
        yield f"MLP factor {factor:g}" if len(found) > 1 else "", select(rows, {"mlp_factor": factor})


def agreement_table(table: pd.DataFrame, distribution: str, group: str) -> TextTable:
    """Agreement of every gate with the Transformers in the cells of one group: a column for each measure."""
    rows = select(table, {"distribution": distribution, "group": group, "measure": AGREEMENT, "kind": "measured"})
    measures = in_order(rows["measure"], AGREEMENT)
    gates = in_order(rows["system"], GATES)
    lines = [(system_of(gate).name, *_cells(select(rows, {"system": gate}), measures)) for gate in gates]
    return TextTable(("gate", *(measure_of(name).meaning for name in measures)), tuple(lines))


def agreement_blocks(table: pd.DataFrame) -> Iterator[Block]:
    """Agreement of every gate: a block for each kind of test sequences, a table for each group of cells."""
    seen = {group: name[:1].upper() + name[1:] for group, name in SEEN.items() if (table["group"] == group).any()}
    for kind in in_order(select(table, {"measure": AGREEMENT})["distribution"], KINDS):
        of_kind = [(name, agreement_table(table, kind, group)) for group, name in seen.items()]
        yield Block(f"Agreement on {KINDS[kind]}", tuple(of_kind))


def posterior_table(table: pd.DataFrame) -> TextTable:
    """Agreement of the posterior alone, a row for each kind of test sequences and group of cells."""
    rows = select(table, {"system": "posterior", "measure": AGREEMENT[:-1], "kind": "measured"})
    measures = in_order(rows["measure"], AGREEMENT)
    cells = {place: _cells(held, measures) for place, held in rows.groupby(["distribution", "group"])}
    places = [place for place in itertools.product(KINDS, SEEN) if place in cells]
    lines = [(f"{KINDS[kind]}, {SEEN[group]}", *cells[kind, group]) for kind, group in places]
    header = ("posterior on", *(measure_of(name).meaning.replace(" ", "\n", 1) for name in measures))
    return TextTable(header, tuple(lines))


def parameter_table(table: pd.DataFrame) -> TextTable:
    """Fitted parameters of the posterior, of its ablations, and of the posterior of each seed and width alone; those
    that ended at the edge of their range say so."""
    fitted = select(table, {"kind": "fitted"})
    places: list[Any] = [*fitted.groupby(["fitted_to", "seed", "mlp_factor"], dropna=False)]
    lines = []
    for (_, seed, factor), rows in places:
        alone = "" if pd.isna(seed) else f", seed {seed} alone"
        alone += "" if pd.isna(factor) else f", MLP factor {factor:g} alone"
        for gate in in_order(rows["system"], GATES):
            mine = select(rows, {"system": gate})
            held = zip(FITTED, _cells(mine, FITTED), strict=True)
            marks = [text + " (edge)" * (f"{name}_at_edge" in set(mine["measure"])) for name, text in held]
            lines.append((system_of(gate).name + alone, *marks))
    return TextTable(("gate", *(measure_of(name).meaning for name in FITTED)), tuple(lines))


def transition_table(table: pd.DataFrame) -> TextTable:
    """Transition times over seeds by width and D, measured and predicted, and how many seeds make the transition."""
    counts = ("seeds_over", "seeds_over_at_once")
    found: dict[tuple[float, float], dict[str, str]] = {}
    for row in _rows(select(table, {"measure": ("transition_time", *counts), "answer": True})):
        name = row.kind if row.measure == "transition_time" else row.measure
        found.setdefault((row.mlp_factor, row.n_tasks), {})[name] = steps_of(row)
    names = (*counts, "measured", "predicted")
    lines = [(f"{n_tasks:,.0f}", f"{factor:g}", *(text.get(name, "") for name in names))
             for (factor, n_tasks), text in sorted(found.items())]  # fmt: skip
    header = ("training tasks D", "MLP factor", *(measure_of(name).meaning for name in counts), "measured steps",
              "predicted steps")  # fmt: skip
    return TextTable(header, tuple(lines))


def exponent_table(table: pd.DataFrame) -> TextTable:
    """Exponents of the transition time in D, and the largest D still memorized at the end, by width."""
    lines = []
    for row in _rows(select(table, {"measure": ("transition_exponent", "diversity_threshold")})):
        if row.measure == "transition_exponent":
            of, value = RUNS[row.group], with_ends(row.value, row.low, row.high) or "too few"
        else:
            of, value = "" if pd.isna(row.seed) else f", seed {row.seed}", steps_of(row, never="above all")
        lines.append((measure_of(row.measure).meaning + of, f"{row.mlp_factor:g}", row.kind, value))
    return TextTable(("", "MLP factor", "", "value"), tuple(lines))


def predictor_table(table: pd.DataFrame) -> TextTable:
    """Losses and description lengths of M and G by D, means over seeds."""
    header, lines = ["training tasks D"], dict[str, list[str]]()
    for measure, name in (("log_loss", "log loss of {} (nats)"), ("description_bits", "length of {} (bits)")):
        means = summarise(select(table, {"measure": measure, "answer": False})).sort_values("n_tasks")
        for system in ("memorizing", "generalizing"):
            header.append(name.format(system_of(system).name[-1]))
            for row in _rows(select(means, {"system": system})):
                text = steps_of(row) if measure == "description_bits" else number(row.value, row.low, row.high, 4)
                lines.setdefault(f"{row.n_tasks:,.0f}", []).append(text)
    return TextTable(tuple(header), tuple((n_tasks, *cells) for n_tasks, cells in lines.items()))


def strategies_blocks(table: pd.DataFrame) -> Iterator[Block]:
    """All tables of the page."""
    yield from agreement_blocks(table)
    yield Block("Fitted parameters", (("Posterior, ablations, and seeds or widths alone", parameter_table(table)),))
    times = ("Times; in brackets, measured over seeds, predicted over runs", transition_table(table))
    yield Block("Transitions", (("Exponents and thresholds", exponent_table(table)), times))
    yield Block("Losses and description lengths of M and G", (("Means over seeds", predictor_table(table)),))


def _cells(rows: pd.DataFrame, measures: Sequence[str]) -> list[str]:
    """Values with the ends of their intervals, empty where the table has none."""
    held = {row.measure: with_ends(row.value, row.low, row.high) for row in _rows(rows)}
    return [held.get(measure, "") for measure in measures]


def _rows(rows: pd.DataFrame) -> Iterable[Any]:
    """Rows whose columns are attributes."""
    return rows.itertuples()


def steps_of(row: Any, never: str = "never") -> str:
    """A number of steps, or of tasks or bits, with the ends of its interval, of a row of the table."""
    if math.isnan(row.value):
        return "none"
    ends = (end for end in (row.value, row.low, row.high) if not math.isnan(end))
    words = [never if math.isinf(end) else whole(end) for end in ends]
    return words[0] if len(words) < 3 else f"{words[0]} [{words[1]}, {words[2]}]"
