"""What a run of the comparison takes: memory and disk from its settings, time from a few steps of it."""

from __future__ import annotations

import os
from functools import partial

from gating.runs.executor import Resources
from gating.runs.study import Estimate
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.systems import REFERENCES, replicas_of, settings_of, trainer
from gating.studies.replicas import TIMED_REPLICAS, seconds_per_step

__all__ = ["estimated", "memory"]


def _parameters(config: CompareConfig) -> dict[str, float]:
    """Parameters of the whole of each ensemble that is timed: the gate over frozen predictors takes about as long as
    the model whose predictors are not frozen, and holds as much."""
    spec, shape, base = config.distribution, config.transformer, len(config.n_sequences) * config.n_seeds
    transformer = shape.depth * shape.width**2 * (4 + 2 * shape.mlp_factor) + 2 * spec.n_classes * shape.width
    in_weight, gate = config.hidden * (spec.dim + spec.n_classes), config.hidden * spec.dim * (spec.context_length + 1)
    each = {"in_weight": in_weight, "in_context": 1.0, "stylized": 2 * (in_weight + gate)}
    return {name: base * floats for name, floats in (each | {"transformer": len(REFERENCES) * transformer}).items()}


def memory(config: CompareConfig) -> float:
    """Bytes: parameters with gradient, moments and copies while they are saved; beside them a training step of the
    groups that the cores share, or the answers of one size on each core."""
    spec, shape, cores = config.distribution, config.transformer, os.cpu_count() or 1
    sizes = min(cores, len(config.n_sequences))
    stream = 4 * (2 * spec.context_length + 1) * shape.width * (8 + 2 * shape.mlp_factor)  # of a sequence in a block
    steps = 2 * TIMED_REPLICAS * cores * config.transformer_training.batch_size * shape.depth * stream
    tests = 2 * spec.n_classes * config.evaluation_per_cell * config.n_seeds * sizes
    answers = stream + 240 * spec.n_classes + 24 * (spec.context_length + 1) * spec.dim
    return float(4 * 13 * max(_parameters(config).values()) + max(steps, tests * answers))


def estimated(config: CompareConfig, resources: Resources) -> Estimate:
    """Time from a few steps of one group of each ensemble, where a test sequence takes a third of one in training."""
    base, n_classes = len(config.replicas), config.distribution.n_classes
    tests, checkpoints = 2 * n_classes * config.evaluation_per_cell, len(config.transformer_training.checkpoint_steps)
    seconds, disk = base * checkpoints * tests * (1.2e-4 + 1e-5 * n_classes), 0.0  # effective gates
    for ensemble, parameters in _parameters(config).items():
        settings, replicas = settings_of(config, ensemble), replicas_of(config, ensemble)
        step = seconds_per_step(partial(trainer, config, ensemble, resources), replicas, resources.device)
        models = 2 if ensemble == "stylized" else 1
        answered = 2 * tests * checkpoints / settings.batch_size / 3
        seconds += models * step * len(replicas) * (settings.steps + answered)
        disk += 4 * parameters * (len(settings.checkpoint_steps) + 3)
    return Estimate(seconds / resources.workers, memory(config), disk + 1e4 * base * checkpoints + 2e6)
