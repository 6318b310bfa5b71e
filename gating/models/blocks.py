"""The block that every Transformer here is made of, with R replicas computed at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gating.models.activation import gelu
from gating.models.attention import Attention, Rotary, require_heads
from gating.models.layers import LayerNorm, Linear, n_replicas, rows_of
from gating.models.recording import is_recorded
from theory.validation import require_instances, require_integer, require_positive, require_scalar

__all__ = ["Block", "require_shape", "through"]

LARGEST_DEPTH, LARGEST_HIDDEN = 2**10, 2**20
HIDDEN_AT_ONCE = 2**19
"""Numbers of the hidden layer that are computed together, where no compiler plans its memory."""


def require_shape(width: int, depth: int, heads: int, mlp_factor: float) -> int:
    """Checks the shape of a Transformer.

    Returns:
        Width of the hidden layers.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> require_shape(64, 2, 3, 4.0)
        Traceback (most recent call last):
        ...
        ValueError: `width` must be even and a multiple of `heads` = 3; got 64
    """
    require_integer("depth", depth, least=1, most=LARGEST_DEPTH)
    require_heads(width, heads)
    hidden = require_scalar("mlp_factor", require_positive("mlp_factor", mlp_factor)) * width
    if hidden > LARGEST_HIDDEN:
        raise ValueError(f"`mlp_factor` must be at most {LARGEST_HIDDEN} / `width`; got {mlp_factor!r}")
    if hidden < 1:
        raise ValueError(f"`mlp_factor` must be at least 1 / `width`; got {mlp_factor!r}")
    return round(hidden)


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
        hidden = require_shape(width, 1, heads, mlp_factor)
        require_instances(attention_bias=(attention_bias, bool))
        self.norm_attention, self.norm_mlp = (LayerNorm(width, n_replicas(rngs)) for _ in range(2))
        self.attention = Attention(width, heads, rngs, bias=attention_bias, rotary=rotary, std=std)
        self.up, self.down = Linear(width, hidden, rngs, std=std), Linear(hidden, width, rngs, std=std)

    def forward(self, x: Tensor, *, last_only: bool) -> Tensor:
        """(R, B, T, width) -> (R, B, T, width), or (R, B, 1, width) when `last_only`."""
        mixed = self.attention(self.norm_attention(x), last_only=last_only)
        return self._perceive((x[:, :, -1:] if last_only else x) + mixed)

    def of_tokens(self, table: Tensor, tokens: Tensor) -> Tensor:
        """The same for sequences of few distinct tokens: (R, V, width), (R, B, T) in 0 .. V - 1 -> (R, B, T, width)."""
        return self._perceive(rows_of(table, tokens) + self.attention.of_tokens(self.norm_attention(table), tokens))

    def _perceive(self, x: Tensor) -> Tensor:
        """Adds the perceptron; on a CPU so many rows at once as keep the hidden layer in a core's cache."""
        rows = x.flatten(1, -2)
        whole = x.is_cuda or is_recorded()
        most = rows.shape[1] if whole else max(1, HIDDEN_AT_ONCE // self.up.weight[..., 0, :].numel())
        parts = [part + self.down(gelu(self.up(self.norm_mlp(part)))) for part in rows.split(most, dim=1)]
        return torch.cat(parts, dim=1).view(x.shape)


def through(blocks: nn.ModuleList, x: Tensor, *, last_only: bool = False) -> Tensor:
    """The stream after all blocks; with `last_only` the last of them computes the last position alone."""
    for place, block in enumerate(blocks, start=1):
        x = block(x, last_only=last_only and place == len(blocks))
    return x
