"""Tables of the study `strategies`: agreement of gates, their parameters, transitions, losses and lengths."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from gating.page.names import in_order, system_of
from gating.page.text_table import Block, TextTable, cross_table, number, whole, with_ends
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import ordered, select
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
    measures = {name: measure_of(name).meaning for name in in_order(rows["measure"], AGREEMENT)}
    return cross_table(ordered(rows, ["system"], GATES), ("gate",), lambda row: (system_of(row.system).name,),
                       lambda row: measures[row.measure], _ends, measures.values())  # fmt: skip


def agreement_blocks(table: pd.DataFrame) -> Iterator[Block]:
    """Agreement of every gate: a block for each kind of test sequences, a table for each group of cells."""
    seen = {group: name[:1].upper() + name[1:] for group, name in SEEN.items() if (table["group"] == group).any()}
    for kind in in_order(select(table, {"measure": AGREEMENT})["distribution"], KINDS):
        of_kind = [(name, agreement_table(table, kind, group)) for group, name in seen.items()]
        yield Block(f"Agreement on {KINDS[kind]}", tuple(of_kind))


def posterior_table(table: pd.DataFrame) -> TextTable:
    """Agreement of the posterior alone, a row for each kind of test sequences and group of cells."""
    rows = select(table, {"system": "posterior", "measure": AGREEMENT[:-1], "kind": "measured"})
    measures = {name: measure_of(name).meaning.replace(" ", "\n", 1) for name in in_order(rows["measure"], AGREEMENT)}
    return cross_table(ordered(rows, ["distribution", "group"], [*KINDS, *SEEN]), ("posterior on",),
                       lambda row: (f"{KINDS[row.distribution]}, {SEEN[row.group]}",),
                       lambda row: measures[row.measure], _ends, measures.values())  # fmt: skip


def parameter_table(table: pd.DataFrame) -> TextTable:
    """Fitted parameters of the posterior, of its ablations, and of the posterior of each seed and width alone; those
    that ended at the edge of their range say so."""
    fitted = select(table, {"kind": "fitted"})
    edges = _rows(fitted[fitted["measure"].str.endswith("_at_edge")])
    at_edge = {(_fitted_to(row), row.measure.removesuffix("_at_edge")) for row in edges}
    rows = ordered(select(fitted, {"measure": FITTED}), ["system"], GATES)
    return cross_table(rows.sort_values(["fitted_to", "seed", "mlp_factor"], kind="stable"), ("gate",),
                       lambda row: (_fitted_to(row),), lambda row: measure_of(row.measure).meaning,
                       lambda row: _ends(row) + " (edge)" * ((_fitted_to(row), row.measure) in at_edge),
                       [measure_of(name).meaning for name in FITTED])  # fmt: skip


def _fitted_to(row: Any) -> str:
    """A gate, and the seed and the width that its parameters are fitted to where they are not fitted to all."""
    alone = "" if pd.isna(row.seed) else f", seed {row.seed} alone"
    alone += "" if pd.isna(row.mlp_factor) else f", MLP factor {row.mlp_factor:g} alone"
    return system_of(row.system).name + alone


def transition_table(table: pd.DataFrame) -> TextTable:
    """Transition times over seeds by width and D, measured and predicted, and how many seeds make the transition."""
    counts = {name: measure_of(name).meaning for name in ("seeds_over", "seeds_over_at_once")}
    rows = select(table, {"measure": ("transition_time", *counts), "answer": True})
    return cross_table(rows.sort_values(["mlp_factor", "n_tasks"]), ("training tasks D", "MLP factor"),
                       lambda row: (f"{row.n_tasks:,.0f}", f"{row.mlp_factor:g}"),
                       lambda row: counts.get(row.measure, f"{row.kind} steps"), steps_of,
                       (*counts.values(), "measured steps", "predicted steps"))  # fmt: skip


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
    names = {"log_loss": "log loss of {} (nats)", "description_bits": "length of {} (bits)"}
    systems = ("memorizing", "generalizing")
    rows = summarise(select(table, {"measure": tuple(names), "system": systems, "answer": False}))
    rows = ordered(rows.sort_values("n_tasks"), ["measure", "system"], [*names, *systems])
    return cross_table(rows, ("training tasks D",), lambda row: (f"{row.n_tasks:,.0f}",),
                       lambda row: names[row.measure].format(system_of(row.system).name[-1]),
                       lambda row: number(row.value, row.low, row.high, 4) if row.measure == "log_loss"
                       else steps_of(row))  # fmt: skip


def strategies_blocks(table: pd.DataFrame) -> Iterator[Block]:
    """All tables of the page."""
    yield from agreement_blocks(table)
    yield Block("Fitted parameters", (("Posterior, ablations, and seeds or widths alone", parameter_table(table)),))
    times = ("Times; in brackets, measured over seeds, predicted over runs", transition_table(table))
    yield Block("Transitions", (("Exponents and thresholds", exponent_table(table)), times))
    yield Block("Losses and description lengths of M and G", (("Means over seeds", predictor_table(table)),))


def _rows(rows: pd.DataFrame) -> Iterable[Any]:
    """Rows whose columns are attributes."""
    return rows.itertuples()


def _ends(row: Any) -> str:
    return with_ends(row.value, row.low, row.high)


def steps_of(row: Any, never: str = "never") -> str:
    """A number of steps, or of tasks or bits, with the ends of its interval, of a row of the table."""
    if math.isnan(row.value):
        return "none"
    ends = (end for end in (row.value, row.low, row.high) if not math.isnan(end))
    words = [never if math.isinf(end) else whole(end) for end in ends]
    return words[0] if len(words) < 3 else f"{words[0]} [{words[1]}, {words[2]}]"
