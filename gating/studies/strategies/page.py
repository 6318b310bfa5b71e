"""Page of the study `strategies`: memorizing or generalizing, through training, and how well gates predict it."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from gating.page.figures import Drawing, Page
from gating.page.names import declare_systems, in_order
from gating.results.query import seeds_phrase, select
from gating.results.table import summarise
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.drawings import draw_maps, draw_paths, draw_predictors, draw_transitions
from gating.studies.strategies.page_tables import GATES, KINDS, WORDS, exponent_sentences, strategies_blocks
from gating.studies.vocabulary import SYSTEMS

__all__ = ["strategies_page", "strategy_cells"]

TRANSFORMER = declare_systems({"transformer": SYSTEMS["transformer"]})


def strategies_page(question: str, config: StrategiesConfig, table: pd.DataFrame) -> Page:
    """The page of the study `strategies`."""
    return Page(
        title=WORDS.title,
        question=question,
        systems=(*TRANSFORMER, *GATES),
        figures=tuple(_drawings(config, table)),
        terms=WORDS.terms,
        blocks=strategies_blocks(table),
        intervals=f"{WORDS.said['over_runs']} {WORDS.said['held_fixed']}",
        results_title="Results",
    )


def strategy_cells(table: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """Relative distance and predicted weight of every checkpoint, means over the seeds that M and G describe there.

    Args:
        table: rows of the study.
        distribution: kind of test sequences that the distance was measured on.

    Returns:
        One row for each ``mlp_factor``, ``n_tasks`` and ``step``: ``value`` with its interval ``low`` to ``high`` over
        ``seeds``; ``weight`` with ``weight_low`` and ``weight_high``, means of the ends of its bootstrap interval;
        ``held``, whether the fit has not seen the cell. Numbers are missing where no seed is described.
    """
    keys = ["mlp_factor", "n_tasks", "step"]
    weights = select(table, {"system": "posterior", "measure": "weight"}).set_index([*keys, "seed"])
    distances = select(table, {"measure": "relative_distance", "distribution": distribution})
    described = distances.set_index([*keys, "seed"]).index.isin(weights.index)
    measured = summarise(distances.assign(value=distances["value"].where(described)))
    ends = weights.groupby(keys)[["value", "low", "high"]].mean().add_prefix("weight_")
    found = measured.join(ends.rename(columns={"weight_value": "weight"}), on=keys)
    return found.assign(held=found["group"] != "in_fit").sort_values(keys)


def _drawings(config: StrategiesConfig, table: pd.DataFrame) -> Iterator[Drawing]:
    seeds = [str(seed) for seed in sorted(table["seed"].dropna().unique())]
    words = f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
    made = f"Task {config.task}, dimension {config.dim}, length {config.length}; {words}."
    kinds = in_order(select(table, {"measure": "relative_distance"})["distribution"], KINDS)
    cells = {kind: strategy_cells(table, kind) for kind in kinds}
    over = seeds_phrase(cells["ibd"])
    title = "Strategy over steps and training tasks D, measured and predicted"
    yield Drawing("strategy-maps", title, draw_maps(title, cells["ibd"]), [
        "Left, where the answers of Transformers lie between those of G (orange, 0) and of M (blue, 1), on sequences of"
        " training tasks; right, the weight of M that the posterior predicts. Compare where each row changes colour.",
        "Means over the seeds named here. Blank: checkpoints that no mixture of M and G describes.", made])  # fmt: skip
    for kind, on_kind in cells.items():
        title = f"Strategy against steps, {KINDS.get(kind, kind)}"
        yield Drawing(f"strategy-paths-{kind}", title, draw_paths(title, on_kind), [
            WORDS.said.get(kind, f"The same on {kind}."),
            "Dots: measured, filled where the fit has seen the cell, open where it has not; some checkpoints are left"
            " out. Lines: predicted, with shading from the 95% intervals of the bootstrap over runs.",
            over, made])  # fmt: skip
    title = "When Transformers go over from G to M"
    times = select(table, {"measure": "transition_time", "answer": True})
    yield Drawing("transition-times", title, draw_transitions(title, times, float(table["step"].max())), [
        "The step from which a Transformer stays nearer to M than to G; steeper than 1 means that the time grows"
        " faster than the number of tasks.",
        *exponent_sentences(table),
        "Dots: geometric means over the seeds whose transition was seen, with Student's 95% interval of the mean"
        " logarithm where it was in every seed; no dot where none went over, or all were nearer to M from the start."
        " Line: predicted, with the 95% interval of the bootstrap over runs.", made])  # fmt: skip
    title = "Losses and description lengths of M and G"
    means = summarise(select(table, {"system": ("memorizing", "generalizing"), "answer": False})).sort_values("n_tasks")
    losses, lengths = (select(means, {"measure": measure}) for measure in ("log_loss", "description_bits"))
    yield Drawing("losses-and-lengths", title, draw_predictors(title, losses, lengths), [
        "What the posterior weighs: how much M gains over G on sequences of training tasks, left, against how much"
        " longer M is to describe, right.", seeds_phrase(losses), made])  # fmt: skip
