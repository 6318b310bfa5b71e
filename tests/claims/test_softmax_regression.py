"""One test for each statement of docs/theory.md on softmax regression of noisy inputs: 1.21 to 1.23."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special

from theory.distribution import ClassMixture
from theory.noisy_inputs import noisy_input_error
from theory.softmax_equations import Fit, fitted_logits, log_losses, right_answers
from theory.softmax_regression import softmax_regression_risk

Floats = NDArray[np.float64]
TESTS = 200  # new inputs of each class


class Fitted:
    """Softmax regression of one draw of inputs, by L-BFGS, and its risks on new ones."""

    def __init__(self, centres: Floats, counts: NDArray[np.int64], noise: float, ridge: float, seed: int):
        (k, d), generator = centres.shape, np.random.default_rng(seed)
        labels = np.repeat(np.arange(k), counts)
        inputs = centres[labels] + noise * generator.normal(size=(len(labels), d))
        targets, n = np.eye(k)[labels], len(labels)

        def objective(place: Floats) -> tuple[float, Floats]:
            weights, intercept = place[: d * k].reshape(d, k), place[d * k :]
            logits = inputs @ weights + intercept
            level = special.logsumexp(logits, axis=1)
            rest = (np.exp(logits - level[:, None]) - targets) / n
            slope = np.concatenate([(inputs.T @ rest + ridge * weights).ravel(), rest.sum(0)])
            return float((level - (logits * targets).sum(1)).mean() + ridge / 2 * (weights**2).sum()), slope

        options = {"maxiter": 3000, "gtol": 1e-7, "ftol": 1e-13, "maxcor": 20}
        found = optimize.minimize(objective, np.zeros(d * k + k), jac=True, method="L-BFGS-B", options=options)
        self.weights, intercept = found.x[: d * k].reshape(d, k), found.x[d * k :]
        queries = centres[:, None] + noise * generator.normal(size=(k, TESTS, d))
        logits = queries @ self.weights + intercept
        self.error = (logits.argmax(-1) != np.arange(k)[:, None]).mean(1)
        own = logits[np.arange(k), :, np.arange(k)]
        self.log_loss = (special.logsumexp(logits, axis=-1) - own).mean(1)


def orthogonal(k: int, d: int, generator: np.random.Generator) -> Floats:
    return np.asarray(np.linalg.qr(generator.normal(size=(d, k)))[0].T)


def uniform(k: int, d: int, generator: np.random.Generator) -> Floats:
    centres = generator.normal(size=(k, d))
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True))


def grouped(risks: list[Floats], spec: ClassMixture) -> tuple[Floats, Floats]:
    """Means over the fits, of frequent and of rare classes, and their standard errors."""
    groups = np.array([[spec.group_mean(risk, group) for group in ("high", "low")] for risk in risks])
    return groups.mean(0), groups.std(0, ddof=1) / np.sqrt(len(groups))


CASES = [
    (ClassMixture(input_noise=0.2, dim=128), 500, 1e-3),
    (ClassMixture(input_noise=0.2, dim=128, p_high=0.7), 400, 1e-2),
    (ClassMixture(input_noise=0.2, dim=128), 1500, 1e-4),
    (ClassMixture(input_noise=0.3, dim=128, n_high=2, n_low=3, p_high=0.8), 300, 1e-3),
    (ClassMixture(input_noise=0.5, dim=128, n_high=1, n_low=1, p_high=0.8), 200, 1e-2),
]


@pytest.mark.parametrize(("spec", "size", "ridge"), CASES)
def test_1_21_the_limit_agrees_with_fits(spec: ClassMixture, size: int, ridge: float) -> None:
    """Orthogonal centres and each class its share of the inputs: within 5% and four standard errors."""
    generator, counts = np.random.default_rng(1), np.round(size * spec.frequencies).astype(np.int64)
    assert counts.sum() == size
    fits = [
        Fitted(orthogonal(spec.n_classes, spec.dim, generator), counts, spec.input_noise, ridge, seed)
        for seed in range(30)
    ]
    limit = softmax_regression_risk(size, spec, ridge)
    for name, exact in (("error", limit.error), ("log_loss", limit.log_loss)):
        means, errors = grouped([getattr(fit, name) for fit in fits], spec)
        expected, _ = grouped([exact, exact], spec)
        assert (abs(means - expected) <= 0.05 * expected + 4 * errors).all(), (name, means, expected, errors)
        assert (errors < 0.1 * expected + 1e-3).all()


def test_1_21_weights_have_the_products_of_the_equations() -> None:
    """Means and covariance of the logits, read from the weights of the fits."""
    spec, size, ridge = CASES[0]
    generator, counts = np.random.default_rng(2), np.round(size * spec.frequencies).astype(np.int64)
    laws = fitted_logits(Fit(spec.frequencies, np.eye(10), size / spec.dim, spec.input_noise, ridge), 1024)
    means, overlaps = np.zeros((10, 10)), np.zeros((10, 10))
    for seed in range(20):
        centres = orthogonal(10, spec.dim, generator)
        weights = Fitted(centres, counts, spec.input_noise, ridge, seed).weights
        means, overlaps = means + centres @ weights / 20, overlaps + weights.T @ weights / 20
    for found, expected in (
        (means, laws.means - laws.means.mean(0)),
        (overlaps, laws.covariance / spec.input_noise**2),
    ):
        found = found - found.mean(0) if found is means else found
        assert abs(found - expected).max() < 0.05 * abs(expected).max()


def gaps(dims: tuple[int, ...], numbers: tuple[int, ...]) -> list[float]:
    """By which part errors of rare classes are above the limit, uniform centres and random counts, for each d."""
    found = []
    for d, n_fits in zip(dims, numbers, strict=True):
        spec, generator = ClassMixture(input_noise=0.2, dim=d), np.random.default_rng(3)
        size = 250 * d // 64
        fits = [
            Fitted(uniform(10, d, generator), generator.multinomial(size, spec.frequencies), 0.2, 1e-3, seed)
            for seed in range(n_fits)
        ]
        (_, low), _ = grouped([fit.error for fit in fits], spec)
        found.append(float(low / softmax_regression_risk(size, spec, 1e-3).error[-1] - 1))
    return found


def test_1_21_the_gap_falls_with_d() -> None:
    wide, narrow = gaps((64, 256), (100, 25))
    assert 0.6 < wide < 1.2
    assert 0.05 < narrow < 0.5 * wide


@pytest.mark.long
def test_1_21_the_gap_falls_as_one_over_d() -> None:
    found = gaps((64, 128, 256, 512), (400, 200, 100, 60))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.12


@pytest.mark.parametrize(("d", "size", "ridge"), [(64, 250, 1e-3), pytest.param(64, 750, 1e-4, marks=pytest.mark.long)])
def test_1_22_given_centres_and_counts_fits_are_near_at_any_d(d: int, size: int, ridge: float) -> None:
    """The same centres and numbers of inputs in the equations and in the fits: within 8% and three standard errors."""
    spec, generator, pairs = ClassMixture(input_noise=0.2, dim=d), np.random.default_rng(4), []
    for seed in range(7):
        centres, counts = uniform(10, d, generator), generator.multinomial(size, spec.frequencies)
        seen, expected = counts > 0, np.ones(10)
        fit = Fit(counts[seen] / size, centres[seen] @ centres[seen].T, size / d, 0.2, ridge)
        expected[seen] = 1 - right_answers(fitted_logits(fit, 128, seed), 512)
        pairs.append((Fitted(centres, counts, 0.2, ridge, seed).error, expected))
    expected, _ = grouped([pair[1] for pair in pairs], spec)
    differences, errors = grouped([pair[0] - pair[1] for pair in pairs], spec)
    assert (abs(differences) <= 0.08 * expected + 3 * errors).all(), (differences, errors, expected)


def test_1_22_means_over_draws() -> None:
    """Within five standard errors of fits to as many inputs in d dimensions; few inputs, classes never seen."""
    spec, size, generator = ClassMixture(input_noise=0.2, dim=32, n_high=2, n_low=2), 60, np.random.default_rng(5)
    risk = softmax_regression_risk(size, spec, 1e-3, n_draws=30)
    fits = [
        Fitted(uniform(4, 32, generator), generator.multinomial(size, spec.frequencies), 0.2, 1e-3, seed)
        for seed in range(150)
    ]
    means, errors = grouped([fit.error for fit in fits], spec)
    expected, _ = grouped([risk.error, risk.error], spec)
    own = risk.standard_error[[0, -1]]
    assert (abs(means - expected) <= 5 * np.hypot(errors, own)).all(), (means, errors, expected, own)
    assert expected[1] > 1.3 * softmax_regression_risk(size, spec, 1e-3).error[-1]
    assert own[1] < 0.2 * expected[1]


def test_1_22_a_class_without_inputs_is_never_answered() -> None:
    spec = ClassMixture(input_noise=0.2, dim=32, n_high=1, n_low=1, p_high=0.7)
    one = softmax_regression_risk(1, spec, 1e-2, n_draws=400)
    assert one.error.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(one.error, [0.3, 0.7], atol=5 * one.standard_error[0])
    assert np.isinf(one.log_loss).all()


def test_1_23_rare_classes_need_more_the_stronger_the_ridge() -> None:
    """Inputs for each rare class at which its error is 1/2."""

    def below(q: float, per_class: float, ridge: float) -> bool:
        spec = ClassMixture(input_noise=0.2, dim=64, p_high=1 - 5 * q)
        return bool(softmax_regression_risk(round(per_class / q), spec, ridge).error[-1] < 0.5)

    for ridge, q, per_class in ((1e-3, 0.08, 0.61), (1e-3, 0.005, 8.4)):
        assert below(q, 1.1 * per_class, ridge)
        assert not below(q, per_class / 1.1, ridge)


def test_1_21_ends() -> None:
    """Noise that says nothing: the frequencies alone; hardly any noise: no error; several sizes; classes alike."""
    spec = ClassMixture(input_noise=20.0, dim=64)
    lost = softmax_regression_risk(640, spec, 1e3)
    np.testing.assert_allclose(lost.log_loss, -np.log(spec.frequencies), rtol=0.01)
    clear = softmax_regression_risk([64, 640], ClassMixture(input_noise=0.01, dim=64), 1e-4)
    assert clear.error.shape == (2, 10)
    assert (clear.error < 1e-6).all()
    assert (clear.standard_error == 0).all()
    equal = softmax_regression_risk(100, ClassMixture(n_low=0), 1e-2).error
    assert equal.shape == (5,)
    assert np.ptp(equal) < 1e-3


def test_1_14_bayes_errs_less() -> None:
    spec = ClassMixture(input_noise=0.2, dim=64)
    risk = softmax_regression_risk(100, spec, 1e-3, n_draws=3)
    assert (risk.error + 4 * risk.standard_error) @ spec.frequencies > noisy_input_error(100, spec) @ spec.frequencies


@pytest.mark.parametrize(
    ("spec", "size", "ridge"), [CASES[0], CASES[4], pytest.param(*CASES[2], marks=pytest.mark.long)]
)
def test_1_21_more_points_change_less_than_is_stated(spec: ClassMixture, size: int, ridge: float) -> None:
    fit = Fit(spec.frequencies, np.eye(spec.n_classes), size / spec.dim, spec.input_noise, ridge)
    few, more = (fitted_logits(fit, n_points, seed) for n_points, seed in ((1024, 0), (2048, 1)))
    for risk in (lambda laws: 1 - right_answers(laws, 1024), lambda laws: log_losses(laws, 1024)):
        np.testing.assert_allclose(risk(few), risk(more), rtol=0.02, atol=1e-6)


@pytest.mark.parametrize(("arguments", "said"), [
    ((0, ClassMixture(), 1e-3), "`n_inputs` must be an integer >= 1"),
    ((10, ClassMixture(input_noise=0.0), 1e-3), "`spec.input_noise` must be > 0; got 0.0"),
    ((10, ClassMixture(n_low=40), 1e-3), "`spec.n_classes` must be at most 32; got 45"),
    ((10, ClassMixture(), 0.0), "`ridge` must be a finite number > 0; got 0"),
    ((10, ClassMixture(), 1e-3, 1), "`n_draws` must be 0 or >= 2; got 1"),
    ((10, ClassMixture(), 1e-3, 2.5), "`n_draws` must be an integer >= 0; got 2.5"),
])  # fmt: skip
def test_bad_input_is_named(arguments: tuple[int, ClassMixture, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        softmax_regression_risk(*arguments)
