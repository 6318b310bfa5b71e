"""From regret to the composed model: sums over cells, the gate with its two learners, the risk of the average.

The composed model predicts ``f = alpha g + (1 - alpha) h``, one gate learner per cell of the input space.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory.validation import (
    Floats,
    require_count,
    require_nonnegative,
    require_positive,
    require_probability,
    require_reals,
)

__all__ = ["cells_bound", "composition_bound", "online_to_batch_bound"]


def cells_bound(n_cells: ArrayLike, n_rounds: ArrayLike, loss_range: ArrayLike) -> Floats:
    r"""Regret of one gradient descent gate per cell, summed over cells.

    .. math:: \sum_x \left(\frac{B\sqrt H}{4} + \frac{B n_x}{4\sqrt H}\right) = \frac{B\sqrt{|X| T}}{2}, \qquad
        H = T/|X|

    Upper bound, always. Holds when every cell uses the one step ``1 / (2 B sqrt(T / |X|))``, however the T rounds fall
    on the cells; also when each cell knows its own number of rounds, by Cauchy and Schwarz.

    Args:
        n_cells: number of cells, integer >= 1.
        n_rounds: T, rounds over all cells; integer >= 0.
        loss_range: B > 0, in units of the loss.

    Returns:
        The bound in units of the loss.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> cells_bound(10, 1000, 1.0).item()
        50.0

    Source: :func:`theory.regret.gradient_descent_bound`, summed.
    """
    cells, rounds = require_count("n_cells", n_cells, least=1), require_count("n_rounds", n_rounds)
    return np.asarray(require_positive("loss_range", loss_range) * np.sqrt(cells * rounds) / 2)


def composition_bound(
    loss_in_weight: ArrayLike,
    loss_in_context: ArrayLike,
    gate_regret: ArrayLike,
    *,
    in_weight_regret: ArrayLike = 0.0,
    in_context_regret: ArrayLike = 0.0,
) -> Floats:
    r"""Total loss of ``f = alpha g + (1 - alpha) h`` when each cell has its own learners.

    .. math:: \sum_x \left[\min(G_x + R^g_x,\; H_x + R^h_x) + R^\alpha_x\right]
        = \min_S \left[\sum_{x \in S} (G_x + R^g_x) + \sum_{x \notin S} (H_x + R^h_x)\right] + \sum_x R^\alpha_x

    Upper bound, always. Holds for losses convex in the prediction (log, linear, squared), a gate learner per cell with
    regret at most :math:`R^\alpha_x`, and S any set of whole cells. Without the learners' regrets G and H are the
    losses that g and h suffered as they learned. With them, G and H are the losses of the best comparator of *the
    rounds of this cell*, and g and h must be learned per cell: a learner shared between cells has no such bound on a
    part of its rounds.

    Args:
        loss_in_weight: (..., cells) G, loss summed over the rounds of each cell.
        loss_in_context: (..., cells) H, likewise.
        gate_regret: (..., cells) regret bound of the gate learner, >= 0.
        in_weight_regret: (..., cells) regret bound of g against its comparator, >= 0.
        in_context_regret: (..., cells) the same for h.

    Returns:
        The bound, summed over the last axis, in units of the loss.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> composition_bound([3.0, 9.0], [5.0, 1.0], [0.5, 0.5]).item()
        5.0

    Source: Chan et al. (2025), the regret decomposition of the bi-level update, for sets of whole cells.
    """
    g = require_reals("loss_in_weight", loss_in_weight) + require_nonnegative("in_weight_regret", in_weight_regret)
    h = require_reals("loss_in_context", loss_in_context) + require_nonnegative("in_context_regret", in_context_regret)
    cells = np.atleast_1d(np.minimum(g, h) + require_nonnegative("gate_regret", gate_regret))
    return np.asarray(cells.sum(axis=-1))


def online_to_batch_bound(
    regret: ArrayLike, n_rounds: ArrayLike, *, loss_range: ArrayLike | None = None, delta: ArrayLike | None = None
) -> Floats:
    r"""Excess risk of the average weight :math:`\bar\alpha = \frac1T \sum_t \alpha_t` over the best fixed weight.

    .. math:: E[R(\bar\alpha)] - R(\alpha^*) \le \frac{Reg}{T}, \qquad
        R(\bar\alpha) - R(\alpha^*) \le \frac{Reg}{T} + B\sqrt{\frac{2 \ln(1/\delta)}{T}}

    Upper bound in expectation over the T rounds, or with probability 1 - delta when ``delta`` and ``loss_range`` are
    given. Holds for independent, identically distributed rounds and a loss convex in the weight. In the second form the
    loss is linear in it, with slopes at most B. Without ``delta`` the first form says nothing of a single run.

    Args:
        regret: bound on the regret of T rounds, >= 0, in units of the loss.
        n_rounds: T, integer >= 1.
        loss_range: B > 0, largest ``|l(g) - l(h)|``; with ``delta`` only.
        delta: probability of failure, in (0, 1).

    Returns:
        The bound in units of the loss.

    Raises:
        ValueError: an argument outside its set, or only one of ``loss_range`` and ``delta``.

    Example:
        >>> online_to_batch_bound(5.0, 100).item()
        0.05
        >>> online_to_batch_bound(5.0, 100, loss_range=1.0, delta=0.05).round(4).item()
        0.2948

    Source: Cesa-Bianchi, Conconi and Gentile (2004), Theorem 1 and Corollary 2; the difference
    :math:`(\alpha_t - \alpha^*) d_t` of a linear loss is centred once, by Azuma's inequality.
    """
    rounds = require_count("n_rounds", n_rounds, least=1)
    mean = require_nonnegative("regret", regret) / rounds
    if loss_range is None and delta is None:
        return np.asarray(mean)
    if loss_range is None or delta is None:
        raise ValueError("`loss_range` and `delta` must be given together; got only one of them")
    failure = require_probability("delta", delta, above_zero=True, below_one=True)
    return np.asarray(mean + require_positive("loss_range", loss_range) * np.sqrt(-2 * np.log(failure) / rounds))
