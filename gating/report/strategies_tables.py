"""Tables of the study `strategies`: agreement of gates, their parameters, transitions, losses and lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gating.evaluation.table import read_setting
from gating.report.names import MEASURES, STRATEGY_GATES, in_order, system_of
from gating.report.query import select
from gating.report.strategies_cells import predictor_means, transition_means
from gating.report.tables import Block, TextTable, whole, with_ends

__all__ = [
    "KINDS",
    "agreement_blocks",
    "agreement_table",
    "exponent_sentences",
    "exponent_table",
    "parameter_table",
    "posterior_table",
    "predictor_table",
    "transition_table",
]

KINDS = {
    "ibd": "training tasks",
    "oobd": "unseen tasks",
    "absent": "query's item not in the context",
}
"""What test sequences are of."""
SEEN = {
    "in_fit": "cells of the fit",
    "held_out_tasks": "held-out D",
    "held_out_steps": "held-out steps",
    "held_out_widths": "held-out widths",
}
"""What the fit has seen of a cell."""
AGREEMENT = ("correlation", "total_variation", "r_squared", "rank_correlation", "argmax_agreement", "discrepancy")
PARAMETERS = ("alpha", "beta", "gamma", "kappa", "fit_loss", "searches_agreeing")


def agreement_table(table: pd.DataFrame, distribution: str, group: str) -> TextTable:
    """Agreement of every gate with the Transformers in the cells of one group: a column for each measure."""
    rows = select(table, {"distribution": distribution, "group": group, "measure": AGREEMENT, "kind": "measured"})
    measures = in_order(rows["measure"], AGREEMENT)
    lines = [
        (system_of(gate).name, *_cells(select(rows, {"system": gate}), measures))
        for gate in in_order(rows["system"], STRATEGY_GATES)
    ]
    return TextTable(("gate", *(MEASURES[measure] for measure in measures)), tuple(lines))


def agreement_blocks(table: pd.DataFrame) -> list[Block]:
    """Agreement of every gate: a block for each kind of test sequences, a table for each group of cells."""
    kinds = in_order(select(table, {"measure": AGREEMENT})["distribution"], KINDS)
    seen = {group: name[:1].upper() + name[1:] for group, name in SEEN.items() if (table["group"] == group).any()}
    return [
        Block(
            f"Agreement on {KINDS.get(kind, kind)}",
            tuple((name, agreement_table(table, kind, group)) for group, name in seen.items()),
        )
        for kind in kinds
    ]


def posterior_table(table: pd.DataFrame) -> TextTable:
    """Agreement of the posterior alone, a row for each kind of test sequences and group of cells."""
    rows = select(table, {"system": "posterior", "measure": AGREEMENT[:-1], "kind": "measured"})
    measures = in_order(rows["measure"], AGREEMENT)
    lines = []
    for kind in in_order(rows["distribution"], KINDS):
        for group in in_order(select(rows, {"distribution": kind})["group"], SEEN):
            found = select(rows, {"distribution": kind, "group": group})
            lines.append((f"{KINDS.get(kind, kind)}, {SEEN[group]}", *_cells(found, measures)))
    header = ("posterior on", *(MEASURES[measure].replace(" ", "\n", 1) for measure in measures))
    return TextTable(header, tuple(lines))


def parameter_table(table: pd.DataFrame) -> TextTable:
    """Fitted parameters of the posterior, of its ablations, and of the posterior of each seed and width alone; those
    that ended at the edge of their range say so."""
    fitted = select(table, {"kind": "fitted"})
    lines = []
    for setting in fitted["setting"].drop_duplicates():
        rows = fitted[fitted["setting"].isna() if pd.isna(setting) else fitted["setting"] == setting]
        alone = "".join(f", {name.replace('_', ' ')}: {value:g}" for name, value in read_setting(setting).items())
        for gate in in_order(rows["system"], STRATEGY_GATES):
            mine = select(rows, {"system": gate})
            held = zip(PARAMETERS, _cells(mine, PARAMETERS), strict=True)
            marks = [text + " (edge)" * (f"{name}_at_edge" in set(mine["measure"])) for name, text in held]
            lines.append((system_of(gate).name + alone, *marks))
    header = ("gate", "alpha", "beta", "gamma", "kappa", "loss of the fit", "searches that found it")
    return TextTable(header, tuple(lines))


def transition_table(table: pd.DataFrame) -> TextTable:
    """Transition times by width and D, measured and predicted, and how many seeds make the transition."""
    times = transition_means(table)
    predicted = {(row["mlp_factor"], row["n_tasks"]): row for row in _records(select(times, {"kind": "predicted"}))}
    lines = []
    for row in _records(select(times, {"kind": "measured"})):
        seen = f"{row['reached']} of {row['seeds']}" + (f", {row['already']} from the start" if row["already"] else "")
        other = predicted[row["mlp_factor"], row["n_tasks"]]
        lines.append((f"{row['n_tasks']:,.0f}", f"{row['mlp_factor']:g}", _steps(*_ends(row)), seen,
                      _steps(*_ends(other))))  # fmt: skip
    header = ("training tasks D", "MLP factor", "measured steps", "seeds that go over", "predicted steps")
    return TextTable(header, tuple(lines))


def exponent_table(table: pd.DataFrame) -> TextTable:
    """Exponent of the transition time in D and task-diversity threshold at the last step, by width."""
    found = select(table, {"measure": ("transition_exponent", "diversity_threshold")})
    lines = []
    for setting in found["setting"].drop_duplicates():
        factor = f"{read_setting(setting)['mlp_factor']:g}"
        here = select(found, {"setting": setting})
        for row in _records(select(here, {"measure": "transition_exponent"})):
            runs = "runs whose transition was seen" if row["group"] == "seen" else "all runs"
            lines.append((f"exponent of the transition time in D, {runs}", factor, row["kind"],
                          with_ends(*_ends(row)) or "too few"))  # fmt: skip
        for row in _records(select(here, {"measure": "diversity_threshold"})):
            seed = "" if pd.isna(row["seed"]) else f", seed {row['seed']}"
            lines.append((f"largest D still memorized at the end{seed}", factor, row["kind"],
                          _steps(*_ends(row), never="above all")))  # fmt: skip
    return TextTable(("", "MLP factor", "", "value"), tuple(lines))


def exponent_sentences(table: pd.DataFrame) -> list[str]:
    """Exponents of the transition time in D, a sentence for each."""
    rows = select(table, {"measure": "transition_exponent"})
    sentences = []
    for row in _records(rows):
        value = with_ends(*_ends(row)) or "not fitted, since fewer than three D have a transition"
        runs = "where a transition was seen" if row["group"] == "seen" else "over all D"
        factor = f", MLP factor {read_setting(row['setting'])['mlp_factor']:g}" if rows["setting"].nunique() > 1 else ""
        sentences.append(f"Exponent in D, {row['kind']}, {runs}{factor}: {value}.")
    return sentences


def predictor_table(table: pd.DataFrame) -> TextTable:
    """Losses and description lengths of M and G by D."""
    header = ["training tasks D"]
    lines: dict[str, list[str]] = {}
    for measure, name in (("log_loss", "log loss of {} (nats)"), ("description_bits", "length of {} (bits)")):
        means = predictor_means(table, measure)
        for system in ("memorizing", "generalizing"):
            header.append(name.format(system_of(system).name[-1]))
            for row in _records(select(means, {"system": system})):
                lines.setdefault(f"{row['n_tasks']:,.0f}", []).append(_plain(measure, row))
    return TextTable(tuple(header), tuple((n_tasks, *cells) for n_tasks, cells in lines.items()))


def _plain(measure: str, row: Mapping[str, Any]) -> str:
    value, low, high = _ends(row)
    digits = 0 if measure == "description_bits" else 4
    return f"{value:,.{digits}f}" + ("" if math.isnan(low) else f" ± {(high - low) / 2:,.{digits}f}")


def _cells(rows: pd.DataFrame, measures: Sequence[str]) -> list[str]:
    """Values with the ends of their intervals, empty where the table has none."""
    held = {row["measure"]: with_ends(*_ends(row)) for row in _records(rows)}
    return [held.get(measure, "") for measure in measures]


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries by column."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _ends(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """A value and the ends of its interval."""
    return float(row["value"]), float(row["low"]), float(row["high"])


def _steps(value: float, low: float, high: float, never: str = "never") -> str:
    """A number of steps, or of tasks, with the ends of its interval."""
    if math.isnan(value):
        return "none"
    words = [never if math.isinf(end) else whole(end) for end in (value, low, high) if not math.isnan(end)]
    return words[0] if len(words) < 3 else f"{words[0]} [{words[1]}, {words[2]}]"
