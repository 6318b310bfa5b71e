"""The systems that are compared: how each is built, on which data it trains, and how a checkpoint is opened."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar

import torch
from torch import nn

from gating.evaluation.conditions import Condition, TestSet, conditions, draw_test_set
from gating.gates.learned import MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.settings.text import as_plain
from gating.studies.compare.config import CompareConfig
from gating.studies.replicas import Replica, input_shape, sampler_of
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.training.schedule import TrainSettings
from gating.training.trained import Trained
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

__all__ = ["ENSEMBLES", "REFERENCES", "Systems", "replicas_of", "settings_of", "transformers_of"]

ENSEMBLES: dict[str, tuple[str, ...]] = {
    "in_weight": (), "in_context": (), "stylized": (), "stylized_frozen": ("in_weight", "in_context"), "transformer": ()
}  # fmt: skip
"""Ensembles in the order of training, and those whose trained models each is built from."""

STYLIZED = ("hidden", "gate_inputs", "stylized_training")
"""Settings of the predictors and the stylized models."""

REFERENCES = {"transformer": None, "transformer_iw": 0.0, "transformer_ic": 1.0}
"""Transformers trained on the study's data, and the references trained with `p_relevant` 0 and 1."""


def transformers_of(config: CompareConfig) -> dict[str, float | None]:
    """The Transformers of a study, each with its `p_relevant`; None for that of the data."""
    return {name: share for name, share in REFERENCES.items() if config.references or share is None}


def settings_of(config: CompareConfig, system: str) -> TrainSettings:
    """How a system is trained."""
    return config.transformer_training if system in REFERENCES else config.stylized_training


def replicas_of(config: CompareConfig, ensemble: str) -> list[Replica]:
    """Replicas of an ensemble: the Transformers' holds the study's, then those of both references."""
    base = config.replicas
    if ensemble != "transformer":
        return base
    return [r if share is None else _with_share(r, share) for share in transformers_of(config).values() for r in base]


def _with_share(replica: Replica, p_relevant: float) -> Replica:
    return replace(replica, distribution=replace(replica.distribution, p_relevant=p_relevant))


@dataclass(frozen=True)
class Systems:
    """Models of a run.

    Args:
        config: settings of the study.
        place: a place of the run, whatever its part.
        device: where models live.

    Attributes:
        shared: settings that decide what every system learns.
        counted: whether label counts of the classes are among the systems.
    """

    shared: ClassVar[tuple[str, ...]] = ("cover_classes",)
    counted: ClassVar[bool] = True
    config: CompareConfig
    place: Place
    device: torch.device

    @classmethod
    def ensemble(cls, config: CompareConfig, name: str) -> Ensemble[Replica]:
        """An ensemble of the study."""
        names = ("transformer", "transformer_training") if name == "transformer" else STYLIZED
        names = (*cls.shared, *names)
        shared = {key: value for key, value in as_plain(config).items() if key in names}
        trainer = partial(cls._trainer, config, name)
        return Ensemble(name, replicas_of(config, name), trainer, shared, ENSEMBLES[name], shape=input_shape)

    @classmethod
    def _trainer(
        cls, config: CompareConfig, name: str, place: Place, resources: Resources, replicas: Sequence[Replica]
    ) -> Trainer[Replica]:
        systems = cls(config, place, torch.device(resources.device))
        build, settings = partial(systems.build, name), settings_of(config, name)
        return Trainer(place, replicas, build, systems.source, settings, device=systems.device)

    def build(self, ensemble: str, replicas: Sequence[Replica]) -> nn.Module:
        """Models of consecutive replicas with their initial values; frozen predictors as last kept."""
        spec, hidden = replicas[0].distribution, self.config.hidden
        rngs = generators([r.init_seed for r in replicas])
        if ensemble == "transformer":
            return self._transformer(spec, rngs)
        g = InWeightMLP(spec.dim, spec.n_classes, hidden=hidden, rngs=rngs)
        h = SoftmaxSimilarity(spec.n_classes, len(replicas))
        predictors: dict[str, nn.Module] = {"in_weight": g, "in_context": h}
        if ensemble in predictors:
            return predictors[ensemble]
        for name in ENSEMBLES[ensemble]:
            self._opened(name, settings_of(self.config, name).steps, replicas, predictors[name])
        gate = MLPGate(spec.dim, spec.context_length, inputs=self.config.gate_inputs, hidden=hidden, rngs=rngs)
        return StylizedModel(g, h, gate)

    def _transformer(self, spec: ClassMixture, rngs: Sequence[torch.Generator]) -> nn.Module:
        return Transformer(spec.dim, spec.n_classes, spec.context_length, rngs=rngs, **vars(self.config.transformer))

    def source(self, replicas: Sequence[Replica]) -> ClassMixtureSampler:
        """Training batches of some replicas, and fresh sequences."""
        return sampler_of(replicas, cover_classes=self.config.cover_classes, device=self.device)

    def tests(self, sampler: ClassMixtureSampler) -> Iterator[tuple[TestSet, list[Condition]]]:
        """Test sets of what `source` made, each with its conditions."""
        config, classes = self.config, self.config.tested
        per_cell, seed = config.evaluation_per_cell, config.evaluation_seed
        test_set = draw_test_set(sampler, seed=seed, evaluation_per_cell=per_cell, classes=classes)
        yield test_set, list(conditions(config.distribution, classes))

    def trained(self, system: str, step: int, replicas: Sequence[Replica]) -> nn.Module:
        """A trained system at a checkpoint, for consecutive replicas of the study."""
        return self._opened(system, step, replicas, self.build(_ensemble_of(system), replicas).to(self.device))

    def _opened(self, system: str, step: int, replicas: Sequence[Replica], model: nn.Module) -> nn.Module:
        """A model of these replicas with the values of a checkpoint, which no gradient changes."""
        if (p_relevant := REFERENCES.get(system)) is not None:
            replicas = [_with_share(replica, p_relevant) for replica in replicas]
        model.load_state_dict(self._trained[_ensemble_of(system)].load(step, replicas))
        return model.requires_grad_(False)

    @cached_property
    def _trained(self) -> dict[str, Trained[Replica]]:
        return {name: Trained(self.place, self.ensemble(self.config, name)) for name in ENSEMBLES}


def _ensemble_of(system: str) -> str:
    return "transformer" if system in REFERENCES else system
