"""Principal components of images, fixed before training: what a model reads in place of pixels."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from theory.validation import require_integer

__all__ = ["Components"]


class Components(NamedTuple):
    r"""Directions in which images differ most.

    An image p is read as :math:`x = A (p - \bar p)`, where the rows of A are the first d eigenvectors of the pixels'
    covariance over the images that it was made of, all times one number such that the mean of :math:`|x|^2` over them
    is 1: that of the class centres of :class:`theory.distribution.ClassMixture`, so that `input_noise` means the same.

    Attributes:
        mean: mean image, shape (s * s,).
        directions: shape (d, s * s).
        kept: share of the variance that the d directions have, in [0, 1].
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    kept: float

    @classmethod
    def of(cls, images: NDArray[np.uint8], dim: int) -> "Components":
        """Those of images.

        Args:
            images: uint8, shape (K, T, s, s); those that are trained on alone.
            dim: d, in 1 .. the number of pixels, and less than the number of images.

        Raises:
            ValueError: naming the argument, the allowed set and the value.

        Example:
            >>> chance = np.random.default_rng(0)
            >>> images = chance.integers(256, size=(5, 4, 8, 8), dtype=np.uint8)
            >>> found = Components.of(images, 3)
            >>> x = found.of_images(images)
            >>> tuple(x.shape), round(float((x**2).sum(-1).mean()), 4)
            ((5, 4, 3), 1.0)
        """
        flat = images.reshape(-1, images.shape[-2] * images.shape[-1]).astype(np.float64) / 255
        dim = require_integer("dim", dim, least=1, most=min(flat.shape[1], len(flat) - 1))
        mean = flat.mean(0)
        flat -= mean
        values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
        first = slice(None, -dim - 1, -1)
        directions = vectors.T[first]
        directions = (
            directions * np.sign(directions[np.arange(dim), abs(directions).argmax(1)])[:, None]
        )  # on any machine
        return cls(mean, directions / values[first].sum() ** 0.5, float(values[first].sum() / values.sum()))

    def of_images(self, images: NDArray[np.uint8]) -> Tensor:
        """Images of shape (..., s, s) as float32 of shape (..., d)."""
        flat = images.reshape(*images.shape[:-2], -1).astype(np.float64) / 255
        return torch.from_numpy(((flat - self.mean) @ self.directions.T).astype(np.float32))
