"""What every online gate keeps to: the contract, and what is asked of the project's own beyond it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gating.checks import check_gate
from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
    OnlineGate,
    PosteriorGate,
    PosteriorParameters,
    UniversalPortfolioGate,
)

MAKERS: dict[str, Callable[[Any], OnlineGate]] = {
    "descent": lambda shape: GradientDescentGate(shape, loss_range=10.0),
    "descent, horizon": lambda shape: GradientDescentGate(shape, loss_range=10.0, horizon=50),
    "weights": lambda shape: ExponentialWeightsGate(shape, loss_range=10.0),
    "weights, horizon": lambda shape: ExponentialWeightsGate(shape, loss_range=10.0, horizon=50),
    "posterior": lambda shape: PosteriorGate(
        shape, PosteriorParameters(alpha=0.3, beta=0.5, gamma=0.8), complexity_m=9.0, complexity_g=9.0, loss_range=10.0
    ),
    "AdaHedge": AdaHedgeGate,
    "Bayes": BayesMixtureGate,
    "portfolio": lambda shape: UniversalPortfolioGate(shape, horizon=50),
}
GATES = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def draw(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return 3 * torch.rand(*shape, generator=generator, dtype=torch.float64)


@GATES
def test_every_gate_keeps_the_contract(make: Callable[[Any], OnlineGate]) -> None:
    check_gate(make)


@GATES
def test_a_fresh_gate_plays_one_half(make: Callable[[Any], OnlineGate]) -> None:
    torch.testing.assert_close(make((2, 3)).alpha(), torch.full((2, 3), 0.5, dtype=torch.float64))


@GATES
def test_swapping_the_predictors_mirrors_the_gate(
    make: Callable[[Any], OnlineGate], generator: torch.Generator
) -> None:
    one, other = make((6,)), make((6,))
    for g, h in draw(generator, 40, 2, 6):
        paid, mirrored = one.update(g, h), other.update(h, g)
        torch.testing.assert_close(paid, mirrored)
    torch.testing.assert_close(one.alpha(), 1 - other.alpha())


@pytest.mark.parametrize("infinite", [(torch.inf, 0.0), (0.0, torch.inf), (torch.inf, torch.inf)])
def test_linear_gates_want_finite_losses_within_the_range(infinite: tuple[float, float]) -> None:
    for make in (MAKERS["descent"], MAKERS["weights"], MAKERS["AdaHedge"]):
        with pytest.raises(ValueError, match="must be finite and differ by at most"):
            make((1,)).update(*infinite)
    with pytest.raises(ValueError, match=r"differ by at most 10\.0; got differences up to 10\.5"):
        MAKERS["descent"]((1,)).update(10.5, 0.0)


@pytest.mark.parametrize("make", [MAKERS["Bayes"], MAKERS["portfolio"]])
def test_log_gates_survive_one_excluded_outcome_but_not_two(make: Callable[[Any], OnlineGate]) -> None:
    gate = make((1,))
    paid = gate.update(0.0, torch.inf)
    assert paid.item() == pytest.approx(np.log(2))
    assert gate.alpha().item() > 0.5
    with pytest.raises(ValueError, match="positive probability"):
        gate.update(torch.inf, torch.inf)


def test_bayes_that_ruled_a_predictor_out_cannot_fall_back_on_it() -> None:
    gate = BayesMixtureGate((1,))
    gate.update(0.0, torch.inf)
    assert gate.alpha().item() == 1
    with pytest.raises(ValueError, match="positive probability"):
        gate.update(torch.inf, 0.0)
