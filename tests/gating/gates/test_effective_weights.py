"""Effective weights of m predictors: interface, agreement with the two-predictor gate, rivals that explain nothing."""

import math

import numpy as np
import pytest
import torch
from simplexes import C, N, log_simplex

from gating.gates.effective import effective_gate
from gating.gates.effective_weights import effective_weights


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_two_predictors_give_the_numbers_of_the_gate(rng):
    model, g, h = (log_simplex(rng, 30, N, C) for _ in range(3))
    g[0] = h[0]
    v = torch.rand(N, generator=rng, dtype=torch.float64)
    gate, found = effective_gate(model, g, h, v), effective_weights(model, [g, h], v)
    assert torch.equal(found.weights[1:, 0], gate.alpha[1:])
    assert found.weights[0].isnan().all()
    np.testing.assert_allclose(found.weights[1:].sum(-1), 1, atol=1e-15)
    np.testing.assert_allclose(found.residual, gate.residual, rtol=1e-12)
    assert float(found.violation.max()) < 1e-9


def test_a_third_predictor_that_is_one_of_the_two_changes_nothing_but_the_curvature(rng):
    """The interior-point steps beside the search of the gate: two methods, one problem."""
    model, g, h = (log_simplex(rng, 30, N, C) for _ in range(3))
    pair, three = effective_weights(model, [g, h]), effective_weights(model, [g, h, h])
    np.testing.assert_allclose(three.weights[:, 0], pair.weights[:, 0], atol=1e-6)
    np.testing.assert_allclose(three.residual, pair.residual, atol=1e-9)
    assert float(three.curvature.max()) < 1e-12 < 1e-3 < float(pair.curvature.min())


def test_weights_of_known_mixtures_of_four_come_back(rng):
    known = [log_simplex(rng, 200, N, C) for _ in range(4)]
    w = torch.rand(200, 4, generator=rng, dtype=torch.float64) ** 3
    w[:50, 1] = 0
    w /= w.sum(-1, keepdim=True)
    mixture = sum(w[:, j, None, None] * part.exp() for j, part in enumerate(known))
    found = effective_weights(mixture.log(), known)
    np.testing.assert_allclose(found.weights, w, atol=1e-3)
    np.testing.assert_allclose(found.residual, 0, atol=1e-9)


@pytest.mark.parametrize("samples", [None, 2000])
def test_predictors_that_explain_nothing_get_next_to_no_weight(rng, samples):
    """Beside g and h a uniform predictor and g with its labels permuted; of the mixture itself and of its counts."""
    g, h = log_simplex(rng, 50, N, C), log_simplex(rng, 50, N, C)
    model = 0.35 * g.exp() + 0.65 * h.exp()
    if samples:
        drawn = torch.multinomial(model.flatten(0, 1), samples, replacement=True, generator=rng)
        model = torch.nn.functional.one_hot(drawn, C).double().mean(1).reshape(model.shape)
    uniform = torch.full_like(g, -math.log(C))
    found = effective_weights(model.log(), [g, h, uniform, g.roll(1, -1)])
    assert float(found.weights[:, 2:].max()) < 0.02
    np.testing.assert_allclose(found.weights[:, 0], 0.35, atol=0.02)


def test_arrays_give_arrays_and_leading_dimensions_are_kept(rng):
    parts = [log_simplex(rng, 2, 3, N, C) for _ in range(4)]
    v = torch.rand(3, N, generator=rng, dtype=torch.float64)
    tensors = effective_weights(parts[0], parts[1:], v)
    arrays = effective_weights(parts[0].numpy(), [part.numpy() for part in parts[1:]], v.numpy())
    assert [part.shape for part in tensors] == [(2, 3, 3), (2, 3), (2, 3), (2, 3)]
    for mine, other in zip(arrays, tensors, strict=True):
        assert isinstance(mine, np.ndarray)
        np.testing.assert_array_equal(mine, other.numpy())


def test_outcomes_that_predictors_exclude(rng):
    """A predictor needed for one outcome has weight; where all exclude what the model answers, nothing is said."""
    one_hot = torch.full((2, 3, 1, 3), -math.inf, dtype=torch.float64)
    for j in range(3):
        one_hot[:, j, :, j] = 0.0
    model = torch.tensor([[[0.2, 0.8, 0.0]], [[0.0, 0.0, 1.0]]], dtype=torch.float64).log()
    found = effective_weights(model, [one_hot[:, 0], one_hot[:, 1], one_hot[:, 1]])
    np.testing.assert_allclose(found.weights[0, 0], 0.2, atol=1e-9)
    assert found.weights[1].isnan().all()
    assert float(found.residual[1]) > 600


def test_bad_input_is_named(rng):
    g = log_simplex(rng, N, C)
    for bad in (g, [g], None):
        with pytest.raises(ValueError, match="`predictors` must be a list of two or more"):
            effective_weights(g, bad)
    with pytest.raises(ValueError, match=r"`model`, `predictors\[0\]` and `predictors\[1\]` must have one shape"):
        effective_weights(g, [g, g[:-1]])
    with pytest.raises(ValueError, match=r"`predictors\[1\]` must hold log-probabilities"):
        effective_weights(g, [g, g.exp(), g])
    with pytest.raises(TypeError, match=r"`predictors\[1\]` must be a tensor"):
        effective_weights(g, [g, g.numpy()])
    with pytest.raises(ValueError, match="`weights` must be >= 0"):
        effective_weights(g, [g, g, g], -torch.ones(N))
    with pytest.raises(ValueError, match="`tolerance`"):
        effective_weights(g, [g, g.roll(1, 0), g], tolerance=0.0)
