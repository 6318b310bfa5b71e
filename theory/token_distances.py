r"""Which of two noisy context tokens is nearer to a noisy query.

Query and a relevant token share the class centre; the irrelevant token's centre is at squared distance D; each has
independent noise :math:`N(0, \sigma^2 I_d)`. The difference of the two squared distances is
:math:`Q = \|x - x_{irr}\|^2 - \|x - x_{rel}\|^2 = \langle u, v \rangle` with :math:`u = x_{irr} - x_{rel}` and
:math:`v = x_{irr} + x_{rel} - 2x`. The query's noise is in both distances, yet u and v are independent:
their covariance is :math:`\sigma^2 - \sigma^2 = 0`. Hence, in units of :math:`b = \sqrt{12} \sigma^2`,

.. math:: E e^{-sQ/b} = (1 - s^2)^{-d/2} E_D e^{-z D},
   \quad z = \frac{s - 2 s^2/\sqrt 3}{b (1 - s^2)}, \quad |\mathrm{Re}\, s| < 1,

and for centres drawn independently and uniformly on the unit sphere :math:`E_D e^{-zD} = e^{-2z}\, {}_0F_1(d/2; z^2)`,
a Bessel function. Each function below is an integral of this transform along a line Re s = c > 0, done by the
trapezoidal rule. By Poisson's summation that rule gives :math:`\sum_k e^{-c y_k} F(y_k)`, where :math:`F(0)` is the
integral, :math:`F \ge 0` and :math:`y_k = k y_1`: its error is on the side of more, and small for a fine step. What the
sum leaves out beyond its last node is bounded, and the bound added. So no function returns less than the true value.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from theory.validation import Floats, require_count, require_nonnegative, require_positive, require_reals

__all__ = [
    "exact_mean_log_overtaking",
    "exact_mean_overtaking",
    "exact_nearer_probability",
    "nearer_probability_bound",
]

Complexes = NDArray[np.complex128]

LARGEST_RANDOM_DIM = 512
"""Largest dimension in which the law of random centres is averaged over; Bessel functions underflow beyond it."""

_LARGEST = 1e6  # beyond it fourth powers of the noise lose their digits
_LEAST_UNIT, _LEAST_RATIO, _FAR = 1e-60, 1e-100, 1e40  # beyond them nothing changes in double precision
_BEND = 2 / np.sqrt(3)
_FARTHEST = 0.43  # of the line from 0; at twice as far the transform is still finite, and falls as D grows
_ALIAS = 28.0  # minus the logarithm of what the trapezoidal rule may add
_MOST_NODES = 2**14
_NEGLIGIBLE = 1e-15
_ROUNDING = 1e-11


def exact_nearer_probability(
    squared_distance: float | None, input_noise: float, dim: int, *, margin: ArrayLike = 0.0
) -> Floats:
    r"""Probability that the irrelevant token is nearer to the query, up to a margin: :math:`P(Q \le q)`.

    :math:`\frac{1}{2\pi i} \int e^{s q/b} E e^{-sQ/b} ds/s`.

    Exact, never below the true value: absolute error below 1e-10 for d >= 4, 1e-7 for d = 3, 1e-5 for d = 2. Averaged
    over random centres, margins above 100 :math:`\sigma^2` cost more: the error stays below 1e-4 up to 4,000
    :math:`\sigma^2`, and grows to 0.2 in two dimensions, 0.003 in three and 1e-4 in four at 80,000 :math:`\sigma^2`.

    Args:
        squared_distance: D >= 0 between the two centres; None averages over centres drawn independently and uniformly
            on the unit sphere, in at most 512 dimensions.
        input_noise: sigma > 0 of each coordinate.
        dim: d >= 2.
        margin: q, any real numbers; 0 asks for the nearer token.

    Returns:
        The probability, in the shape of ``margin``. It does not rise with D where q >= 0.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> round(float(exact_nearer_probability(2.0, 0.2, 64)), 4)
        0.0687
        >>> round(float(exact_nearer_probability(None, 0.2, 64)), 4)
        0.0715

    Source: independence of sum and difference of Gaussian vectors; Abate and Whitt (1992) for the trapezoidal rule.
    """
    law = _law(squared_distance, input_noise, dim)
    edges = np.clip(require_reals("margin", margin), -_FAR, _FAR)
    return np.reshape([_nearer(law, edge / law.unit) for edge in edges.ravel()], edges.shape)


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


def exact_mean_overtaking(squared_distance: float | None, input_noise: float, dim: int, temperature: float) -> float:
    r"""Mean weight of the irrelevant token in a context of these two, :math:`E[1 / (1 + e^{Q/\tau})]`.

    With :math:`t = \tau/b`, :math:`\frac{1}{2\pi i} \int \frac{\pi t}{\sin(\pi t s)} E e^{-sQ/b} ds`.

    Exact, to the tolerance and on the side of `exact_nearer_probability`.

    Args:
        squared_distance: D >= 0 between the two centres, or None as in `exact_nearer_probability`.
        input_noise: sigma > 0.
        dim: d >= 2.
        temperature: tau > 0.

    Returns:
        The mean, in (0, 1). It does not rise with D.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> round(exact_mean_overtaking(0.0, 0.2, 64, 0.1), 9)  # two tokens of one class
        0.5

    Source: Mellin transform of the logistic function.
    """
    law = _law(squared_distance, input_noise, dim)
    ratio = _ratio(temperature, law)
    line = _Line(lambda s: ratio * _over_sine(ratio * s), lambda t: _decay(ratio * t), 0.5 / ratio, 0.0)
    return min(_integral(law, line), 1.0)


def exact_mean_log_overtaking(
    squared_distance: float | None, input_noise: float, dim: int, temperature: float
) -> float:
    r"""Mean log loss of the relevant token in a context of these two, :math:`E \ln(1 + e^{-Q/\tau})`.

    With :math:`t = \tau/b`, :math:`\frac{1}{2\pi i} \int \frac{\pi}{s \sin(\pi t s)} E e^{-sQ/b} ds`.

    Exact, on the side of `exact_nearer_probability` and to its tolerance, relative where the value is more than 1.

    Args:
        squared_distance: D >= 0 between the two centres, or None as in `exact_nearer_probability`.
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

    Source: Mellin transform of the logistic function, by parts.
    """
    law = _law(squared_distance, input_noise, dim)
    ratio = _ratio(temperature, law)
    line = _Line(lambda s: _over_sine(ratio * s) / s, lambda t: _decay(ratio * t) / (ratio * t), 0.5 / ratio, 0.0)
    return _integral(law, line)


class _Law(NamedTuple):
    """The law of Q, or of -Q when mirrored."""

    distance: float | None
    unit: float
    dim: int
    mirrored: bool = False

    def log_transform(self, s: Complexes) -> Complexes:
        """ln E e^{-sQ/b} for 0 < Re s < 1."""
        sign = -1 if self.mirrored else 1
        z = (sign * s - _BEND * s**2) / (1 - s**2) / self.unit
        return self.log_over_distances(z) - self.dim / 2 * np.log1p(-(s**2))

    def log_over_distances(self, z: Complexes) -> Complexes:
        """ln E e^{-zD}; for random centres Re z > 0 is needed."""
        if self.distance is not None:
            return -z * self.distance
        order, values = self.dim / 2 - 1, np.empty_like(z)
        near, far = np.abs(z) ** 2 < 6 * (order + 1), np.abs(z) > 100 * order**2 + 250
        between = ~(near | far)
        values[near] = _log_bessel_near(order, z[near])
        values[far] = _log_bessel_far(order, z[far])
        x = z[between]
        values[between] = np.log(special.ive(order, 2 * x)) - order * np.log(x) - 2j * x.imag
        return values + special.gammaln(order + 1)

    def log_left_out(self, c: float, t: Floats) -> Floats:
        """Log of a bound on the integral of the transform's size against dt/t, from c + it on."""
        s = c + 1j * t
        z = ((-1 if self.mirrored else 1) * s - _BEND * s**2) / (1 - s**2) / self.unit
        size = 1 - c**2 + t**2
        log_mass = self.log_over_distances(z.real.astype(np.complex128)).real
        return np.asarray(log_mass - (self.dim / 2 - 1) * np.log(size) - np.log(2) - 2 * np.log(t))


class _Line(NamedTuple):
    """A kernel of the integral: its values, a bound on t |value| at c + it that falls with t, where its poles let c be,
    and the real number q whose factor e^{sq} it is meant with."""

    kernel: Callable[[Complexes], Complexes]
    size: Callable[[Floats], Floats]
    farthest: float
    margin: float


def _nearer(law: _Law, margin: float) -> float:
    line = _Line(lambda s: 1 / s, np.ones_like, np.inf, margin)
    if law.distance is None or margin * law.unit <= law.distance:
        return min(_integral(law, line), 1.0)
    other = _integral(law._replace(mirrored=True), line._replace(margin=-margin), least=True)
    return min(1 - other, 1.0)


def _integral(law: _Law, line: _Line, *, least: bool = False) -> float:
    """The integral, rounded up (or down) by all that it may be wrong by."""

    def log_peak(c: Floats) -> Floats:
        return law.log_transform(c.astype(np.complex128)).real + c * line.margin

    longest = 1e9 + abs(line.margin) + (law.distance or 0.0) / law.unit
    grid = min(_FARTHEST, line.farthest) * np.geomspace(1e-3 / longest, 1, 241)
    c = float(grid[np.argmin(log_peak(grid) + np.log(np.abs(line.kernel(grid.astype(np.complex128)))))])
    period = (_ALIAS + max(0.0, float(log_peak(np.array([2 * c]))[0]))) / c
    step = 2 * np.pi / period
    reach = step * np.geomspace(1, _MOST_NODES, 120)
    with np.errstate(over="ignore"):
        rest = np.exp(c * line.margin + law.log_left_out(c, reach)) * line.size(reach) / np.pi
    stop = int(np.argmax(rest <= _NEGLIGIBLE)) if (rest <= _NEGLIGIBLE).any() else -1
    s = np.asarray(c + 1j * step * np.arange(np.ceil(reach[stop] / step) + 1), np.complex128)
    values = np.exp(law.log_transform(s) + s * line.margin) * line.kernel(s)
    values[1:] *= 2
    total = max(0.0, float(values.real.sum()) * step / (2 * np.pi))
    doubt = float(rest[stop]) + _ROUNDING * float(np.abs(values).sum()) * step / (2 * np.pi)
    return total - doubt - 3 * np.exp(-_ALIAS) if least else total + doubt


def _log_bessel_near(order: float, z: Complexes) -> Complexes:
    r""":math:`\ln(e^{-2z} z^{-\nu} I_\nu(2z))` by the power series."""
    term = series = np.ones_like(z)
    for k in range(1, 40):
        term = term * z**2 / (k * (order + k))
        series = series + term
    return np.asarray(np.log(series) - 2 * z - special.gammaln(order + 1))


def _log_bessel_far(order: float, z: Complexes) -> Complexes:
    r""":math:`\ln(e^{-2z} z^{-\nu} I_\nu(2z))` on and above the real axis, by Hankel's expansion of large arguments."""
    x = 2 * z
    term = ahead = behind = np.ones_like(x)
    for k in range(1, 9):
        term = term * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * x)
        ahead, behind = ahead + (-1) ** k * term, behind + term
    both = ahead + 1j * np.exp(1j * np.pi * order - 2 * x) * behind
    return np.asarray(np.log(both) - np.log(2 * np.pi * x) / 2 - order * np.log(z))


def _over_sine(x: Complexes) -> Complexes:
    r""":math:`\pi / \sin(\pi x)` above the real axis, without overflow."""
    turn = np.exp(1j * np.pi * x)
    return np.asarray(2j * np.pi * turn / (turn**2 - 1))


def _decay(x: Floats) -> Floats:
    r""":math:`\pi x / \sinh(\pi x)`, without overflow."""
    y = np.pi * x
    return np.asarray(-2 * y * np.exp(-y) / np.expm1(-2 * y))


def _law(squared_distance: float | None, input_noise: float, dim: int) -> _Law:
    least = 0.0 if squared_distance is None else squared_distance
    distance, sigma, d = _inputs(least, input_noise, dim, least_dim=2)
    if squared_distance is None and d > LARGEST_RANDOM_DIM:
        raise ValueError(f"`dim` must be at most {LARGEST_RANDOM_DIM} for random centres; got {d}")
    unit = max(np.sqrt(12) * sigma**2, _LEAST_UNIT)
    return _Law(None if squared_distance is None else distance, unit, d)


def _ratio(temperature: float, law: _Law) -> float:
    return max(min(float(require_positive("temperature", temperature)), _FAR) / law.unit, _LEAST_RATIO)


def _inputs(squared_distance: float, input_noise: float, dim: int, *, least_dim: int) -> tuple[float, float, int]:
    distance = float(require_nonnegative("squared_distance", squared_distance))
    sigma = float(require_positive("input_noise", input_noise))
    for name, value in (("squared_distance", distance), ("input_noise", sigma)):
        if value > _LARGEST:
            raise ValueError(f"`{name}` must be at most {_LARGEST:g}; got {value:g}")
    return distance, sigma, int(require_count("dim", dim, least=least_dim))
