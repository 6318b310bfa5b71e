"""The study `strategies`: Transformers that memorize their training tasks or generalize, and the gate between."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd
import psutil

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from gating.studies.replicas import seconds_per_step
from gating.studies.strategies.config import StrategiesConfig, StrategyReplica
from gating.studies.strategies.ensemble import TRAINED, ensemble
from gating.studies.strategies.families import FAMILIES
from gating.studies.strategies.fit import FIT, keep_fit, measured_in
from gating.studies.strategies.outputs import keep_outputs
from gating.studies.strategies.page import strategies_page, strategies_text
from gating.studies.strategies.transitions import times_over_seeds
from gating.training.gradients import require_compiler

__all__ = ["Strategies"]


class Strategies(Study[StrategiesConfig]):
    """Does a Transformer memorize its training tasks or generalize, when, and does a loss-complexity gate predict it?

    Gates are fitted to the answers of all models together, so agreement, parameters, exponents and thresholds are found
    in the part that has these answers; what is found over seeds alone is made from the table.
    """

    config = StrategiesConfig
    of_evaluation = ("evaluation_seed", "evaluation_sequences", "evaluation_rows", "loss_sequences", "loss_groups",
                     "described_within", "held_out", "n_resamples")  # fmt: skip

    def check(self, config: StrategiesConfig, resources: Resources) -> None:
        """Looks for what compiled training needs."""
        require_compiler(resources.device, training=config.training)

    def ensembles(self, config: StrategiesConfig) -> Iterator[Ensemble[StrategyReplica]]:
        """The Transformers."""
        yield ensemble(config)

    def parts(self, config: StrategiesConfig) -> Iterator[Part]:
        """The answers of each Transformer, then the gates between M and G."""
        measuring = [measured_in(index) for index in range(len(config.replicas))]
        for index, name in enumerate(measuring):
            yield Part(name, partial(keep_outputs, config, index), after=(TRAINED,))
        yield Part(FIT, partial(keep_fit, config), after=tuple(measuring), wide=True)

    def rows(self, config: StrategiesConfig, work: Place) -> pd.DataFrame:
        """What each model and seed does, and what gates fitted to all of them find."""
        return work.of(FIT).table(FIT)

    def answers(self, config: StrategiesConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Transition times of each width and task diversity, over seeds."""
        return make_table({"study": "strategies", "context": "as_trained", **row} for row in times_over_seeds(table))

    def memory(self, config: StrategiesConfig) -> float:
        """Bytes: states and training tasks of all models, and what as many of them as there are cores hold while they
        take a step or answer; or the answers of all, and the tables of their discrepancy."""
        models, checkpoints, parameters, answers = _sizes(config)
        tasks = 16.0 * config.dim * sum(replica.n_tasks for replica in config.replicas)
        token = config.transformer.depth * config.transformer.width * (20 + 4 * config.mlp_factors[-1]) + config.dim
        step = 8.0 * config.training.batch_size * config.length * token
        asked = 64.0 * (config.loss_sequences + 2 * config.evaluation_sequences) * config.length * config.dim
        at_once = min(os.cpu_count() or 1, models) * max(step, 4 * parameters * checkpoints + 8 * answers + asked)
        fit = models * (4 * answers + checkpoints * (2 * 289 * 24 + 16 * config.n_resamples))
        return 16 * models * parameters + tasks + max(at_once, fit)

    def estimate(self, config: StrategiesConfig, resources: Resources) -> Estimate:
        """What a run will take, from the time of a few steps of the widest model with the most tasks."""
        models, checkpoints, parameters, answers = _sizes(config)
        memory, settings = self.memory(config), config.training
        disk = PAGE_BYTES + 4 * models * parameters * (checkpoints + 3)
        if memory > psutil.virtual_memory().total:
            return Estimate(float("nan"), memory, disk)  # a step might not fit
        step = seconds_per_step(ensemble(config), resources)
        asked = config.evaluation_sequences * len(FAMILIES[config.task].kinds) * checkpoints
        training = models * step * (settings.steps + asked / settings.batch_size / 3) / min(resources.workers, models)
        searches = 5 * (50 + 3 * config.n_resamples)  # of the posterior and its ablations, each over all cells
        fit = searches * (5e-3 + 4e-6 * checkpoints * models) + 6e-6 * models * answers
        return Estimate(training + fit, memory, disk)

    def page(self, config: StrategiesConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Maps and paths of the strategy, transition times, and agreement of every gate."""
        return strategies_page(self.question(), config, table)

    def text(self, config: StrategiesConfig, table: pd.DataFrame) -> str:
        """What came out; agreement of the posterior, its parameters, exponents and thresholds."""
        return strategies_text(config, table)


def _sizes(config: StrategiesConfig) -> tuple[int, int, float, float]:
    """Models, checkpoints, parameters of the widest model, and numbers that a model answers and that are kept."""
    checkpoints, width = min(config.training.checkpoints, config.training.steps), config.transformer.width
    parameters = config.transformer.depth * width**2 * (4 + 2 * config.mlp_factors[-1]) + 2 * config.dim * width
    rows = min(config.evaluation_rows, config.evaluation_sequences * config.length)
    answers = rows * (config.dim if config.task == "urns" else 2) * len(FAMILIES[config.task].kinds) * checkpoints
    return len(config.replicas), checkpoints, parameters, answers
