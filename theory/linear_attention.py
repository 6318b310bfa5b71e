r"""Regression in context by linear attention: the error on new tasks, when all sizes are large.

A sequence shows :math:`\ell = \alpha d` pairs of one task, :math:`y = \langle w, x \rangle + \epsilon` with
:math:`x \sim N(0, I/d)`, :math:`\|w\|^2 = d` and noise of variance :math:`\rho`, and asks for the answer to one more
input. A layer of linear attention, reduced to :math:`\hat y = \langle \Gamma, H \rangle` with
:math:`H = x_{\ell+1} (\frac d\ell \sum_i y_i x_i, \frac1\ell \sum_i y_i^2)^\top`, is fitted by least squares (the
solution of least norm) to :math:`n = \tau d^2` sequences of :math:`k = \kappa d` tasks. With few tasks it learns those
by heart; with many it learns to regress.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory.validation import Floats, require_nonnegative, require_positive

__all__ = ["icl_error", "memory_free_error"]


def icl_error(tau: ArrayLike, alpha: ArrayLike, rho: ArrayLike, kappa: ArrayLike) -> Floats:
    r"""Mean squared error on tasks never seen, as d grows.

    With :math:`M_\kappa(x) = 2 / (x + 1 - 1/\kappa + \sqrt{(x + 1 - 1/\kappa)^2 + 4x/\kappa})`, :math:`x = (1 + \rho) /
    \alpha`, :math:`m = M_\kappa(x)` and :math:`\mu = x M_{\kappa/\tau}(x)`: for :math:`\tau < 1`

    .. math:: \frac{\tau (1 + x)}{1 - \tau}\left[1 - \tau (1 - \mu)^2 - \frac{x - \rho}{x}\mu\right]
        - 2 \tau (1 - \mu) + \rho + 1,

    and for :math:`\tau > 1`, with :math:`1/s = 1 - \kappa (m / (\kappa + m))^2`,

    .. math:: \left(s - \frac1{\tau - 1}\right)(1 + x)(x m)^2 + \frac{3 - 2\tau}{\tau - 1} m x^2
        + \left(\frac{1 + \rho}{\tau - 1} m + 1\right) x + \frac{\rho m}{\tau - 1} + \rho.

    Limit of large d; in simulations errors are larger, by less the larger d is (at d = 60 by a twentieth). Infinite at
    :math:`\tau = 1`, where sequences are as many as weights.

    Args:
        tau: training sequences over :math:`d^2`, > 0; may be infinite.
        alpha: pairs of a context over d, > 0.
        rho: variance of the noise, >= 0.
        kappa: training tasks over d, > 0; may be infinite. All four broadcast.

    Returns:
        The error; that of answering 0 is :math:`1 + \rho`.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> icl_error([0.5, 2.0], 1.0, 0.25, [0.5, 10.0]).round(4).tolist()
        [1.8421, 1.6271]

    Source: Lu, Letey, Zavatone-Veth, Maiti and Pehlevan (2024), arXiv 2405.11751, whose Result 1 it is.
    """
    noise = require_nonnegative("rho", rho)
    sizes = {"tau": tau, "alpha": alpha, "kappa": kappa}
    t, a, k = (require_positive(name, value, infinite=True) for name, value in sizes.items())
    t, a, noise, k = np.broadcast_arrays(t, a, noise, k)
    x = (1 + noise) / a
    with np.errstate(divide="ignore", invalid="ignore"):
        few, many = _few_sequences(t, x, noise, k), _many_sequences(t, x, noise, k)
    return np.asarray(np.where(t == 1, np.inf, np.where(t < 1, few, many)))


def memory_free_error(alpha: ArrayLike, rho: ArrayLike) -> Floats:
    r"""What is left with any number of sequences and of tasks, :math:`\rho + x/(1 + x)`, :math:`x = (1 + \rho)/\alpha`.

    Exact in the limit: the best :math:`\hat y = c \langle x_{\ell+1}, \frac d\ell \sum_i y_i x_i \rangle` has
    :math:`c = 1/(1 + x)`.

    Args:
        alpha: pairs of a context over d, > 0.
        rho: variance of the noise, >= 0, broadcast against `alpha`.

    Returns:
        The error.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> float(memory_free_error(1.0, 0.25).round(4))
        0.8056

    Source: `icl_error` at infinite tau and kappa.
    """
    noise = require_nonnegative("rho", rho)
    x = (1 + noise) / require_positive("alpha", alpha, infinite=True)
    return np.asarray(noise + x / (1 + x))


def _resolvent(x: Floats, kappa: Floats) -> Floats:
    """M of `icl_error`: the mean of 1 / (x + eigenvalue) of the covariance of tasks."""
    middle = x + 1 - 1 / kappa
    return np.asarray(2 / (middle + np.sqrt(middle**2 + 4 * x / kappa)))


def _few_sequences(t: Floats, x: Floats, noise: Floats, k: Floats) -> Floats:
    mu = x * _resolvent(x, k / t)
    fitted = 1 - t * (1 - mu) ** 2 - (x - noise) / x * mu
    return np.asarray(t * (1 + x) / (1 - t) * fitted - 2 * t * (1 - mu) + noise + 1)


def _many_sequences(t: Floats, x: Floats, noise: Floats, k: Floats) -> Floats:
    m, over = _resolvent(x, k), 1 / (t - 1)
    spread = 1 / (1 - m**2 / np.where(np.isinf(k), np.inf, (k + m) ** 2 / k))
    slope = np.where(np.isinf(t), -2.0, (3 - 2 * t) * over)
    return np.asarray(
        (spread - over) * (1 + x) * (x * m) ** 2
        + slope * m * x**2
        + ((1 + noise) * over * m + 1) * x
        + noise * m * over
        + noise
    )
