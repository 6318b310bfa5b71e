r"""Moments of random class counts, exact at any sample size.

With :math:`n = s + \mathrm{Bin}(N, q)` the count of a class and :math:`k` the count of one of its labels,
:math:`E e^{-tn} = e^{-st} (1 - q\sigma)^N` where :math:`\sigma = 1 - e^{-t}`. Hence

.. math::
   E\frac{1}{n + a} = \int_0^\infty e^{-at} E e^{-tn} dt, \qquad
   E \ln\frac{n + b}{k + a} = \int_0^\infty \frac{e^{-at} E e^{-tk} - e^{-bt} E e^{-tn}}{t} dt .

Both integrands keep one sign, so nothing cancels; they are analytic and bounded for :math:`\Re t > 0`, so after
:math:`t = e^u` the trapezoidal rule with step h errs by a relative :math:`e^{-\pi^2/h}` (7e-18 at h = 1/4), at a cost
that grows with :math:`\ln N` alone.
"""

import numpy as np
from scipy import special

from theory.validation import Floats

__all__ = ["expected_inverse_root", "expected_log_ratio", "expected_reciprocal"]


_STEP = 0.25
_LOWER_TAIL, _UPPER_TAIL = 1e-18, 42.0  # relative masses left out: 1e-18 and exp(-42)


def _nodes(fastest: Floats, slowest: Floats, lower_tail: float = _LOWER_TAIL) -> Floats:
    """Values of t from far below 1 / fastest rate to far beyond 1 / slowest rate, equally spaced in ln t."""
    low, high = np.log(lower_tail / fastest.max()), np.log(_UPPER_TAIL / slowest.min())
    return np.exp(np.arange(low, high + _STEP, _STEP))


def expected_reciprocal(n_draws: Floats, p: Floats, offset: Floats, n_sure: Floats) -> Floats:
    r""":math:`E[1 / (n + a)]` for :math:`n = s + \mathrm{Bin}(N, q)`, exact to 1e-13 relative.

    Args:
        n_draws: N, whole numbers; any shape, broadcast against the others.
        p: q in [0, 1].
        offset: a > 0.
        n_sure: s >= 0, whole numbers.

    Returns:
        The expectation, in the broadcast shape.

    Example:
        >>> one = np.ones(())
        >>> round(float(expected_reciprocal(2 * one, 0.5 * one, one, 0 * one)), 12)  # (1 + 2/2 + 1/3) / 4
        0.583333333333
    """
    total = np.zeros(np.broadcast(n_draws, p, offset, n_sure).shape)
    for t in _nodes(offset + n_sure + n_draws * p, offset):
        sigma = -np.expm1(-t)
        total += t * np.exp(special.xlog1py(n_draws, -p * sigma) - (offset + n_sure) * t)
    return _STEP * total


def expected_log_ratio(
    n_draws: Floats, p: Floats, p_label: Floats, p_other: Floats, low: Floats, high: Floats, n_sure: Floats
) -> Floats:
    r""":math:`E \ln((n + b) / (k + a))`, exact to 1e-13 relative, for a class count n and a label count k.

    :math:`n = s + \mathrm{Bin}(N, q)`, and each of the n queries carries the label with probability P.

    Args:
        n_draws: N, whole numbers; any shape, broadcast against the others.
        p: q in [0, 1].
        p_label: P in [0, 1].
        p_other: 1 - P, given separately because rounding would lose it next to P = 1.
        low: a > 0.
        high: b >= a.
        n_sure: s >= 0, whole numbers.

    Returns:
        The expectation, >= 0, in the broadcast shape.

    Example:
        >>> one = np.ones(())
        >>> round(float(expected_log_ratio(one, one, one, 0 * one, one, 2 * one, 0 * one)), 12)  # ln(3 / 2)
        0.405465108108
    """
    total = np.zeros(np.broadcast(n_draws, p, p_label, p_other, low, high, n_sure).shape)
    p_both, p_class_only = p * p_label, p * p_other
    for t in _nodes(high + n_sure + n_draws * p, low):
        sigma = -np.expm1(-t)
        log_label = special.xlog1py(n_sure, -p_label * sigma) + special.xlog1py(n_draws, -p_both * sigma) - low * t
        # ln E e^{-tn} - ln E e^{-tk}, one draw at a time: both factors are 1 - (a share of the draw that is no label)
        lost = np.divide(p_class_only * sigma, np.maximum(1 - p_both * sigma, np.finfo(float).tiny))
        lost_sure = np.divide(p_other * sigma, np.maximum(1 - p_label * sigma, np.finfo(float).tiny))
        gap = special.xlog1py(n_draws, -np.minimum(lost, 1)) + special.xlog1py(n_sure, -np.minimum(lost_sure, 1))
        total += np.exp(log_label) * -np.expm1(gap - (high - low) * t)
    return _STEP * total


def expected_inverse_root(n_draws: Floats, p: Floats, n_sure: Floats) -> Floats:
    r""":math:`E[n^{-1/2}; n \ge 1]` for :math:`n = s + \mathrm{Bin}(N, q)`, exact to 1e-13 relative.

    :math:`\pi^{-1/2} \int_0^\infty t^{-1/2} (E e^{-tn} - P(n = 0)) dt`.

    Args:
        n_draws: N, whole numbers; any shape, broadcast against the others.
        p: q in [0, 1].
        n_sure: s >= 0, whole numbers.

    Returns:
        The expectation, in the broadcast shape; 0 where n is surely 0.

    Example:
        >>> one = np.ones(())
        >>> round(float(expected_inverse_root(2 * one, 0.5 * one, 0 * one)), 12)  # 1 / 2 + 1 / (4 sqrt 2)
        0.676776695297
    """
    total = np.zeros(np.broadcast(n_draws, p, n_sure).shape)
    for t in _nodes(1 + n_sure + n_draws * p, np.ones(()), _LOWER_TAIL**2):
        sigma = -np.expm1(-t)
        kept = np.minimum(p * np.exp(-t) / np.maximum(1 - p * sigma, np.finfo(float).tiny), 1)
        seen = np.where(n_sure > 0, 1.0, -np.expm1(special.xlog1py(n_draws, -kept)))
        total += np.sqrt(t) * np.exp(special.xlog1py(n_draws, -p * sigma) - n_sure * t) * seen
    return _STEP / np.sqrt(np.pi) * total
