"""The block's parts: rotary positions, attention by plain products, and the answer at the last position alone."""

import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from gating.models import blocks
from gating.models.attention import Attention, Rotary, causal_attention
from gating.models.blocks import Block, require_shape
from gating.models.layers import generators


def _normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _random_block(bias, rotary):
    """Two replicas, two heads; every parameter random, so that scales, shifts and biases count."""
    block = Block(16, 2, 1.5, generators([0, 1]), attention_bias=bias, rotary=rotary).double()
    with torch.no_grad():
        for number, parameter in enumerate(block.parameters()):
            parameter += 0.3 * _normal(*parameter.shape, seed=number)
    return block


def test_a_rotary_turn_is_a_rotation_of_feature_pairs_by_the_positions_angles():
    """Pair (i, i + n / 2) as a complex number is multiplied by exp(i t 10000^(-2 i / n)); the rest is unchanged."""
    rotary, x = Rotary(6, 40).double(), _normal(2, 40, 10)
    turned = rotary(x)
    assert torch.equal(turned[..., 6:], x[..., 6:])
    for t in (0, 1, 17, 39):
        for i in range(3):
            angle = t * 10_000 ** (-2 * i / 6)
            wanted = torch.complex(x[:, t, i], x[:, t, i + 3]) * complex(math.cos(angle), math.sin(angle))
            found = torch.complex(turned[:, t, i], turned[:, t, i + 3])
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)  # angles are tabulated in float32
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-6, atol=0)
    assert torch.equal(rotary(x[:, 5:9], start=5), turned[:, 5:9])


def test_the_product_of_a_turned_query_and_key_depends_on_their_distance():
    rotary, query, key = Rotary(8, 64).double(), _normal(8), _normal(8, seed=1)
    q, k = rotary(query.expand(64, 8)), rotary(key.expand(64, 8))
    products = q @ k.T
    for distance in (-20, -1, 0, 1, 5, 40):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-4)
    assert (products.diagonal(1)[0] - products.diagonal(5)[0]).abs() > 0.1


@pytest.mark.parametrize("value", [0, 3, 2.0])
def test_an_odd_number_of_turned_features_is_refused(value):
    with pytest.raises(ValueError, match=r"^`n_features` must be .*; got "):
        Rotary(value, 4)


@pytest.mark.parametrize("shape", [(6, 2, 16, 8), (3, 1, 128, 64), (1, 4, 250, 8)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_attention_by_products_is_that_of_the_fused_kernel(shape, dtype, tolerance):
    """Values, and gradients of queries, keys and values."""
    parts = [_normal(*shape, seed=seed, dtype=dtype).requires_grad_() for seed in range(3)]
    weight, results = _normal(*shape, seed=3, dtype=dtype), []
    for function in (causal_attention, lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True)):
        out = function(*parts)
        results.append([out, *torch.autograd.grad((out * weight).sum(), parts)])
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=tolerance * max(1, other.abs().max().item()))


@pytest.mark.parametrize("seen", [10, 20, 130, 257])
def test_values_may_be_wider_or_narrower_than_queries(seen):
    """Values side by side give what each gives alone, in every kernel."""
    q, k, v = (_normal(2, 3, seen, width, seed=seed) for seed, width in enumerate((8, 8, 24)))
    alone = [causal_attention(q, k, part) for part in v.split(8, dim=-1)]
    torch.testing.assert_close(causal_attention(q, k, v), torch.cat(alone, dim=-1), rtol=1e-12, atol=1e-12)
    narrow = causal_attention(q, k, v[..., :3])
    torch.testing.assert_close(narrow, alone[0][..., :3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seen", [1, 7, 15, 16, 100, 512, 513])
def test_attention_of_the_last_position_is_the_last_of_all(seen):
    q, k, v = (_normal(2, 3, seen, 4, seed=seed) for seed in range(3))
    last = causal_attention(q[..., -1:, :], k, v)
    torch.testing.assert_close(last, causal_attention(q, k, v)[..., -1:, :], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tokens", [5, 20])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_the_last_position_alone_is_the_last_of_all(bias, turned, tokens):
    rotary = Rotary(4, tokens) if turned else None
    block = _random_block(bias, rotary)
    x = _normal(2, 3, tokens, 16, seed=50)
    whole = block(x, last_only=False)
    assert whole.shape == (2, 3, tokens, 16)
    torch.testing.assert_close(block(x, last_only=True), whole[:, :, -1:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tokens", [5, 20, 100])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_tokens_of_a_vocabulary_are_the_rows_of_its_table(bias, turned, tokens):
    """Answers and all gradients, of two replicas with two heads."""
    rotary = Rotary(4, tokens) if turned else None
    block = _random_block(bias, rotary)
    table = _normal(2, 7, 16, seed=50).requires_grad_()
    rows = torch.randint(7, (2, 3, tokens), generator=torch.Generator().manual_seed(1))
    weight, results = _normal(2, 3, tokens, 16, seed=51), []
    written_out = torch.stack([part[row] for part, row in zip(table, rows, strict=True)])
    for out in (block.of_tokens(table, rows), block(written_out, last_only=False)):
        results.append([out, *torch.autograd.grad((out * weight).sum(), [table, *block.parameters()])])
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("most", [1, 200, 1000])
def test_rows_taken_together_or_apart_give_the_same(most, monkeypatch):
    block, x = _random_block(True, None), _normal(2, 3, 20, 16, seed=50)
    whole = block(x, last_only=False)
    monkeypatch.setattr(blocks, "HIDDEN_AT_ONCE", most)
    torch.testing.assert_close(block(x, last_only=False), whole, rtol=1e-12, atol=1e-12)


def test_attention_has_biases_of_queries_values_and_output_or_none():
    names = {name for name, _ in Attention(8, 1, generators([0])).named_parameters()}
    assert names == {"query_key_value.weight", "query_bias", "value_bias", "out.weight", "out.bias"}
    names = {name for name, _ in Attention(8, 1, generators([0]), bias=False).named_parameters()}
    assert names == {"query_key_value.weight", "out.weight"}


def test_the_standard_deviation_of_initial_weights_can_be_given():
    block = Block(64, 1, 4.0, generators([0, 1]), std=0.02)
    for name, parameter in block.named_parameters():
        if name.endswith("weight"):
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 1, 1, 4.0), "`width` must be an integer in 1 .. 8192; got 0"),
        ((8, 0, 1, 4.0), "`depth` must be an integer in 1 .. 1024; got 0"),
        ((8, 1, 3, 4.0), "`width` must be even and a multiple of `heads` = 3; got 8"),
        ((7, 1, 1, 4.0), "`width` must be even and a multiple of `heads` = 1; got 7"),
        ((8, 1, 1, 0.1), "`mlp_factor` must be at least 1 / `width`; got 0.1"),
        ((8, 1, 1, 2.0**18), r"`mlp_factor` must be at most 1048576 / `width`; got 262144\.0"),
    ],
)
def test_a_shape_out_of_its_set_is_named(arguments, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        require_shape(*arguments)
