"""What a run of the study will take: memory from the sizes of what is held at once, time from a few real steps."""

from __future__ import annotations

import os
from functools import partial

import psutil

from gating.runs.executor import Resources
from gating.runs.study import Estimate
from gating.studies.replicas import seconds_per_step
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import trainer
from gating.studies.strategies.families import FAMILIES

__all__ = ["estimate_of", "memory_of"]


def _sizes(config: StrategiesConfig) -> tuple[int, int, float, float]:
    """Models, checkpoints, parameters of the widest model, and numbers that a model answers and that are kept."""
    checkpoints, width = min(config.training.checkpoints, config.training.steps), config.transformer.width
    parameters = config.transformer.depth * width**2 * (4 + 2 * config.mlp_factors[-1]) + 2 * config.dim * width
    rows = min(config.evaluation_rows, config.evaluation_sequences * config.length)
    answers = rows * (config.dim if config.task == "urns" else 2) * len(FAMILIES[config.task].kinds) * checkpoints
    return len(config.replicas), checkpoints, parameters, answers


def memory_of(config: StrategiesConfig) -> float:
    """Largest memory of a run, bytes: states and training tasks of all models, and what as many of them as there are
    cores hold while they take a step or answer; or the answers of all, and the tables of their discrepancy."""
    models, checkpoints, parameters, answers = _sizes(config)
    tasks = 16.0 * config.dim * sum(replica.n_tasks for replica in config.replicas)
    token = config.transformer.depth * config.transformer.width * (20 + 4 * config.mlp_factors[-1]) + config.dim
    step = 8.0 * config.training.batch_size * config.length * token
    asked = 64.0 * (config.loss_sequences + 2 * config.evaluation_sequences) * config.length * config.dim
    at_once = min(os.cpu_count() or 1, models) * max(step, 4 * parameters * checkpoints + 8 * answers + asked)
    fit = models * (4 * answers + checkpoints * (2 * 289 * 24 + 16 * config.bootstrap))
    return 16 * models * parameters + tasks + max(at_once, fit)


def estimate_of(config: StrategiesConfig, resources: Resources) -> Estimate:
    """What a run will take, from the time of a few steps of the widest model with the most tasks."""
    models, checkpoints, parameters, answers = _sizes(config)
    memory, disk, settings = memory_of(config), 4 * models * parameters * (checkpoints + 3), config.training
    if memory > psutil.virtual_memory().total:
        return Estimate(float("nan"), memory, disk)  # a step might not fit
    step = seconds_per_step(partial(trainer, config, resources), config.replicas[-1:], resources.device)
    asked = config.evaluation_sequences * len(FAMILIES[config.task].kinds) * checkpoints
    training = models * step * (settings.steps + asked / settings.batch_size / 3) / min(resources.workers, models)
    searches = 5 * (50 + 3 * config.bootstrap)  # of the posterior and its ablations, each over all cells
    fit = searches * (5e-3 + 4e-6 * checkpoints * models) + 6e-6 * models * answers
    return Estimate(training + fit, memory, disk)
