"""The stylized model is the mixture of its parts."""

import pytest
import torch

from gating.gates.learned import GATE_INPUTS, MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.tasks.sequences import Sequences

R, B, C, D, L = 3, 40, 5, 6, 2


def _model(inputs):
    rngs = generators(range(R))
    gate = MLPGate(D, L, inputs=inputs, hidden=16, rngs=rngs)
    model = StylizedModel(InWeightMLP(D, C, hidden=16, rngs=rngs), SoftmaxSimilarity(C, R, temperature=0.3), gate)
    rng = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=rng)
    return model.double()


def _sequences(seed=0):
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(0, C, (R, B, L + 1), generator=rng)
    return Sequences(torch.randn(R, B, L + 1, D, generator=rng, dtype=torch.float64), y, y)


@pytest.mark.parametrize("inputs", GATE_INPUTS)
def test_probabilities_are_the_gated_mixture(inputs):
    """f = alpha g + (1 - alpha) h; it sums to one up to the clipping of h."""
    model, sequences = _model(inputs), _sequences()
    alpha = model.gate.alpha(sequences).unsqueeze(-1)
    f, g, h = (part(sequences).exp() for part in (model, model.g, model.h))
    assert f.shape == (R, B, C)
    assert alpha.min() < 0.2 < 0.8 < alpha.max()
    torch.testing.assert_close(f, alpha * g + (1 - alpha) * h, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(f.sum(-1), torch.ones(R, B, dtype=torch.float64), rtol=0, atol=C * 1e-7)


@pytest.mark.parametrize("size", [40.0, 800.0])
def test_an_extreme_gate_gives_one_of_its_parts_and_a_finite_gradient(size):
    """alpha within exp(-40) of 0 or 1; at a logit of 800 the sigmoid itself underflows."""
    model, sequences = _model("query"), _sequences()
    last = model.gate.layers[2]
    for sign, part in ((1, model.g), (-1, model.h)):
        with torch.no_grad():
            last.weight.zero_()
            last.bias.fill_(sign * size)
        out = model(sequences)
        torch.testing.assert_close(out, part(sequences), rtol=1e-9, atol=1e-9)
        model.zero_grad()
        out.gather(-1, sequences.target.unsqueeze(-1)).sum().backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("inputs", GATE_INPUTS)
def test_the_gate_sees_the_inputs_it_is_named_for_and_no_labels(inputs):
    model, sequences = _model(inputs), _sequences()
    alpha = model.gate.alpha(sequences)
    assert alpha.shape == (R, B)
    assert torch.equal(model.gate.alpha(sequences._replace(y=(sequences.y + 1) % C)), alpha)
    for place in range(L + 1):
        x = sequences.x.clone()
        x[..., place, :] += 1
        seen = place == L or inputs == "query_and_context"
        assert torch.equal(model.gate.alpha(sequences._replace(x=x)), alpha) == (not seen)


def test_the_gate_is_a_perceptron():
    """sigmoid(W2 relu(W1 x + b1) + b2), replica by replica."""
    gate, sequences = _model("query_and_context").gate, _sequences()
    first, last = gate.layers[0], gate.layers[2]
    for r in range(R):
        hidden = (sequences.x[r].flatten(1) @ first.weight[r] + first.bias[r]).relu()
        wanted = 1 / (1 + (-(hidden @ last.weight[r] + last.bias[r])).exp())
        torch.testing.assert_close(gate.alpha(sequences)[r], wanted[:, 0], rtol=1e-12, atol=0)


def test_a_gate_with_other_inputs_is_refused():
    with pytest.raises(ValueError, match=r"^`inputs` must be one of \('query', 'query_and_context'\); got 'labels'$"):
        MLPGate(D, L, inputs="labels", rngs=generators([0]))


def test_a_replica_depends_on_its_own_parameters_and_inputs():
    model, sequences = _model("query_and_context"), _sequences()
    out = model(sequences)
    x = sequences.x.clone()
    x[1] += 1
    moved = model(sequences._replace(x=x))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter[1] += 0.1
    retrained = model(sequences)
    for other in (moved, retrained):
        assert torch.equal(other[[0, 2]], out[[0, 2]])
        assert not torch.isclose(other[1], out[1]).all(-1).any()
    retrained[1].sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad[[0, 2]] == 0).all(), name


@pytest.mark.parametrize("inputs", GATE_INPUTS)
def test_normalised_inputs_are_those_of_weights_and_gate_and_not_of_copying(inputs):
    model, sequences = _model(inputs), _sequences()
    x = sequences.x
    seen = sequences._replace(x=(x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt())
    alpha = model.gate.alpha(seen).unsqueeze(-1)
    by_hand = alpha * model.g(seen).exp() + (1 - alpha) * model.h(sequences).exp()
    plain = model(sequences).exp()
    model.normalised = True
    torch.testing.assert_close(model(sequences).exp(), by_hand)
    assert not torch.allclose(plain, by_hand, atol=1e-2)
