"""The study `predict`: what a Transformer will answer from, before it is trained."""

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
from gating.studies.predict.answers import answer_rows
from gating.studies.predict.config import PredictConfig
from gating.studies.predict.measure import ROWS, ensemble, keep_measures, theory_rows
from gating.studies.predict.page import predict_page, predict_text
from gating.studies.replicas import Replica, seconds_per_step
from gating.studies.stylized import stylized_parameters
from gating.training.gradients import require_compiler

__all__ = ["Predict"]


class Predict(Study[PredictConfig]):
    """When will weights take over, and will reading the context be lost, in a Transformer that is not trained yet?

    Stylized models are trained in its place, on the same data for as many steps; theory alone stands beside them.
    """

    config = PredictConfig
    of_evaluation = ("evaluation_seed", "evaluation_per_cell", "beta", "temperature")

    def check(self, config: PredictConfig, resources: Resources) -> None:
        """Asks theory first, so that nothing is trained where it refuses."""
        require_compiler(resources.device, training=config.training)
        theory_rows(config)

    def ensembles(self, config: PredictConfig) -> Iterator[Ensemble[Replica]]:
        """The stylized models."""
        yield ensemble(config)

    def parts(self, config: PredictConfig) -> Iterator[Part]:
        """Measures of each N."""
        for place, n in enumerate(config.sizes):
            measure = partial(keep_measures, config, place * config.n_seeds)
            yield Part(f"measure/{n}", measure, after=("train/stylized",))

    def rows(self, config: PredictConfig, work: Place) -> pd.DataFrame:
        """N* of theory, and errors and gates of the stylized models."""
        kept = [work.of(part.name).table(ROWS) for part in self.parts(config)]
        return pd.concat([make_table(theory_rows(config)), *kept])

    def answers(self, config: PredictConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Predicted N*, steps, and shares of relevant contexts that keep reading."""
        return make_table(answer_rows(config, table))

    def memory(self, config: PredictConfig) -> float:
        """Bytes: parameters with gradient, moments and copies, or the test sequences of the N measured at once."""
        parameters, tests = _sizes(config)
        spec = config.distribution
        at_once = min(os.cpu_count() or 1, len(config.sizes)) * config.n_seeds
        return max(10 * parameters, at_once * tests * (spec.context_length + 1) * spec.dim * 4 * 11)

    def estimate(self, config: PredictConfig, resources: Resources) -> Estimate:
        """Time from a few steps of one group, where a test sequence takes a third of one in training."""
        (parameters, tests), training = _sizes(config), config.training
        checkpoints = len(training.checkpoint_steps)
        steps = training.steps + tests * checkpoints / training.batch_size / 3
        seconds = seconds_per_step(ensemble(config), resources) * len(config.replicas) * steps
        counting = 3e-7 * sum(each.n_sequences for each in config.replicas)
        disk = PAGE_BYTES + parameters * (checkpoints + 3)
        return Estimate((seconds + counting) / resources.workers, self.memory(config), disk)

    def page(self, config: PredictConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Predicted curves over N and steps, and what crosses where."""
        return predict_page(self.question(), config, table)

    def text(self, config: PredictConfig, table: pd.DataFrame) -> str:
        """What is predicted, and the tables."""
        return predict_text(config, table)


def _sizes(config: PredictConfig) -> tuple[float, int]:
    """Bytes of the stylized models' parameters, and test sequences of one."""
    spec = config.distribution
    parameters = stylized_parameters(spec, config.hidden)
    return 4.0 * parameters * len(config.replicas), 4 * spec.n_classes * config.evaluation_per_cell
