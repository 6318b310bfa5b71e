"""What every online gate keeps to: shapes, cells, independence, state, and errors that name the argument."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
    LogLossGate,
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
def test_a_fresh_gate_plays_one_half_and_has_no_regret(make: Callable[[Any], OnlineGate]) -> None:
    gate = make((2, 3))
    torch.testing.assert_close(gate.alpha(), torch.full((2, 3), 0.5, dtype=torch.float64))
    assert (gate.regret() == 0).all()
    assert (gate.bound() >= 0).all()


@GATES
def test_only_visited_cells_learn(make: Callable[[Any], OnlineGate], generator: torch.Generator) -> None:
    gate = make((2, 2, 4))
    cells = torch.tensor([[0, 3], [1, 1]])
    for _ in range(5):
        paid = gate.update(draw(generator, 2, 2) + 3, draw(generator, 2, 2), cells)
        assert paid.shape == gate.alpha(cells).shape == (2, 2)
    visited = torch.zeros(2, 2, 4, dtype=torch.bool).scatter(-1, cells[..., None], True)
    assert (gate.alpha()[visited] < 0.5).all()
    assert (gate.alpha()[~visited] == 0.5).all() or torch.allclose(gate.alpha()[~visited], torch.tensor(0.5).double())
    assert (gate.rounds.reshape(gate.shape) == 5 * visited).all()
    torch.testing.assert_close(gate.alpha(cells), gate.alpha().gather(-1, cells[..., None])[..., 0])


@GATES
def test_a_learner_does_not_depend_on_its_neighbours(
    make: Callable[[Any], OnlineGate], generator: torch.Generator
) -> None:
    together, alone, by_cells = make((3, 4)), make((1, 1)), make((3, 4))
    losses = draw(generator, 30, 2, 3, 4)
    for g, h in losses:
        together.update(g, h)
        alone.update(g[1, 2], h[1, 2])
        for cell in range(4):
            by_cells.update(g[:, cell], h[:, cell], torch.full((3,), cell))
    torch.testing.assert_close(together.alpha()[1, 2], alone.alpha()[0, 0], rtol=1e-12, atol=0)
    torch.testing.assert_close(together.alpha(), by_cells.alpha(), rtol=1e-12, atol=0)
    torch.testing.assert_close(together.regret(), by_cells.regret(), rtol=1e-10, atol=1e-12)


@GATES
def test_a_saved_gate_goes_on_as_if_uninterrupted(
    make: Callable[[Any], OnlineGate], generator: torch.Generator
) -> None:
    whole, first, second = make((5,)), make((5,)), make((5,))
    losses = draw(generator, 40, 2, 5)
    for t, (g, h) in enumerate(losses):
        whole.update(g, h)
        if t == 20:
            second.load_state_dict(first.state_dict())
        (first if t < 20 else second).update(g, h)
        if t == 19:
            second.load_state_dict(first.state_dict())
    torch.testing.assert_close(whole.alpha(), second.alpha(), rtol=0, atol=0)
    torch.testing.assert_close(whole.bound(), second.bound(), rtol=0, atol=0)


@GATES
def test_swapping_the_predictors_mirrors_the_gate(
    make: Callable[[Any], OnlineGate], generator: torch.Generator
) -> None:
    one, other = make((6,)), make((6,))
    for g, h in draw(generator, 40, 2, 6):
        paid, mirrored = one.update(g, h), other.update(h, g)
        torch.testing.assert_close(paid, mirrored)
    torch.testing.assert_close(one.alpha(), 1 - other.alpha())


@GATES
def test_what_is_paid_is_what_was_played(make: Callable[[Any], OnlineGate], generator: torch.Generator) -> None:
    gate = make((6,))
    for g, h in draw(generator, 40, 2, 6):
        alpha = gate.alpha()
        expected = alpha * g + (1 - alpha) * h
        if isinstance(gate, LogLossGate):
            expected = -(alpha * (-g).exp() + (1 - alpha) * (-h).exp()).log()
        torch.testing.assert_close(gate.update(g, h), expected)
    assert gate.alpha().dtype == torch.float64


@GATES
def test_weights_handed_out_are_not_the_state(make: Callable[[Any], OnlineGate]) -> None:
    gate = make((2,))
    gate.alpha().fill_(0.9)
    torch.testing.assert_close(gate.alpha(), torch.full((2,), 0.5, dtype=torch.float64))


@GATES
@pytest.mark.parametrize("bad", [float("nan"), "much", torch.zeros(3), None])
def test_bad_losses_are_named_and_change_nothing(make: Callable[[Any], OnlineGate], bad: Any) -> None:
    gate = make((2,))
    before = {name: value.clone() for name, value in gate.state_dict().items()}
    for pair in ((bad, 1.0), (1.0, bad)):
        with pytest.raises(ValueError, match="`loss_in_"):
            gate.update(*pair)
    for name, value in gate.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@GATES
@pytest.mark.parametrize(
    "cells", [torch.tensor([0.0, 1.0]), torch.tensor([0, 3]), torch.tensor([-1, 0]), torch.tensor([0]), [0, 1]]
)
def test_bad_cells_are_named(make: Callable[[Any], OnlineGate], cells: Any) -> None:
    gate = make((2, 3))
    with pytest.raises(ValueError, match="`cells`"):
        gate.alpha(cells)
    with pytest.raises(ValueError, match="`cells`"):
        gate.update(0.0, 1.0, cells)


@GATES
@pytest.mark.parametrize("shape", [(), (0,), (2.5,), 3, "ab", (-1, 2), (np.nan,)])
def test_bad_shapes_are_named(make: Callable[[Any], OnlineGate], shape: Any) -> None:
    with pytest.raises(ValueError, match="`shape`"):
        make(shape)


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


@GATES
def test_an_autograd_loss_leaves_no_graph(make: Callable[[Any], OnlineGate]) -> None:
    loss = torch.tensor([1.0, 2.0], requires_grad=True)
    gate = make((2,))
    assert not gate.update(loss, 0.0).requires_grad
    assert not gate.alpha().requires_grad
