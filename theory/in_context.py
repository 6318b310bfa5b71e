r"""Exact risk of the in-context predictor on clean inputs: a softmax over similarities, copying labels.

:math:`h = \sum_l w_l e_{y_l}`, :math:`w = \mathrm{softmax}(-\|x - x_l\|^2/\tau)`. Without input noise and with class
centres at one squared distance D from each other, a relevant token weighs 1 and an irrelevant one
:math:`\kappa = e^{-D/\tau}`; with r relevant tokens out of L, relevant tokens together have weight
:math:`W = r / (r + (L - r) \kappa)`. Independent unit vectors have expected squared distance 2. Unequal distances and
input noise: `theory.in_context_bounds`.

Out-of-base labels are a relabelling of context and answer alike, so each value holds there too.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from theory.context_law import CONTEXTS, ContextLaw, classes_alike, context_law
from theory.distribution import ClassMixture
from theory.label_votes import LONGEST_EXACT_CONTEXT, wrong_vote
from theory.validation import Floats, require_choice, require_nonnegative, require_positive, require_probability

__all__ = [
    "exact_error",
    "exact_linear_loss",
    "exact_log_loss",
    "exact_relevant_weight",
    "likely_binomial",
    "mean_by_class",
    "similarity_ratio",
]


_NEGLIGIBLE = 1e-18


def exact_relevant_weight(n_relevant: Floats, n_irrelevant: Floats, ratio: Floats) -> Floats:
    r"""Weight of all relevant tokens, :math:`r / (r + k \kappa)`.

    Exact, for equal squared distances.

    Args:
        n_relevant: r >= 0, any shape.
        n_irrelevant: k >= 0, broadcast; r + k >= 1.
        ratio: kappa > 0, weight of an irrelevant token beside a relevant one, broadcast.

    Returns:
        W in [0, 1].

    Example:
        >>> float(exact_relevant_weight(np.array(1), np.array(2), np.array(0.5)))
        0.5
    """
    return np.asarray(n_relevant / (n_relevant + n_irrelevant * ratio))


def exact_linear_loss(
    spec: ClassMixture, *, temperature: float, context: str = "relevant", squared_distance: float = 2.0
) -> Floats:
    r"""Probability that a label sampled from h is not the answer, for each query class.

    :math:`1 - [E W \sum_y P_c(y)^2 + (1 - E W) E_{c'} \sum_y P_c(y) P_{c'}(y)]`.

    Exact (1e-12 relative). Holds without input noise (the specification's ``input_noise`` is not looked at) and at
    equal squared distances.

    Args:
        spec: the data; any context length.
        temperature: tau > 0.
        context: ``relevant``, ``irrelevant`` or ``as_trained`` (relevant with probability ``p_relevant``).
        squared_distance: D >= 0 between the centres of two classes.

    Returns:
        The risk, shape (K,).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> spec = ClassMixture(label_noise=0.1, context_length=4)
        >>> exact_linear_loss(spec, temperature=0.1)[[0, -1]].round(4).tolist()
        [0.1889, 0.1889]

    Source: linearity of expectation; Chan et al. (2025), section 3 for the predictor.
    """
    ratio = similarity_ratio(temperature, squared_distance)

    def risk(law: ContextLaw, r: int, k: int) -> float:
        w = exact_relevant_weight(np.array(r), np.array(k), np.array(ratio))
        match = law.multiplicity * law.answer * (w * law.answer + (1 - w) * law.irrelevant)
        return float(1 - match.sum())

    return mean_by_class(spec, context, risk)


def exact_log_loss(
    spec: ClassMixture,
    *,
    temperature: float,
    context: str = "relevant",
    clip: float = 1e-7,
    squared_distance: float = 2.0,
) -> Floats:
    r"""Expected log loss :math:`-\ln \max(h_y, \mathrm{clip})`, in nats, for each query class.

    :math:`\sum_r p(r) \sum_y P_c(y) E_{a,b}[-\ln\max((a + \kappa b)/(r + \kappa k), \mathrm{clip})]` with
    a ~ Bin(r, P_c(y)) relevant and b ~ Bin(k, pi_c(y)) irrelevant tokens that carry the label y.

    Exact (1e-12 relative). Holds without input noise (the specification's ``input_noise`` is not looked at) and at
    equal squared distances.

    Args:
        spec: the data; context length up to 1000 takes about a second.
        temperature: tau > 0.
        context: ``relevant``, ``irrelevant`` or ``as_trained`` (relevant with probability ``p_relevant``).
        clip: least probability that h gives a label, in (0, 1).
        squared_distance: D >= 0 between the centres of two classes.

    Returns:
        The risk, shape (K,).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> spec = ClassMixture(label_noise=0.1, context_length=4)
        >>> exact_log_loss(spec, temperature=0.1)[[0, -1]].round(4).tolist()
        [2.7061, 3.0081]

    Source: binomial sums over which labels are noisy; Chan et al. (2025), section 3 for the predictor.
    """
    ratio = similarity_ratio(temperature, squared_distance)
    least = float(require_probability("clip", clip, above_zero=True, below_one=True))

    def risk(law: ContextLaw, r: int, k: int) -> float:
        return sum(
            float(n * p * _label_log_loss(p, pi, r, k, ratio, least))
            for p, pi, n in zip(law.answer, law.irrelevant, law.multiplicity, strict=True)
            if p > 0
        )

    return mean_by_class(spec, context, risk)


def exact_error(
    spec: ClassMixture, *, temperature: float, context: str = "relevant", squared_distance: float = 2.0
) -> Floats:
    r"""Probability that the label with the largest :math:`h_y` (ties at random) is not the answer, for each class.

    Exact (1e-12 absolute). Holds without input noise (the specification's ``input_noise`` is not looked at), at equal
    squared distances, for contexts of at most 10 tokens; longer ones: `theory.in_context_bounds`.

    Args:
        spec: the data.
        temperature: tau > 0.
        context: ``relevant``, ``irrelevant`` or ``as_trained`` (relevant with probability ``p_relevant``).
        squared_distance: D >= 0 between the centres of two classes.

    Returns:
        The 0-1 risk, shape (K,).

    Raises:
        ValueError: an argument outside its set, or a context too long to enumerate.

    Example:
        >>> exact_error(ClassMixture(label_noise=0.1), temperature=0.1)[[0, -1]].round(4).tolist()
        [0.1889, 0.1889]

    Source: bivariate generating functions of label counts.
    """
    ratio = similarity_ratio(temperature, squared_distance)
    if spec.context_length > LONGEST_EXACT_CONTEXT:
        raise ValueError(
            f"`context_length` must be at most {LONGEST_EXACT_CONTEXT} for an exact 0-1 risk; got {spec.context_length}"
        )
    return mean_by_class(spec, context, lambda law, r, k: wrong_vote(law, r, k, ratio))


def similarity_ratio(temperature: float, squared_distance: float) -> float:
    """kappa, the weight of a token at this squared distance beside one at distance 0; never rounded to 0."""
    tau = require_positive("temperature", temperature)
    ratio = np.exp(-require_nonnegative("squared_distance", squared_distance) / tau)
    return max(float(ratio), float(np.finfo(np.float64).tiny))


def mean_by_class(spec: ClassMixture, context: str, risk: Callable[[ContextLaw, int, int], ArrayLike]) -> Floats:
    """Mean of ``risk(law, r, L - r)`` over the number r of relevant tokens: shape (..., K) for risks of shape (...).

    Worked out once for classes that are alike.
    """
    require_choice("context", context, CONTEXTS)
    length = spec.context_length
    first, place = classes_alike(spec)
    values = []
    for label in first:
        law = context_law(spec, int(label))
        pmf = np.eye(1, length + 1)[0] if context == "irrelevant" else spec.relevant_counts(np.array([label]))[0]
        if context == "as_trained":
            share = spec.relevant_shares[label]
            pmf = share * pmf
            pmf[0] = 1 - share
        kept = np.flatnonzero(pmf > _NEGLIGIBLE)
        values.append(sum(pmf[r] * np.asarray(risk(law, int(r), length - int(r))) for r in kept))
    return np.stack(values, axis=-1)[..., place]


def likely_binomial(n: int, p: float) -> tuple[Floats, Floats]:
    """Values of Bin(n, p) with more than negligible mass, and their masses."""
    k = np.arange(n + 1.0)
    log_choose = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    pmf = np.exp(log_choose + special.xlogy(k, p) + special.xlog1py(n - k, -p))
    kept = pmf > _NEGLIGIBLE
    return k[kept], pmf[kept]


def _label_log_loss(p: float, pi: float, r: int, k: int, ratio: float, clip: float) -> float:
    a, mass_a = likely_binomial(r, p)
    b, mass_b = likely_binomial(k, pi)
    h = (a[:, None] + ratio * b) / (r + ratio * k)
    return float(mass_a @ -np.log(np.maximum(h, clip)) @ mass_b)
