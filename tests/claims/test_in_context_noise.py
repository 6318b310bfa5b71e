"""One test for each statement of docs/theory.md, section 2, from 2.8 on: noisy inputs and random centres."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate

from gating.tasks.class_mixture import ClassMixtureSampler
from tests.claims.monte_carlo import assert_mean, assert_mean_between
from tests.claims.test_in_context import CONTEXTS, losses, random_spec, sampled_tokens
from theory import in_context, token_distances
from theory.distribution import ClassMixture
from theory.in_context_noise import MEASURES, risk_bounds
from theory.phases import ICL, IWL, Comparison
from theory.phases import risk_bounds as risk_phases
from theory.token_distances import (
    exact_mean_log_overtaking,
    exact_mean_overtaking,
    exact_nearer_probability,
    nearer_probability_bound,
)

Floats = NDArray[np.float64]


def overtaking_draws(d: int, distance: float, sigma: float, generator: np.random.Generator, size: int) -> Floats:
    """Q: squared distance to the irrelevant token minus that to the relevant one."""
    query, relevant, irrelevant = sigma * generator.standard_normal((3, size, d))
    irrelevant[:, 0] += np.sqrt(distance)
    return ((query - irrelevant) ** 2).sum(axis=1) - ((query - relevant) ** 2).sum(axis=1)


def test_2_8_and_2_9_nearer_tokens_agree_with_simulation() -> None:
    generator = np.random.default_rng(210)
    for _ in range(25):
        d, distance, sigma = int(generator.choice([2, 8, 32])), generator.uniform(0, 3), generator.uniform(0.1, 0.6)
        temperature = 10 ** generator.uniform(-0.5, 0.5)
        q = overtaking_draws(d, distance, sigma, generator, 20_000)
        margin = generator.uniform(-1, 1)
        assert_mean((q <= margin).astype(float), exact_nearer_probability(distance, sigma, d, margin=margin))
        assert_mean(1 / (1 + np.exp(q / temperature)), exact_mean_overtaking(distance, sigma, d, temperature))
        assert_mean(np.logaddexp(0, -q / temperature), exact_mean_log_overtaking(distance, sigma, d, temperature))
        assert float(exact_nearer_probability(distance, sigma, d)) <= nearer_probability_bound(distance, sigma, d)


def test_2_8_integral_agrees_with_the_moment_generating_function() -> None:
    """Second route: E e^{-sQ}, closed form, as an integral over the distribution function."""
    d, distance, sigma, s = 16, 2.0, 0.2, 1.5
    q = np.linspace(-4, 14, 1801)
    below = exact_nearer_probability(distance, sigma, d, margin=q)
    numeric = integrate.trapezoid(s * np.exp(-s * q) * below, q) + np.exp(-s * q[-1])
    rho = 1 - 12 * sigma**4 * s**2
    closed = rho ** (-d / 2) * np.exp((-s * distance + 4 * sigma**2 * s**2 * distance) / rho)
    assert numeric == pytest.approx(closed, rel=1e-5)


def test_2_10_noisy_inputs_stay_within_the_bounds() -> None:
    """Against the project's own sampler, centres and all."""
    generator = np.random.default_rng(211)
    for i in range(40):
        spec = random_spec(generator, noisy_inputs=True)
        temperature, label = 10 ** generator.uniform(-1, 0.3), int(generator.integers(spec.n_classes))
        sampler = ClassMixtureSampler([spec], n_sequences=[100], data_seeds=[i])
        relevant = torch.full((4_000,), i % 2 == 0)
        rows = sampler.fresh(5, torch.full((4_000,), label), relevant)
        square = (rows.x[0, :, :-1] - rows.x[0, :, -1:]).square().sum(-1).double().numpy()
        draws = losses(square, rows.y[0].numpy(), spec.n_classes, temperature)
        centres = sampler.centres[0].double()
        gaps = torch.pdist(centres).square()
        ends = (float(gaps.min()), float(gaps.max()))
        for measure in MEASURES:
            lower, upper = risk_bounds(
                spec, measure, temperature=temperature, squared_distance=ends, context=CONTEXTS[i % 2]
            )
            assert_mean_between(draws[measure], lower[label], upper[label])


def random_centre_losses(
    spec: ClassMixture, label: int, context: str, temperature: float, generator: np.random.Generator, size: int
) -> dict[str, Floats]:
    """New centres for every sequence."""
    classes, y = sampled_tokens(spec, label, context, generator, size)
    centres = generator.standard_normal((size, spec.n_classes, spec.dim))
    centres /= np.linalg.norm(centres, axis=-1, keepdims=True)
    x = np.take_along_axis(centres, classes[..., None], axis=1)
    x = x + spec.input_noise * generator.standard_normal(x.shape)
    return losses(((x[:, :-1] - x[:, -1:]) ** 2).sum(axis=-1), y, spec.n_classes, temperature)


@pytest.mark.parametrize("dim", [2, 3, 4, 16, 64])
@pytest.mark.parametrize("sigma", [0.0, 0.005, 0.02, 0.1, 0.5])
def test_2_10_averages_over_random_centres_stay_within_the_bounds(dim: int, sigma: float) -> None:
    generator = np.random.default_rng([213, dim, int(1000 * sigma)])
    for i in range(6):
        spec = replace(random_spec(generator, noisy_inputs=True), dim=dim, input_noise=sigma)
        temperature, label = 10 ** generator.uniform(-3, 0.3), int(generator.integers(spec.n_classes))
        context = CONTEXTS[i % 3 // 2]
        draws = random_centre_losses(spec, label, context, temperature, generator, 3_000)
        for measure in MEASURES:
            lower, upper = risk_bounds(spec, measure, temperature=temperature, squared_distance=None, context=context)
            assert_mean_between(draws[measure], lower[label], upper[label])


@pytest.mark.parametrize("dim", [2, 3])
def test_2_10_rare_near_centres_are_in_the_upper_bound(dim: int) -> None:
    """In few dimensions little noise is wrong at near centres alone; one relevant token of two: the bound is exact."""
    spec = ClassMixture(n_high=3, n_low=3, dim=dim, input_noise=0.01, context_length=2, n_relevant=1)
    draws = random_centre_losses(spec, 5, "relevant", 0.001, np.random.default_rng(214), 400_000)["error"]
    assert draws.mean() > 0
    assert_mean(draws, risk_bounds(spec, "error", temperature=0.001, squared_distance=None)[1][5])
    phases = risk_phases([spec], [250], Comparison("error", "relevant", temperature=0.001, squared_distance=None))
    assert (phases["low"].phases == (IWL if dim == 2 else ICL)).all()


@pytest.mark.parametrize("distance", [None, 0.0, 1e-4, 0.03, 2.0])
def test_2_8_finer_integration_finds_no_more(distance: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value is above the true one, so those of a finer rule, which are nearer to it, are no larger."""

    def values() -> list[Floats]:
        return [
            np.array([
                *exact_nearer_probability(distance, sigma, d, margin=[0.0, 0.5 * sigma**2, 20 * sigma**2]),
                exact_mean_overtaking(distance, sigma, d, temperature),
                exact_mean_log_overtaking(distance, sigma, d, temperature),
            ])
            for d in (2, 3, 4, 16, 64)
            for sigma in (0.005, 0.1, 0.5)
            for temperature in (1e-3, 0.1)
        ]  # fmt: skip

    coarse = values()
    monkeypatch.setattr(token_distances, "_ALIAS", 40.0)
    monkeypatch.setattr(token_distances, "_MOST_NODES", 2**17)
    for before, after in zip(coarse, values(), strict=True):
        assert (after <= before * (1 + 1e-11) + 1e-11).all()
        assert after == pytest.approx(before, rel=1e-5, abs=1e-6)


def test_2_8_averages_over_random_centres_are_averages_over_their_distance() -> None:
    """Second route: Gauss-Legendre over the angle between two centres."""
    nodes, weights = np.polynomial.legendre.leggauss(300)
    for d, sigma, temperature in ((2, 0.3, 0.1), (3, 0.2, 0.05), (5, 0.1, 0.2), (16, 0.3, 0.1), (64, 0.2, 0.5)):
        angle = np.pi * (nodes + 1) / 2
        share = weights * np.sin(angle) ** (d - 2)
        for mean, rest in (
            (exact_nearer_probability, {}),
            (exact_mean_overtaking, {"temperature": temperature}),
            (exact_mean_log_overtaking, {"temperature": temperature}),
        ):
            given = [float(mean(distance, sigma, d, **rest)) for distance in 2 - 2 * np.cos(angle)]
            average = float(np.dot(share, given) / share.sum())
            assert float(mean(None, sigma, d, **rest)) == pytest.approx(average, rel=1e-6, abs=1e-9)


def test_2_8_nearer_centres_overtake_more() -> None:
    distances = np.concatenate([[0.0], np.geomspace(1e-5, 4, 60)])
    for d in (2, 3, 16, 64):
        for sigma in (0.01, 0.2, 0.6):
            for q in (0.0, 0.3 * sigma**2, 10 * sigma**2, 0.5):
                values = [float(exact_nearer_probability(distance, sigma, d, margin=q)) for distance in distances]
                assert (np.diff(values) <= 1e-5 if d == 2 else np.diff(values) <= 1e-7).all()
            for temperature in (0.01, 1.0):
                means = [exact_mean_overtaking(distance, sigma, d, temperature) for distance in distances]
                assert (np.diff(means) <= 1e-5 if d == 2 else np.diff(means) <= 1e-7).all()


def test_2_10_a_larger_distance_costs_no_more_than_the_least_one() -> None:
    """The 0-1 and the linear loss at distances in an interval are bounded as if all centres were at its near end."""
    spec = ClassMixture(n_high=3, n_low=3, context_length=4, n_relevant=1, input_noise=0.3, dim=8)
    for measure in ("error", "linear_loss"):
        apart, near = (risk_bounds(spec, measure, temperature=0.1, squared_distance=d) for d in ((0.5, 3.5), 0.5))
        assert apart[1] == pytest.approx(near[1], rel=1e-12)


def test_2_11_one_token_is_copied_whatever_the_noise() -> None:
    spec = ClassMixture(label_noise=0.1, input_noise=0.7, label_noise_kind="shift")
    for measure in MEASURES:
        lower, upper = risk_bounds(spec, measure, temperature=0.3, squared_distance=(0.1, 3.9))
        exact = getattr(in_context, f"exact_{measure}")(replace(spec, input_noise=0.0), temperature=2.0)
        assert lower == pytest.approx(exact, rel=1e-12)
        assert upper == pytest.approx(exact, rel=1e-12)


def test_2_12_long_contexts_keep_a_valid_error_bound() -> None:
    """More than 10 tokens: twice the linear loss."""
    generator = np.random.default_rng(212)
    spec = ClassMixture(context_length=40, label_noise=0.1, input_noise=0.0)
    classes, y = sampled_tokens(spec, 9, "relevant", generator, 4_000)
    draws = losses(np.where(classes[:, :-1] == 9, 0.0, 2.0), y, spec.n_classes, 0.2)["error"]
    lower, upper = risk_bounds(spec, "error", temperature=0.2, squared_distance=(2.0, 2.0))
    assert_mean_between(draws, lower[9], upper[9])
