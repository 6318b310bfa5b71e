"""The posterior gate is exponential weights, with the prior of complexity and a falling rate."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from gating.gates import BayesMixtureGate, ExponentialWeightsGate, OnlineGate, PosteriorGate, PosteriorParameters
from gating.gates.posterior import context_evidence
from theory.strategies import log_odds


def streams(n_rounds: int, *shape: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(5).exponential(1, (n_rounds, 2, *shape)))


def play(gate: OnlineGate, losses: torch.Tensor) -> torch.Tensor:
    weights = []
    for m, g in losses:
        weights.append(gate.alpha())
        gate.update(m, g)
    return torch.stack([*weights, gate.alpha()])


def test_equal_prior_and_full_evidence_is_exponential_weights_with_rate_one() -> None:
    losses = streams(60, 7)
    parameters = PosteriorParameters(alpha=0.0, beta=0.7, gamma=1.0)
    posterior = play(PosteriorGate((7,), parameters, complexity_m=80.0, complexity_g=80.0), losses)
    weights = play(ExponentialWeightsGate((7,), loss_range=math.inf, rate=1.0), losses)
    assert torch.equal(posterior, weights)
    torch.testing.assert_close(posterior, play(BayesMixtureGate((7,)), losses))
    summed = (losses[:, 1] - losses[:, 0]).cumsum(0)
    torch.testing.assert_close(posterior[1:], torch.sigmoid(summed), rtol=1e-12, atol=0)


def test_alpha_above_zero_is_exponential_weights_with_falling_rate() -> None:
    losses, alpha, gamma = streams(60, 7), 0.3, 2.0
    parameters = PosteriorParameters(alpha=alpha, beta=0.5, gamma=gamma)
    posterior = play(PosteriorGate((7,), parameters, complexity_m=100.0, complexity_g=49.0), losses)
    rate = lambda rounds: gamma * rounds.clamp(min=1) ** -alpha  # noqa: E731
    prior = -3 * math.log(2)
    weights = play(ExponentialWeightsGate((7,), loss_range=math.inf, rate=rate, log_prior_odds=prior), losses)
    torch.testing.assert_close(posterior, weights, rtol=1e-12, atol=0)


def test_played_rounds_agree_with_the_formula_of_mean_losses() -> None:
    losses, shape = streams(80, 2, 3), (2, 3)
    k_m, k_g = np.array([40.0, 90.0, 300.0]), 30.0
    parameters = PosteriorParameters(alpha=0.4, beta=0.6, gamma=1.5)
    gate = PosteriorGate(shape, parameters, complexity_m=k_m, complexity_g=k_g)
    played = play(gate, losses)[-1]
    gap = (losses[:, 1] - losses[:, 0]).mean(0).numpy()
    expected = log_odds(80, gap, k_m, k_g, alpha=0.4, beta=0.6, gamma=1.5)
    np.testing.assert_allclose(played.logit().numpy(), expected, rtol=1e-9)
    np.testing.assert_array_equal(parameters.log_odds(80, gap, k_m, k_g), expected)
    assert (gate.bound() == math.inf).all()


def test_regret_stays_below_the_bound_of_its_rate_and_prior() -> None:
    losses = torch.tensor(np.random.default_rng(8).random((300, 2, 20)))
    parameters = PosteriorParameters(alpha=0.5, beta=0.5, gamma=2.0)
    gate = PosteriorGate((20,), parameters, complexity_m=25.0, complexity_g=9.0, loss_range=1.0)
    play(gate, losses)
    assert (gate.regret() <= gate.bound()).all()


def test_kappa_zero_reads_no_context_and_kappa_one_is_the_bayes_posterior() -> None:
    losses = streams(9, 4).permute(1, 2, 0)  # (2, cells, positions)
    still, read = (PosteriorParameters(alpha=0.5, beta=0.5, gamma=1.0, kappa=k) for k in (0.0, 1.0))
    options = {"complexity_m": 36.0, "complexity_g": 16.0}
    flat = PosteriorGate((4,), still, **options).along_context(*losses)
    torch.testing.assert_close(flat, torch.full((4, 9), 0.2, dtype=torch.float64))  # two bits against M
    bayes = BayesMixtureGate((4,), log_prior_odds=math.log(0.25))
    expected = play(bayes, losses.permute(2, 0, 1))[:-1].T
    torch.testing.assert_close(PosteriorGate((4,), read, **options).along_context(*losses), expected)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"alpha": 1.0}, "alpha"),
        ({"alpha": [0.1, 0.2]}, "alpha"),
        ({"beta": -0.1}, "beta"),
        ({"gamma": 0.0}, "gamma"),
        ({"gamma": math.nan}, "gamma"),
        ({"kappa": -1.0}, "kappa"),
    ],
)
def test_bad_parameters_are_named(change: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        PosteriorParameters(**{"alpha": 0.5, "beta": 0.5, "gamma": 1.0, **change})


def test_bad_complexities_and_evidence_are_named() -> None:
    parameters = PosteriorParameters(alpha=0.5, beta=0.5, gamma=1.0)
    with pytest.raises(ValueError, match="`complexity_m` must be a finite number > 0; got 0"):
        PosteriorGate((2,), parameters, complexity_m=0.0, complexity_g=9.0)
    with pytest.raises(ValueError, match="`complexity_m` and `complexity_g` must broadcast"):
        PosteriorGate((2,), parameters, complexity_m=[9.0, 9.0, 9.0], complexity_g=9.0)
    with pytest.raises(ValueError, match="must have one shape"):
        context_evidence(torch.zeros(2, 3), torch.zeros(3))
    with pytest.raises(ValueError, match="must be finite"):
        context_evidence(torch.zeros(3), torch.full((3,), torch.inf))
