"""The Transformers of a strategies study: how they are made, sampled for, trained, and taken up from checkpoints."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from operator import attrgetter
from typing import Any

import torch

from gating.models.decoder import Decoder
from gating.models.layers import generators
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.settings.text import as_plain
from gating.studies.strategies.config import StrategiesConfig, StrategyReplica
from gating.studies.strategies.families import FAMILIES
from gating.training.trained import Trained
from gating.training.trainer import Trainer

__all__ = ["TRAINED", "build", "checkpoints", "ensemble", "sampler_of"]

TRAINED = "train/transformer"
"""The parts that keep the Transformers."""


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


def ensemble(config: StrategiesConfig) -> Ensemble[StrategyReplica]:
    """All Transformers: one fills the cache of a core; on a GPU those of one MLP factor train together."""
    names = ("task", "dim", "length", "transformer", "training")
    shared = {name: value for name, value in as_plain(config).items() if name in names}
    return Ensemble("transformer", config.replicas, partial(_trainer, config), shared, per_group=1,
                    shape=attrgetter("mlp_factor"))  # fmt: skip


def _trainer(
    config: StrategiesConfig, place: Place, resources: Resources, replicas: Sequence[StrategyReplica]
) -> Trainer[StrategyReplica]:
    return Trainer(
        place,
        replicas,
        partial(build, config),
        partial(sampler_of, config, device=resources.device),
        config.training,
        device=resources.device,
        loss=FAMILIES[config.task].objective,
    )


def checkpoints(
    config: StrategiesConfig, place: Place, replica: StrategyReplica, device: torch.device | str = "cpu"
) -> list[Decoder]:
    """One replica as it was at each checkpoint.

    Args:
        config: settings of the study.
        place: a place of the run, whatever its part.
        replica: which replica.
        device: where the models are put.

    Raises:
        Damaged: a checkpoint is missing, or not as it was written.
    """
    trained, found = Trained(place, ensemble(config)), []
    for step in config.training.checkpoint_steps:
        model = build(config, [replica])
        model.load_state_dict(trained.load(step, [replica]))
        found.append(model.requires_grad_(False).to(device))
    return found
