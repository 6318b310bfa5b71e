"""Measures every system of the comparison on the same test sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from torch import Tensor

from gating.evaluation.conditions import Condition, TestSet, conditions, draw_test_set
from gating.evaluation.measures import Predictor, Row, answers, gate_rows, loss_rows, mean_gate_rows
from gating.evaluation.table import make_table
from gating.models.stylized import StylizedModel
from gating.predictors.in_weight import TabularInWeight
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.systems import REFERENCES, Systems
from gating.studies.replicas import Replica, sampler_of
from theory.curves import risk_rows

__all__ = ["MAX_TABULAR", "measure_replicas", "theory_table"]

MAX_TABULAR = 2**22
"""Largest training set that the tabular predictor is counted on."""

Answers = dict[str, Tensor]


def measure_replicas(systems: Systems, replicas: Sequence[Replica]) -> pd.DataFrame:
    """Rows of every system at every checkpoint, for replicas that share one training-set size.

    Effective gates are measured against the trained g and h at their last step, and for the Transformer also against
    the reference Transformers at theirs; the end-to-end stylized model is measured against its own g and h.
    """
    return make_table(_Measurement(systems, replicas).rows())


class _Measurement:
    def __init__(self, systems: Systems, replicas: Sequence[Replica]):
        self.systems, self.replicas = systems, replicas
        self.config = systems.config
        self.sampler = sampler_of(replicas, cover_classes=self.config.cover_classes, device=systems.device)
        self.test_set: TestSet = draw_test_set(
            self.sampler, seed=self.config.evaluation_seed, per_cell=self.config.evaluation_per_cell
        )
        self.conditions: list[Condition] = list(conditions(self.config.distribution))

    def rows(self) -> Iterator[Row]:
        if self.replicas[0].n_sequences <= MAX_TABULAR:
            tabular = self._answers(TabularInWeight.fit(self.sampler))
            yield from self._tagged("tabular", None, loss_rows(tabular, self.test_set, self.conditions))
        for system in ("in_weight", "in_context"):
            yield from self._losses(system)
        predictors = [self._final(system) for system in ("in_weight", "in_context")]
        for system in ("stylized", "stylized_frozen"):
            yield from self._stylized(system)
        references = [self._final(system) for system in ("transformer_iw", "transformer_ic")]
        for system in REFERENCES:
            yield from self._transformer(system, predictors, references)

    def _steps(self, system: str) -> list[int]:
        return self.systems.settings("transformer" if system in REFERENCES else system).checkpoint_steps

    def _answers(self, predictor: Predictor) -> Answers:
        return answers(predictor, self.test_set)

    def _final(self, system: str) -> Answers:
        return self._answers(self.systems.trained(system, self._steps(system)[-1], self.replicas))

    def _losses(self, system: str) -> Iterator[Row]:
        for step in self._steps(system):
            log_p = self._answers(self.systems.trained(system, step, self.replicas))
            yield from self._tagged(system, step, loss_rows(log_p, self.test_set, self.conditions))

    def _stylized(self, system: str) -> Iterator[Row]:
        for step in self._steps(system):
            model = self.systems.trained(system, step, self.replicas)
            assert isinstance(model, StylizedModel)
            log_p, g, h = (self._answers(part) for part in (model, model.g, model.h))
            yield from self._tagged(system, step, loss_rows(log_p, self.test_set, self.conditions))
            yield from self._tagged(system, step, self._gate("effective_gate", log_p, [g, h]))
            alpha = self._answers(model.gate.alpha)
            yield from self._tagged(system, step, mean_gate_rows(alpha, self.test_set, self.conditions))

    def _transformer(self, system: str, predictors: list[Answers], references: list[Answers]) -> Iterator[Row]:
        for step in self._steps(system):
            log_p = self._answers(self.systems.trained(system, step, self.replicas))
            yield from self._tagged(system, step, loss_rows(log_p, self.test_set, self.conditions))
            yield from self._tagged(system, step, self._gate("effective_gate", log_p, predictors))
            if system == "transformer":
                yield from self._tagged(system, step, self._gate("effective_gate_reference", log_p, references))

    def _gate(self, name: str, log_p: Answers, pair: list[Answers]) -> Iterator[Row]:
        return gate_rows(name, log_p, pair[0], pair[1], self.test_set, self.conditions)

    def _tagged(self, system: str, step: int | None, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            for replica, value in zip(self.replicas, row["value"], strict=True):
                if value == value:  # an undefined gate has no row
                    place = {"study": "compare", "system": system, "n": replica.n_sequences, "step": step}
                    yield {**place, "seed": replica.data_seed, **row, "value": value}


def theory_table(config: CompareConfig) -> pd.DataFrame:
    """Exact risks and bounds of theory for the study's data and training-set sizes, on clean inputs."""
    rows = risk_rows(config.distribution, list(config.n_sequences), covered=config.cover_classes)
    return make_table([{"study": "compare", **row} for row in rows])
