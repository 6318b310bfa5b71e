"""Weights of m predictors: the two-predictor gates, cells of their own, excluded outcomes, bad input."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from gating.gates import BayesMixtureGate, ExponentialWeightsGate
from gating.gates.predictor_weights import PredictorWeights


@pytest.mark.parametrize("rate", [None, 0.7])
def test_two_predictors_are_the_gate(rate: float | None) -> None:
    """Visited cell by cell, with a prior: the same weights and losses."""
    odds = math.log(0.3 / 0.7)
    gate = (
        BayesMixtureGate((3, 4), log_prior_odds=odds)
        if rate is None
        else ExponentialWeightsGate((3, 4), loss_range=math.inf, rate=rate, log_prior_odds=odds)
    )
    learner = PredictorWeights((3, 4), 2, log_prior=np.log([0.3, 0.7]), rate=rate)
    rng = torch.Generator().manual_seed(0)
    for _ in range(60):
        losses = torch.rand(3, 2, generator=rng, dtype=torch.float64)
        cells = torch.randint(4, (3,), generator=rng)
        torch.testing.assert_close(learner.weights(cells)[:, 0], gate.alpha(cells))
        torch.testing.assert_close(learner.update(losses, cells), gate.update(losses[:, 0], losses[:, 1], cells))
    torch.testing.assert_close(learner.weights()[..., 0], gate.alpha())
    torch.testing.assert_close(learner.regret(), gate.regret())
    if rate is None:
        torch.testing.assert_close(
            learner.bound()[gate.rounds.view(3, 4) > 0], gate.bound()[learner.rounds.view(3, 4) > 0]
        )


def test_an_excluded_outcome_ends_a_predictor() -> None:
    learner = PredictorWeights((1,), 3)
    learner.update(torch.tensor([math.inf, 0.5, 0.5]))
    assert learner.weights().tolist() == [[0.0, 0.5, 0.5]]
    learner.update(torch.tensor([0.0, math.inf, 1.0]))
    assert learner.weights().tolist() == [[0.0, 0.0, 1.0]]
    with pytest.raises(ValueError, match="`losses` must leave the mixture a positive probability"):
        learner.update(torch.tensor([0.0, 0.0, math.inf]))
    assert learner.weights().tolist() == [[0.0, 0.0, 1.0]]


def test_state_is_saved_and_restored() -> None:
    learner, other = PredictorWeights((2,), 3), PredictorWeights((2,), 3)
    learner.update(torch.tensor([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]))
    other.load_state_dict(learner.state_dict())
    assert torch.equal(learner.weights(), other.weights())
    assert torch.equal(learner.regret(), other.regret())


def test_bad_input_is_named() -> None:
    bad: dict[str, Any]
    for bad in (
        {"n_predictors": 1},
        {"log_prior": [0.0, 0.0, 0.0]},
        {"log_prior": np.log([0.5, 0.5])},
        {"log_prior": [1.0, 0.0, 0.0]},
        {"rate": 0.0},
        {"rate": math.nan},
    ):
        with pytest.raises(ValueError, match=f"`{next(iter(bad))}`"):
            PredictorWeights(**{"shape": (1,), "n_predictors": 3, **bad})
    linear, log = PredictorWeights((2,), 3, rate=1.0), PredictorWeights((2,), 3)
    for losses in (torch.zeros(4), "no", torch.full((3,), math.nan), torch.full((3,), -math.inf)):
        for learner in (linear, log):
            given: Any = losses
            with pytest.raises(ValueError, match="`losses`"):
                learner.update(given)
    with pytest.raises(ValueError, match="`losses` must be finite"):
        linear.update(torch.tensor([math.inf, 0.0, 0.0]))
