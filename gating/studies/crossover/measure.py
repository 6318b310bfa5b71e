"""What theory predicts, and risks of label counts and of copying on clean inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch

from gating.evaluation.conditions import Condition, conditions, draw_test_set
from gating.evaluation.measures import Row, answers, by_replica, loss_rows
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import TabularInWeight
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.level import level_crossovers
from gating.studies.replicas import Replica, sampler_of
from gating.studies.vocabulary import refusals
from theory.crossovers import crossover
from theory.distribution import ClassMixture
from theory.phases import Comparison

__all__ = ["LEVEL", "LOSSES", "MAX_COUNTED", "count_rows", "theory_rows"]

LEVEL = 0.5
"""Level that the gate of a Transformer rises past, and its in-weight error falls past."""

LOSSES = ("error", "log_loss")
"""Losses whose risks cross; measured ones, named ``expected_...``, are averaged over the label distribution."""

MAX_COUNTED = 2**22
"""Largest N at which label counts are taken."""

SEEDS_AT_ONCE = 250


@lru_cache(maxsize=4)  # asked for before a run, for the sizes of the counts, and at its end
def theory_rows(config: CrossoverConfig) -> tuple[Row, ...]:
    """Frequency q of a rare class, and every N* that theory has: i.i.d. training, the class known.

    ``crossover_error`` and ``crossover_log_loss``: where the risk of label counts falls to that of copying, contexts as
    trained; exact on clean inputs, on which both are measured, lower and upper with the input noise of the settings.
    ``crossover_error_level``: where the expected error of label counts, or of a learner from noisy inputs, is 1/2.

    Raises:
        SpecError: theory refuses the settings.
    """
    with refusals():
        return tuple(row for spec in config.settings for row in _theory_rows(config, spec))


def _theory_rows(config: CrossoverConfig, spec: ClassMixture) -> Iterator[Row]:
    place = {"study": "crossover", "p_high": spec.p_high, "distribution": "ibd", "group": "low"}
    key = {**place, "system": "theory", "context": "as_trained"}
    yield {**key, "measure": "query_frequency", "kind": "exact", "value": float(spec.frequencies[-1])}
    for loss in LOSSES:
        compare = Comparison(loss, "as_trained", temperature=config.temperature, beta=config.beta)
        clean, found = (crossover(data, "low", compare) for data in (replace(spec, input_noise=0.0), spec))
        for kind, value in (("exact", clean.exact), ("lower", found.earliest), ("upper", found.latest)):
            yield {**key, "measure": f"crossover_{loss}", "kind": kind, "value": value}
    for system, value in level_crossovers(spec, "low", LEVEL).items():
        yield {**place, "system": system, "context": "irrelevant", "level": LEVEL, "kind": "exact",
               "measure": "crossover_error_level", "value": value}  # fmt: skip


def counted_sizes(config: CrossoverConfig, spec: ClassMixture) -> list[int]:
    """Sizes N at which labels are counted: evenly spaced in ln N around the upper N* of both losses."""
    found = [row["value"] for row in theory_rows(config) if row["p_high"] == spec.p_high and row["kind"] == "upper"]
    reach = config.tabular_octaves * config.tabular_per_octave
    octaves = np.arange(-reach, reach + 1) / config.tabular_per_octave
    grid = np.concatenate([[], *(n * 2.0**octaves for n in found if n < MAX_COUNTED)])
    return sorted({int(n) for n in grid.round() if 1 <= n <= MAX_COUNTED})


def count_rows(config: CrossoverConfig, spec: ClassMixture) -> Iterator[Row]:
    """Risks of a rare class on clean inputs: of label counts at each N, and of copying from contexts as trained.

    One row per training set. Counts are taken on the sampler's training rows; a seed's sets are nested in N.
    """
    sizes, clean = counted_sizes(config, spec), replace(spec, input_noise=0.0)
    seeds, as_trained = range(config.seed, config.seed + config.tabular_seeds), _low(spec, "as_trained")
    for first, n in product(range(0, config.tabular_seeds, SEEDS_AT_ONCE), sizes):
        replicas = [Replica(clean, n, seed, 0) for seed in seeds[first : first + SEEDS_AT_ONCE]]
        sampler = sampler_of(replicas, cover_classes=False, device=torch.device("cpu"))
        test_set = draw_test_set(sampler, seed=config.evaluation_seed, evaluation_per_cell=1)
        systems: dict[str, Any] = {"tabular": TabularInWeight.fit(sampler, beta=config.beta)}
        if n == sizes[0]:
            systems["copying"] = SoftmaxSimilarity(sampler.n_classes, 1, temperature=config.temperature)
        for system, predictor in systems.items():
            losses = loss_rows(answers(predictor, test_set), test_set, as_trained)
            wanted = (row for row in losses if row["distribution"] == "ibd" and row["measure"].startswith("expected_"))
            yield from by_replica(wanted, _places(replicas, system))


def _low(spec: ClassMixture, context: str) -> list[Condition]:
    return [c for c in conditions(spec) if (c.context, c.group) == (context, "low")]


def _places(replicas: Sequence[Replica], system: str) -> list[Row]:
    place = {"study": "crossover", "system": system, "step": None}
    return [{**place, "p_high": r.distribution.p_high, "n": r.n_sequences, "seed": r.data_seed} for r in replicas]
