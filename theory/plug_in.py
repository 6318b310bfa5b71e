r"""How often the most frequent label of a class is not its true label, exactly.

``miss(n)`` is the probability that the arg-max of n noisy labels (ties broken at random) is not the true label. It does
not depend on the class frequency, so one table per noise level serves every N and q.

- ``shift`` noise has two labels, and :math:`\mathrm{miss}(n) = I_\nu(m, m)` with :math:`m = \lceil n/2 \rceil`
  (regularised incomplete beta: a majority of 2m voters with a random tie-break is a majority of 2m - 1).
- ``uniform`` noise: with :math:`p = 1-\nu`, :math:`r = \nu/(C-1)`, :math:`e_k(x) = \sum_{i \le k} x^i/i!`,
  :math:`u_k = x^k/k!` the exponential generating function of the probability to win is
  :math:`\sum_k (pt)^k/k! \; T_k(rt)`, :math:`T_k = (e_k^C - e_{k-1}^C)/(C u_k)`: k true labels, every other label at
  most k, ties shared. Its coefficients are read off circles by the fast Fourier transform.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from theory.validation import Floats

__all__ = ["LONGEST_TABLE", "mean_over_counts", "miss_table"]

Complexes = NDArray[np.complex128]

LONGEST_TABLE = {"uniform": 2_000, "shift": 100_000}
_NEGLIGIBLE = 1e-18
_CRITICAL = 2.0**-51


def _table_length(n_labels: int, label_noise: float, rival: float) -> float:
    """Smallest n beyond which ``miss`` is within 1e-18 of its limit, by the Chernoff bound on one rival label."""
    if abs(1 - label_noise - rival) <= _CRITICAL:
        return 2.0
    gap = (np.sqrt(1 - label_noise) - np.sqrt(rival)) ** 2
    return float(np.ceil(np.log(n_labels / _NEGLIGIBLE) / -np.log1p(-min(gap, 1 - 1e-16)))) + 2


@lru_cache(maxsize=256)
def miss_table(
    n_labels: int, label_noise: float, label_noise_kind: str, n_largest: float = np.inf
) -> tuple[Floats, float]:
    r"""``miss(0), ..., miss(n_stop)`` and the limit that ``miss(n)`` has reached beyond.

    Exact: absolute error below 1e-13 (1e-11 for 1e6 labels).

    Args:
        n_labels: C >= 2.
        label_noise: nu in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.
        n_largest: no count above this one is asked for.

    Returns:
        The table and the limit.

    Raises:
        ValueError: when the noise is so near to making two labels equally likely that a table of more than 2000
            counts (``uniform``) or 100,000 (``shift``, or two labels) would be needed.

    Example:
        >>> table, limit = miss_table(10, 0.1, "uniform")
        >>> table[:4].round(6).tolist(), limit
        ([0.9, 0.1, 0.1, 0.02], 0.0)
    """
    rival = label_noise if label_noise_kind == "shift" else label_noise / (n_labels - 1)
    n_stop = int(min(_table_length(n_labels, label_noise, rival), n_largest))
    longest = LONGEST_TABLE["shift" if n_labels == 2 else label_noise_kind]
    if n_stop > longest:
        raise ValueError(
            f"`label_noise` must keep the true label and its rivals apart enough for a table of {longest} counts;"
            f" got {label_noise} with {n_labels} labels and {label_noise_kind} noise, which needs {n_stop}"
        )
    gap = 1 - label_noise - rival
    gap = 0.0 if abs(gap) <= _CRITICAL else gap
    limit = 0.0 if gap > 0 else 1.0 if gap < 0 else 1 - 1 / (2 if label_noise_kind == "shift" else n_labels)
    table = np.full(n_stop + 1, limit)
    counts = np.arange(1, n_stop + 1)
    if label_noise_kind == "shift" or n_labels == 2:
        half = (counts + 1) // 2
        table[1:] = special.betainc(half, half, label_noise) if label_noise > 0 else 0.0
    elif label_noise > 0 and gap != 0:
        _fill_uniform(table, n_labels, label_noise)
    table[0] = 1 - 1 / n_labels
    table.flags.writeable = False
    return table, limit


def _fill_uniform(table: Floats, n_labels: int, label_noise: float) -> None:
    """Coefficients n of the generating function, block by block of width 4 sqrt(radius)."""
    n, radius = 0, 1.0
    while n < len(table):
        width = max(2, int(2 * np.sqrt(radius)))
        stop = min(len(table), int(radius) + width)
        n_nodes = 2 * int(16 + 8 * np.sqrt(radius) + width)
        # The function is real on the real axis: half of the circle holds all of it.
        circle = np.exp(2j * np.pi * np.arange(n_nodes // 2 + 1) / n_nodes)
        values = _lose_series(radius * circle, radius, n_labels, label_noise)
        coefficients = np.fft.irfft(np.conj(values), n_nodes)
        block = np.arange(n, stop)
        log_poisson = block * np.log(radius) - radius - special.gammaln(block + 1)
        table[n:stop] = np.clip(coefficients[block % n_nodes] / np.exp(log_poisson), 0.0, 1.0)
        n, radius = stop, stop + 2 * np.sqrt(stop)


def _lose_series(t: Complexes, radius: float, n_labels: int, label_noise: float) -> Complexes:
    r""":math:`e^{-|t|} (e^t - \sum_k (pt)^k/k! T_k(rt))` on a circle; every term is small when losing is rare."""
    x = label_noise / (n_labels - 1) * t
    x_size = label_noise / (n_labels - 1) * radius
    mean = (1 - label_noise) * radius
    k_top = int(mean + 10 * np.sqrt(mean) + 40)
    k = np.arange(k_top + 1)
    k_all = np.arange(k_top + int(x_size + 10 * np.sqrt(x_size) + 40))
    # u_k(x) e^{-|x|}, its sums below k and from k on
    log_size = k_all * np.log(x_size) - x_size - special.gammaln(k_all + 1)
    log_size = np.where(log_size > -600, log_size, -np.inf)  # subnormal numbers would end as NaN
    u = np.exp(log_size) * np.exp(1j * np.outer(np.angle(t), k_all))
    below = np.cumsum(u, axis=1)[:, :k_top] if k_top else u[:, :0]
    tail = np.cumsum(u[:, ::-1], axis=1)[:, ::-1][:, 1 : k_top + 1]
    with np.errstate(all="ignore"):  # each of the two forms overflows only where the other one is taken
        tail = tail * np.exp(x_size - x)[:, None]
        lose = _lose_given_count(u[:, 1 : k_top + 1], below, tail, x, x_size, n_labels)
    log_pmf = k * np.log(mean) - mean - special.gammaln(k + 1)
    weights = np.exp(log_pmf) * np.exp(1j * np.outer(np.angle(t), k))
    none_true = np.exp(label_noise * (t - radius)) - np.exp(-label_noise * radius) / n_labels
    return weights[:, 0] * none_true + (weights[:, 1:] * lose).sum(axis=1)


def _lose_given_count(
    u: Complexes, below: Complexes, tail: Complexes, x: Complexes, x_size: float, n: int
) -> Complexes:
    r""":math:`e^{-\nu|t|} (e^{\nu t} - T_k)` for k = 1, 2, ...: by the tails where they are small, else directly."""
    delta = u / below
    few_ties = np.abs(n * delta) < 0.1
    ties = _tie_series(delta, n)
    log_all = ((n - 1) * (x - x_size))[:, None]
    log_none = (n - 1) * np.log1p(-tail)
    everything, none = np.exp(log_all), np.exp(log_all + log_none)
    lost = np.where(np.abs(log_none) < 1, -everything * np.expm1(log_none), everything - none)
    many_ties = (np.exp(log_all + log_none + n * np.log1p(delta)) - none) / (n * delta)
    by_tail = np.where(few_ties, lost - none * ties, everything - many_ties)
    direct = np.where(few_ties, below ** (n - 1) * (1 + ties), ((below + u) ** n - below**n) / (n * u))
    direct = np.where(np.isfinite(direct), direct, 0.0)  # 0 / 0 once both sums have underflowed
    return np.where(np.abs(tail) < 0.5, by_tail, everything - direct)


def _tie_series(delta: Complexes, n: int) -> Complexes:
    """((1 + delta)^n - 1) / (n delta) - 1 for small n delta, without cancellation."""
    total, term = np.zeros_like(delta), np.ones_like(delta)
    for j in range(1, 14):
        term = term * delta * ((n - j) / (j + 1))
        total += term
    return total


def mean_over_counts(table: Floats, limit: float, n_draws: Floats, p: Floats, n_sure: int) -> Floats:
    r""":math:`E f(n)` for :math:`n = s + \mathrm{Bin}(N, q)`, f given by a table and constant beyond it.

    Args:
        table: f(0), ..., f(n_stop).
        limit: f(n) for n > n_stop.
        n_draws: N, whole numbers; any shape, broadcast against ``p``.
        p: q in [0, 1].
        n_sure: s >= 0.

    Returns:
        The expectation, in the broadcast shape.

    Example:
        >>> float(mean_over_counts(np.array([1.0]), 0.0, np.array(2.0), np.array(0.5), 0))  # (1 - q)^N
        0.25
    """
    n_draws, p = np.broadcast_arrays(n_draws, p)
    total = np.full(n_draws.shape, limit)
    log_pmf = special.xlog1py(n_draws, -p)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_odds = np.log(p) - np.log1p(-p)
        for n, value in enumerate(table[n_sure:]):
            pmf = np.where(p < 1, np.exp(log_pmf), n_draws == n)
            total += np.where(n <= n_draws, pmf, 0.0) * (value - limit)
            log_pmf = log_pmf + np.log(np.maximum(n_draws - n, 0)) - np.log(n + 1) + log_odds
    return total
