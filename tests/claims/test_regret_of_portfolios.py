"""Statements 4.12, 4.13 and 4.18 of docs/theory.md, on universal portfolios of two predictors."""

import math

import numpy as np
import pytest
import torch
from scipy import special

from gating.checks.streams import answer_log, record
from gating.gates import UniversalPortfolioGate
from gating.gates import universal_portfolio as portfolio
from gating.gates.online import play
from gating.gates.ratio_history import INTERPOLATION_ERROR, RATIOS, deposit, summed_logs
from tests.claims.hindsight import N_ROUNDS, N_STREAMS, ROUNDING, best_mixture_loss, never_above_bound
from theory.distribution import ClassMixture
from theory.mixture_regret import (
    PORTFOLIO_PRIORS,
    exact_worst_add_beta_regret,
    portfolio_nodes,
    portfolio_quadrature_bound,
    universal_portfolio_bound,
)


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
