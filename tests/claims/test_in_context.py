"""One test for each statement of docs/theory.md, section 2."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate

from gating.evaluation.measures import answer_measures
from gating.predictors.in_context import SoftmaxSimilarity
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from tests.claims.monte_carlo import assert_mean, assert_mean_between, assert_rate_at_most
from theory import in_context, in_context_bounds, token_distances
from theory.distribution import LABEL_NOISE_KINDS, ClassMixture
from theory.in_context_noise import MEASURES, risk_bounds
from theory.label_votes import TIE
from theory.phases import ICL, UNDECIDED, Comparison
from theory.phases import risk_bounds as risk_phases
from theory.token_distances import (
    exact_mean_log_overtaking,
    exact_mean_overtaking,
    exact_nearer_probability,
    nearer_probability_bound,
)

Floats = NDArray[np.float64]
CLIP = 1e-7
EPS = 1e-10
CONTEXTS = ("relevant", "irrelevant")


def random_spec(generator: np.random.Generator, *, noisy_inputs: bool = False, longest: int = 8) -> ClassMixture:
    n_high, n_low = (int(n) for n in generator.integers(1, 6, 2))
    length = int(generator.integers(1, longest + 1))
    return ClassMixture(
        n_high=n_high,
        n_low=n_low,
        p_high=generator.uniform(0.1, 0.95),
        context_length=length,
        n_relevant=int(generator.integers(1, length + 1)) if generator.integers(2) else None,
        label_noise=float(generator.choice([0.0, generator.uniform(0, 0.6)])),
        label_noise_kind=str(generator.choice(LABEL_NOISE_KINDS)),
        input_noise=generator.uniform(0.02, 0.5) if noisy_inputs else 0.0,
        dim=int(generator.choice([16, 64])),
    )


def sampled_tokens(
    spec: ClassMixture, label: int, context: str, generator: np.random.Generator, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Classes (size, L + 1) and labels of sequences, the query last."""
    n, length = spec.n_classes, spec.context_length
    r = np.zeros(size, int)
    if context == "relevant":
        r = generator.choice(length + 1, size=size, p=spec.n_relevant_pmf[label])
    others = np.where(np.arange(n) == label, 0, spec.frequencies)
    classes = generator.choice(n, size=(size, length + 1), p=others / others.sum())
    classes[np.arange(length + 1) < r[:, None]] = label
    classes[:, -1] = label
    other = generator.integers(1, n, classes.shape) if spec.label_noise_kind == "uniform" else 1
    noise = generator.random(classes.shape) < spec.label_noise
    return classes, np.where(noise, (classes + other) % n, classes)


def losses(squared_distances: Floats, y: NDArray[np.int64], n_labels: int, temperature: float) -> dict[str, Floats]:
    weights = np.exp(-(squared_distances - squared_distances.min(axis=1, keepdims=True)) / temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    h = (weights[:, :, None] * (y[:, :-1, None] == np.arange(n_labels))).sum(axis=1)
    rows = np.arange(len(y))
    top = h >= h.max(axis=1, keepdims=True) * (1 - TIE)
    right = h[rows, y[:, -1]]
    return {
        "linear_loss": 1 - right,
        "log_loss": -np.log(np.maximum(right, CLIP)),
        "error": 1 - top[rows, y[:, -1]] / top.sum(axis=1),
    }


def exact_risks(spec: ClassMixture, context: str, temperature: float) -> dict[str, Floats]:
    data = {"context": context, "temperature": temperature}
    return {
        "linear_loss": in_context.exact_linear_loss(spec, **data),
        "log_loss": in_context.exact_log_loss(spec, clip=CLIP, **data),
        "error": in_context.exact_error(spec, **data),
    }


def test_2_1_to_2_3_exact_risks_agree_with_simulation() -> None:
    generator = np.random.default_rng(21)
    for i in range(200):
        spec, temperature = random_spec(generator), 10 ** generator.uniform(-1, 1)
        label, context = int(generator.integers(spec.n_classes)), CONTEXTS[i % 2]
        classes, y = sampled_tokens(spec, label, context, generator, 100_000)
        draws = losses(np.where(classes[:, :-1] == label, 0.0, 2.0), y, spec.n_classes, temperature)
        for measure, exact in exact_risks(spec, context, temperature).items():
            assert_mean(draws[measure], exact[label])


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.125, 0.135, 0.15, 0.5])
def test_2_3_the_predictor_and_the_exact_risk_tie_the_same_votes(temperature: float) -> None:
    """An irrelevant token weighs from 4e-18 to 0.02 beside a relevant one; single precision cannot tell the least."""
    generator = np.random.default_rng(23)
    spec = ClassMixture(context_length=10, n_relevant=2, label_noise=0.3)
    classes, y = sampled_tokens(spec, 9, "relevant", generator, 40_000)
    x, labels = torch.eye(spec.n_classes)[torch.from_numpy(classes)][None], torch.from_numpy(y)[None]
    predictor = SoftmaxSimilarity(spec.n_classes, 1, temperature=temperature)
    with torch.no_grad():
        log_p = predictor(Sequences(x, labels, torch.from_numpy(classes)[None])).double()
    target = torch.from_numpy(y[None, :, -1])
    error = answer_measures(log_p, target, torch.zeros_like(log_p))["error"][0].numpy()
    assert_mean(error, in_context.exact_error(spec, temperature=temperature)[9])


def test_2_1_to_2_3_as_trained_mixes_the_two_contexts() -> None:
    spec = ClassMixture(context_length=3, label_noise=0.1, p_relevant=0.7)
    values = {c: exact_risks(spec, c, 0.3) for c in ("relevant", "irrelevant", "as_trained")}
    for measure in MEASURES:
        mixed = 0.7 * values["relevant"][measure] + 0.3 * values["irrelevant"][measure]
        assert values["as_trained"][measure] == pytest.approx(mixed, rel=1e-12)


def test_2_4_remapping_labels_changes_no_in_context_risk() -> None:
    """Out-of-base: context and answer relabelled alike, sequence by sequence."""
    generator = np.random.default_rng(24)
    spec = ClassMixture(context_length=4, label_noise=0.2)
    classes, y = sampled_tokens(spec, 7, "relevant", generator, 2_000)
    distances = np.where(classes[:, :-1] == 7, 0.0, 2.0)
    remapped = losses(distances, spec.shifted_labels[y], spec.n_classes, 0.5)
    for measure, value in losses(distances, y, spec.n_classes, 0.5).items():
        assert remapped[measure] == pytest.approx(value, rel=1e-12)


def test_2_5_label_noise_is_not_averaged_away_in_linear_loss() -> None:
    """The floor 1 - sum P^2 stays above the Bayes error whatever the number of relevant tokens."""
    for length in (1, 10, 1000):
        spec = ClassMixture(context_length=length, n_relevant=length, label_noise=0.2)
        floor = 1 - 0.8**2 - 0.2**2 / 9
        assert in_context.exact_linear_loss(spec, temperature=0.1) == pytest.approx(floor, rel=1e-12)
        assert floor > 0.2


def test_2_5_log_loss_of_a_long_relevant_context_reaches_the_entropy_of_the_noise() -> None:
    spec = ClassMixture(n_high=1, n_low=1, context_length=1000, n_relevant=1000, label_noise=0.2)
    entropy = -0.8 * np.log(0.8) - 0.2 * np.log(0.2)
    excess = in_context.exact_log_loss(spec, temperature=0.1) - entropy
    assert (excess > 0).all()
    assert (excess < 1e-3).all()


def random_distances(spec: ClassMixture, generator: np.random.Generator) -> tuple[Floats, tuple[float, float]]:
    """Squared distances of random centres, zero on the diagonal, and their range."""
    centres = generator.standard_normal((spec.n_classes, spec.dim))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    square = ((centres[:, None] - centres) ** 2).sum(axis=-1)
    off = square[~np.eye(spec.n_classes, dtype=bool)]
    return square, (float(off.min()), float(off.max()))


def test_2_6_unequal_centres_stay_within_the_bounds() -> None:
    generator = np.random.default_rng(26)
    for i in range(100):
        spec, temperature = random_spec(generator, longest=6), 10 ** generator.uniform(-0.7, 1)
        label, context = int(generator.integers(spec.n_classes)), CONTEXTS[i % 2]
        square, ends = random_distances(spec, generator)
        classes, y = sampled_tokens(spec, label, context, generator, 4_000)
        draws = losses(square[label][classes[:, :-1]], y, spec.n_classes, temperature)
        for measure in MEASURES:
            lower, upper = risk_bounds(spec, measure, temperature=temperature, squared_distance=ends, context=context)
            assert_mean_between(draws[measure], lower[label], upper[label])


def test_2_6_bounds_hold_exact_risks_of_ten_thousand_classes() -> None:
    """Equal distances anywhere in the interval, 10,000 (specification, class, loss) problems."""
    generator, n_problems = np.random.default_rng(27), 0
    while n_problems < 10_000:
        spec, temperature = random_spec(generator, longest=5), 10 ** generator.uniform(-0.7, 1)
        context, near, far = CONTEXTS[n_problems % 2], generator.uniform(0.5, 2), generator.uniform(2, 3.5)
        data = {"temperature": temperature, "context": context}
        for measure in MEASURES:
            lower, upper = risk_bounds(spec, measure, squared_distance=(near, far), **data)
            exact = getattr(in_context, f"exact_{measure}")(spec, squared_distance=generator.uniform(near, far), **data)
            assert (lower <= exact + EPS).all()
            assert (exact <= upper + EPS).all()
            n_problems += spec.n_classes


def test_2_6_equal_distances_at_the_ends_do_not_bracket_the_linear_loss() -> None:
    """Counterexample: the classes whose labels collide with the query's are far, the one that cannot help is near."""
    spec = ClassMixture(
        n_high=4, n_low=0, context_length=20, n_relevant=1, label_noise=0.5, label_noise_kind="shift", input_noise=0.0
    )
    square = np.array([0.0, 3.0, 1.0, 3.0])
    classes, y = sampled_tokens(spec, 0, "relevant", np.random.default_rng(28), 50_000)
    draws = losses(square[classes[:, :-1]], y, 4, 2.0)["linear_loss"]
    ends = [in_context.exact_linear_loss(spec, temperature=2.0, squared_distance=d)[0] for d in (1.0, 3.0)]
    assert draws.mean() > max(ends) + 0.02
    lower, upper = in_context_bounds.linear_loss_bounds(spec, temperature=2.0, squared_distance=(1.0, 3.0))
    assert_mean_between(draws, lower[0], upper[0])


def test_2_6_log_loss_is_not_monotone_in_the_distance() -> None:
    """Too far: a noisy label leaves no mass on the answer. Too near: irrelevant tokens drown the relevant one."""
    spec = ClassMixture(context_length=8, n_relevant=1, label_noise=0.3)
    near, middle, far = (in_context.exact_log_loss(spec, temperature=0.2, squared_distance=d)[0] for d in (0, 0.5, 4))
    assert middle < min(near, far)


@pytest.mark.parametrize("kind", LABEL_NOISE_KINDS)
@pytest.mark.parametrize("context", ["relevant", "irrelevant", "as_trained"])
@pytest.mark.parametrize("length", [1, 4])
def test_2_6_bounds_at_equal_distances_are_the_exact_values(kind: str, context: str, length: int) -> None:
    spec = ClassMixture(label_noise=0.2, label_noise_kind=kind, context_length=length, input_noise=0.0)
    exact = exact_risks(spec, context, 0.5)
    for distance in (2.0, (2.0, 2.0), *([(1.0, 3.0), None] if length == 1 else [])):
        for measure in MEASURES:
            how = {"temperature": 0.5, "context": context, "clip": CLIP, "squared_distance": distance}
            lower, upper = risk_bounds(spec, measure, **how)
            assert lower == pytest.approx(exact[measure], rel=1e-12)
            assert (lower == upper).all()


def test_2_7_random_centres_keep_their_distance() -> None:
    generator = np.random.default_rng(29)
    for k, d, delta in ((10, 64, 0.1), (5, 4, 0.05), (20, 16, 0.3)):
        near, far = in_context_bounds.squared_distance_bounds(k, d, delta)
        ranges = np.array([random_distances(ClassMixture(k, 0, dim=d), generator)[1] for _ in range(2_000)])
        assert_rate_at_most(int(((ranges[:, 0] < near) | (ranges[:, 1] > far)).sum()), 2_000, delta)


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
    assert (phases["low"].phases == (UNDECIDED if dim == 2 else ICL)).all()


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
