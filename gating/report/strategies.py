"""Page of the study `strategies`: memorizing or generalizing, through training, and how well gates predict it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from gating.evaluation.table import read_setting
from gating.report.figures import Block, Drawing, Settings, Study
from gating.report.names import MEASURES, STRATEGY_GATES, in_order, system_of
from gating.report.query import seeds_phrase, select
from gating.report.strategies_cells import predictor_means, strategy_cells, transition_means
from gating.report.strategies_drawings import draw_maps, draw_paths, draw_predictors, draw_transitions
from gating.report.tables import TextTable, whole, with_ends

__all__ = ["STRATEGIES", "agreement_table", "parameter_table", "transition_table"]

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
PARAMETERS = ("alpha", "beta", "gamma", "kappa", "fit_loss")
OVER_RUNS = "In brackets: 95% intervals by bootstrap over runs (each D, width and seed)."


def agreement_table(table: pd.DataFrame, distribution: str, group: str) -> TextTable:
    """Agreement of every gate with the Transformers in the cells of one group: a column for each measure."""
    rows = select(table, {"distribution": distribution, "group": group, "measure": AGREEMENT, "kind": "measured"})
    measures = in_order(rows["measure"], AGREEMENT)
    lines = [
        (system_of(gate).name, *_cells(select(rows, {"system": gate}), measures))
        for gate in in_order(rows["system"], STRATEGY_GATES)
    ]
    return TextTable(("gate", *(MEASURES[measure] for measure in measures)), tuple(lines))


def parameter_table(table: pd.DataFrame) -> TextTable:
    """Fitted parameters of the posterior, of its ablations, and of the posterior of each seed and width alone."""
    fitted = select(table, {"kind": "fitted"})
    lines = []
    for setting in fitted["setting"].drop_duplicates():
        rows = fitted[fitted["setting"].isna() if pd.isna(setting) else fitted["setting"] == setting]
        alone = "".join(f", {name.replace('_', ' ')}: {value:g}" for name, value in read_setting(setting).items())
        for gate in in_order(rows["system"], STRATEGY_GATES):
            lines.append((system_of(gate).name + alone, *_cells(select(rows, {"system": gate}), PARAMETERS)))
    return TextTable(("gate", "alpha", "beta", "gamma", "kappa", "loss of the fit"), tuple(lines))


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


def summary_rows(table: pd.DataFrame) -> TextTable:
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


def _cells(rows: pd.DataFrame, measures: tuple[str, ...] | list[str]) -> list[str]:
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


def _drawings(table: pd.DataFrame, settings: Settings) -> Iterator[Drawing]:
    made = _made(table, settings)
    kinds = in_order(select(table, {"measure": "relative_distance"})["distribution"], KINDS)
    cells = {kind: strategy_cells(table, kind) for kind in kinds}
    seeds = seeds_phrase(cells["ibd"])
    title = "Strategy over steps and training tasks D, measured and predicted"
    yield Drawing("strategy-maps", title, draw_maps(title, cells["ibd"]), [
        "Left, where the answers of Transformers lie between those of G (orange, 0) and of M (blue, 1), on sequences of"
        " training tasks; right, the weight of M that the posterior predicts. Compare where each row changes colour.",
        "Means over the seeds named here. Blank: checkpoints that no mixture of M and G describes.", made])  # fmt: skip
    for kind, on_kind in cells.items():
        title = f"Strategy against steps, {KINDS.get(kind, kind)}"
        yield Drawing(f"strategy-paths-{kind}", title, draw_paths(title, on_kind), [*_path_words(kind), seeds, made])
    title = "When Transformers go over from G to M"
    svg = draw_transitions(title, transition_means(table), float(table["step"].max()))
    yield Drawing("transition-times", title, svg, [*_transition_words(table), made])
    losses, lengths = (predictor_means(table, measure) for measure in ("log_loss", "description_bits"))
    title = "Losses and description lengths of M and G"
    yield Drawing("losses-and-lengths", title, draw_predictors(title, losses, lengths), [
        "What the posterior weighs: how much M gains over G on sequences of training tasks, left, against how much"
        " longer M is to describe, right.", seeds_phrase(losses), made])  # fmt: skip


def _path_words(kind: str) -> list[str]:
    looks = {
        "ibd": "Relative distance on sequences of training tasks. A curve that passes 1/2 goes over from generalizing"
        " to memorizing.",
        "oobd": "The same on sequences of unseen tasks, where only G is right: a Transformer that first generalizes and"
        " then memorizes loses an ability that it had.",
    }
    return [
        looks.get(kind, f"The same on {KINDS.get(kind, kind)}."),
        "Dots: measured, filled where the fit has seen the cell, open where it has not; some checkpoints are left out."
        " Lines: predicted, with shading from the 95% intervals of the bootstrap over runs.",
    ]


def _transition_words(table: pd.DataFrame) -> list[str]:
    rows = select(table, {"measure": "transition_exponent"})
    sentences = []
    for row in _records(rows):
        value = with_ends(*_ends(row)) or "not fitted, since fewer than three D have a transition"
        runs = "where a transition was seen" if row["group"] == "seen" else "over all D"
        factor = f", MLP factor {read_setting(row['setting'])['mlp_factor']:g}" if rows["setting"].nunique() > 1 else ""
        sentences.append(f"Exponent in D, {row['kind']}, {runs}{factor}: {value}.")
    return [
        "The step from which a Transformer stays nearer to M than to G; steeper than 1 means that the time grows"
        " faster than the number of tasks.",
        *sentences,
        "Dots: geometric means over the seeds whose transition was seen, with Student's 95% interval of the mean"
        " logarithm where it was in every seed. Line: predicted, with the interval of the bootstrap over runs.",
    ]


def _made(table: pd.DataFrame, settings: Settings) -> str:
    seeds = [str(seed) for seed in sorted(table["seed"].dropna().unique())]
    words = f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
    return f"Task {settings['task']}, dimension {settings['dim']}, length {settings['length']}; {words}."


def _by_seed(table: pd.DataFrame, settings: Settings) -> tuple[list[Drawing], list[Block]]:
    groups = {group: name[:1].upper() + name[1:] for group, name in SEEN.items() if (table["group"] == group).any()}
    blocks = [
        Block(f"Agreement on {KINDS.get(kind, kind)}",
              tuple((name, agreement_table(table, kind, group)) for group, name in groups.items()))
        for kind in in_order(select(table, {"measure": AGREEMENT})["distribution"], KINDS)
    ]  # fmt: skip
    transitions = (("Exponents and thresholds", summary_rows(table)), ("Times", transition_table(table)))
    return list(_drawings(table, settings)), [
        *blocks,
        Block("Fitted parameters", (("Posterior, ablations, and seeds or widths alone", parameter_table(table)),)),
        Block("Transitions", transitions),
        Block("Losses and description lengths of M and G", (("Means over seeds", predictor_table(table)),)),
    ]


def _text(table: pd.DataFrame) -> str:
    """Agreement of the posterior, its parameters, exponents and thresholds; cells are left to the page."""
    rows = select(table, {"system": "posterior", "measure": AGREEMENT, "kind": "measured"})
    measures = in_order(rows["measure"], AGREEMENT)[:-1]  # the discrepancy is for the page
    lines = []
    for kind in in_order(rows["distribution"], KINDS):
        for group in in_order(rows["group"], SEEN):
            found = select(rows, {"distribution": kind, "group": group})
            lines.append((f"{KINDS.get(kind, kind)}, {SEEN[group]}", *_cells(found, measures)))
    header = ("posterior on", *(MEASURES[measure].replace(" ", "\n", 1) for measure in measures))
    parameters = parameter_table(select(table, {"system": "posterior"}))
    steps = f"Transformers after {int(table['step'].max()):,} steps."
    return "\n\n".join([f"{steps} {OVER_RUNS}", str(TextTable(header, tuple(lines))), str(parameters),
                        str(summary_rows(table))])  # fmt: skip


STRATEGIES = Study(
    title="Memorizing or generalizing: which strategy a Transformer follows, and when",
    question="Does a Transformer answer as if it knew its D training tasks (M, in weights) or as if it knew only where"
    " tasks come from (G, in context), when does it go over from one to the other, and does a posterior that weighs"
    " their losses against their complexity predict it?",
    systems=("transformer", *STRATEGY_GATES),
    figures=(),
    terms=(
        ("M, G", "Bayesian predictors. The prior of M is the set of D training tasks, that of G the distribution that"
         " tasks are drawn from."),
        ("Relative distance", "Where the answers of a Transformer lie between those of G (0) and those of M (1)."),
        ("Posterior", "Weight of M from its prior 2^-K^beta, K the description length in bits, and from the losses of"
         " both over N training steps, with rate gamma N^-alpha; kappa is what a nat of the context counts."),
        ("Cell", "One checkpoint of one run. Gates are fitted to some and judged on others: held-out numbers of tasks,"
         " steps and widths."),
        ("Correlation", "Over cells, between the weight of M and the relative distance. The other measures compare the"
         " predicted mixture of M and G with the Transformer's answers in each cell, and are means over cells."),
        ("Discrepancy", "KL divergence (nats) of the mixture from the Transformer's answers, or squared error."),
    ),
    intervals=OVER_RUNS,
    results_title="Results",
    results=lambda summary, settings: [],
    by_seed=_by_seed,
    text=_text,
    all_rows=False,
)  # fmt: skip
"""The page of the study `strategies`."""
