"""The systems that are compared: how each is built, on which data it trains, and how a checkpoint is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gating.gates.learned import MLPGate
from gating.models.layers import generators
from gating.models.stylized import StylizedModel
from gating.models.transformer import Transformer
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.studies.compare.config import CompareConfig
from gating.studies.replicas import Replica, sampler_of
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.training.runs import RunFolder
from gating.training.schedule import TrainSettings

__all__ = ["ENSEMBLES", "REFERENCES", "Systems"]

ENSEMBLES = ("in_weight", "in_context", "stylized", "stylized_frozen", "transformer")
"""Ensembles in the order of training; ``stylized_frozen`` needs the first two trained."""

REFERENCES = {"transformer": None, "transformer_iw": 0.0, "transformer_ic": 1.0}
"""Transformers trained on the study's data, and the references trained with `p_relevant` 0 and 1."""


@dataclass(frozen=True)
class Systems:
    """Models of a study and their run folders.

    Args:
        config: settings of the study.
        root: folder that holds one run folder per ensemble.
        device: where models live.
    """

    config: CompareConfig
    root: Path
    device: torch.device

    def folder(self, ensemble: str) -> RunFolder:
        """Run folder of an ensemble."""
        return RunFolder(self.root / ensemble)

    def settings(self, ensemble: str) -> TrainSettings:
        """How an ensemble is trained."""
        return self.config.transformer_training if ensemble == "transformer" else self.config.stylized_training

    def replicas(self, ensemble: str) -> list[Replica]:
        """Replicas of an ensemble: the Transformers' holds the study's, then both references'."""
        base = self.config.replicas
        if ensemble != "transformer":
            return base
        shares = [self.config.distribution.p_relevant if p is None else p for p in REFERENCES.values()]
        return [replace(r, distribution=replace(r.distribution, p_relevant=p)) for p in shares for r in base]

    def build(self, ensemble: str, replicas: Sequence[Replica]) -> nn.Module:
        """Models of some replicas with their initial values; frozen predictors come from their last checkpoint."""
        spec, hidden = self.config.distribution, self.config.hidden
        rngs = generators([r.init_seed for r in replicas])
        if ensemble == "transformer":
            shape = vars(self.config.transformer)
            return Transformer(spec.dim, spec.n_classes, spec.context_length, rngs=rngs, **shape)
        g = InWeightMLP(spec.dim, spec.n_classes, hidden=hidden, rngs=rngs)
        h = SoftmaxSimilarity(spec.n_classes, len(replicas))
        if ensemble in ("in_weight", "in_context"):
            return g if ensemble == "in_weight" else h
        if ensemble == "stylized_frozen":
            for name, module in (("in_weight", g), ("in_context", h)):
                self._open(name, self.settings(name).steps, self._rows(name, replicas), module)
                module.requires_grad_(False)
        gate = MLPGate(spec.dim, spec.context_length, inputs=self.config.gate_inputs, hidden=hidden, rngs=rngs)
        return StylizedModel(g, h, gate)

    def source(self, replicas: Sequence[Replica]) -> ClassMixtureSampler:
        """Training batches of some replicas."""
        return sampler_of(replicas, cover_classes=self.config.cover_classes, device=self.device)

    def trained(self, system: str, step: int, base: Sequence[Replica]) -> nn.Module:
        """A trained system at a checkpoint, for some of the study's replicas."""
        ensemble = "transformer" if system in REFERENCES else system
        first = list(REFERENCES).index(system) * len(self.config.replicas) if system in REFERENCES else 0
        rows = first + self._rows("in_weight", base)
        model = self.build(ensemble, base).to(self.device)
        self._open(ensemble, step, rows, model)
        return model.requires_grad_(False)

    def _rows(self, ensemble: str, replicas: Sequence[Replica]) -> Tensor:
        place = {replica: row for row, replica in enumerate(self.replicas(ensemble))}
        return torch.tensor([place[replica] for replica in replicas])

    def _open(self, ensemble: str, step: int, rows: Tensor, model: nn.Module) -> None:
        state = self.folder(ensemble).load_checkpoint(step)
        model.load_state_dict({name: value[rows] for name, value in state.items()})
