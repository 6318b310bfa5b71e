r"""Two-sided bounds on the in-context risk when class centres are not equally far from each other.

Every squared distance between two centres lies in an interval, so an irrelevant token weighs between
:math:`\kappa_- = e^{-D_{max}/\tau}` and :math:`\kappa_+ = e^{-D_{min}/\tau}` beside a relevant one. Risks are *not*
monotone in the distances (an irrelevant token that carries the right label helps), so equal distances at the two ends
do not bracket them; each function below bounds outcome by outcome. Clean inputs throughout; noise:
`theory.in_context_noise`.
"""

import numpy as np
from scipy import special

from theory.context_law import ContextLaw
from theory.distribution import ClassMixture
from theory.in_context import exact_linear_loss, exact_relevant_weight, likely_binomial, mean_by_class, similarity_ratio
from theory.label_votes import LONGEST_EXACT_CONTEXT, Interval, wrong_vote, wrong_vote_bounds
from theory.validation import Floats, require_count, require_nonnegative, require_probability

__all__ = [
    "distance_interval",
    "error_bounds",
    "foreign_collisions",
    "linear_loss_bounds",
    "log_loss_bounds",
    "squared_distance_bounds",
]


def squared_distance_bounds(n_classes: int, dim: int, delta: float) -> Interval:
    r"""Interval that holds every squared distance between K random class centres.

    :math:`2 \mp 2t` with t the cosine for which :math:`K(K-1) P(\cos > t) \le \delta`; the cosine of two independent
    uniform unit vectors has :math:`P(\cos > t) = \frac12 I_{1-t^2}(\frac{d-1}2, \frac12)`.

    Lower and upper bound, with probability at least 1 - delta over the centres.

    Args:
        n_classes: K >= 2.
        dim: d >= 1.
        delta: in (0, 1).

    Returns:
        Least and largest squared distance, within [0, 4].

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> [round(d, 2) for d in squared_distance_bounds(10, 64, 0.01)]
        [1.11, 2.89]

    Source: union bound over pairs; cosine law, e.g. Cai, Fan and Jiang (2013), section 2.
    """
    k = float(require_count("n_classes", n_classes, least=2))
    d = float(require_count("dim", dim, least=1))
    p_fail = float(require_probability("delta", delta, above_zero=True, below_one=True))
    if d == 1:
        return 0.0, 4.0
    tail = min(2 * p_fail / (k * (k - 1)), 1.0)
    cosine = float(np.sqrt(1 - special.betaincinv((d - 1) / 2, 0.5, tail)))
    return 2 - 2 * cosine, 2 + 2 * cosine


def linear_loss_bounds(
    spec: ClassMixture, *, temperature: float, squared_distance: float | Interval, context: str = "relevant"
) -> tuple[Floats, Floats]:
    r"""Bounds on the linear loss of h for each query class.

    :math:`1 - [W S + (1 - W) X]` with W between its values at the two ends, S the chance that two labels of the class
    agree, and X between the least and the largest chance that a label of another class agrees. At equal distances, and
    for contexts of one token, both are the exact value.

    Lower and upper bound, always. Holds without input noise.

    Args:
        spec: the data; any context length.
        temperature: tau > 0.
        squared_distance: D >= 0 between two centres; a number, or the least and the largest.
        context: ``relevant``, ``irrelevant`` or ``as_trained``.

    Returns:
        Lower and upper bound, each of shape (K,).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> spec = ClassMixture(context_length=4)
        >>> [b[9].round(4).item() for b in linear_loss_bounds(spec, temperature=0.5, squared_distance=(1.5, 2.5))]
        [0.0194, 0.1275]

    Source: linearity of expectation.
    """
    large, small = _ratios(temperature, squared_distance)
    if large == small or spec.context_length == 1:
        near, _ = distance_interval(squared_distance)
        exact = exact_linear_loss(spec, temperature=temperature, context=context, squared_distance=near)
        return exact, exact
    collisions = foreign_collisions(spec)

    def risk(law: ContextLaw, r: int, k: int, ratio: float, foreign: float) -> float:
        w = float(exact_relevant_weight(np.array(r), np.array(k), np.array(ratio)))
        return float(1 - w * (law.multiplicity * law.answer**2).sum() - (1 - w) * foreign)

    lower, upper = mean_by_class(
        spec, context, lambda law, r, k: (risk(law, r, k, small, collisions[1]), risk(law, r, k, large, collisions[0]))
    )
    return lower, upper


def log_loss_bounds(
    spec: ClassMixture,
    *,
    temperature: float,
    squared_distance: float | Interval,
    context: str = "relevant",
    clip: float = 1e-7,
) -> tuple[Floats, Floats]:
    r"""Bounds on the log loss of h for each query class, in nats.

    With a relevant and b irrelevant tokens for label y,
    :math:`\frac{a + \kappa_- b}{r + \kappa_- b + \kappa_+ (k-b)} \le h_y \le
    \frac{a + \kappa_+ b}{r + \kappa_+ b + \kappa_- (k-b)}`; expectations by the sums of `theory.in_context`
    (how many tokens carry which label does not depend on the distances).

    Lower and upper bound, always. Holds without input noise.

    Args:
        spec: the data.
        temperature: tau > 0.
        squared_distance: D >= 0 between two centres; a number, or the least and the largest.
        context: ``relevant``, ``irrelevant`` or ``as_trained``.
        clip: least probability that h gives a label, in (0, 1).

    Returns:
        Lower and upper bound, each of shape (K,).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> spec = ClassMixture(context_length=4)
        >>> [b[9].round(4).item() for b in log_loss_bounds(spec, temperature=0.5, squared_distance=(1.5, 2.5))]
        [0.0196, 0.1365]

    Source: monotonicity of h in each weight.
    """
    large, small = _ratios(temperature, squared_distance)
    least = float(require_probability("clip", clip, above_zero=True, below_one=True))

    def risk(law: ContextLaw, r: int, k: int, own: float, other: float) -> float:
        total = 0.0
        for p, pi, n in zip(law.answer, law.irrelevant, law.multiplicity, strict=True):
            a, mass_a = likely_binomial(r, p)
            b, mass_b = likely_binomial(k, pi)
            h = (a[:, None] + own * b) / np.maximum(r + own * b + other * (k - b), np.finfo(np.float64).tiny)
            total += n * p * float(mass_a @ -np.log(np.clip(h, least, 1.0)) @ mass_b)
        return total

    lower, upper = mean_by_class(
        spec, context, lambda law, r, k: (risk(law, r, k, large, small), risk(law, r, k, small, large))
    )
    return lower, upper


def error_bounds(
    spec: ClassMixture, *, temperature: float, squared_distance: float | Interval, context: str = "relevant"
) -> tuple[Floats, Floats]:
    r"""Bounds on the 0-1 risk of the arg-max of h for each query class.

    The answer wins for certain when it outvotes every rival with its own irrelevant tokens at :math:`\kappa_-` and
    theirs at :math:`\kappa_+`, and may win when it does so the other way round.

    Lower and upper bound, always. Holds without input noise, for contexts of at most 10 tokens.

    Args:
        spec: the data.
        temperature: tau > 0.
        squared_distance: D >= 0 between two centres; a number, or the least and the largest.
        context: ``relevant``, ``irrelevant`` or ``as_trained``.

    Returns:
        Lower and upper bound, each of shape (K,).

    Raises:
        ValueError: an argument outside its set, or a context too long to enumerate.

    Example:
        >>> spec = ClassMixture(context_length=4, label_noise=0.1)
        >>> [b[9].round(4).item() for b in error_bounds(spec, temperature=0.1, squared_distance=(1.5, 2.5))]
        [0.1889, 0.1889]

    Source: bivariate generating functions of label counts.
    """
    large, small = _ratios(temperature, squared_distance)
    if spec.context_length > LONGEST_EXACT_CONTEXT:
        raise ValueError(
            f"`context_length` must be at most {LONGEST_EXACT_CONTEXT} to enumerate votes; got {spec.context_length}"
        )
    if large == small:
        exact = mean_by_class(spec, context, lambda law, r, k: wrong_vote(law, r, k, large))
        return exact, exact
    lower, upper = mean_by_class(spec, context, lambda law, r, k: wrong_vote_bounds(law, r, k, (small, large)))
    return lower, upper


def distance_interval(squared_distance: float | Interval) -> Interval:
    """The least and the largest squared distance, checked; a number is both.

    Example:
        >>> distance_interval(2), distance_interval((1.5, 2.5))
        ((2.0, 2.0), (1.5, 2.5))
    """
    ends = require_nonnegative("squared_distance", squared_distance)
    if ends.shape not in ((), (2,)) or ends.min() != ends.flat[0]:
        allowed = "a number, or two numbers, the smaller first"
        raise ValueError(f"`squared_distance` must be {allowed}; got {squared_distance!r}")
    return float(ends.min()), float(ends.max())


def _ratios(temperature: float, squared_distance: float | Interval) -> Interval:
    """Weight of the nearest and of the farthest irrelevant token."""
    near, far = distance_interval(squared_distance)
    return similarity_ratio(temperature, near), similarity_ratio(temperature, far)


def foreign_collisions(spec: ClassMixture) -> Interval:
    """Least and largest probability that labels of two different classes agree."""
    nu, n = spec.label_noise, spec.n_classes
    if spec.label_noise_kind == "uniform":
        rival = nu / (n - 1)
        both = 2 * (1 - nu) * rival + (n - 2) * rival**2
        return both, both
    neighbours = nu * (1 - nu)
    return (2 * neighbours, 2 * neighbours) if n == 2 else (0.0 if n > 3 else neighbours, neighbours)
