"""One test for each statement of docs/theory.md, section 4, up to 4.11; 4.9 and 4.10 are in test_add_beta.py, 4.12,
4.13 and 4.18 in test_regret_of_portfolios.py, those between in test_composition.py."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import special

from gating.checks.streams import answer_linear, answer_log, random_differences, record
from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
    OnlineGate,
    UniversalPortfolioGate,
)
from gating.gates.online import play
from tests.claims.hindsight import N_ROUNDS, N_STREAMS, ROUNDING, never_above_bound, sign_streams
from theory.distribution import ClassMixture
from theory.mixture_regret import bayes_mixture_bound
from theory.regret import (
    adahedge_bound,
    exponential_weights_bound,
    gradient_descent_bound,
    scheduled_weights_bound,
    two_expert_lower_bound,
)

Maker = Callable[[tuple[int, ...]], OnlineGate]


def power_rate(rounds: torch.Tensor) -> torch.Tensor:
    return 0.7 * rounds.clamp(min=1) ** -0.3


LINEAR: dict[str, Maker] = {
    "descent, horizon": lambda shape: GradientDescentGate(shape, loss_range=1.0, horizon=N_ROUNDS),
    "descent, no horizon": lambda shape: GradientDescentGate(shape, loss_range=1.0),
    "weights, horizon": lambda shape: ExponentialWeightsGate(shape, loss_range=1.0, horizon=N_ROUNDS),
    "weights, no horizon": lambda shape: ExponentialWeightsGate(shape, loss_range=1.0),
    "weights, prior and falling rate": lambda shape: ExponentialWeightsGate(
        shape, loss_range=1.0, rate=power_rate, log_prior_odds=-3.0
    ),
    "AdaHedge": AdaHedgeGate,
}
LOG: dict[str, Maker] = {
    "Bayes": BayesMixtureGate,
    "Bayes, prior": lambda shape: BayesMixtureGate(shape, log_prior_odds=5.0),
    "portfolio, Jeffreys": lambda shape: UniversalPortfolioGate(shape, horizon=N_ROUNDS),
    "portfolio, uniform": lambda shape: UniversalPortfolioGate(shape, horizon=N_ROUNDS, prior="uniform"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_4_1_best_fixed_weight_is_a_predictor(name: str, generator: np.random.Generator) -> None:
    d = random_differences(generator, 50, 40)
    gate = LINEAR[name]((40,))
    weights = play(gate, d, torch.zeros_like(d))
    fixed = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None] * d.sum(dim=0)
    torch.testing.assert_close(gate.regret(), (weights * d).sum(dim=0) - fixed.min(dim=0).values)


@pytest.mark.parametrize("name", LINEAR)
def test_4_2_to_4_6_linear_regret_on_random_adversarial_and_all_sign_streams(
    name: str, generator: np.random.Generator
) -> None:
    gate = LINEAR[name]((N_STREAMS,))
    d = random_differences(generator, N_ROUNDS, N_STREAMS)
    play(gate, d, torch.zeros_like(d))
    never_above_bound(gate, gate.regret())
    answered = LINEAR[name]((N_STREAMS,))
    replayed_to_others = answer_linear(answered, generator, N_ROUNDS)
    never_above_bound(answered, answered.regret())
    for other in LINEAR.values():
        gate = other((N_STREAMS,))
        play(gate, replayed_to_others, torch.zeros_like(replayed_to_others))
        never_above_bound(gate, gate.regret())
    signs = sign_streams(12)
    gate = LINEAR[name]((signs.shape[1],))
    for t in range(12):  # after each round: short streams are checked as well
        gate.update(signs[t], 0.0)
        never_above_bound(gate, gate.regret())


@pytest.mark.parametrize("name", [*LINEAR, *LOG])
def test_4_2_to_4_12_regret_of_every_cell_of_replayed_streams(name: str, generator: np.random.Generator) -> None:
    spec = ClassMixture(label_noise=0.2)
    stream = record(spec, generator, N_ROUNDS, N_STREAMS)
    gate = {**LINEAR, **LOG}[name]((N_STREAMS, spec.n_classes))
    if name in LOG:
        losses = -stream.p_in_weight.log(), -stream.p_in_context.log()
    else:
        losses = 1 - stream.p_in_weight, 1 - stream.p_in_context
    play(gate, *losses, stream.cells)
    assert gate.rounds.sum() == N_STREAMS * N_ROUNDS
    never_above_bound(gate, gate.regret())


def test_4_2_gradient_descent_bound_with_right_and_wrong_horizon(generator: np.random.Generator) -> None:
    assert gradient_descent_bound(144, 3.0, horizon=144) == pytest.approx(3 * 12 / 2)
    for horizon in (1, 20, 5000):
        gate = GradientDescentGate((N_STREAMS,), loss_range=1.0, horizon=horizon)
        answer_linear(gate, generator, N_ROUNDS)
        never_above_bound(gate, gate.regret())
        np.testing.assert_allclose(gate.bound(), gradient_descent_bound(N_ROUNDS, 1.0, horizon=horizon))


def test_4_3_gradient_descent_without_horizon_loses_at_most_root_two_over_the_horizon() -> None:
    n = np.array([1, 2, 10, 1000, 10**6])
    ratio = gradient_descent_bound(n, 1.0) / (np.sqrt(n) / 2)
    assert (ratio < 2 * math.sqrt(2)).all()
    assert gradient_descent_bound(0, 1.0) == 0


def test_4_4_exponential_weights_with_prior_against_either_predictor(generator: np.random.Generator) -> None:
    odds = generator.normal(0, 5, N_STREAMS)
    gate = ExponentialWeightsGate((N_STREAMS,), loss_range=1.0, rate=power_rate, log_prior_odds=odds)
    answer_linear(gate, generator, N_ROUNDS)
    rate_sum = power_rate(torch.arange(N_ROUNDS, dtype=torch.float64)).sum().item()
    last = power_rate(torch.tensor(N_ROUNDS - 1.0)).item()
    for loss, sign in ((gate.loss_in_weight, 1), (gate.loss_in_context, -1)):
        bound = scheduled_weights_bound(-np.logaddexp(0, -sign * odds), last, rate_sum, 1.0)
        assert ((gate.loss - loss).numpy() <= bound + ROUNDING).all()


@pytest.mark.parametrize("horizon", [None, N_ROUNDS])
def test_4_5_closed_forms_dominate_the_scheduled_bound(horizon: int | None) -> None:
    gate = ExponentialWeightsGate((1,), loss_range=2.0, horizon=horizon)
    for n in range(1, N_ROUNDS + 1):
        gate.update(1.0, 0.0)
        assert gate.bound().item() <= exponential_weights_bound(n, 2.0, horizon=horizon) + ROUNDING
    if horizon:
        assert gate.bound().item() == pytest.approx(2 * math.sqrt(N_ROUNDS * math.log(2) / 2))


def test_4_6_adahedge_bound_uses_the_variance_it_met(generator: np.random.Generator) -> None:
    gate = AdaHedgeGate((N_STREAMS,))
    answer_linear(gate, generator, N_ROUNDS)
    assert (gate.variance <= N_ROUNDS * gate.largest.square() / 4).all()
    worst = adahedge_bound(gate.variance.numpy(), gate.largest.numpy())
    assert (gate.regret().numpy() <= worst).all()
    clear = AdaHedgeGate((1,))
    for _ in range(2000):
        clear.update(0.0, 1.0)
    assert clear.bound().item() < 5  # one winner: the bound stops growing, sqrt(n) would be 45


def test_4_6_mixability_gap_over_rate_is_at_most_half_the_variance_plus_a_third(
    generator: np.random.Generator,
) -> None:
    """The inequality behind the bound, for two experts whose losses differ by 1."""
    alpha, rate = generator.random(100_000), 10 ** generator.uniform(-2, 3, 100_000)
    gap = alpha + np.log1p(alpha * np.expm1(-rate)) / rate
    assert (gap / rate <= alpha * (1 - alpha) / 2 + gap / 3 + 1e-9).all()


@pytest.mark.parametrize("name", ["Bayes", "Bayes, prior"])
def test_4_7_bayes_mixture_regret_is_the_prior_of_the_better_predictor(
    name: str, generator: np.random.Generator
) -> None:
    gate = LOG[name]((N_STREAMS,))
    losses = generator.exponential(2, (2, N_ROUNDS, N_STREAMS)) ** 2
    play(gate, *torch.from_numpy(losses))
    never_above_bound(gate, gate.regret())
    gate = LOG[name]((N_STREAMS,))
    answer_log(gate, generator, N_ROUNDS)
    never_above_bound(gate, gate.regret())
    # The mixture pays exactly the log of the prior average of the two likelihoods.
    odds = gate.log_prior_odds
    average = torch.logaddexp(
        torch.nn.functional.logsigmoid(odds) - gate.loss_in_weight,
        torch.nn.functional.logsigmoid(-odds) - gate.loss_in_context,
    )
    torch.testing.assert_close(gate.loss, -average)
    assert bayes_mixture_bound(math.log(0.5)) == pytest.approx(math.log(2))


def test_4_8_no_learner_stays_below_the_lower_bound_on_fair_coins(generator: np.random.Generator) -> None:
    n = 14
    signs = sign_streams(n)
    lower = two_expert_lower_bound(n, 1.0)
    assert (torch.relu(-signs.sum(dim=0))).mean().item() == pytest.approx(lower, rel=1e-12)
    for maker in LINEAR.values():
        gate = maker((signs.shape[1],))
        play(gate, signs, torch.zeros_like(signs))
        assert gate.regret().mean().item() == pytest.approx(lower, abs=1e-12)  # whatever the weights: fair coins
        assert gate.regret().max().item() >= lower
    counts = np.arange(1, 2000)
    ratio = gradient_descent_bound(counts, 1.0, horizon=counts) / two_expert_lower_bound(counts, 1.0)
    assert ratio.min() >= 1
    assert ratio.max() <= math.sqrt(2) * (1 + 1e-12)
    assert ratio[200:].max() <= 1.26


def test_4_11_temperature_grid_by_exponential_weights(generator: np.random.Generator) -> None:
    temperatures, n = 16, 300
    rate = math.sqrt(8 * math.log(temperatures) / n)
    for adversarial in (False, True):
        total, paid = np.zeros((N_STREAMS, temperatures)), np.zeros(N_STREAMS)
        for _ in range(n):
            weights = special.softmax(-rate * total, axis=1)
            losses = generator.random((N_STREAMS, temperatures)) < generator.random(temperatures)
            if adversarial:
                losses = weights >= np.median(weights, axis=1, keepdims=True)
            paid += (weights * losses).sum(axis=1)
            total += losses
        assert (paid - total.min(axis=1) <= exponential_weights_bound(n, 1.0, n_experts=16, horizon=n)).all()
