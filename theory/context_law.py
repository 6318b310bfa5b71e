"""What the labels of a context say about the query's label, for one query class."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.distribution import ClassMixture
from theory.validation import Floats

__all__ = ["CONTEXTS", "ContextLaw", "classes_alike", "context_law"]


CONTEXTS = ("relevant", "irrelevant", "as_trained")


class ContextLaw(NamedTuple):
    """Label probabilities seen by a query of one class; labels that share both are merged.

    Args:
        answer: shape (G,), probability of one label of the group under the query class; relevant tokens and the answer
            of the query are drawn from it.
        irrelevant: shape (G,), probability of one label of the group on a token of another class.
        multiplicity: shape (G,), labels per group; ``(multiplicity * answer).sum() == 1``.
    """

    answer: Floats
    irrelevant: Floats
    multiplicity: NDArray[np.int64]


def context_law(spec: ClassMixture, label: int) -> ContextLaw:
    """The law of one query class of a specification.

    Relabelling context and answer alike (out-of-base) permutes labels and changes none of it.

    Example:
        >>> law = context_law(ClassMixture(n_high=1, n_low=2, p_high=0.5), 1)
        >>> law.irrelevant.round(3).tolist(), law.answer.tolist()
        ([0.0, 0.333, 0.667], [1.0, 0.0, 0.0])
    """
    others = np.delete(np.arange(spec.n_classes), label)
    weights = spec.frequencies[others] / spec.frequencies[others].sum()
    irrelevant = _label_mixture(spec, others, weights)
    answer = _label_mixture(spec, np.array([label]), np.ones(1))
    keys = np.round(np.column_stack([irrelevant, answer]), 14)
    _, first, multiplicity = np.unique(keys, axis=0, return_index=True, return_counts=True)
    return ContextLaw(answer[first], irrelevant[first], multiplicity)


def _label_mixture(spec: ClassMixture, classes: NDArray[np.int64], weights: Floats) -> Floats:
    """Label probabilities of a token whose class is drawn with the weights."""
    n, nu = spec.n_classes, spec.label_noise
    clean = np.zeros(n)
    clean[classes] = weights
    if spec.label_noise_kind == "shift":
        return (1 - nu) * clean + nu * np.roll(clean, 1)
    return (1 - nu) * clean + nu / (n - 1) * (1 - clean)


def classes_alike(spec: ClassMixture) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One class for each distinct risk, and the place of every class among them.

    Classes of equal frequency are alike; under ``shift`` noise their neighbours' frequencies count too.

    Example:
        >>> classes_alike(ClassMixture(n_high=2, n_low=2))[0].tolist()
        [0, 2]
    """
    q = spec.frequencies
    keys = [q, np.roll(q, 1), np.roll(q, -1)] if spec.label_noise_kind == "shift" else [q]
    _, first, place = np.unique(np.column_stack(keys), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[place.ravel()]
