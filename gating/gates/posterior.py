"""Gate that is the posterior over two strategies of different complexity: memorizing against generalizing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from gating.gates.exponential_weights import ExponentialWeightsGate
from theory import strategies
from theory.validation import (
    require_instances,
    require_nonnegative,
    require_positive,
    require_probability,
    require_reals,
    require_scalar,
)

__all__ = ["PosteriorGate", "PosteriorParameters", "context_evidence"]


def context_evidence(loss_in_weight: Tensor, loss_in_context: Tensor) -> Tensor:
    r"""Evidence for M from the tokens before each position: :math:`\sum_{s<t} [\ell_s(G) - \ell_s(M)]` nats.

    Args:
        loss_in_weight: losses of M on the tokens of sequences, shape (..., T).
        loss_in_context: losses of G, same shape.

    Returns:
        float64 tensor (..., T); 0 at the first position.

    Raises:
        ValueError: when shapes differ or a loss is not finite.

    Example:
        >>> context_evidence(torch.tensor([0.5, 0.5, 0.5]), torch.tensor([1.0, 0.25, 9.0])).tolist()
        [0.0, 0.5, 0.25]
    """
    if loss_in_weight.shape != loss_in_context.shape or loss_in_weight.dim() == 0:
        shapes = f"{tuple(loss_in_weight.shape)} and {tuple(loss_in_context.shape)}"
        raise ValueError(f"`loss_in_weight` and `loss_in_context` must have one shape (..., T); got {shapes}")
    gap = loss_in_context.double() - loss_in_weight.double()
    if not bool(gap.isfinite().all()):
        raise ValueError("`loss_in_weight` and `loss_in_context` must be finite; got NaN or infinity")
    return gap.cumsum(-1) - gap


@dataclass(frozen=True)
class PosteriorParameters:
    """What the loss-complexity posterior leaves open.

    Attributes:
        alpha: how fast evidence loses value with training, in [0, 1); 0 counts every step in full.
        beta: exponent of the description length, >= 0; 0 leaves complexity out.
        gamma: learning rate of the first step, > 0.
        kappa: what a nat of evidence from the sequence's own context counts, >= 0; 0 leaves it out.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> parameters = PosteriorParameters(alpha=0.5, beta=0.5, gamma=1.0)
        >>> parameters.log_odds(100, 0.25, 36.0, 16.0).round(4).item()
        1.1137
        >>> parameters.transition_time(0.25, 36.0, 16.0).round(3).item()
        30.749
    """

    alpha: float
    beta: float
    gamma: float
    kappa: float = 0.0

    def __post_init__(self) -> None:
        require_scalar("alpha", require_probability("alpha", self.alpha, below_one=True))
        require_scalar("gamma", require_positive("gamma", self.gamma))
        for name in ("beta", "kappa"):
            require_scalar(name, require_nonnegative(name, getattr(self, name)))

    def log_odds(
        self,
        steps: ArrayLike,
        loss_gap: ArrayLike,
        complexity_m: ArrayLike,
        complexity_g: ArrayLike,
        *,
        evidence: ArrayLike = 0.0,
    ) -> NDArray[np.float64]:
        """:func:`theory.strategies.log_odds` of training, plus kappa times the evidence from the context."""
        training = strategies.log_odds(
            steps, loss_gap, complexity_m, complexity_g, alpha=self.alpha, beta=self.beta, gamma=self.gamma
        )
        return np.asarray(training + self.kappa * require_reals("evidence", evidence))

    def transition_time(
        self, loss_gap: ArrayLike, complexity_m: ArrayLike, complexity_g: ArrayLike
    ) -> NDArray[np.float64]:
        """:func:`theory.strategies.transition_time` at these parameters."""
        return strategies.transition_time(
            loss_gap, complexity_m, complexity_g, alpha=self.alpha, beta=self.beta, gamma=self.gamma
        )


class PosteriorGate(ExponentialWeightsGate):
    r"""Posterior weight of the memorizing predictor M (in weights) against the generalizing one G (in context).

    .. math:: \ln\frac{a_N}{1-a_N} =
        \gamma N^{-\alpha} \sum_{s \le N} [\ell_s(G) - \ell_s(M)] - \ln 2\,(K_M^\beta - K_G^\beta)

    Exponential weights with prior :math:`2^{-K^\beta}` and rate :math:`\gamma N^{-\alpha}`, and so with their regret
    bound. After N rounds its weight is the sigmoid of :meth:`PosteriorParameters.log_odds` at the mean losses.

    Args:
        shape: streams and cells, see :class:`gating.gates.online.OnlineGate`; a cell is a set of training tasks.
        parameters: alpha, beta, gamma, and kappa for :meth:`along_context`.
        complexity_m: description length of M in bits, > 0, number or table that broadcasts to ``shape``.
        complexity_g: description length of G in bits, likewise.
        loss_range: largest ``|l(M) - l(G)|`` that an update accepts; a finite one gives a finite bound on regret.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> parameters = PosteriorParameters(alpha=0.5, beta=0.5, gamma=1.0)
        >>> gate = PosteriorGate((1,), parameters, complexity_m=36.0, complexity_g=16.0)
        >>> for _ in range(100):
        ...     _ = gate.update(0.5, 0.75)
        >>> gate.alpha().logit().round(decimals=4).tolist()
        [1.1137]

    Source: Wurgaft et al. (2025), section 4.
    """

    def __init__(
        self,
        shape: Sequence[int],
        parameters: PosteriorParameters,
        *,
        complexity_m: ArrayLike,
        complexity_g: ArrayLike,
        loss_range: float = math.inf,
    ):
        require_instances(parameters=(parameters, PosteriorParameters))
        price = strategies.price_of_memory(complexity_m, complexity_g, beta=parameters.beta)
        try:
            super().__init__(
                shape,
                loss_range=loss_range,
                rate=lambda rounds: parameters.gamma * rounds.clamp(min=1) ** -parameters.alpha,
                log_prior_odds=-price,
            )
        except ValueError as error:  # the prior is made of the lengths, which the caller knows by these names
            raise ValueError(str(error).replace("`log_prior_odds`", "`complexity_m` and `complexity_g`")) from error
        self.posterior = parameters

    @torch.no_grad()
    def along_context(self, loss_in_weight: Tensor, loss_in_context: Tensor) -> Tensor:
        """Weight of M at every position of a sequence read with the gate as trained so far; nothing is learned.

        Args:
            loss_in_weight: losses of M on the tokens, shape ``(*shape, T)``.
            loss_in_context: losses of G, same shape.

        Returns:
            float64 tensor ``(*shape, T)``: the log odds of :meth:`alpha` plus kappa times `context_evidence`.

        Example:
            >>> parameters = PosteriorParameters(alpha=0.0, beta=0.0, gamma=1.0, kappa=1.0)
            >>> gate = PosteriorGate((1,), parameters, complexity_m=9.0, complexity_g=9.0)
            >>> gate.along_context(torch.zeros(1, 2), torch.ones(1, 2)).round(decimals=4).tolist()
            [[0.5, 0.7311]]
        """
        odds = self._log_odds(slice(None)).reshape(*self.shape, 1)
        evidence = context_evidence(loss_in_weight, loss_in_context)
        return torch.sigmoid(odds + self.posterior.kappa * evidence)
