"""The systems that are compared: how each is built, on which data it trains, and how a checkpoint is opened."""

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

__all__ = ["ENSEMBLES", "REFERENCES", "Systems", "keep_trained", "replicas_of", "settings_of", "trained_in", "trainer"]

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
    replicas, start = replicas_of(config, ensemble), time.perf_counter()
    trained = trainer(config, ensemble, resources, place, replicas)
    left = trained.settings.steps - trained.kept.step
    trained.run(ensemble)
    resources.say(f"trained {ensemble}: {len(replicas)} replicas, {left} steps in {time.perf_counter() - start:.0f} s")


def trainer(
    config: CompareConfig, ensemble: str, resources: Resources, place: Place, replicas: Sequence[Replica]
) -> Trainer[Replica]:
    """What trains replicas of an ensemble, in the run that a place is of."""
    systems = Systems(config, place, torch.device(resources.device))
    kept, settings = place.of(trained_in(ensemble)), settings_of(config, ensemble)
    build = partial(systems.build, ensemble)
    return Trainer(kept, replicas, build, systems.source, settings, device=systems.device, workers=resources.workers)


def settings_of(config: CompareConfig, system: str) -> TrainSettings:
    """How a system is trained."""
    return config.transformer_training if system in REFERENCES else config.stylized_training


def replicas_of(config: CompareConfig, ensemble: str) -> list[Replica]:
    """Replicas of an ensemble: the Transformers' holds the study's, then both references'."""
    base = config.replicas
    if ensemble != "transformer":
        return base
    shares = [config.distribution.p_relevant if p is None else p for p in REFERENCES.values()]
    return [replace(r, distribution=replace(r.distribution, p_relevant=p)) for p in shares for r in base]


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
            self._opened(name, settings_of(self.config, name).steps, replicas, predictors[name])
        gate = MLPGate(spec.dim, spec.context_length, inputs=self.config.gate_inputs, hidden=hidden, rngs=rngs)
        return StylizedModel(g, h, gate)

    def source(self, replicas: Sequence[Replica]) -> ClassMixtureSampler:
        """Training batches of some replicas."""
        return sampler_of(replicas, cover_classes=self.config.cover_classes, device=self.device)

    def trained(self, system: str, step: int, replicas: Sequence[Replica]) -> nn.Module:
        """A trained system at a checkpoint, for consecutive replicas of the study."""
        return self._opened(system, step, replicas, self.build(_ensemble_of(system), replicas).to(self.device))

    def _opened(self, system: str, step: int, replicas: Sequence[Replica], model: nn.Module) -> nn.Module:
        """A model of these replicas with the values of a checkpoint, which no gradient changes."""
        base = self.config.replicas
        first = base.index(replicas[0]) + len(base) * (list(REFERENCES).index(system) if system in REFERENCES else 0)
        model.load_state_dict(self.kept(_ensemble_of(system)).load(step, slice(first, first + len(replicas))))
        return model.requires_grad_(False)


def _ensemble_of(system: str) -> str:
    return "transformer" if system in REFERENCES else system
