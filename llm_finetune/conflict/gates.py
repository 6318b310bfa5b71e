r"""Gates as interventions: answers made of two forward passes, with the context and without it, over K candidates.

Every gate takes log-probabilities of the candidates, shape (P, K), in nats, of which each row sums to 1; a candidate
that a prompt does not have is -inf in all of them. It returns log-probabilities of the same shape, whose largest is the
answer. None changes the model, and none sees which answer is right, but for the posterior gate, whose two numbers are
fitted on other items than it answers (`cross_fitted`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from scipy.stats import rankdata

from theory.fields import shown
from theory.validation import Floats, require_integer, require_nonnegative, require_scalar

__all__ = [
    "context_aware_decoding",
    "contextual_calibration",
    "cross_fitted",
    "fit_logistic",
    "log_odds_of",
    "percentile_gate",
    "posterior_gate",
    "probability_gate",
]

RIDGE = 0.001
"""Weight of the squared slope, so that outcomes that a threshold separates have a finite one."""


def probability_gate(without: Floats, context: Floats) -> Floats:
    r"""The answer without context where it is surer than that with context.

    .. math:: \hat p_i = p_i^{no} \text{ if } \max_k p_{ik}^{no} > \max_k p_{ik}^{ctx}, \text{ else } p_i^{ctx}

    Source: Wu, Wu and Zou (2024), ClashEval, token probability correction; there the probability is the mean over the
    tokens of the answer that was generated, here that of the answer among the candidates.

    Args:
        without: log-probabilities without context, shape (P, K), in nats.
        context: those with context, same shape.

    Example:
        >>> without, context = np.log([[0.9, 0.1], [0.6, 0.4]]), np.log([[0.2, 0.8], [0.2, 0.8]])
        >>> probability_gate(without, context).argmax(axis=1).tolist()
        [0, 1]
    """
    _require_rows(without=without, context=context)
    return np.where((without.max(1) > context.max(1))[:, None], without, context)


def percentile_gate(without: Floats, context: Floats) -> Floats:
    r"""`probability_gate` with percentiles in place of probabilities: how sure an answer is among those of its kind.

    .. math:: \hat p_i = p_i^{no} \text{ if } \frac{r_i^{no}}{P} > \frac{r_i^{ctx}}{P}, \text{ else } p_i^{ctx}

    where r is the rank of :math:`\max_k p_{ik}` among the P prompts, ties sharing their mean rank. A model that is
    surer of all it says with a context is so corrected.

    Source: Wu, Wu and Zou (2024), ClashEval, calibrated token probability correction.

    Args:
        without: as in `probability_gate`.
        context: likewise.

    Example:
        >>> without, context = np.log([[0.6, 0.4], [0.5, 0.5]]), np.log([[0.2, 0.8], [0.1, 0.9]])
        >>> percentile_gate(without, context).argmax(axis=1).tolist()
        [0, 1]
    """
    _require_rows(without=without, context=context)
    surer = rankdata(without.max(1)) > rankdata(context.max(1))
    return np.where(surer[:, None], without, context)


def context_aware_decoding(without: Floats, context: Floats, *, strength: float = 1.0) -> Floats:
    r"""What the context adds is counted once more.

    .. math:: \log \hat p_{ik} = (1 + a) \log p_{ik}^{ctx} - a \log p_{ik}^{no} - \log Z_i

    Source: Shi et al. (2023), who do so at every token and take a = 1 for conflicts of knowledge and 0.5 for summaries;
    here the probabilities are those of whole answers.

    Args:
        without: as in `probability_gate`.
        context: likewise.
        strength: a, >= 0; 0 leaves the model as it is.

    Example:
        >>> without, context = np.log([[0.8, 0.2]]), np.log([[0.6, 0.4]])
        >>> np.exp(context_aware_decoding(without, context)).round(3).tolist()  # 0.36 / 0.8 against 0.16 / 0.2
        [[0.36, 0.64]]
    """
    _require_rows(without=without, context=context)
    a = require_scalar("strength", require_nonnegative("strength", strength))
    with np.errstate(invalid="ignore"):
        return _normalised(np.where(np.isneginf(context), -np.inf, (1 + a) * context - a * without))


def contextual_calibration(context: Floats, content_free: Floats) -> Floats:
    r"""Probabilities over those that the candidates have after a prompt that says nothing.

    .. math:: \hat p_{ik} = \frac{p_{ik}^{ctx} / p_{ik}^{free}}{\sum_j p_{ij}^{ctx} / p_{ij}^{free}}

    Source: Zhao et al. (2021), with W = diag(1 / p_free) and b = 0; p_free is the mean over ``N/A``, ``[MASK]`` and no
        text.

    Args:
        context: as in `probability_gate`.
        content_free: log-probabilities after the content-free prompts, same shape.

    Example:
        >>> np.exp(contextual_calibration(np.log([[0.6, 0.4]]), np.log([[0.75, 0.25]]))).round(3).tolist()
        [[0.333, 0.667]]
    """
    _require_rows(context=context, content_free=content_free)
    with np.errstate(invalid="ignore"):
        return _normalised(np.where(np.isneginf(context), -np.inf, context - content_free))


def posterior_gate(without: Floats, context: Floats, weight: Floats) -> Floats:
    r"""The mixture of both, weighted by the posterior that the context is right.

    .. math:: \hat p_i = (1 - w_i)\, p_i^{no} + w_i\, p_i^{ctx}, \qquad
        \operatorname{logit} w_i = b + \kappa \operatorname{logit} p_i^{no}(s_i), \quad s_i = \arg\max_k p_{ik}^{ctx}

    If truth is distributed as the model's own belief says, and a context states it with probability r and else any of
    the K - 1 other answers, then by Bayes' rule :math:`P(s \text{ is true} \mid s)` has the log odds
    :math:`\operatorname{logit} r + \ln(K - 1) + \operatorname{logit} p^{no}(s)`: this is the posterior, with the first
    two terms put together as b and :math:`\kappa \ne 1` for a belief that is too sure of itself or too little. b and
    :math:`\kappa \ge 0` are fitted by `fit_logistic`. It is the gate of `gating.gates.posterior` with one piece of
    evidence for the context, what the weights think of its answer, in place of losses of the past.

    Args:
        without: as in `probability_gate`.
        context: likewise.
        weight: w, in [0, 1], shape (P,).

    Example:
        >>> without, context = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]])
        >>> np.exp(posterior_gate(without, context, np.array([0.25]))).round(3).tolist()
        [[0.725, 0.275]]
    """
    _require_rows(without=without, context=context)
    w = np.asarray(weight, dtype=np.float64)
    if w.shape != (len(without),) or not ((w >= 0) & (w <= 1)).all():
        raise ValueError(f"`weight` must be {len(without)} numbers in [0, 1]; got {shown(weight)}")
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log1p(-w)[:, None] + without, np.log(w)[:, None] + context)


def log_odds_of(log_prob: Floats, chosen: NDArray[np.int64]) -> Floats:
    """``log p / (1 - p)`` of one candidate of each prompt, shape (P,), without loss where p is near 1.

    Args:
        log_prob: log-probabilities, shape (P, K).
        chosen: a column for each prompt.

    Example:
        >>> log_odds_of(np.log([[0.75, 0.2, 0.05]]), np.array([0])).round(4).tolist()
        [1.0986]
    """
    _require_rows(log_prob=log_prob)
    rows = np.arange(len(log_prob))
    others = np.array(log_prob)
    others[rows, chosen] = -np.inf
    return np.asarray(log_prob[rows, chosen] - logsumexp(others, axis=1))


def fit_logistic(x: Floats, y: Floats, weights: Floats, *, rising: bool = False) -> tuple[float, float]:
    r"""Intercept b and slope :math:`\kappa` of :math:`P(y = 1) = \sigma(b + \kappa x)`, by maximum likelihood.

    .. math:: \min_{b, \kappa} \sum_i v_i \left[\ln(1 + e^{z_i}) - y_i z_i\right] + \lambda \kappa^2, \quad
        z_i = b + \kappa x_i, \quad \sum_i v_i = 1, \quad \lambda = 0.001

    The last term keeps the slope finite where a threshold separates both outcomes; it pulls slopes towards 0.

    Args:
        x: numbers, shape (n,).
        y: outcomes 0 and 1, shape (n,).
        weights: v >= 0, not all 0, shape (n,); brought to the sum 1.
        rising: whether the slope must be >= 0.

    Raises:
        ValueError: lengths differ, or there is no weight.

    Example:
        >>> b, slope = fit_logistic(np.array([-1.0, -1, 1, 1]), np.array([0.0, 1, 0, 1]), np.ones(4))
        >>> abs(b) < 1e-6, abs(slope) < 1e-6
        (True, True)
    """
    v = require_nonnegative("weights", weights)
    if not (np.ndim(x) == 1 and np.shape(x) == np.shape(y) == v.shape and v.any()):
        shapes = f"{np.shape(x)}, {np.shape(y)} and {v.shape}"
        raise ValueError(f"`x`, `y` and `weights` must be of one length, with some weight; got {shapes}")
    v = v / v.sum()

    def loss(point: Floats) -> tuple[float, Floats]:
        z = point[0] + point[1] * x
        gap = v * (expit(z) - y)
        value = v @ (np.logaddexp(0, z) - y * z) + RIDGE * point[1] ** 2
        return float(value), np.array([gap.sum(), gap @ x + 2 * RIDGE * point[1]])

    bounds = [(-20.0, 20.0), (0.0 if rising else -20.0, 20.0)]
    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds, options={"gtol": 1e-9})
    return float(found.x[0]), float(found.x[1])


def cross_fitted(
    x: Floats, y: Floats, weights: Floats, clusters: Sequence[Hashable], *, folds: int, seed: int
) -> Floats:
    """Probability of y = 1 of each row by `fit_logistic` to the rows of other folds, shape (n,), slope >= 0.

    Clusters are dealt to folds at random, so that no cluster is in the rows that its own probability is fitted to.

    Args:
        x: as in `fit_logistic`.
        y: likewise.
        weights: v >= 0, shape (n,); rows without weight get a probability all the same.
        clusters: label of each row's cluster, such as its item.
        folds: number of folds, >= 2, at most the number of clusters.
        seed: seed of the deal.

    Raises:
        ValueError: an argument is outside its set, or the rows outside a fold have no weight.

    Example:
        >>> x, y = np.array([-2.0, -1, 1, 2] * 5), np.array([0.0, 0, 1, 1] * 5)
        >>> cross_fitted(x, y, np.ones(20), range(20), folds=4, seed=0).round().tolist() == y.tolist()
        True
    """
    labels, of = np.unique(np.asarray(clusters), return_inverse=True)
    if require_integer("folds", folds, least=2) > len(labels):
        raise ValueError(f"`folds` must be at most the number of clusters, {len(labels)}; got {folds}")
    fold = (np.random.default_rng(require_integer("seed", seed)).permutation(len(labels)) % folds)[of]
    found = np.empty(len(x))
    for k in range(folds):
        others = fold != k
        b, slope = fit_logistic(x[others], y[others], weights[others], rising=True)
        found[~others] = expit(b + slope * x[~others])
    return found


def _normalised(log_prob: Floats) -> Floats:
    return np.asarray(log_prob - logsumexp(log_prob, axis=1, keepdims=True))


def _require_rows(**given: Floats) -> None:
    """Log-probabilities of one shape whose rows sum to 1, without a candidate that one has and another has not."""
    first, *_ = given.values()
    for name, rows in given.items():
        if np.ndim(rows) != 2 or np.shape(rows) != np.shape(first):
            shapes = ", ".join(str(np.shape(part)) for part in given.values())
            raise ValueError(f"`{name}` must be log-probabilities of one shape (P, K); got {shapes}")
        if not np.allclose(logsumexp(rows, axis=1), 0, atol=1e-6):
            raise ValueError(f"`{name}` must hold log-probabilities, whose rows sum to 1; got {shown(rows)}")
