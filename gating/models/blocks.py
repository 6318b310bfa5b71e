"""The block that every Transformer here is made of, with R replicas computed at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from gating.models.layers import LayerNorm, Linear, affine
from theory.validation import require_integer, require_positive, require_scalar

__all__ = ["Attention", "Block", "Rotary", "require_shape"]

LARGEST_HIDDEN = 2**20


def require_shape(width: int, depth: int, heads: int, mlp_factor: float) -> None:
    """Checks the shape of a Transformer.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> require_shape(64, 2, 3, 4.0)
        Traceback (most recent call last):
        ...
        ValueError: `width` must be even and a multiple of `heads` = 3; got 64
    """
    require_integer("width", width, least=1)
    require_integer("depth", depth, least=1)
    if require_integer("heads", heads) < 1 or width % heads or width % 2:
        raise ValueError(f"`width` must be even and a multiple of `heads` = {heads}; got {width!r}")
    hidden = require_scalar("mlp_factor", require_positive("mlp_factor", mlp_factor)) * width
    if hidden > LARGEST_HIDDEN:
        raise ValueError(f"`mlp_factor` must be at most {LARGEST_HIDDEN} / `width`; got {mlp_factor!r}")
    if hidden < 1:
        raise ValueError(f"`mlp_factor` must be at least 1 / `width`; got {mlp_factor!r}")


class Rotary(nn.Module):
    r"""Rotary positions on the first features of each head.

    Feature pairs (i, i + n / 2) of the first n are turned by the angle :math:`t\, 10000^{-2 i / n}` at position t, so
    that the product of a query and a key depends on the distance between them.

    Args:
        n_features: n, even, at most the width of a head.
        n_positions: longest sequence.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Source: J. Su et al. RoFormer: Enhanced Transformer with Rotary Position Embedding. 2021; in halves as in GPT-NeoX.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, n_features: int, n_positions: int):
        super().__init__()
        if require_integer("n_features", n_features, least=2) % 2:
            raise ValueError(f"`n_features` must be even; got {n_features!r}")
        self.n_features = n_features
        rate = 10_000.0 ** (-torch.arange(0, n_features, 2) / n_features)
        angle = torch.arange(require_integer("n_positions", n_positions, least=1)).unsqueeze(-1) * rate
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, heads: Tensor, start: int = 0) -> Tensor:
        """Queries or keys of positions `start`, `start` + 1, ..., (..., T, width of a head), turned by them."""
        n, places = self.n_features, slice(start, start + heads.shape[-2])
        a, b, rest = heads.split([n // 2, n // 2, heads.shape[-1] - n], dim=-1)
        cos, sin = self.cos[places], self.sin[places]
        return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], dim=-1)


class Attention(nn.Module):
    """Causal multi-head self-attention; `last_only` asks for the output at the last position alone.

    With `bias`, queries, values and the output have biases. Keys have none: it would cancel in the softmax, and an
    optimizer that normalises gradients, as Adam does, would turn the rounding errors of its zero gradient into steps.
    """

    query_bias: Tensor | None
    value_bias: Tensor | None

    def __init__(
        self,
        width: int,
        heads: int,
        rngs: Sequence[torch.Generator],
        *,
        bias: bool = True,
        rotary: Rotary | None = None,
        std: float | None = None,
    ):
        super().__init__()
        self.heads, self.rotary = heads, rotary
        self.query_key_value = Linear(width, 3 * width, rngs, bias=False, std=std)
        for name in ("query_bias", "value_bias"):
            self.register_parameter(name, nn.Parameter(torch.zeros(len(rngs), 1, width)) if bias else None)
        self.out = Linear(width, width, rngs, bias=bias, std=std)

    def forward(self, x: Tensor, *, last_only: bool) -> Tensor:
        """(R, B, T, width) -> (R, B, T, width), or (R, B, 1, width) when `last_only`."""
        weight, width = self.query_key_value.weight, x.shape[-1]
        if last_only:
            q = self._heads(affine(x[:, :, -1:], weight[..., :width], self.query_bias), start=x.shape[-2] - 1)
            k, v = affine(x, weight[..., width:], self._bias(width)).chunk(2, dim=-1)
        else:
            q, k, v = affine(x, weight, self._bias(0)).chunk(3, dim=-1)
            q = self._heads(q, start=0)
        mixed = causal_attention(q, self._heads(k, start=0), self._heads(v, start=None))
        return self.out(mixed.transpose(1, 2).flatten(2).unflatten(0, x.shape[:2]))

    def _heads(self, x: Tensor, *, start: int | None) -> Tensor:
        """(R, B, T, width) -> (R B, heads, T, width / heads), turned by positions from `start` on."""
        heads = x.flatten(0, 1).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads if start is None or self.rotary is None else self.rotary(heads, start)

    def _bias(self, first: int) -> Tensor | None:
        """Biases of queries, keys and values side by side, from feature `first` on."""
        if self.query_bias is None or self.value_bias is None:
            return None
        return torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias], dim=-1)[..., first:]


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention of the last positions, each to itself and those before: (N, heads, S or T, f) -> (.., S, f).

    On a CPU, 16 to 256 tokens are computed by plain products: at 31 and 128 tokens nine tenths of the fused kernel's
    time, and a fifth or less of it with matrix products below the highest precision (benchmarks/matmul.py).
    """
    length, seen = q.shape[-2], k.shape[-2]
    if q.is_cuda or not 16 <= seen <= 256:
        return scaled_dot_product_attention(q, k, v, is_causal=length > 1)
    hidden = torch.full((length, seen), -torch.inf, dtype=q.dtype, device=q.device).triu(1 + seen - length)
    return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + hidden, dim=-1) @ v


class Block(nn.Module):
    """Pre-norm block: attention, then a GELU perceptron, each added to the stream."""

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_factor: float,
        rngs: Sequence[torch.Generator],
        *,
        attention_bias: bool = True,
        rotary: Rotary | None = None,
        std: float | None = None,
    ):
        super().__init__()
        hidden = round(mlp_factor * width)
        self.norm_attention, self.norm_mlp = LayerNorm(width, len(rngs)), LayerNorm(width, len(rngs))
        self.attention = Attention(width, heads, rngs, bias=attention_bias, rotary=rotary, std=std)
        self.up, self.down = Linear(width, hidden, rngs, std=std), Linear(hidden, width, rngs, std=std)

    def forward(self, x: Tensor, *, last_only: bool) -> Tensor:
        """(R, B, T, width) -> (R, B, T, width), or (R, B, 1, width) when `last_only`."""
        mixed = self.attention(self.norm_attention(x), last_only=last_only)
        x = (x[:, :, -1:] if last_only else x) + mixed
        return x + self.down(gelu(self.up(self.norm_mlp(x))))
