"""How sharply may an in-context predictor compare, before the gate of the stylized model trusts it?"""

from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Literal

import pandas as pd
import torch

from gating import InWeightMLP, MLPGate, Page, Part, SoftmaxSimilarity, Study, StylizedModel, Trainer, TrainSettings
from gating.evaluation.measure import measure
from gating.models.layers import generators
from gating.page.multiples import Facet, Multiples, Row, Trace
from gating.page.names import system_of
from gating.results.columns import Column, declare
from gating.results.query import last_step, select
from gating.results.table import make_table, summarise
from gating.runs.ensemble import Ensemble
from gating.settings.text import as_plain
from gating.studies import vocabulary as words  # how systems and gates look
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.training.trained import Trained
from theory import ClassMixture
from theory.fields import Count, Positive, Several
from theory.settings import settings

declare(Column("temperature", "float64", "temperature at which contexts are compared with the query", 0))


@settings
class TemperatureConfig:
    """Settings of the study `temperature`.

    Args:
        study: name of the study.
        temperatures: temperatures > 0 of the in-context predictor, which training leaves alone.
        n_sequences: training sequences N.
        n_seeds: number of seeds, which intervals are over.
        distribution: the data.
        training: how the stylized models are trained.
    """

    study: Literal["temperature"] = "temperature"
    temperatures: Several[Positive] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    n_sequences: Count = 1000
    n_seeds: Count = 5
    distribution: ClassMixture = field(default_factory=ClassMixture)
    training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=2000, batch_size=32))


@dataclass(frozen=True)
class Replica:
    """What one model of an ensemble differs in."""

    spec: ClassMixture
    n: int
    temperature: float
    seed: int


def build(replicas):
    """Stylized models whose similarities keep their temperatures."""
    spec, rngs = replicas[0].spec, generators([replica.seed for replica in replicas])
    h = SoftmaxSimilarity(spec.n_classes, len(replicas)).requires_grad_(False)
    h.log_temperature[:, 0, 0] = torch.tensor([replica.temperature for replica in replicas]).log()
    gate = MLPGate(spec.dim, spec.context_length, inputs="query_and_context", rngs=rngs)
    return StylizedModel(InWeightMLP(spec.dim, spec.n_classes, rngs=rngs), h, gate)


def source(replicas):
    specs, sizes, seeds = zip(*((replica.spec, replica.n, replica.seed) for replica in replicas), strict=True)
    return ClassMixtureSampler(specs, sizes, seeds, cover_classes=False)


def trainer(training, place, resources, replicas):
    return Trainer(place, replicas, build, source, training, device=resources.device)


def replicas_of(config, temperature):
    return [Replica(config.distribution, config.n_sequences, temperature, seed) for seed in range(config.n_seeds)]


def ensemble(config):
    """All models: those of several settings of a sweep train together, where `shared` and `shape` are the same."""
    replicas = [replica for each in config.temperatures for replica in replicas_of(config, each)]
    shared = {"training": as_plain(config.training)}
    shape = attrgetter("spec.dim", "spec.n_classes", "spec.context_length")
    return Ensemble("stylized", replicas, partial(trainer, config.training), shared, shape=shape)


def keep_gates(config, temperature, place, resources):
    """A part: measures every checkpoint of the models of one temperature, and keeps rows in its place."""
    replicas, trained, rows = replicas_of(config, temperature), Trained(place, ensemble(config)), []
    for step in config.training.checkpoint_steps:
        model = build(replicas)
        model.load_state_dict(trained.load(step, replicas))
        found = measure(model, config.distribution, n=config.n_sequences, seeds=range(config.n_seeds), g=model.g,
                        h=model.h, system="stylized", evaluation_per_cell=50)  # fmt: skip
        kept = found[~found["answer"] & found["measure"].isin(["error", "effective_gate"])]
        rows.append(kept.assign(study="temperature", kind="measured", step=step, temperature=temperature))
    place.save_table("rows", make_table(pd.concat(rows)))


class Temperature(Study[TemperatureConfig]):
    """How sharply may an in-context predictor compare, before the gate of the stylized model trusts it?"""

    config = TemperatureConfig

    def ensembles(self, config):
        yield ensemble(config)

    def parts(self, config):
        for temperature in config.temperatures:
            yield Part(f"measure/{temperature}", partial(keep_gates, config, temperature), after=("train",))

    def rows(self, config, work):
        return pd.concat([work.of(part.name).table("rows") for part in self.parts(config)])

    def answers(self, config, table):
        asked = {"distribution": "ibd", "context": "relevant", "group": ("high", "low"), "measure": "effective_gate"}
        return summarise(select(last_step(table), asked)).drop(columns=["seeds", "over"])

    def page(self, config, table, beside):
        facets = tuple(Facet(group, {"group": group}) for group in ("high", "low"))
        where, axis = {"distribution": "ibd", "context": "relevant"}, words.GATE
        rows = (Row("relevant context", where, (Trace("effective_gate"),), axis),)
        figure = Multiples("gate", "Gates", "Low is trust in the context.", "step", rows, lambda summary: facets,
                           hue="temperature", look_of=lambda value: system_of(f"temperature {value}"))  # fmt: skip
        return Page("Gate and temperature", self.question(), ("stylized",), (figure,), terms=(), blocks=())
