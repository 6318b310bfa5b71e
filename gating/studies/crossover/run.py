"""The work of a crossover run in parts: counting labels, training, measuring; and what it will take."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import nn

from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.results.table import make_table
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.runs.study import Estimate
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import SEEDS_AT_ONCE, count_rows, counted_sizes, transformer_rows
from gating.studies.replicas import Replica, sampler_of, seconds_per_step
from gating.training.checkpoints import Checkpoints
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

__all__ = ["ROWS", "TRAINED", "estimate", "keep_counts", "keep_measures", "memory", "train"]

TRAINED, ROWS = "train/transformer", "rows"


def keep_counts(config: CrossoverConfig, spec: ClassMixture, place: Place, resources: Resources) -> None:
    """Keeps the risks of label counts and of copying."""
    place.save_table(ROWS, make_table(count_rows(config, spec)))


def build(config: CrossoverConfig, replicas: Sequence[Replica]) -> nn.Module:
    """Transformers with their initial values."""
    spec, rngs = config.distribution, generators([r.init_seed for r in replicas])
    return Transformer(spec.dim, spec.n_classes, spec.context_length, rngs=rngs, **vars(config.transformer))


def trainer(
    config: CrossoverConfig, resources: Resources, place: Place, replicas: Sequence[Replica]
) -> Trainer[Replica]:
    """What trains some replicas."""
    device, settings = torch.device(resources.device), config.transformer_training
    source = partial(sampler_of, cover_classes=False, device=device)
    return Trainer(place, replicas, partial(build, config), source, settings, device=device, workers=resources.workers)


def train(config: CrossoverConfig, place: Place, resources: Resources) -> None:
    """Trains all replicas."""
    replicas = config.replicas
    trainer(config, resources, place, replicas).run("transformers")
    resources.say(f"trained {len(replicas)} Transformers for {config.transformer_training.steps:,} steps")


def keep_measures(config: CrossoverConfig, first: int, place: Place, resources: Resources) -> None:
    """Keeps errors and gates of the replicas of one `p_high` and one N at every checkpoint."""
    rows = slice(first, first + config.n_seeds)
    mine, kept = config.replicas[rows], Checkpoints(place.of(TRAINED))

    def checkpoints() -> Iterator[tuple[int, nn.Module]]:
        for step in config.transformer_training.checkpoint_steps:
            model = build(config, mine).requires_grad_(False)
            model.load_state_dict(kept.load(step, rows))
            yield step, model

    place.save_table(ROWS, make_table(transformer_rows(config, mine, checkpoints())))


def _sizes(config: CrossoverConfig) -> tuple[list[int], float, int]:
    """Sizes that labels are counted at, bytes of the Transformers' parameters, and test sequences of a Transformer."""
    spec, shape = config.distribution, config.transformer
    counted = [n for each in config.settings for n in counted_sizes(config, each)]
    parameters = shape.depth * shape.width**2 * (4 + 2 * shape.mlp_factor) + 3 * spec.n_classes * shape.width
    return counted, 4 * parameters * len(config.replicas), 4 * spec.n_classes * config.evaluation_per_cell


def memory(config: CrossoverConfig) -> float:
    """Bytes: parameters with gradient, moments and copies while they are saved, or what parts hold that count labels
    or measure, one on each core; and the rows."""
    counted, parameters, tests = _sizes(config)
    tokens, cores = config.distribution.context_length + 1, os.cpu_count() or 1
    labels = min(SEEDS_AT_ONCE, config.tabular_seeds) * min(max(counted, default=0), 2**16)
    counting = min(cores, len(config.p_high)) * labels * 8 * (12 + 8 * tokens)
    at_once = min(cores, len(config.p_high) * len(config.rare_queries)) * config.n_seeds
    measuring = at_once * tests * tokens * config.distribution.dim * 4 * 11
    return max(10 * parameters, counting, measuring) + 2000.0 * config.tabular_seeds * len(counted)


def estimate(config: CrossoverConfig, resources: Resources) -> Estimate:
    """Time from a few steps of one group, where a test sequence takes a third of one in training."""
    (counted, parameters, tests), settings, replicas = _sizes(config), config.transformer_training, config.replicas
    step = seconds_per_step(partial(trainer, config, resources), replicas, resources.device)
    checkpoints = len(settings.checkpoint_steps)
    training = step * len(replicas) * (settings.steps + tests * checkpoints / settings.batch_size / 3)
    labels = config.tabular_seeds * sum(counted) + sum(each.n_sequences for each in replicas)
    counting = 2e-4 * config.tabular_seeds * len(counted) + 3e-7 * labels
    disk = parameters * (checkpoints + 3) + 40.0 * config.tabular_seeds * len(counted)
    return Estimate((training + counting) / resources.workers, memory(config), disk)
