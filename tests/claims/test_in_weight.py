"""One test for each statement of docs/theory.md, section 1."""

from itertools import product

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tests.claims.monte_carlo import assert_mean, assert_rate_at_most
from theory import in_weight, in_weight_bounds, in_weight_lower_bounds
from theory.count_moments import expected_inverse_root, expected_log_ratio, expected_reciprocal
from theory.distribution import LABEL_NOISE_KINDS
from theory.label_learning import bayes_log_loss_table, noise_entropy
from theory.labels import LabelLaw, label_law

Floats = NDArray[np.float64]
EPS = 1e-12


def random_law(generator: np.random.Generator, *, largest: int = 10) -> LabelLaw:
    """At most 60% of what makes the true label as rare as a rival."""
    kind = str(generator.choice(LABEL_NOISE_KINDS))
    n_labels = int(generator.integers(3, largest))
    critical = 0.5 if kind == "shift" else 1 - 1 / n_labels
    noise = float(generator.choice([0.0, generator.uniform(0, 0.6 * critical)]))
    return label_law(n_labels, noise, kind, remapped=bool(generator.integers(2)))


def label_probabilities(law: LabelLaw, *, remapped: bool = False) -> Floats:
    """Training law, or the law of the answers, of class 0; remapping is a cyclic shift."""
    p = np.full(law.n_labels, law.label_noise / (law.n_labels - 1) if law.label_noise_kind == "uniform" else 0.0)
    p[0] = 1 - law.label_noise
    if law.label_noise_kind == "shift":
        p[1] = law.label_noise
    return np.roll(p, 1) if remapped else p


def is_remapped(law: LabelLaw) -> bool:
    return law.asked_true != 1 - law.label_noise


def sampled_losses(
    law: LabelLaw, n: int, q: float, n_sure: int, beta: float, generator: np.random.Generator, size: int
) -> dict[str, Floats]:
    """Losses of the add-beta predictor on simulated training sets, the answer averaged out."""
    asked = label_probabilities(law, remapped=is_remapped(law))
    queries = n_sure + generator.binomial(n, q, size)
    counts = generator.multinomial(queries, label_probabilities(law))
    g = (counts + beta) / (queries + beta * law.n_labels)[:, None]
    top = counts == counts.max(axis=1, keepdims=True)
    return {"log": -np.log(g) @ asked, "linear": 1 - g @ asked, "error": 1 - (top / top.sum(1, keepdims=True)) @ asked}


def test_1_1_count_moments_agree_with_full_sums() -> None:
    generator = np.random.default_rng(11)
    for _ in range(200):
        n, sure, a = int(generator.integers(0, 2000)), int(generator.integers(0, 3)), 10 ** generator.uniform(-3, 2)
        q, p = generator.choice([generator.uniform(), 1.0]), generator.choice([generator.uniform(), 0.0, 1.0])
        b = a * generator.uniform(1, 1000)
        args = [np.asarray(float(v)) for v in (n, q, p, 1 - p, a, b, sure)]
        k, pmf, label_pmf = np.arange(n + 1), stats.binom.pmf(np.arange(n + 1), n, q), None
        label_pmf = np.convolve(stats.binom.pmf(k, n, q * p), stats.binom.pmf(np.arange(sure + 1), sure, p))
        log_ratio = pmf @ np.log(k + sure + b) - label_pmf @ np.log(np.arange(n + sure + 1) + a)
        assert expected_log_ratio(*args) == pytest.approx(log_ratio, rel=1e-11, abs=1e-12)
        assert expected_reciprocal(args[0], args[1], args[5], args[6]) == pytest.approx(pmf @ (1 / (k + sure + b)))
        roots = np.where(k + sure > 0, np.maximum(k + sure, 1) ** -0.5, 0.0)
        assert expected_inverse_root(args[0], args[1], args[6]) == pytest.approx(pmf @ roots, rel=1e-11)


def test_1_1_integrals_agree_with_twenty_digits_at_huge_n() -> None:
    """Second route at N = 1e15, where no sum is possible: the same integral in 20 digits by adaptive quadrature."""
    mpmath.mp.dps = 20
    n, q, p, c = mpmath.mpf(10) ** 15, mpmath.mpf("0.02"), mpmath.mpf("0.95"), 10**6

    def integrand(u: mpmath.mpf) -> mpmath.mpf:
        t = mpmath.exp(u)
        s = -mpmath.expm1(-t)
        return mpmath.exp(-t) * (1 - q * p * s) ** n - mpmath.exp(-c * t) * (1 - q * s) ** n

    expected = mpmath.quad(integrand, mpmath.linspace(-80, 4, 29))
    args = [np.asarray(float(v)) for v in (n, q, p, 1 - p, 1, c, 0)]
    assert float(expected_log_ratio(*args)) == pytest.approx(float(expected), rel=1e-12)


def test_1_2_to_1_4_exact_risks_agree_with_simulation() -> None:
    generator = np.random.default_rng(12)
    for _ in range(200):
        law = random_law(generator)
        n, q, sure = int(10 ** generator.uniform(0, 2.5)), generator.uniform(0.01, 0.5), int(generator.integers(2))
        beta = 10 ** generator.uniform(-2, 1)
        draws = sampled_losses(law, n, q, sure, beta, generator, 100_000)
        assert_mean(draws["log"], in_weight.exact_log_loss(n, q, law, beta=beta, n_sure=sure))
        assert_mean(draws["linear"], in_weight.exact_linear_loss(n, q, law, beta=beta, n_sure=sure))
        assert_mean(draws["error"], in_weight.exact_error(n, q, law, n_sure=sure))


def test_1_4_error_vanishes_at_the_rate_of_unseen_classes_without_noise() -> None:
    n = np.array([0, 10, 1000])
    expected = 0.9 * 0.98**n
    assert in_weight.exact_error(n, 0.02, label_law(10)) == pytest.approx(expected, rel=1e-12)


def test_1_5_missing_mass_agrees_with_simulation() -> None:
    generator = np.random.default_rng(15)
    for _ in range(20):
        q, n = generator.dirichlet(np.ones(12)), int(generator.integers(1, 60))
        unseen = generator.multinomial(n, q, size=5_000) == 0
        assert_mean(unseen @ q, in_weight.exact_missing_mass(n, q))


def problems(generator: np.random.Generator) -> tuple[Floats, Floats]:
    return np.floor(10 ** generator.uniform(0, 6, 100)), 10 ** generator.uniform(-4, 0, 100)


def test_1_6_and_1_9_bounds_hold_on_ten_thousand_problems() -> None:
    generator = np.random.default_rng(16)
    for _ in range(100):
        kind = str(generator.choice(LABEL_NOISE_KINDS))
        c = int(generator.choice([3, 5, 10, 40]))
        law = label_law(c, generator.uniform(0, 0.3), kind)
        n, q = problems(generator)
        entropy = noise_entropy(c, law.label_noise, kind)
        data = {"label_noise": law.label_noise, "label_noise_kind": kind}
        collision = sum(s.asked * s.trained for s in law.shares)
        exact_log = in_weight.exact_log_loss(n, q, law)
        exact_error, exact_linear = in_weight.exact_error(n, q, law), in_weight.exact_linear_loss(n, q, law)
        assert (exact_log <= in_weight_bounds.log_loss_upper_bound(n, q, c, entropy=entropy) + EPS).all()
        assert (exact_linear <= in_weight_bounds.linear_loss_upper_bound(n, q, c, collision=collision) + EPS).all()
        assert (exact_error <= in_weight_bounds.error_upper_bound(n, q, c, bayes_error=law.label_noise) + EPS).all()
        tight_log = in_weight_lower_bounds.log_loss_lower_bound(n, q, c, **data)
        tight_error = in_weight_lower_bounds.error_lower_bound(n, q, c, **data)
        assert (in_weight_lower_bounds.unseen_log_loss_lower_bound(n, q, c, **data) <= tight_log + EPS).all()
        assert (in_weight_lower_bounds.unseen_error_lower_bound(n, q, c, **data) <= tight_error + EPS).all()
        assert (tight_log <= exact_log + EPS).all()
        assert (tight_error <= np.minimum(exact_error, exact_linear) + EPS).all()


def test_1_7_total_variation_of_label_frequencies_in_expectation() -> None:
    generator = np.random.default_rng(17)
    for _ in range(50):
        c, n = int(generator.integers(2, 20)), int(generator.integers(1, 300))
        p = generator.dirichlet(np.ones(c))
        distance = np.abs(generator.multinomial(n, p, 4000) / n - p).sum(axis=1)
        assert distance.mean() <= np.sqrt((c - 1) / n) + 5 * distance.std() / np.sqrt(4000)


@pytest.mark.parametrize("delta", [0.2, 0.01])
def test_1_8_deviations_fail_at_most_at_their_rate(delta: float) -> None:
    generator = np.random.default_rng(18)
    for _ in range(20):
        c, n, q = int(generator.integers(2, 8)), int(generator.integers(20, 400)), generator.uniform(0.05, 0.9)
        p = generator.dirichlet(np.ones(c))
        distance = np.abs(generator.multinomial(n, p, 5000) / n - p).sum(axis=1)
        bound = in_weight_bounds.label_frequency_deviation_bound(n, c, delta)
        assert_rate_at_most(int((distance > bound).sum()), 5000, delta)
        count = in_weight_bounds.least_count_bound(n, q, delta)
        assert_rate_at_most(int((generator.binomial(n, q, 5000) < count).sum()), 5000, delta)


def test_1_8_needs_no_power_of_two() -> None:
    assert np.isfinite(in_weight_bounds.label_frequency_deviation_bound(10**9, 10**6, 1e-12))
    small = in_weight_bounds.label_frequency_deviation_bound(500, 5, 0.1)
    assert small == pytest.approx(np.sqrt(2 * np.log((2**5 - 2) / 0.1) / 500))


@pytest.mark.parametrize("noise", [0.2, 0.6, 0.9])
def test_1_9_most_frequent_label_is_bayes_at_every_uniform_noise(noise: float) -> None:
    """Even where a rival is likelier than the true label (0.9 > 2/3): by enumeration of label sequences."""
    c = 3
    rows = np.stack([np.roll(label_probabilities(label_law(c, noise)), s) for s in range(c)])
    for n in range(1, 6):
        sequences = np.array(list(product(range(c), repeat=n))).T
        predictive = (np.prod(rows[:, sequences], axis=1) / c).T @ rows
        bound = in_weight_lower_bounds.error_lower_bound(
            0, 1.0, c, label_noise=noise, label_noise_kind="uniform", n_sure=n
        )
        assert float(bound) == pytest.approx(1 - predictive.max(axis=1).sum(), rel=1e-12)


def test_1_10_bayes_log_loss_by_enumeration() -> None:
    """Against the posterior predictive of every label sequence."""
    for kind in LABEL_NOISE_KINDS:
        for c, noise in ((3, 0.1), (4, 0.35)):
            rows = np.stack([np.roll(label_probabilities(label_law(c, noise, kind)), s) for s in range(c)])
            table, entropy = bayes_log_loss_table(c, noise, kind)
            assert entropy == pytest.approx(stats.entropy(rows[0]))
            for n in range(1, 6):
                sequences = np.array(list(product(range(c), repeat=n))).T
                likelihood = np.prod(rows[:, sequences], axis=1) / c
                predictive = (likelihood.T @ rows)[likelihood.sum(axis=0) > 0]
                share = predictive / predictive.sum(axis=1, keepdims=True)
                assert table[n] == pytest.approx(-np.sum(predictive * np.log(share, where=share > 0, out=share * 0)))


def test_1_11_lower_bounds_do_not_bind_who_knows_that_labels_are_one_to_one() -> None:
    """Classes 0 .. C-2 seen once without noise, class C-1 never: elimination names its label."""
    c = 5
    labels = np.random.default_rng(111).permutation(c)
    left = set(range(c)) - set(labels[:-1].tolist())
    assert left == {labels[-1]}
    bound = in_weight_lower_bounds.error_lower_bound(0, 0.1, c, label_noise=0.0, label_noise_kind="uniform")
    assert float(bound) == pytest.approx(1 - 1 / c)


def test_1_12_linear_loss_of_label_frequencies_keeps_the_floor_of_copying() -> None:
    """Not the Bayes floor: label frequencies converge to P, and P samples a wrong label with 1 - sum P^2."""
    law = label_law(10, 0.2)
    collision = sum(s.asked * s.trained for s in law.shares)
    assert in_weight.exact_linear_loss(10**15, 0.5, law) == pytest.approx(1 - collision, rel=1e-12)
    assert in_weight.exact_error(10**15, 0.5, law) == pytest.approx(0.2, rel=1e-12)
    assert 1 - collision > 0.2


def test_section_1_has_no_cancellation_at_extremes() -> None:
    """C = 1e6 and N = 1e15: the noiseless excess log loss is (C - 1) / (N q) to first order."""
    loss = in_weight.exact_log_loss(10**15, 0.5, label_law(10**6))
    first, second = (1e6 - 1) / 5e14, ((1e6 - 1) / 5e14) ** 2 / 2
    assert loss == pytest.approx(first - second, rel=1e-8)
    assert in_weight.exact_log_loss(0, 0.5, label_law(10**6)) == pytest.approx(np.log(1e6), rel=1e-13)
    assert np.isfinite(in_weight.exact_error(10**15, 1e-9, label_law(10**6, 0.3)))
