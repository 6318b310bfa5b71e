"""Decoder-only Transformers for the task families: urns, linear regression, item labels; R replicas at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gating.models.attention import Rotary
from gating.models.blocks import Block, require_shape, through
from gating.models.layers import LayerNorm, Linear, ReadOut, one_hot
from gating.tasks.sequences import Sequences
from theory.validation import require_integer, require_sizes

__all__ = ["Decoder", "ItemDecoder", "RegressionDecoder", "UrnDecoder"]

INITIAL_STD = 0.02
"""Standard deviation of all initial weights, GPT-NeoX's own."""


class Decoder(nn.Module):
    """Pre-norm decoders of GPT-NeoX's form: rotary positions on a quarter of each head, no biases in the attention.

    Args:
        n_in: width of a token.
        n_out: width of an answer.
        length: longest sequence of tokens.
        depth: number of blocks, >= 1.
        heads: attention heads, a divisor of `width`; a quarter of a head must be an even number of features.
        width: width of the stream, even.
        mlp_factor: hidden width of the perceptron over `width`, > 0.
        rngs: one source of initial weights per replica.

    Raises:
        ValueError: naming the argument, the allowed set and the value.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        length: int,
        *,
        depth: int = 1,
        heads: int = 1,
        width: int = 64,
        mlp_factor: float = 4.0,
        rngs: Sequence[torch.Generator],
    ):
        super().__init__()
        require_shape(width, depth, heads, mlp_factor)
        if width % (8 * heads):
            raise ValueError(f"`width` must be a multiple of 8 `heads` = {8 * heads}; got {width!r}")
        require_sizes(width=width, length=length)
        rotary = Rotary(width // heads // 4, length)
        self.embed = Linear(n_in, width, rngs, bias=False, std=INITIAL_STD)
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_factor, rngs, attention_bias=False, rotary=rotary, std=INITIAL_STD)
            for _ in range(depth)
        )
        self.norm = LayerNorm(width, len(rngs))
        self.read_out = ReadOut(width, n_out, rngs, bias=False, std=INITIAL_STD)

    def answers(self, x: Tensor, *, last_only: bool = False) -> Tensor:
        """From embedded tokens, (R, B, T, width) -> (R, B, T, n_out), or (R, B, 1, n_out) when `last_only`."""
        x = x.to(self.norm.scale.dtype)  # a product of the embedding may have made it of fewer digits
        return self.read_out(self.norm(through(self.blocks, x, last_only=last_only)))


class UrnDecoder(Decoder):
    """Reads a start token and the draws so far; answers with the colour of each draw.

    Args: as `Decoder`; `dim` is the number of colours m and `length` the number of draws T. There are m + 1 tokens,
        the last being the start.

    Example:
        >>> from gating.models.layers import generators
        >>> model = UrnDecoder(8, 128, rngs=generators([0]))
        >>> sum(p.numel() for p in model.parameters())
        51008
    """

    def __init__(self, dim: int, length: int, *, rngs: Sequence[torch.Generator], **shape: Any):
        self.n_colours = require_integer("dim", dim, least=2)
        require_sizes(dim=dim, length=length)
        super().__init__(dim + 1, dim + 1, length, rngs=rngs, **shape)

    def logits(self, sequences: Sequences) -> Tensor:
        """Before the softmax, the start token's included, which no draw is: (R, B, T, m + 1)."""
        y = sequences.y
        shown = torch.cat([torch.full_like(y[..., :1], self.n_colours), y[..., :-1]], dim=-1)
        first: Any = self.blocks[0]
        x = through(self.blocks[1:], first.of_tokens(self.embed.weight, shown))
        return self.read_out(self.norm(x))

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the colour of each draw, given those before it: (R, B, T, m)."""
        return self.logits(sequences)[..., : self.n_colours].log_softmax(-1)


class RegressionDecoder(Decoder):
    """Reads x_1, y_1, ..., x_T as tokens (0, x) and (y, 0); answers each y at its x.

    Args: as `Decoder`; `dim` is the number of features m and `length` the number of pairs T.

    Example:
        >>> from gating.models.layers import generators
        >>> batch = Sequences(torch.zeros(1, 5, 16, 8), torch.zeros(1, 5, 16), torch.zeros(1, 5, 16))
        >>> RegressionDecoder(8, 16, depth=2, rngs=generators([0]))(batch).shape
        torch.Size([1, 5, 16])
    """

    def __init__(self, dim: int, length: int, *, rngs: Sequence[torch.Generator], **shape: Any):
        require_sizes(dim=dim, length=length)
        super().__init__(dim + 1, 1, 2 * length - 1, rngs=rngs, **shape)

    def forward(self, sequences: Sequences) -> Tensor:
        """Mean of each y given its x and the pairs before it, (R, B, T)."""
        x, y = pad(sequences.x, (1, 0)), pad(sequences.y.unsqueeze(-1), (0, sequences.x.shape[-1]))
        tokens = torch.stack([x, y], dim=-2).flatten(-3, -2)[..., :-1, :]
        return self.answers(self.embed(tokens))[..., ::2, 0]


class ItemDecoder(Decoder):
    """Reads pairs as tokens (x, one-hot y) and the query as (x, 0); answers with the label of the query.

    An item and its label are one token, so that a single block can copy a label from where its item is.

    Args: as `Decoder`; `dim` is the number of features m and `length` the number of pairs with the query, L + 1.

    Example:
        >>> from gating.models.layers import generators
        >>> y = torch.zeros(1, 5, 128, dtype=torch.int64)
        >>> ItemDecoder(8, 128, rngs=generators([0]))(Sequences(torch.zeros(1, 5, 128, 8), y, y)).shape
        torch.Size([1, 5, 2])

    Source: G. Reddy. The mechanistic basis of data dependence and abrupt learning in an in-context classification
    task. ICLR 2024, for items and labels; A. Nguyen and G. Reddy (2024) for one block.
    """

    def __init__(self, dim: int, length: int, *, rngs: Sequence[torch.Generator], **shape: Any):
        require_sizes(dim=dim, length=length)
        super().__init__(dim + 2, 2, length, rngs=rngs, **shape)

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the query's labels, (R, B, 2)."""
        shown = pad(one_hot(sequences.context_y, 2, sequences.x.dtype), (0, 0, 0, 1))
        tokens = torch.cat([sequences.x, shown], dim=-1)
        return self.answers(self.embed(tokens), last_only=True).squeeze(-2).log_softmax(-1)
