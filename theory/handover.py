r"""When weights take an answer over from the context: the best gate between a copier that is mostly right and weights
that are still learning.

On a training row the context answers with probability p (copying is right there and wrong elsewhere), and the
in-weight predictor g gives the true label probability :math:`1 - \delta`. One gate for all rows cannot tell which rows
the context answers; it trusts g as far as log loss asks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import Floats, require_probability

__all__ = ["Handover", "handover_error", "keeping_share", "optimal_handover", "teaching_share"]


class Handover(NamedTuple):
    """The best gate, in the broadcast shape of its arguments.

    Attributes:
        alpha: weight of g, in [0, 1].
        log_loss: nats; infinite where copying is sometimes wrong and g gives the true label nothing.
        weights_win: whether the true label beats the copied one where the context does not answer.
    """

    alpha: Floats
    log_loss: Floats
    weights_win: NDArray[np.bool_]


def optimal_handover(p: ArrayLike, delta: ArrayLike, *, copied: ArrayLike = 0.0) -> Handover:
    r"""The gate with the least log loss over rows that the context answers with probability p.

    :math:`\alpha^* = \min(1, (1 - p)/\delta)`; weights win where
    :math:`\alpha(1 - \delta) > 1 - \alpha + \alpha\kappa`.

    Exact. Holds for labels without noise, and a gate that sees nothing of whether the context answers.

    Args:
        p: probability that copying is right, in [0, 1].
        delta: probability that g does not give to the true label, in [0, 1], broadcast against `p`.
        copied: kappa, the part of it that g gives to a wrongly copied label, in [0, 1] and at most `delta`.

    Returns:
        The gate.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> optimal_handover(0.9, [0.05, 0.5, 0.2]).alpha.round(3).tolist()
        [1.0, 0.2, 0.5]
        >>> optimal_handover(0.9, [0.05, 0.5, 0.2]).weights_win.tolist()
        [True, False, False]

    Source: statement 3.12; the derivative of the log loss.
    """
    right, missed = np.broadcast_arrays(require_probability("p", p), require_probability("delta", delta))
    share = require_probability("copied", copied)
    if (share > missed).any():
        raise ValueError(f"`copied` must be at most `delta`; got {copied!r} and {delta!r}")
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(missed > 1 - right, (1 - right) / missed, 1.0)
        loss = -_times_log(right, 1 - alpha * missed) - _times_log(1 - right, alpha * (1 - missed))
    wins = alpha * (1 - missed) > 1 - alpha + alpha * share
    return Handover(alpha, np.asarray(loss), np.asarray(wins))


def _times_log(weight: Floats, value: Floats) -> Floats:
    return np.asarray(np.where(weight > 0, weight * np.log(np.where(weight > 0, value, 1.0)), 0.0))


def handover_error(p: ArrayLike) -> Floats:
    r"""Largest :math:`\delta` below which weights win where the context does not answer, :math:`(1 - p)/(1 - p/2)`.

    Exact, for a g that gives none of its :math:`\delta` to the copied label.

    Args:
        p: probability that copying is right on a training row, in [0, 1].

    Returns:
        The probability that g may miss, in [0, 1].

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> handover_error([0.0, 0.9, 1.0]).round(4).tolist()
        [1.0, 0.1818, 0.0]

    Source: statement 3.12.
    """
    right = require_probability("p", p)
    return np.asarray((1 - right) / (1 - right / 2))


def keeping_share(delta: ArrayLike) -> Floats:
    r"""Share of rows that the context answers from which on the best gate keeps copying,
    :math:`(1 - \delta)/(1 - \delta/2)`.

    The inverse of :func:`handover_error`: with a larger share, weights that miss :math:`\delta` do not win where the
    context does not answer. 1 once the weights miss nothing: no share below all rows keeps reading for ever.

    Exact, for a g that gives none of its :math:`\delta` to the copied label.

    Args:
        delta: probability that g does not give to the true label, in [0, 1].

    Returns:
        The share, in [0, 1].

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> keeping_share([0.0, 0.5, 1.0]).round(4).tolist()
        [1.0, 0.6667, 0.0]

    Source: statement 3.12.
    """
    missed = require_probability("delta", delta)
    return np.asarray((1 - missed) / (1 - missed / 2))


def teaching_share(alpha: ArrayLike, g: ArrayLike, h: ArrayLike) -> Floats:
    r"""Share of a row's log-loss gradient that reaches g through the gate,
    :math:`\alpha g / (\alpha g + (1 - \alpha) h)`.

    With m the mixture, :math:`\nabla(-\ln m) = \text{share} \cdot \nabla(-\ln g) + (1 - \text{share}) \cdot
    \nabla(-\ln h)` plus the gate's own part: a row that copying answers teaches g hardly anything.

    Exact.

    Args:
        alpha: weight of g, in [0, 1].
        g: probability that g gives to the row's label, in [0, 1], broadcast against the others.
        h: probability that h gives to it.

    Returns:
        The share, in [0, 1]; 0 where the mixture gives the label nothing.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> teaching_share(0.5, [0.1, 0.9], 1.0).round(3).tolist()
        [0.091, 0.474]

    Source: the chain rule; Jacobs, Jordan, Nowlan and Hinton (1991), whose posterior of an expert it is.
    """
    weight = require_probability("alpha", alpha)
    own, other = require_probability("g", g), require_probability("h", h)
    part = weight * own
    whole = part + (1 - weight) * other
    return np.asarray(np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0))
