"""Gate learned by projected gradient descent."""

from collections.abc import Sequence
from typing import Self

from numpy.typing import ArrayLike
from torch import Tensor

from gating.gates.online import Index, LinearLossGate, Tuning
from theory.regret import gradient_descent_bound
from theory.validation import require_positive, require_scalar

__all__ = ["GradientDescentGate"]


class GradientDescentGate(LinearLossGate, key="gradient_descent"):
    r"""Projected gradient descent on the weight, from 1/2.

    .. math:: \alpha_{t+1} = \mathrm{clip}_{[0,1]}(\alpha_t - \eta_t d_t), \qquad
        \eta_t = \frac{1}{2B\sqrt H} \text{ with a horizon, } \frac{1}{B\sqrt{2t}} \text{ without}

    Regret against the better predictor: :func:`theory.regret.gradient_descent_bound`.

    Args:
        shape: streams and cells, see :class:`gating.gates.online.OnlineGate`.
        loss_range: B > 0, largest ``|l(g) - l(h)|``, finite.
        horizon: H > 0, rounds a cell is expected to be visited (number or table that broadcasts to ``shape``), or None
            for steps that need no horizon. For cells that share T rounds in unknown shares, H = T / cells.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> gate = GradientDescentGate((1,), loss_range=1.0, horizon=4)
        >>> for _ in range(3):
        ...     _ = gate.update(0.0, 1.0)
        >>> gate.alpha().tolist(), gate.regret().tolist(), gate.bound().tolist()
        ([1.0], [0.75], [0.875])

    Source: Zinkevich (2003), Theorem 1; Chan et al. (2025), the gate of their analysis.
    """

    weight: Tensor
    horizon: Tensor | None

    def __init__(self, shape: Sequence[int], *, loss_range: float, horizon: ArrayLike | None = None):
        super().__init__(shape, require_scalar("loss_range", require_positive("loss_range", loss_range)))
        self._state("weight", fill=0.5)
        self._parameter("horizon", None if horizon is None else require_positive("horizon", horizon))

    @classmethod
    def tuned(cls, shape: Sequence[int], tuning: Tuning) -> Self:
        """With the range and the horizon that are known."""
        return cls(shape, loss_range=tuning.loss_range, horizon=tuning.horizon)

    def bound(self) -> Tensor:
        """:func:`theory.regret.gradient_descent_bound` of the rounds each learner has played."""
        horizon = None if self.horizon is None else self.horizon.cpu().numpy()
        return self._table(gradient_descent_bound(self.rounds.cpu().numpy(), self.loss_range, horizon=horizon))

    def _alpha(self, index: Index) -> Tensor:
        return self.weight[index].clone()

    def _learn(self, index: Index, alpha: Tensor, difference: Tensor) -> None:
        squared = 2 * (self.rounds[index] + 1) if self.horizon is None else 4 * self.horizon[index]
        self.weight[index] = (alpha - difference / (self.loss_range * squared.sqrt())).clamp(0, 1)
