"""Memorizing and generalizing predictor of item-label classification: the query's label from weights or context."""

import math

import torch
from torch import Tensor

from gating.predictors.tables import finite_table, require_labels, require_pairs, row_blocks
from gating.tasks.sequences import Sequences
from theory.validation import require_integer, require_positive, require_probability, require_scalar

__all__ = ["ItemGeneralizer", "ItemMemorizer"]

N_LABELS = 2


class ItemMemorizer:
    r"""Posterior over the D stored items given the shown query alone, summed by label.

    .. math:: M(y \mid x) \propto \sum_{d : y_d = y} \exp\Bigl(-\frac{m (1+v)}{2 v}
        \Bigl\|x - \frac{a_d}{\sqrt{1+v}}\Bigr\|^2\Bigr)

    An item a is shown as :math:`x = (a + \sqrt{v}\, e) / \sqrt{1+v}` with e ~ N(0, I/m). With probability
    ``label_noise`` the label is taken to be uniform instead, so that no answer is more than
    :math:`\ln(2 / \mathrm{label\_noise})` nats and divergences between predictors stay finite; with 0 the formula above
    holds as it stands, and a label that no item has gets -inf.

    Args:
        items: the stored items a, shape (D, m).
        labels: their labels, 0 or 1, shape (D,).
        within_variance: v > 0, variance of a shown item around its item, relative to that of the items.
        label_noise: probability in [0, 1) that the label is uniform.
        chunk: numbers held at once for a block of sequences, >= 1; changes speed and memory alone.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> x, y = torch.tensor([[0.0], [0.0]]), torch.tensor([0, 0])
        >>> M = ItemMemorizer(torch.tensor([[1.0], [-1.0], [-1.0]]), torch.tensor([0, 1, 1]))
        >>> M(Sequences(x, y, y)).exp().mul(3).round(decimals=4).tolist()
        [1.0, 2.0]

    Source: Wurgaft et al. (2025), classification, memorizing predictor.
    """

    def __init__(
        self,
        items: Tensor,
        labels: Tensor,
        *,
        within_variance: float = 0.5,
        label_noise: float = 1e-6,
        chunk: int = 2**20,
    ):
        self.items = finite_table("items", items)
        self.labels = require_labels("labels", labels, N_LABELS)
        if self.labels.shape != self.items.shape[:1]:
            raise ValueError(f"`labels` must have shape ({len(items)},); got {tuple(self.labels.shape)}")
        self.within_variance, self.label_noise = _noises(within_variance, label_noise)
        self.chunk = require_integer("chunk", chunk, least=1)

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the query's label, float64, (..., L + 1, m) -> (..., 2).

        Raises:
            ValueError: inputs do not fit the items, or are not finite.
        """
        x = require_pairs(sequences, self.items.shape[1])[..., -1, :]
        items, labels, v = self.items.to(x.device), self.labels.to(x.device), self.within_variance
        rows, scale = x.reshape(-1, x.shape[-1]).double(), x.shape[-1] / v
        offset = items.square().sum(-1) * (scale / 2)
        answers = torch.empty(len(rows), N_LABELS, dtype=torch.float64, device=x.device)
        for block in row_blocks(len(rows), len(items), self.chunk):
            # the squared distance without |x|^2, which all items share
            score = torch.addmm(offset, rows[block], items.T, beta=-1, alpha=scale * math.sqrt(1 + v))
            answers[block] = _by_label(score, labels.expand_as(score), self.label_noise)
        return answers.reshape(*x.shape[:-1], N_LABELS)


class ItemGeneralizer:
    r"""Posterior over the context pair whose item the query shows again, summed by label.

    .. math:: G(y \mid x, \mathrm{context}) \propto \sum_{l : y_l = y} \exp\Bigl(-\frac{m}{2 (1 - \rho^2)}
        \|x - \rho x_l\|^2\Bigr), \qquad \rho = \frac{1}{1 + v}

    Two showings of one item are jointly normal with correlation rho, which is integrated over items ~ N(0, I/m).
    ``label_noise`` is that of :class:`ItemMemorizer`; a label that the context lacks has probability
    ``label_noise / 2``.

    Args:
        dim: dimension m >= 1 of x.
        within_variance: v > 0, variance of a shown item around its item, relative to that of the items.
        label_noise: probability in [0, 1) that the label is uniform.
        chunk: numbers held at once for a block of sequences, >= 1; changes speed and memory alone.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> x, y = torch.tensor([[1.0], [-1.0], [0.0]]), torch.tensor([0, 1, 0])
        >>> ItemGeneralizer(1)(Sequences(x, y, y)).exp().tolist()
        [0.5, 0.5]

    Source: Wurgaft et al. (2025), classification, generalizing predictor.
    """

    def __init__(self, dim: int, *, within_variance: float = 0.5, label_noise: float = 1e-6, chunk: int = 2**22):
        self.dim = require_integer("dim", dim, least=1)
        self.within_variance, self.label_noise = _noises(within_variance, label_noise)
        self.chunk = require_integer("chunk", chunk, least=1)

    @torch.no_grad()
    def __call__(self, sequences: Sequences) -> Tensor:
        """Log-probabilities of the query's label, float64, (..., L + 1, m) -> (..., 2).

        Raises:
            ValueError: inputs or labels do not fit each other or `dim`, or the context is empty.
        """
        x = require_pairs(sequences, self.dim)
        if x.shape[-2] < 2:
            raise ValueError(f"`sequences` must have one context pair or more; got x of shape {tuple(x.shape)}")
        labels = require_labels("sequences.y", sequences.context_y, N_LABELS).reshape(-1, x.shape[-2] - 1)
        rows = x.reshape(-1, *x.shape[-2:])
        answers = torch.empty(len(rows), N_LABELS, dtype=torch.float64, device=x.device)
        for block in row_blocks(len(rows), rows.shape[1:].numel(), self.chunk):
            answers[block] = _by_label(self._scores(rows[block].double()), labels[block], self.label_noise)
        return answers.reshape(*x.shape[:-2], N_LABELS)

    def _scores(self, x: Tensor) -> Tensor:
        """Log-weights of the context pairs, but for a constant: (rows, L + 1, m) -> (rows, L)."""
        query, context = x[:, -1, :, None], x[:, :-1]
        rho = 1 / (1 + self.within_variance)
        # the squared distance without |x|^2, which all pairs share
        score = (context @ query).squeeze(-1) - context.square().sum(-1) * (rho / 2)
        return score * (self.dim * rho / (1 - rho**2))


def _noises(within_variance: float, label_noise: float) -> tuple[float, float]:
    within = require_scalar("within_variance", require_positive("within_variance", within_variance))
    return within, require_scalar("label_noise", require_probability("label_noise", label_noise, below_one=True))


def _by_label(score: Tensor, labels: Tensor, label_noise: float) -> Tensor:
    """Normalised sums of exp(score) over the entries of each label, in logarithms, (..., n) -> (..., 2)."""
    sums = [score.masked_fill(labels != label, -torch.inf).logsumexp(-1) for label in range(N_LABELS)]
    log_p = torch.stack(sums, -1)
    log_p = log_p - log_p.logsumexp(-1, keepdim=True)
    if not label_noise:
        return log_p
    return torch.logaddexp(log_p + math.log1p(-label_noise), torch.full_like(log_p, math.log(label_noise / N_LABELS)))
