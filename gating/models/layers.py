"""Layers of many models at once: every parameter and every activation has a leading replica dimension R.

One batched matrix product serves all replicas, and a replica's output depends on its own parameters and inputs alone.
A single model is the case R = 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from theory.fields import shown
from theory.validation import require_instances, require_integers, require_nonnegative, require_scalar, require_sizes

__all__ = ["FullLinear", "LayerNorm", "Linear", "ReadOut", "affine", "generators", "n_replicas", "one_hot", "rows_of"]


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One source of initial weights per replica, never torch's global state; seeds in -2^63 .. 2^64 - 1."""
    checked = require_integers("seeds", seeds, least=-(2**63), most=2**64 - 1)
    return [torch.Generator().manual_seed(seed) for seed in checked]


def n_replicas(rngs: Sequence[torch.Generator]) -> int:
    """How many replicas are made from these sources of initial weights, at least one.

    Raises:
        ValueError: naming `rngs`, the allowed set and the value.
    """
    if not isinstance(rngs, Sequence) or not rngs or not all(isinstance(rng, torch.Generator) for rng in rngs):
        raise ValueError(f"`rngs` must be one torch.Generator per replica, at least one; got {shown(rngs)}")
    return len(rngs)


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
        self, n_in: int, n_out: int, rngs: Sequence[torch.Generator], *, bias: bool = True, std: float | None = None
    ):
        super().__init__()
        require_sizes(n_in=n_in, n_out=n_out)
        require_instances(bias=(bias, bool))
        wide = n_in**-0.5 if std is None else require_scalar("std", require_nonnegative("std", std))
        biases = torch.zeros(n_replicas(rngs), 1, n_out)
        self.weight = nn.Parameter(torch.stack([torch.randn(n_in, n_out, generator=rng) for rng in rngs]) * wide)
        self.bias = nn.Parameter(biases) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(R, ..., n_in) -> (R, ..., n_out)."""
        return affine(x, self.weight, self.bias)


class FullLinear(Linear):
    """Linear maps that are computed in the parameters' precision whatever that of other products is."""

    def forward(self, x: Tensor) -> Tensor:
        """(R, ..., n_in) -> (R, ..., n_out)."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


class ReadOut(Linear):
    """Linear maps to few answers, computed in the parameters' precision whatever that of other products is."""

    def forward(self, x: Tensor) -> Tensor:
        """(R, ..., n_in) -> (R, ..., n_out)."""
        with torch.autocast(x.device.type, enabled=False):
            rows = x.to(self.weight.dtype).flatten(1, -2)
            out = torch.bmm(self.weight.mT, rows.mT).mT  # much faster for few columns: benchmarks/step_parts.py
            return (out if self.bias is None else out + self.bias).view(*x.shape[:-1], -1)


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight + bias`` for each replica: (R, ..., n_in), (R, n_in, n_out), (R, 1, n_out) -> (R, ..., n_out)."""
    rows = x.flatten(1, -2)
    out = torch.bmm(rows, weight) if bias is None else torch.baddbmm(bias, rows, weight)
    return out.view(*x.shape[:-1], -1)


def rows_of(table: Tensor, rows: Tensor) -> Tensor:
    """Rows of each replica's table: (R, V, n), integers (R, ...) in 0 .. V - 1 -> (R, ..., n)."""
    first = torch.arange(0, table.shape[0] * table.shape[1], table.shape[1], device=rows.device)
    return nn.functional.embedding(rows + first.view(-1, *[1] * (rows.dim() - 1)), table.flatten(0, 1))


def one_hot(values: Tensor, n: int, dtype: torch.dtype) -> Tensor:
    """1 at the place of each value and 0 elsewhere: integers (...) in 0 .. n - 1 -> (..., n).

    Unlike torch's own, it looks at no value, so that a step can be recorded as a graph.

    Example:
        >>> one_hot(torch.tensor([2, 0]), 3, torch.float32).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return (values.unsqueeze(-1) == torch.arange(n, device=values.device)).to(dtype)


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
        require_sizes(width=width, n_replicas=n_replicas)
        self.scale = nn.Parameter(torch.ones(n_replicas, 1, width))
        self.shift = nn.Parameter(torch.zeros(n_replicas, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """(R, ..., width) -> (R, ..., width)."""
        if len(x) == 1:  # the fused operation knows one scale and shift
            return nn.functional.layer_norm(x, x.shape[-1:], self.scale[0, 0], self.shift[0, 0])
        rows = nn.functional.layer_norm(x.flatten(1, -2), x.shape[-1:])
        return torch.addcmul(self.shift, rows, self.scale).view(x.shape)
