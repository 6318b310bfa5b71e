"""Samplers draw on a GPU what they draw on the CPU: the same labels and classes, inputs within rounding."""

import pytest
import torch

from gating.pictures.sampler import ImageMixtureSampler
from gating.tasks import counter
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.urns import Urns
from theory.distribution import ClassMixture

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use"),
]
SPECS = [ClassMixture(dim=8, context_length=4, label_noise=noise, input_noise=0.3) for noise in (0.0, 0.2)]
QUERY, RELEVANT = torch.arange(10).repeat(20), torch.arange(200) % 3 > 0
EXEMPLARS = torch.linspace(-1, 1, 10 * 3 * 8).view(10, 3, 8)


def _classes(device):
    made = ClassMixtureSampler(SPECS, [2**40, 100], [0, 7], device=device)
    fresh = made.fresh(3, QUERY, RELEVANT)
    rows = made.training_rows(torch.arange(100).expand(2, -1))  # asked for from the CPU
    return [*made.batches(5, 3, 16), *fresh, *made.out_of_base(fresh), *rows]


def _images(device):
    made = ImageMixtureSampler(EXEMPLARS, SPECS, [2**40, 100], [0, 7], device=device)
    return [*made.batches(5, 3, 16), *made.fresh(3, QUERY, RELEVANT)]


def _tasks(kind):
    def drawn(device):
        made = kind([4, 64], [0, 7], dim=4, length=12, device=device)
        return [*made.batches(5, 3, 16), *made.fresh(3, 50), *made.fresh(3, 50, unseen=True)]

    return drawn


DRAWN = {
    "class mixture": _classes,
    "images": _images,
    "urns": _tasks(Urns),
    "linear regression": _tasks(LinearRegression),
    "item labels": _tasks(ItemLabels),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_sequences_are_those_of_the_cpu(draw):
    for mine, wanted in zip(draw("cuda"), draw("cpu"), strict=True):
        assert mine.is_cuda
        if wanted.is_floating_point():
            torch.testing.assert_close(mine.cpu(), wanted, rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(mine.cpu(), wanted)


def test_bits_and_uniforms_are_those_of_the_cpu():
    keys = counter.row_keys(counter.seed_keys([3, -1], "order"), torch.tensor([[0, 1, 2**40]] * 2))
    assert torch.equal(counter.hashes(keys.cuda(), 5, 1000).cpu(), counter.hashes(keys, 5, 1000))
    assert torch.equal(counter.uniforms(keys.cuda(), 5, 1000).cpu(), counter.uniforms(keys, 5, 1000))
