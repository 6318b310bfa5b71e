"""Measures every system of the comparison on the same test sequences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from gating.evaluation.conditions import conditions, draw_test_set
from gating.evaluation.measures import Predictor, Row, answers, by_replica, gate_rows, loss_rows, mean_gate_rows
from gating.gates.stylized import StylizedModel
from gating.predictors.in_weight import TabularInWeight
from gating.results.columns import Measure, declare
from gating.results.table import make_table
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.systems import REFERENCES, Systems, settings_of

__all__ = ["MAX_TABULAR", "ROWS", "keep_rows", "measured_in"]

MAX_TABULAR = 2**22
"""Largest training set that the tabular predictor is counted on."""

ROWS = "rows"
declare(
    Measure("effective_gate_reference", "effective gate between the reference Transformers", 0, 1),
    Measure("effective_gate_reference_residual", "gate residual between the reference Transformers (nats)", 0),
)

Answers = dict[str, Tensor]


def measured_in(n: int) -> str:
    """The part that measures the models of one training-set size."""
    return f"measure/n-{n}"


def keep_rows(config: CompareConfig, n: int, place: Place, resources: Resources) -> None:
    """Keeps rows of every system at every checkpoint, for the replicas of one training-set size.

    Effective gates are measured against the trained g and h at their last step, and for the Transformer also against
    the reference Transformers at theirs; the end-to-end stylized model is measured against its own g and h.
    """
    systems = Systems(config, place, torch.device(resources.device))
    place.save_table(ROWS, make_table(_Measurement(systems, n).rows()))


class _Measurement:
    def __init__(self, systems: Systems, n: int):
        self.systems, self.config = systems, systems.config
        self.replicas = [replica for replica in self.config.replicas if replica.n_sequences == n]
        self.sampler = systems.source(self.replicas)
        self.test_set = draw_test_set(
            self.sampler, seed=self.config.evaluation_seed, per_cell=self.config.evaluation_per_cell
        )
        self.conditions = list(conditions(self.config.distribution))
        self.answers = partial(answers, test_set=self.test_set)

    def rows(self) -> Iterator[Row]:
        pair = [self._final(system) for system in ("in_weight", "in_context")]
        references = [self._final(system) for system in ("transformer_iw", "transformer_ic")]
        for system, step, model in self._models():
            log_p = self.answers(model)
            found = [loss_rows(log_p, self.test_set, self.conditions)]
            if isinstance(model, StylizedModel):
                found.append(self._gates("effective_gate", log_p, [self.answers(model.g), self.answers(model.h)]))
                found.append(mean_gate_rows(self.answers(model.gate.alpha), self.test_set, self.conditions))
            elif system in REFERENCES:
                found.append(self._gates("effective_gate", log_p, pair))
            if system == "transformer":
                found.append(self._gates("effective_gate_reference", log_p, references))
            place = {"study": "compare", "system": system, "step": step}
            yield from by_replica(
                chain(*found), [{**place, "n": each.n_sequences, "seed": each.data_seed} for each in self.replicas]
            )

    def _models(self) -> Iterator[tuple[str, int | None, Predictor]]:
        if self.replicas[0].n_sequences <= MAX_TABULAR:
            yield "tabular", None, TabularInWeight.fit(self.sampler)
        for system in ("in_weight", "in_context", "stylized", "stylized_frozen", *REFERENCES):
            for step in settings_of(self.config, system).checkpoint_steps:
                yield system, step, self.systems.trained(system, step, self.replicas)

    def _final(self, system: str) -> Answers:
        return self.answers(self.systems.trained(system, settings_of(self.config, system).steps, self.replicas))

    def _gates(self, name: str, log_p: Answers, pair: list[Answers]) -> Iterator[Row]:
        return gate_rows(name, log_p, pair[0], pair[1], self.test_set, self.conditions)
