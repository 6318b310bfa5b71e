"""The study `compare`: theory, stylized models and Transformers side by side on the class mixture."""

import os
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, ClassVar, TypeVar

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from gating.studies.compare import systems
from gating.studies.compare.answers import crossing_rows, phase_rows, predicted_rows, theory_rows
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.measure import keep_rows, measured_in, measured_rows
from gating.studies.compare.page import compare_page, compare_text
from gating.studies.replicas import TIMED_REPLICAS, Replica, seconds_per_step
from gating.studies.vocabulary import refusals
from gating.training.gradients import require_compiler

__all__ = ["Compare", "Comparing"]

Config = TypeVar("Config", bound=CompareConfig)


class Comparing(Study[Config]):
    """What studies share that train the systems of `compare`.

    Attributes:
        kind: how they are built and tested.
    """

    kind: ClassVar[type[systems.Systems]] = systems.Systems
    of_evaluation = ("evaluation_seed", "evaluation_per_cell", "evaluation_classes")

    def ensembles(self, config: Config) -> Iterator[Ensemble[Replica]]:
        """Predictors, stylized models and Transformers."""
        for name in systems.ENSEMBLES:
            yield self.kind.ensemble(config, name)

    def check(self, config: Config, resources: Resources) -> None:
        """Looks for the compiler where it is asked for."""
        told = {"transformer_training": config.transformer_training, "stylized_training": config.stylized_training}
        require_compiler(resources.device, **told)

    def parts(self, config: Config) -> Iterator[Part]:
        """Measures of each training-set size."""
        for n in config.n_sequences:
            yield Part(measured_in(n), partial(keep_rows, config, n, kind=self.kind), after=("train",))

    def tests(self, config: Config) -> int:
        """Test sequences of a model that are answered in base, and as many out of base."""
        return 2 * len(config.tested) * config.evaluation_per_cell

    def test_sets(self, config: Config) -> int:
        """How many sets of test sequences every model answers, one after the other."""
        return 1

    def memory(self, config: Config) -> float:
        """Bytes: parameters with gradient, moments and copies while they are saved; beside them a training step of the
        groups that the cores share, or the answers of one size on each core."""
        spec, shape, cores = config.distribution, config.transformer, os.cpu_count() or 1
        sizes = min(cores, len(config.n_sequences))
        # of a sequence in a block
        stream = 4 * (2 * spec.context_length + 1) * shape.width * (8 + 2 * shape.mlp_factor)
        steps = 2 * TIMED_REPLICAS * cores * config.transformer_training.batch_size * shape.depth * stream
        tests = self.tests(config) * config.n_seeds * sizes
        answers = stream + 240 * spec.n_classes + 24 * (spec.context_length + 1) * spec.dim
        return float(4 * 13 * max(_parameters(config).values()) + max(steps, tests * answers))

    def estimate(self, config: Config, resources: Resources) -> Estimate:
        """Time from a few steps of some replicas of each ensemble; a test sequence takes a third of one in training."""
        base, n_classes = len(config.replicas), config.distribution.n_classes
        tests = self.tests(config) * self.test_sets(config)
        checkpoints = len(config.transformer_training.checkpoint_steps)
        seconds, disk = base * checkpoints * tests * (1.2e-4 + 1e-5 * n_classes), 0.0  # effective gates
        for ensemble, parameters in _parameters(config).items():
            settings, trained = systems.settings_of(config, ensemble), self.kind.ensemble(config, ensemble)
            step = seconds_per_step(trained, resources)
            models = 2 if ensemble == "stylized" else 1
            answered = 2 * tests * checkpoints / settings.batch_size / 3
            seconds += models * step * len(trained.replicas) * (settings.steps + answered)
            disk += 4 * parameters * (len(settings.checkpoint_steps) + 3)
        return Estimate(seconds / resources.workers, self.memory(config), disk + 1e4 * base * checkpoints + PAGE_BYTES)


class Compare(Comparing[CompareConfig]):
    """When do theory, stylized models and Transformers answer from weights, and when from context?"""

    config = CompareConfig

    def check(self, config: CompareConfig, resources: Resources) -> None:
        """Asks theory first, so that data which it refuses is not trained on."""
        super().check(config, resources)
        with refusals():
            theory_rows(config)
            predicted_rows(config)

    def rows(self, config: CompareConfig, work: Place) -> pd.DataFrame:
        """Measures of every system, step and seed, and exact risks and bounds."""
        theory = make_table({"study": "compare", **row} for row in theory_rows(config))
        return pd.concat([*measured_rows(config, work), theory], ignore_index=True)

    def answers(self, config: CompareConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Certified phases and crossings."""
        return make_table(chain(phase_rows(table), predicted_rows(config), crossing_rows(table)))

    def page(self, config: CompareConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Errors, losses and gates against N and over steps, phases and crossings."""
        return compare_page(self.question(), config, table)

    def text(self, config: CompareConfig, table: pd.DataFrame) -> str:
        """Errors at the last step, and crossings."""
        return compare_text(config, table)


def _parameters(config: CompareConfig) -> dict[str, float]:
    """Parameters of the whole of each ensemble that is timed: the gate over frozen predictors takes about as long as
    the model whose predictors are not frozen, and holds as much."""
    spec, shape, base = config.distribution, config.transformer, len(config.n_sequences) * config.n_seeds
    transformer = shape.depth * shape.width**2 * (4 + 2 * shape.mlp_factor) + 2 * spec.n_classes * shape.width
    in_weight, gate = config.hidden * (spec.dim + spec.n_classes), config.hidden * spec.dim * (spec.context_length + 1)
    each = {"in_weight": in_weight, "in_context": 1.0, "stylized": 2 * (in_weight + gate)}
    each["transformer"] = len(systems.transformers_of(config)) * transformer
    return {name: base * floats for name, floats in each.items()}
