"""Layers of many models at once: every parameter and every activation has a leading replica dimension R.

One batched matrix product serves all replicas, and a replica's output depends on its own parameters and inputs alone.
A single model is the case R = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from theory.validation import is_integer, require_integer

__all__ = ["LayerNorm", "Linear", "affine", "generators", "rows_of"]


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One source of initial weights per replica, never torch's global state; seeds in -2^63 .. 2^64 - 1."""
    if not isinstance(seeds, Sequence):
        raise ValueError(f"`seeds` must be one integer per replica; got {seeds!r}")
    for seed in seeds:
        if not is_integer(seed) or not -(2**63) <= seed < 2**64:
            raise ValueError(f"`seeds` must be integers in -2^63 .. 2^64 - 1; got {seed!r}")
    return [torch.Generator().manual_seed(int(seed)) for seed in seeds]


class Linear(nn.Module):
    """Linear maps of R replicas: normal weights, zero biases.

    Args:
        n_in: input width.
        n_out: output width.
        rngs: one generator per replica; a replica's initial weights depend on its own alone.
        bias: whether to add a bias.
        std: standard deviation of the initial weights; n_in^(-1/2) (LeCun) when None.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Attributes:
        weight: shape (R, n_in, n_out).
        bias: shape (R, 1, n_out), or None.

    Example:
        >>> layer = Linear(64, 10, generators([0, 1, 2]))
        >>> layer(torch.zeros(3, 5, 64)).shape
        torch.Size([3, 5, 10])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        rngs: Sequence[torch.Generator],
        *,
        bias: bool = True,
        std: float | None = None,
    ):
        super().__init__()
        require_integer("n_in", n_in, least=1)
        require_integer("n_out", n_out, least=1)
        if not isinstance(rngs, Sequence) or not rngs or not all(isinstance(rng, torch.Generator) for rng in rngs):
            raise ValueError(f"`rngs` must be one torch.Generator per replica, at least one; got {rngs!r}")
        drawn = [torch.randn(n_in, n_out, generator=rng) for rng in rngs]
        self.weight = nn.Parameter(torch.stack(drawn) * (n_in**-0.5 if std is None else std))
        self.bias = nn.Parameter(torch.zeros(len(drawn), 1, n_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(R, ..., n_in) -> (R, ..., n_out)."""
        return affine(x, self.weight, self.bias)


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight + bias`` for each replica: (R, ..., n_in), (R, n_in, n_out), (R, 1, n_out) -> (R, ..., n_out)."""
    rows = x.flatten(1, -2)
    out = torch.bmm(rows, weight) if bias is None else torch.baddbmm(bias, rows, weight)
    return out.view(*x.shape[:-1], -1)


def rows_of(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of each replica's table: (R, V, n), integers (R, ...) in 0 .. V - 1 -> (R, ..., n)."""
    first = torch.arange(0, table.shape[0] * table.shape[1], table.shape[1], device=rows.device)
    return nn.functional.embedding(rows + first.view(-1, *[1] * (rows.dim() - 1)), table.flatten(0, 1))


class LayerNorm(nn.Module):
    """Layer normalisation with one scale and shift per replica.

    Args:
        width: number of features.
        n_replicas: R.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> LayerNorm(4, 2)(torch.ones(2, 3, 4)).abs().max().item()
        0.0
    """

    def __init__(self, width: int, n_replicas: int):
        super().__init__()
        require_integer("width", width, least=1)
        require_integer("n_replicas", n_replicas, least=1)
        self.scale = nn.Parameter(torch.ones(n_replicas, 1, width))
        self.shift = nn.Parameter(torch.zeros(n_replicas, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """(R, ..., width) -> (R, ..., width)."""
        if len(x) == 1:  # the fused operation knows one scale and shift
            return nn.functional.layer_norm(x, x.shape[-1:], self.scale[0, 0], self.shift[0, 0])
        rows = nn.functional.layer_norm(x.flatten(1, -2), x.shape[-1:])
        return torch.addcmul(self.shift, rows, self.scale).view(x.shape)
