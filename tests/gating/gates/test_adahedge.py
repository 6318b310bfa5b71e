"""AdaHedge gate against the algorithm written with explicit weights and mix losses."""

import math

import numpy as np
import pytest
import torch

from gating.gates import AdaHedgeGate


def mix(rate: float, totals: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and mixed loss at a rate, infinity included."""
    least = totals.min()
    if rate == math.inf:
        weights = (totals == least).astype(float)
        return weights / weights.sum(), least
    weights = np.exp(-rate * (totals - least))
    return weights / weights.sum(), least - math.log(weights.mean()) / rate


def test_against_the_algorithm_written_out() -> None:
    generator = np.random.default_rng(8)
    for scale in (1e-3, 1.0, 1e4):
        gate = AdaHedgeGate((1,))
        totals, cost = np.zeros(2), 0.0
        for losses in scale * generator.normal(size=(200, 2)).round(1):  # rounding makes ties
            rate = math.log(2) / cost if cost > 0 else math.inf
            weights, before = mix(rate, totals)
            assert gate.alpha().item() == pytest.approx(weights[0], abs=1e-9)
            totals = totals + losses
            cost += max(0.0, float(weights @ losses) - (mix(rate, totals)[1] - before))
            gate.update(*losses)
        assert gate.mixing_cost.item() == pytest.approx(cost, rel=1e-9)


def test_scale_and_shift_of_losses_do_not_matter() -> None:
    losses = torch.tensor(np.random.default_rng(9).random((100, 2, 7)))
    one, other = AdaHedgeGate((7,)), AdaHedgeGate((7,))
    for t, (g, h) in enumerate(losses):
        one.update(g, h)
        other.update(2.0**20 * g + t, 2.0**20 * h + t)
    torch.testing.assert_close(one.alpha(), other.alpha(), rtol=1e-6, atol=1e-9)


def test_follows_the_leader_until_mixing_costs() -> None:
    gate = AdaHedgeGate((1,))
    gate.update(1.0, 1.0)
    assert gate.alpha().item() == 0.5
    gate.update(0.0, 1.0)  # a tie was played, which cost a half
    assert 0.5 < gate.alpha().item() < 1


def test_extreme_losses_stay_finite() -> None:
    gate = AdaHedgeGate((3,))
    gate.update(torch.tensor([1e-300, 1.0, 1e150], dtype=torch.float64), 0.0)
    for size in (1.0, 1e-200, 1e100, 0.0):
        gate.update(0.0, torch.tensor([size, 2 * size, 0.5 * size], dtype=torch.float64))
        assert gate.alpha().isfinite().all()
        assert gate.mixing_cost.isfinite().all()
    assert gate.regret().isfinite().all()
