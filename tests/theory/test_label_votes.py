from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from theory.context_law import ContextLaw, classes_alike, context_law
from theory.distribution import LABEL_NOISE_KINDS, ClassMixture
from theory.label_votes import TIE, wrong_vote, wrong_vote_bounds


def spread(law: ContextLaw) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.repeat(law.answer, law.multiplicity), np.repeat(law.irrelevant, law.multiplicity)


def enumerated(law: ContextLaw, r: int, k: int, ratio: float) -> float:
    """Sum over the labels of every token."""
    answer, irrelevant = spread(law)
    n, wrong = len(answer), 0.0
    for labels in product(range(n), repeat=r + k):
        votes, mass = np.zeros(n), 1.0
        for i, label in enumerate(labels):
            votes[label] += 1.0 if i < r else ratio
            mass *= answer[label] if i < r else irrelevant[label]
        top = votes >= votes.max() * (1 - TIE)
        wrong += mass * (1 - answer @ (top / top.sum()))
    return wrong


@pytest.mark.parametrize("kind", LABEL_NOISE_KINDS)
@pytest.mark.parametrize(("r", "k"), [(1, 0), (1, 2), (2, 2), (3, 1), (0, 3), (1, 4)])
@pytest.mark.parametrize("ratio", [2e-9, 3e-7, 4e-7, 6e-7, 1e-6, 3e-6, 0.5, 0.7, 1.0])
def test_wrong_vote_agrees_with_enumeration(kind: str, r: int, k: int, ratio: float) -> None:
    law = context_law(ClassMixture(2, 2, p_high=0.7, label_noise=0.2, label_noise_kind=kind), 2)
    assert wrong_vote(law, r, k, ratio) == pytest.approx(enumerated(law, r, k, ratio), rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-9])
def test_bounds_hold_for_tokens_with_their_own_votes(scale: float) -> None:
    """Each irrelevant token draws its votes from the interval; enumeration over labels."""
    generator = np.random.default_rng(1)
    law = context_law(ClassMixture(1, 3, p_high=0.3, label_noise=0.2), 1)
    answer, irrelevant = spread(law)
    for r, k in ((1, 2), (2, 2), (0, 3)):
        low, high = np.sort(generator.uniform(0.2, 1.2, 2)) * scale
        lower, upper = wrong_vote_bounds(law, r, k, (low, high))
        own = np.append(np.ones(r), generator.uniform(low, high, k))
        wrong = 0.0
        for labels in product(range(len(answer)), repeat=r + k):
            votes = np.bincount(labels, weights=own, minlength=len(answer))
            top = votes >= votes.max() * (1 - TIE)
            mass = np.prod([answer[x] if i < r else irrelevant[x] for i, x in enumerate(labels)])
            wrong += mass * (1 - answer @ (top / top.sum()))
        assert lower - 1e-12 <= wrong <= upper + 1e-12


def test_context_law_merges_the_rows_of_the_label_matrix() -> None:
    for kind in LABEL_NOISE_KINDS:
        spec = ClassMixture(3, 4, label_noise=0.3, label_noise_kind=kind)
        for label in range(7):
            law = context_law(spec, label)
            others = np.delete(np.arange(7), label)
            expected = spec.frequencies[others] @ spec.label_matrix[others] / spec.frequencies[others].sum()
            answer, irrelevant = spread(law)
            assert np.sort(answer) == pytest.approx(np.sort(spec.label_matrix[label]))
            assert np.sort(irrelevant) == pytest.approx(np.sort(expected))


def test_classes_alike_share_every_neighbour_under_shift_noise() -> None:
    first, place = classes_alike(ClassMixture(4, 4, label_noise_kind="shift"))
    assert first.tolist() == [0, 1, 3, 4, 5, 7]
    assert place.tolist() == [0, 1, 1, 2, 3, 4, 4, 5]
