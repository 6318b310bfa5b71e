"""Mixtures that a Transformer is constructed for, random sequences, and the formula that it should compute."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gating.gates.effective import effective_gate
from gating.models.construction import Constants, ConstructedTransformer
from gating.tasks.sequences import Sequences


@dataclass
class Mixture:
    """alpha g + (1 - alpha) h of K centres in p dimensions and C labels, each drawn from the seed."""

    length: int = 5
    temperature: float = 0.5
    dim: int = 4
    n_classes: int = 4
    n_labels: int = 3
    steepness: float = 3.0
    seed: int = 0

    def __post_init__(self):
        self.rng = torch.Generator().manual_seed(self.seed)
        self.centres = torch.eye(self.dim, dtype=torch.float64)[: self.n_classes]
        self.centres = self.centres @ torch.linalg.qr(self._normal(self.dim, self.dim)).Q
        self.table = self._normal(self.n_classes, self.n_labels).softmax(-1)
        self.slope, self.offset = self.steepness * unit(self._normal(self.dim)), 0.3

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.rng, dtype=torch.float64)

    def model(self, constants: Constants | None = None) -> ConstructedTransformer:
        gate = (self.slope, self.offset)
        model = ConstructedTransformer(
            self.centres, self.table, *gate, self.temperature, self.length, constants=constants
        )
        return model.requires_grad_(False)

    def sequences(self, n: int, queries: Tensor | None = None) -> Sequences:
        """Noisy centres as queries, unless given; in the context as many of them as vectors of any direction."""
        classes = torch.randint(self.n_classes, (1, n, self.length + 1), generator=self.rng)
        x = unit(self.centres[classes] + 0.02 * self._normal(*classes.shape, self.dim))
        anywhere = torch.rand(classes.shape, generator=self.rng) < 0.5
        anywhere[..., -1] = False
        x = torch.where(anywhere.unsqueeze(-1), unit(self._normal(*classes.shape, self.dim)), x)
        if queries is not None:
            x[:, :, -1] = queries
        return Sequences(x, torch.randint(self.n_labels, classes.shape, generator=self.rng), classes)

    def formula(self, sequences: Sequences) -> tuple[Tensor, Tensor, Tensor]:
        """alpha (1, B), g and h (1, B, C)."""
        query = sequences.query
        g = self.table[torch.cdist(query, self.centres).argmin(-1)]
        distance = (query.unsqueeze(-2) - sequences.context_x).square().sum(-1)
        labels = torch.nn.functional.one_hot(sequences.context_y, self.n_labels).double()
        h = ((-distance / self.temperature).softmax(-1).unsqueeze(-2) @ labels).squeeze(-2)
        return torch.sigmoid(query @ self.slope + self.offset), g, h

    def difference(self, constants: Constants | None = None, n: int = 1000) -> float:
        """Largest difference of a label's probability between model and formula, on n random sequences."""
        sequences = self.sequences(n)
        alpha, g, h = self.formula(sequences)
        mixed = h + alpha.unsqueeze(-1) * (g - h)
        return float((self.model(constants)(sequences).exp() - mixed).abs().max())

    def effective(self, n_queries: int, constants: Constants | None = None) -> tuple[Tensor, Tensor]:
        """Effective gate of the model at each of some queries, over 200 contexts, and alpha there."""
        queries = self.sequences(n_queries).query
        sequences = self.sequences(200 * n_queries, queries.repeat_interleave(200, dim=1))
        alpha, g, h = self.formula(sequences)
        cells = [
            part.unflatten(1, (n_queries, 200))[0] for part in (self.model(constants)(sequences), g.log(), h.log())
        ]
        return effective_gate(*cells).alpha, alpha[0, ::200]


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)
