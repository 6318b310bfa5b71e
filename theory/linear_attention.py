r"""Regression in context by linear attention: errors on new and on training tasks, when all sizes are large.

A sequence shows :math:`\ell = \alpha d` pairs of one task, :math:`y = \langle w, x \rangle + \epsilon` with
:math:`x \sim N(0, I/d)`, :math:`\|w\|^2 = d` and noise of variance :math:`\rho`, and asks for the answer to one more
input. A layer of linear attention, reduced to :math:`\hat y = \langle \Gamma, H \rangle` with
:math:`H = x_{\ell+1} (\frac d\ell \sum_i y_i x_i, \frac1\ell \sum_i y_i^2)^\top`, is fitted by least squares (the
solution of least norm) to :math:`n = \tau d^2` sequences of :math:`k = \kappa d` tasks. With few tasks it learns those
by heart; with many it learns to regress.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import Floats, require_nonnegative, require_positive

__all__ = ["PHASES", "icl_error", "idg_error", "linear_attention_phases", "memory_free_error", "ridge_error"]

PHASES = ("neither", "memorizing", "generalizing")
"""What a fitted layer has learnt, see `linear_attention_phases`."""


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
    t, x, noise, k = _sizes(tau, alpha, rho, kappa)
    with np.errstate(divide="ignore", invalid="ignore"):
        few, many = _few_sequences(t, x, noise, k), _many_sequences(t, x, noise, k)
    return np.asarray(np.where(t == 1, np.inf, np.where(t < 1, few, many)))


def idg_error(tau: ArrayLike, alpha: ArrayLike, rho: ArrayLike, kappa: ArrayLike) -> Floats:
    r"""Mean squared error on new sequences of the training tasks, as d grows.

    With :math:`x, m, \mu` and s of `icl_error`: for :math:`\tau > 1`

    .. math:: \frac{\tau}{\tau - 1}\left[\rho + x(1 - x m)\right],

    and for :math:`\tau < 1`, with :math:`m' = \tau M_{\kappa/\tau}(x)`, the ridge :math:`\lambda = (1 - \tau)/m'` that
    few sequences amount to, :math:`z = x + \lambda`, :math:`v = m'^2 s(m')`,

    .. math:: \frac{\rho + z - z^2 m' - \lambda(1 - 2 z m' + z^2 v)}{1 - (2\tau - 1 + \lambda^2 v)/\tau}.

    Limit of large d, as `icl_error`; infinite at :math:`\tau = 1`.

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
        >>> idg_error([0.5, 2.0], 1.0, 0.25, [0.5, 10.0]).round(4).tolist()
        [1.3966, 1.5838]

    Source: docs/theory.md, statement 8.5; a derivation of the project's, not a formula copied from Lu et al. (2024).
    """
    t, x, noise, k = _sizes(tau, alpha, rho, kappa)
    with np.errstate(divide="ignore", invalid="ignore"):
        few = _few_sequences_known(t, x, noise, k)
        many = (noise + x * (1 - x * _resolvent(x, k))) / (1 - 1 / t)
    return np.asarray(np.where(t == 1, np.inf, np.where(t < 1, few, many)))


def ridge_error(alpha: ArrayLike, rho: ArrayLike) -> Floats:
    r"""Mean squared error of the best answer on new tasks: ridge regression on the context, as d grows.

    .. math:: \rho\left(1 + M_\alpha(\rho / \alpha) / \alpha\right)

    Args:
        alpha: pairs of a context over d, > 0.
        rho: variance of the noise, >= 0, broadcast against `alpha`; without noise the error is max(0, 1 - alpha).

    Returns:
        The error. Linear attention, which multiplies by one matrix for all contexts, does not get there;
        `memory_free_error` is larger.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> float(ridge_error(1.0, 0.25).round(4))
        0.6404

    Source: docs/theory.md, statement 8.6.
    """
    a, noise = np.broadcast_arrays(require_positive("alpha", alpha, infinite=True), require_nonnegative("rho", rho))
    safe = np.where(noise > 0, noise, 1.0)
    found = safe * (1 + _resolvent(safe / a, a) / a)
    return np.asarray(np.where(noise > 0, found, np.maximum(0.0, 1 - a)))


def linear_attention_phases(tau: ArrayLike, alpha: ArrayLike, rho: ArrayLike, kappa: ArrayLike) -> NDArray[np.str_]:
    r"""What a fitted layer has learnt, by the nearer of two errors: of `memory_free_error`, or of answering 0.

    - ``generalizing``: on new tasks its error is nearer to that of any number of tasks and sequences;
    - ``memorizing``: that is so on training tasks alone;
    - ``neither``: on neither.

    Around :math:`\tau = 1` it is neither, at every number of tasks. With any number of sequences and of pairs it
    generalizes from :math:`\kappa = 1/2` on, half-way to :math:`\kappa = 1`, where the last of that error goes.

    Args:
        tau: training sequences over :math:`d^2`, > 0; may be infinite.
        alpha: pairs of a context over d, > 0.
        rho: variance of the noise, >= 0.
        kappa: training tasks over d, > 0; may be infinite. All four broadcast.

    Returns:
        One of `PHASES` for each.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> linear_attention_phases([1.1, 100.0, 100.0], 100.0, 0.1, [10.0, 0.3, 10.0]).tolist()
        ['neither', 'memorizing', 'generalizing']

    Source: docs/theory.md, statement 8.7.
    """
    half = (memory_free_error(alpha, rho) + 1 + require_nonnegative("rho", rho)) / 2
    new, known = icl_error(tau, alpha, rho, kappa) < half, idg_error(tau, alpha, rho, kappa) < half
    return np.asarray(np.where(new, PHASES[2], np.where(known, PHASES[1], PHASES[0])))


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


def _sizes(tau: ArrayLike, alpha: ArrayLike, rho: ArrayLike, kappa: ArrayLike) -> tuple[Floats, ...]:
    """Tau, x = (1 + rho) / alpha, rho and kappa, in one shape."""
    noise, sizes = require_nonnegative("rho", rho), {"tau": tau, "alpha": alpha, "kappa": kappa}
    t, a, k = (require_positive(name, value, infinite=True) for name, value in sizes.items())
    t, a, noise, k = np.broadcast_arrays(t, a, noise, k)
    return t, (1 + noise) / a, noise, k


def _resolvent(x: Floats, kappa: Floats) -> Floats:
    """M of `icl_error`: the mean of 1 / (x + eigenvalue) of the covariance of tasks."""
    middle = x + 1 - 1 / kappa
    root = np.sqrt(middle**2 + 4 * x / kappa)
    with np.errstate(divide="ignore", invalid="ignore"):  # each form where it does not cancel
        return np.asarray(np.where(middle > 0, 2 / (middle + root), (root - middle) * kappa / (2 * x)))


def _spread(m: Floats, k: Floats) -> Floats:
    """s of `icl_error`: the mean of 1 / (x + eigenvalue)^2 over m^2."""
    return np.asarray(1 / (1 - m**2 / np.where(np.isinf(k), np.inf, (k + m) ** 2 / k)))


def _few_sequences(t: Floats, x: Floats, noise: Floats, k: Floats) -> Floats:
    mu = x * _resolvent(x, k / t)
    fitted = 1 - t * (1 - mu) ** 2 - (x - noise) / x * mu
    return np.asarray(t * (1 + x) / (1 - t) * fitted - 2 * t * (1 - mu) + noise + 1)


def _few_sequences_known(t: Floats, x: Floats, noise: Floats, k: Floats) -> Floats:
    m = t * _resolvent(x, k / t)
    ridge = (1 - t) / m
    z, square = x + ridge, m**2 * _spread(m, k)
    missed = noise + z - z**2 * m - ridge * (1 - 2 * z * m + z**2 * square)
    return np.asarray(missed / (1 - (2 * t - 1 + ridge**2 * square) / t))


def _many_sequences(t: Floats, x: Floats, noise: Floats, k: Floats) -> Floats:
    m, over = _resolvent(x, k), 1 / (t - 1)
    slope = np.where(np.isinf(t), -2.0, (3 - 2 * t) * over)
    return np.asarray(
        (_spread(m, k) - over) * (1 + x) * (x * m) ** 2
        + slope * m * x**2
        + ((1 + noise) * over * m + 1) * x
        + noise * m * over
        + noise
    )
