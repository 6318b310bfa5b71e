"""In-weight predictors: they see the query alone and answer from what training stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gating.models.layers import FullLinear, Linear
from gating.predictors.tables import require_finite
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from theory.validation import require_instances, require_integer, require_positive, require_scalar, require_sizes

__all__ = ["InWeightMLP", "TabularInWeight"]


class InWeightMLP(nn.Module):
    """Two-layer perceptrons ``dim -> hidden -> n_labels`` on the query, one per replica.

    Args:
        dim: input dimension d.
        n_labels: number of labels C.
        hidden: width of the hidden layer (ReLU).
        rngs: one source of initial weights per replica.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> from gating.models.layers import generators
        >>> g = InWeightMLP(64, 10, rngs=generators([0]))
        >>> x, y = torch.randn(1, 32, 2, 64), torch.zeros(1, 32, 2, dtype=torch.int64)
        >>> g(Sequences(x, y, y)).exp().sum(-1).allclose(torch.ones(32))
        True

    Source: Chan et al. (2025), the in-weight predictor of the stylized model.
    """

    def __init__(self, dim: int, n_labels: int, *, hidden: int = 64, rngs: Sequence[torch.Generator]):
        super().__init__()
        require_sizes(dim=dim, hidden=hidden)
        require_sizes(hidden=hidden, n_labels=n_labels)
        self.layers = nn.Sequential(Linear(dim, hidden, rngs), nn.ReLU(), FullLinear(hidden, n_labels, rngs))

    def forward(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the labels, (R, B, ...) -> (R, B, C)."""
        return self.layers(sequences.query).log_softmax(-1)


class TabularInWeight:
    r"""Add-beta label counts of each class: :math:`g_n(y|c) = (k_y + \beta) / (n + \beta C)`.

    A class is recognised by its nearest centre, so the counts are those of the theory when inputs are clean. Works
    on R replicas at once: sequences have shape (R, B, ...).

    Args:
        counts: label counts k of each class, shape (R, K, C).
        centres: class centres, shape (R, K, d).
        beta: pseudo-count > 0.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> from theory.distribution import ClassMixture
        >>> sampler = ClassMixtureSampler([ClassMixture(input_noise=0.0)], [1000], [0])
        >>> g = TabularInWeight.fit(sampler)
        >>> int(g.counts.sum())
        1000
    """

    def __init__(self, counts: Tensor, centres: Tensor, *, beta: float = 1.0):
        self.beta = _require_beta(beta)
        for name, value in (("counts", counts), ("centres", centres)):
            require_finite(name, value, "with three dimensions", dims=3)
        if bool((counts < 0).any()):
            raise ValueError(f"`counts` must be >= 0; got {counts.min().item()}")
        if counts.shape[:2] != centres.shape[:2]:
            shapes = f"{tuple(counts.shape)} and {tuple(centres.shape)}"
            raise ValueError(f"`counts` and `centres` must agree in replicas and classes; got shapes {shapes}")
        self.counts, self.centres = counts, centres

    @classmethod
    def fit(cls, sampler: ClassMixtureSampler, *, beta: float = 1.0, chunk: int = 2**16) -> TabularInWeight:
        """Counts the query labels of every training row, `chunk` rows at a time; replicas must share one N."""
        _require_beta(beta)
        require_integer("chunk", chunk, least=1)
        require_instances(sampler=(sampler, ClassMixtureSampler))
        if len(set(sampler.n_sequences)) > 1:
            raise ValueError(f"`sampler` must hold training sets of one size; got sizes {sampler.n_sequences}")
        n, n_labels = sampler.n_sequences[0], sampler.n_classes
        counts = torch.zeros(sampler.n_replicas, n_labels * n_labels, dtype=torch.float64, device=sampler.device)
        for start in range(0, n, chunk):
            index = torch.arange(start, min(start + chunk, n), device=sampler.device)
            classes, y = sampler.training_labels(index.expand(sampler.n_replicas, -1))
            cell = classes[..., -1] * n_labels + y[..., -1]
            counts.scatter_add_(1, cell, torch.ones_like(cell, dtype=torch.float64))
        return cls(counts.unflatten(1, (n_labels, n_labels)), sampler.centres, beta=beta)

    def __call__(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the labels, float64, shape (R, B, C).

        Raises:
            ValueError: the query has no nearest centre, as it is not finite.
        """
        if not bool(sequences.query.isfinite().all()):
            bad = int((~sequences.query.isfinite()).sum())
            raise ValueError(f"`sequences.x` must be finite in the query; got {bad} numbers that are not")
        nearest = torch.cdist(sequences.query, self.centres).argmin(-1)
        counts = self.counts.gather(1, nearest.unsqueeze(-1).expand(-1, -1, self.counts.shape[-1])) + self.beta
        return (counts / counts.sum(-1, keepdim=True)).log()


def _require_beta(beta: float) -> float:
    return require_scalar("beta", require_positive("beta", beta))
