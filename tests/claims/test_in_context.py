"""One test for each statement of docs/theory.md, section 2, up to 2.7; later ones are in test_in_context_noise.py."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gating.evaluation.measures import answer_measures
from gating.predictors.in_context import SoftmaxSimilarity
from gating.tasks.sequences import Sequences
from tests.claims.monte_carlo import assert_mean, assert_mean_between, assert_rate_at_most
from theory import in_context, in_context_bounds
from theory.distribution import LABEL_NOISE_KINDS, ClassMixture
from theory.in_context_noise import MEASURES, risk_bounds
from theory.label_votes import TIE

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
