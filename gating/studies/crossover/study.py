"""The study `crossover`: predicted, counted and trained N* of rare classes, over their frequency."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from gating.studies.crossover import run
from gating.studies.crossover.answers import answer_rows
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import SEEDS_AT_ONCE, counted_sizes, theory_rows
from gating.studies.crossover.page import crossover_page, crossover_text
from gating.studies.replicas import Replica, seconds_per_step
from gating.studies.stylized import stylized_parameters
from gating.training.gradients import require_compiler

__all__ = ["Crossover"]


class Crossover(Study[CrossoverConfig]):
    """At which number N* of training sequences do weights take over a rare class, and is N* inverse to its frequency?

    Theory says so; N* is measured of counted labels, of Transformers, and of stylized models, which predict these.
    """

    config = CrossoverConfig
    of_evaluation = ("evaluation_seed", "evaluation_per_cell", "tabular_seeds", "tabular_octaves",
                     "tabular_per_octave", "beta", "temperature")  # fmt: skip

    def check(self, config: CrossoverConfig, resources: Resources) -> None:
        """Asks theory first, so that nothing is trained where it refuses."""
        require_compiler(resources.device, transformer_training=config.transformer_training)
        theory_rows(config)

    def ensembles(self, config: CrossoverConfig) -> Iterator[Ensemble[Replica]]:
        """The Transformers, and the stylized models that predict them."""
        yield from (run.ensemble(config, system) for system in run.SYSTEMS)

    def parts(self, config: CrossoverConfig) -> Iterator[Part]:
        """Labels counted for each `p_high`, and measures of each `p_high` and N."""
        for spec in config.settings:
            yield Part(f"count/{spec.p_high}", partial(run.keep_counts, config, spec))
        for system in run.SYSTEMS:
            for first, replica in list(enumerate(config.replicas))[:: config.n_seeds]:
                name = f"measure/{system}/{replica.distribution.p_high}-{replica.n_sequences}"
                yield Part(name, partial(run.keep_measures, config, system, first), after=(f"train/{system}",))

    def rows(self, config: CrossoverConfig, work: Place) -> pd.DataFrame:
        """Predicted N*, and the measured curves that cross."""
        names = [part.name for part in self.parts(config)]
        return pd.concat([make_table(theory_rows(config)), *(work.of(name).table(run.ROWS) for name in names)])

    def answers(self, config: CrossoverConfig, table: pd.DataFrame) -> pd.DataFrame:
        """N* of every onset and its slope in the frequency, and both over what theory predicts."""
        return make_table(answer_rows(table))

    def memory(self, config: CrossoverConfig) -> float:
        """Bytes: parameters with gradient, moments and copies while they are saved, or what parts hold that count
        labels or measure, one on each core; and the rows."""
        counted, parameters, tests = _sizes(config)
        tokens, cores = config.distribution.context_length + 1, os.cpu_count() or 1
        labels = min(SEEDS_AT_ONCE, config.tabular_seeds) * min(max(counted, default=0), 2**16)
        counting = min(cores, len(config.p_high)) * labels * 8 * (12 + 8 * tokens)
        at_once = min(cores, len(config.p_high) * len(config.low_queries)) * config.n_seeds
        measuring = at_once * tests * tokens * config.distribution.dim * 4 * 11
        return max(10 * parameters, counting, measuring) + 2000.0 * config.tabular_seeds * len(counted)

    def estimate(self, config: CrossoverConfig, resources: Resources) -> Estimate:
        """Time from a few steps of one group, where a test sequence takes a third of one in training."""
        (counted, parameters, tests), settings, replicas = _sizes(config), config.transformer_training, config.replicas
        step = sum(seconds_per_step(run.ensemble(config, system), resources) for system in run.SYSTEMS)
        checkpoints = len(settings.checkpoint_steps)
        training = step * len(replicas) * (settings.steps + tests * checkpoints / settings.batch_size / 3)
        labels = config.tabular_seeds * sum(counted) + sum(each.n_sequences for each in replicas)
        counting = 2e-4 * config.tabular_seeds * len(counted) + 3e-7 * labels
        disk = PAGE_BYTES + parameters * (checkpoints + 3) + 40.0 * config.tabular_seeds * len(counted)
        return Estimate((training + counting) / resources.workers, self.memory(config), disk)

    def page(self, config: CrossoverConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Predicted and measured N* over the frequency, and the curves that cross."""
        return crossover_page(self.question(), config, table)

    def text(self, config: CrossoverConfig, table: pd.DataFrame) -> str:
        """What came out; predicted and measured N*, their ratios and slopes."""
        return crossover_text(config, table)


def _sizes(config: CrossoverConfig) -> tuple[list[int], float, int]:
    """Sizes that labels are counted at, bytes of all models' parameters, and test sequences of a model."""
    spec, shape = config.distribution, config.transformer
    counted = [n for each in config.settings for n in counted_sizes(config, each)]
    parameters = shape.depth * shape.width**2 * (4 + 2 * shape.mlp_factor) + 3 * spec.n_classes * shape.width
    parameters += stylized_parameters(spec, shape.hidden)
    return counted, 4 * parameters * len(config.replicas), 4 * spec.n_classes * config.evaluation_per_cell
