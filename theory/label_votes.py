"""Which label wins a weighted vote of relevant and irrelevant context labels, by generating functions.

Labels whose votes are at most one millionth (relative) below the most votes tie with the first, here and wherever
answers are measured (`gating.evaluation.measures`): single precision, in which predictors compute, tells no smaller
differences from its rounding.
"""

from collections import Counter
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from theory.context_law import ContextLaw
from theory.validation import Floats

__all__ = ["LONGEST_EXACT_CONTEXT", "TIE", "wrong_vote", "wrong_vote_bounds"]

Masks = NDArray[np.bool_]
Interval = tuple[float, float]

LONGEST_EXACT_CONTEXT = 10
TIE = 1e-6
"""Largest relative distance from the most votes, or the largest probability, that counts as a tie with it."""


def wrong_vote(law: ContextLaw, n_relevant: int, n_irrelevant: int, ratio: float) -> float:
    r"""Probability that the label with most votes is not the answer; exact up to rounding.

    A relevant token gives its label 1 vote, an irrelevant one :math:`\kappa` votes. Ties are broken by independent
    uniform priorities: given the winner's priority v, each rival either has too few votes to tie with the most, or does
    tie and (with probability v) has a lower priority. So with a and b tokens for label y, most votes m or fewer,
    :math:`P(y \text{ wins}) = \sum_{a,b} \int_0^1 r! k! [x^r z^k] \frac{(P_y x)^a}{a!} \frac{(\pi_y z)^b}{b!}
    \prod_{y' \ne y} \phi_{y'}(x, z) dv`, a polynomial in v that Gauss-Legendre nodes integrate exactly; less the same
    for fewer votes than m, and summed over m.

    Args:
        law: label probabilities.
        n_relevant: r >= 0.
        n_irrelevant: k >= 0.
        ratio: kappa in (0, 1]; does not matter at r = 0.

    Returns:
        The probability.

    Example:
        >>> law = ContextLaw(np.array([0.9, 0.1]), np.array([0.5, 0.5]), np.array([1, 1]))
        >>> round(wrong_vote(law, 1, 0, 0.1), 12)  # two different labels
        0.18
    """
    told = law.irrelevant if n_irrelevant else np.zeros_like(law.irrelevant)  # of no concern to relevant tokens alone
    parts = (law.answer.tobytes(), told.tobytes(), law.multiplicity.tobytes())
    return _wrong_vote(*parts, n_relevant, n_irrelevant, float(ratio) if n_relevant else 1.0)


@lru_cache(maxsize=4096)  # settings of a map differ in few of their laws
def _wrong_vote(answer: bytes, irrelevant: bytes, multiplicity: bytes, r: int, k: int, ratio: float) -> float:
    law = ContextLaw(np.frombuffer(answer), np.frombuffer(irrelevant), np.frombuffer(multiplicity, np.int64))
    return _wrong(law, r, k, *_races(r, k, ratio))


@lru_cache(maxsize=64)
def _races(r: int, k: int, ratio: float) -> tuple[NDArray[np.int64], Masks, Masks, Floats]:
    """Counts of a winner, which counts of a rival lose to them and which tie, and signs, for `_wrong`."""
    votes = _votes(r, k, ratio)
    levels, level = np.unique(votes, return_inverse=True)
    level = level.reshape(votes.shape)
    least = np.searchsorted(levels, levels * (1 - TIE))  # the least level that ties with each, were it the most
    rows = []  # a winner's counts, the least and the largest level that may tie, and a sign
    for cell, own in enumerate(level.ravel()):
        terms: Counter[tuple[int, int]] = Counter()
        for top in range(own, int(np.searchsorted(least, own, side="right"))):
            terms[least[top], top] += 1
            if top > own:
                terms[least[top], top - 1] -= 1
        rows += [(cell, low, high, sign) for (low, high), sign in terms.items() if cell and sign]
    cells, least_tied, most, signs = np.array(rows).T
    below = level < least_tied[:, None, None]
    tied = ~below & (level <= most[:, None, None])
    return cells, below, tied, signs.astype(np.float64)


def wrong_vote_bounds(law: ContextLaw, n_relevant: int, n_irrelevant: int, ratios: Interval) -> Interval:
    r"""The same, when each irrelevant token has its own number of votes between the two ratios.

    A label wins for certain when it beats every rival with its own tokens at the small ratio and theirs at the large
    one, and may win when it does so the other way round. Ties without irrelevant tokens, or where they weigh too little
    to decide anything, are real and broken at random.

    Lower and upper bound, always.

    Args:
        law: label probabilities.
        n_relevant: r >= 0.
        n_irrelevant: k >= 0.
        ratios: least and largest kappa.

    Returns:
        Lower and upper bound of the probability of a wrong answer.

    Example:
        >>> law = ContextLaw(np.array([0.9, 0.1]), np.array([0.5, 0.5]), np.array([1, 1]))
        >>> [round(p, 12) for p in wrong_vote_bounds(law, 1, 1, (0.1, 0.2))]  # one relevant vote decides
        [0.18, 0.18]
    """
    if n_relevant and n_irrelevant * ratios[1] <= TIE * (1 - TIE):
        exact = wrong_vote(law, n_relevant, n_irrelevant, ratios[1])
        return exact, exact
    scale = 1.0 if n_relevant else ratios[1]  # without relevant tokens only the ratio of the ratios counts
    small, large = (_votes(n_relevant, n_irrelevant, ratio / scale) for ratio in ratios)
    cells = np.arange(1, small.size)
    a, b = np.indices(small.shape)
    tied = (a.reshape(-1, 1, 1) == a) & (b.reshape(-1, 1, 1) == 0) & (b == 0)
    surely = (small.reshape(-1, 1, 1) * (1 - TIE) > large) & ~tied
    perhaps = (large.reshape(-1, 1, 1) >= small * (1 - TIE)) & ~tied
    lower, upper = (
        _wrong(law, n_relevant, n_irrelevant, cells, below[cells], tied[cells], np.ones(len(cells)))
        for below in (perhaps, surely)
    )
    return max(lower, 0.0), min(upper, 1.0)


def _votes(r: int, k: int, ratio: float) -> Floats:
    return np.arange(r + 1)[:, None] + ratio * np.arange(k + 1)


def _wrong(
    law: ContextLaw, r: int, k: int, cells: NDArray[np.int64], below: Masks, tied: Masks, signs: Floats
) -> float:
    """P(the answer does not win): a sum with signs over counts (cells) of the winner; masks say which counts of a rival
    lose to them, and which tie."""
    nodes, weights = _nodes((r + k) // 2 + 1)
    priority = ((nodes + 1) / 2)[:, None, None]
    a, b = np.arange(r + 1), np.arange(k + 1)
    orders = special.factorial(a)[:, None] * special.factorial(b)
    terms = law.answer[:, None, None] ** a[:, None] * law.irrelevant[:, None, None] ** b / orders
    allowed = terms[:, None, None] * (below[:, None] + priority * tied[:, None])
    allowed = allowed.reshape(len(terms), -1, r + 1, k + 1)
    rest = (cells[:, None], np.arange(len(nodes)), (r - cells // (k + 1))[:, None], (k - cells % (k + 1))[:, None])
    right = 0.0
    one_less = [_power(x, m - 1) for x, m in zip(allowed, law.multiplicity, strict=True)]
    powers = [_times(x, less) for x, less in zip(allowed, one_less, strict=True)]
    for g in np.flatnonzero(law.answer):
        factors = [*powers[:g], one_less[g], *powers[g + 1 :]]
        others = factors[0]
        for factor in factors[1:]:
            others = _times(factor, others)
        others = others.reshape(len(cells), len(nodes), r + 1, k + 1)
        win = terms[g].ravel()[cells] * (others[rest[0] - 1, rest[1], rest[2], rest[3]] @ (weights / 2))
        right += law.multiplicity[g] * law.answer[g] * orders[r, k] * (signs @ win)
    return float(1 - right)


@lru_cache(maxsize=16)
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Nodes of Gauss and Legendre, and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def _times(x: Floats, y: Floats) -> Floats:
    """Product of two polynomials in (x, z), powers beyond the last kept ones dropped."""
    total = np.zeros_like(y)
    rows, columns = y.shape[-2:]
    for i, j in np.argwhere(x.any(axis=0)):
        total[:, i:, j:] += x[:, i, j, None, None] * y[:, : rows - i, : columns - j]
    return total


def _power(x: Floats, exponent: int) -> Floats:
    """x to a power >= 0, by squaring."""
    if exponent == 0:
        one = np.zeros_like(x)
        one[:, 0, 0] = 1.0
        return one
    half = _power(x, exponent // 2)
    square = _times(half, half)
    return _times(x, square) if exponent % 2 else square
