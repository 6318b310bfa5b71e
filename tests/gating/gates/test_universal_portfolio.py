"""Universal portfolio gate: known posteriors, horizon, log space."""

import math
from typing import Any

import pytest
import torch

from gating.gates import UniversalPortfolioGate


@pytest.mark.parametrize(("prior", "beta"), [("uniform", 1.0), ("jeffreys", 0.5)])
def test_exclusive_outcomes_give_the_add_beta_rule(prior: str, beta: float) -> None:
    """When each outcome is allowed by one predictor only, the weight is (wins of g + beta) / (rounds + 2 beta)."""
    gate, wins = UniversalPortfolioGate((1,), horizon=200, prior=prior), 0
    for t in range(200):
        assert gate.alpha().item() == pytest.approx((wins + beta) / (t + 2 * beta), rel=1e-9)
        g_wins = t % 3 == 0
        gate.update(0.0 if g_wins else torch.inf, torch.inf if g_wins else 0.0)
        wins += g_wins


def test_equal_predictors_teach_nothing() -> None:
    gate = UniversalPortfolioGate((1,), horizon=20)
    for _ in range(20):
        assert gate.update(2.5, 2.5).item() == pytest.approx(2.5)
    assert gate.alpha().item() == pytest.approx(0.5)


def test_tiny_probabilities_do_not_underflow() -> None:
    gate = UniversalPortfolioGate((1,), horizon=100)
    for t in range(100):
        gate.update(5000.0 + 700 * (t % 2), 5000.0 + 700 * (1 - t % 2))
    assert gate.alpha().item() == pytest.approx(0.5, abs=1e-6)
    assert gate.regret().item() < 0  # better than either, which lost 700 nats every other round


def test_a_round_beyond_the_horizon_is_an_error() -> None:
    gate = UniversalPortfolioGate((2,), horizon=3)
    for _ in range(3):
        gate.update(0.1, 0.2, torch.tensor(1))
    gate.update(0.1, 0.2, torch.tensor(0))
    with pytest.raises(ValueError, match="`horizon` must be at least the rounds of every cell; got 3"):
        gate.update(0.1, 0.2, torch.tensor(1))


def test_windows_are_each_learner_s_own() -> None:
    """Two learners visited in turn, one of them restored half-way, are what each would be alone."""
    generator = torch.Generator().manual_seed(0)
    losses = 4 * torch.rand(600, 2, generator=generator, dtype=torch.float64)
    losses[300:, 0] = 0.0
    gate = UniversalPortfolioGate((2,), horizon=30_000)
    assert gate.windows
    for t in range(600):
        for cell in (0, 1):
            gate.update(losses[t, cell], 2.0, torch.tensor(cell))
        if t == 400:
            state, gate = gate.state_dict(), UniversalPortfolioGate((2,), horizon=30_000)
            gate.load_state_dict(state)
    for cell in (0, 1):
        alone = UniversalPortfolioGate((1,), horizon=30_000)
        for t in range(600):
            alone.update(losses[t, cell], 2.0)
        assert alone.width.item() == gate.width[cell]
        assert alone.alpha().item() == pytest.approx(gate.alpha()[cell].item(), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("horizon", bad) for bad in (0, 2.5, [3, 4], math.inf, "long")),
        *(("prior", bad) for bad in ("flat", None)),
        *(("tolerance", bad) for bad in (0.0, math.nan, -1e-3, [0.1, 0.2])),
    ],
)
def test_bad_arguments_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        UniversalPortfolioGate((2,), **{"horizon": 10, name: value})
