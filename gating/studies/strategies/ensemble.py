"""The Transformers of a strategies study: how they are made, sampled for, trained, and taken up from checkpoints."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from typing import Any

import torch

from gating.models.decoder import Decoder
from gating.models.layers import generators
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.strategies.config import StrategiesConfig, StrategyReplica
from gating.studies.strategies.families import FAMILIES
from gating.training.checkpoints import Checkpoints
from gating.training.group import narrowed
from gating.training.trainer import Trainer

__all__ = ["TRAINED", "at_checkpoint", "build", "sampler_of", "train", "trainer"]

TRAINED = "train/transformer"
"""The part that keeps the Transformers, one tensor of all replicas for each parameter."""


def sampler_of(
    config: StrategiesConfig, replicas: Sequence[StrategyReplica], device: torch.device | str = "cpu"
) -> Any:
    """Sampler of the replicas' sequences."""
    tasks, seeds = [replica.n_tasks for replica in replicas], [replica.seed for replica in replicas]
    return FAMILIES[config.task].sampler(tasks, seeds, dim=config.dim, length=config.length, device=device)


def build(config: StrategiesConfig, replicas: Sequence[StrategyReplica]) -> Decoder:
    """Transformers of replicas that share an MLP factor, with their initial values."""
    shape = {**asdict(config.transformer), "mlp_factor": replicas[0].mlp_factor}
    rngs = generators([replica.init_seed for replica in replicas])
    return FAMILIES[config.task].decoder(config.dim, config.length, **shape, rngs=rngs)


def trainer(
    config: StrategiesConfig, resources: Resources, place: Place, replicas: Sequence[StrategyReplica]
) -> Trainer[StrategyReplica]:
    """What trains replicas: one at a time on each core, whose cache it fills; on a GPU, each MLP factor at once."""
    by_factor = [len(list(same)) for _, same in groupby(replicas, lambda replica: replica.mlp_factor)]
    return Trainer(
        place,
        replicas,
        partial(build, config),
        partial(sampler_of, config, device=resources.device),
        config.training,
        device=resources.device,
        workers=resources.workers,
        loss=FAMILIES[config.task].objective,
        group_sizes=by_factor if resources.device == "cuda" else [1] * len(replicas),
    )


def train(config: StrategiesConfig, place: Place, resources: Resources) -> None:
    """Trains all replicas."""
    replicas = config.replicas
    trainer(config, resources, place, replicas).run()
    resources.say(f"trained {len(replicas)} Transformers for {config.training.steps:,} steps")


def at_checkpoint(config: StrategiesConfig, trained: Place, step: int, replica: int) -> Decoder:
    """One replica as it was at a checkpoint, on the CPU.

    Args:
        config: settings of the study.
        trained: place of the part `TRAINED`.
        step: step of the checkpoint.
        replica: which replica.

    Raises:
        Damaged: the checkpoint is missing, or not as it was written.
    """
    model = build(config, [config.replicas[replica]])
    saved = Checkpoints(trained).load(step, slice(replica, replica + 1))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(narrowed(saved[name], parameter))
    return model.requires_grad_(False)
