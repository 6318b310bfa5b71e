"""Which label wins a weighted vote of relevant and irrelevant context labels, by generating functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from theory.context_law import ContextLaw

__all__ = ["LONGEST_EXACT_CONTEXT", "wrong_vote"]

Floats = NDArray[np.float64]

LONGEST_EXACT_CONTEXT = 10
_TIE = 1e-12


def wrong_vote(law: ContextLaw, n_relevant: int, n_irrelevant: int, ratio: float) -> float:
    r"""Probability that the label with most votes is not the answer; exact up to rounding.

    A relevant token gives its label 1 vote, an irrelevant one :math:`\kappa` votes. Ties are broken by independent
    uniform priorities: given the winner's priority v, each rival either has fewer votes, or as many and (with
    probability v) a lower priority. So with a and b tokens for label y,
    :math:`P(y \text{ wins}) = \sum_{a,b} \int_0^1 r! k! [x^r z^k] \frac{(P_y x)^a}{a!} \frac{(\pi_y z)^b}{b!}
    \prod_{y' \ne y} \phi_{y'}(x, z) dv`, a polynomial in v that Gauss-Legendre nodes integrate exactly.

    Args:
        law: label probabilities.
        n_relevant: r >= 0.
        n_irrelevant: k >= 0.
        ratio: kappa in (0, 1].

    Returns:
        The probability.

    Example:
        >>> law = ContextLaw(np.array([0.9, 0.1]), np.array([0.5, 0.5]), np.array([1, 1]))
        >>> round(wrong_vote(law, 1, 0, 0.1), 12)  # two different labels
        0.18
    """
    r, k = n_relevant, n_irrelevant
    nodes, weights = np.polynomial.legendre.leggauss((r + k) // 2 + 1)
    priority = ((nodes + 1) / 2)[:, None, None]
    a, b = np.arange(r + 1), np.arange(k + 1)
    votes = a[:, None] + (ratio if r else 1.0) * b
    orders = special.factorial(a)[:, None] * special.factorial(b)
    terms = law.answer[:, None, None] ** a[:, None] * law.irrelevant[:, None, None] ** b / orders
    asked = np.flatnonzero(law.answer > 0)
    right = 0.0
    for level in _distinct(votes):
        tied = np.abs(votes - level) <= _TIE
        below = (votes < level) & ~tied
        allowed = terms[:, None] * (below + priority * tied)
        for g in asked:
            rivals = law.multiplicity - (np.arange(len(law.answer)) == g)
            others = _product([_power(allowed[i], int(m)) for i, m in enumerate(rivals) if m > 0])
            mean = np.tensordot(weights / 2, others, axes=1)[::-1, ::-1]
            right += law.multiplicity[g] * law.answer[g] * (terms[g] * tied * mean).sum() * orders[r, k]
    return float(1 - right)


def _distinct(votes: Floats) -> Floats:
    """Positive vote totals, those nearer than the tolerance counted once."""
    levels = np.unique(votes[votes > _TIE])
    return levels[np.diff(levels, prepend=-1.0) > _TIE]


def _times(x: Floats, y: Floats) -> Floats:
    """Product of two polynomials in (x, z), powers beyond the last kept ones dropped."""
    total = np.zeros_like(y)
    rows, columns = y.shape[-2:]
    for i, j in np.argwhere(x.any(axis=0)):
        total[:, i:, j:] += x[:, i, j, None, None] * y[:, : rows - i, : columns - j]
    return total


def _product(factors: list[Floats]) -> Floats:
    total = factors[0]
    for factor in factors[1:]:
        total = _times(factor, total)
    return total


def _power(x: Floats, exponent: int) -> Floats:
    """x to a power >= 1, by squaring."""
    if exponent == 1:
        return x
    half = _power(x, exponent // 2)
    square = _times(half, half)
    return _times(x, square) if exponent % 2 else square
