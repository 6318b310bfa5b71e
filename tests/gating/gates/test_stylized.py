"""What the parts of a stylized model see."""

import torch

from gating.gates.learned import MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.tasks.sequences import Sequences

X, Y = torch.randn(2, 5, 3, 8, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 5, 3, dtype=torch.int64)


def model(normalised: bool) -> StylizedModel:
    rngs = generators([0, 1])
    gate = MLPGate(8, 2, inputs="query_and_context", rngs=rngs)
    return StylizedModel(InWeightMLP(8, 4, rngs=rngs), SoftmaxSimilarity(4, 2), gate, normalised=normalised)


def test_normalised_inputs_are_those_of_weights_and_gate_and_not_of_copying():
    seen = model(True).seen(Sequences(X, Y, Y)).x
    torch.testing.assert_close(seen.mean(-1), torch.zeros(2, 5, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(seen.var(-1, correction=0), torch.ones(2, 5, 3), atol=1e-3, rtol=0)
    torch.testing.assert_close(model(True)(Sequences(X, Y, Y)), _by_hand(Sequences(X, Y, Y), Sequences(seen, Y, Y)))


def test_a_scale_of_the_inputs_changes_copying_alone():
    scaled = Sequences(3 * X + 1, Y, Y)
    by_hand = _by_hand(scaled, Sequences(X, Y, Y)._replace(x=model(True).seen(Sequences(X, Y, Y)).x))
    torch.testing.assert_close(model(True)(scaled), by_hand, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model(False)(scaled), model(False)(Sequences(X, Y, Y)), atol=1e-3)


def _by_hand(read: Sequences, seen: Sequences) -> torch.Tensor:
    """The mixture, its copier reading one sequence, g and gate the other."""
    parts = model(False)
    alpha = parts.gate.alpha(seen).unsqueeze(-1)
    return (alpha * parts.g(seen).exp() + (1 - alpha) * parts.h(read).exp()).log()
