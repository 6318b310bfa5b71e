"""The effective gate: recovery of a known mixture, optimality, invariance, and what it says when it is undefined."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from simplexes import C, N, log_simplex

from gating.gates.effective import effective_gate, effective_gate_squared


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


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_arrays_give_arrays_and_the_numbers_of_tensors(rng, dtype):
    """Both routes see the same numbers, in each type; what is given is left as it is."""
    parts = [log_simplex(rng, 3, N, C).numpy().astype(dtype) for _ in range(3)]
    weights, before = np.arange(1, N + 1), [part.copy() for part in parts]
    for solve in (effective_gate, effective_gate_squared):
        found = solve(*parts, weights)
        wanted = solve(*map(torch.from_numpy, parts), torch.from_numpy(weights))
        for mine, other in zip(found, wanted, strict=True):
            assert isinstance(mine, np.ndarray)
            assert isinstance(other, torch.Tensor)
            assert mine.dtype == np.float64
            np.testing.assert_array_equal(mine, other.numpy())
    assert all(np.array_equal(part, held) for part, held in zip(parts, before, strict=True))
    read_only = [np.broadcast_to(part[0], part.shape) for part in parts]
    assert effective_gate(*read_only).alpha.shape == (3,)


@pytest.mark.parametrize("name", ["model", "g", "h"])
@pytest.mark.parametrize(
    ("spoil", "worst"),
    [
        (lambda row: row.exp(), r"1\.958"),  # probabilities: ln 6 + 1 / 6
        (lambda row: row + 3, r"3"),  # logits, of which the softmax was not taken
        (lambda row: row - 0.01, r"-0\.01"),
        (lambda row: row * math.inf, "-inf"),  # nothing has a probability
    ],
)
def test_rows_that_are_no_log_probabilities_are_refused_by_their_worst(rng, name, spoil, worst):
    """One bad row of many is enough, and its logsumexp is said; -inf in a good row is a probability of 0."""
    parts = {part: log_simplex(rng, 5, N, C) for part in ("model", "g", "h")}
    parts["model"][0, 0] = torch.full((C,), -math.inf).index_fill(0, torch.tensor(1), 0.0)
    assert effective_gate(**parts).alpha.isfinite().all()
    parts[name][3, 7] = spoil(torch.full((C,), -math.log(C), dtype=torch.float64))
    sentence = f"`{name}` must hold log-probabilities, rows with a logsumexp of 0 within 0.001; got {worst}"
    for given in (parts, {key: part.numpy() for key, part in parts.items()}):
        with pytest.raises(ValueError, match=f"^{sentence}$"):
            effective_gate(**given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_rounding_of_short_formats_is_no_reason_to_refuse(rng, dtype):
    """Rows of a thousand labels, rounded to the format."""
    parts = [log_simplex(rng, 20, 1000, spread=5.0).to(dtype) for _ in range(3)]
    assert effective_gate(*parts).alpha.isfinite().all()
    with pytest.raises(ValueError, match=r"`h` must hold log-probabilities"):
        effective_gate(parts[0], parts[1], parts[2] + 0.2)


def test_tensors_and_arrays_are_not_mixed(rng):
    g = log_simplex(rng, N, C)
    with pytest.raises(TypeError, match="`h` must be a tensor, as `model` is, or both arrays; got an array"):
        effective_gate(g, g, g.numpy())
    with pytest.raises(TypeError, match="`model` must be an array of real numbers; got one of complex128"):
        effective_gate(*(g.numpy() * 1j,) * 3)
