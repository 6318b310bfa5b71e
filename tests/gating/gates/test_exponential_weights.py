"""Exponential weights gate against its odds written out."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from gating.gates import BayesMixtureGate, ExponentialWeightsGate


def test_odds_written_out_for_each_kind_of_rate() -> None:
    generator = np.random.default_rng(2)
    losses, odds, n = generator.random((40, 2)), 1.3, 40
    rates = {
        "none": (dict[str, Any](), lambda t: 2 * math.sqrt(math.log(2) / t)),
        "horizon": ({"horizon": 30}, lambda t: math.sqrt(8 * math.log(2) / 30)),
        "constant": ({"rate": 0.7}, lambda t: 0.7),
        "falling": ({"rate": lambda rounds: 3 * (rounds + 1) ** -0.25}, lambda t: 3 * t**-0.25),
    }
    for options, rate in rates.values():
        gate = ExponentialWeightsGate((1,), loss_range=1.0, log_prior_odds=odds, **options)
        for t in range(n):
            g, h = losses[:t].sum(axis=0)
            weights = np.exp(odds - rate(t + 1) * g), np.exp(-rate(t + 1) * h)
            assert gate.alpha().item() == pytest.approx(weights[0] / sum(weights), rel=1e-12)
            gate.update(*losses[t])


def test_posterior_over_two_strategies() -> None:
    """log odds = gamma N^(1 - a) (mean loss of h - mean loss of g) - ln 2 (K_g^beta - K_h^beta)."""
    gamma, a, beta, k_g, k_h = 0.5, 0.3, 0.6, 900.0, 200.0
    prior = -math.log(2) * (k_g**beta - k_h**beta)
    gate = ExponentialWeightsGate(
        (1,), loss_range=math.inf, rate=lambda rounds: gamma * rounds.clamp(min=1) ** -a, log_prior_odds=prior
    )
    losses = torch.tensor(np.random.default_rng(4).exponential(1, (500, 2)) * [0.5, 1.5])
    for g, h in losses:
        gate.update(g, h)
    n = len(losses)
    mean_g, mean_h = losses.mean(dim=0).tolist()
    odds = gamma * n ** (1 - a) * (mean_h - mean_g) + prior
    assert torch.logit(gate.alpha()).item() == pytest.approx(odds, abs=1e-6)
    assert abs(odds) < 15  # far from where a float64 weight saturates
    assert gate.bound().item() == math.inf


def test_a_far_prior_does_not_underflow() -> None:
    gate = ExponentialWeightsGate((1,), loss_range=math.inf, rate=1.0, log_prior_odds=-1e5)
    gate.update(0.0, 1e5 + math.log(3))
    assert gate.alpha().item() == pytest.approx(0.75, rel=1e-9)


def test_rate_one_is_the_bayes_posterior() -> None:
    weights, bayes = ExponentialWeightsGate((9,), loss_range=math.inf, rate=1.0), BayesMixtureGate((9,))
    for g, h in torch.tensor(np.random.default_rng(6).exponential(2, (50, 2, 9))):
        weights.update(g, h)
        bayes.update(g, h)
    torch.testing.assert_close(weights.alpha(), bayes.alpha())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"loss_range": -1.0}, "loss_range"),
        ({"loss_range": math.inf}, "loss_range"),
        ({"loss_range": "wide"}, "loss_range"),
        ({"rate": 0.0}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": [0.1, 0.2]}, "rate"),
        ({"rate": lambda rounds: rounds}, "rate"),
        ({"rate": lambda rounds: rounds + 1}, "rate"),
        ({"rate": lambda rounds: 0.5}, "rate"),
        ({"rate": lambda rounds: 1 / rounds}, "rate"),
        ({"rate": 0.5, "horizon": 10}, "horizon"),
        ({"horizon": -3}, "horizon"),
        ({"log_prior_odds": math.inf}, "log_prior_odds"),
        ({"log_prior_odds": [1.0, 2.0, 3.0]}, "log_prior_odds"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        ExponentialWeightsGate((2,), **{"loss_range": 1.0, **options})
