"""What a run of the comparison takes: memory from its settings, time and disk from a few steps of it."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from gating.runs.executor import Resources
from gating.runs.store import opened
from gating.runs.study import Estimate
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.measure import keep_rows, measured_in
from gating.studies.compare.systems import ENSEMBLES, REFERENCES, Systems, trained_in
from gating.training.trainer import n_groups

__all__ = ["estimated", "memory"]

GROUP, FIRST_STEPS, STEPS, PER_CELL = 16, 2, 8, 20
"""Replicas, steps and test sequences of a trial; the first steps are slower and not counted."""


def memory(config: CompareConfig) -> float:
    """Bytes: parameters with gradient, moments and copies while they are saved; beside them a training step of the
    groups that the cores share, or the answers of one size on each core."""
    spec, shape, cores = config.distribution, config.transformer, os.cpu_count() or 1
    count, tokens, factors = len(config.n_sequences) * config.n_seeds, 2 * spec.context_length + 1, shape.mlp_factor
    block = shape.width**2 * (4 + 2 * factors)
    transformer = shape.depth * block + 2 * spec.n_classes * shape.width
    stylized = config.hidden * (spec.dim * (spec.context_length + 2) + spec.n_classes)
    kept = 4 * 13 * count * max(len(REFERENCES) * transformer, stylized)
    stream = 4 * tokens * shape.width * (8 + 2 * factors)  # of one sequence in one block
    batch = config.transformer_training.batch_size * min(GROUP * cores, len(REFERENCES) * count)
    tests = 2 * spec.n_classes * config.evaluation_per_cell * config.n_seeds * min(cores, len(config.n_sequences))
    answers = stream + 8 * 30 * spec.n_classes + 4 * 6 * (spec.context_length + 1) * spec.dim
    return float(kept + max(2 * batch * shape.depth * stream, tests * answers))


def estimated(config: CompareConfig, resources: Resources) -> Estimate:
    """Time and disk, from some steps of one group of each ensemble and from one checkpoint measured."""
    workers, seconds, disk = resources.workers, 0.0, 0.0
    with tempfile.TemporaryDirectory() as root, opened(Path(root) / "run", {}) as work:
        trial = _trial(config)
        systems, whole = (Systems(each, work, torch.device(resources.device)) for each in (trial, config))
        ratio = len(config.n_sequences) * config.n_seeds / len(trial.replicas)
        for ensemble in ENSEMBLES:
            trainer, settings = systems.trainer(ensemble, 1), whole.settings(ensemble)
            trainer.start()
            trainer.advance(FIRST_STEPS)
            start = time.perf_counter()
            trainer.advance(FIRST_STEPS + STEPS)
            step = (time.perf_counter() - start) / STEPS
            groups = n_groups(round(ratio * len(systems.replicas(ensemble))), systems.device)
            seconds += step * settings.steps * ratio / min(workers, groups)
            trainer.run(ensemble)
            files = {file.name: file.stat().st_size for file in work.of(trained_in(ensemble)).path.iterdir()}
            parameters = files.pop(f"step-{FIRST_STEPS + STEPS:08d}.safetensors")
            disk += ratio * (len(settings.checkpoint_steps) * parameters + sum(files.values()))
        n = trial.n_sequences[0]
        place, start = work.of(measured_in(n)), time.perf_counter()
        keep_rows(trial, n, place, replace(resources, workers=1))
        spent = time.perf_counter() - start
        checkpoints = len(config.n_sequences) * len(config.transformer_training.checkpoint_steps)
        scale = config.n_seeds / trial.n_seeds * config.evaluation_per_cell / trial.evaluation_per_cell
        seconds += spent * scale * checkpoints / min(workers, len(config.n_sequences))
        disk += checkpoints * sum(file.stat().st_size for file in place.path.iterdir())
    return Estimate(seconds, memory(config), disk)


def _trial(config: CompareConfig) -> CompareConfig:
    """The same study with one group of replicas, few steps and few test sequences."""
    seeds, steps = min(config.n_seeds, GROUP), FIRST_STEPS + STEPS
    stylized, transformer = (replace(each, steps=steps, checkpoints=1, warm_up=0)
                             for each in (config.stylized_training, config.transformer_training))  # fmt: skip
    return replace(
        config, n_seeds=seeds, n_sequences=config.n_sequences[: GROUP // seeds], stylized_training=stylized,
        transformer_training=transformer, evaluation_per_cell=min(config.evaluation_per_cell, PER_CELL),
    )  # fmt: skip
