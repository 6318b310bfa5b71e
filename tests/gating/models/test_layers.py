"""Layers of many models at once against torch's own, one replica at a time."""

import pytest
import torch
import torch.nn.functional as F

from gating.models.layers import LayerNorm, Linear, generators, rows_of


@pytest.mark.parametrize("lead", [(5,), (5, 2), (5, 2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_one_linear_map_per_replica(lead, bias):
    layer = Linear(4, 6, generators([0, 1, 2]), bias=bias)
    if bias:
        torch.nn.init.normal_(layer.bias, generator=generators([3])[0])
    x = torch.randn(3, *lead, 4, generator=generators([4])[0])
    out = layer(x)
    assert out.shape == (3, *lead, 6)
    for r in range(3):
        wanted = F.linear(x[r], layer.weight[r].T, layer.bias[r, 0] if bias else None)
        torch.testing.assert_close(out[r], wanted, rtol=1e-5, atol=1e-6)


def test_initial_weights_have_variance_one_over_inputs_and_biases_are_zero():
    """The mean square of n normals with variance 1 / 64 is within 5 standard errors sqrt(2 / n) / 64 of it."""
    layer = Linear(64, 256, generators([0, 1]))
    n = layer.weight.numel()
    assert abs(layer.weight.square().mean() * 64 - 1) < 5 * (2 / n) ** 0.5
    assert abs(layer.weight.mean()) < 5 / (64 * n) ** 0.5
    assert (layer.bias == 0).all()
    assert not torch.equal(layer.weight[0], layer.weight[1])


def test_initial_weights_leave_the_global_state_alone():
    before = torch.get_rng_state()
    Linear(4, 4, generators([0]))
    assert torch.equal(torch.get_rng_state(), before)


def test_layer_norm_is_one_layer_norm_per_replica():
    layer = LayerNorm(8, 3)
    rng = generators([0])[0]
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=rng)
    x = 3 + 2 * torch.randn(3, 5, 4, 8, generator=rng)
    out = layer(x)
    for r in range(3):
        wanted = F.layer_norm(x[r], (8,), layer.scale[r, 0], layer.shift[r, 0])
        torch.testing.assert_close(out[r], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lead", [(5,), (5, 2)])
def test_rows_of_a_replica_come_from_its_own_table(lead):
    rng = generators([0])[0]
    table, rows = torch.randn(3, 7, 4, generator=rng), torch.randint(7, (3, *lead), generator=rng)
    found = rows_of(table, rows)
    assert found.shape == (3, *lead, 4)
    for r in range(3):
        assert torch.equal(found[r], table[r][rows[r]])
