"""Convolutions of many models at once are those of each."""

import torch
from torch import nn

from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.pictures.encoder import Convolution, ImageEncoder, ReadingImages
from gating.tasks.sequences import Sequences


def test_a_replica_is_a_convolution_of_its_own():
    layer = Convolution(3, 5, generators([0, 1, 2]))
    x = torch.randn(3, 4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(1))
    for r in range(3):
        alone = nn.functional.conv2d(x[r], layer.weight[r], layer.bias[r], stride=2, padding=1)
        assert torch.allclose(layer(x)[r], alone, atol=1e-5)
    assert not torch.equal(layer.weight[0], layer.weight[1])
    assert torch.equal(Convolution(3, 5, generators([1])).weight[0], layer.weight[1])


def test_images_are_read_one_by_one_and_each_replica_learns_alone():
    encoder = ImageEncoder(12, 6, generators([0, 1]))
    x = torch.randn(2, 3, 2, 144, generator=torch.Generator().manual_seed(0))
    whole = encoder(x)
    assert whole.shape == (2, 3, 2, 6)
    assert torch.allclose(encoder(x[:, 1:2, 1:])[:, 0, 0], whole[:, 1, 1], atol=1e-5)
    whole[0].square().sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad[0].abs().sum() > 0 == parameter.grad[1].abs().sum()


def test_a_transformer_reads_features_of_pixels():
    rngs = generators([0, 1])
    encoder, model = ImageEncoder(8, 4, rngs), Transformer(4, 5, 2, width=4, rngs=rngs)
    x, y = torch.randn(2, 3, 3, 64), torch.zeros(2, 3, 3, dtype=torch.int64)
    both = ReadingImages(encoder, model)(Sequences(x, y, y))
    assert torch.equal(both, model(Sequences(encoder(x), y, y)))
    assert both.shape == (2, 3, 5)
