"""A thousand wrong calls of every public constructor: each is taken, or refused by the name of an argument."""

import dataclasses
import importlib
import inspect
import pkgutil
import random
import resource
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, get_type_hints

import numpy as np
import psutil
import pytest
import torch
from wrong_values import NAN, PLAIN, POOL, fits, has_nan, outcome

import gating.evaluation
import gating.gates
import gating.models
import gating.predictors
import gating.tasks
import gating.training
import theory
from gating.evaluation import conditions, crossing, measures
from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
    OnlineGate,
    UniversalPortfolioGate,
)
from gating.gates.discrepancy import DiscrepancyCurves
from gating.gates.effective import effective_gate, effective_gate_squared
from gating.gates.effective_weights import effective_weights
from gating.gates.learned import MLPGate
from gating.gates.online import Learners
from gating.gates.posterior import PosteriorGate, PosteriorParameters
from gating.gates.posterior_cells import PosteriorCells
from gating.gates.predictor_weights import PredictorWeights
from gating.gates.stylized import StylizedModel
from gating.models.attention import Attention, Rotary
from gating.models.blocks import Block
from gating.models.construction import Constants, ConstructedTransformer
from gating.models.decoder import Decoder, ItemDecoder, RegressionDecoder, UrnDecoder
from gating.models.layers import FullLinear, LayerNorm, Linear, ReadOut, generators
from gating.models.transformer import Transformer, sinusoidal_positions
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP, TabularInWeight
from gating.predictors.item_labels import ItemGeneralizer, ItemMemorizer
from gating.predictors.linear_regression import LinearAttention, RegressionGeneralizer, RegressionMemorizer
from gating.predictors.urns import UrnGeneralizer, UrnMemorizer
from gating.results.table import make_table
from gating.runs.ensemble import Ensemble
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.urns import Urns
from gating.training.gradients import Gradients
from gating.training.group import ReplicaGroup, target_log_loss
from gating.training.optimizer import Descent
from gating.training.schedule import TrainSettings, square_root_schedule
from gating.training.trained import Trained
from gating.training.trainer import Trainer
from llm_finetune import collection, mixtures, prompts
from llm_finetune.collection import load_collection
from theory.distribution import ClassMixture
from theory.gate_cells import GateCells
from theory.phases import Comparison

SPEC = ClassMixture(dim=4, context_length=2)
RNGS = generators([0])
TASKS = {"n_tasks": [4], "data_seeds": [0], "dim": 4, "length": 3, "device": "cpu"}
SHAPE = {"depth": 1, "heads": 1, "width": 8, "mlp_factor": 1.0, "rngs": RNGS}
PARAMETERS = {"alpha": 0.5, "beta": 0.5, "gamma": 1.0, "kappa": 0.1}
PEOPLE = load_collection("people")
MLP = torch.nn.Linear(2, 2)
VALID: dict[Callable[..., Any], dict[str, Any]] = {
    Comparison: {
        "measure": "error", "context": "relevant", "temperature": 0.1, "clip": 1e-7, "squared_distance": (2.0, 2.0),
        "cover_classes": False, "beta": 1.0, "bounds": "tight", "inputs": "told",
    },
    GateCells: {
        "probability": [[0.5], [0.5]], "p_in_weight": [[0.9], [0.1]], "p_in_context": [[0.6], [0.6]], "query": [0, 1],
        "context": [0, 0],
    },
    AdaHedgeGate: {"shape": (2, 3)},
    BayesMixtureGate: {"shape": (2, 3), "log_prior_odds": 0.5},
    ExponentialWeightsGate: {"shape": (2, 3), "loss_range": 1.0, "horizon": None, "rate": 0.5, "log_prior_odds": 0.5},
    GradientDescentGate: {"shape": (2, 3), "loss_range": 1.0, "horizon": 10},
    UniversalPortfolioGate: {"shape": (2, 3), "horizon": 10, "prior": "jeffreys", "tolerance": 1e-6},
    PosteriorParameters: PARAMETERS,
    PosteriorGate: {
        "shape": (2, 3), "parameters": PosteriorParameters(**PARAMETERS), "complexity_m": 36.0, "complexity_g": 16.0,
        "loss_range": 1.0,
    },
    DiscrepancyCurves: {"table": np.zeros((2, 289, 3))},
    PosteriorCells: {
        "discrepancy": DiscrepancyCurves(np.zeros((2, 289, 3))), "n_tasks": [2, 4], "steps": 100,
        "loss_gap": [0.2, 0.1], "complexity_m": [512.0, 1024.0], "complexity_g": 8.0, "seed": 0, "width": 1.0,
    },
    MLPGate: {"dim": 4, "context_length": 1, "inputs": "query", "hidden": 8, "rngs": RNGS},
    StylizedModel: {
        "g": InWeightMLP(4, 3, rngs=RNGS), "h": SoftmaxSimilarity(3, 1),
        "gate": MLPGate(4, 1, inputs="query", rngs=RNGS), "normalised": True,
    },
    InWeightMLP: {"dim": 4, "n_labels": 3, "hidden": 8, "rngs": RNGS},
    TabularInWeight: {"counts": torch.ones(1, 3, 3), "centres": torch.ones(1, 3, 4), "beta": 1.0},
    SoftmaxSimilarity: {"n_labels": 3, "n_replicas": 1, "temperature": 0.5, "clip": 1e-6},
    ItemMemorizer: {
        "items": torch.ones(2, 3), "labels": torch.tensor([0, 1]), "within_variance": 0.5, "label_noise": 0.1,
        "chunk": 64,
    },
    ItemGeneralizer: {"dim": 4, "within_variance": 0.5, "label_noise": 0.1, "chunk": 64},
    LinearAttention: {"weights": torch.ones(3, 2, 3), "chunk": 64},
    RegressionMemorizer: {"weights": torch.ones(2, 3), "noise_variance": 0.5, "chunk": 64},
    RegressionGeneralizer: {"dim": 4, "noise_variance": 0.5, "chunk": 64},
    UrnMemorizer: {"urns": torch.full((2, 2), 0.5), "chunk": 64},
    UrnGeneralizer: {"n_colours": 3, "concentration": 1.0},
    Linear: {"n_in": 4, "n_out": 3, "rngs": RNGS, "bias": True, "std": 0.1},
    FullLinear: {"n_in": 4, "n_out": 3, "rngs": RNGS, "bias": True, "std": 0.1},
    ReadOut: {"n_in": 4, "n_out": 3, "rngs": RNGS, "bias": True, "std": 0.1},
    LayerNorm: {"width": 4, "n_replicas": 2},
    Rotary: {"n_features": 4, "n_positions": 3},
    Attention: {"width": 8, "heads": 2, "rngs": RNGS, "bias": True, "rotary": None, "std": None},
    Block: {
        "width": 8, "heads": 2, "mlp_factor": 1.0, "rngs": RNGS, "attention_bias": True, "rotary": Rotary(2, 3),
        "std": 0.1,
    },
    Decoder: {"n_in": 4, "n_out": 3, "length": 5, **SHAPE},
    ItemDecoder: {"dim": 4, "length": 3, **SHAPE},
    RegressionDecoder: {"dim": 4, "length": 3, **SHAPE},
    UrnDecoder: {"dim": 4, "length": 3, **SHAPE},
    Constants: {"norm": 1e4, "sharpness": 40.0, "knots": 100, "floor": 1e-6},
    ConstructedTransformer: {
        "centres": [[1.0, 0.0]], "table": [[0.5, 0.5]], "gate_weight": [1.0, 0.0], "gate_offset": 0.0,
        "temperature": 1.0, "context_length": 2, "constants": Constants(knots=10),
    },
    Transformer: {"dim": 8, "n_labels": 3, "context_length": 1, **SHAPE},
    ClassMixtureSampler: {
        "distributions": [SPEC], "n_sequences": [100], "data_seeds": [0], "cover_classes": True, "device": "cpu",
        "dtype": torch.float32,
    },
    Urns: TASKS,
    ItemLabels: {**TASKS, "within_variance": 0.5},
    LinearRegression: {**TASKS, "noise_variance": 0.5},
    Learners: {"shape": (2,)},
    PredictorWeights: {"shape": (2,), "n_predictors": 2, "log_prior": [-0.6931471805599453] * 2, "rate": 0.5},
    ReplicaGroup: {
        "n_replicas": 1, "model": MLP, "source": Urns([4], [0], dim=4, length=3), "settings": TrainSettings(5),
        "loss": target_log_loss,
    },
    Gradients: {
        "model": MLP, "settings": TrainSettings(5), "loss": target_log_loss,
        "descent": Descent(dict(torch.nn.Linear(2, 2).named_parameters()), TrainSettings(5), replicas=True),
    },
    Descent: {"trained": dict(MLP.named_parameters()), "settings": TrainSettings(5), "replicas": True, "fused": False},
    Trained: {"place": Place(RunFolder("nowhere"), "train/a"), "ensemble": Ensemble("e", [1, 2], print, {})},
    Trainer: {
        "place": Place(RunFolder("nowhere"), "train/a"), "replicas": [1, 2, 3], "build": lambda replicas: MLP,
        "source": lambda replicas: None, "settings": TrainSettings(5), "device": "cpu", "dtype": torch.float32,
        "loss": target_log_loss,
    },
    collection.Collection: vars(PEOPLE),
    mixtures.Mixture: {"memory": 0.5, "reading": 0.5, "agreeing": 0.0, "irrelevant": 0.0, "sentences": 2},
    mixtures.PromptStream: {
        "collection": PEOPLE, "mixture": mixtures.Mixture(memory=1.0), "prompter": prompts.Prompter(None, chat=False),
        "seed": 0,
    },
    prompts.Prompter: {"tokenizer": None, "chat": False},
}  # fmt: skip
SAMPLER, ITEMS = ClassMixtureSampler([SPEC], [100], [0]), ItemLabels([4], [0], dim=4, length=3)
LOG_P = torch.full((1, 3, 2), 0.5).log()
G = torch.tensor([0.9, 0.1]).log().expand(1, 3, 2)
STEPS = {"first_step": 3, "n_steps": 2, "batch_size": 4}
FUNCTIONS: dict[Callable[..., Any], dict[str, Any]] = {
    TabularInWeight.fit: {"sampler": SAMPLER, "beta": 1.0, "chunk": 64},
    generators: {"seeds": [0, 1]},
    sinusoidal_positions: {"n_positions": 3, "width": 4},
    SAMPLER.training_rows: {"index": torch.tensor([[0, 99]])},
    SAMPLER.training_labels: {"index": torch.tensor([[0, 99]])},
    SAMPLER.batches: STEPS,
    SAMPLER.fresh: {"seed": 0, "query_class": torch.tensor([0, 9]), "relevant": torch.tensor([True, False])},
    ITEMS.batches: STEPS,
    ITEMS.fresh: {"seed": 0, "count": 3, "unseen": False, "absent": True},
    conditions.draw_test_set: {"sampler": SAMPLER, "seed": 0, "evaluation_per_cell": 1},
    conditions.conditions: {"spec": SPEC},
    measures.answer_measures: {"log_p": LOG_P, "target": torch.tensor([[0, 1, 1]]), "law": LOG_P.exp()},
    square_root_schedule: {"last": 100, "count": 4, "first": 2},
}
MAY_BE_NAN: dict[Callable[..., Any], dict[str, Any]] = {
    effective_gate: {"model": LOG_P, "g": G, "h": G.flip(-1), "weights": torch.ones(3)},
    effective_weights: {"model": LOG_P, "predictors": [G, G.flip(-1), LOG_P], "weights": torch.ones(3)},
    effective_gate_squared: {"model": LOG_P, "g": G, "h": G.flip(-1), "weights": torch.ones(3)},
    crossing.crossing: {"n": [10, 100], "excess": [1.0, -1.0]},
    crossing.power_law_exponent: {"q": [0.1, 0.2, 0.4], "n": [40, 20, 10]},
}
"""Where predictors agree, or points are missing: their docstrings say so."""

SUITED = {(ItemMemorizer, "items"): "labels", (PredictorWeights, "n_predictors"): "log_prior"}
"""Arguments that may be refused by the name of another, which does not suit them."""
ROOMS = (theory, gating.tasks, gating.predictors, gating.gates, gating.models, gating.training, gating.evaluation)
ONLINE = [
    (AdaHedgeGate, {}),
    (BayesMixtureGate, {}),
    (ExponentialWeightsGate, {"loss_range": 1.0}),
    (GradientDescentGate, {"loss_range": 1.0}),
    (UniversalPortfolioGate, {"horizon": 10}),
]


@pytest.fixture(autouse=True, scope="module")
def no_room_for_huge_tables() -> Iterator[None]:
    """A table of a huge size is an error at once: the process may take 2 GiB more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**31, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def classes(room: ModuleType) -> Iterator[type]:
    """Public classes of a package that check what they are made of, which results, errors and protocols do not."""
    for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
        held = importlib.import_module(module.name)
        for found in (getattr(held, name) for name in getattr(held, "__all__", ())):
            if inspect.isclass(found) and found.__module__ == module.name and not inspect.isabstract(found):
                settings, protocol = hasattr(found, "__pydantic_fields__"), getattr(found, "_is_protocol", False)
                made = dataclasses.is_dataclass(found) and found.__init__.__code__.co_filename == "<string>"
                carries = issubclass(found, (tuple, Exception)) or (made and not hasattr(found, "__post_init__"))
                if not (settings or protocol or carries):
                    yield found


def is_refused(function: Callable[..., Any], valid: dict[str, Any], wrong: dict[str, Any]) -> bool:
    """Whether a call is refused by name, which it must be if it is not taken as it stands, without a NaN."""
    complaint, made = outcome(function, {**valid, **wrong})
    if complaint:
        names = {*wrong, *(SUITED.get((function, name), name) for name in wrong)}
        assert any(f"`{name}`" in complaint for name in names), (wrong, complaint[:300])
    elif function not in MAY_BE_NAN and not hasattr(function, "__pydantic_fields__"):  # settings convert what they take
        assert not has_nan(made), wrong
        hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
        assert all(fits(value, hints.get(name, Any)) for name, value in wrong.items()), wrong
    return complaint != ""


def wrong_calls(valid: dict[str, Any], chance: random.Random) -> Iterator[dict[str, Any]]:
    """A thousand times one argument, or two or three, with any value."""
    singles = [(name, value) for name in valid for value in POOL]
    chance.shuffle(singles)
    singles = singles[:700]
    yield from ({name: value} for name, value in singles)
    for _ in range(len(singles), 1000):
        names = chance.sample(list(valid), min(len(valid), chance.choice((2, 3))))
        yield {name: chance.choice(POOL) for name in names}


def name_of(function: Any) -> str:
    return getattr(function, "__qualname__", str(function))


def test_every_public_class_is_called() -> None:
    assert {found for room in ROOMS for found in classes(room)} <= {*VALID}


@pytest.mark.parametrize("constructor", VALID, ids=name_of)
def test_a_thousand_wrong_calls_of_a_constructor_are_refused_by_name(constructor: Callable[..., Any]) -> None:
    valid, chance = VALID[constructor], random.Random(name_of(constructor))
    assert not has_nan(constructor(**valid))
    assert sum(is_refused(constructor, valid, wrong) for wrong in wrong_calls(valid, chance)) > 500


@pytest.mark.parametrize("function", FUNCTIONS | MAY_BE_NAN, ids=name_of)
def test_wrong_calls_of_a_function_are_refused_by_name(function: Callable[..., Any]) -> None:
    valid = (FUNCTIONS | MAY_BE_NAN)[function]
    function(**valid)
    for name in valid:
        for value in PLAIN if function in MAY_BE_NAN else POOL:
            is_refused(function, valid, {name: value})


@pytest.mark.parametrize(("gate", "arguments"), ONLINE)
def test_gates_name_bad_losses_and_cells_and_learn_nothing_from_them(
    gate: type[OnlineGate], arguments: dict[str, Any]
) -> None:
    good = {"loss_in_weight": 0.5, "loss_in_context": 0.2, "cells": torch.tensor([0, 2])}
    for name in good:
        for bad in POOL:
            learner = gate((2, 3), **arguments)
            learner.update(**good)
            before = {key: value.clone() for key, value in learner.state_dict().items()}
            complaint, _ = outcome(learner.update, {**good, name: bad})
            if complaint:
                assert f"`{name}`" in complaint, (bad, complaint)
                assert all(torch.equal(value, before[key]) for key, value in learner.state_dict().items())
            assert not has_nan(learner)
            assert not has_nan(learner.alpha())
            assert not has_nan(learner.regret())
    with pytest.raises(ValueError, match="`cells`"):
        learner.alpha(torch.tensor([0, 3]))


def test_gates_of_their_own_are_in_zero_one() -> None:
    test_set = conditions.draw_test_set(SAMPLER, seed=0, evaluation_per_cell=1)
    for bad in (NAN, -0.1, 1.1):
        rows = measures.mean_gate_rows({"ibd": torch.full((1, 20), bad)}, test_set, list(conditions.conditions(SPEC)))
        with pytest.raises(ValueError, match="`alpha` must be in"):
            list(rows)


@pytest.mark.parametrize(("column", "bad"), [("n", 1.5), ("n", "text"), ("value", "text"), ("seed", "text")])
def test_a_table_names_a_column_of_another_type(column: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"`{column}`"):
        make_table([{column: bad}])
