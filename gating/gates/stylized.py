"""The stylized model: a gate between an in-weight and an in-context predictor."""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, logsigmoid

from gating.gates.learned import LearnedGate
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.tasks.sequences import Sequences
from theory.validation import require_instances

__all__ = ["StylizedModel"]


class StylizedModel(nn.Module):
    r"""Mixture :math:`f = \alpha g + (1 - \alpha) h` of probabilities, computed from logarithms.

    Trained end to end, or as a gate alone over frozen `g` and `h`.

    Args:
        g: in-weight predictor.
        h: in-context predictor.
        gate: gives the logit of alpha, the weight of `g`.
        normalised: whether `g` and the gate see each input with mean 0 and variance 1 over its coordinates, as the
            blocks of a Transformer do.

    Raises:
        ValueError: naming the part that is of another class.

    Example:
        >>> from gating.gates.learned import MLPGate
        >>> from gating.models.layers import generators
        >>> rngs = generators([0, 1, 2])
        >>> model = StylizedModel(
        ...     InWeightMLP(64, 10, rngs=rngs),
        ...     SoftmaxSimilarity(10, 3),
        ...     MLPGate(64, 1, inputs="query", rngs=rngs),
        ... )
        >>> y = torch.zeros(3, 32, 2, dtype=torch.int64)
        >>> model(Sequences(torch.randn(3, 32, 2, 64), y, y)).shape
        torch.Size([3, 32, 10])

    Source: Chan et al. (2025), section 2 (the stylized model).
    """

    def __init__(self, g: InWeightMLP, h: SoftmaxSimilarity, gate: LearnedGate, *, normalised: bool = False):
        super().__init__()
        require_instances(g=(g, InWeightMLP), h=(h, SoftmaxSimilarity), gate=(gate, LearnedGate))
        require_instances(normalised=(normalised, bool))
        self.g, self.h, self.gate, self.normalised = g, h, gate, normalised

    def seen(self, sequences: Sequences) -> Sequences:
        """Sequences as `g` and the gate see them."""
        if not self.normalised:
            return sequences
        return sequences._replace(x=layer_norm(sequences.x, sequences.x.shape[-1:]))

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the labels, (R, B, ...) -> (R, B, C)."""
        seen = self.seen(sequences)
        logit = self.gate(seen).unsqueeze(-1)
        return torch.logaddexp(logsigmoid(logit) + self.g(seen), logsigmoid(-logit) + self.h(sequences))
