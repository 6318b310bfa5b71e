"""Gate that is as good as the best fixed mixture: the universal portfolio of the two predictors."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from gating.gates.online import Index, LogLossGate, Tuning
from gating.gates.ratio_history import INTERPOLATION_ERROR, RATIOS, deposit, summed_logs
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

WINDOWS_FROM = 512
"""Nodes from which on learners follow windows of them."""

NARROWEST = 32
DROPPED = 1e-9
"""Nats that nodes outside of windows may cost over the horizon."""


class UniversalPortfolioGate(LogLossGate, key="universal_portfolio"):
    r"""Average of all fixed mixtures, each weighed by the probability it gave to the data.

    .. math:: \alpha_t = \frac{\int a\, \prod_{s<t} (a g_s + (1-a) h_s)\, d\pi(a)}
        {\int \prod_{s<t} (a g_s + (1-a) h_s)\, d\pi(a)}

    Regret against the best *fixed mixture* ``a g + (1 - a) h``, and so against either predictor:
    :func:`theory.mixture_regret.exact_worst_add_beta_regret` plus the quadrature's share, which is 0 while
    rounds <= 2 M - 1 and at most ``tolerance`` up to the horizon. Memory is M numbers per learner, M about
    :math:`\sqrt{n \ln n}`, or M + 1,932 from M = 512 on.

    Time per round is M per learner at first. From M = 512 on a learner follows a window of nodes alone, outside of
    which the weight is negligible; it narrows as :math:`1/\sqrt t` where rounds tell mixtures apart. Log-wealth is
    concave in a, so a negligible edge bounds all that lies behind it. A window whose edge is not negligible any more is
    doubled, with the wealth of its nodes from `gating.gates.ratio_history`. Both shares are in :meth:`bound`: 1e-9
    nats, and 6e-16 nats for each round before a doubling.

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

    Source: Cover (1991); Cover and Ordentlich (1996); docs/theory.md, statements 4.12, 4.13 and 4.18.
    """

    log_wealth: Tensor
    log_alpha: Tensor
    log_rest: Tensor
    added: Tensor
    history: Tensor
    first: Tensor
    width: Tensor
    nodes: Tensor
    mirrored: Tensor
    log_prior: Tensor

    def __init__(self, shape: Sequence[int], *, horizon: int, prior: str = "jeffreys", tolerance: float = 1e-6):
        super().__init__(shape)
        self.prior = require_choice("prior", prior, tuple(PORTFOLIO_PRIORS))
        self.horizon = require_integer("horizon", horizon, least=1, most=2**53)
        self.n_nodes = portfolio_nodes(self.horizon, prior=prior, tolerance=tolerance)
        if self.n_nodes > MOST_NODES:
            raise ValueError(f"`horizon` and `tolerance` must ask for at most 2^14 nodes; got {self.n_nodes}")
        self.windows = self.n_nodes >= WINDOWS_FROM
        ratios = RATIOS if self.windows else 0
        require_sizes(shape=self.shape.numel(), horizon=self.n_nodes + ratios)
        nodes, mirrored, weights = (torch.from_numpy(a) for a in _gauss(self.n_nodes, prior))
        for name, value in (("nodes", nodes), ("mirrored", mirrored), ("log_prior", weights.log())):
            self.register_buffer(name, value)
        self._state("log_wealth", width=(self.n_nodes,))  # of the window's nodes, from the left
        self._state("history", width=(ratios,))
        self._state("log_alpha", "log_rest", "added")
        self.register_buffer("first", torch.zeros(self.shape.numel(), dtype=torch.int64))
        self.register_buffer("width", torch.full_like(self.first, self.n_nodes))
        # a factor M for the nodes behind an edge, and one for the ratio of their prior weights (4.18)
        self.negligible = DROPPED / (4.0 * self.horizon * (self.horizon + 1) * self.n_nodes**2)
        self.log_wealth += self.log_prior
        shares = self.log_wealth.softmax(-1)
        self.log_alpha += (shares @ nodes).log()
        self.log_rest += (shares @ mirrored).log()

    @classmethod
    def tuned(cls, shape: Sequence[int], tuning: Tuning) -> Self:
        """For the most rounds that there can be, which is a limit."""
        return cls(shape, horizon=tuning.rounds)

    def bound(self) -> Tensor:
        """Exact worst regret of the portfolio, and what quadrature and windows add to it."""
        rounds = self.rounds.cpu().numpy()
        exact = exact_worst_add_beta_regret(rounds, 2, PORTFOLIO_PRIORS[self.prior])
        quadrature = portfolio_quadrature_bound(rounds, self.n_nodes, prior=self.prior)
        windows = self.added.reshape(self.shape) + (DROPPED if self.windows else 0.0)
        return self._table(exact + quadrature) + windows

    def _log_weights(self, index: Index) -> tuple[Tensor, Tensor]:
        return self.log_alpha[index], self.log_rest[index]

    def _learn(self, index: Index, in_weight: Tensor, in_context: Tensor) -> None:
        if (self.rounds[index] >= self.horizon).any():
            got = f"{self.horizon} and one more round"
            raise ValueError(f"`horizon` must be at least the rounds of every cell; got {got}")
        # Only the ratio of the two probabilities matters; the larger is scaled to 1, so nothing underflows.
        best = torch.minimum(in_weight, in_context)
        g, h = (best - in_weight).exp(), (best - in_context).exp()
        rows = torch.arange(len(self.rounds), device=self.rounds.device)[index]
        if self.windows:
            deposit(self.history, rows, in_context - in_weight)
        widths = self.width[rows]
        for width in widths.unique().tolist():
            mine = (widths == width).nonzero().squeeze(-1)
            self._follow(rows[mine], width, g[mine], h[mine])

    def _follow(self, rows: Tensor, width: int, g: Tensor, h: Tensor) -> None:
        """A round of learners whose windows are of one width."""
        first = self.first[rows]
        if width == self.n_nodes:
            nodes, mirrored = self.nodes, self.mirrored
            mixture = torch.outer(g, nodes).addr_(h, mirrored)
        else:
            nodes, mirrored = (table.unfold(0, width, 1)[first] for table in (self.nodes, self.mirrored))
            mixture = (nodes * g.unsqueeze(-1)).addcmul_(mirrored, h.unsqueeze(-1))
        every = len(rows) == len(self.rounds)
        wealth = self.log_wealth[:, :width] if every else self.log_wealth[rows, :width]
        wealth += mixture.log_()
        if not every:
            self.log_wealth[rows, :width] = wealth
        shares = wealth.softmax(-1)
        self._keep(rows, shares, nodes, mirrored)
        if not self.windows:
            return
        out = self._reaches_out(shares, first)
        for row in rows[out].tolist():
            self._widen(row)
        due = ~out & (self.rounds[rows] % 32 == 31) if width > NARROWEST else out & False
        if due.any():
            self._narrow(rows[due], shares[due])

    def _keep(self, rows: Tensor, shares: Tensor, nodes: Tensor, mirrored: Tensor) -> None:
        """Weights to play next, from shares (k, w) at nodes (w,) or (k, w)."""
        shared = nodes.dim() == 1
        self.log_alpha[rows] = (shares @ nodes if shared else torch.linalg.vecdot(shares, nodes)).log()
        self.log_rest[rows] = (shares @ mirrored if shared else torch.linalg.vecdot(shares, mirrored)).log()

    def _reaches_out(self, shares: Tensor, first: Tensor) -> Tensor:
        """Whether nodes outside of a window may matter, from the shares at its two edges."""
        left = (shares[..., 0] > self.negligible) & (first > 0)
        return left | ((shares[..., -1] > self.negligible) & (first + shares.shape[-1] < self.n_nodes))

    def _widen(self, row: int) -> None:
        """Doubles a learner's window until its edges are negligible; wealth is that of all its rounds."""
        first, width = self.first[row], int(self.width[row])
        while True:
            first = (first - width // 2).clamp(min=0)
            width = min(2 * width, self.n_nodes)
            first = first.clamp(max=self.n_nodes - width)
            window = slice(int(first), int(first) + width)
            wealth = self.log_prior[window] + summed_logs(self.history[row], self.nodes[window], self.mirrored[window])
            shares = wealth.softmax(-1)
            if not self._reaches_out(shares, first):
                break
        self.first[row], self.width[row] = first, width
        self.log_wealth[row, :width] = wealth
        self.added[row] += 2 * (self.rounds[row] + 1) * INTERPOLATION_ERROR
        here = torch.tensor([row], device=self.rounds.device)
        self._keep(here, shares[None], self.nodes[window], self.mirrored[window])

    def _narrow(self, rows: Tensor, shares: Tensor) -> None:
        """Leaves learners the smallest window that is twice as wide as the nodes that matter."""
        width = shares.shape[-1]
        matters = (shares > self.negligible).to(torch.int8)
        left, right = matters.argmax(-1), width - matters.flip(-1).argmax(-1)
        wanted = 2 ** (2.0 * (right - left)).log2().ceil().clamp(min=np.log2(NARROWEST)).long()
        for k in (wanted < width).nonzero().squeeze(-1).tolist():
            row, kept = rows[k], int(wanted[k])
            start = min(max((int(left[k]) + int(right[k]) - kept) // 2, 0), width - kept)
            self.log_wealth[row, :kept] = self.log_wealth[row, start : start + kept].clone()
            self.first[row] += start
            self.width[row] = kept


def _gauss(n_nodes: int, prior: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Gauss nodes a in (0, 1) of the prior, 1 - a, and weights that sum to 1."""
    if prior == "jeffreys":
        angle = (np.arange(n_nodes) + 0.5) * np.pi / (2 * n_nodes)
        return np.sin(angle) ** 2, np.cos(angle) ** 2, np.full(n_nodes, 1 / n_nodes)
    x, weights = special.roots_legendre(n_nodes)
    return (1 + x) / 2, (1 - x) / 2, weights / 2
