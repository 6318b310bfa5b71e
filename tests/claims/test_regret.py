"""One test for each statement of docs/theory.md, section 4, up to 4.13, and 4.18; 4.9 and 4.10 are in
test_add_beta.py, those between in test_composition.py."""

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
from gating.gates import universal_portfolio as portfolio
from gating.gates.online import play
from gating.gates.ratio_history import INTERPOLATION_ERROR, RATIOS, deposit, summed_logs
from tests.claims.hindsight import ROUNDING, best_mixture_loss, never_above_bound, sign_streams
from theory.distribution import ClassMixture
from theory.mixture_regret import (
    PORTFOLIO_PRIORS,
    bayes_mixture_bound,
    exact_worst_add_beta_regret,
    portfolio_nodes,
    portfolio_quadrature_bound,
    universal_portfolio_bound,
)
from theory.regret import (
    adahedge_bound,
    exponential_weights_bound,
    gradient_descent_bound,
    scheduled_weights_bound,
    two_expert_lower_bound,
)

N_STREAMS, N_ROUNDS = 1000, 200

Maker = Callable[[tuple[int, ...]], OnlineGate]


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(2024)


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


@pytest.mark.parametrize("prior", PORTFOLIO_PRIORS)
def test_4_12_portfolio_regret_against_the_best_fixed_mixture(prior: str, generator: np.random.Generator) -> None:
    def make() -> UniversalPortfolioGate:
        return UniversalPortfolioGate((N_STREAMS,), horizon=N_ROUNDS, prior=prior)

    gate = make()
    losses = torch.from_numpy(generator.exponential(2, (2, N_ROUNDS, N_STREAMS)) ** 2)
    play(gate, *losses)
    never_above_bound(gate, gate.loss - torch.from_numpy(best_mixture_loss(*losses)))
    gate = make()
    answered = answer_log(gate, generator, N_ROUNDS)
    never_above_bound(gate, gate.loss - torch.from_numpy(best_mixture_loss(*answered)))
    stream = record(ClassMixture(label_noise=0.1), generator, N_ROUNDS, N_STREAMS)
    gate, recorded = make(), (-stream.p_in_weight.log(), -stream.p_in_context.log())
    play(gate, *recorded)
    never_above_bound(gate, gate.loss - torch.from_numpy(best_mixture_loss(*recorded)))
    closed = universal_portfolio_bound(N_ROUNDS, prior=prior)
    assert gate.bound().max().item() <= closed + 1e-6


@pytest.mark.parametrize("prior", PORTFOLIO_PRIORS)
def test_4_12_portfolio_bound_is_attained_when_one_predictor_is_always_right(prior: str) -> None:
    gate = UniversalPortfolioGate((2,), horizon=N_ROUNDS, prior=prior)
    for _ in range(N_ROUNDS):
        gate.update(torch.tensor([0.0, torch.inf]), torch.tensor([torch.inf, 0.0]))
    exact = exact_worst_add_beta_regret(N_ROUNDS, 2, PORTFOLIO_PRIORS[prior])
    np.testing.assert_allclose(gate.regret(), exact, rtol=1e-9)
    n = np.arange(1, 3000)
    slack = universal_portfolio_bound(n, prior=prior) - exact_worst_add_beta_regret(n, 2, PORTFOLIO_PRIORS[prior])
    low, high = (0, 1e-9) if prior == "uniform" else (math.log(2) - math.log(math.pi) / 2, math.log(2) / 2)
    assert slack.min() >= low - 1e-9
    assert slack.max() <= high + 1e-9


@pytest.mark.parametrize("prior", PORTFOLIO_PRIORS)
def test_4_13_quadrature_against_the_exact_mixture(prior: str, generator: np.random.Generator) -> None:
    """The exact mixture as a sum over k of positive coefficients of a^k (1 - a)^(n - k), in log space."""
    beta, n = PORTFOLIO_PRIORS[prior], 400
    truth = generator.random(30)
    g_right = torch.from_numpy((generator.random((n, 30)) < truth).astype(np.float64))
    g = (0.999 * g_right + 0.0005).clamp(max=1)
    losses = -g.log(), -(1 - g).log()
    exact = _exact_portfolio_loss(*losses, beta)
    n_nodes = []
    for tolerance in (1e-300, 1e-9, 1e-4, 0.1):
        gate = UniversalPortfolioGate((30,), horizon=n, prior=prior, tolerance=tolerance)
        play(gate, *losses)
        n_nodes.append(gate.n_nodes)
        assert np.abs(gate.loss.numpy() - exact).max() <= tolerance + 1e-10
    assert n_nodes[0] == n // 2 + 1  # exact for polynomials of degree n
    assert n_nodes[1:] == sorted(n_nodes[1:], reverse=True)
    assert n_nodes[1] < n // 4


def _exact_portfolio_loss(in_weight: torch.Tensor, in_context: torch.Tensor, beta: float) -> np.ndarray:
    coefficients = np.zeros((1, in_weight.shape[1]))
    edge = np.full((1, in_weight.shape[1]), -np.inf)
    for lg, lh in zip(in_weight.numpy(), in_context.numpy(), strict=True):
        coefficients = np.logaddexp(
            np.concatenate([edge, coefficients - lg]), np.concatenate([coefficients - lh, edge])
        )
    n = len(coefficients) - 1
    k = np.arange(n + 1)[:, None]
    moments = special.betaln(k + beta, n - k + beta) - special.betaln(beta, beta)
    return -special.logsumexp(coefficients + moments, axis=0)


def test_4_13_nodes_are_the_fewest_and_serve_every_earlier_round() -> None:
    for n, prior, tolerance in ((1, "jeffreys", 1e-6), (50, "uniform", 1e-3), (3000, "jeffreys", 1e-9)):
        nodes = portfolio_nodes(n, prior=prior, tolerance=tolerance)
        added = portfolio_quadrature_bound(np.arange(n + 1), nodes, prior=prior)
        assert added.max() <= tolerance
        assert nodes == 1 or portfolio_quadrature_bound(n, nodes - 1, prior=prior) > tolerance


def test_4_13_too_few_nodes_do_add_regret() -> None:
    """Nodes that no bound vouches for miss the best mixture by more than the exact worst regret allows."""
    n, nodes = 4000, 10
    assert portfolio_quadrature_bound(n, nodes) == np.inf
    angle = (np.arange(nodes) + 0.5) * np.pi / (2 * nodes)
    node = np.sin(angle) ** 2
    k = round(n * (node[4] + node[5]) / 2)
    wealth = special.logsumexp(k * np.log(node) + (n - k) * np.log1p(-node)) - math.log(nodes)
    regret = k * math.log(k / n) + (n - k) * math.log(1 - k / n) - wealth
    assert regret > exact_worst_add_beta_regret(n, 2, 0.5) + 1


def _hard_streams(generator: np.random.Generator, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Log losses in six columns: steady, exclusive, turning at half, noisy, shocked late, and equal."""
    random = generator.random((n, 6))
    lead = random * np.where(np.arange(n) < n // 2, 3.0, -3.0)[:, None]
    difference = np.stack([
        random[:, 0], np.where(random[:, 1] < 0.3, -np.inf, np.inf), lead[:, 2], 4 * random[:, 3] - 2,
        np.where(np.arange(n) < n - 40, -30.0, np.inf), np.zeros(n),
    ], 1)  # fmt: skip
    return torch.from_numpy(np.maximum(difference, 0)), torch.from_numpy(np.maximum(-difference, 0))


@pytest.mark.parametrize("prior", PORTFOLIO_PRIORS)
def test_4_18_windows_play_what_all_nodes_play(
    prior: str, generator: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and losses, with windows and without; windows did narrow, and did have to be doubled."""
    n, played, gates = 1500, [], []
    losses = _hard_streams(generator, n)
    for least in (10**9, 32):
        monkeypatch.setattr(portfolio, "WINDOWS_FROM", least)
        gates.append(UniversalPortfolioGate((6,), horizon=n, prior=prior))
        played.append(play(gates[-1], *losses))
    every, windows = gates
    assert every.n_nodes == windows.n_nodes
    assert (windows.width[[0, 1, 4]] < every.n_nodes).all()
    assert windows.width[5] == every.n_nodes  # equal predictors tell no mixtures apart
    assert windows.added[2] > 0
    torch.testing.assert_close(played[1], played[0], rtol=1e-10, atol=1e-13)
    allowed = windows.bound() - every.bound() + ROUNDING
    assert (windows.loss - every.loss <= allowed).all()
    assert (windows.bound() - every.bound() <= 2e-9).all()


def test_4_18_a_history_is_right_for_every_mixture(generator: np.random.Generator) -> None:
    """Against the sum itself, one round and a thousand; ratios small, large and infinite."""
    a = torch.from_numpy(np.sin(np.linspace(1e-4, np.pi / 2 - 1e-4, 200)) ** 2)
    rest = torch.from_numpy(np.cos(np.linspace(1e-4, np.pi / 2 - 1e-4, 200)) ** 2)
    for rounds, scale in ((1, 1.0), (1, 30.0), (1000, 0.01), (1000, 5.0)):
        ratios = torch.from_numpy(generator.normal(size=rounds) * scale)
        if rounds > 1:
            ratios[0], ratios[1] = torch.inf, -torch.inf
        history, direct = torch.zeros(1, RATIOS, dtype=torch.float64), torch.zeros(200, dtype=torch.float64)
        for ratio in ratios:
            deposit(history, torch.tensor([0]), ratio[None])
            direct += (a * ratio.clamp(max=0).exp() + rest * (-ratio).clamp(max=0).exp()).log()
        off = summed_logs(history[0], a, rest) - direct
        rounding = 1e-15 * (1 + float(direct.abs().max()))
        assert (off - off[100]).abs().max() <= 2 * rounds * INTERPOLATION_ERROR + 4 * rounding


def test_4_18_weights_of_nodes_differ_by_less_than_their_number() -> None:
    for n in (2, 5, 40, 700):
        weights = special.roots_legendre(n)[1]
        assert weights.max() / weights.min() < n
