r"""In-weight learning from noisy inputs: what a learner pays that is told labels, and never the class of an input.

Inputs are :math:`x = \mu_c + \sigma z` in d dimensions, with class centres uniform on the unit sphere, as the sampler
draws them. The N labelled inputs are the queries of N training sequences. Three learners answer from them:

- *nearest mean*: the class whose mean input is nearest to the query;
- *LDA*, linear discriminants with estimated means and frequencies and the true variance: the class with the largest
  :math:`\ln n_c - |x - \bar x_c|^2 / 2\sigma^2`;
- *Bayes*: the most probable class given all labelled inputs, the laws of centres and noise being known. No learner that
  sees the same inputs and labels errs less on average over centres, classes weighted by their frequencies.

Given the norm of the query and the numbers of inputs, scores of different classes are independent, with the laws of
`theory.noisy_scores`. So the risk is one minus the mean of a product over rivals: sums over nodes, no simulation. The
numbers of inputs of different classes have covariance :math:`-N q_c q_{c'}`, which enters to first order.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from theory.distribution import GROUPS, ClassMixture
from theory.fields import LARGEST_WHOLE
from theory.noisy_scores import COUNTS, LEARNERS, ScoreTables, cubic, numerical_error, score_tables
from theory.validation import Floats, require_choice, require_count, require_probability, require_scalar

__all__ = ["LEARNERS", "noisy_input_bounds", "noisy_input_crossover", "noisy_input_error", "require_noisy_inputs"]

CERTAIN = 1e4  # expected count from which on a count is that
_LEAST = 1e-9  # what a probability is taken to be at least where it is divided by
_BATCH = 64  # sizes worked out together


def noisy_input_error(n_inputs: ArrayLike, spec: ClassMixture, learner: str = "bayes") -> Floats:
    r"""0-1 risk on queries of each class after N labelled inputs, none of them with noisy labels.

    :math:`1 - E\prod_{c'}(1 - E_{n_{c'}} P(s_{c'} > s_c))`, with s the score of a class: minus the distance to the mean
    of its inputs, the discriminant above, or :math:`\ln q + A(|S + x|/\sigma^2) - A(|S|/\sigma^2)` with S their sum and
    :math:`A(\kappa) = \ln {}_0F_1(d/2; \kappa^2/4)`. A class never seen is answered uniformly.

    Time grows with the square of the number of different frequencies.

    Numerical integration: errors below one part in 300 of the risk plus 1e-6 in d >= 4 dimensions, one in 50 plus 2e-5
    in two and three; and one part in 2N plus 0.15/N^2 from the counts, which are not independent. For
    noise up to 16 / sqrt d.

    Args:
        n_inputs: N, labelled inputs in all, whole numbers >= 0, of any shape.
        spec: the data: classes, their frequencies, d >= 2 and sigma > 0; other fields do not matter.
        learner: ``bayes``, ``nearest_mean`` or ``lda``.

    Returns:
        The risk, shape (..., classes).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> spec = ClassMixture(input_noise=0.2, dim=64)
        >>> noisy_input_error([10, 100], spec)[:, [0, -1]].round(2).tolist()
        [[0.18, 0.79], [0.01, 0.2]]

    Source: posteriors of directions, Mardia and Jupp (2000), chapter 9, for A; own integration.
    """
    require_choice("learner", learner, LEARNERS)
    n = require_noisy_inputs(n_inputs, spec)
    hits = _hits(n.ravel(), spec, spec.group("all"), learner, 0)
    never = (1 - spec.frequencies) ** n.ravel()[:, None]
    return np.reshape(1 - hits - never / spec.n_classes, (*n.shape, spec.n_classes))


def noisy_input_bounds(
    n_inputs: ArrayLike, spec: ClassMixture, *, cover_classes: bool = False
) -> dict[str, tuple[Floats, Floats]]:
    r"""Bounds on the mean 0-1 risk of each group of classes, for learners from N noisy labelled inputs.

    The lower one holds for every learner that treats labels alike, even one that cares for this group alone: it is the
    Bayes risk where the learner is told that the query is of the group. With label noise nu of the ``uniform`` kind it
    is :math:`\nu + (1 - \nu\frac{C}{C-1}) R`, R being the bound for clean labels. The upper one is the risk of nearest
    means on clean labels, where a query of a class never seen is a certain error; with label noise it is 1.

    Lower and upper bound, on average over uniform centres, up to the numerical errors of `noisy_input_error`, which are
    taken off and added.

    Args:
        n_inputs: N, labelled inputs in all, whole numbers >= 0, of any shape; >= K with ``cover_classes``.
        spec: the data, as for `noisy_input_error`; label noise of the ``uniform`` kind.
        cover_classes: whether K of the inputs show every class once.

    Returns:
        For each group that is not empty, lower and upper bound, each in the shape of ``n_inputs``.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> lower, upper = noisy_input_bounds([10, 100], ClassMixture(input_noise=0.2, dim=64))["low"]
        >>> lower.round(2).tolist(), upper.round(2).tolist()
        ([0.7, 0.16], [0.96, 0.5])

    Source: a Bayes rule has the least risk of its prior; noisy labels are clean ones and a coin.
    """
    n = require_noisy_inputs(n_inputs, spec, least=spec.n_classes if cover_classes else 0)
    if spec.label_noise > 0 and spec.label_noise_kind != "uniform":
        raise ValueError(f"`spec.label_noise_kind` must be uniform for noisy inputs; got {spec.label_noise_kind!r}")
    free, sure = (n.ravel() - spec.n_classes, 1) if cover_classes else (n.ravel(), 0)
    relative, absolute = numerical_error(spec.dim)
    once = np.where(free > 0, 1 / np.maximum(free, 1), 0)
    part, least = relative + once / 2, absolute + 0.15 * once**2
    guesses = np.where((free == 0) & (sure == 0), 1 / spec.n_classes, 0.0)
    means = _hits(free, spec, spec.group("all"), "nearest_mean", sure) + guesses[:, None]
    noise, kept = spec.label_noise, 1 - spec.label_noise * spec.n_classes / (spec.n_classes - 1)
    bounds = {}
    for group in (name for name in GROUPS if len(spec.group(name))):
        members = spec.group(group)
        q = spec.frequencies[members]
        told = _hits(free, spec, members, "bayes", sure) + (0 if sure else (1 - q) ** free[:, None] / spec.n_classes)
        lower, upper = 1 - told @ (q / q.sum()), 1 - spec.group_mean(means, group)
        lower = np.maximum((1 - part) * lower - least, 0)
        upper = np.minimum((1 + part) * upper + least, 1) if noise == 0 else np.ones_like(upper)
        lower = noise + kept * np.where(kept > 0, lower, 1.0)
        bounds[group] = lower.reshape(n.shape), upper.reshape(n.shape)
    return bounds


def noisy_input_crossover(spec: ClassMixture, group: str, level: float, learner: str = "bayes") -> float:
    """Smallest number of labelled inputs N from which the mean risk of a group is at most a level.

    By bisection, to one part in a thousand. Holds where the risk falls with N.

    Args:
        spec: the data, as for `noisy_input_error`.
        group: ``high``, ``low`` or ``all``, not empty.
        level: of the 0-1 risk, in (0, 1).
        learner: ``bayes``, ``nearest_mean`` or ``lda``.

    Returns:
        N; infinite when it is not reached by 2^53.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> noisy_input_crossover(ClassMixture(input_noise=0.2, dim=64), "low", 0.5)
        39.0

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


def require_noisy_inputs(n_inputs: ArrayLike, spec: ClassMixture, least: int = 0) -> Floats:
    """Numbers of inputs as by `theory.validation.require_count`, and a check that the inputs are noisy.

    Example:
        >>> require_noisy_inputs(10, ClassMixture(input_noise=0.0))
        Traceback (most recent call last):
        ...
        ValueError: `spec.input_noise` must be > 0; got 0.0: inputs without noise tell the class
    """
    if not spec.input_noise > 0:
        raise ValueError(f"`spec.input_noise` must be > 0; got {spec.input_noise}: inputs without noise tell the class")
    if spec.dim < 2:
        raise ValueError(f"`spec.dim` must be >= 2; got {spec.dim}")
    return require_count("n_inputs", n_inputs, least=least)


def _hits(sizes: Floats, spec: ClassMixture, members: NDArray[np.int64], learner: str, n_sure: int) -> Floats:
    """Probability, (sizes, members), that a class has inputs and outscores the other members; classes alike done once.

    Every class has ``n_sure`` inputs beside the N random ones.
    """
    kinds, place, numbers = np.unique(spec.frequencies[members], return_inverse=True, return_counts=True)
    parts = [sizes[first : first + _BATCH] for first in range(0, len(sizes), _BATCH)]
    found = [_hits_of_kinds(part, spec, kinds, numbers.astype(np.float64), learner, n_sure) for part in parts]
    return np.concatenate(found)[:, place]


def _hits_of_kinds(
    sizes: Floats, spec: ClassMixture, kinds: Floats, numbers: Floats, learner: str, n_sure: int
) -> Floats:
    tables = score_tables(spec.dim, spec.input_noise, learner)
    weights = [_count_weights(tuple(sizes.tolist()), float(q), n_sure) for q in kinds]
    survive = [(1 - tables.rival @ mean, -(tables.rival @ change)) for mean, change in weights]
    hits = np.zeros((len(sizes), len(kinds)))
    for k, q in enumerate(kinds):
        product, slope, squares = np.ones(1), np.zeros(1), np.zeros(1)
        for j, p in enumerate(kinds):
            rivals = numbers[j] - (j == k)
            if rivals == 0:
                continue
            gap = np.log(q / p) if learner == "bayes" else 0.0
            value, change = (_held(tables, law, gap) for law in survive[j])
            value = np.maximum(value, _LEAST)
            ratio = p * change / value
            product = product * value**rivals
            slope, squares = slope + rivals * ratio, squares + rivals * ratio**2
        own, own_change = (tables.own @ law for law in weights[k])
        together = q * own_change * slope + own * (slope**2 - squares) / 2
        hits[:, k] = ((own - sizes * together) * product).sum(0)
    return hits


def _held(tables: ScoreTables, values: Floats, gap: float) -> Floats:
    """Values (R, S, sizes) at the scores that the own class has, each larger by a gap: (held, sizes)."""
    if gap == 0:
        return np.asarray(values[tables.norm, tables.score])
    places, parts = cubic(tables.scores, tables.scores[tables.score] + gap)
    terms = (values[tables.norm, place] * part[:, None] for place, part in zip(places, parts, strict=True))
    return np.asarray(sum(terms))


@lru_cache(maxsize=8)  # asked for by each group of classes and by each learner
def _count_weights(sizes: tuple[float, ...], q: float, n_sure: int) -> tuple[Floats, Floats]:
    """Weights (COUNTS, sizes) for means over n ~ n_sure + Bin(N, q), n >= 1, and their change for one input more."""
    weights = np.zeros((2, len(COUNTS), len(sizes)))
    n_log_factorial, all_places, all_parts = _whole_counts()
    for column, size in enumerate(sizes):
        mean = size * q
        if mean > CERTAIN:
            places, parts = cubic(np.log(COUNTS), np.log([mean + n_sure]))
            weights[0, places[:, 0], column] = parts[:, 0]
            continue
        reach = 8 * np.sqrt(mean) + 12
        first, last = int(max(0.0, mean - reach)), int(min(size, mean + reach)) + 1
        n = np.arange(first, last)
        rest = special.gammaln(size - n + 1) + n_log_factorial[first:last]
        mass = np.exp(special.gammaln(size + 1) - rest + n * np.log(q) + (size - n) * np.log1p(-q))
        law = np.zeros((2, last - first + 1))
        law[0, :-1] = mass
        law[1] = -law[0]
        law[1, 1:] += mass
        at = slice(first + n_sure, last + 1 + n_sure)
        for row in (0, 1):
            terms = all_parts[:, at] * law[row]
            weights[row, :, column] = np.bincount(all_places[:, at].ravel(), terms.ravel(), len(COUNTS))
    return weights[0], weights[1]


@lru_cache(maxsize=1)
def _whole_counts() -> tuple[Floats, NDArray[np.int64], Floats]:
    """For 0, 1, 2, ... inputs: ln n!, places among COUNTS and weights there (4, counts); those of no input are zero."""
    n = np.arange(0.0, 1.1 * CERTAIN)
    places, parts = cubic(np.log(COUNTS), np.log(np.maximum(n, 1)))
    parts[:, 0] = 0.0
    return special.gammaln(n + 1), places, parts
