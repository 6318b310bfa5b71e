r"""Memory against attention on K items with fixed labels: when attention to the context is acquired.

A context shows N items with labels :math:`\pm1`, one of them the target's; items are orthogonal unit vectors, so that
the target's item has the score :math:`\beta` and every other one 0. With :math:`a = e^\beta / (e^\beta + N - 1)` the
logit in favour of the right label is

.. math:: z = \phi(t) + w c, \qquad c = a + (1 - a) m,

m the mean of the N - 1 other labels, in units of the right one: an average of fair coins. Memory gives the right label
the probability :math:`P_+(t) = 1/(1 + e^{-\phi})`; its error :math:`1 - P_+` falls from 1/2, and the sum of it up to t
is :math:`I_K(t)`. Gradient flow of the mean log loss in w and :math:`\beta` reads, with :math:`I_K` as the clock,

.. math:: \frac{dw}{dI} = E\frac{c}{1 - P_+ + P_+ e^{wc}}, \qquad
    \frac{d\beta}{dI} = w\, a(1 - a)\, E\frac{1 - m}{1 - P_+ + P_+ e^{wc}}.

Items enter through the clock's end alone: :math:`I_K(\infty) = s K^\nu`. Attention counts as acquired when a passes
1/2. The model is that of Nguyen and Reddy (2025); flow and results are derived here (docs/theory.md, section 11).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import Floats, require_positive, require_scalar, require_within

__all__ = ["acquisition_time", "critical_items", "final_attention"]

STRIDE = 0.05
"""Of the integrator, in units of w, of beta and of N / 8 of the clock, or I / 4 once attention is acquired."""
NODES = 24
"""Of the quadrature over labels, which integrates polynomials of degree 47 exactly."""
MOST = 1e300  # end of a clock
LEAST = -4.0  # starting point below which flow takes too long to follow


class _Labels(NamedTuple):
    """Values of m and their weights, each of shape (nodes,)."""

    mean: Floats
    weight: Floats


def acquisition_time(
    n_items: ArrayLike,
    n_context: int,
    *,
    w: ArrayLike = 0.01,
    beta: ArrayLike = 0.0,
    exponent: float = 0.7,
    scale: float = 1.0,
    shape: float = 1.0,
) -> Floats:
    r"""Time t at which attention to the target's item passes 1/2, in steps times the learning rate.

    :math:`1 - P_+ = \frac12 (1 - I_K/I_K(\infty))^{\text{shape}}` with :math:`I_K(\infty) = s K^\nu`: an exponential
    decay in t for shape 1, of order :math:`t^{-\text{shape}/(\text{shape} - 1)}` beyond. As K grows the time tends to
    twice the clock's, and to a multiple of N (statement 11.2).

    Numerical integration, relative error of the clock below 1e-3; it takes time in proportion to
    :math:`1 + e^{-2\beta}`, 4 s at -3.5.

    Args:
        n_items: K, > 0; infinite where nothing is memorised.
        n_context: N, a whole number >= 2.
        w: value of w at the start, broadcast against K, in [-4, 4].
        beta: value of :math:`\beta` at the start, broadcast likewise, in [-4, 4].
        exponent: :math:`\nu` > 0.
        scale: s > 0.
        shape: in [1, 100].

    Returns:
        The time; infinite where memory is done first.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> acquisition_time([10, 1000, float("inf")], 10).round(1).tolist()
        [inf, 37.5, 34.5]

    Source: own derivation (statement 11.1) of the model of Nguyen and Reddy (2025), arXiv 2412.00104.
    """
    items = require_positive("n_items", n_items, infinite=True)
    size, longest = _context(n_context), _longest(items, exponent, scale)
    end, first, second = np.broadcast_arrays(longest, _start("w", w), _start("beta", beta))
    clock = _acquired(end.ravel(), size, first.ravel(), second.ravel(), _shape(shape)).reshape(end.shape)
    finite = np.isfinite(end)
    left = 1 - np.where(finite, clock, 0) / np.where(finite, end, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        memory = -np.log(left) if shape == 1 else (left ** (1 - shape) - 1) / (shape - 1)
        return np.where(finite & np.isfinite(clock), 2 * np.where(finite, end, 1) * memory, 2 * clock)


def critical_items(
    n_context: int,
    *,
    w: ArrayLike = 0.01,
    beta: ArrayLike = 0.0,
    exponent: float = 0.7,
    scale: float = 1.0,
    shape: float = 1.0,
) -> Floats:
    r"""Number of items :math:`K^*` above which attention is acquired, below which memory is done before.

    :math:`(I^*/s)^{1/\nu}`, with :math:`I^*` the least :math:`I_K(\infty)` that is enough, by bisection.

    Numerical, relative error of :math:`I^*` below 1e-3. Holds where a longer clock never hinders acquisition.

    Args:
        n_context: N, a whole number >= 2.
        w: value of w at the start, in [-4, 4].
        beta: value of :math:`\beta` at the start, broadcast against it, in [-4, 4].
        exponent: :math:`\nu` > 0.
        scale: s > 0.
        shape: of the decay of memory's error, in [1, 100], as in `acquisition_time`.

    Returns:
        The number of items, not rounded, one for each starting point; 0 where attention is above 1/2 at the start.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> [round(float(critical_items(n))) for n in (10, 20, 40)]
        [65, 158, 385]

    Source: as `acquisition_time`; statement 11.2.
    """
    size, power, unit = _context(n_context), _one("exponent", exponent), _one("scale", scale)
    first, second = np.broadcast_arrays(_start("w", w), _start("beta", beta))
    decay, late = _shape(shape), second < np.log(size - 1)

    def acquired(end: Floats) -> NDArray[np.bool_]:
        return np.isfinite(_acquired(end, size, first[late], second[late], decay))

    high = _acquired(np.full(late.sum(), np.inf), size, first[late], second[late], decay)
    low = high / 4
    while not (enough := acquired(high)).all():
        high = np.where(enough, high, 2 * high)
    while (enough := acquired(low)).any():
        low = np.where(enough, low / 2, low)
    while (high > 1.002 * low).any():
        middle = np.sqrt(low * high)
        enough = acquired(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    needed = np.zeros(first.shape)
    with np.errstate(over="ignore"):
        needed[late] = (np.sqrt(low * high) / unit) ** (1 / power)
    return needed


def final_attention(
    n_items: ArrayLike,
    n_context: int,
    *,
    w: ArrayLike = 0.01,
    beta: ArrayLike = 0.0,
    exponent: float = 0.7,
    scale: float = 1.0,
    shape: float = 1.0,
) -> Floats:
    r"""Attention a to the target's item once memory answers every row.

    Numerical integration, absolute error below 1e-3.

    Args:
        n_items: K, numbers > 0 with :math:`s K^\nu \le 100 N`; attention is long acquired at more, but from starts
            that are far below 0.
        n_context: N, a whole number >= 2.
        w: value of w at the start, broadcast against K, in [-4, 4].
        beta: value of :math:`\beta` at the start, broadcast likewise, in [-4, 4].
        exponent: :math:`\nu` > 0.
        scale: s > 0.
        shape: of the decay of memory's error, in [1, 100], as in `acquisition_time`.

    Returns:
        a, in (0, 1).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> final_attention([30, 100, 300, 1000], 20).round(2).tolist()
        [0.06, 0.12, 0.82, 0.91]

    Source: as `acquisition_time`; statement 11.4.
    """
    size, longest = _context(n_context), _longest(require_positive("n_items", n_items), exponent, scale)
    if (longest > 100 * size).any():
        raise ValueError(f"`n_items` must leave `scale` * K^`exponent` at most 100 * `n_context`; got {n_items!r}")
    end, first, second = np.broadcast_arrays(longest, _start("w", w), _start("beta", beta))
    last = _follow(end.ravel(), size, first.ravel(), second.ravel(), _shape(shape))[1].reshape(end.shape)
    return np.asarray(1 / (1 + (size - 1) * np.exp(-last)))


def _context(n_context: int) -> int:
    allowed = "a whole number in 2 .. 10^9"
    return int(require_scalar("n_context", require_within(
        "n_context", n_context, allowed, lambda n: (n >= 2) & (n <= 1e9) & (n == np.floor(n)))))  # fmt: skip


def _one(name: str, value: float) -> float:
    return require_scalar(name, require_positive(name, value))


def _shape(value: float) -> float:
    return require_scalar("shape", require_within("shape", value, "in [1, 100]", lambda x: (x >= 1) & (x <= 100)))


def _longest(items: Floats, exponent: float, scale: float) -> Floats:
    """The clock's end for each number of items, infinite for infinitely many."""
    power, unit = _one("exponent", exponent), _one("scale", scale)
    with np.errstate(over="ignore"):
        return np.where(np.isinf(items), np.inf, np.clip(unit * items**power, MOST**-1, MOST))


def _start(name: str, value: ArrayLike) -> Floats:
    return require_within(name, value, f"in [{LEAST:g}, {-LEAST:g}]", lambda x: abs(x) <= -LEAST)


def _labels(others: int) -> _Labels:
    """Gauss quadrature for the mean of fair coins +-1: that of Krawtchouk's polynomials."""
    k = np.arange(1, min(NODES, others + 1))
    side = np.sqrt(k * (others - k + 1.0)) / others
    values, vectors = np.linalg.eigh(np.diag(side, 1) + np.diag(side, -1))
    return _Labels(values, vectors[0] ** 2)


def _slopes(w: Floats, a: Floats, wrong: Floats, labels: _Labels) -> tuple[Floats, Floats]:
    """Of w and beta per unit of the clock; `wrong` is 1 - P_+."""
    c = a[:, None] + (1 - a)[:, None] * labels.mean
    pull = 1 / (wrong[:, None] + (1 - wrong)[:, None] * np.exp(w[:, None] * c))
    return (c * pull) @ labels.weight, w * a * (1 - a) * (pull @ (labels.weight * (1 - labels.mean)))


def _acquired(end: Floats, size: int, w: Floats, beta: Floats, shape: float) -> Floats:
    """Clock at which attention passes 1/2, infinite where the clock ends before; all of shape (runs,)."""
    goal, clock = np.log(size - 1), np.zeros(len(end))
    last = np.full(len(end), goal)
    late = beta < goal
    clock[late], last[late] = _follow(end[late], size, w[late], beta[late], shape, goal)
    return np.where(last >= goal, clock, np.inf)


def _follow(
    end: Floats, size: int, w: Floats, beta: Floats, shape: float, goal: float = np.inf
) -> tuple[Floats, Floats]:
    """Clock and beta where beta reaches a goal or the clock its end.

    Runge and Kutta's method of order 4 in a variable in which clock, w and beta move at a bounded rate.
    """
    labels, ends = _labels(size - 1), np.stack([end, np.full(len(end), goal)])
    found, left = np.zeros((2, len(end))), np.arange(len(end))
    state = np.stack([0 * w, beta, w])

    def slopes(place: Floats) -> Floats:
        wrong = 0.5 * np.maximum(1 - place[0] / end[left], 0) ** shape
        a = 1 / (1 + (size - 1) * np.exp(-place[1]))
        rise = _slopes(place[2], a, wrong, labels)
        pace = 1 / (4 * (1 - a) ** 2 / size + 4 / (size + place[0]) + abs(rise[0]) + abs(rise[1]))
        return np.stack([pace, pace * rise[1], pace * rise[0]])

    while len(left):
        one = slopes(state)
        two = slopes(state + STRIDE / 2 * one)
        three = slopes(state + STRIDE / 2 * two)
        move = STRIDE / 6 * (one + 2 * two + 2 * three + slopes(state + STRIDE * three))
        over = state[:2] + move[:2] >= ends[:, left]
        share = np.divide(ends[:, left] - state[:2], move[:2], out=np.ones(over.shape), where=over)
        state = state + share.min(0) * move
        first = over & (share == share.min(0))
        done = over.any(0)
        found[:, left[done]] = np.where(first, ends[:, left], state[:2])[:, done]
        left, state = left[~done], state[:, ~done]
    return found[0], found[1]
