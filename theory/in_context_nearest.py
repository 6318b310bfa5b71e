r"""Bounds on the 0-1 risk of copying from noisy tokens without label noise, centres drawn uniformly: who is nearest?

Given the query x, tokens of different classes are independent, and those of one class depend on each other through its
centre alone. Let R be the distance of a relevant token and T(s) the probability that an irrelevant one is at squared
distance below s. With r relevant tokens, and :math:`k_y` that carry another label y,

- h is wrong only if, for some y, one of its tokens weighs at least :math:`1/k_y` of any given relevant one: with
  probability at most :math:`1 - E\prod_y (1 - T(R^2 + \tau\ln k_y))^{k_y}`, as tokens that share a centre
  miss together;
- h is wrong if one token weighs more than r times the nearest relevant one, at distance M: with probability at least
  :math:`1 - E\prod_{y: k_y > 0} (1 - T(M^2 - \tau\ln r))`, and M is larger than for independent tokens, in law.
"""

from functools import lru_cache

import numpy as np
from scipy import special

from theory.context_law import ContextLaw
from theory.label_votes import Interval
from theory.noisy_scores import nearer, numerical_error, score_tables
from theory.validation import Floats

__all__ = ["LONGEST", "nearest_error"]

LONGEST = 32
"""Most irrelevant tokens whose labels are counted."""
_POWERS = 0.01  # relative error of the law of the nearest of several tokens


def nearest_error(law: ContextLaw, r: int, k: int, noise: float, dim: int, temperature: float) -> Interval:
    """Bounds for r >= 1 relevant and k <= `LONGEST` irrelevant tokens, averaged over uniform centres.

    Args:
        law: of labels, without label noise.
        r: relevant tokens.
        k: irrelevant tokens.
        noise: sigma > 0 of each coordinate.
        dim: d >= 2.
        temperature: tau > 0.

    Returns:
        Lower and upper bound.

    Source: positive dependence of exchangeable events (Jensen's inequality).
    """
    if k == 0:
        return 0.0, 0.0
    nearest, mass = _nearest(dim, noise, r), _nearest(dim, noise, 1)
    miss = [1 - nearer(dim, noise, temperature * np.log(m)) for m in range(1, k + 1)]
    none_near = _mean_over_labels(law, k, [value**m for m, value in enumerate(miss, 1)])
    few = 1 - nearer(dim, noise, -temperature * np.log(r))
    none_nearer = _mean_over_labels(law, k, [few] * k)
    part, least = numerical_error(dim)
    lower, upper = (float(1 - (weight * value).sum()) for weight, value in ((nearest, none_nearer), (mass, none_near)))
    lower = lower * (1 - part - (_POWERS if r > 1 else 0)) - least
    return max(lower, 0.0), min(upper * (1 + part) + least, 1.0)


@lru_cache(maxsize=64)
def _nearest(dim: int, noise: float, r: int) -> Floats:
    """Mass of the distance of the nearest of r relevant tokens, as if they were independent given the query."""
    tables = score_tables(dim, noise, "nearest_mean")
    mass = tables.own[:, 0]
    if r == 1:
        return mass
    nearest = np.zeros_like(mass)
    for norm in np.unique(tables.norm):
        held = tables.norm == norm
        total = mass[held].sum()
        nearer_than = np.clip(np.cumsum(mass[held][::-1])[::-1] / total, 0, 1)  # scores grow: the last is the nearest
        farther = np.concatenate([1 - nearer_than, [1.0]])
        middle = np.clip(farther, 0, 1) ** r
        nearest[held] = total * np.diff(middle)
    return nearest


def _mean_over_labels(law: ContextLaw, k: int, values: list[Floats]) -> Floats:
    """Mean over labels of k irrelevant tokens: a product over labels, ``values[m - 1]`` for one shown m >= 1 times."""
    terms = np.zeros((k + 1, *values[0].shape))
    terms[0] = 1.0
    total = terms.copy()
    total[1:] = 0.0
    for share, number in zip(law.irrelevant, law.multiplicity, strict=True):
        if share == 0:
            continue
        for m in range(1, k + 1):
            terms[m] = values[m - 1] * np.exp(m * np.log(share) - special.gammaln(m + 1))
        total = _times_power(total, terms, int(number))
    return np.asarray(total[k] * np.exp(special.gammaln(k + 1)))


def _times_power(total: Floats, terms: Floats, power: int) -> Floats:
    """Product of one series with a power of another, each cut at the same degree."""
    while power:
        if power % 2:
            total = _product(total, terms)
        power //= 2
        terms = _product(terms, terms) if power else terms
    return total


def _product(left: Floats, right: Floats) -> Floats:
    product = np.zeros_like(left)
    for m, value in enumerate(right):
        product[m:] += left[: len(left) - m] * value
    return product
