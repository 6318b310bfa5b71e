"""Gate that is the Bayes posterior of the two predictors under log loss."""

from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import logsigmoid

from gating.gates.online import Index, LogLossGate, add_at
from theory.mixture_regret import bayes_mixture_bound
from theory.validation import require_reals

__all__ = ["BayesMixtureGate"]


class BayesMixtureGate(LogLossGate, key="bayes_mixture"):
    r"""Posterior probability that the in-weight predictor is the right one.

    .. math:: \ln\frac{\alpha_t}{1-\alpha_t} = \ln\frac{\pi_g}{\pi_h} + \sum_{s<t} \ln\frac{g_s(y_s)}{h_s(y_s)}

    Regret against the better predictor: :func:`theory.mixture_regret.bayes_mixture_bound`, ln 2 for equal priors, after
    any number of rounds; no horizon, no range, no rate.

    Args:
        shape: streams and cells, see :class:`gating.gates.online.OnlineGate`.
        log_prior_odds: :math:`\ln(\pi_g / \pi_h)`, number or table that broadcasts to ``shape``.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> gate = BayesMixtureGate((1,))
        >>> _ = gate.update(-torch.tensor(0.9).log(), -torch.tensor(0.3).log())
        >>> gate.alpha().round(decimals=4).tolist()
        [0.75]

    Source: Cesa-Bianchi and Lugosi (2006), section 9.2.
    """

    log_prior_odds: Tensor
    lead: Tensor

    def __init__(self, shape: Sequence[int], *, log_prior_odds: ArrayLike = 0.0):
        super().__init__(shape)
        self._state("lead")
        self._parameter("log_prior_odds", require_reals("log_prior_odds", log_prior_odds))

    def bound(self) -> Tensor:
        """:func:`theory.mixture_regret.bayes_mixture_bound` of the better predictor's prior."""
        better = torch.where(self.lead < 0, self.log_prior_odds, -self.log_prior_odds)
        return self._table(bayes_mixture_bound(logsigmoid(better).cpu().numpy()))

    def _log_weights(self, index: Index) -> tuple[Tensor, Tensor]:
        odds = self.log_prior_odds[index] - self.lead[index]
        return logsigmoid(odds), logsigmoid(-odds)

    def _learn(self, index: Index, in_weight: Tensor, in_context: Tensor) -> None:
        add_at(self.lead, index, in_weight - in_context)
