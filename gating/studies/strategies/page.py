"""Page of the study `strategies`: memorizing or generalizing, through training, and how well gates predict it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

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
    cells, said = {kind: strategy_cells(table, kind) for kind in kinds}, WORDS.said
    yield _drawing("strategy-maps", draw_maps, [cells["ibd"]], said["means"], made)
    for kind, on_kind in cells.items():
        over = seeds_phrase(cells["ibd"])
        yield _drawing(f"strategy-paths-{kind}", draw_paths, [on_kind], said["paths"], over, made)
    times = [select(table, {"measure": "transition_time", "answer": True}), float(table["step"].max())]
    yield _drawing("transition-times", draw_transitions, times, *exponent_sentences(table), said["times"], made)
    means = summarise(select(table, {"system": ("memorizing", "generalizing"), "answer": False})).sort_values("n_tasks")
    losses, lengths = (select(means, {"measure": measure}) for measure in ("log_loss", "description_bits"))
    yield _drawing("losses-and-lengths", draw_predictors, [losses, lengths], seeds_phrase(losses), made)


def _drawing(name: str, draw: Callable[..., str], data: Sequence[Any], *sentences: str) -> Drawing:
    """A figure with its own words and further sentences."""
    words = WORDS.figures[name]
    return Drawing(name, words["title"], draw(words["title"], *data), [words["look"], *sentences])
