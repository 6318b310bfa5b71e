"""What is measured: risks of label counts and of copying on clean inputs, and what the Transformers answer from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from gating.evaluation.conditions import Condition, conditions, draw_test_set
from gating.evaluation.measures import Row, answers, gate_rows, loss_rows
from gating.evaluation.table import make_table, setting_text
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import TabularInWeight
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.replicas import Replica, sampler_of
from theory.crossover import crossover
from theory.distribution import ClassMixture
from theory.phases import Comparison

__all__ = ["LOSSES", "MAX_COUNTED", "tabular_table", "theory_table", "transformer_table"]

LOSSES = {"expected_error": "error", "expected_log_loss": "log_loss"}
"""Measured losses, averaged over the label distribution, and what the theory calls them."""

MAX_COUNTED = 2**22
"""Largest N at which label counts are taken."""

_SEEDS_AT_ONCE = 250


def theory_table(config: CrossoverConfig) -> pd.DataFrame:
    """Frequency of a rare class, and predicted N* for each loss: contexts as trained, clean inputs, i.i.d. training."""
    rows: list[Row] = []
    for spec in config.settings:
        frequency = spec.frequencies[-1]
        rows.append(_theory_row(spec, "query_frequency", "exact", frequency))
        for name, loss in LOSSES.items():
            compare = Comparison(loss, "as_trained", temperature=config.temperature, beta=config.beta)
            found = crossover(spec, "low", compare)
            ends = {"exact": found.exact, "lower": found.earliest, "upper": found.latest}
            rows += [_theory_row(spec, f"crossover_{name}", kind, value) for kind, value in ends.items()]
    return make_table(rows)


def _theory_row(spec: ClassMixture, measure: str, kind: str, value: float) -> Row:
    place = {"study": "crossover", "system": "theory", "setting": _setting(spec), "distribution": "ibd"}
    return {**place, "context": "as_trained", "group": "low", "measure": measure, "kind": kind, "value": float(value)}


def tabular_sizes(config: CrossoverConfig, predicted: Iterable[float]) -> list[int]:
    """Sizes N at which labels are counted: evenly spaced in ln N around each predicted N*."""
    reach = config.tabular_octaves * config.tabular_per_octave
    octaves = np.arange(-reach, reach + 1) / config.tabular_per_octave
    grid = np.concatenate([n * 2.0**octaves for n in predicted if n < MAX_COUNTED])
    return sorted({int(n) for n in grid.round() if 1 <= n <= MAX_COUNTED})


def tabular_table(config: CrossoverConfig, spec: ClassMixture, predicted: Iterable[float]) -> pd.DataFrame:
    """Risks of a rare class on clean inputs: of label counts at each N, and of copying from contexts as trained.

    One row per training set. Counts are taken on the sampler's training rows; a seed's sets are nested in N.
    """
    clean = replace(spec, input_noise=0.0)
    sizes = tabular_sizes(config, predicted)
    rows: list[Row] = []
    for first in range(0, config.tabular_seeds, _SEEDS_AT_ONCE):
        seeds = range(config.seed + first, config.seed + min(first + _SEEDS_AT_ONCE, config.tabular_seeds))
        for n in sizes:
            replicas = [Replica(clean, n, seed, 0) for seed in seeds]
            rows += _tabular_rows(config, replicas, with_copying=n == sizes[0])
    return make_table(rows)


def _tabular_rows(config: CrossoverConfig, replicas: Sequence[Replica], *, with_copying: bool) -> Iterator[Row]:
    sampler = sampler_of(replicas, cover_classes=False, device=torch.device("cpu"))
    test_set = draw_test_set(sampler, seed=config.evaluation_seed, per_cell=1)
    where = _rare(replicas[0].distribution, "as_trained")
    systems: dict[str, Any] = {"tabular": TabularInWeight.fit(sampler, beta=config.beta)}
    if with_copying:
        systems["in_context"] = SoftmaxSimilarity(sampler.n_classes, 1, temperature=config.temperature)
    for system, predictor in systems.items():
        for row in loss_rows(answers(predictor, test_set), test_set, where):
            if row["distribution"] == "ibd" and row["measure"] in LOSSES:
                yield from _per_seed(replicas, system, None, row)


def transformer_table(
    config: CrossoverConfig, replicas: Sequence[Replica], checkpoints: Iterable[tuple[int, nn.Module]]
) -> pd.DataFrame:
    """Errors and effective gates of Transformers on rare classes, for replicas of one `p_high` and one N.

    The gate is measured on out-of-base sequences with a relevant context, where label counts and the context name
    different labels, between g, the label counts of the replica's own training set, and h, the softmax that copies.

    Args:
        config: settings of the study.
        replicas: the Transformers.
        checkpoints: steps, and the models at them.
    """
    sampler = sampler_of(replicas, cover_classes=False, device=torch.device("cpu"))
    test_set = draw_test_set(sampler, seed=config.evaluation_seed, per_cell=config.evaluation_per_cell)
    spec = replicas[0].distribution
    relevant, irrelevant = _rare(spec, "relevant"), _rare(spec, "irrelevant")
    g = answers(TabularInWeight.fit(sampler, beta=config.beta), test_set)
    h = answers(SoftmaxSimilarity(sampler.n_classes, 1, temperature=config.temperature), test_set)
    rows: list[Row] = []
    for step, model in checkpoints:
        log_p = answers(model, test_set)
        losses = loss_rows(log_p, test_set, [*relevant, *irrelevant])
        found = [row for row in losses if row["measure"] == "error"]
        found += [row for row in gate_rows("effective_gate", log_p, g, h, test_set, relevant)
                  if row["distribution"] == "oobd"]  # fmt: skip
        for row in found:
            rows += _per_seed(replicas, "transformer", step, row)
    return make_table(rows)


def _rare(spec: ClassMixture, context: str) -> list[Condition]:
    return [c for c in conditions(spec) if (c.context, c.group) == (context, "low")]


def _per_seed(replicas: Sequence[Replica], system: str, step: int | None, row: Row) -> Iterator[Row]:
    for replica, value in zip(replicas, row["value"], strict=True):
        place = {"study": "crossover", "system": system, "step": step, "setting": _setting(replica.distribution)}
        yield {**row, **place, "n": replica.n_sequences, "seed": replica.data_seed, "value": value}


def _setting(spec: ClassMixture) -> str | None:
    return setting_text({"p_high": spec.p_high})
