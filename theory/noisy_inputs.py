r"""In-weight learning from noisy inputs: what a learner pays that is told labels, and never the class of an input.

Inputs are :math:`x = \mu_c + \sigma z` in d dimensions, with class centres drawn from :math:`N(0, I/d)`, the Gaussian
stand-in of uniform unit vectors (their norms differ by :math:`1/\sqrt{2d}`). Class c has
:math:`n_c \sim \mathrm{Bin}(N, q_c)` labelled inputs, independently of others. Two learners answer from them:

- *nearest mean*: the class whose mean input is nearest to the query;
- *Bayes*: the most probable class given all labelled inputs, centres and noise being known in law. No learner that sees
  the same inputs and labels errs less on average over centres.

Given the query, the distances to means of other classes are independent non-central chi-squared numbers. So the risk
is one minus the mean of a product over rivals, which is two integrals and one sum over counts: no simulation.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from theory.distribution import GROUPS, ClassMixture
from theory.fields import LARGEST_WHOLE
from theory.validation import Floats, require_choice, require_count, require_probability, require_scalar

__all__ = ["LEARNERS", "noisy_input_crossover", "noisy_input_error"]

LEARNERS = ("bayes", "nearest_mean")
NORMS, SCORES, RATIO = 8, 200, 1.08
"""Nodes of the query's norm and of the score of its own class, and ratio of the ends of a bin of counts."""
CERTAIN = 1e6  # expected count from which on a count is that
SPREAD = 7.0  # standard deviations that scores are integrated over
FAR = 1e4
"""Squared distance, in units of the variance, from which on a distance counts as normal; scipy's series fail later."""


def noisy_input_error(n_inputs: ArrayLike, spec: ClassMixture, learner: str = "bayes") -> Floats:
    r"""0-1 risk on queries of each class after N labelled inputs, none of them with noisy labels.

    :math:`1 - E\prod_{c'}(1 - E_{n_{c'}} P(s_{c'} > s_c))`, with s the score of a class: minus the squared distance to
    its mean, or :math:`\ln q - \frac d2 \ln S - \|x - m\|^2 / 2S` with m and S the mean and variance of its next input
    given :math:`n_c`. A class never seen is answered uniformly.

    Time grows with the square of the number of different frequencies.

    Numerical integration, absolute error below 1e-4 in d >= 4 dimensions and 5e-3 in fewer. Holds on average over
    Gaussian centres and independent counts.

    Args:
        n_inputs: N, labelled inputs in all, whole numbers >= 0, of any shape.
        spec: the data: classes, their frequencies, d >= 2 and sigma > 0; other fields do not matter.
        learner: ``bayes`` or ``nearest_mean``.

    Returns:
        The risk, shape (..., classes).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> spec = ClassMixture(input_noise=0.2, dim=64)
        >>> noisy_input_error([10, 100], spec)[:, [0, -1]].round(2).tolist()
        [[0.18, 0.79], [0.01, 0.21]]

    Source: conjugate Gaussian posteriors; Loh (1997) for means of noisy inputs; own integration.
    """
    require_choice("learner", learner, LEARNERS)
    if not spec.input_noise > 0:
        raise ValueError(f"`spec.input_noise` must be > 0; got {spec.input_noise}: inputs without noise tell the class")
    if spec.dim < 2:
        raise ValueError(f"`spec.dim` must be >= 2; got {spec.dim}")
    n = require_count("n_inputs", n_inputs)
    kinds, place, members = np.unique(spec.frequencies, return_inverse=True, return_counts=True)
    found = [_risks(float(size), kinds, members.astype(np.float64), spec, learner) for size in n.ravel()]
    return np.reshape(found, (*n.shape, len(kinds)))[..., place]


def noisy_input_crossover(spec: ClassMixture, group: str, level: float, learner: str = "bayes") -> float:
    """Smallest number of labelled inputs N from which the mean risk of a group is at most a level.

    By bisection, to one part in a thousand. Holds where the risk falls with N.

    Args:
        spec: the data, as for `noisy_input_error`.
        group: ``high``, ``low`` or ``all``, not empty.
        level: of the 0-1 risk, in (0, 1).
        learner: ``bayes`` or ``nearest_mean``.

    Returns:
        N; infinite when it is not reached by 2^53.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> noisy_input_crossover(ClassMixture(input_noise=0.2, dim=64), "low", 0.5)
        40.0

    Source: `noisy_input_error`.
    """
    require_choice("group", group, [name for name in GROUPS if len(spec.group(name))])
    wanted = require_scalar("level", require_probability("level", level, above_zero=True, below_one=True))

    def reached(size: float) -> bool:
        return float(spec.group_mean(noisy_input_error(np.floor(size), spec, learner), group)) <= wanted

    high = 1.0
    while not reached(high):
        high *= 2
        if high > LARGEST_WHOLE:
            return np.inf
    low = high / 2
    while high - low > max(1, high / 1000):
        middle = np.floor((low + high) / 2)
        low, high = (low, middle) if reached(middle) else (middle, high)
    return float(high)


class _Known(NamedTuple):
    """What is known of a class after n labelled inputs, each of shape (nodes,).

    Attributes:
        weight: probability of each n.
        variance: of the mean that queries are compared with, per dimension.
        shared: its covariance with the centre.
        level: score at distance 0.
        width: S, by twice of which a squared distance is divided in the score.
    """

    weight: Floats
    variance: Floats
    shared: Floats
    level: Floats
    width: Floats


def _risks(size: float, kinds: Floats, members: Floats, spec: ClassMixture, learner: str) -> Floats:
    """Risk of a class of each kind; classes of a kind are alike."""
    known = [_known(size, float(q), spec, learner) for q in kinds]
    d, total = spec.dim, spec.input_noise**2 + 1 / spec.dim
    norms, weights = special.roots_hermitenorm(NORMS)
    squares = total * stats.chi2.ppf(special.ndtr(norms), d)
    never = np.array([(1 - q) ** size for q in kinds])
    hits = np.zeros(len(kinds))
    top = max((float(each.level.max()) for each in known if len(each.level)), default=0.0)
    for square, weight in zip(squares, weights / weights.sum(), strict=True):
        for kind, each in enumerate(known):
            if not len(each.level):
                continue
            low, high = _own_scores(each, square, total, d)
            depth = np.sqrt(top - high) + np.linspace(0, 1, SCORES) * (np.sqrt(top - low) - np.sqrt(top - high))
            scores = top - depth**2  # the density of a squared distance is steep at 0, that of a distance is not
            beaten = np.array([_beaten(rival, scores, square, d) for rival in known])  # by one rival of each kind
            rivals = members - (np.arange(len(kinds)) == kind)
            survive = np.prod((1 - beaten) ** rivals[:, None], axis=0)
            density = _density(each, scores, square, total, d)
            hits[kind] += weight * np.trapezoid(density * survive * 2 * depth, depth)
    return 1 - hits - never / spec.n_classes


def _counts(size: float, q: float) -> tuple[Floats, Floats]:
    """Weights and values of the counts n >= 1 of a class, those that differ little taken together."""
    if size * q > CERTAIN:
        return np.ones(1), np.array([size * q])
    law = stats.binom(size, q)
    counts = np.arange(max(1, law.ppf(1e-7)), law.ppf(1 - 1e-7) + 1)
    mass = law.pmf(counts)
    place = np.unique(np.floor(np.log(counts) / np.log(RATIO)), return_inverse=True)[1]
    weight: Floats = np.bincount(place, mass).astype(np.float64)
    return weight, np.bincount(place, mass * counts).astype(np.float64) / weight


def _known(size: float, q: float, spec: ClassMixture, learner: str) -> _Known:
    """Of the counts n >= 1 of a class."""
    weight, n = _counts(size, q)
    d, noise = spec.dim, spec.input_noise**2
    if learner == "nearest_mean":
        half = np.full(len(n), 0.5)
        return _Known(weight, 1 / d + noise / n, np.full(len(n), 1 / d), 0.0 * n, half)
    shared = n / (d * (n + noise * d))
    width = noise + 1 / d - shared
    return _Known(weight, shared, shared, np.log(q) - d / 2 * np.log(width), width)


def _conditional(known: _Known, square: float, total: float) -> tuple[Floats, Floats]:
    """Of the query minus the mean of its class, given the query: variance per dimension, and squared mean."""
    variance = known.variance - known.shared**2 / total
    return variance, (1 - known.shared / total) ** 2 * square


def _own_scores(known: _Known, square: float, total: float, d: int) -> tuple[float, float]:
    """Least and largest score that the class of the query has, but for a negligible probability."""
    variance, centre = _conditional(known, square, total)
    middle, spread = np.sqrt(centre + d * variance), np.sqrt(variance)
    near, far = np.maximum(middle - SPREAD * spread, 0) ** 2, (middle + SPREAD * spread) ** 2
    return float((known.level - far / (2 * known.width)).min()), float((known.level - near / (2 * known.width)).max())


def _density(known: _Known, scores: Floats, square: float, total: float, d: int) -> Floats:
    """Density of the score of the query's class, summed over its counts."""
    variance, centre = _conditional(known, square, total)
    squared = 2 * known.width * (known.level - scores[:, None])
    scaled = np.maximum(squared, 0) / variance
    density = _distance_density(scaled, d, centre / variance) * 2 * known.width / variance
    return np.where(squared > 0, density, 0.0) @ known.weight


def _beaten(known: _Known, scores: Floats, square: float, d: int) -> Floats:
    """Probability that one class of this kind, seen at least once, has a larger score."""
    squared = 2 * known.width * (known.level - scores[:, None])
    scaled = np.maximum(squared, 0) / known.variance
    return _distance_probability(scaled, d, square / known.variance) @ known.weight


def _distance_density(squared: Floats, d: int, centre: Floats) -> Floats:
    """Density of a squared distance, of unit variance in d dimensions, from a point at squared distance `centre`."""
    middle, spread = _far(d, centre)
    root = np.sqrt(squared)
    far = stats.norm.pdf(root, middle, spread) / (2 * np.maximum(root, np.finfo(float).tiny))
    return np.where(centre > FAR, far, stats.ncx2.pdf(squared, d, np.minimum(centre, FAR)))


def _distance_probability(squared: Floats, d: int, centre: Floats) -> Floats:
    """Probability that such a squared distance is smaller."""
    far = stats.norm.cdf(np.sqrt(squared), *_far(d, centre))
    return np.where(centre > FAR, far, stats.ncx2.cdf(squared, d, np.minimum(centre, FAR)))


def _far(d: int, centre: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the distance from a far point, from those of its square, which is steep there."""
    square, variance = centre + d, 2 * d + 4 * centre
    return np.sqrt(square) - variance / (8 * square**1.5), np.sqrt(variance / square) / 2
