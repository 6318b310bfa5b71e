"""Statements 4.9 and 4.10 of docs/theory.md: regret of add-beta predictors, exactly."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import special

from tests.claims.hindsight import compositions
from theory.mixture_regret import exact_add_beta_regret, exact_worst_add_beta_regret, kt_bound, laplace_bound


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.5])
def test_4_9_constant_sequences_are_the_worst_for_add_beta_of_a_half_or_more(beta: float) -> None:
    for n, labels in ((1, 2), (7, 2), (12, 3), (9, 5)):
        regrets = exact_add_beta_regret(np.array(compositions(n, labels)), beta)
        worst = exact_worst_add_beta_regret(n, labels, beta)
        assert regrets.max() == pytest.approx(worst, rel=1e-12)
        assert regrets.argmax() == 0  # the constant sequence comes first


def test_4_9_below_a_half_constant_sequences_are_not_the_worst() -> None:
    constant, spread = exact_add_beta_regret([[2, 0], [1, 1]], 0.1)
    assert spread > constant + 1
    with pytest.raises(ValueError, match="`beta` must be >= 1/2"):
        exact_worst_add_beta_regret(2, 2, 0.1)


def test_4_9_add_beta_regret_by_prediction_one_label_at_a_time(generator: np.random.Generator) -> None:
    for beta, labels in ((0.5, 2), (1.0, 4), (0.2, 3), (3.0, 6)):
        sequence = generator.integers(0, labels, 40)
        seen, loss = np.zeros(labels), 0.0
        for y in sequence:
            loss -= math.log((seen[y] + beta) / (seen.sum() + beta * labels))
            seen[y] += 1
        best = -special.xlogy(seen, seen / 40).sum()
        assert exact_add_beta_regret(seen, beta) == pytest.approx(loss - best, rel=1e-12)


def test_4_10_laplace_is_the_log_binomial_and_attained() -> None:
    for n, labels in itertools.product((0, 1, 5, 40, 300), (1, 2, 3, 17)):
        assert laplace_bound(n, labels) == pytest.approx(math.log(math.comb(n + labels - 1, labels - 1)), rel=1e-12)
        attained = exact_add_beta_regret([n] + [0] * (labels - 1), 1.0)
        assert attained == pytest.approx(laplace_bound(n, labels), rel=1e-12)


def test_4_10_kt_closed_form_holds_and_is_tight_at_one_round() -> None:
    n, labels = np.meshgrid([1, 2, 3, 10, 1000, 1e9, 1e15], [1, 2, 3, 10, 1e3, 1e6])
    exact, closed = exact_worst_add_beta_regret(n, labels, 0.5), kt_bound(n, labels)
    assert (exact <= closed * (1 + 1e-12) + 1e-12).all()
    np.testing.assert_allclose(exact[:, 0], closed[:, 0], rtol=1e-12)


def test_4_9_against_exact_rational_arithmetic() -> None:
    """Second route: Laplace and KT probabilities of a sequence as fractions."""
    for counts, beta in (((5, 2, 0), Fraction(1)), ((4, 4), Fraction(1, 2)), ((9, 1, 3, 2), Fraction(1, 2))):
        n, labels, p = sum(counts), len(counts), Fraction(1)
        for k in counts:
            for i in range(k):
                p *= i + beta
        for i in range(n):
            p /= i + beta * labels
        best = math.prod(Fraction(k, n) ** k for k in counts)
        expected = math.log(best / p)
        assert exact_add_beta_regret(counts, float(beta)) == pytest.approx(expected, rel=1e-12)
