r"""Which of two noisy context tokens is nearer to a noisy query.

Query and a relevant token share the class centre; the irrelevant token's centre is at squared distance D; each has
independent noise :math:`N(0, \sigma^2 I_d)`. The difference of the two squared distances is
:math:`Q = \|x - x_{irr}\|^2 - \|x - x_{rel}\|^2 = \langle u, v \rangle` with :math:`u = x_{irr} - x_{rel}` and
:math:`v = x_{irr} + x_{rel} - 2x`. The query's noise is in both distances, yet u and v are independent:
their covariance is :math:`\sigma^2 - \sigma^2 = 0`. So given u, Q is normal, and
:math:`P(Q \le q) = E \Phi\big((q - \sqrt D a) / (\sqrt 6 \sigma \sqrt{a^2 + c^2})\big)` with
:math:`a = \sqrt D + \sqrt 2 \sigma g`, g standard normal and :math:`c^2 = 2 \sigma^2 \chi^2_{d-1}`: a smooth double
integral, done by trapezoidal rules.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from theory.validation import Floats, require_count, require_nonnegative, require_positive, require_reals

__all__ = ["exact_mean_log_overtaking", "exact_mean_overtaking", "exact_nearer_probability", "nearer_probability_bound"]


_TAIL = 1e-18
_LARGEST = 1e6  # beyond it fourth powers of the noise lose their digits


def exact_nearer_probability(
    squared_distance: float, input_noise: float, dim: int, *, margin: ArrayLike = 0.0
) -> Floats:
    r"""Probability that the irrelevant token is nearer to the query, up to a margin: :math:`P(Q \le q)`.

    Exact: numerical integration, absolute error below 1e-10 for d >= 8, 1e-8 for d >= 4, 1e-5 below.

    Args:
        squared_distance: D >= 0 between the two centres.
        input_noise: sigma > 0 of each coordinate.
        dim: d >= 2.
        margin: q, any real numbers; 0 asks for the nearer token.

    Returns:
        The probability, in the shape of ``margin``.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> round(float(exact_nearer_probability(2.0, 0.2, 64)), 4)
        0.0687

    Source: independence of sum and difference of Gaussian vectors.
    """
    distance, sigma, d = _inputs(squared_distance, input_noise, dim, least_dim=2)
    q = require_reals("margin", margin)
    mean, spread, weight = _given_difference(distance, sigma, d)
    values = [float((weight * special.ndtr((edge - mean) / spread)).sum()) for edge in q.ravel()]
    return np.reshape(values, q.shape)


def nearer_probability_bound(squared_distance: float, input_noise: float, dim: int) -> float:
    r"""Chernoff bound on the probability that the irrelevant token is nearer to the query.

    :math:`\min_s E e^{-sQ}`, at its minimiser over a grid:
    :math:`E e^{-sQ} = \rho^{-d/2} \exp\big((-sD + 3\sigma^2 s^2 D + \sigma^2 s^2 D) / \rho\big)`,
    :math:`\rho = 1 - 12 \sigma^4 s^2 > 0`.

    Upper bound, always.

    Args:
        squared_distance: D >= 0 between the two centres.
        input_noise: sigma > 0.
        dim: d >= 1.

    Returns:
        The bound, at most 1.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> round(nearer_probability_bound(2.0, 0.2, 64), 3)
        0.332

    Source: Chernoff's method with the Gaussian moment generating function.
    """
    distance, sigma, d = _inputs(squared_distance, input_noise, dim, least_dim=1)
    s = np.linspace(0, 1, 2001)[:-1] / (np.sqrt(12) * sigma**2)
    rho = 1 - 12 * sigma**4 * s**2
    exponent = (-s * distance + 4 * sigma**2 * s**2 * distance) / rho - d / 2 * np.log(rho)
    return float(np.exp(min(exponent.min(), 0.0)))


def exact_mean_overtaking(squared_distance: float, input_noise: float, dim: int, temperature: float) -> float:
    r"""Mean weight of the irrelevant token in a context of these two, :math:`E[1 / (1 + e^{Q/\tau})]`.

    :math:`\int P(Q \le \tau t)\, \lambda(t)\lambda(-t) dt` with the logistic function :math:`\lambda`.

    Exact: numerical integration, to the tolerance of `exact_nearer_probability`.

    Args:
        squared_distance: D >= 0 between the two centres.
        input_noise: sigma > 0.
        dim: d >= 2.
        temperature: tau > 0.

    Returns:
        The mean, in (0, 1).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> round(exact_mean_overtaking(0.0, 0.2, 64, 0.1), 9)  # two tokens of one class
        0.5

    Source: integration by parts.
    """
    tau = float(require_positive("temperature", temperature))
    if _is_narrow(squared_distance, input_noise, dim, tau):
        return _mean_over_normals(squared_distance, input_noise, dim, lambda q: special.expit(-q / tau))
    t = np.arange(-40, 40.25, 0.5)
    below = exact_nearer_probability(squared_distance, input_noise, dim, margin=tau * t)
    return float(0.5 * (below * special.expit(t) * special.expit(-t)).sum())


def exact_mean_log_overtaking(squared_distance: float, input_noise: float, dim: int, temperature: float) -> float:
    r"""Mean log loss of the relevant token in a context of these two, :math:`E \ln(1 + e^{-Q/\tau})`.

    :math:`E[\max(-Q, 0)]/\tau + \int_0^\infty \{P(Q \le \tau t) - P(Q \le -\tau t)\} \lambda(-t) dt` with the logistic
    function :math:`\lambda`.

    Exact: numerical integration, to ten times the tolerance of `exact_nearer_probability`.

    Args:
        squared_distance: D >= 0 between the two centres.
        input_noise: sigma > 0.
        dim: d >= 2.
        temperature: tau > 0.

    Returns:
        The mean, in nats.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> round(exact_mean_log_overtaking(0.0, 1e-9, 64, 0.1), 9)  # equal weights: ln 2
        0.693147181

    Source: integration by parts.
    """
    tau = float(require_positive("temperature", temperature))
    if _is_narrow(squared_distance, input_noise, dim, tau):
        return _mean_over_normals(squared_distance, input_noise, dim, lambda q: np.logaddexp(0, -q / tau))
    # ln(1 + e^-t) = max(-t, 0) + ln(1 + e^-|t|): the first part in closed form given u, the second by parts
    mean, spread, weight = _given_difference(squared_distance, input_noise, dim)
    ratio = mean / spread
    behind = spread * np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi) - mean * special.ndtr(-ratio)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    t, weights = 20 * (nodes + 1), 20 * weights
    ahead = exact_nearer_probability(squared_distance, input_noise, dim, margin=tau * np.stack([t, -t]))
    return float((weight * behind).sum() / tau + (weights * (ahead[0] - ahead[1]) * special.expit(-t)).sum())


def _inputs(squared_distance: float, input_noise: float, dim: int, *, least_dim: int) -> tuple[float, float, int]:
    distance = float(require_nonnegative("squared_distance", squared_distance))
    sigma = float(require_positive("input_noise", input_noise))
    for name, value in (("squared_distance", distance), ("input_noise", sigma)):
        if value > _LARGEST:
            raise ValueError(f"`{name}` must be at most {_LARGEST:g}; got {value:g}")
    return distance, sigma, int(require_count("dim", dim, least=least_dim))


def _is_narrow(squared_distance: float, input_noise: float, dim: int, temperature: float) -> bool:
    """Whether the law of Q is narrower than the logistic function, so that it must be resolved, not the function."""
    distance, sigma, d = _inputs(squared_distance, input_noise, dim, least_dim=2)
    spread = np.sqrt(6 * sigma**2 * (distance + 2 * sigma**2 * d))  # standard deviation of Q, about
    return bool(spread < 4 * temperature)


def _mean_over_normals(distance: float, sigma: float, d: int, f: Callable[[Floats], Floats]) -> float:
    """E f(Q) through the normal law of Q given u."""
    mean, spread, weight = _given_difference(distance, sigma, d)
    z = np.arange(-9, 9.1, 0.2)
    density = 0.2 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return float(sum(w * (weight * f(mean + spread * node)).sum() for node, w in zip(z, density, strict=True)))


def _given_difference(distance: float, sigma: float, d: int) -> tuple[Floats, Floats, Floats]:
    """Mean and standard deviation of Q given u, and the weight of each u, on a grid of (g, chi)."""
    # u may pass close to 0 in few dimensions, where the law of Q given u has a sharp peak
    step = 0.2 if d >= 8 else 0.03 if d >= 4 else 0.01
    g = np.arange(-9, 9 + step, step)
    g_weight = step * np.exp(-(g**2) / 2) / np.sqrt(2 * np.pi)
    a = np.sqrt(distance) + np.sqrt(2) * sigma * g
    chi, chi_weight = _chi_nodes(d - 1)
    norm = np.sqrt(a[:, None] ** 2 + 2 * sigma**2 * chi**2)
    spread = np.maximum(np.sqrt(6) * sigma * norm, np.finfo(np.float64).tiny)
    return np.broadcast_to(np.sqrt(distance) * a[:, None], norm.shape), spread, g_weight[:, None] * chi_weight


def _chi_nodes(k: int) -> tuple[Floats, Floats]:
    """Nodes and weights for the norm of k >= 1 standard normals, equally spaced in its logarithm."""
    low, high = special.gammaincinv(k / 2, _TAIL), special.gammainccinv(k / 2, _TAIL)
    log_chi = np.linspace(np.log(2 * low) / 2, np.log(2 * high) / 2, 200)
    log_density = k * log_chi - np.exp(2 * log_chi) / 2 - (k / 2 - 1) * np.log(2) - special.gammaln(k / 2)
    return np.exp(log_chi), (log_chi[1] - log_chi[0]) * np.exp(log_density)
