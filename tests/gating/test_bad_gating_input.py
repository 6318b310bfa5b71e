"""Every argument of gates, predictors, models, sampler and measures: a named error or a value, never a silent NaN."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gating.evaluation import conditions, crossing, measures, table
from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
    OnlineGate,
    UniversalPortfolioGate,
)
from gating.gates.effective import effective_gate, effective_gate_squared
from gating.gates.learned import MLPGate
from gating.models.layers import LayerNorm, Linear, generators
from gating.models.transformer import Transformer, sinusoidal_positions
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP, TabularInWeight
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.training.schedule import TrainSettings, square_root_schedule
from theory.distribution import ClassMixture

NAN, INF = float("nan"), float("inf")
BAD: list[Any] = [
    None,
    "text",
    True,
    [],
    NAN,
    INF,
    -INF,
    -1,
    -0.5,
    0,
    1,
    1.5,
    1e300,
    1 + 2j,
    [0.1, np.nan],
    torch.tensor([NAN, 1.0]),
    torch.tensor([[0.5, INF]]),
    torch.tensor([]),
    torch.tensor([[-1, 10**6]]),
]

SPEC = ClassMixture(dim=4, context_length=2)
SAMPLER = ClassMixtureSampler([SPEC], [100], [0])
RNGS = generators([0])
LOG_P = torch.full((1, 3, 2), 0.5).log()
G = torch.tensor([0.9, 0.1]).log().expand(1, 3, 2)
ROWS = [{"system": "in_weight", "n": 64, "seed": s, "kind": "measured", "value": 0.1 * s} for s in range(3)]
CURVES = table.make_table([{"system": "theory", "measure": "query_frequency", "setting": "n_low=5", "value": 0.1}])
VALID: dict[Callable[..., Any], dict[str, Any]] = {
    AdaHedgeGate: {"shape": (2, 3)},
    BayesMixtureGate: {"shape": (2, 3), "log_prior_odds": 0.5},
    ExponentialWeightsGate: {"shape": (2, 3), "loss_range": 1.0, "rate": 0.5, "log_prior_odds": 0.5},
    GradientDescentGate: {"shape": (2, 3), "loss_range": 1.0, "horizon": 10},
    UniversalPortfolioGate: {"shape": (2, 3), "horizon": 10, "prior": "jeffreys", "tolerance": 1e-6},
    effective_gate: {"model": LOG_P, "g": G, "h": G.flip(-1), "weights": torch.ones(3), "tolerance": 1e-9},
    effective_gate_squared: {"model": LOG_P, "g": G, "h": G.flip(-1), "weights": torch.ones(3)},
    MLPGate: {"dim": 4, "context_length": 1, "inputs": "query", "hidden": 8, "rngs": RNGS},
    InWeightMLP: {"dim": 4, "n_labels": 3, "hidden": 8, "rngs": RNGS},
    SoftmaxSimilarity: {"n_labels": 3, "n_replicas": 1, "temperature": 0.5, "clip": 1e-6},
    TabularInWeight: {"counts": torch.ones(1, 3, 3), "centres": torch.ones(1, 3, 4), "beta": 1.0},
    TabularInWeight.fit: {"sampler": SAMPLER, "beta": 1.0, "chunk": 64},
    generators: {"seeds": [0, 1]},
    Linear: {"n_in": 4, "n_out": 3, "rngs": RNGS},
    LayerNorm: {"width": 4, "n_replicas": 2},
    Transformer: {
        "dim": 8, "n_labels": 3, "context_length": 1, "depth": 1, "heads": 2, "width": 8, "mlp_factor": 2.0,
        "rngs": RNGS,
    },
    sinusoidal_positions: {"n_positions": 3, "width": 4},
    ClassMixtureSampler: {
        "distributions": [SPEC], "n_sequences": [100], "data_seeds": [0], "cover_classes": True, "device": "cpu",
        "dtype": torch.float32,
    },
    SAMPLER.training_rows: {"index": torch.tensor([[0, 99]])},
    SAMPLER.training_labels: {"index": torch.tensor([[0, 99]])},
    SAMPLER.batches: {"first_step": 3, "n_steps": 2, "batch_size": 4},
    SAMPLER.fresh: {"seed": 0, "query_class": torch.tensor([0, 9]), "relevant": torch.tensor([True, False])},
    conditions.draw_test_set: {"sampler": SAMPLER, "seed": 0, "per_cell": 1},
    measures.answer_measures: {"log_p": LOG_P, "target": torch.tensor([[0, 1, 1]]), "law": LOG_P.exp()},
    table.make_table: {"rows": ROWS},
    table.summarise: {"table": table.make_table(ROWS), "confidence": 0.9},
    crossing.crossing: {"n": [10, 100], "excess": [1.0, -1.0]},
    crossing.power_law_exponent: {"q": [0.1, 0.2, 0.4], "n": [40, 20, 10]},
    crossing.estimate_crossings: {"table": CURVES, "step": 10, "bootstrap_seed": 0},
    TrainSettings: {"steps": 10, "batch_size": 2, "learning_rate": 0.1, "checkpoints": 2, "save_every": 5},
    square_root_schedule: {"last": 100, "count": 4, "first": 2},
}  # fmt: skip
TABLES = {"table"}  # rows of the schema, which `make_table` checks
GATES = [
    (AdaHedgeGate, {}),
    (BayesMixtureGate, {}),
    (ExponentialWeightsGate, {"loss_range": 1.0}),
    (GradientDescentGate, {"loss_range": 1.0}),
    (UniversalPortfolioGate, {"horizon": 10}),
]


def documented_nan(function: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    """Gates of predictors that agree, missing sizes and too few points: their docstrings say NaN."""
    if function in (effective_gate, effective_gate_squared):
        return torch.equal(arguments["g"], arguments["h"])
    return function in (crossing.crossing, crossing.power_law_exponent)


def has_nan(value: Any) -> bool:
    if isinstance(value, torch.nn.Module):
        return any(has_nan(part) for part in value.state_dict().values())
    if isinstance(value, TabularInWeight):
        return has_nan(value.counts) or has_nan(value.beta)
    if isinstance(value, dict):
        return any(has_nan(part) for part in value.values())
    if isinstance(value, (tuple, list)):
        return any(has_nan(part) for part in value)
    if isinstance(value, torch.Tensor):
        return bool(value.isnan().any())
    return isinstance(value, (float, np.ndarray)) and bool(np.isnan(value).any())


def outcome(function: Callable[..., Any], arguments: dict[str, Any]) -> tuple[str, Any]:
    """The message of a ValueError or TypeError, or nothing and the result."""
    try:
        return "", function(**arguments)
    except (ValueError, TypeError) as error:
        return str(error), None


def name_of(function: Any) -> str:
    return getattr(function, "__qualname__", str(function))


@pytest.mark.parametrize("function", VALID, ids=name_of)
def test_bad_arguments_are_named_or_harmless(function: Callable[..., Any]) -> None:
    valid = VALID[function]
    assert set(valid) <= set(inspect.signature(function).parameters)
    assert not has_nan(function(**valid))
    for name in set(valid) - TABLES:
        for bad in BAD:
            arguments = {**valid, name: bad}
            complaint, result = outcome(function, arguments)
            assert not complaint or f"`{name}`" in complaint, (name, bad, complaint)
            assert not has_nan(result) or documented_nan(function, arguments), (name, bad)


@pytest.mark.parametrize(("gate", "arguments"), GATES)
def test_gates_name_bad_losses_and_cells_and_learn_nothing_from_them(
    gate: type[OnlineGate], arguments: dict[str, Any]
) -> None:
    for name in ("loss_in_weight", "loss_in_context", "cells"):
        for bad in BAD:
            learner = gate((2, 3), **arguments)
            good = {"loss_in_weight": 0.5, "loss_in_context": 0.2, "cells": torch.tensor([0, 2])}
            learner.update(**good)
            before = {key: value.clone() for key, value in learner.state_dict().items()}
            complaint, _ = outcome(learner.update, {**good, name: bad})
            assert not complaint or f"`{name}`" in complaint, (name, bad, complaint)
            assert not complaint or all(torch.equal(v, before[key]) for key, v in learner.state_dict().items())
            assert not has_nan(learner)
            assert not has_nan(learner.alpha())
            assert not has_nan(learner.regret())
    with pytest.raises(ValueError, match="`cells`"):
        learner.alpha(torch.tensor([0, 3]))


def test_gates_of_their_own_are_in_zero_one() -> None:
    test_set = conditions.draw_test_set(SAMPLER, seed=0, per_cell=1)
    for bad in (NAN, -0.1, 1.1):
        with pytest.raises(ValueError, match="`alpha` must be in"):
            list(
                measures.mean_gate_rows({"ibd": torch.full((1, 20), bad)}, test_set, list(conditions.conditions(SPEC)))
            )


def test_columns_of_another_type_are_named() -> None:
    for column, bad in (("n", 1.5), ("value", "text"), ("seed", "text")):
        with pytest.raises(ValueError, match=f"column `{column}` is"):
            table.make_table([{column: bad}])
    with pytest.raises(TypeError, match="`spec` must be a ClassMixture"):
        list(conditions.conditions(3))
    with pytest.raises(TypeError, match="`table` must be a table"):
        crossing.estimate_crossings(None)


def test_missing_sizes_make_no_crossing() -> None:
    assert np.isnan(crossing.crossing([10, 100, 1000], [1, NAN, -1]))
    assert np.isnan(crossing.power_law_exponent([0.1, 0.1, 0.1], [10, 20, 30]))
