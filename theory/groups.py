"""Means over groups of classes."""

from __future__ import annotations

import numpy as np

from theory.distribution import ClassMixture
from theory.validation import Floats

__all__ = ["group_mean"]


def group_mean(spec: ClassMixture, risks: Floats, group: str) -> Floats:
    """Mean risk over the classes of a group, each weighted by its frequency.

    Args:
        spec: the data.
        risks: shape (..., K).
        group: ``high``, ``low`` or ``all``; must not be empty.

    Returns:
        Shape (...).

    Example:
        >>> spec = ClassMixture(n_high=1, n_low=1, p_high=0.75)
        >>> float(group_mean(spec, np.array([0.0, 1.0]), "all"))
        0.25
    """
    members = spec.group(group)
    weights = spec.frequencies[members] / spec.group_frequency(group)
    return np.asarray(risks[..., members] @ weights)
