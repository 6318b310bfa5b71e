r"""Two-sided bounds on the in-context risk for noisy inputs, any context length, unequal centres.

A single token has weight 1 whatever the noise, so contexts of one token keep their clean risk. Otherwise the weights of
relevant tokens differ too. The bounds use that relevant tokens are exchangeable and that, with W the weight of all
relevant tokens and Q as in `theory.token_distances`, for k irrelevant tokens

- :math:`E[1 - W] \le k\, E[1/(1 + e^{Q/\tau})]`,
- irrelevant tokens outweigh some relevant one with probability at most :math:`\omega = k P(Q \le \tau \ln k)`,
- a relevant token has mean log weight at least :math:`-k E\ln(1 + e^{-Q/\tau}) - (r-1) E\ln(1 + e^{-Q_0/\tau})`, where
  :math:`Q_0` is Q for D = 0.

The first two terms do not rise with the distance of the centres, so that of the least distance :math:`D_{min}` bounds
them; the third may, by at most :math:`\Phi(-\sqrt{D_{min}}/\sigma)` times the largest loss for each irrelevant token
(couple the token's noise; more distance hurts only where the query is :math:`\sqrt{D_{min}}` past its centre).

For centres drawn independently and uniformly, the same bounds hold for the risk averaged over centres, each pair term
averaged over the distance of two of them: upper bounds are concave and lower ones convex in those terms. Pair terms are
rounded up by all that their integration may be wrong by, which makes upper bounds larger and lower bounds smaller.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from theory import in_context_bounds, token_distances
from theory.context_law import ContextLaw
from theory.distribution import ClassMixture
from theory.in_context import likely_binomial, mean_by_class
from theory.in_context_bounds import distance_interval, foreign_collisions, squared_distance_bounds
from theory.in_context_nearest import LONGEST, nearest_error
from theory.label_learning import noise_entropy
from theory.label_votes import LONGEST_EXACT_CONTEXT, Interval
from theory.validation import Floats, require_choice, require_positive, require_probability

__all__ = ["MEASURES", "risk_bounds"]


MEASURES = ("error", "log_loss", "linear_loss")

_RARE_CENTRES = 1e-6  # probability of centres at distances that bounds at distances in an interval leave out


def risk_bounds(
    spec: ClassMixture,
    measure: str,
    *,
    temperature: float,
    squared_distance: float | Interval | None,
    context: str = "relevant",
    clip: float = 1e-7,
) -> tuple[Floats, Floats]:
    r"""Bounds on a risk of h for each query class, by the sharpest route that its specification allows.

    Without input noise, or with one token: `theory.in_context_bounds` (exact at equal distances), and for the 0-1 risk
    of contexts of more than 10 tokens the Bayes error and twice the linear loss, as the arg-max is wrong only where
    :math:`h_y \le 1/2`. With input noise: the bounds at the top of this module, and twice the linear loss again; for
    the 0-1 risk averaged over random centres, without label noise, those of `theory.in_context_nearest` too.

    Lower and upper bound, always.

    Args:
        spec: the data; context length from 1 to 1000.
        measure: ``error`` (0-1), ``log_loss`` (nats) or ``linear_loss``.
        temperature: tau > 0.
        squared_distance: D >= 0 between two centres; a number, or the least and the largest. None averages the risk
            over centres drawn independently and uniformly on the sphere.
        context: ``relevant``, ``irrelevant`` or ``as_trained``.
        clip: least probability that h gives a label, in (0, 1); of no concern to the other two losses.

    Returns:
        Lower and upper bound, each of shape (K,).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> noisy = ClassMixture(context_length=4, label_noise=0.05)
        >>> lower, upper = risk_bounds(noisy, "linear_loss", temperature=0.1, squared_distance=2.0)
        >>> lower[9].round(3).item(), upper[9].round(3).item()
        (0.097, 0.284)

    Source: exchangeability, union bounds and Jensen's inequality.
    """
    require_choice("measure", measure, MEASURES)
    if spec.context_length == 1 and squared_distance is None:
        return _clean(spec, measure, temperature, 2.0, context, clip)
    if squared_distance is None and (spec.input_noise == 0 or spec.dim > token_distances.LARGEST_RANDOM_DIM):
        how: dict[str, Any] = {"temperature": temperature, "context": context, "clip": clip}
        ends = squared_distance_bounds(spec.n_classes, spec.dim, _RARE_CENTRES)
        lower, upper = risk_bounds(spec, measure, squared_distance=ends, **how)
        worst = -np.log(clip) if measure == "log_loss" else 1.0
        return lower * (1 - _RARE_CENTRES), upper + _RARE_CENTRES * worst
    if squared_distance is not None and (spec.input_noise == 0 or spec.context_length == 1):
        return _clean(spec, measure, temperature, squared_distance, context, clip)
    least = float(require_probability("clip", clip, above_zero=True, below_one=True))
    tau = float(require_positive("temperature", temperature))
    near, far = (None, None) if squared_distance is None else distance_interval(squared_distance)
    noise = _pair_noise(near, spec.input_noise, spec.dim, tau, unequal=near != far)
    if measure == "log_loss":
        entropy = noise_entropy(spec.n_classes, spec.label_noise, spec.label_noise_kind)
        risk = partial(_log_loss, noise=noise, cap=-np.log(least), entropy=entropy)
    else:
        risk = partial(_error if measure == "error" else _linear_loss, noise=noise, foreign=foreign_collisions(spec))
        if measure == "error" and squared_distance is None and spec.label_noise == 0:
            risk = partial(_sharper_error, bounds=risk, noise=spec.input_noise, dim=spec.dim, temperature=tau)
    lower, upper = mean_by_class(spec, context, risk)
    return lower, upper


def _clean(
    spec: ClassMixture,
    measure: str,
    temperature: float,
    squared_distance: float | Interval,
    context: str,
    clip: float,
) -> tuple[Floats, Floats]:
    how: dict[str, Any] = {"temperature": temperature, "squared_distance": squared_distance, "context": context}
    if measure == "log_loss":
        return in_context_bounds.log_loss_bounds(spec, clip=clip, **how)
    if measure == "error" and spec.context_length <= LONGEST_EXACT_CONTEXT:
        return in_context_bounds.error_bounds(spec, **how)
    lower, upper = in_context_bounds.linear_loss_bounds(spec, **how)
    if measure == "linear_loss":
        return lower, upper
    least = mean_by_class(spec, context, lambda law, r, k: 1 - law.answer.max())
    return least, np.minimum(2 * upper, 1.0)


class _PairNoise(NamedTuple):
    """What two noisy tokens do to each other, at the least distance of their centres or averaged over it."""

    irrelevant_weight: float
    irrelevant_log: float
    relevant_log: float
    slip: float  # probability that a larger distance between centres could hurt the log loss
    outweighed: Callable[[int], float]  # bounds how likely k irrelevant tokens outweigh one given relevant token


@lru_cache(maxsize=256)
def _pair_noise(
    distance: float | None, noise: float, dim: int, temperature: float, *, unequal: bool = False
) -> _PairNoise:
    @lru_cache
    def outweighed(k: int) -> float:
        if k == 0:
            return 0.0
        margin = temperature * np.log(k)
        return min(1.0, k * float(token_distances.exact_nearer_probability(distance, noise, dim, margin=margin)))

    return _PairNoise(
        irrelevant_weight=token_distances.exact_mean_overtaking(distance, noise, dim, temperature),
        irrelevant_log=token_distances.exact_mean_log_overtaking(distance, noise, dim, temperature),
        relevant_log=token_distances.exact_mean_log_overtaking(0.0, noise, dim, temperature),
        slip=float(special.ndtr(-np.sqrt(distance) / noise)) if unequal and distance is not None else 0.0,
        outweighed=outweighed,
    )


def _linear_loss(law: ContextLaw, r: int, k: int, noise: _PairNoise, foreign: Interval) -> Interval:
    same = float((law.multiplicity * law.answer**2).sum())
    if r == 0:
        return 1 - foreign[1], 1 - foreign[0]
    w = 1 - min(1.0, k * noise.irrelevant_weight)
    return 1 - same, 1 - w * same - (1 - w) * foreign[0]


def _error(law: ContextLaw, r: int, k: int, noise: _PairNoise, foreign: Interval) -> Interval:
    floor = 1 - float(law.answer.max())
    asked = law.multiplicity * law.answer
    if r == 0:  # a label that the context does not show cannot win
        return max(floor, float((asked * (1 - law.irrelevant) ** k).sum())), 1.0
    certain = 1 - noise.outweighed(k)
    lower = float((asked * (1 - law.answer) ** r).sum()) * certain
    upper = 1 - float((asked * law.answer**r).sum()) * certain
    return max(floor, lower), min(upper, 2 * _linear_loss(law, r, k, noise, foreign)[1])


def _sharper_error(
    law: ContextLaw,
    r: int,
    k: int,
    bounds: Callable[[ContextLaw, int, int], Interval],
    noise: float,
    dim: int,
    temperature: float,
) -> Interval:
    lower, upper = bounds(law, r, k)
    if r == 0 or k > LONGEST:
        return lower, upper
    least, most = nearest_error(law, r, k, noise, dim, temperature)
    return max(lower, least), min(upper, most)


def _log_loss(law: ContextLaw, r: int, k: int, noise: _PairNoise, cap: float, entropy: float) -> Interval:
    lower = upper = 0.0
    foreign = min(1.0, k * noise.irrelevant_weight)
    for p, pi, n in zip(law.answer, law.irrelevant, law.multiplicity, strict=True):
        absent = (1 - pi) ** k
        if p == 0:
            continue
        for a, mass in zip(*likely_binomial(r, p), strict=True):
            share = a / r if r else 0.0
            shown = min(1.0, share + foreign + np.exp(-cap)) if r else 1.0
            lower += n * p * mass * -(absent * np.log(min(1.0, share + np.exp(-cap))) + (1 - absent) * np.log(shown))
            lost = (r - a) * noise.relevant_log + k * (noise.irrelevant_log + noise.slip * cap)
            upper += n * p * mass * (min(cap, lost) if a else cap)
    return max(lower, entropy), upper
