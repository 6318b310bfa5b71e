"""N* at which in-weight learners that theory knows pass an error level."""

import numpy as np

from theory.crossovers import error_crossover
from theory.distribution import ClassMixture
from theory.noisy_inputs import noisy_input_crossover

__all__ = ["FROM_INPUTS", "level_crossovers"]

FROM_INPUTS = ("bayes", "nearest_mean")
"""Learners from noisy inputs that stand in tables: the best one, and the simplest."""

MOST_FREQUENCIES = 16
"""Different frequencies up to which noisy inputs are integrated over; time grows with the square of their number."""


def level_crossovers(spec: ClassMixture, group: str, level: float) -> dict[str, float]:
    """Smallest N of each learner at which its expected error on a group is at most a level.

    ``tabular`` counts labels of known classes; ``bayes`` and ``nearest_mean`` learn from noisy inputs, where there is
    noise of inputs and none of labels.

    Example:
        >>> level_crossovers(ClassMixture(), "low", 0.5)
        {'tabular': 30.0, 'bayes': 39.0, 'nearest_mean': 97.0}
    """
    noisy = spec.input_noise > 0 and spec.dim >= 2 and not spec.label_noise
    learners = FROM_INPUTS if noisy and len(np.unique(spec.frequencies)) <= MOST_FREQUENCIES else ()
    found = {learner: noisy_input_crossover(spec, group, level, learner) for learner in learners}
    return {"tabular": error_crossover(spec, group, level)} | found
