"""The decoders against a plain one of a single model with the same weights, and what they may and may not see."""

import math

import pytest
import torch
import torch.nn.functional as F

from gating.models.decoder import ItemDecoder, RegressionDecoder, UrnDecoder
from gating.models.layers import generators
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.sequences import Sequences
from gating.tasks.urns import Urns

R, B, DIM, LENGTH = 3, 4, 4, 12
FAMILIES = {
    "urns": (UrnDecoder, Urns),
    "linear_regression": (RegressionDecoder, LinearRegression),
    "item_labels": (ItemDecoder, ItemLabels),
}
SHAPES = [
    {"depth": 1, "heads": 1, "width": 16, "mlp_factor": 4.0},
    {"depth": 3, "heads": 2, "width": 16, "mlp_factor": 0.5},
]


def _sequences(family):
    drawn = FAMILIES[family][1]([4] * R, range(R), dim=DIM, length=LENGTH).fresh(0, B)
    return Sequences(*(part.double() if part.is_floating_point() else part for part in drawn))


def _model(family, shape, seeds=range(R)):
    """Every parameter random, so that scales, shifts and biases count."""
    model = FAMILIES[family][0](DIM, LENGTH, rngs=generators(list(seeds)), **shape).double()
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape[1:], generator=rng, dtype=torch.float64)
    return model


def _tokens(family, x, y):
    """Tokens of one sequence, and the positions that are answered."""
    if family == "urns":
        shown = [DIM, *y.tolist()[:-1]]
        return F.one_hot(torch.tensor(shown), DIM + 1).double(), list(range(LENGTH))
    if family == "item_labels":
        labels = [F.one_hot(y[t], 2).double() * (t < LENGTH - 1) for t in range(LENGTH)]
        return torch.stack([torch.cat([x[t], labels[t]]) for t in range(LENGTH)]), [LENGTH - 1]
    tokens, zero = [], torch.zeros(1, dtype=torch.float64)
    for t in range(LENGTH):
        tokens += [torch.cat([zero, x[t]]), torch.cat([y[t].view(1), 0 * x[t]])]
    return torch.stack(tokens[:-1]), list(range(0, 2 * LENGTH, 2))


def _turned(x, n):
    """Rotary positions one by one on the first n features."""
    out = x.clone()
    for t in range(len(x)):
        for i in range(n // 2):
            angle = torch.tensor(10_000.0 ** (-2 * i / n) * t)
            c, s = angle.cos().double(), angle.sin().double()
            out[t, i] = x[t, i] * c - x[t, i + n // 2] * s
            out[t, i + n // 2] = x[t, i + n // 2] * c + x[t, i] * s
    return out


def _reference(family, weights, x, y, *, depth, heads, width, mlp_factor):
    tokens, answered = _tokens(family, x, y)

    def norm(name, value):
        return F.layer_norm(value, (width,), weights[f"{name}.scale"][0], weights[f"{name}.shift"][0])

    stream = tokens @ weights["embed.weight"]
    for b in range(depth):
        block, size, mixed = f"blocks.{b}", width // heads, []
        q, k, v = (norm(f"{block}.norm_attention", stream) @ part
                   for part in weights[f"{block}.attention.query_key_value.weight"].chunk(3, dim=-1))  # fmt: skip
        for head in range(heads):
            cut = slice(head * size, (head + 1) * size)
            scores = _turned(q[:, cut], size // 4) @ _turned(k[:, cut], size // 4).T / math.sqrt(size)
            future = torch.ones(len(scores), len(scores), dtype=torch.bool).triu(1)
            mixed.append(scores.masked_fill(future, -math.inf).softmax(-1) @ v[:, cut])
        stream = stream + torch.cat(mixed, dim=-1) @ weights[f"{block}.attention.out.weight"]
        hidden = norm(f"{block}.norm_mlp", stream) @ weights[f"{block}.up.weight"] + weights[f"{block}.up.bias"][0]
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        stream = stream + hidden @ weights[f"{block}.down.weight"] + weights[f"{block}.down.bias"][0]
    out = (norm("norm", stream) @ weights["read_out.weight"])[answered]
    if family == "linear_regression":
        return out[:, 0]
    return out[:, :DIM].log_softmax(-1) if family == "urns" else out[0].log_softmax(-1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_and_gradients_are_those_of_a_plain_decoder(family, shape):
    """Answers of every replica and sequence; gradients of a random sum of one replica's answers. Angles of positions
    are tabulated in float32."""
    model, sequences = _model(family, shape), _sequences(family)
    out = model(sequences)
    for r in range(R):
        weights = {name: p.detach()[r].requires_grad_() for name, p in model.named_parameters()}
        wanted = torch.stack([_reference(family, weights, sequences.x[r, b], sequences.y[r, b], **shape)
                              for b in range(B)])  # fmt: skip
        torch.testing.assert_close(out[r], wanted, rtol=0, atol=1e-6)
        if r == 1:
            signs = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
            theirs = torch.autograd.grad((wanted * signs).sum(), list(weights.values()))
            mine = torch.autograd.grad((out[r] * signs).sum(), list(model.parameters()), retain_graph=True)
            for name, a, b in zip(weights, mine, theirs, strict=True):
                torch.testing.assert_close(a[r], b, rtol=1e-5, atol=1e-5, msg=name)
                assert (a[[0, 2]] == 0).all(), name


@pytest.mark.parametrize("family", ["urns", "linear_regression"])
def test_a_later_token_leaves_earlier_answers_alone(family):
    """Draw t is answered from the draws before it; outcome t from x_t and the pairs before it."""
    model, sequences = _model(family, SHAPES[1]), _sequences(family)
    out = model(sequences)
    for t in range(LENGTH):
        x, y = sequences.x.clone(), sequences.y.clone()
        y[..., t] = (y[..., t] + 1) % DIM if family == "urns" else y[..., t] + 1
        changed = model(Sequences(x, y, sequences.classes))
        torch.testing.assert_close(changed[:, :, : t + 1], out[:, :, : t + 1], rtol=0, atol=1e-12)
        later = (changed - out)[:, :, t + 1 :].abs().flatten(2)
        assert later.numel() == 0 or later.amax(-1).min() > 0
        x[..., t, :] += 1
        changed = model(Sequences(x, sequences.y, sequences.classes))
        torch.testing.assert_close(changed[:, :, :t], out[:, :, :t], rtol=0, atol=1e-12)
        assert family == "urns" or not torch.isclose(changed[:, :, t], out[:, :, t]).any()


def test_the_query_item_is_answered_from_its_input_and_all_pairs_but_not_from_its_label():
    model, sequences = _model("item_labels", SHAPES[1]), _sequences("item_labels")
    out = model(sequences)
    torch.testing.assert_close(out.exp().sum(-1), torch.ones(R, B, dtype=torch.float64))
    for t in range(LENGTH):
        y, x = sequences.y.clone(), sequences.x.clone()
        y[..., t] = 1 - y[..., t]
        x[..., t, :] += 1
        same = torch.equal(model(sequences._replace(y=y)), out)
        assert same == (t == LENGTH - 1)
        assert not torch.isclose(model(sequences._replace(x=x)), out).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_classes_are_hidden(family):
    model, sequences = _model(family, SHAPES[0]), _sequences(family)
    assert torch.equal(model(sequences._replace(classes=sequences.classes + 1)), model(sequences))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_replica_depends_on_its_own_generator_parameters_and_inputs(family):
    sequences = _sequences(family)
    together = FAMILIES[family][0](DIM, LENGTH, width=16, rngs=generators([3, 5, 4])).double()
    alone = FAMILIES[family][0](DIM, LENGTH, width=16, rngs=generators([5])).double()
    for name, value in alone.state_dict().items():
        assert torch.equal(value[0], together.state_dict()[name][1]), name
    mine = alone(Sequences(*(part[1:2] for part in sequences)))[0]
    torch.testing.assert_close(mine, together(sequences)[1], rtol=0, atol=1e-12)


def test_the_papers_model_of_urns_has_51008_parameters():
    model = UrnDecoder(8, 128, rngs=generators([0]))
    assert sum(p.numel() for p in model.parameters()) == 51_008
    by_part = 2 * 9 * 64 + 3 * 2 * 64 + 4 * 64 * 64 + 2 * 4 * 64 * 64 + 5 * 64
    assert by_part == 51_008


def test_no_answer_gives_probability_to_the_start():
    model, sequences = _model("urns", SHAPES[0]), _sequences("urns")
    assert model.logits(sequences).shape == (R, B, LENGTH, DIM + 1)
    torch.testing.assert_close(model(sequences).exp().sum(-1), torch.ones(R, B, LENGTH, dtype=torch.float64))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 12}, "`width` must be a multiple of 8 `heads` = 8; got 12"),
        ({"width": 16, "heads": 4}, "`width` must be a multiple of 8 `heads` = 32; got 16"),
        ({"depth": 0}, "`depth` must be an integer in 1 .. 1024; got 0"),
        ({"mlp_factor": 0.0}, r"`mlp_factor` must be a finite number > 0; got 0\."),
    ],
)
def test_bad_shapes_are_named(family, changes, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        FAMILIES[family][0](DIM, LENGTH, rngs=generators([0]), **changes)


def test_one_colour_is_refused():
    with pytest.raises(ValueError, match=r"^`dim` must be an integer >= 2; got 1$"):
        UrnDecoder(1, LENGTH, rngs=generators([0]))
