"""When in-weight overtakes in-context as training sequences grow, and which settings put a class in a phase."""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from theory.curves import in_weight_risk
from theory.distribution import GROUPS, ClassMixture
from theory.fields import LARGEST_WHOLE
from theory.phases import ICL, IWL, Comparison, RiskBounds, risk_bounds
from theory.validation import Floats, require_choice, require_count, require_probability, require_scalar

__all__ = ["Crossover", "crossover", "error_crossover", "largest_label_noise", "smallest_context", "smallest_sample"]


@dataclass(frozen=True)
class Crossover:
    """Numbers of training sequences; infinite when not reached by 2^53.

    Args:
        exact: smallest N at which the tabular predictor's risk is at most the in-context risk; NaN where the latter is
            known only between bounds.
        earliest: smallest N at which some in-weight predictor may be as good: certified ICL before it.
        latest: smallest N from which the tabular predictor (for noisy inputs, nearest means) surely is as good.
    """

    exact: float
    earliest: float
    latest: float


def crossover(spec: ClassMixture, group: str, compare: Comparison) -> Crossover:
    r"""N*, the training-set size at which in-weight learning of a group overtakes in-context learning.

    Smallest N with :math:`R_{iw}(N) \le R_{ic}`, by bisection over whole numbers; for rare classes
    :math:`N^* \approx n^*/q` with n* the number of labels at which a class is known well enough.

    Exact where both risks are, else a lower and an upper crossover. Holds where the in-weight risk does not rise with N
    (the 0-1 risk under ``uniform`` noise never does; the log loss does not as long as labels are far from uniform).

    Args:
        spec: the data.
        group: ``high``, ``low`` or ``all``, not empty.
        compare: what is compared; simple or tight bounds.

    Returns:
        The crossovers.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> crossover(ClassMixture(label_noise=0.05), "low", Comparison())
        Crossover(exact=165.0, earliest=165.0, latest=165.0)

    Source: Chan et al. (2025), section 3, who describe the transition.
    """
    require_choice("group", group, [g for g in GROUPS if len(spec.group(g))])
    ends = risk_bounds([spec], [spec.n_classes], compare)[group]
    known = compare.bounds == "tight" and compare.inputs == "told"
    is_exact = known and bool((ends.in_context_lower == ends.in_context_upper).all())
    smallest = partial(_smallest, spec, group, compare)
    return Crossover(
        exact=smallest(lambda risk: risk.in_weight_upper <= risk.in_context_upper) if is_exact else math.nan,
        earliest=smallest(lambda risk: risk.in_weight_lower <= risk.in_context_upper),
        latest=smallest(lambda risk: risk.in_weight_upper <= risk.in_context_lower),
    )


def smallest_sample(spec: ClassMixture, group: str, phase: int, compare: Comparison) -> float:
    """Smallest N at which a group is in a certified phase; infinite when there is none up to 2^53.

    Exact search over whole numbers, for a phase that is kept once entered (IWL) or that holds from the smallest N on
    (ICL).

    Args:
        spec: the data.
        group: ``high``, ``low`` or ``all``, not empty.
        phase: ``ICL`` (1) or ``IWL`` (-1).
        compare: what is compared.

    Returns:
        N.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> smallest_sample(ClassMixture(label_noise=0.05), "low", IWL, Comparison())
        165.0

    Source: bisection.
    """
    _check(spec, group, phase)
    return _smallest(spec, group, compare, lambda risk: risk.phases == phase)


def error_crossover(spec: ClassMixture, group: str, level: float) -> float:
    r"""Smallest N at which the exact expected error of label counts, the class known, is at most a level.

    By bisection over whole numbers; holds where the error does not rise with N. Infinite where 2^53 is not enough.

    Args:
        spec: the data.
        group: ``high``, ``low`` or ``all``, not empty; the mean over its classes.
        level: error, in [0, 1].

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> error_crossover(ClassMixture(p_high=0.9), "low", 0.5)  # (1 - q)^N 0.9 <= 0.5
        30.0

    Source: statement 1.4, inverted.
    """
    require_choice("group", group, [name for name in GROUPS if len(spec.group(name))])
    wanted = require_scalar("level", require_probability("level", level))

    def reached(n: int) -> bool:
        risk = in_weight_risk(spec, n, "error", "ibd", cover_classes=False)
        return bool(spec.group_mean(risk, group) <= wanted)

    found = bisect_left(range(LARGEST_WHOLE + 1), True, key=reached)
    return float(found) if found <= LARGEST_WHOLE else np.inf


def largest_label_noise(
    spec: ClassMixture, group: str, phase: int, compare: Comparison, *, n_sequences: int, largest: float = 0.5
) -> float:
    """Largest label noise at which a group is in a certified phase, to 1e-6; NaN when there is none.

    The largest of 65 equally spaced levels that is in the phase, then bisection towards the next one.

    Args:
        spec: the data; its ``label_noise`` is replaced.
        group: ``high``, ``low`` or ``all``, not empty.
        phase: ``ICL`` (1) or ``IWL`` (-1).
        compare: what is compared.
        n_sequences: N.
        largest: the largest level tried, in [0, 1).

    Returns:
        The noise.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> round(largest_label_noise(ClassMixture(), "low", ICL, Comparison(), n_sequences=150), 3)
        0.074

    Source: bisection.
    """
    _check(spec, group, phase)
    top = float(require_probability("largest", largest, below_one=True))

    def holds(noise: float) -> bool:
        point = replace(spec, label_noise=noise)
        return bool(risk_bounds([point], [n_sequences], compare)[group].phases[0, 0] == phase)

    levels = np.linspace(0, top, 65)
    inside = max((i for i, noise in enumerate(levels) if holds(float(noise))), default=-1)
    if inside < 0:
        return math.nan
    low, high = float(levels[inside]), float(levels[min(inside + 1, 64)])
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def smallest_context(
    spec: ClassMixture, group: str, phase: int, compare: Comparison, *, n_sequences: int, longest: int = 64
) -> float:
    """Shortest context at which a group is in a certified phase; infinite when none up to ``longest`` is.

    Exact search over all lengths from ``n_relevant`` (or 1) on.

    Args:
        spec: the data; its ``context_length`` is replaced.
        group: ``high``, ``low`` or ``all``, not empty.
        phase: ``ICL`` (1) or ``IWL`` (-1).
        compare: what is compared.
        n_sequences: N.
        longest: the longest context tried, >= 1.

    Returns:
        L.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> smallest_context(ClassMixture(), "low", ICL, Comparison(), n_sequences=50)
        1.0

    Source: search.
    """
    _check(spec, group, phase)
    for length in range(spec.n_relevant or 1, int(require_count("longest", longest, least=1)) + 1):
        point = replace(spec, context_length=length)
        if risk_bounds([point], [n_sequences], compare)[group].phases[0, 0] == phase:
            return float(length)
    return math.inf


def _check(spec: ClassMixture, group: str, phase: int) -> None:
    require_choice("group", group, [g for g in GROUPS if len(spec.group(g))])
    if phase not in (ICL, IWL):
        raise ValueError(f"`phase` must be ICL = {ICL} or IWL = {IWL}; got {phase!r}")


def _smallest(
    spec: ClassMixture, group: str, compare: Comparison, holds: Callable[[RiskBounds], NDArray[np.bool_]]
) -> float:
    """Smallest whole number N up to 2^53 where a condition that is kept once reached holds."""

    def reached(sizes: Floats) -> NDArray[np.bool_]:
        return holds(risk_bounds([spec], sizes, compare)[group])[0]

    least = spec.n_classes if compare.cover_classes else 0
    grid = np.unique(np.floor(np.geomspace(max(least, 1), LARGEST_WHOLE, 128)))
    grid = np.concatenate([[float(least)], grid[grid > least]])
    hits = np.flatnonzero(reached(grid))
    if len(hits) == 0:
        return math.inf
    high = grid[hits[0]]
    low = grid[hits[0] - 1] if hits[0] else high
    while high - low > 1:
        grid = np.unique(np.floor(np.linspace(low, high, 34)))
        first = int(np.flatnonzero(reached(grid[1:]))[0]) + 1
        low, high = grid[first - 1], grid[first]
    return float(high)
