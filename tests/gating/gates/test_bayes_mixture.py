"""Bayes mixture gate: posterior, prior and log space."""

import math
from typing import Any

import pytest
import torch

from gating.gates import BayesMixtureGate


def test_posterior_of_two_coins() -> None:
    gate = BayesMixtureGate((1,), log_prior_odds=math.log(1 / 3))
    for outcome in (1, 1, 0, 1):
        g, h = (0.8, 0.4) if outcome else (0.2, 0.6)
        gate.update(-math.log(g), -math.log(h))
    g, h = 0.25 * 0.8**3 * 0.2, 0.75 * 0.4**3 * 0.6
    assert gate.alpha().item() == pytest.approx(g / (g + h), rel=1e-12)
    assert gate.loss.item() == pytest.approx(-math.log(g + h), rel=1e-12)
    assert gate.bound().item() == pytest.approx(math.log(4) if g * 3 > h else math.log(4 / 3), rel=1e-12)


def test_thousands_of_nats_behind_is_not_lost() -> None:
    gate = BayesMixtureGate((1,))
    gate.update(5000.0, 0.0)
    assert gate.alpha().item() == 0  # e^-5000 is no float64
    gate.update(0.0, 5000.0)
    assert gate.alpha().item() == pytest.approx(0.5)
    torch.testing.assert_close(gate.regret(), torch.zeros(1, dtype=torch.float64), rtol=0, atol=1e-9)


def test_prior_table_and_bad_priors() -> None:
    gate = BayesMixtureGate((2, 3), log_prior_odds=[0.0, 1.0, -1.0])
    torch.testing.assert_close(gate.alpha()[1], torch.sigmoid(torch.tensor([0.0, 1.0, -1.0]).double()))
    for bad in (math.nan, math.inf, "even", [1.0, 2.0]):
        odds: Any = bad
        with pytest.raises(ValueError, match="`log_prior_odds`"):
            BayesMixtureGate((2, 3), log_prior_odds=odds)
