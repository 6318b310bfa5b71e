"""The Transformers of a strategies study: how they are made, sampled for, trained, and taken up from checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from gating.models.decoder import Decoder
from gating.models.layers import generators
from gating.studies.strategies.config import StrategiesConfig, StrategyReplica
from gating.studies.strategies.families import FAMILIES
from gating.training.group import narrowed
from gating.training.runs import RunFolder
from gating.training.trainer import Trainer

__all__ = ["Ensemble"]


class Ensemble:
    """All Transformers of a study, trained as one.

    Args:
        config: settings of the study.
        folder: where checkpoints, state and metrics go.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, config: StrategiesConfig, folder: Path, device: torch.device):
        self.config, self.folder, self.device = config, RunFolder(folder), device
        self.family = FAMILIES[config.task]

    def sampler(self, replicas: Sequence[StrategyReplica], device: torch.device | str = "cpu") -> Any:
        """Sampler of the replicas' sequences."""
        seeds = [replica.seed for replica in replicas]
        return self.family.sampler(
            [replica.n_tasks for replica in replicas],
            seeds,
            dim=self.config.dim,
            length=self.config.length,
            device=device,
        )

    def build(self, replicas: Sequence[StrategyReplica]) -> Decoder:
        """Transformers of replicas that share an MLP factor, with their initial values."""
        shape = self.config.transformer
        return self.family.decoder(
            self.config.dim,
            self.config.length,
            depth=shape.depth,
            heads=shape.heads,
            width=shape.width,
            mlp_factor=replicas[0].mlp_factor,
            rngs=generators([replica.init_seed for replica in replicas]),
        )

    def trainer(self, workers: int) -> Trainer[StrategyReplica]:
        """Trains all replicas: one at a time on each core, whose cache it fills; on a GPU, each MLP factor at once."""
        replicas = self.config.replicas
        by_factor = [len(list(same)) for _, same in groupby(replicas, lambda replica: replica.mlp_factor)]
        return Trainer(
            self.folder,
            replicas,
            self.build,
            lambda mine: self.sampler(mine, self.device),
            self.config.training,
            device=self.device,
            workers=workers,
            loss=self.family.objective,
            group_sizes=by_factor if self.device.type == "cuda" else [1] * len(replicas),
        )

    def at(self, step: int, replica: int) -> Decoder:
        """One replica as it was at a checkpoint, on the CPU.

        Raises:
            FolderError: the checkpoint is missing or damaged.
        """
        model = self.build([self.config.replicas[replica]])
        saved = self.folder.load_checkpoint(step, replica)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(narrowed(saved[name], parameter))
        return model.requires_grad_(False)
