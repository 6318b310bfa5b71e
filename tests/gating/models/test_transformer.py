"""The Transformer against a plain reference with the same weights, and what it may and may not see."""

import math

import pytest
import torch
import torch.nn.functional as F

from gating.models.layers import generators
from gating.models.transformer import Transformer, sinusoidal_positions
from gating.tasks.sequences import Sequences

R, B, C = 3, 5, 7
SHAPES = [
    {"width": 64, "depth": 2, "heads": 1, "mlp_factor": 4.0, "length": 1},
    {"width": 8, "depth": 3, "heads": 4, "mlp_factor": 1.5, "length": 6},
    {"width": 6, "depth": 1, "heads": 3, "mlp_factor": 0.25, "length": 2},
]


def _sequences(width, length, dtype=torch.float64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(R, B, length + 1, width, generator=rng, dtype=dtype)
    y = torch.randint(0, C, (R, B, length + 1), generator=rng)
    return Sequences(x, y, y)


def _model(width, depth, heads, mlp_factor, length, dtype=torch.float64):
    """Every parameter random, so that scales, shifts and biases count."""
    sizes = {"depth": depth, "heads": heads, "width": width, "mlp_factor": mlp_factor}
    model = Transformer(width, C, length, **sizes, rngs=generators(range(R))).to(dtype)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=rng)
    return model


def _reference(weights, position, x, y, *, depth, heads):
    """One model on one sequence x (L + 1, width), y (L + 1,): pre-norm blocks on tokens x_1, y_1, ..., x."""
    n, width = x.shape
    tokens = []
    for i in range(n):
        tokens.append(x[i] + position[i])
        if i < n - 1:
            tokens.append(weights["embed_label.weight"][y[i]] + position[i])
    stream = torch.stack(tokens)

    def linear(name, value):
        return F.linear(value, weights[f"{name}.weight"].T, weights[f"{name}.bias"][0])

    def norm(name, value):
        return F.layer_norm(value, (width,), weights[f"{name}.scale"][0], weights[f"{name}.shift"][0])

    for b in range(depth):
        block = f"blocks.{b}"
        attention = f"{block}.attention"
        seen = norm(f"{block}.norm_attention", stream)
        q, k, v = (seen @ part for part in weights[f"{attention}.query_key_value.weight"].chunk(3, dim=-1))
        q, v = q + weights[f"{attention}.query_bias"][0], v + weights[f"{attention}.value_bias"][0]
        mixed = []
        for head in range(heads):
            cut = slice(head * width // heads, (head + 1) * width // heads)
            scores = q[:, cut] @ k[:, cut].T / math.sqrt(width // heads)
            future = torch.ones(len(scores), len(scores), dtype=torch.bool).triu(1)
            mixed.append(scores.masked_fill(future, -math.inf).softmax(-1) @ v[:, cut])
        stream = stream + linear(f"{block}.attention.out", torch.cat(mixed, dim=-1))
        hidden = linear(f"{block}.up", norm(f"{block}.norm_mlp", stream))
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
        stream = stream + linear(f"{block}.down", hidden)
    return linear("read_out", norm("norm", stream[-1])).log_softmax(-1)


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_log_probabilities_are_those_of_a_plain_transformer(sizes, dtype, tolerance):
    model = _model(**sizes, dtype=dtype)
    sequences = _sequences(sizes["width"], sizes["length"], dtype)
    out = model(sequences)
    assert out.shape == (R, B, C)
    torch.testing.assert_close(out.exp().sum(-1), torch.ones(R, B, dtype=dtype), rtol=0, atol=10 * tolerance)
    for r in range(R):
        weights = {name: p[r] for name, p in model.named_parameters()}
        for b in range(B):
            one = sequences.x[r, b], sequences.y[r, b]
            wanted = _reference(weights, model.positions, *one, depth=sizes["depth"], heads=sizes["heads"])
            torch.testing.assert_close(out[r, b], wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("sizes", SHAPES)
def test_the_target_and_the_true_classes_are_hidden_and_every_context_label_is_read(sizes):
    model, sequences = _model(**sizes), _sequences(sizes["width"], sizes["length"])
    out = model(sequences)
    for place in range(sizes["length"] + 1):
        y = sequences.y.clone()
        y[..., place] = (y[..., place] + 1) % C
        changed = model(sequences._replace(y=y))
        assert torch.equal(changed, out) == (place == sizes["length"])
    assert torch.equal(model(sequences._replace(classes=(sequences.classes + 1) % C)), out)


def test_attention_is_causal():
    """Position t of a block depends on tokens 0 .. t alone."""
    model, rng = _model(**SHAPES[1]), torch.Generator().manual_seed(2)
    stream = torch.randn(R, B, 13, 8, generator=rng, dtype=torch.float64)
    out = model.blocks[0](stream, last_only=False)
    for t in range(12):
        changed = stream.clone()
        changed[:, :, t + 1] += torch.arange(8) % 3
        other = model.blocks[0](changed, last_only=False)
        torch.testing.assert_close(other[:, :, : t + 1], out[:, :, : t + 1], rtol=1e-12, atol=1e-12)
        assert (other[:, :, t + 1 :] - out[:, :, t + 1 :]).abs().amin(dim=(0, 1, 3)).min() > 0
    last = model.blocks[0](stream, last_only=True)
    torch.testing.assert_close(last, out[:, :, -1:], rtol=1e-12, atol=1e-12)


def test_a_replica_depends_on_its_own_parameters_and_inputs():
    model, sequences = _model(**SHAPES[0]), _sequences(64, 1)
    out = model(sequences)
    x = sequences.x.clone()
    x[1] += 1
    y = sequences.y.clone()
    y[1] = (y[1] + 1) % C
    moved = model(sequences._replace(x=x, y=y))
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


def test_initial_weights_of_a_replica_follow_from_its_own_generator():
    alone = Transformer(64, C, 1, rngs=generators([5])).state_dict()
    among = Transformer(64, C, 1, rngs=generators([3, 5, 4])).state_dict()
    for name, value in alone.items():
        assert torch.equal(value[0], among[name][1])
    assert not torch.equal(among["read_out.weight"][0], among["read_out.weight"][1])


def test_positions_are_those_of_the_formula():
    """sin and cos of position / 10000^(2i / width)."""
    table = sinusoidal_positions(5, 8)
    for place in range(5):
        angles = [place / 10_000 ** (2 * i / 8) for i in range(4)]
        wanted = [*map(math.sin, angles), *map(math.cos, angles)]
        torch.testing.assert_close(table[place], torch.tensor(wanted), rtol=1e-6, atol=1e-6)


BAD_ARGUMENTS = [
    ({"width": 32}, "`width` must equal `dim` = 64, as inputs enter the stream unchanged; got 32"),
    ({"depth": 0}, "`depth` must be an integer in 1 .. 1024; got 0"),
    ({"heads": 0}, "`width` must be even and a multiple of `heads` = 0; got 64"),
    ({"heads": 5}, "`width` must be even and a multiple of `heads` = 5; got 64"),
    ({"dim": 3, "width": 3, "heads": 3}, "`width` must be even and a multiple of `heads` = 3; got 3"),
    ({"mlp_factor": 0.01}, "`mlp_factor` must be at least 1 / `width`; got 0.01"),
    ({"mlp_factor": float("nan")}, "`mlp_factor` must be a finite number > 0; got nan"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD_ARGUMENTS)
def test_bad_arguments_are_named(changes, sentence):
    arguments = {"dim": 64, "n_labels": C, "context_length": 1, "rngs": generators([0])} | changes
    with pytest.raises(ValueError, match="^" + sentence + "$"):
        Transformer(**arguments)
