"""Regret of mixtures under log loss: Bayes over two predictors, add-beta over labels, portfolios over mixing weights.

A mixture pays the negative logarithm of its average probability, so its regret against one of its parts is the
logarithm of that part's weight, whatever the data. What remains is to compute the weight exactly: for categorical
data by ratios of gamma functions, for the universal portfolio by the same ratios and a quadrature.
"""

from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from theory.validation import Floats, require_choice, require_count, require_positive, require_scalar, require_within

__all__ = [
    "PORTFOLIO_PRIORS",
    "bayes_mixture_bound",
    "exact_add_beta_regret",
    "exact_worst_add_beta_regret",
    "kt_bound",
    "laplace_bound",
    "portfolio_nodes",
    "portfolio_quadrature_bound",
    "universal_portfolio_bound",
]


# Priors over the mixing weight, as the two equal parameters of a Beta distribution.
PORTFOLIO_PRIORS = {"uniform": 1.0, "jeffreys": 0.5}

# From here on six terms of Stirling's series give log-gamma to the last digit.
STIRLING_FROM = 20.0


def bayes_mixture_bound(log_prior: ArrayLike) -> Floats:
    r"""Regret of a Bayes mixture against a part of prior :math:`\pi`: :math:`\ln(1/\pi)` nats.

    Upper bound, always, after any number of rounds: the mixture's probability of all the data is at least
    :math:`\pi` times the part's. The best part's prior gives the regret against the best.

    Args:
        log_prior: :math:`\ln\pi` of the predictor compared with, <= 0, any shape.

    Returns:
        The bound in nats.

    Raises:
        ValueError: `log_prior` positive or not finite.

    Example:
        >>> bayes_mixture_bound(np.log(0.5)).round(4).item()
        0.6931

    Source: Cesa-Bianchi and Lugosi (2006), section 9.2.
    """
    prior = require_within("log_prior", log_prior, "a finite number <= 0", lambda p: p <= 0)
    return np.asarray(-prior)


def exact_add_beta_regret(counts: ArrayLike, beta: ArrayLike) -> Floats:
    r"""Regret of the add-beta predictor on a sequence of labels, in any order.

    .. math:: \ln\frac{\Gamma(n + \beta C)}{\Gamma(\beta C)} - \sum_y \ln\frac{\Gamma(k_y + \beta)}{\Gamma(\beta)}
        - \sum_y k_y \ln\frac{n}{k_y}

    Exact, in nats, against the best fixed label distribution (the one of the counts).

    Args:
        counts: (..., C) number of times each label occurs, integers >= 0.
        beta: > 0, added to each count; 1 is Laplace, 1/2 is Krichevsky and Trofimov.

    Returns:
        (...) regret in nats, >= 0.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> exact_add_beta_regret([3, 0], 1.0).round(4).item()  # ln 4
        1.3863

    Source: Cesa-Bianchi and Lugosi (2006), section 9.6.
    """
    k, b = np.atleast_1d(require_count("counts", counts)), require_positive("beta", beta)[..., None]
    return _log_rising(k.sum(axis=-1), b[..., 0] * k.shape[-1]) - _log_rising(k, b).sum(axis=-1)


def exact_worst_add_beta_regret(n_rounds: ArrayLike, n_labels: ArrayLike, beta: ArrayLike) -> Floats:
    r"""Largest regret of the add-beta predictor over all sequences of n labels, for beta >= 1/2.

    .. math:: \ln\frac{\Gamma(n + \beta C)\,\Gamma(\beta)}{\Gamma(\beta C)\,\Gamma(n + \beta)}

    Exact, in nats: attained by constant sequences. Holds for beta >= 1/2 only; below, spread counts can be worse. With
    C = 2 it is also the largest regret of the universal portfolio with prior Beta(beta, beta).

    Args:
        n_rounds: n, integer >= 0, any shape.
        n_labels: C, integer >= 1.
        beta: >= 1/2.

    Returns:
        The regret in nats.

    Raises:
        ValueError: an argument outside its set, such as beta below 1/2.

    Example:
        >>> exact_worst_add_beta_regret(10, 3, 1.0).round(4).item()  # ln 66
        4.1897

    Source: Cesa-Bianchi and Lugosi (2006), sections 9.6 and 9.7 (C = 2); docs/theory.md, statement 4.9.
    """
    b = require_positive("beta", beta)
    if (b < 0.5).any():
        raise ValueError(f"`beta` must be >= 1/2 for constant sequences to be the worst; got {b.min()}")
    n, labels = require_count("n_rounds", n_rounds), require_count("n_labels", n_labels, least=1)
    return _log_rising(n, b * labels) - _log_rising(n, b)


def laplace_bound(n_rounds: ArrayLike, n_labels: ArrayLike) -> Floats:
    r"""Regret of Laplace's rule (beta = 1) on n labels out of C: :math:`\ln\binom{n + C - 1}{C - 1}` nats.

    Upper bound, always, and attained by constant sequences.

    Args:
        n_rounds: n, integer >= 0, any shape.
        n_labels: C, integer >= 1.

    Returns:
        The bound in nats.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> laplace_bound(10, 3).round(4).item()  # ln 66
        4.1897

    Source: Cesa-Bianchi and Lugosi (2006), section 9.6 (C = 2); docs/theory.md, statement 4.10.
    """
    return exact_worst_add_beta_regret(n_rounds, n_labels, 1.0)


def kt_bound(n_rounds: ArrayLike, n_labels: ArrayLike) -> Floats:
    r"""Regret of Krichevsky and Trofimov's rule (beta = 1/2): :math:`\frac{C-1}{2} \ln n + \ln C` nats.

    Upper bound, always, for n >= 1; equal to the exact worst case at n = 1.

    Args:
        n_rounds: n, integer >= 1, any shape.
        n_labels: C, integer >= 1.

    Returns:
        The bound in nats.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> kt_bound(1, 4).round(4).item(), exact_worst_add_beta_regret(1, 4, 0.5).round(4).item()
        (1.3863, 1.3863)

    Source: Krichevsky and Trofimov (1981); docs/theory.md, statement 4.10.
    """
    n, labels = require_count("n_rounds", n_rounds, least=1), require_count("n_labels", n_labels, least=1)
    return np.asarray((labels - 1) / 2 * np.log(n) + np.log(labels))


def universal_portfolio_bound(n_rounds: ArrayLike, *, prior: str = "jeffreys", n_predictors: ArrayLike = 2) -> Floats:
    r"""Regret of the universal portfolio against the best fixed mixture of m predictors.

    .. math:: \text{uniform: } \ln\binom{n+m-1}{m-1}, \qquad \text{jeffreys: } \tfrac{m-1}{2} \ln(n+1) + \ln 2

    Upper bound in nats, always; :math:`\ln(n+1)` and :math:`\tfrac12\ln(n+1) + \ln 2` for two predictors.
    :func:`exact_worst_add_beta_regret` with m labels is the attained worst case, equal for the uniform prior and, for
    m = 2, lower by 0.12 to 0.35 for Jeffreys' (n >= 1).

    Args:
        n_rounds: n, integer >= 0, any shape.
        prior: ``uniform`` or ``jeffreys``, the density of Dirichlet(1/2, ..., 1/2); Beta(1/2, 1/2) for m = 2.
        n_predictors: m, integer >= 2.

    Returns:
        The bound in nats.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> universal_portfolio_bound(100).round(3).item()
        3.001
        >>> universal_portfolio_bound(100, prior="uniform").round(3).item()
        4.615

    Source: Cover and Ordentlich (1996), for m assets without side information; docs/theory.md, statement 4.12.
    """
    log_n = np.log1p(require_count("n_rounds", n_rounds))
    m = require_count("n_predictors", n_predictors, least=2)
    require_choice("prior", prior, tuple(PORTFOLIO_PRIORS))
    if prior == "uniform":
        return np.where(m == 2, log_n, laplace_bound(n_rounds, m))
    return np.asarray((m - 1) / 2 * log_n + np.log(2))


def portfolio_quadrature_bound(n_rounds: ArrayLike, n_nodes: ArrayLike, *, prior: str = "jeffreys") -> Floats:
    r"""What integrating a universal portfolio by M Gauss nodes can add to its regret.

    .. math:: -\ln(1 - \varepsilon), \qquad
        \varepsilon = \frac{4\, e^{r_n - 2M^2/n}}{1 - e^{-2M/n}}, \qquad r_n \text{ the exact worst regret}

    Upper bound in nats, always; 0 while n <= 2 M - 1, where the quadrature is exact, and infinite where
    :math:`\varepsilon \ge 1`. Also the relative error of the integral itself is at most :math:`\varepsilon`.

    Args:
        n_rounds: n, integer >= 0, any shape.
        n_nodes: M, integer >= 1.
        prior: ``uniform`` (Gauss-Legendre nodes) or ``jeffreys`` (Gauss-Chebyshev nodes).

    Returns:
        The bound in nats.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> portfolio_quadrature_bound([100, 10_000], 400).round(12).tolist()
        [0.0, 1.17e-10]

    Source: docs/theory.md, statement 4.13.
    """
    n, m = require_count("n_rounds", n_rounds), require_count("n_nodes", n_nodes, least=1)
    beta = PORTFOLIO_PRIORS[require_choice("prior", prior, tuple(PORTFOLIO_PRIORS))]
    rounds = np.maximum(n, 1)
    exponent = exact_worst_add_beta_regret(rounds, 2, beta) - 2 * m**2 / rounds
    log_error = np.log(4) + exponent - np.log(-np.expm1(-2 * m / rounds))
    added = -np.log1p(-np.exp(np.minimum(log_error, -1e-15)))
    return np.where(n <= 2 * m - 1, 0.0, np.where(log_error < 0, added, np.inf))


def portfolio_nodes(n_rounds: int, *, prior: str = "jeffreys", tolerance: float = 1e-6) -> int:
    r"""Fewest Gauss nodes whose added regret stays below the tolerance for every number of rounds up to n.

    Exact; about :math:`\sqrt{n \ln(n/\text{tolerance})}`, against the n of the exact recursion.

    Args:
        n_rounds: n, integer >= 1.
        prior: ``uniform`` or ``jeffreys``.
        tolerance: largest added regret in nats, > 0.

    Returns:
        Number of nodes M.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> portfolio_nodes(1_000_000)
        3715

    Source: :func:`portfolio_quadrature_bound`, which grows with n, inverted by bisection.
    """
    n = require_scalar("n_rounds", require_count("n_rounds", n_rounds, least=1))
    limit = require_scalar("tolerance", require_positive("tolerance", tolerance))

    def is_enough(n_nodes: int) -> bool:
        return bool(portfolio_quadrature_bound(n, n_nodes, prior=prior) <= limit)

    return 1 + bisect_left(range(1, int(n // 2) + 1), True, key=is_enough)


def _log_rising(k: Floats, start: Floats) -> Floats:
    r""":math:`\ln(\Gamma(k + c)/\Gamma(c)) - k \ln k + k` without cancellation, for k >= 0 and c > 0.

    Both gamma functions are of order k ln k, which the subtraction removes; Stirling's series removes it on paper.
    """
    k, start = np.broadcast_arrays(k, start)
    total, safe = k + start, np.maximum(k, 1)
    with np.errstate(over="ignore"):
        shared = special.xlog1py(k, start / safe) + _stirling_rest(total)
        large_start = shared + (start - 0.5) * np.log1p(k / start) - _stirling_rest(start)
        small_start = shared + (start - 0.5) * np.log(total) - start + np.log(2 * np.pi) / 2 - special.gammaln(start)
    direct = special.gammaln(total) - special.gammaln(start) - special.xlogy(k, safe) + k
    return np.where(start >= STIRLING_FROM, large_start, np.where(total >= STIRLING_FROM, small_start, direct))


def _stirling_rest(x: Floats) -> Floats:
    """Log-gamma(x) - [(x - 1/2) ln x - x + ln(2 pi)/2] for x >= 20 (any value below, where it is not used)."""
    y = 1 / np.maximum(x, STIRLING_FROM)
    square = y * y
    coefficients = (-1 / 1680, 1 / 1260, -1 / 360, 1 / 12)
    return y * np.polyval(coefficients, square)
