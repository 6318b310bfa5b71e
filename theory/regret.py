"""Regret of gate learners on linear losses.

In a round a gate plays ``alpha`` in [0, 1], then the in-weight predictor suffers ``l(g)`` and the in-context one
``l(h)``; the gate suffers ``alpha l(g) + (1 - alpha) l(h)``. With ``d = l(g) - l(h)`` and ``|d| <= loss_range``, its
regret after n rounds is its loss minus that of the better of the two predictors in hindsight. Log-loss mixtures, whose
regret does not grow with the range of the losses, are in :mod:`theory.mixture_regret`; what all this says of the
composed model is in :mod:`theory.composition`.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from theory.validation import Floats, require_count, require_nonnegative, require_positive, require_within

__all__ = [
    "adahedge_bound",
    "exponential_weights_bound",
    "gradient_descent_bound",
    "scheduled_weights_bound",
    "two_expert_lower_bound",
]


def gradient_descent_bound(n_rounds: ArrayLike, loss_range: ArrayLike, *, horizon: ArrayLike | None = None) -> Floats:
    r"""Regret of projected gradient descent from 1/2.

    .. math:: \frac{B\sqrt H}{4} + \frac{B n}{4 \sqrt H} \quad (= B \sqrt n / 2 \text{ when } H = n), \qquad
        B\sqrt{2n} - \tfrac{5\sqrt 2}{8} B \text{ when no horizon is given.}

    Upper bound, always. Holds for step ``1 / (2 B sqrt(H))`` with a horizon H (right or wrong), and for steps
    ``1 / (B sqrt(2 t))`` without.

    Args:
        n_rounds: n, rounds played; integer >= 0, any shape.
        loss_range: B > 0, largest ``|l(g) - l(h)|``; in units of the loss; broadcasts with ``n_rounds``.
        horizon: H > 0, number of rounds the step was tuned for, or None.

    Returns:
        The bound in units of the loss; 0 at n = 0.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> gradient_descent_bound(100, 1.0, horizon=100).item(), gradient_descent_bound(100, 1.0).round(3).item()
        (5.0, 13.258)

    Source: Zinkevich (2003), Theorem 1, with the constants of the interval and the start at 1/2 worked out.
    """
    n, b = require_count("n_rounds", n_rounds), require_positive("loss_range", loss_range)
    if horizon is None:
        return np.where(n > 0, b * (np.sqrt(2 * n) - 5 * np.sqrt(2) / 8), 0.0)
    root = np.sqrt(require_positive("horizon", horizon))
    return np.where(n > 0, b * root / 4 + b * n / (4 * root), 0.0)


def exponential_weights_bound(
    n_rounds: ArrayLike, loss_range: ArrayLike, *, n_experts: ArrayLike = 2, horizon: ArrayLike | None = None
) -> Floats:
    r"""Regret of exponential weights with a uniform prior over m experts.

    .. math:: B\sqrt{H \ln m / 8} + n B \sqrt{\ln m / (8 H)} \quad (= B\sqrt{n \ln m / 2} \text{ when } H = n), \qquad
        B\sqrt{n \ln m} \text{ when no horizon is given.}

    Upper bound, always. Holds for the rate ``sqrt(8 ln m / H) / B`` with a horizon H (right or wrong), and for rates
    ``2 sqrt(ln m / t) / B`` without. The gate has m = 2 experts; a grid of m temperatures of the in-context predictor
    has m.

    Args:
        n_rounds: n, rounds played; integer >= 0, any shape.
        loss_range: B > 0, largest difference of two experts' losses in a round; in units of the loss.
        n_experts: m, integer >= 2.
        horizon: H > 0, number of rounds the rate was tuned for, or None.

    Returns:
        The bound in units of the loss; 0 at n = 0.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> exponential_weights_bound(100, 1.0, horizon=100).round(3).item()
        5.887
        >>> exponential_weights_bound(100, 1.0, n_experts=16).round(3).item()
        16.651

    Source: Cesa-Bianchi and Lugosi (2006), Theorem 2.2 (horizon); :func:`scheduled_weights_bound` (no horizon).
    """
    n, b = require_count("n_rounds", n_rounds), require_positive("loss_range", loss_range)
    log_m = np.log(require_count("n_experts", n_experts, least=2))
    if horizon is None:
        return np.asarray(b * np.sqrt(n * log_m))
    h = require_positive("horizon", horizon)
    return np.where(n > 0, b * np.sqrt(h * log_m / 8) + n * b * np.sqrt(log_m / (8 * h)), 0.0)


def scheduled_weights_bound(
    log_prior: ArrayLike, last_rate: ArrayLike, rate_sum: ArrayLike, loss_range: ArrayLike
) -> Floats:
    r"""Regret of exponential weights with any prior and any rates that never rise.

    .. math:: \frac{\ln(1/\pi)}{\eta_n} + \frac{B^2}{8} \sum_{t \le n} \eta_t

    Upper bound on the regret against an expert of prior :math:`\pi`, always. Holds when round t is played with weights
    proportional to :math:`\pi_k e^{-\eta_t L_{k,t-1}}`, L the losses summed so far, and
    :math:`\eta_1 \ge \eta_2 \ge \dots > 0`.

    Args:
        log_prior: natural logarithm of the prior of the expert compared with, <= 0.
        last_rate: :math:`\eta_n > 0`, per unit of loss.
        rate_sum: sum of the n rates, > 0, per unit of loss.
        loss_range: B > 0, largest difference of two experts' losses in a round.

    Returns:
        The bound in units of the loss, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> scheduled_weights_bound(np.log(0.5), 0.1, 10.0, 1.0).round(4).item()
        8.1815

    Source: de Rooij, van Erven, Grünwald and Koolen (2014), section 2.1, for equal priors; docs/theory.md,
    statement 4.4.
    """
    prior = require_within("log_prior", log_prior, "a finite number <= 0", lambda p: p <= 0)
    rate, total = require_positive("last_rate", last_rate), require_positive("rate_sum", rate_sum)
    return np.asarray(-prior / rate + require_positive("loss_range", loss_range) ** 2 * total / 8)


def adahedge_bound(variance: ArrayLike, loss_range: ArrayLike, *, n_experts: ArrayLike = 2) -> Floats:
    r"""Regret of AdaHedge, which needs neither horizon nor range.

    .. math:: 2 \sqrt{V_n \ln m} + S \left(\tfrac43 \ln m + 2\right)

    Upper bound, always. :math:`V_n` is the sum over rounds of the variance of the experts' losses under the weights
    that AdaHedge played (for the gate: :math:`\sum_t \alpha_t (1-\alpha_t) d_t^2`), so it shrinks when one predictor
    wins, and is at most :math:`n S^2 / 4`.

    Args:
        variance: V >= 0, squared units of the loss, any shape.
        loss_range: S >= 0, largest difference of two experts' losses seen in a round.
        n_experts: m, integer >= 2.

    Returns:
        The bound in units of the loss.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> adahedge_bound(25.0, 1.0).round(3).item()
        11.25

    Source: de Rooij, van Erven, Grünwald and Koolen (2014), section 2, the variance bound;
    docs/theory.md, statement 4.6.
    """
    v, s = require_nonnegative("variance", variance), require_nonnegative("loss_range", loss_range)
    log_m = np.log(require_count("n_experts", n_experts, least=2))
    return np.asarray(2 * np.sqrt(v * log_m) + s * (4 * log_m / 3 + 2))


def two_expert_lower_bound(n_rounds: ArrayLike, loss_range: ArrayLike) -> Floats:
    r"""Regret that no gate learner can stay below on every stream.

    .. math:: \frac{B}{2}\, E|S_n|, \qquad E|S_n| = \frac{2 \lceil n/2 \rceil}{2^n} \binom{n}{\lceil n/2 \rceil}
        \approx \sqrt{2n/\pi}

    Lower bound on the largest regret over streams of ``|d| <= B``, for every learner: with :math:`d_t = \pm B` fair
    coins the gate's expected loss relative to h is 0 and the better predictor's is :math:`-E|B S_n|/2`.

    Args:
        n_rounds: n, integer >= 0, any shape.
        loss_range: B > 0, in units of the loss.

    Returns:
        The bound in units of the loss.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> two_expert_lower_bound([1, 2, 100], 1.0).round(4).tolist()
        [0.5, 0.5, 3.9795]

    Source: Cover (1965), the game of predicting coin tosses.
    """
    n, b = require_count("n_rounds", n_rounds), require_positive("loss_range", loss_range)
    half = np.maximum(np.ceil(n / 2), 1)
    # E|S_n| = 2 Gamma(k + 1/2) / (sqrt(pi) Gamma(k)), k = ceil(n / 2): no factorial to overflow.
    mean_distance = 2 * special.poch(half, 0.5) / np.sqrt(np.pi)
    return np.asarray(b / 2 * np.where(n > 0, mean_distance, 0.0))
