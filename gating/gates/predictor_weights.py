"""Weights of m predictors learned online: the Bayes mixture under log loss, exponential weights under linear loss.

A gate that is one number, and what it is told of two predictors, is :mod:`gating.gates.online`; here the same learners
are told the losses of all m. The universal portfolio of m predictors has a bound
(:func:`theory.mixture_regret.universal_portfolio_bound`) but no learner here: its average runs over m - 1 dimensions,
and the nodes that it needs grow as a power of m - 1. Gradient descent and AdaHedge are gates of two.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from gating.gates.online import Index, Learners, add_at
from theory.fields import shown
from theory.mixture_regret import bayes_mixture_bound
from theory.validation import require_integer, require_positive, require_scalar, require_sizes, require_within

__all__ = ["PredictorWeights"]

NORMALISED = 1e-9


class PredictorWeights(Learners):
    r"""Posterior weights of m predictors, one independent learner per stream and cell.

    .. math:: w_{tj} \propto \pi_j \exp\Big(-\eta \sum_{s<t} \ell_{sj}\Big)

    Without a rate the losses are negative log-probabilities, :math:`\eta = 1`, and the learner suffers
    :math:`-\ln \sum_j w_j e^{-\ell_j}`, the log loss of the mixed prediction; its regret against predictor j is at most
    :math:`\ln(1/\pi_j)`. With a rate it suffers :math:`\sum_j w_j \ell_j`, and its regret is at most
    :math:`\ln(1/\pi_j)/\eta + \frac{\eta}{8}\sum_t B_t^2`, B the range of the losses of a round.

    Args:
        shape: leading shape of streams and, last, the number of cells; integers >= 1.
        n_predictors: m, integer >= 2.
        log_prior: :math:`\ln\pi`, (m,) finite numbers whose probabilities sum to 1; equal when None.
        rate: :math:`\eta` > 0 for linear loss; None for log loss.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> learner = PredictorWeights((1,), 3)
        >>> _ = learner.update(-torch.tensor([[0.6, 0.3, 0.3]]).log())
        >>> learner.weights().round(decimals=4).tolist()
        [[0.5, 0.25, 0.25]]

    Source: Cesa-Bianchi and Lugosi (2006), Theorem 2.2 and section 9.2; docs/theory.md, statements 4.4 and 4.7.
    """

    log_prior: Tensor
    losses: Tensor
    squared_ranges: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        n_predictors: int,
        *,
        log_prior: ArrayLike | None = None,
        rate: float | None = None,
    ):
        super().__init__(shape)
        m = require_integer("n_predictors", n_predictors, least=2)
        require_sizes(shape=self.shape.numel(), n_predictors=m)
        prior = np.full(m, -np.log(m)) if log_prior is None else _require_log_prior(log_prior, m)
        self.rate = None if rate is None else require_scalar("rate", require_positive("rate", rate))
        self.register_buffer("log_prior", torch.from_numpy(prior))
        self._state("losses", width=(m,))
        self._state("squared_ranges")

    @torch.no_grad()
    def weights(self, cells: Tensor | None = None) -> Tensor:
        """Weights on the simplex, shape ``shape[:-1] + (m,)`` in the cells, or ``shape + (m,)`` when that is None."""
        index, visited = self._index(cells)
        return self._log_weights(index).exp().reshape(*visited, -1)

    @torch.no_grad()
    def update(self, losses: Tensor, cells: Tensor | None = None) -> Tensor:
        """Suffer one round in the visited cells, and learn from it.

        Args:
            losses: loss of every predictor, broadcastable to the shape that :meth:`weights` returns; finite, or for log
                loss infinite where some predictor of positive weight is not.
            cells: int64 tensor of shape ``shape[:-1]``, the cell that each stream is in, or None for all cells.

        Returns:
            Loss that was suffered, in the shape of the cells.

        Raises:
            ValueError: losses of another shape, NaN, or infinite where they may not be.
        """
        index, visited = self._index(cells)
        told = self._losses_of_all(losses, visited)
        log_weights = self._log_weights(index)
        if self.rate is None:
            suffered = -torch.logsumexp(log_weights - told, dim=-1)
            if not bool(suffered.isfinite().all()):
                raise ValueError("`losses` must leave the mixture a positive probability; got an outcome it excludes")
        else:
            suffered = (log_weights.exp() * told).sum(dim=-1)
            spread = told.amax(dim=-1) - told.amin(dim=-1)
            add_at(self.squared_ranges, index, spread.square())
        add_at(self.losses, index, told)
        add_at(self.rounds, index, 1.0)
        add_at(self.loss, index, suffered)
        return suffered.reshape(visited)

    @torch.no_grad()
    def regret(self) -> Tensor:
        """Loss so far minus that of the best predictor in hindsight, in the learners' shape."""
        return (self.loss - self.losses.amin(dim=-1)).reshape(self.shape)

    @torch.no_grad()
    def bound(self) -> Tensor:
        """Upper bound on :meth:`regret` after the rounds played, in the learners' shape; see the class."""
        rows = torch.arange(len(self.losses), device=self.losses.device)
        prior = self.log_prior.expand_as(self.losses)[rows, self.losses.argmin(dim=-1)]
        nats = torch.from_numpy(bayes_mixture_bound(prior.cpu().numpy())).to(self.rounds)
        if self.rate is not None:
            nats = nats / self.rate + self.rate / 8 * self.squared_ranges
        return torch.where(self.rounds > 0, nats, 0.0).reshape(self.shape)

    def _log_weights(self, index: Index) -> Tensor:
        return (self.log_prior - (self.rate or 1.0) * self.losses[index]).log_softmax(dim=-1)

    def _losses_of_all(self, losses: Tensor, visited: torch.Size) -> Tensor:
        m = len(self.log_prior)
        try:
            told = torch.as_tensor(losses, dtype=torch.float64, device=self.rounds.device)
            told = told.expand(*visited, m).reshape(-1, m)
        except Exception as mismatch:  # torch has many
            wanted = f"numbers that broadcast to {(*visited, m)}"
            raise ValueError(f"`losses` must be {wanted}; got {shown(losses)}") from mismatch
        allowed = told.isfinite() if self.rate is not None else ~told.isnan() & ~told.isneginf()
        if not bool(allowed.all()):
            kind = "finite" if self.rate is not None else "numbers above minus infinity"
            raise ValueError(f"`losses` must be {kind}; got {int((~allowed).sum())} others")
        return told


def _require_log_prior(log_prior: ArrayLike, m: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    prior = require_within("log_prior", log_prior, "finite numbers <= 0", lambda p: p <= 0)
    if prior.shape != (m,) or abs(np.exp(prior).sum() - 1) > NORMALISED:
        raise ValueError(f"`log_prior` must be {m} logarithms of probabilities that sum to 1; got {shown(log_prior)}")
    return prior
