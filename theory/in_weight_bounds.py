"""Bounds on the in-weight predictor from above, without knowing the law of the labels."""

import numpy as np
from numpy.typing import ArrayLike

from theory.count_moments import expected_inverse_root, expected_log_ratio, expected_reciprocal
from theory.in_weight import broadcast_inputs
from theory.plug_in import mean_over_counts
from theory.validation import Floats, require_count, require_nonnegative, require_probability

__all__ = [
    "error_upper_bound",
    "label_frequency_deviation_bound",
    "least_count_bound",
    "linear_loss_upper_bound",
    "log_loss_upper_bound",
]


def log_loss_upper_bound(
    n_sequences: ArrayLike, frequency: ArrayLike, n_labels: int, *, entropy: float, n_sure: int = 0
) -> Floats:
    r"""Log loss of the add-one predictor, for any law of the labels with the given entropy.

    :math:`H + E_n \ln(1 + (C-1)/(n+1))`.

    Upper bound, always; in expectation over the training queries. Holds for i.i.d. training queries and beta = 1.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        n_labels: C >= 2.
        entropy: H >= 0, nats, entropy of the label given the class.
        n_sure: s, queries of the class besides the N random ones.

    Returns:
        The bound, nats, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> log_loss_upper_bound([0, 10**6], 0.1, 10, entropy=0.0).round(6).tolist()
        [2.302585, 9e-05]

    Source: Jensen's inequality and E[1/(k+1)] <= 1/((n+1)P); Chan et al. (2025), section 3.
    """
    n, q, one, s = broadcast_inputs(n_sequences, frequency, 1.0, n_sure)
    labels = require_count("n_labels", n_labels, least=2)
    return require_nonnegative("entropy", entropy) + expected_log_ratio(n, q, one, one - one, one, labels * one, s)


def linear_loss_upper_bound(
    n_sequences: ArrayLike, frequency: ArrayLike, n_labels: int, *, collision: float, beta: float = 1.0, n_sure: int = 0
) -> Floats:
    r"""Linear loss of the add-beta predictor from the least possible chance of two equal labels.

    :math:`(1 - S)(1 - \beta C\, E[1/(n + \beta C)]) + \beta (C-1) E[1/(n + \beta C)]`, where S is at most the true
    :math:`\sum_y P_y^2`.

    Upper bound, always; in expectation over i.i.d. training queries; exact where S is the true value.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        n_labels: C >= 2.
        collision: S in [0, 1], a lower bound on the probability that two labels of the class agree.
        beta: pseudo-count > 0.
        n_sure: s, queries of the class besides the N random ones.

    Returns:
        The bound, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> linear_loss_upper_bound([0, 10**6], 0.1, 10, collision=1.0).round(6).tolist()
        [0.9, 9e-05]

    Source: linearity of expectation.
    """
    n, q, b, s = broadcast_inputs(n_sequences, frequency, beta, n_sure)
    labels = require_count("n_labels", n_labels, least=2)
    agree = require_probability("collision", collision)
    inverse = b * expected_reciprocal(n, q, b * labels, s)
    return (1 - agree) * (1 - labels * inverse) + (labels - 1) * inverse


def error_upper_bound(
    n_sequences: ArrayLike, frequency: ArrayLike, n_labels: int, *, bayes_error: float, n_sure: int = 0
) -> Floats:
    r"""0-1 risk of the most frequent training label, for any law of the labels with the given Bayes error.

    :math:`\min\{1,\; B + P(n = 0) + \sqrt{C-1}\, E[n^{-1/2}; n \ge 1]\}`: excess 0-1 risk is at most
    :math:`\|\hat p - P\|_1`, whose mean given n is at most :math:`\sqrt{(C-1)/n}`.

    Upper bound, always; in expectation over i.i.d. training queries.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        n_labels: C >= 2.
        bayes_error: B in [0, 1], ``1 - max_y P_y``.
        n_sure: s, queries of the class besides the N random ones.

    Returns:
        The bound, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> error_upper_bound([0, 10**6], 0.1, 10, bayes_error=0.05).round(4).tolist()
        [1.0, 0.0595]

    Source: Devroye, Györfi and Lugosi (1996), theorem 2.2, with the Cauchy-Schwarz inequality.
    """
    n, q, _, s = broadcast_inputs(n_sequences, frequency, 1.0, n_sure)
    labels = require_count("n_labels", n_labels, least=2)
    bayes = require_probability("bayes_error", bayes_error)
    never = mean_over_counts(np.ones(1), 0.0, n, q, n_sure)
    return np.minimum(1.0, bayes + never + np.sqrt(labels - 1) * expected_inverse_root(n, q, s))


def label_frequency_deviation_bound(n_queries: ArrayLike, n_labels: int, delta: float) -> Floats:
    r"""How far label frequencies stray from their law in total, :math:`\|\hat p - P\|_1`.

    :math:`\min\{2, \sqrt{2 \ln((2^C - 2)/\delta)/n}\}`.

    Upper bound, with probability at least 1 - delta. Holds for n i.i.d. labels. The excess 0-1 risk of the arg-max is
    below it on the same event.

    Args:
        n_queries: n >= 0, labels seen, of any shape.
        n_labels: C >= 2, up to 1e6 and beyond (log space).
        delta: in (0, 1).

    Returns:
        The bound, in the shape of ``n_queries``; 2 at n = 0.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> label_frequency_deviation_bound([0, 10**4], 10, 0.05).round(4).tolist()
        [2.0, 0.0446]

    Source: Weissman et al. (2003), theorem 2.1.
    """
    n = require_count("n_queries", n_queries)
    labels = require_count("n_labels", n_labels, least=2)
    p_fail = require_probability("delta", delta, above_zero=True, below_one=True)
    log_events = labels * np.log(2) + np.log1p(-(2.0 ** (1 - labels))) - np.log(p_fail)
    return np.minimum(2.0, np.sqrt(2 * log_events / np.maximum(n, 1e-9)))


def least_count_bound(n_sequences: ArrayLike, frequency: ArrayLike, delta: float) -> Floats:
    r"""Training queries that a class surely has.

    :math:`\lceil Nq - \sqrt{2 N q \ln(1/\delta)} \rceil`, at least 0.

    Lower bound, with probability at least 1 - delta. Holds for i.i.d. training queries.

    Args:
        n_sequences: N, whole numbers >= 0, of any shape.
        frequency: q in [0, 1], broadcast against N.
        delta: in (0, 1).

    Returns:
        A whole number, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> least_count_bound([10, 10**4], 0.1, 0.05).tolist()
        [0.0, 923.0]

    Source: multiplicative Chernoff bound, Mitzenmacher and Upfal (2005), theorem 4.5.
    """
    n, q, _, _ = broadcast_inputs(n_sequences, frequency, 1.0, 0)
    p_fail = require_probability("delta", delta, above_zero=True, below_one=True)
    mean = n * q
    return np.maximum(np.ceil(mean - np.sqrt(-2 * mean * np.log(p_fail))), 0.0)
