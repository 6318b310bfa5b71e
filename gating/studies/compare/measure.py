"""Measures every system of the comparison on the same test sequences."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from gating.evaluation.conditions import Condition, TestSet
from gating.evaluation.measures import Row, answers, by_replica, gate_rows, loss_rows, mean_gate_rows
from gating.gates.stylized import StylizedModel
from gating.predictors.in_weight import TabularInWeight
from gating.predictors.predictor import Predictor
from gating.results.table import make_table
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.systems import REFERENCES, Systems, settings_of, transformers_of
from gating.studies.replicas import Replica

__all__ = ["MAX_TABULAR", "ROWS", "keep_rows", "measured_in", "measured_rows"]

MAX_TABULAR = 2**22
"""Largest training set that the tabular predictor is counted on."""

ROWS = "rows"


def measured_in(n: int) -> str:
    """The part that measures the models of one training-set size."""
    return f"measure/n-{n}"


def keep_rows(config: CompareConfig, n: int, place: Place, resources: Resources, kind: type[Systems] = Systems) -> None:
    """Keeps rows of every system at every checkpoint, for the replicas of one training-set size.

    Effective gates are measured against the trained g and h at their last step, and for the Transformer also against
    the reference Transformers, if there are any, at theirs; the end-to-end stylized model is measured against its own
    g and h.
    """
    systems = kind(config, place, torch.device(resources.device))
    replicas = [replica for replica in config.replicas if replica.n_sequences == n]
    sampler = systems.source(replicas)
    rows = (_rows(systems, replicas, *tested) for tested in systems.tests(sampler))
    place.save_table(ROWS, make_table(chain.from_iterable(rows)))


def measured_rows(config: CompareConfig, work: Place) -> list[pd.DataFrame]:
    """What `keep_rows` kept of each training-set size."""
    return [work.of(measured_in(n)).table(ROWS) for n in config.n_sequences]


def _rows(
    systems: Systems, replicas: Sequence[Replica], test_set: TestSet, by_condition: list[Condition]
) -> Iterator[Row]:
    config, n = systems.config, replicas[0].n_sequences
    tested: dict[str, Any] = {"test_set": test_set, "by_condition": by_condition}

    def models() -> Iterator[tuple[str, int | None, Predictor]]:
        if n <= MAX_TABULAR and systems.counted:
            yield "tabular", None, TabularInWeight.fit(systems.source(replicas))
        for system in ("in_weight", "in_context", "stylized", "stylized_frozen", *transformers_of(config)):
            for step in settings_of(config, system).checkpoint_steps:
                yield system, step, systems.trained(system, step, replicas)

    def final(system: str) -> dict[str, Tensor]:
        return answers(systems.trained(system, settings_of(config, system).steps, replicas), test_set)

    g, h = map(final, ("in_weight", "in_context"))
    references = tuple(map(final, ("transformer_iw", "transformer_ic"))) if config.references else None
    for system, step, model in models():
        log_p = answers(model, test_set)
        found = [loss_rows(log_p, **tested)]
        if isinstance(model, StylizedModel):
            own_g, own_h = answers(model.g, test_set), answers(model.h, test_set)
            found.append(gate_rows("effective_gate", log_p, own_g, own_h, **tested))
            found.append(mean_gate_rows(answers(model.gate.alpha, test_set), **tested))
        elif system in REFERENCES:
            found.append(gate_rows("effective_gate", log_p, g, h, **tested))
        if system == "transformer" and references:
            reference_g, reference_h = references
            found.append(gate_rows("effective_gate_reference", log_p, reference_g, reference_h, **tested))
        place = {"study": config.study, "system": system, "step": step, "n": n}
        yield from by_replica(chain(*found), [{**place, "seed": replica.data_seed} for replica in replicas])
