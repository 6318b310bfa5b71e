"""What a run of the study will take: memory from the sizes of what is held at once, time from a few real steps."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import torch

from gating.runs.executor import Resources
from gating.runs.study import Estimate
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import build, sampler_of
from gating.studies.strategies.families import FAMILIES
from gating.training.group import ReplicaGroup

__all__ = ["estimate_of", "memory_of"]

TIMED_SECONDS = 2.0


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
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as one_core:
        step = one_core.submit(_seconds_per_step, config, resources.device).result()
    asked = config.evaluation_sequences * len(FAMILIES[config.task].kinds) * checkpoints
    training = models * step * (settings.steps + asked / settings.batch_size / 3) / min(resources.workers, models)
    searches = 5 * (50 + 3 * config.bootstrap)  # of the posterior and its ablations, each over all cells
    fit = searches * (5e-3 + 4e-6 * checkpoints * models) + 6e-6 * models * answers
    return Estimate(training + fit, memory, disk)


def _seconds_per_step(config: StrategiesConfig, device: str) -> float:
    last = config.replicas[-1:]
    model, source = build(config, last).to(device), sampler_of(config, last, device)
    group = ReplicaGroup(slice(0, 1), model, source, config.training, FAMILIES[config.task].objective)
    stop = threading.Event()
    group.advance(1, stop)
    start = time.perf_counter()
    while time.perf_counter() - start < TIMED_SECONDS:
        group.advance(group.step + 4, stop)
    return (time.perf_counter() - start) / (group.step - 1)
