"""Gate learned by exponential weights over the two predictors, with any prior and any rate that never rises."""

import math
from collections.abc import Callable, Sequence
from typing import Self

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import logsigmoid

from gating.gates.online import Index, LinearLossGate, Tuning, add_at
from theory.fields import shown
from theory.regret import scheduled_weights_bound
from theory.validation import require_positive, require_reals, require_scalar

__all__ = ["ExponentialWeightsGate", "Rate"]

# Learning rate of the coming round, from the number of rounds already played.
Rate = Callable[[Tensor], Tensor]


class ExponentialWeightsGate(LinearLossGate, key="exponential_weights"):
    r"""Posterior odds of the two predictors at a learning rate.

    .. math:: \ln\frac{\alpha_{t}}{1-\alpha_{t}} = \ln\frac{\pi_g}{\pi_h} - \eta_t \sum_{s<t} d_s

    Regret against the better predictor: :func:`theory.regret.scheduled_weights_bound` with the rates played. A
    rate of :math:`\gamma n^{-a}` after n rounds and prior odds :math:`2^{K_h^\beta - K_g^\beta}` make it the
    posterior over two strategies of description lengths K.

    Args:
        shape: streams and cells, see :class:`gating.gates.online.OnlineGate`.
        loss_range: B > 0, largest ``|l(g) - l(h)|``; may be infinite when ``rate`` is given.
        horizon: H > 0, rounds a cell is expected to be visited (number or table that broadcasts to ``shape``), for the
            rate ``sqrt(8 ln 2 / H) / B``; None for ``2 sqrt(ln 2 / t) / B`` in round t.
        rate: a number > 0, or a function from rounds already played (tensor, any shape) to rates, positive and never
            rising; takes the place of ``horizon``.
        log_prior_odds: :math:`\ln(\pi_g / \pi_h)`, number or table that broadcasts to ``shape``.

    Raises:
        ValueError: an argument outside its set, or a rate that rises between rounds 0, 1, 2, 4 ... 2^40.

    Example:
        >>> gate = ExponentialWeightsGate((1,), loss_range=1.0, rate=math.log(3))
        >>> _ = gate.update(0.0, 1.0)
        >>> gate.alpha().round(decimals=4).tolist()
        [0.75]

    Source: Cesa-Bianchi and Lugosi (2006), Theorem 2.2; Wurgaft et al. (2025) for the posterior.
    """

    log_prior_odds: Tensor
    horizon: Tensor | None
    lead: Tensor
    coming_rate: Tensor
    last_rate: Tensor
    rate_sum: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        *,
        loss_range: float,
        horizon: ArrayLike | None = None,
        rate: float | Rate | None = None,
        log_prior_odds: ArrayLike = 0.0,
    ):
        super().__init__(shape, loss_range)
        if rate is None and not math.isfinite(self.loss_range):
            raise ValueError("`loss_range` must be finite when no `rate` is given; got inf")
        if rate is not None and horizon is not None:
            raise ValueError(f"`horizon` must be None when `rate` is given; got {shown(horizon)}")
        self._state("lead", "coming_rate", "last_rate", "rate_sum")
        self._parameter("horizon", None if horizon is None else require_positive("horizon", horizon))
        self.rate = _require_rate(rate)
        self._parameter("log_prior_odds", require_reals("log_prior_odds", log_prior_odds))
        self.coming_rate.copy_(self._rate(slice(None), self.rounds))

    @classmethod
    def tuned(cls, shape: Sequence[int], tuning: Tuning) -> Self:
        """With the range and the horizon that are known."""
        return cls(shape, loss_range=tuning.loss_range, horizon=tuning.horizon)

    def bound(self) -> Tensor:
        """:func:`theory.regret.scheduled_weights_bound` against the better predictor, with the rates played."""
        played = self.rounds > 0
        bound = torch.where(played, torch.inf, 0.0).double()
        if math.isfinite(self.loss_range) and played.any():
            log_prior = logsigmoid(torch.where(self.lead < 0, self.log_prior_odds, -self.log_prior_odds))
            prior, last, total = (part[played].cpu().numpy() for part in (log_prior, self.last_rate, self.rate_sum))
            bound[played] = torch.from_numpy(scheduled_weights_bound(prior, last, total, self.loss_range)).to(bound)
        return bound.reshape(self.shape)

    def _rate(self, index: Index, rounds: Tensor) -> Tensor:
        """Rates of the learners at ``index`` after so many rounds."""
        if callable(self.rate):
            return self.rate(rounds)
        if self.rate is not None:
            return torch.full_like(rounds, self.rate)
        if self.horizon is not None:
            return (8 * math.log(2) / self.horizon[index]).sqrt() / self.loss_range
        return 2 * math.sqrt(math.log(2)) / self.loss_range * (rounds + 1).rsqrt()

    def _log_odds(self, index: Index) -> Tensor:
        return self.log_prior_odds[index] - self.coming_rate[index] * self.lead[index]

    def _alpha(self, index: Index) -> Tensor:
        return torch.sigmoid(self._log_odds(index))

    def _learn(self, index: Index, alpha: Tensor, difference: Tensor) -> None:
        played = self.coming_rate[index]
        add_at(self.rate_sum, index, played)
        add_at(self.lead, index, difference)
        self.last_rate[index] = played
        self.coming_rate[index] = self._rate(index, self.rounds[index] + 1)


def _require_rate(rate: float | Rate | None) -> float | Rate | None:
    if not callable(rate):
        return None if rate is None else require_scalar("rate", require_positive("rate", rate))
    rounds = torch.cat([torch.zeros(1, dtype=torch.float64), 2.0 ** torch.arange(41, dtype=torch.float64)])
    try:
        rates = rate(rounds)
    except Exception as error:
        raise ValueError(f"`rate` must give rates of rounds; {rate!r} ended in {error!r}") from error
    if not isinstance(rates, Tensor) or rates.shape != rounds.shape or not (rates > 0).all() or rates.isinf().any():
        raise ValueError(f"`rate` must give finite rates > 0 in the shape of the rounds; got {rates!r}")
    if (rates[1:] > rates[:-1]).any():
        raise ValueError(f"`rate` must never rise with the rounds played; got {rates.tolist()}")
    return rate
