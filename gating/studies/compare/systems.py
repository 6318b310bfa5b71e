"""The systems that are compared: how each is built, on which data it trains, and how a checkpoint is opened."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from gating.gates.learned import MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.compare.config import CompareConfig
from gating.studies.replicas import Replica, sampler_of
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.training.checkpoints import Checkpoints
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer

__all__ = ["ENSEMBLES", "REFERENCES", "Systems", "keep_trained", "trained_in"]

ENSEMBLES = {"in_weight": (), "in_context": (), "stylized": (), "stylized_frozen": ("in_weight", "in_context"),
             "transformer": ()}  # fmt: skip
"""Ensembles in the order of training, and those whose trained models each is built from."""

REFERENCES = {"transformer": None, "transformer_iw": 0.0, "transformer_ic": 1.0}
"""Transformers trained on the study's data, and the references trained with `p_relevant` 0 and 1."""


def trained_in(ensemble: str) -> str:
    """The part that trains an ensemble."""
    return f"train/{ensemble}"


def keep_trained(config: CompareConfig, ensemble: str, place: Place, resources: Resources) -> None:
    """Trains an ensemble from its last saved step on."""
    systems = Systems(config, place, torch.device(resources.device))
    left, start = systems.settings(ensemble).steps - systems.kept(ensemble).step, time.perf_counter()
    replicas = systems.replicas(ensemble)
    systems.trainer(ensemble, resources.workers, replicas).run(ensemble)
    resources.say(f"trained {ensemble}: {len(replicas)} replicas, {left} steps in {time.perf_counter() - start:.0f} s")


@dataclass(frozen=True)
class Systems:
    """Models of a run.

    Args:
        config: settings of the study.
        place: a place of the run, whatever its part.
        device: where models live.
    """

    config: CompareConfig
    place: Place
    device: torch.device

    def kept(self, ensemble: str) -> Checkpoints:
        """What is kept of an ensemble."""
        return Checkpoints(self.place.of(trained_in(ensemble)))

    def settings(self, system: str) -> TrainSettings:
        """How a system is trained."""
        return self.config.transformer_training if system in REFERENCES else self.config.stylized_training

    def replicas(self, ensemble: str) -> list[Replica]:
        """Replicas of an ensemble: the Transformers' holds the study's, then both references'."""
        base = self.config.replicas
        if ensemble != "transformer":
            return base
        shares = [self.config.distribution.p_relevant if p is None else p for p in REFERENCES.values()]
        return [replace(r, distribution=replace(r.distribution, p_relevant=p)) for p in shares for r in base]

    def build(self, ensemble: str, replicas: Sequence[Replica]) -> nn.Module:
        """Models of consecutive replicas with their initial values; frozen predictors as last kept."""
        spec, hidden = self.config.distribution, self.config.hidden
        rngs = generators([r.init_seed for r in replicas])
        if ensemble == "transformer":
            shape = vars(self.config.transformer)
            return Transformer(spec.dim, spec.n_classes, spec.context_length, rngs=rngs, **shape)
        g = InWeightMLP(spec.dim, spec.n_classes, hidden=hidden, rngs=rngs)
        h = SoftmaxSimilarity(spec.n_classes, len(replicas))
        predictors: dict[str, nn.Module] = {"in_weight": g, "in_context": h}
        if ensemble in predictors:
            return predictors[ensemble]
        for name in ENSEMBLES[ensemble]:
            self._open(name, self.settings(name).steps, self._first(replicas), replicas, predictors[name])
        gate = MLPGate(spec.dim, spec.context_length, inputs=self.config.gate_inputs, hidden=hidden, rngs=rngs)
        return StylizedModel(g, h, gate)

    def trainer(self, ensemble: str, workers: int, replicas: Sequence[Replica]) -> Trainer[Replica]:
        """What trains replicas of an ensemble."""
        place, settings = self.place.of(trained_in(ensemble)), self.settings(ensemble)
        build = partial(self.build, ensemble)
        return Trainer(place, replicas, build, self.source, settings, device=self.device, workers=workers)

    def source(self, replicas: Sequence[Replica]) -> ClassMixtureSampler:
        """Training batches of some replicas."""
        return sampler_of(replicas, cover_classes=self.config.cover_classes, device=self.device)

    def trained(self, system: str, step: int, replicas: Sequence[Replica]) -> nn.Module:
        """A trained system at a checkpoint, for consecutive replicas of the study."""
        ensemble = "transformer" if system in REFERENCES else system
        skipped = list(REFERENCES).index(system) * len(self.config.replicas) if system in REFERENCES else 0
        model = self.build(ensemble, replicas).to(self.device)
        return self._open(ensemble, step, skipped + self._first(replicas), replicas, model)

    def _first(self, replicas: Sequence[Replica]) -> int:
        return self.config.replicas.index(replicas[0])

    def _open(self, ensemble: str, step: int, first: int, replicas: Sequence[Replica], model: nn.Module) -> nn.Module:
        """A model of these rows of an ensemble with the values of a checkpoint, which no gradient changes."""
        model.load_state_dict(self.kept(ensemble).load(step, slice(first, first + len(replicas))))
        return model.requires_grad_(False)
