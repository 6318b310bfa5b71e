r"""The statements of Chan et al. (2025) as they are printed, as functions to lay beside the project's own.

Their Proposition 1 is about the in-weight predictor after :math:`N_x` labels of one input, their Corollary 1 about an
in-context predictor whose context holds k of L labels of other classes. What holds of them and what does not is said
with each function; `theory.in_weight` and `theory.in_context` have exact risks and tighter bounds.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory.validation import Floats, require_count, require_nonnegative, require_probability

__all__ = ["corollary_1", "proposition_1"]


def proposition_1(n_labels_seen: ArrayLike, n_labels: int, *, entropy: ArrayLike = 0.0) -> Floats:
    r"""Cross-entropy of the in-weight predictor after n labels of an input, :math:`H + \frac{C-1}2 \frac{\ln n}n`.

    As printed, with an error of order 1/n. It is the mean over the n rounds of an online learner (statement 4.10), and
    so above what the learner pays after them: there the excess is about :math:`(C-1)/2n` where every label occurs, and
    of order 1/n in any case.

    Args:
        n_labels_seen: n, whole numbers >= 1, of any shape.
        n_labels: C >= 2.
        entropy: H >= 0, nats, entropy of the label given the input; broadcast.

    Returns:
        Nats.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> proposition_1([10, 1000], 10).round(4).tolist()
        [1.0362, 0.0311]

    Source: Chan et al. (2025), Proposition 1; Cesa-Bianchi and Lugosi (2006), section 9.7, for the mean over rounds.
    """
    n = require_count("n_labels_seen", n_labels_seen, least=1)
    labels = require_count("n_labels", n_labels, least=2)
    return np.asarray(require_nonnegative("entropy", entropy) + (labels - 1) / 2 * np.log(n) / n)


def corollary_1(
    length: ArrayLike,
    irrelevant: ArrayLike,
    n_labels: int,
    *,
    similarity: ArrayLike,
    floor: ArrayLike,
    tightened: bool = False,
) -> tuple[Floats, Floats]:
    r"""Lower and upper bound of the cross-entropy of a softmax over a context with k irrelevant labels.

    .. math:: \frac{k (1 - \epsilon C)}{k + (L - k) e^{2\sqrt B}} + \epsilon (C - 1) \le \mathrm{CE} \le
        -\ln\left(\frac{(1 - \epsilon C)(L - k)}L + \epsilon\right).

    As printed. The lower bound holds where exponents of the softmax lie in :math:`\pm\sqrt B` and irrelevant labels are
    wrong; the upper one where no irrelevant token is more similar to the query than a relevant one. At k = L (printed
    as k = 0 in one place) they are :math:`1 - \epsilon` and :math:`\ln 1/\epsilon`. A program of the authors' leaves
    :math:`\epsilon(C-1)` out of the lower bound.

    Tightened, the lower one is :math:`-\ln(1 - u) \ge u`, with u the printed bound: the right label has at most
    :math:`1 - u`. Both ends are then attained, by exponents :math:`\pm\sqrt B` and by equal ones.

    Args:
        length: L, pairs in the context, whole numbers >= 1.
        irrelevant: k, those with another label than the query's, in 0 .. L; broadcast.
        n_labels: C >= 2.
        similarity: B >= 0; broadcast.
        floor: :math:`\epsilon`, the least probability of a label, in [0, 1/C]; broadcast.
        tightened: whether the lower bound is the larger one.

    Returns:
        Both bounds, nats, in the broadcast shape.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> [round(float(end), 4) for end in corollary_1(4, 2, 10, similarity=1.0, floor=0.001)]
        [0.127, 0.7012]
        >>> [round(float(end), 4) for end in corollary_1(4, 2, 10, similarity=1.0, floor=0.001, tightened=True)]
        [0.1358, 0.7012]

    Source: Chan et al. (2025), Corollary 1; tightened by :math:`-\ln(1 - u) \ge u`.
    """
    pairs, other = require_count("length", length, least=1), require_count("irrelevant", irrelevant)
    if (other > pairs).any():
        raise ValueError(f"`irrelevant` must be at most `length`; got {irrelevant!r} and {length!r}")
    labels, least = require_count("n_labels", n_labels, least=2), require_probability("floor", floor)
    if (least * labels > 1).any():
        raise ValueError(f"`floor` must be in [0, 1 / n_labels]; got {floor!r} with {n_labels} labels")
    odds = np.exp(-2 * np.sqrt(require_nonnegative("similarity", similarity)))  # of an irrelevant token at the least
    kept, foreign = 1 - least * labels, other * odds / (other * odds + (pairs - other))
    with np.errstate(divide="ignore"):
        lower = -np.log(kept * (1 - foreign) + least) if tightened else kept * foreign + least * (labels - 1)
        upper = -np.log(kept * (pairs - other) / pairs + least)
    low, high = np.broadcast_arrays(lower, upper)
    return low, high
