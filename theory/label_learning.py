r"""Log loss of the best possible learner of one unknown label from n noisy copies of it.

The true label is uniform over C labels and each copy is noisy with known noise. The best learner's log loss after n
copies is the entropy increment :math:`R_n = H(Y_1..Y_{n+1}) - H(Y_1..Y_n)`, which starts at :math:`\ln C` and falls to
the entropy of the noise. Sequences are exchangeable, so their entropy is a sum over label counts: over the partitions
of n for ``uniform`` noise, over one count for ``shift`` noise.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy import special

from theory.validation import Floats

__all__ = ["bayes_log_loss_table", "noise_entropy"]


_LONGEST_UNIFORM, _LONGEST_SHIFT = 24, 200
_CONVERGED = 1e-13


def noise_entropy(n_labels: int, label_noise: float, label_noise_kind: str) -> float:
    r"""Entropy of the label of a known class, in nats: the least log loss of any predictor.

    :math:`-(1-\nu)\ln(1-\nu) - \nu\ln\nu`, plus :math:`\nu\ln(C-1)` for ``uniform`` noise.

    Exact.

    Args:
        n_labels: C >= 2.
        label_noise: nu in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.

    Returns:
        The entropy.

    Example:
        >>> round(float(noise_entropy(4, 0.75, "uniform") / np.log(4)), 12)
        1.0
    """
    spread = np.log(n_labels - 1) if label_noise_kind == "uniform" else 0.0
    return float(-special.xlogy(label_noise, label_noise) - special.xlog1py(1 - label_noise, -label_noise)) + float(
        label_noise * spread
    )


@lru_cache(maxsize=4096)
def bayes_log_loss_table(n_labels: int, label_noise: float, label_noise_kind: str) -> tuple[Floats, float]:
    r"""``R_0, ..., R_m`` and the entropy of the noise, which bounds every later ``R_n`` from below.

    Exact to 1e-12 absolute up to the last entry; m is where the excess over the entropy has fallen below 1e-13, at
    most 24 (``uniform``) or 200 (``shift``).

    Args:
        n_labels: C >= 2.
        label_noise: nu in [0, 1).
        label_noise_kind: ``uniform`` or ``shift``.

    Returns:
        The table and the entropy.

    Example:
        >>> table, entropy = bayes_log_loss_table(10, 0.05, "uniform")
        >>> table[:3].round(4).tolist(), round(entropy, 4)
        ([2.3026, 0.5326, 0.3797], 0.3084)
    """
    floor = noise_entropy(n_labels, label_noise, label_noise_kind)
    longest = _LONGEST_SHIFT if label_noise_kind == "shift" and n_labels > 2 else _LONGEST_UNIFORM
    entropy = _entropy_shift if label_noise_kind == "shift" and n_labels > 2 else _entropy_uniform
    table, before = [], 0.0
    for n in range(longest + 1):
        after = entropy(n + 1, n_labels, label_noise)
        table.append(max(after - before, floor))
        before = after
        if table[-1] - floor < _CONVERGED:
            break
    values = np.array(table)
    values.flags.writeable = False
    return values, floor


def _entropy_shift(n: int, n_labels: int, nu: float) -> float:
    """Entropy of n labels that are all the true label or its successor."""
    j = np.arange(n + 1.0)
    log_choose = special.gammaln(n + 1) - special.gammaln(j + 1) - special.gammaln(n - j + 1)
    each = np.exp(special.xlogy(j, nu) + special.xlog1py(n - j, -nu))
    each[0], each[-1] = each[0] + each[-1], 0.0  # one label alone may be the true one or the successor of it
    return float(np.log(n_labels) - np.sum(np.exp(log_choose) * special.xlogy(each, each)))


def _entropy_uniform(n: int, n_labels: int, nu: float) -> float:
    counts, log_ways = _count_patterns(n, n_labels)
    rival = nu / (n_labels - 1)
    unseen = n_labels - (counts > 0).sum(axis=1)
    shown = np.where(counts > 0, (1 - nu) ** counts * rival ** (n - counts), 0.0).sum(axis=1)
    each = (shown + unseen * rival**n) / n_labels
    with np.errstate(divide="ignore"):
        log_each = np.where(each > 0, np.log(each), 0.0)
    return float(-np.sum(np.where(each > 0, np.exp(log_ways + log_each), 0.0) * log_each))


@lru_cache(maxsize=64)
def _count_patterns(n: int, n_labels: int) -> tuple[Floats, Floats]:
    """Label counts up to order, shape (partitions, n), and the log of how many label sequences have them."""
    patterns = [p for p in _partitions(n, n) if len(p) <= n_labels]
    counts = np.zeros((len(patterns), n))
    log_ways = np.full(len(patterns), special.gammaln(n + 1))
    for i, pattern in enumerate(patterns):
        counts[i, : len(pattern)] = pattern
        repeats = np.unique(pattern, return_counts=True)[1]
        log_ways[i] -= special.gammaln(np.array(pattern) + 1).sum() + special.gammaln(repeats + 1).sum()
        log_ways[i] += np.log(n_labels - np.arange(len(pattern))).sum()
    return counts, log_ways


def _partitions(n: int, largest: int) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
    for part in range(min(n, largest), 0, -1):
        for rest in _partitions(n - part, part):
            yield (part, *rest)
