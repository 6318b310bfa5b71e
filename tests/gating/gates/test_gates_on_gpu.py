"""Gates on a GPU give what they give on the CPU."""

import pytest
import torch

from gating.gates.effective import effective_gate, effective_gate_squared
from gating.gates.effective_weights import effective_weights
from gating.gates.exponential_weights import ExponentialWeightsGate
from gating.gates.universal_portfolio import UniversalPortfolioGate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use"),
]


def _normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("weights", [None, torch.linspace(0.5, 1.5, 40)])
def test_effective_gates_agree(weights):
    t, *known = _normal(4, 12, 40, 5).log_softmax(-1)
    known[1][0] = known[0][0]  # no weight is better than another
    moved = [part.cuda() for part in (t, *known)]
    for solve, given in ((effective_gate, 2), (effective_gate_squared, 2)):
        wanted, found = solve(t, *known[:given], weights), solve(moved[0], *moved[1 : 1 + given], weights)
        for mine, other in zip(found, wanted, strict=True):
            assert mine.is_cuda
            torch.testing.assert_close(mine.cpu(), other, rtol=0, atol=1e-8, equal_nan=True)
    wanted, found = effective_weights(t, known, weights), effective_weights(moved[0], moved[1:], weights)
    torch.testing.assert_close(found.residual.cpu(), wanted.residual, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", [ExponentialWeightsGate, UniversalPortfolioGate])
def test_online_gates_play_the_same_with_cells_of_the_cpu(kind):
    how = {"horizon": 600} if kind is UniversalPortfolioGate else {"loss_range": 1.0}
    gates = [kind((3, 2), **how), kind((3, 2), **how).cuda()]
    losses, cells = _normal(30, 2, 3).sigmoid(), torch.arange(90).view(30, 3) % 2
    for (g, h), visited in zip(losses, cells, strict=True):
        one, other = (gate.update(g, h, visited) for gate in gates)
        torch.testing.assert_close(other.cpu(), one, rtol=0, atol=1e-9)
    torch.testing.assert_close(gates[1].bound().cpu(), gates[0].bound(), rtol=1e-9, atol=1e-9)
