"""Statement 3.11 of docs/theory.md: the best weights of m predictors in hindsight, free and under a budget."""

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from numpy.typing import NDArray

from theory.gate_cells import GATE_LOSSES, GateCells
from theory.oracle import oracle_gate
from theory.oracle_mixtures import oracle_weights

LOSSES = pytest.mark.parametrize("loss", GATE_LOSSES)
Floats = NDArray[np.float64]


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(13)


def tables(generator: np.random.Generator, cells: int, m: int) -> tuple[Floats, Floats]:
    p = generator.dirichlet(np.ones(4), cells) * generator.dirichlet(np.ones(cells))[:, None]
    return p, generator.uniform(0.01, 1, (cells, m, 4))


def by_cvxpy(p: Floats, q: Floats, loss: str, use: Floats, memory: float) -> tuple[float, float]:
    """Value and price of the budget."""
    w = cp.Variable((len(p), q.shape[1]), nonneg=True)
    mixes = [w[i] @ q[i] for i in range(len(p))]
    terms = [-p[i] @ cp.log(mix) if loss == "log_loss" else p[i] @ (1 - mix) for i, mix in enumerate(mixes)]
    budget = cp.sum(cp.multiply(use, w)) <= memory
    problem = cp.Problem(cp.Minimize(sum(terms)), [cp.sum(w, axis=1) == 1, budget])
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    return float(problem.value), float(budget.dual_value)


@LOSSES
def test_3_11_values_and_prices_agree_with_cvxpy(loss: str, generator: np.random.Generator) -> None:
    binding = 0
    for _ in range(8):
        p, q = tables(generator, 12, 4)
        use = np.broadcast_to(generator.random(4) * [1, 1, 1, 0], (12, 4))
        free = oracle_weights(p, q, loss=loss)
        for share in (0.2, 0.7, 1.5):
            memory = share * float((use * free.weights).sum())
            gate = oracle_weights(p, q, loss=loss, memory=memory, use=use)
            value, price = by_cvxpy(p, q, loss, use, memory)
            assert gate.value == pytest.approx(value, abs=1e-6)
            assert gate.memory_price == pytest.approx(price, abs=1e-5)
            assert (use * gate.weights).sum() <= memory + 1e-9
            assert gate.optimality_gap < 1e-9
            np.testing.assert_allclose(gate.weights.sum(axis=1), 1, atol=1e-12)
            binding += gate.memory_price > 0
    assert binding == 16


@LOSSES
def test_3_11_two_predictors_are_the_gate(loss: str, generator: np.random.Generator) -> None:
    p, q = tables(generator, 40, 2)
    for rules, held in (({}, {}), ({"memory": 7.5}, {"memory": 7.5, "use": [1, 0]})):
        gate = oracle_gate(GateCells(p, q[:, 0], q[:, 1]), loss=loss, **rules)
        many = oracle_weights(p, q, loss=loss, **held)
        assert many.value == pytest.approx(gate.value, abs=1e-10)
        np.testing.assert_allclose(many.weights[:, 0], gate.alpha, atol=1e-5)
        assert many.memory_price == pytest.approx(gate.memory_price, abs=1e-6)


@LOSSES
def test_3_11_no_allowed_weights_are_better_by_more_than_the_gap(loss: str, generator: np.random.Generator) -> None:
    p, q = tables(generator, 10, 3)
    best = oracle_weights(p, q, loss=loss, memory=2.0, use=[1, 0.2, 0])
    tried = generator.dirichlet([0.2, 0.4, 1.0], (5000, 10))
    tried += generator.random((5000, 1, 1)) ** 3 * (best.weights - tried)
    tried = tried[tried @ [1, 0.2, 0] @ np.ones(10) <= 2.0]
    mix = np.einsum("tij,ijo->tio", tried, q)
    values = -(p * np.log(mix)).sum(axis=(1, 2)) if loss == "log_loss" else (p * (1 - mix)).sum(axis=(1, 2))
    assert len(values) > 300
    assert values.min() >= best.value - best.optimality_gap - 1e-12


def test_an_extra_predictor_never_costs(generator: np.random.Generator) -> None:
    p, q = tables(generator, 30, 5)
    values = [oracle_weights(p, q[:, :m]).value for m in (2, 3, 4, 5)]
    assert (np.diff(values) <= 1e-10).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("probability", [[0.5, 0.6]]),
        ("predictors", [[[0.5, 0.5]]]),
        ("predictors", [[[0.5, 1.5], [0.5, 0.5]]]),
        ("predictors", [[[0.5, 0.0], [0.5, 0.0]]]),
        ("loss", "hinge"),
        ("memory", -1.0),
        ("memory", None),
        ("memory", 0.0),
        ("use", [1, 0, 0]),
        ("use", [-1, 0]),
    ],
)
def test_arguments_are_named(name: str, value: Any) -> None:
    given: dict[str, Any] = {
        "probability": [[0.5, 0.5]],
        "predictors": [[[0.9, 0.1], [0.3, 0.7]]],
        "memory": 0.1,
        "use": [1, 0],
    }
    with pytest.raises(ValueError, match=f"`{name}`"):
        oracle_weights(**{**given, name: value})
