"""A convolutional network that reads images, trained jointly with the Transformer that reads its features."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gating.models.layers import Linear, n_replicas
from gating.tasks.sequences import Sequences
from theory.validation import require_sizes

__all__ = ["Convolution", "ImageEncoder", "ReadingImages"]

CHANNELS = (16, 32, 32)


class Convolution(nn.Module):
    """Convolutions of R replicas with a stride of 2: normal weights of variance 2 / (inputs of a sum), zero biases.

    Args:
        n_in: input channels.
        n_out: output channels.
        rngs: one generator per replica; a replica's initial weights depend on its own alone.
        size: pixels along each side of the kernel, odd.

    Attributes:
        weight: shape (R, n_out, n_in, size, size).
        bias: shape (R, n_out).

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> from gating.models.layers import generators
        >>> Convolution(1, 16, generators([0, 1]))(torch.zeros(2, 5, 1, 28, 28)).shape
        torch.Size([2, 5, 16, 14, 14])
    """

    def __init__(self, n_in: int, n_out: int, rngs: Sequence[torch.Generator], *, size: int = 3):
        super().__init__()
        require_sizes(n_in=n_in, n_out=n_out, size=size)
        drawn = [torch.randn(n_out, n_in, size, size, generator=rng) for rng in rngs]
        self.weight = nn.Parameter(torch.stack(drawn) * (2 / (n_in * size * size)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(n_replicas(rngs), n_out))

    def forward(self, x: Tensor) -> Tensor:
        """(R, B, n_in, s, s) -> (R, B, n_out, s', s'), s' = s / 2 rounded up: one convolution in R groups."""
        beside = x.transpose(0, 1).flatten(1, 2)
        weight, pad = self.weight.flatten(0, 1), self.weight.shape[-1] // 2
        found = nn.functional.conv2d(beside, weight, self.bias.flatten(), stride=2, padding=pad, groups=len(x))
        return found.unflatten(1, (len(x), -1)).transpose(0, 1)


class ImageEncoder(nn.Module):
    """Three convolutions with ReLU, and a linear map: images of s x s pixels to `width` features.

    Args:
        pixels: s, >= 8.
        width: number of features.
        rngs: one source of initial weights per replica.

    Example:
        >>> from gating.models.layers import generators
        >>> ImageEncoder(28, 64, generators([0]))(torch.zeros(1, 32, 3, 28 * 28)).shape
        torch.Size([1, 32, 3, 64])
    """

    def __init__(self, pixels: int, width: int, rngs: Sequence[torch.Generator]):
        super().__init__()
        require_sizes(pixels=pixels, width=width)
        self.pixels = pixels
        pairs = zip((1, *CHANNELS), CHANNELS, strict=False)
        self.convolutions = nn.ModuleList([Convolution(n_in, n_out, rngs) for n_in, n_out in pairs])
        side = -(-pixels // 2 ** len(CHANNELS))
        self.features = Linear(CHANNELS[-1] * side * side, width, rngs)

    def forward(self, x: Tensor) -> Tensor:
        """(R, B, T, s * s) -> (R, B, T, width)."""
        seen = x.flatten(1, 2).unflatten(-1, (1, self.pixels, self.pixels))
        for convolution in self.convolutions:
            seen = convolution(seen).relu()
        return self.features(seen.flatten(2)).unflatten(1, x.shape[1:3]).to(x.dtype)


class ReadingImages(nn.Module):
    """Models of sequences that read images through an encoder.

    Args:
        encoder: from images to the model's inputs.
        model: from sequences of these to log-probabilities.
    """

    def __init__(self, encoder: ImageEncoder, model: nn.Module):
        super().__init__()
        self.encoder, self.model = encoder, model

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the query's labels, (R, B, ...) -> (R, B, C)."""
        answer: Tensor = self.model(sequences._replace(x=self.encoder(sequences.x)))
        return answer
