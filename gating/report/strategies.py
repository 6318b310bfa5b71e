"""Page of the study `strategies`: memorizing or generalizing, through training, and how well gates predict it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gating.report.figures import Block, Drawing, Settings, Study
from gating.report.names import STRATEGY_GATES, in_order
from gating.report.query import seeds_phrase, select
from gating.report.strategies_cells import predictor_means, strategy_cells, transition_means
from gating.report.strategies_drawings import draw_maps, draw_paths, draw_predictors, draw_transitions
from gating.report.strategies_tables import (
    KINDS,
    agreement_blocks,
    exponent_sentences,
    exponent_table,
    parameter_table,
    posterior_table,
    predictor_table,
    transition_table,
)

__all__ = ["STRATEGIES"]

OVER_RUNS = "In brackets: 95% intervals by bootstrap over runs (each D, width and seed)."
HELD_FIXED = (
    " They need five runs, and those of agreement hold the fitted gate fixed. Runs of a seed share initial weights."
)


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
        "absent": "The same on sequences whose context leaves the query's item out.",
    }
    return [
        looks.get(kind, f"The same on {kind}."),
        "Dots: measured, filled where the fit has seen the cell, open where it has not; some checkpoints are left out."
        " Lines: predicted, with shading from the 95% intervals of the bootstrap over runs.",
    ]


def _transition_words(table: pd.DataFrame) -> list[str]:
    return [
        "The step from which a Transformer stays nearer to M than to G; steeper than 1 means that the time grows"
        " faster than the number of tasks.",
        *exponent_sentences(table),
        "Dots: geometric means over the seeds whose transition was seen, with Student's 95% interval of the mean"
        " logarithm where it was in every seed; no dot where none went over, or all were nearer to M from the start."
        " Line: predicted, with the 95% interval of the bootstrap over runs.",
    ]


def _made(table: pd.DataFrame, settings: Settings) -> str:
    seeds = [str(seed) for seed in sorted(table["seed"].dropna().unique())]
    words = f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
    return f"Task {settings['task']}, dimension {settings['dim']}, length {settings['length']}; {words}."


def _by_seed(table: pd.DataFrame, settings: Settings) -> tuple[list[Drawing], list[Block]]:
    transitions = (
        ("Exponents and thresholds", exponent_table(table)),
        ("Times; in brackets, measured over seeds, predicted over runs", transition_table(table)),
    )
    return list(_drawings(table, settings)), [
        *agreement_blocks(table),
        Block("Fitted parameters", (("Posterior, ablations, and seeds or widths alone", parameter_table(table)),)),
        Block("Transitions", transitions),
        Block("Losses and description lengths of M and G", (("Means over seeds", predictor_table(table)),)),
    ]


def _text(table: pd.DataFrame) -> str:
    """Agreement of the posterior, its parameters, exponents and thresholds; cells are left to the page."""
    parts = (
        f"Transformers after {int(table['step'].max()):,} steps. {OVER_RUNS}",
        posterior_table(table),
        parameter_table(select(table, {"system": "posterior"})),
        exponent_table(table),
    )
    return "\n\n".join(map(str, parts))


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
        ("Posterior", "Weight of M from its prior 2^(-K^beta), K the description length in bits, and from the losses of"
         " both over N training steps, with rate gamma N^(-alpha); kappa is what a nat of the context counts."),
        ("Cell", "One checkpoint of one run. Gates are fitted to some and judged on others: held-out numbers of tasks,"
         " steps and widths."),
        ("Correlation", "Over cells, between the weight of M and the relative distance. The other measures compare the"
         " predicted mixture of M and G with the Transformer's answers in each cell, and are means over cells."),
        ("Discrepancy", "KL divergence (nats) of the mixture from the Transformer's answers, or squared error."),
    ),
    intervals=OVER_RUNS + HELD_FIXED,
    results_title="Results",
    results=lambda summary, settings: [],
    by_seed=_by_seed,
    text=_text,
    all_rows=False,
)  # fmt: skip
"""The page of the study `strategies`."""
