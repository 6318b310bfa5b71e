"""Learned gates read a sequence: the protocol, and a perceptron that reads its inputs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gating.models.layers import FullLinear, Linear
from gating.tasks.sequences import Sequences
from theory.validation import require_choice, require_integer, require_sizes

__all__ = ["GATE_INPUTS", "LearnedGate", "MLPGate"]

GATE_INPUTS = ("query", "query_and_context")


class LearnedGate(nn.Module, ABC):
    """A gate that is trained with the model whose mixture it weighs: its weight is a function of the sequence.

    Like a predictor it sees neither the query's label nor true classes;
    :func:`gating.checks.check_learned_gate` looks whether a gate keeps this contract.
    """

    @abstractmethod
    def forward(self, sequences: Sequences) -> Tensor:
        """Logit of alpha, (R, B, ...) -> (R, B)."""

    def alpha(self, sequences: Sequences) -> Tensor:
        """Weight of the in-weight predictor in [0, 1], (R, B, ...) -> (R, B)."""
        weight: Tensor = self(sequences).sigmoid()
        return weight


class MLPGate(LearnedGate):
    """Two-layer perceptrons, one per replica; ``alpha = sigmoid(output)`` is the weight of the in-weight predictor.

    Args:
        dim: input dimension d.
        context_length: number of context pairs L.
        inputs: ``query`` reads x alone, ``query_and_context`` reads x and x_1 .. x_L (no labels).
        hidden: width of the hidden layer (ReLU).
        rngs: one source of initial weights per replica.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> from gating.models.layers import generators
        >>> gate = MLPGate(64, 1, inputs="query", rngs=generators([0]))
        >>> y = torch.zeros(1, 5, 2, dtype=torch.int64)
        >>> gate.alpha(Sequences(torch.randn(1, 5, 2, 64), y, y)).shape
        torch.Size([1, 5])

    Source: Chan et al. (2025), the gate of the stylized model.
    """

    def __init__(
        self, dim: int, context_length: int, *, inputs: str, hidden: int = 64, rngs: Sequence[torch.Generator]
    ):
        super().__init__()
        length = require_integer("context_length", context_length)
        require_sizes(context_length=length + 1, dim=dim, hidden=hidden)
        self.inputs = require_choice("inputs", inputs, GATE_INPUTS)
        n_in = dim if inputs == "query" else dim * (length + 1)
        self.layers = nn.Sequential(Linear(n_in, hidden, rngs), nn.ReLU(), FullLinear(hidden, 1, rngs))

    def forward(self, sequences: Sequences) -> Tensor:
        """Logit of alpha, (R, B, ...) -> (R, B)."""
        seen = sequences.query if self.inputs == "query" else sequences.x.flatten(-2)
        return self.layers(seen).squeeze(-1)
