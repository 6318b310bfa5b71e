"""Gate that is as good as the best fixed mixture: the universal portfolio of the two predictors."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from gating.gates.online import Index, LogLossGate, Tuning, add_at
from theory.mixture_regret import (
    PORTFOLIO_PRIORS,
    exact_worst_add_beta_regret,
    portfolio_nodes,
    portfolio_quadrature_bound,
)
from theory.validation import require_choice, require_integer, require_sizes

__all__ = ["UniversalPortfolioGate"]

MOST_NODES = 2**14
"""Of the quadrature, enough for 18 million rounds; finding more takes minutes."""


class UniversalPortfolioGate(LogLossGate, key="universal_portfolio"):
    r"""Average of all fixed mixtures, each weighed by the probability it gave to the data.

    .. math:: \alpha_t = \frac{\int a\, \prod_{s<t} (a g_s + (1-a) h_s)\, d\pi(a)}
        {\int \prod_{s<t} (a g_s + (1-a) h_s)\, d\pi(a)}

    Regret against the best *fixed mixture* ``a g + (1 - a) h``, and so against either predictor:
    :func:`theory.mixture_regret.exact_worst_add_beta_regret` plus the quadrature's share, which is 0 while
    rounds <= 2 M - 1 and at most ``tolerance`` up to the horizon. Memory and time per round are M numbers per learner.

    Args:
        shape: streams and cells, see :class:`gating.gates.online.OnlineGate`.
        horizon: most rounds of a cell, integer >= 1; a further round is an error.
        prior: ``jeffreys`` (Beta(1/2, 1/2), Gauss-Chebyshev nodes) or ``uniform`` (Gauss-Legendre nodes).
        tolerance: most that the quadrature may add to the regret, in nats, > 0.

    Raises:
        ValueError: an argument outside its set, or an update beyond the horizon.

    Example:
        >>> gate = UniversalPortfolioGate((1,), horizon=10)
        >>> _ = gate.update(0.0, torch.inf)  # only g allowed the outcome
        >>> gate.alpha().round(decimals=6).tolist()
        [0.75]

    Source: Cover (1991); Cover and Ordentlich (1996); docs/theory.md, statements 4.12 and 4.13.
    """

    log_wealth: Tensor
    nodes: Tensor
    mirrored: Tensor

    def __init__(self, shape: Sequence[int], *, horizon: int, prior: str = "jeffreys", tolerance: float = 1e-6):
        super().__init__(shape)
        self.prior = require_choice("prior", prior, tuple(PORTFOLIO_PRIORS))
        self.horizon = require_integer("horizon", horizon, least=1, most=2**53)
        self.n_nodes = portfolio_nodes(self.horizon, prior=prior, tolerance=tolerance)
        if self.n_nodes > MOST_NODES:
            raise ValueError(f"`horizon` and `tolerance` must ask for at most 2^14 nodes; got {self.n_nodes}")
        require_sizes(shape=self.shape.numel(), horizon=self.n_nodes)
        nodes, mirrored, weights = (torch.from_numpy(a) for a in _gauss(self.n_nodes, prior))
        self.register_buffer("nodes", nodes)
        self.register_buffer("mirrored", mirrored)
        self._state("log_wealth", width=(self.n_nodes,))
        self.log_wealth += weights.log()

    @classmethod
    def tuned(cls, shape: Sequence[int], tuning: Tuning) -> Self:
        """For the most rounds that there can be, which is a limit."""
        return cls(shape, horizon=tuning.rounds)

    def bound(self) -> Tensor:
        """Exact worst regret of the portfolio plus :func:`theory.mixture_regret.portfolio_quadrature_bound`."""
        rounds = self.rounds.cpu().numpy()
        exact = exact_worst_add_beta_regret(rounds, 2, PORTFOLIO_PRIORS[self.prior])
        added = portfolio_quadrature_bound(rounds, self.n_nodes, prior=self.prior)
        return self._table(exact + added)

    def _log_weights(self, index: Index) -> tuple[Tensor, Tensor]:
        shares = self.log_wealth[index].softmax(dim=-1)
        return (shares @ self.nodes).log(), (shares @ self.mirrored).log()

    def _learn(self, index: Index, in_weight: Tensor, in_context: Tensor) -> None:
        if (self.rounds[index] >= self.horizon).any():
            got = f"{self.horizon} and one more round"
            raise ValueError(f"`horizon` must be at least the rounds of every cell; got {got}")
        # Only the ratio of the two probabilities matters; the larger is scaled to 1, so nothing underflows.
        best = torch.minimum(in_weight, in_context)
        g, h = (best - in_weight).exp(), (best - in_context).exp()
        mixture = torch.outer(g, self.nodes).addr_(h, self.mirrored)
        add_at(self.log_wealth, index, mixture.log_())


def _gauss(n_nodes: int, prior: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Gauss nodes a in (0, 1) of the prior, 1 - a, and weights that sum to 1."""
    if prior == "jeffreys":
        angle = (np.arange(n_nodes) + 0.5) * np.pi / (2 * n_nodes)
        return np.sin(angle) ** 2, np.cos(angle) ** 2, np.full(n_nodes, 1 / n_nodes)
    x, weights = special.roots_legendre(n_nodes)
    return (1 + x) / 2, (1 - x) / 2, weights / 2
