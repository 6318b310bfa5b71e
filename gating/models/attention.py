"""Causal attention with rotary positions, of R replicas at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from gating.models.layers import Linear, affine, n_replicas, one_hot, rows_of
from gating.models.recording import is_recorded
from theory.validation import require_instances, require_integer, require_sizes

__all__ = ["Attention", "Rotary", "causal_attention", "require_heads"]

LARGEST_WIDTH = 2**13
"""Of the stream; the maps to queries, keys and values are the largest table of attention."""

SHORT = 16
"""Tokens below which a recorded step has sums in place of matrix products, which would be too small."""

ROWS_AT_ONCE = 64
"""Queries whose scores are computed together, from the keys up to the last of them."""


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
        require_sizes(n_features=n_features, n_positions=n_positions)
        if n_features % 2:
            raise ValueError(f"`n_features` must be even; got {n_features!r}")
        self.n_features = n_features
        rate = 10_000.0 ** (-torch.arange(0, n_features, 2) / n_features)
        angle = torch.arange(n_positions).unsqueeze(-1) * rate
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, heads: Tensor, start: int = 0) -> Tensor:
        """Queries or keys of positions `start`, `start` + 1, ..., (..., T, width of a head), turned by them."""
        n, places = self.n_features, slice(start, start + heads.shape[-2])
        a, b, rest = heads.split([n // 2, n // 2, heads.shape[-1] - n], dim=-1)
        cos, sin = self.cos[places], self.sin[places]
        return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], dim=-1)


def require_heads(width: int, heads: int) -> None:
    """Checks the width of the stream and the number of heads, which share it.

    Raises:
        ValueError: naming the argument, the allowed set and the value.
    """
    require_integer("width", width, least=1, most=LARGEST_WIDTH)
    if require_integer("heads", heads, most=LARGEST_WIDTH) < 1 or width % heads or width % 2:
        raise ValueError(f"`width` must be even and a multiple of `heads` = {heads}; got {width!r}")


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
        require_heads(width, heads)
        require_instances(rotary=(rotary, Rotary | None))
        self.heads, self.rotary = heads, rotary
        self.query_key_value = Linear(width, 3 * width, rngs, bias=False, std=std)
        self.out = Linear(width, width, rngs, bias=bias, std=std)
        for name in ("query_bias", "value_bias"):
            self.register_parameter(name, nn.Parameter(torch.zeros(n_replicas(rngs), 1, width)) if bias else None)

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

    def of_tokens(self, table: Tensor, tokens: Tensor) -> Tensor:
        """The same for sequences of few distinct tokens: (R, V, width), (R, B, T) in 0 .. V - 1 -> (R, B, T, width).

        A token's query, key and value do not depend on its sequence: each is computed once for every token and, where
        it is turned, position. With the weights of a position i summed over the places of each token c, ``m_ic``, head
        h adds ``sum_c m_ic v_c W_h`` to the output, so that values are mixed and mapped once per token, too.
        """
        length = tokens.shape[-1]
        q, k, v = affine(table, self.query_key_value.weight, self._bias(0)).chunk(3, dim=-1)
        places = tokens * length + torch.arange(length, device=tokens.device)
        q, k = (self._heads(rows_of(self._everywhere(x, length), places), start=None) for x in (q, k))
        shown = one_hot(tokens, table.shape[-2], table.dtype).flatten(0, 1).unsqueeze(1)
        mass = causal_attention(q, k, shown).transpose(1, 2).flatten(2).unflatten(0, tokens.shape[:2])
        mapped = v.unflatten(-1, (self.heads, -1)).transpose(1, 2) @ self.out.weight.unflatten(1, (self.heads, -1))
        return affine(mass, mapped.flatten(1, 2), self.out.bias)

    def _everywhere(self, x: Tensor, length: int) -> Tensor:
        """Queries or keys of every token, (R, V, width), at every position: (R, V T, width)."""
        turned = self._heads(x.unsqueeze(2).expand(-1, -1, length, -1), start=0)
        return turned.transpose(1, 2).flatten(2).unflatten(0, (len(x), -1)).flatten(1, 2)

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

    The values' width may differ from that of queries and keys. On a CPU, 16 to 512 tokens are computed by plain
    products, 64 queries at a time and no key after the last of them: the fused kernel's time or less, down to 0.7 of it
    at 512 tokens, and 0.1 to 0.7 of it with matrix products below the highest precision (benchmarks/matmul.py). Where a
    step is recorded as a graph, fewer tokens are sums that the graph's compiler fuses.
    """
    length, seen = q.shape[-2], k.shape[-2]
    if seen < SHORT and is_recorded():
        return _short_attention(q, k, v)
    if q.is_cuda or not SHORT <= seen <= 512:
        return scaled_dot_product_attention(q, k, v, is_causal=length > 1)
    q, mixed = q * q.shape[-1] ** -0.5, []
    for first in range(0, length, ROWS_AT_ONCE):
        queries = q[..., first : first + ROWS_AT_ONCE, :]
        n = queries.shape[-2]
        last = seen - length + first + n
        scores = queries @ k[..., :last, :].transpose(-2, -1) + _hidden(n, last, q)
        mixed.append(torch.softmax(scores, dim=-1) @ v[..., :last, :])
    return torch.cat(mixed, dim=-2)


def _short_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same without matrix products, in single precision or better."""
    q, k, v = (part.float() if part.dtype == torch.bfloat16 else part for part in (q, k, v))
    scores = ((q * q.shape[-1] ** -0.5).unsqueeze(-2) * k.unsqueeze(-3)).sum(-1)
    weights = torch.softmax(scores + _hidden(scores.shape[-2], scores.shape[-1], q), dim=-1)
    return (weights.unsqueeze(-1) * v.unsqueeze(-3)).sum(-2)


def _hidden(n: int, last: int, like: Tensor) -> Tensor:
    """What is added to the scores of the last n of so many positions: minus infinity for the keys behind each."""
    return torch.full((n, last), -torch.inf, dtype=like.dtype, device=like.device).triu(1 + last - n)
