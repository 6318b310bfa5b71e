"""No constant of a regret bound of docs/theory.md, section 4, may shrink: streams or inequalities that attain it.

Constants of 4.7 to 4.10 and 4.12 are attained in test_regret.py, test_regret_of_portfolios.py and test_add_beta.py.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from theory.mixture_regret import PORTFOLIO_PRIORS, exact_worst_add_beta_regret, portfolio_quadrature_bound
from theory.regret import adahedge_bound, exponential_weights_bound, gradient_descent_bound, scheduled_weights_bound


@pytest.mark.parametrize("root", [1, 2, 7, 40, 300])
def test_4_2_one_sided_stream_attains_the_bound_of_gradient_descent(root: int) -> None:
    """With horizon m^2, m rounds in which g is worse by 1 take the weight from 1/2 to 0, straight."""
    weight, paid = 0.5, 0.0
    for _ in range(root):
        paid += weight
        weight = max(weight - 1 / (2 * root), 0.0)
    assert weight == pytest.approx(0, abs=1e-12)
    assert gradient_descent_bound(root, 3.0, horizon=root**2) == pytest.approx(3 * paid, rel=1e-12)


def test_4_3_closed_form_is_the_sum_of_the_proof_at_one_round_and_in_the_limit() -> None:
    n = np.arange(1, 10**6 + 1.0)
    step = 1 / np.sqrt(2 * n)
    proved = 1 / (8 * step[0]) + (1 / step - 1 / step[0]) / 2 + np.cumsum(step) / 2
    bound = gradient_descent_bound(n, 1.0)
    assert (bound >= proved * (1 - 1e-12)).all()
    assert bound[0] == pytest.approx(proved[0], rel=1e-12)
    assert bound[-1] == pytest.approx(proved[-1], rel=1e-3)


def weights_regret(rate: float, log_prior_odds: float, differences: NDArray[np.float64]) -> float:
    """Regret of exponential weights against the second predictor, whose loss is less by each difference."""
    before = np.concatenate([[0.0], np.cumsum(differences)[:-1]])
    return float((differences / (1 + np.exp(rate * before - log_prior_odds))).sum())


@pytest.mark.parametrize(("rate", "n_even"), [(0.02, 10**5), (0.02, 10**3), (0.1, 10)])
@pytest.mark.parametrize("prior", [0.5, 0.02])
def test_4_4_a_stream_that_wavers_and_then_decides_attains_the_scheduled_bound(
    rate: float, n_even: int, prior: float
) -> None:
    """First to even odds, then to and fro, where Hoeffding's lemma is sharp, then ever for the second predictor."""
    log_odds = np.log((1 - prior) / prior)
    to_even = np.full(round(log_odds / rate), 1.0)
    stream = np.concatenate([to_even, np.tile([1.0, -1.0], n_even // 2), np.full(int(12 / rate), 1.0)])
    n_sharp = n_even + len(to_even) / 2  # of the other rounds none, or few, add to the sum of the rates in full
    regret = weights_regret(rate, log_odds, stream)
    assert regret <= scheduled_weights_bound(np.log(prior), rate, rate * len(stream), 1.0)
    assert regret >= 0.99 * scheduled_weights_bound(np.log(prior), rate, rate * max(n_sharp, 1e-9), 1.0)


@pytest.mark.parametrize("m", [2, 16])
def test_4_5_closed_forms_are_the_scheduled_bound(m: int) -> None:
    for n, horizon in ((100, 100), (100, 7), (3, 1000)):
        rate = np.sqrt(8 * np.log(m) / horizon) / 2.0
        scheduled = scheduled_weights_bound(-np.log(m), rate, n * rate, 2.0)
        assert exponential_weights_bound(n, 2.0, n_experts=m, horizon=horizon) == pytest.approx(scheduled, rel=1e-12)
    rates = 2 * np.sqrt(np.log(m) / np.arange(1, 10**6 + 1.0)) / 2.0
    scheduled = scheduled_weights_bound(-np.log(m), rates, np.cumsum(rates), 2.0)
    bound = exponential_weights_bound(np.arange(1, 10**6 + 1), 2.0, n_experts=m)
    assert (bound >= scheduled).all()
    assert bound[-1] == pytest.approx(scheduled[-1], rel=1e-3)


@pytest.mark.parametrize("m", [2, 5, 100])
def test_4_6_adahedge_bound_is_the_root_of_its_quadratic_without_variance_and_in_the_limit(m: int) -> None:
    """Regret is at most 2 D, and D^2 <= V ln m + (2/3 ln m + 1) S D."""
    variance, largest, log_m = np.array([0.0, 1e-3, 1.0, 100.0, 1e12]), 3.0, np.log(m)
    linear = (2 * log_m / 3 + 1) * largest
    proved = linear + np.sqrt(linear**2 + 4 * variance * log_m)
    bound = adahedge_bound(variance, largest, n_experts=m)
    assert (bound >= proved * (1 - 1e-12)).all()
    assert bound[0] == pytest.approx(proved[0], rel=1e-12)
    assert bound[-1] == pytest.approx(proved[-1], rel=1e-4)


def test_4_6_a_third_and_the_range_of_the_mixability_gap_are_sharp() -> None:
    """The two numbers in the quadratic: gap / rate <= v / 2 + gap / 3, and gap <= 1."""
    alpha, rate = 1 - 1e-3, 1e-2
    gap = alpha + np.log1p(alpha * np.expm1(-rate)) / rate
    assert 0.33 < (gap / rate - alpha * (1 - alpha) / 2) / gap <= 1 / 3
    alpha, rate = 1 - 1e-6, 1e6
    assert 0.99 < alpha + np.log1p(alpha * np.expm1(-rate)) / rate <= 1


@pytest.mark.parametrize("prior", PORTFOLIO_PRIORS)
def test_4_13_quadrature_bound_is_the_tail_of_the_cosine_series(prior: str) -> None:
    for n, nodes in ((400, 60), (400, 90), (10_000, 400)):
        shift = 2 * nodes / n
        worst = exact_worst_add_beta_regret(n, 2, PORTFOLIO_PRIORS[prior])
        tail = 4 * np.exp(worst + n * shift**2 / 2 - shift * np.arange(2 * nodes, 40 * nodes)).sum()
        assert portfolio_quadrature_bound(n, nodes, prior=prior) == pytest.approx(-np.log1p(-tail), rel=1e-6)
