"""One test for each statement of docs/theory.md, section 7."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from theory.simplex import certified, simplex_weights

Floats = NDArray[np.float64]


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(11)


def loss(t: Floats, p: Floats, w: Floats) -> Floats:
    """Log loss of mixtures, of a cell with outcomes (K,) and predictors (m, K), for weights (..., m)."""
    return np.asarray(-np.log(w @ p) @ t)


def random_problem(generator: np.random.Generator, cells: int, spread: float) -> tuple[Floats, Floats]:
    m, k = generator.integers(2, 7), generator.integers(2, 30)
    p = 10.0 ** (-spread * generator.random((cells, m, k)))
    return generator.dirichlet(np.full(k, 0.3), cells), p / p.sum(axis=2, keepdims=True)


@pytest.mark.parametrize("spread", [1.0, 3.0, 12.0])
def test_7_1_optimal_weights_leave_no_violation(generator: np.random.Generator, spread: float) -> None:
    """On random problems, from alike predictors to some that lie twelve orders of magnitude apart."""
    for _ in range(20):
        t, p = random_problem(generator, 50, spread)
        found = simplex_weights(t, p)
        np.testing.assert_allclose(found.weights.sum(axis=1), 1, atol=1e-12)
        assert (found.weights >= 0).all()
        earned = np.einsum("ck,cjk,ck->cj", t, p, 1 / np.einsum("cj,cjk->ck", found.weights, p))
        assert earned.max() - 1 < 2e-10
        np.testing.assert_allclose(np.where(found.weights > 1e-4, earned, 1), 1, atol=1e-5)


def test_7_1_the_solution_is_that_of_another_solver(generator: np.random.Generator) -> None:
    for _ in range(30):
        t, p = (part[0] for part in random_problem(generator, 1, 2.0))
        m = len(p)
        other = minimize(
            lambda w, t=t, p=p: loss(t, p, w), np.full(m, 1 / m), jac=lambda w, t=t, p=p: -p @ (t / (w @ p)),
            bounds=[(0, 1)] * m, constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
        )  # fmt: skip
        found = simplex_weights(t[None], p[None])
        assert loss(t, p, found.weights[0]) <= other.fun + 1e-10
        assert loss(t, p, found.weights[0]) == pytest.approx(other.fun, abs=1e-6)


def test_7_2_the_violation_bounds_what_better_weights_could_save(generator: np.random.Generator) -> None:
    closest = 0.0
    for _ in range(40):
        t, p = random_problem(generator, 100, 2.0)
        best = simplex_weights(t, p).weights
        tried = generator.dirichlet(np.ones(p.shape[1]), 100)
        tried = best + generator.random((100, 1)) ** 4 * (tried - best)
        violation = certified(t, p, tried).violation
        saved = np.array(
            [loss(*part[:2], part[2]) - loss(*part[:2], part[3]) for part in zip(t, p, tried, best, strict=True)]
        )
        assert (saved <= np.log1p(violation) + 1e-9).all()
        closest = max(closest, float((saved / np.log1p(violation))[violation > 1e-3].max()))
    assert closest > 0.5  # not a bound that nothing comes near


def test_7_3_curvature_is_what_a_step_along_the_simplex_costs(generator: np.random.Generator) -> None:
    """Against second differences of the loss in random directions, and against the flattest one."""
    for _ in range(10):
        t, p = (part[0] for part in random_problem(generator, 1, 1.0))
        w = generator.dirichlet(np.ones(len(p))) * 0.9 + 0.1 / len(p)
        least = certified(t[None], p[None], w[None]).curvature[0]
        way = generator.normal(size=(2000, len(p)))
        way -= way.mean(axis=1, keepdims=True)
        way *= 1e-3 / np.linalg.norm(way, axis=1, keepdims=True)
        second = (loss(t, p, w + way) + loss(t, p, w - way) - 2 * loss(t, p, w)) / 1e-6
        assert second.min() >= least * 0.99 - 1e-6


def test_7_3_a_predictor_between_two_others_cannot_be_told_from_them(generator: np.random.Generator) -> None:
    t, p = random_problem(generator, 50, 1.0)
    w = generator.dirichlet(np.ones(p.shape[1]), 50)
    between = np.concatenate([p, p[:, :1] / 3 + 2 * p[:, 1:2] / 3], axis=1)
    found = simplex_weights(t, between)
    assert found.curvature.max() < 1e-12
    moved = found.weights + 0.01 * np.concatenate([[1 / 3, 2 / 3], np.zeros(p.shape[1] - 2), [-1.0]])
    for part in zip(t, between, found.weights, moved, strict=True):
        assert loss(*part[:2], part[2]) == pytest.approx(loss(*part[:2], part[3]), abs=1e-12)
    assert certified(t, p, w).curvature.max() > 1e-3


def test_7_4_charges_move_weight_to_the_cheaper_predictors(generator: np.random.Generator) -> None:
    """Second route: no random weights pay less for loss and charge together."""
    for _ in range(20):
        t, p = random_problem(generator, 1, 2.0)
        c = generator.exponential(0.5, p.shape[1])
        found = simplex_weights(t, p, c)
        paid = loss(t[0], p[0], found.weights[0]) + found.weights[0] @ c
        tried = found.weights + generator.random((3000, 1)) ** 3 * (
            generator.dirichlet(np.full(p.shape[1], 0.3), 3000) - found.weights
        )
        assert (loss(t[0], p[0], tried) + tried @ c).min() >= paid - 1e-10


def test_arguments_are_named() -> None:
    t, p = np.array([[0.5, 0.5]]), np.ones((1, 2, 2))
    for changed in ({"mass": -t}, {"mass": 0 * t}, {"mass": t[0]}, {"predictors": -p}, {"predictors": p[:, :, :1]},
                    {"charges": np.nan}, {"tolerance": 0.0}):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{next(iter(changed))}`"):
            simplex_weights(**{"mass": t, "predictors": p, **changed})
