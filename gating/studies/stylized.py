"""Stylized models that stand for Transformers, how either kind is trained, and what it is measured for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from gating.evaluation.conditions import conditions, draw_test_set
from gating.evaluation.measures import Row, answers, by_replica, gate_rows, loss_rows, mean_rows
from gating.gates.learned import MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP, TabularInWeight
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.replicas import Replica, sampler_of
from gating.training.schedule import TrainSettings
from gating.training.trained import Trained
from gating.training.trainer import Trainer
from theory.distribution import ClassMixture

__all__ = ["models_at", "stylized_model", "stylized_parameters", "trained_rows", "trainer_of"]

ASKED = ("relevant", "irrelevant")
"""Contexts of the sequences that models are asked."""


def stylized_model(replicas: Sequence[Replica], hidden: int) -> StylizedModel:
    """Stylized models with their initial values, whose perceptrons see inputs as the blocks of a Transformer do.

    Args:
        replicas: data and seeds of each.
        hidden: width of the perceptrons.
    """
    spec, rngs = replicas[0].distribution, generators([r.init_seed for r in replicas])
    g = InWeightMLP(spec.dim, spec.n_classes, hidden=hidden, rngs=rngs)
    gate = MLPGate(spec.dim, spec.context_length, inputs="query_and_context", hidden=hidden, rngs=rngs)
    return StylizedModel(g, SoftmaxSimilarity(spec.n_classes, len(replicas)), gate, normalised=True)


def stylized_parameters(spec: ClassMixture, hidden: int) -> int:
    """How many parameters a stylized model has.

    Example:
        >>> spec = ClassMixture(dim=8)
        >>> model = stylized_model([Replica(spec, 100, 0, 0)], 16)
        >>> sum(p.numel() for p in model.parameters()) == stylized_parameters(spec, 16)
        True
    """
    tokens = spec.context_length + 1
    return hidden * (spec.dim * (1 + tokens) + spec.n_classes + 3) + spec.n_classes + 2


def trainer_of(
    build: Callable[[Sequence[Replica]], nn.Module],
    settings: TrainSettings,
    place: Place,
    resources: Resources,
    replicas: Sequence[Replica],
) -> Trainer[Replica]:
    """What trains some replicas on sequences of which a class may have none."""
    device = torch.device(resources.device)
    source = partial(sampler_of, cover_classes=False, device=device)
    return Trainer(place, replicas, build, source, settings, device=device)


def models_at(
    steps: Iterable[int],
    build: Callable[[Sequence[Replica]], nn.Module],
    trained: Trained[Replica],
    replicas: Sequence[Replica],
) -> Iterator[tuple[int, nn.Module]]:
    """Steps, and the trained models at them, which no gradient changes."""
    for step in steps:
        model = build(replicas).requires_grad_(False)
        model.load_state_dict(trained.load(step, replicas))
        yield step, model


def trained_rows(
    replicas: Sequence[Replica],
    checkpoints: Iterable[tuple[int, nn.Module]],
    place: Row,
    *,
    groups: Sequence[str],
    beta: float,
    temperature: float,
    evaluation_seed: int,
    evaluation_per_cell: int,
    own: bool = False,
) -> Iterator[Row]:
    """Errors and effective gates of trained models by group, for replicas of one data and one N.

    The gate is measured on out-of-base sequences with a relevant context, where label counts and the context name
    different labels, between g, the label counts of the replica's own training set, and h, the softmax that copies.

    Args:
        replicas: the models.
        checkpoints: steps, and the models at them.
        place: other columns of the rows, such as study and system.
        groups: groups of classes, those without classes being left out.
        beta: pseudo-count > 0 of the label counts.
        temperature: temperature > 0 of the softmax that copies.
        evaluation_seed: seed of the test sequences.
        evaluation_per_cell: test sequences for each (query class, context kind).
        own: whether the g of a stylized model is measured as well: its linear loss 1 - g(y), as rows of the system
            ``in_weight``.
    """
    sampler = sampler_of(replicas, cover_classes=False, device=torch.device("cpu"))
    test_set = draw_test_set(sampler, seed=evaluation_seed, evaluation_per_cell=evaluation_per_cell)
    every = [c for c in conditions(replicas[0].distribution) if c.context in ASKED and c.group in groups]
    relevant, irrelevant = ([c for c in every if c.context == context] for context in ASKED)
    g = answers(TabularInWeight.fit(sampler, beta=beta), test_set)
    h = answers(SoftmaxSimilarity(sampler.n_classes, 1, temperature=temperature), test_set)
    for step, model in checkpoints:
        places = [{**place, "step": step, "n": r.n_sequences, "seed": r.data_seed} for r in replicas]
        log_p = answers(model, test_set)
        losses = loss_rows(log_p, test_set, every)
        yield from by_replica((row for row in losses if row["measure"] == "error"), places)
        gates = gate_rows("effective_gate", log_p, g, h, test_set, relevant)
        yield from by_replica((row for row in gates if row["distribution"] == "oobd"), places)
        if own and isinstance(model, StylizedModel):
            asked = test_set.sequences["ibd"]
            with torch.no_grad():
                known: Tensor = model.g(model.seen(asked)).double()
            missed = 1 - known.gather(-1, asked.target.unsqueeze(-1)).squeeze(-1).exp()
            rows = mean_rows("ibd", "linear_loss", missed, evaluation_per_cell, irrelevant)
            yield from by_replica(rows, [{**each, "system": "in_weight"} for each in places])
