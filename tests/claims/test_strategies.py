"""One test for each statement of docs/theory.md, section 6."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special
from scipy.special import expit, log_softmax

from gating.evaluation.description_length import decode, describe, strategy_complexity
from gating.gates import BayesMixtureGate, ExponentialWeightsGate, PosteriorGate, PosteriorParameters
from gating.gates.discrepancy import NODES, output_rows
from gating.predictors.references import reference_text
from gating.predictors.urns import UrnGeneralizer, UrnMemorizer
from gating.tasks.sequences import Sequences
from theory.strategies import log_odds, price_of_memory, transition_exponent, transition_time

Floats = NDArray[np.float64]

# Two colours, so that every sequence of T draws can be enumerated by its number of the first colour.
N_DRAWS = 6
COUNTS = np.arange(N_DRAWS + 1)
ARRANGEMENTS = special.comb(N_DRAWS, COUNTS)


def sequence_law(chance: Floats) -> Floats:
    """Probability of one sequence by its count, (..., T + 1), from chances of the first colour."""
    return np.asarray(chance[..., None] ** COUNTS * (1 - chance[..., None]) ** (N_DRAWS - COUNTS))


GENERAL = special.beta(COUNTS + 1, N_DRAWS - COUNTS + 1)


def gap_of(urns: Floats) -> Floats:
    """KL divergence in nats of the mixture of urns (..., D) from the mixture of all urns."""
    law = sequence_law(urns).mean(axis=-2)
    return np.asarray((ARRANGEMENTS * law * np.log(law / GENERAL)).sum(axis=-1))


def information_and_chi_square() -> tuple[float, float]:
    """Mutual information of urn and sequence in nats, and the mean chi-square of an urn's law, by quadrature."""
    nodes, weights = special.roots_legendre(200)
    law = sequence_law((1 + nodes) / 2)
    information = weights / 2 @ (ARRANGEMENTS * law * np.log(law / GENERAL)).sum(axis=1)
    second = special.beta(2 * COUNTS + 1, 2 * (N_DRAWS - COUNTS) + 1)
    return float(information), float((ARRANGEMENTS * second / GENERAL).sum() - 1)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
def test_6_1_the_posterior_is_exponential_weights(alpha: float) -> None:
    losses = torch.tensor(np.random.default_rng(1).random((2, 100, 2, 5)))
    parameters = PosteriorParameters(alpha=alpha, beta=0.5, gamma=1.7)
    gate = PosteriorGate((2, 5), parameters, complexity_m=64.0, complexity_g=25.0, loss_range=1.0)
    experts = ExponentialWeightsGate(
        (2, 5),
        loss_range=1.0,
        rate=lambda rounds: 1.7 * rounds.clamp(min=1) ** -alpha,
        log_prior_odds=-3 * math.log(2),
    )
    for n, (m, g) in enumerate(losses.transpose(0, 1), start=1):
        gate.update(m, g)
        experts.update(m, g)
        gap = (losses[1, :n] - losses[0, :n]).mean(dim=0).numpy()
        expected = log_odds(n, gap, 64.0, 25.0, alpha=alpha, beta=0.5, gamma=1.7)
        np.testing.assert_allclose(gate.alpha().numpy(), expit(expected), rtol=1e-10)
    torch.testing.assert_close(gate.alpha(), experts.alpha(), rtol=1e-12, atol=0)
    assert (gate.regret() <= gate.bound()).all()


def test_6_2_the_gap_of_losses_is_a_divergence_of_sequence_laws() -> None:
    urns = np.random.default_rng(2).random(5)
    y = torch.tensor(list(itertools.product([0, 1], repeat=N_DRAWS)))
    sequences = Sequences(torch.zeros(*y.shape, 0), y, y)
    chances = torch.tensor(np.stack([urns, 1 - urns], axis=1))
    law = sequence_law(urns).mean(axis=0)[(y == 0).sum(dim=1).numpy()]
    losses = [
        -predict(sequences).gather(-1, y[..., None]).squeeze(-1).sum(dim=1).numpy()
        for predict in (UrnMemorizer(chances), UrnGeneralizer(2))
    ]
    assert law @ (losses[1] - losses[0]) == pytest.approx(gap_of(urns), rel=1e-10)


def test_6_2_the_gap_lies_between_its_bounds_and_shrinks_with_the_number_of_tasks() -> None:
    generator, (information, chi_square) = np.random.default_rng(3), information_and_chi_square()
    for n_tasks in (1, 2, 4, 16, 64, 256):
        gaps = gap_of(generator.random((2000, n_tasks)))
        slack = 4 * gaps.std() / math.sqrt(len(gaps))
        assert (gaps >= 0).all()
        assert information - math.log(n_tasks) - slack <= gaps.mean()
        assert gaps.mean() <= min(information, math.log1p(chi_square / n_tasks)) + slack
        if n_tasks > 1:
            few = generator.random((20, n_tasks))
            without = np.stack([np.delete(few, i, axis=1) for i in range(n_tasks)])
            assert (gap_of(few) <= gap_of(without).mean(axis=0) + 1e-12).all()
    assert gaps.mean() == pytest.approx(chi_square / 256 / 2, rel=0.1)  # the last D: half of the upper bound


def test_6_3_the_odds_change_sign_at_the_transition_and_nowhere_else() -> None:
    rate = {"alpha": 0.4, "beta": 0.6, "gamma": 3.0}
    steps = np.geomspace(1e-3, 1e9, 400)
    for gap, k_m in itertools.product((-0.2, 0.0, 0.01, 0.5), (300.0, 500.0, 2000.0)):
        leads = log_odds(steps, gap, k_m, 500.0, **rate) >= 0
        at = float(transition_time(gap, k_m, 500.0, **rate))
        if gap >= 0:
            np.testing.assert_array_equal(leads, steps >= at)
        else:  # a cheaper M with the higher loss leads first and never again
            assert (at == 0) == (k_m <= 500)
            assert not leads[-1]


def test_6_3_the_threshold_of_task_diversity_moves_up_with_training() -> None:
    d = 2.0 ** np.arange(1, 13)
    rate = {"alpha": 0.4, "beta": 0.6, "gamma": 3.0}
    gap, k_m = (12 - np.log(d)) / 128, 200 * d + 9000
    times = transition_time(gap, k_m, 9000.0, **rate)
    assert (np.diff(times) > 0).all()
    for n in np.geomspace(times[0], times[-1], 9):
        memorized = log_odds(n, gap, k_m, 9000.0, **rate) >= 0
        assert memorized.sum() == (times <= n).sum() == memorized.argmin() or memorized.all()


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.5), (0.5, 0.3), (0.8, 1.0)])
def test_6_4_exponent_of_the_transition_time(alpha: float, beta: float) -> None:
    d = 2.0 ** np.arange(1, 41)
    k_m, information = 250 * d + 8000, 40.0
    level = transition_exponent(d, 0.1, k_m, 8000.0, alpha=alpha, beta=beta)
    assert level.total[-1] == pytest.approx(beta / (1 - alpha), rel=2e-3)
    assert (level.from_gap == 0).all()
    part = level.from_price * (1 - alpha)
    assert ((part >= min(beta, 1) - 1e-12) & (part <= max(beta, 1) + 1e-12)).all()
    assert part[0] == pytest.approx(1, abs=0.03)  # a table much shorter than the code
    inverse = transition_exponent(d, 0.1 / d, k_m, 8000.0, alpha=alpha, beta=beta)
    assert inverse.total[-1] == pytest.approx((1 + beta) / (1 - alpha), rel=2e-3)
    assert (inverse.total > 1).all()
    middle = slice(10, 20)
    falling = transition_exponent(d, information - np.log(d), k_m, 8000.0, alpha=alpha, beta=beta)
    at = np.sqrt(d[1:] * d[:-1])[middle]
    np.testing.assert_allclose(falling.from_gap[middle] * (1 - alpha), 1 / (information - np.log(at)), rtol=1e-3)


def test_6_4_it_is_not_superlinear_at_a_constant_gap_with_full_evidence() -> None:
    d = np.array([2.0**20, 2.0**21])
    assert transition_exponent(d, 0.1, 250 * d, 8000.0, alpha=0.0, beta=0.9).total[0] < 1


def test_6_5_description_lengths_are_messages_and_linear_in_the_number_of_tasks() -> None:
    urns = np.random.default_rng(5).dirichlet(np.ones(8), 1024).astype(np.float32)
    np.testing.assert_array_equal(decode(describe(urns).message), urns)
    d = np.array([128, 256, 512, 1024])
    program = reference_text("urns", "memorizing")
    price = np.array([strategy_complexity(program, [urns[:n]]) for n in d]) - strategy_complexity(program)
    slope = np.polyfit(np.log(d), np.log(price), 1)[0]
    assert slope == pytest.approx(1, abs=0.02)
    assert price_of_memory(price[0] + 9.0, 9.0, beta=1.0) == pytest.approx(math.log(2) * price[0], rel=1e-12)


def test_6_6_the_discrepancy_is_convex_in_the_weight_and_its_table_exact() -> None:
    generator = np.random.default_rng(6)
    t, m, g = log_softmax(3 * generator.normal(size=(3, 4, 200, 5)), axis=-1)
    rows = output_rows(t, m, g, distance="kl")
    curves = rows.tabulate()
    between = (NODES[1:] + NODES[:-1]) / 2  # where an interpolation is worst
    worst = max(abs(curves.at(np.full(4, x)).value - rows.at(np.full(4, x)).value).max() for x in between)
    assert worst < 3e-9
    weight = np.linspace(0.001, 0.999, 500)
    values = np.stack([rows.at(np.full(4, special.logit(w))).value for w in weight])
    assert (np.diff(values, n=2, axis=0) > -1e-12).all()
    direct = (np.exp(t) * (t - np.log(0.3 * np.exp(m) + 0.7 * np.exp(g)))).sum(-1).mean(-1)
    np.testing.assert_allclose(rows.at(np.full(4, special.logit(0.3))).value, direct, rtol=1e-12)


def test_6_7_with_kappa_one_the_sequence_is_read_by_bayes_rule() -> None:
    losses = torch.tensor(np.random.default_rng(7).exponential(1, (2, 6, 40)))
    parameters = PosteriorParameters(alpha=0.5, beta=0.5, gamma=1.0, kappa=1.0)
    gate = PosteriorGate((6,), parameters, complexity_m=49.0, complexity_g=25.0)
    gate.update(1.0, 1.2)
    weight = gate.alpha()
    read = gate.along_context(*losses)
    bayes = BayesMixtureGate((6,), log_prior_odds=torch.logit(weight).numpy())
    for t in range(40):
        torch.testing.assert_close(read[:, t], bayes.alpha(), rtol=1e-9, atol=0)
        bayes.update(losses[0, :, t], losses[1, :, t])
    paid = -torch.logaddexp(read.log() - losses[0], (1 - read).log() - losses[1]).sum(-1)
    m, g = losses.sum(-1)
    torch.testing.assert_close(paid, -torch.logaddexp(weight.log() - m, (1 - weight).log() - g))
    assert (paid <= torch.minimum(m - weight.log(), g - (1 - weight).log())).all()
