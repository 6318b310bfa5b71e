"""The effective gate: recovery of a known mixture, optimality, invariance, and what it says when it is undefined."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from gating.gates.effective import effective_gate, effective_gate_squared

N, C = 40, 6


def log_simplex(rng: torch.Generator, *shape: int, spread: float = 2.0) -> torch.Tensor:
    return (spread * torch.randn(*shape, generator=rng, dtype=torch.float64)).log_softmax(-1)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("alpha", [0.0, 1e-6, 0.2, 0.5, 0.999, 1.0])
def test_a_mixture_gives_back_its_weight(rng, alpha):
    """KL is zero at the weight that made the mixture, and nowhere else."""
    g, h = log_simplex(rng, 5, N, C), log_simplex(rng, 5, N, C)
    fit = effective_gate((alpha * g.exp() + (1 - alpha) * h.exp()).log(), g, h)
    np.testing.assert_allclose(fit.alpha, alpha, atol=1e-9)
    np.testing.assert_allclose(fit.residual, 0, atol=1e-12)


def test_the_minimum_agrees_with_a_scalar_search_and_is_weighted(rng):
    """Second route: scipy's bounded search on the weighted KL, for 50 models that no mixture fits."""
    for _ in range(50):
        model, g, h = (log_simplex(rng, N, C) for _ in range(3))
        w = torch.rand(N, generator=rng, dtype=torch.float64)

        def kl(a: float, t=model, g=g, h=h, w=w) -> float:
            per = (t.exp() * (t - (a * g.exp() + (1 - a) * h.exp()).log())).sum(-1)
            return float((w * per).sum() / w.sum())

        fit = effective_gate(model, g, h, w)
        best = minimize_scalar(kl, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
        assert abs(float(fit.alpha) - best.x) < 1e-6
        assert float(fit.residual) <= best.fun + 1e-12
        assert math.isclose(float(fit.residual), kl(float(fit.alpha)), rel_tol=1e-9)


def test_the_derivative_vanishes_to_tolerance_inside(rng):
    model, g, h = (log_simplex(rng, 200, N, C) for _ in range(3))
    fit = effective_gate(model, g, h)
    inside = (fit.alpha > 1e-6) & (fit.alpha < 1 - 1e-6)
    a = fit.alpha[:, None, None]
    gap = g.exp() - h.exp()
    slope = -(model.exp() * gap / (h.exp() + a * gap)).sum(-1).mean(-1)
    curvature = (model.exp() * gap.square() / (h.exp() + a * gap).square()).sum(-1).mean(-1)
    assert inside.sum() > 100
    assert float((slope / curvature)[inside].abs().max()) < 1e-9


def test_the_minimum_is_within_the_tolerance_beside_an_edge():
    """Second route: bisection of the slope, for predictors with probabilities down to 1e-30 and weights down to 1e-12,
    where the steps of a search are short long before its end."""
    for seed in range(12):
        rng = torch.Generator().manual_seed(6 * seed)
        model, g, h = (log_simplex(rng, 400, 3, 4, spread=20.0) for _ in range(3))
        if seed % 2:
            weight = 10 ** (-12 * torch.rand(400, 1, 1, generator=rng, dtype=torch.float64))
            model = (weight * g.exp() + (1 - weight) * h.exp()).log().log_softmax(-1)
        gap = g.exp() - h.exp()
        low, high = torch.zeros(400, dtype=torch.float64), torch.ones(400, dtype=torch.float64)
        for _ in range(100):
            middle = (low + high) / 2
            mixture = (h.exp() + middle[:, None, None] * gap).clamp_min(1e-300)
            right = (model.exp() * gap / mixture).sum((-2, -1)) > 0
            low, high = torch.where(right, middle, low), torch.where(right, high, middle)
        np.testing.assert_allclose(effective_gate(model, g, h).alpha, low, atol=1.1e-10, rtol=0)


def test_clipped_one_hot_predictors_and_zero_probabilities(rng):
    """h is a clipped one-hot answer and the model puts probability 0 on some labels: the fit stays finite."""
    g = log_simplex(rng, N, C)
    h = torch.full((N, C), math.log(1e-7), dtype=torch.float64)
    h[:, 0] = 0.0
    model = torch.full((N, C), -math.inf, dtype=torch.float64)
    model[:, 0] = 0.0
    fit = effective_gate(model, g, h)
    assert float(fit.alpha) == 0.0
    assert abs(float(fit.residual)) < 1e-12


def test_swapping_the_predictors_swaps_the_gate(rng):
    model, g, h = (log_simplex(rng, 20, N, C) for _ in range(3))
    np.testing.assert_allclose(
        effective_gate(model, g, h).alpha, 1 - effective_gate(model, h, g).alpha, atol=1e-8, rtol=0
    )


def test_a_gate_between_equal_predictors_is_undefined(rng):
    model, g = log_simplex(rng, 2, N, C), log_simplex(rng, 2, N, C)
    h = g.clone()
    h[1] = log_simplex(rng, N, C)
    assert effective_gate(model, g, h).alpha.isnan().tolist() == [True, False]


def test_squared_error_against_the_grid(rng):
    t, g, h = (torch.randn(10, N, 3, generator=rng, dtype=torch.float64) for _ in range(3))
    t = 0.3 * g + 0.7 * h + 0.5 * t
    fit = effective_gate_squared(t, g, h)
    grid = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None, None, None]
    errors = (t - grid * g - (1 - grid) * h).square().sum(-1).mean(-1)
    np.testing.assert_allclose(fit.alpha, grid.flatten()[errors.argmin(0)], atol=5e-4)
    assert bool((fit.residual <= errors.amin(0) + 1e-12).all())


def test_one_weight_for_all_sequences_is_no_weight(rng):
    t, g, h = (torch.randn(10, N, 3, generator=rng, dtype=torch.float64) for _ in range(3))
    for weights in (torch.ones(1), torch.full((10, 1), 0.2)):
        assert torch.equal(effective_gate_squared(t, g, h, weights).residual, effective_gate_squared(t, g, h).residual)


def test_bad_input_is_named(rng):
    g = log_simplex(rng, N, C)
    with pytest.raises(ValueError, match=r"`model`, `g` and `h` must have one shape"):
        effective_gate(g, g, g[:-1])
    with pytest.raises(ValueError, match=r"`h` must have no NaN; got 240 of 240"):
        effective_gate(g, g, g * math.nan)
    with pytest.raises(ValueError, match="`weights` must be >= 0"):
        effective_gate(g, g, g, -torch.ones(N))
