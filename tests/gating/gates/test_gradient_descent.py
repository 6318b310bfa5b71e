"""Gradient descent gate against a plain loop."""

import math
from typing import Any

import pytest
import torch

from gating.gates import GradientDescentGate


@pytest.mark.parametrize("horizon", [None, 25])
def test_against_a_plain_loop(horizon: int | None) -> None:
    generator = torch.Generator().manual_seed(1)
    d = (torch.rand(60, generator=generator, dtype=torch.float64) - 0.4) * 4
    gate = GradientDescentGate((1,), loss_range=4.0, horizon=horizon)
    alpha = 0.5
    for t, value in enumerate(d.tolist(), start=1):
        assert gate.alpha().item() == pytest.approx(alpha, abs=1e-14)
        gate.update(value, 0.0)
        step = 1 / (4 * math.sqrt(2 * t)) if horizon is None else 1 / (2 * 4 * math.sqrt(horizon))
        alpha = min(1.0, max(0.0, alpha - step * value))


def test_horizon_may_differ_between_cells() -> None:
    gate = GradientDescentGate((2, 2), loss_range=1.0, horizon=[4, 400])
    gate.update(0.0, 1.0)
    torch.testing.assert_close(gate.alpha()[0], torch.tensor([0.75, 0.525], dtype=torch.float64))
    torch.testing.assert_close(gate.alpha()[0], gate.alpha()[1])


@pytest.mark.parametrize(
    ("name", "value"),
    [("loss_range", 0), ("loss_range", math.inf), ("loss_range", math.nan), ("loss_range", [1, 2]), ("horizon", 0)]
    + [("horizon", bad) for bad in ([1, 2, 3], "long", math.inf, math.nan, -4)],
)
def test_bad_arguments_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        GradientDescentGate((2,), **{"loss_range": 1.0, name: value})
