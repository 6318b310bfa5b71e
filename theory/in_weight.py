r"""Exact risk of the in-weight predictor: add-beta label frequencies of each class, learned from N training queries.

:math:`g_n(y|c) = (k_y + \beta) / (n + \beta C)`, with :math:`n = s + \mathrm{Bin}(N, q)` training queries of class c of
which :math:`k_y` carried label y. The class of a query is taken as known: these are risks of a tabular predictor on
clean inputs. All functions broadcast over N and q.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory.count_moments import expected_log_ratio, expected_reciprocal
from theory.labels import LabelLaw
from theory.plug_in import LONGEST_TABLE, mean_over_counts, miss_table
from theory.validation import Floats, require_count, require_positive, require_probability

__all__ = [
    "broadcast_inputs",
    "exact_error",
    "exact_linear_loss",
    "exact_log_loss",
    "exact_missing_mass",
    "tabular_risk",
]


def exact_log_loss(
    n_sequences: ArrayLike, frequency: ArrayLike, labels: LabelLaw, *, beta: float = 1.0, n_sure: int = 0
) -> Floats:
    r"""Expected log loss, in nats, of the add-beta predictor after N training queries.

    :math:`\sum_y T_y E[\ln(n + \beta C) - \ln(k_y + \beta)]`, with T the answers of the test.

    Exact (1e-12 relative), for any N up to 2^53. Holds for i.i.d. training queries.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q, probability in [0, 1] that a training query is of the class; broadcast against N.
        labels: labels of the class in training and at the test.
        beta: pseudo-count of each label, > 0.
        n_sure: s, queries of the class that the training set holds besides the N random ones.

    Returns:
        The risk, in the broadcast shape; ``ln C`` at N = s = 0.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> from theory.labels import label_law
        >>> exact_log_loss([0, 100, 10**12], 0.18, label_law(10, 0.05)).round(4).tolist()
        [2.3026, 0.5896, 0.3084]

    Source: add-beta (Laplace, Krichevsky-Trofimov) estimators; the integral is Frullani's.
    """
    n, q, b, s = broadcast_inputs(n_sequences, frequency, beta, n_sure)
    total = np.zeros(np.broadcast_shapes(n.shape, q.shape))
    for share in labels.shares:
        if share.asked > 0:
            p, p_not = np.asarray(share.trained), np.asarray(share.not_trained)
            total = total + share.asked * expected_log_ratio(n, q, p, p_not, b, b * labels.n_labels, s)
    return total


def exact_linear_loss(
    n_sequences: ArrayLike, frequency: ArrayLike, labels: LabelLaw, *, beta: float = 1.0, n_sure: int = 0
) -> Floats:
    r"""Probability that a label sampled from the add-beta predictor is not the answer of the test.

    :math:`1 - \sum_y T_y E\frac{k_y + \beta}{n + \beta C}
    = \sum_y T_y \{1 - P_y + \beta (C P_y - 1) E\frac{1}{n + \beta C}\}`.

    Exact (1e-12 relative), for any N up to 2^53. Holds for i.i.d. training queries.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q, probability in [0, 1] that a training query is of the class; broadcast against N.
        labels: labels of the class in training and at the test.
        beta: pseudo-count of each label, > 0.
        n_sure: s, queries of the class that the training set holds besides the N random ones.

    Returns:
        The risk, in the broadcast shape; ``1 - 1/C`` at N = s = 0.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> from theory.labels import label_law
        >>> exact_linear_loss([0, 100], 0.18, label_law(10, 0.05)).round(4).tolist()
        [0.9, 0.3895]

    Source: linearity of expectation.
    """
    n, q, b, s = broadcast_inputs(n_sequences, frequency, beta, n_sure)
    miss = sum(share.asked * share.not_trained for share in labels.shares)
    match = sum(share.asked * share.trained for share in labels.shares)
    inverse = expected_reciprocal(n, q, b * labels.n_labels, s)
    return miss + b * (labels.n_labels * match - 1) * inverse


def exact_error(n_sequences: ArrayLike, frequency: ArrayLike, labels: LabelLaw, *, n_sure: int = 0) -> Floats:
    r"""Probability that the most frequent training label of the class is not the answer of the test.

    :math:`1 - E[(1 - \mathrm{miss}(n)) T_{true} + \mathrm{miss}(n) T_{rival}]`, ties broken at random and a class
    never seen answered uniformly. For in-base labels under ``uniform`` noise no
    in-weight predictor does better (see `theory.in_weight_lower_bounds`).

    Exact (absolute error below 1e-13; 1e-11 for 1e6 labels), for any N up to 2^53. Holds for i.i.d. training queries.
    The pseudo-count does not matter.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q, probability in [0, 1] that a training query is of the class; broadcast against N.
        labels: labels of the class in training and at the test.
        n_sure: s, queries of the class that the training set holds besides the N random ones.

    Returns:
        The 0-1 risk, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set, or label noise so near the point where two labels are equally likely
            that more than 2000 counts (``uniform``) or 100,000 (``shift``) matter.

    Example:
        >>> from theory.labels import label_law
        >>> exact_error([0, 10, 1000], 0.02, label_law(10, 0.05)).round(4).tolist()
        [0.9, 0.7531, 0.05]

    Source: multinomial maximum by exponential generating functions.
    """
    n, q, _, s = broadcast_inputs(n_sequences, frequency, 1.0, n_sure)
    largest = min(float(n.max() + s), LONGEST_TABLE["shift"] + 1.0)
    table, limit = miss_table(labels.n_labels, labels.label_noise, labels.label_noise_kind, largest)
    never_seen = mean_over_counts(np.ones(1), 0.0, n, q, n_sure)
    seen = table.copy()
    seen[0] = 0.0
    miss = mean_over_counts(seen, limit, n, q, n_sure)
    hit = np.maximum(1 - never_seen - miss, 0.0)
    wrong = (1 - labels.asked_true) * hit + (1 - labels.asked_rival) * miss
    return np.asarray(wrong + never_seen * (1 - 1 / labels.n_labels))


def tabular_risk(
    measure: str, n_sequences: ArrayLike, frequency: ArrayLike, labels: LabelLaw, *, beta: float = 1.0, n_sure: int = 0
) -> Floats:
    """`exact_error`, `exact_log_loss` or `exact_linear_loss`, as ``measure`` says."""
    if measure == "error":
        return exact_error(n_sequences, frequency, labels, n_sure=n_sure)
    risk = exact_log_loss if measure == "log_loss" else exact_linear_loss
    return risk(n_sequences, frequency, labels, beta=beta, n_sure=n_sure)


def exact_missing_mass(n_sequences: ArrayLike, frequencies: ArrayLike) -> Floats:
    r"""Expected probability that the query is of a class that N training queries never showed.

    :math:`\sum_c q_c (1 - q_c)^N`.

    Exact (1e-12 relative). Holds for i.i.d. training queries.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequencies: q, shape (..., K), probabilities; summed over the last axis. A part of the classes may be given.

    Returns:
        The mass, of shape ``n_sequences.shape + frequencies.shape[:-1]``.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> float(exact_missing_mass(1, [0.5, 0.5]))
        0.5

    Source: Good (1953).
    """
    n = require_count("n_sequences", n_sequences)
    q = require_probability("frequencies", frequencies)
    if q.ndim == 0:
        raise ValueError(f"`frequencies` must be an array of probabilities; got {frequencies!r}")
    log_unseen = np.multiply.outer(n, np.log1p(-np.minimum(q, 1 - 2.0**-53)))
    return np.asarray((q * np.exp(log_unseen)).sum(axis=-1))


def broadcast_inputs(n_sequences: ArrayLike, frequency: ArrayLike, beta: float, n_sure: int) -> tuple[Floats, ...]:
    """N, q, beta and s as checked arrays; N and q of any shapes that broadcast, the others single numbers."""
    n = require_count("n_sequences", n_sequences)
    q = require_probability("frequency", frequency)
    try:
        np.broadcast_shapes(n.shape, q.shape)
    except ValueError as mismatch:
        raise ValueError(
            f"`frequency` must broadcast against `n_sequences` of shape {n.shape}; got shape {q.shape}"
        ) from mismatch
    b, s = require_positive("beta", beta), require_count("n_sure", n_sure)
    for name, value in (("beta", b), ("n_sure", s)):
        if value.ndim:
            raise ValueError(f"`{name}` must be one number; got shape {value.shape}")
    return n, q, b, s
