"""Gate learned by AdaHedge, which tunes its own rate."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gating.gates.online import Index, LinearLossGate, add_at
from theory.regret import adahedge_bound

__all__ = ["AdaHedgeGate"]


class AdaHedgeGate(LinearLossGate, key="adahedge"):
    r"""Exponential weights whose rate falls with what mixing has cost so far.

    .. math:: \alpha_t = \frac{1}{1 + e^{\eta_t D_{t-1}}}, \quad D_t = \sum_{s \le t} d_s, \quad
        \eta_t = \frac{\ln 2}{\Delta_{t-1}}, \quad
        \Delta_t = \Delta_{t-1} + \alpha_t d_t + \tfrac{1}{\eta_t} \ln(1 - \alpha_t + \alpha_t e^{-\eta_t d_t})

    While nothing has been lost by mixing (:math:`\Delta = 0`) it follows the leader, and plays 1/2 in a tie. It needs
    neither horizon nor range, and scaling or shifting the losses does not change what it plays. Regret against the
    better predictor: :func:`theory.regret.adahedge_bound` with the variance it met.

    Args:
        shape: streams and cells, see :class:`gating.gates.online.OnlineGate`.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> gate = AdaHedgeGate((1,))
        >>> for _ in range(3):
        ...     _ = gate.update(0.0, 5.0)
        >>> gate.alpha().round(decimals=4).tolist(), gate.regret().round(decimals=4).tolist()
        ([0.9669], [3.924])

    Source: de Rooij, van Erven, Grünwald and Koolen (2014), section 2.
    """

    lead: Tensor
    mixing_cost: Tensor
    variance: Tensor
    largest: Tensor

    def __init__(self, shape: Sequence[int]):
        super().__init__(shape)
        self._state("lead", "mixing_cost", "variance", "largest")

    def bound(self) -> Tensor:
        """:func:`theory.regret.adahedge_bound` of the variance and the largest difference each learner has met."""
        return self._table(adahedge_bound(self.variance.cpu().numpy(), self.largest.cpu().numpy()))

    def _alpha(self, index: Index) -> Tensor:
        rate = math.log(2) / self.mixing_cost[index]
        return torch.sigmoid(-_scaled(rate, self.lead[index]))

    def _learn(self, index: Index, alpha: Tensor, difference: Tensor) -> None:
        size, sign = difference.abs(), difference.sign()
        rate = math.log(2) / self.mixing_cost[index]
        # Seen from the loser of this round: how far it was behind before, and which weight it had.
        behind = self.lead[index] * sign
        loser = torch.where(sign > 0, alpha, 1 - alpha)
        before, after = (torch.exp(-_scaled(rate, gap.abs())).log1p() for gap in (behind, behind + size))
        mix_loss = torch.minimum(size, (-behind).clamp(min=0)) + (before - after) / rate
        add_at(self.mixing_cost, index, (loser * size - mix_loss).clamp(min=0))
        add_at(self.variance, index, alpha * (1 - alpha) * difference.square())
        self.largest[index] = torch.maximum(self.largest[index], size)
        add_at(self.lead, index, difference)


def _scaled(rate: Tensor, gap: Tensor) -> Tensor:
    """``rate * gap`` where an infinite rate times no gap is 0: a tie is a tie at any rate."""
    return torch.where(gap == 0, 0.0, rate * gap)
