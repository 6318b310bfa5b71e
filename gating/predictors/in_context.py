"""In-context predictor: it copies the labels of context tokens that look like the query."""

import math

import torch
from torch import Tensor, nn

from gating.models.layers import one_hot
from gating.tasks.sequences import Sequences
from theory.validation import require_positive, require_probability, require_scalar, require_sizes

__all__ = ["SoftmaxSimilarity"]


class SoftmaxSimilarity(nn.Module):
    r"""Softmax over squared distances with a learned temperature, an induction head in one formula.

    :math:`h = \sum_l w_l e_{y_l}`, :math:`w = \mathrm{softmax}(-\|x - x_l\|^2 / \tau)`; returns
    :math:`\ln \max(h, \mathrm{clip})`. Single precision does not tell probabilities that differ by 6e-8; which label
    has the largest one is decided with a tolerance of one millionth, in measures and in exact risks alike
    (`theory.label_votes.TIE`).

    Args:
        n_labels: number of labels C.
        n_replicas: number of replicas R.
        temperature: initial tau > 0 (learned through its logarithm).
        clip: least probability, in (0, 1).

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> h = SoftmaxSimilarity(3, 1, temperature=0.1)
        >>> x, y = torch.tensor([[[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]]]), torch.tensor([[[2, 0, 2]]])
        >>> h(Sequences(x, y, y)).exp().argmax().item()
        2

    Source: Chan et al. (2025), the in-context predictor of the stylized model.
    """

    def __init__(self, n_labels: int, n_replicas: int, *, temperature: float = 1.0, clip: float = 1e-7):
        super().__init__()
        require_sizes(n_labels=n_labels, n_replicas=n_replicas)
        temperature = require_scalar("temperature", require_positive("temperature", temperature))
        self.n_labels = n_labels
        self.clip = require_scalar("clip", require_probability("clip", clip, above_zero=True, below_one=True))
        self.log_temperature = nn.Parameter(torch.full((n_replicas, 1, 1), math.log(temperature)))

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the labels, (R, B, ...) -> (R, B, C)."""
        distance = (sequences.query.unsqueeze(-2) - sequences.context_x).square().sum(-1)
        weight = (-distance * (-self.log_temperature).exp()).softmax(-1)
        shown = one_hot(sequences.context_y, self.n_labels, weight.dtype)
        return (weight.unsqueeze(-1) * shown).sum(-2).clamp_min(self.clip).log()
