"""What labels demonstrations show: the right ones, some flipped, random ones, or words that mean nothing.

Sources: Min et al. (2022), random labels; Pan et al. (2023), random and abstract labels; Wei et al. (2023), a share of
flipped ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llm_finetune.demonstrations.tasks import Text

__all__ = ["INTERVENTIONS", "Chances", "Intervention", "label_law", "labels_shown", "shown_counts"]

INTERVENTIONS = ("gold", "flipped", "random", "abstract")
"""Kinds of labels, in the order of tables."""


class Intervention(NamedTuple):
    """What is done to labels.

    Attributes:
        name: one of `INTERVENTIONS`.
        share: of demonstrations whose label is flipped; 0 unless labels are flipped.
    """

    name: str
    share: float = 0.0


class Chances(NamedTuple):
    """What is drawn once for a draw of demonstrations: interventions and numbers of shots differ in nothing else.

    Attributes:
        order: which demonstrations are flipped first: a number of each, all different.
        random: a uniform label for each.
        words: which abstract word stands for each label, a permutation.
    """

    order: NDArray[np.int64]
    random: NDArray[np.int64]
    words: NDArray[np.int64]

    @classmethod
    def drawn(cls, shots: int, n_labels: int, seed: Sequence[int]) -> Chances:
        """Draws them for so many demonstrations."""
        rng = np.random.default_rng(seed)
        return cls(rng.permutation(shots), rng.integers(n_labels, size=shots), rng.permutation(n_labels))


def labels_shown(intervention: Intervention, gold: Sequence[int], n_labels: int, chances: Chances) -> NDArray[np.int64]:
    """Number of the label that each of the first k demonstrations shows.

    ``gold`` are the right ones. Of ``flipped`` ones the share, rounded, shows the next label in the order of the task,
    and after the last label the first; those that a smaller share flips are among those of a larger. ``random`` ones
    are uniform over all labels, whatever the text. ``abstract`` ones are numbers of words, one for each label.

    Args:
        intervention: what is done.
        gold: right labels of the k demonstrations.
        n_labels: number of labels.
        chances: what was drawn for all demonstrations.

    Example:
        >>> chances = Chances(np.array([3, 0, 2, 1]), np.array([1, 1, 0, 1]), np.array([1, 0]))
        >>> [labels_shown(Intervention("flipped", p), [0, 1, 0, 1], 2, chances).tolist() for p in (0.25, 0.5, 1)]
        [[0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0]]
        >>> labels_shown(Intervention("abstract"), [0, 1, 0], 2, chances).tolist()
        [1, 0, 1]
    """
    right = np.array(gold, dtype=np.int64)
    if intervention.name == "random":
        return chances.random[: len(right)]
    if intervention.name == "abstract":
        return chances.words[right]
    flipped = np.zeros(len(right), dtype=bool)
    flipped[np.argsort(chances.order[: len(right)])[: int(intervention.share * len(right) + 0.5)]] = True
    return np.where(flipped, (right + 1) % n_labels, right)


def shown_counts(shots: Sequence[Text], shown: NDArray[np.int64], n_labels: int) -> NDArray[np.int64]:
    """How often texts of each label show each label, shape (labels, labels).

    Example:
        >>> shown_counts([Text("fine", 1), Text("dire", 0), Text("good", 1)], np.array([1, 0, 0]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    counts = np.zeros((n_labels, n_labels), dtype=np.int64)
    np.add.at(counts, (np.array([shot.label for shot in shots], dtype=np.int64), shown), 1)
    return counts


def label_law(counts: NDArray[np.int64], beta: float) -> NDArray[np.float64]:
    r"""In-context law h of a label, from the labels that demonstrations of the same class show.

    .. math:: h(l) = \frac{n_l + \beta}{\sum_j n_j + C \beta}

    Args:
        counts: how often each of C labels is shown, shape (..., C).
        beta: what is added to every count, > 0.

    Example:
        >>> label_law(np.array([3, 0]), 1.0).tolist()
        [0.8, 0.2]
    """
    added = counts + beta
    return np.asarray(added / added.sum(-1, keepdims=True))
