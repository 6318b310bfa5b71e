"""A decoder-only Transformer on (input, label) sequences, in one file; R replicas are computed at once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gating.models.blocks import Block, require_shape, through
from gating.models.layers import LayerNorm, Linear, ReadOut, one_hot
from gating.tasks.sequences import Sequences
from theory.fields import shown
from theory.validation import require_integer, require_sizes

__all__ = ["Transformer", "sinusoidal_positions"]


class Transformer(nn.Module):
    """Decoder-only Transformers that read ``x_1, y_1, ..., x_L, y_L, x`` and predict the label of ``x``.

    Inputs enter the stream unchanged, labels by a learned linear map of their one-hot code, and both tokens of a pair
    share a sinusoidal position. Only the query's answer is read, so the last block computes that position alone.

    Args:
        dim: input dimension d; must equal `width`.
        n_labels: number of labels C.
        context_length: number of context pairs L.
        depth: number of blocks, >= 1.
        heads: attention heads, a divisor of `width`.
        width: width of the stream, even.
        mlp_factor: hidden width of the perceptron over `width`, > 0.
        rngs: one source of initial weights per replica.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> from gating.models.layers import generators
        >>> model = Transformer(64, 10, 1, rngs=generators([0, 1]))
        >>> y = torch.zeros(2, 32, 2, dtype=torch.int64)
        >>> model(Sequences(torch.randn(2, 32, 2, 64), y, y)).shape
        torch.Size([2, 32, 10])

    Source: Chan et al. (2025), Transformer of the synthetic experiments.
    """

    positions: Tensor

    def __init__(
        self,
        dim: int,
        n_labels: int,
        context_length: int,
        *,
        depth: int = 2,
        heads: int = 1,
        width: int = 64,
        mlp_factor: float = 4.0,
        rngs: Sequence[torch.Generator],
    ):
        super().__init__()
        require_sizes(dim=dim, n_labels=n_labels)
        require_sizes(dim=dim, context_length=require_integer("context_length", context_length) + 1)
        if require_integer("width", width, least=1) != dim:
            wrong = f"got {shown(width)}"
            raise ValueError(f"`width` must equal `dim` = {dim}, as inputs enter the stream unchanged; {wrong}")
        require_shape(width, depth, heads, mlp_factor)
        self.n_labels = n_labels
        self.embed_label = Linear(n_labels, width, rngs, bias=False)
        self.blocks = nn.ModuleList([Block(width, heads, mlp_factor, rngs) for _ in range(depth)])
        self.norm = LayerNorm(width, len(rngs))
        self.read_out = ReadOut(width, n_labels, rngs)
        self.register_buffer("positions", sinusoidal_positions(context_length + 1, width), persistent=False)

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the query's labels, (R, B, ...) -> (R, B, C)."""
        x = through(self.blocks, self._tokens(sequences), last_only=True)
        return self.read_out(self.norm(x)).squeeze(-2).log_softmax(-1)

    def _tokens(self, sequences: Sequences) -> Tensor:
        """x_1, y_1, ..., x with positions, shape (R, B, 2 L + 1, width)."""
        inputs = sequences.x + self.positions
        shown = one_hot(sequences.context_y, self.n_labels, inputs.dtype)
        labels = self.embed_label(shown) + self.positions[:-1]
        pairs = torch.stack([inputs[:, :, :-1], labels], dim=-2).flatten(-3, -2)
        return torch.cat([pairs, inputs[:, :, -1:]], dim=-2)


def sinusoidal_positions(n_positions: int, width: int) -> Tensor:
    """Sines and cosines of wavelengths 2 pi to 10,000 * 2 pi, shape (n_positions, width).

    Raises:
        ValueError: when a count is no integer >= 1, or `width` is odd.

    Example:
        >>> sinusoidal_positions(2, 4)[0].tolist()
        [0.0, 0.0, 1.0, 1.0]

    Source: A. Vaswani et al. Attention Is All You Need. NeurIPS 2017, section 3.5.
    """
    require_sizes(n_positions=n_positions, width=width)
    if width % 2:
        raise ValueError(f"`width` must be even; got {width!r}")
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(n_positions).unsqueeze(-1) * rate
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
