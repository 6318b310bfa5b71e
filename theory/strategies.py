r"""Two strategies under bounded rationality: the loss-complexity posterior of memorizing (M) against generalizing (G).

Exponential weights over two predictors with prior :math:`2^{-K^\beta}`, K the description length of a predictor in
bits, and learning rate :math:`\gamma N^{-\alpha}` after N steps, on losses summed over the steps. Only the mean losses
of the two predictors enter, so the odds are a formula: evidence that grows with training against a fixed price.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from theory.validation import Floats, require_nonnegative, require_positive, require_probability, require_reals

__all__ = ["TransitionExponent", "log_odds", "price_of_memory", "transition_exponent", "transition_time"]


def price_of_memory(complexity_m: ArrayLike, complexity_g: ArrayLike, *, beta: ArrayLike) -> Floats:
    r"""Log prior odds against memorizing: :math:`\ln 2\,(K_M^\beta - K_G^\beta)` nats.

    Args:
        complexity_m: description length of M in bits, > 0, any shape.
        complexity_g: description length of G in bits, > 0.
        beta: exponent of the description length, >= 0; 0 makes both strategies equally simple.

    Returns:
        The price in nats, in the shape the arguments broadcast to; negative when M is the simpler one.

    Raises:
        ValueError: an argument outside its set, or lengths so large that their power is no float64.

    Example:
        >>> price_of_memory(36.0, 16.0, beta=0.5).round(4).item()  # two bits
        1.3863

    Source: Wurgaft et al. (2025), section 4.
    """
    k_m, k_g = require_positive("complexity_m", complexity_m), require_positive("complexity_g", complexity_g)
    beta = require_nonnegative("beta", beta)
    with np.errstate(over="ignore", invalid="ignore"):
        price = np.log(2) * (k_m**beta - k_g**beta)
    return require_reals("beta", price, allowed="such that the price of memory is finite")


def log_odds(
    steps: ArrayLike,
    loss_gap: ArrayLike,
    complexity_m: ArrayLike,
    complexity_g: ArrayLike,
    *,
    alpha: ArrayLike,
    beta: ArrayLike,
    gamma: ArrayLike,
) -> Floats:
    r"""Log odds of the memorizing strategy against the generalizing one after N steps.

    .. math:: \gamma N^{1-\alpha} (L_G - L_M) - \ln 2\,(K_M^\beta - K_G^\beta)

    Before training (N = 0) they are minus :func:`price_of_memory`. They grow without bound where M has the lower loss,
    so M is left with all the weight however dear it is; where losses are equal they stay at the prior.

    Args:
        steps: N, number of training steps, >= 0, any shape.
        loss_gap: mean loss of G minus mean loss of M on training sequences, in nats per prediction.
        complexity_m: description length of M in bits, > 0.
        complexity_g: description length of G in bits, > 0.
        alpha: how fast evidence loses value with training, in [0, 1); 0 counts every step in full.
        beta: exponent of the description length, >= 0; 0 leaves complexity out.
        gamma: learning rate of the first step, > 0.

    Returns:
        Log odds in nats, in the shape the arguments broadcast to. Their sigmoid is the weight of M.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> log_odds([0, 100, 400], 0.25, 36.0, 16.0, alpha=0.5, beta=0.5, gamma=1.0).round(4).tolist()
        [-1.3863, 1.1137, 3.6137]

    Source: Wurgaft et al. (2025), section 4.
    """
    steps, gap = require_nonnegative("steps", steps), require_reals("loss_gap", loss_gap)
    alpha, gamma = require_probability("alpha", alpha, below_one=True), require_positive("gamma", gamma)
    with np.errstate(over="ignore"):
        evidence = steps ** (1 - alpha) * gap * gamma
    return np.asarray(evidence - price_of_memory(complexity_m, complexity_g, beta=beta))


def transition_time(
    loss_gap: ArrayLike,
    complexity_m: ArrayLike,
    complexity_g: ArrayLike,
    *,
    alpha: ArrayLike,
    beta: ArrayLike,
    gamma: ArrayLike,
) -> Floats:
    r"""Smallest number of steps at which the memorizing strategy has at least half of the weight.

    .. math:: N^* = \Big[\frac{\ln 2\,(K_M^\beta - K_G^\beta)}{\gamma (L_G - L_M)}\Big]^{1/(1-\alpha)}

    where M costs more and has the lower loss. It is 0 where M costs no more, since M then starts with half of the
    weight or more, and infinite where M costs more and its loss is no lower, or where N* is beyond float64.

    Args:
        loss_gap: mean loss of G minus mean loss of M, nats per prediction, any shape.
        complexity_m: description length of M in bits, > 0.
        complexity_g: description length of G in bits, > 0.
        alpha: in [0, 1).
        beta: >= 0.
        gamma: > 0.

    Returns:
        N* in steps, real, in [0, inf].

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> transition_time([0.25, 0.0], 36.0, 16.0, alpha=0.5, beta=0.5, gamma=1.0).round(4).tolist()
        [30.749, inf]

    Source: Wurgaft et al. (2025), section 4; docs/theory.md, statement 6.3.
    """
    gap = require_reals("loss_gap", loss_gap)
    alpha, gamma = require_probability("alpha", alpha, below_one=True), require_positive("gamma", gamma)
    price = price_of_memory(complexity_m, complexity_g, beta=beta)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        time = (price / (gamma * gap)) ** (1 / (1 - alpha))
    return np.asarray(np.where(price <= 0, 0.0, np.where(gap <= 0, np.inf, time)))


class TransitionExponent(NamedTuple):
    """Slope of ln N* in ln D between neighbouring numbers of tasks, and the two parts that add up to it.

    Attributes:
        total: d ln N* / d ln D; above 1 the transition time is superlinear there.
        from_price: what the growing price of memory contributes.
        from_gap: what the shrinking loss gap contributes.
    """

    total: Floats
    from_price: Floats
    from_gap: Floats


def transition_exponent(
    n_tasks: ArrayLike,
    loss_gap: ArrayLike,
    complexity_m: ArrayLike,
    complexity_g: ArrayLike,
    *,
    alpha: ArrayLike,
    beta: ArrayLike,
) -> TransitionExponent:
    r"""Local exponent of the transition time in the number of training tasks D.

    .. math:: \frac{d \ln N^*}{d \ln D} = \frac{1}{1-\alpha}
        \Big[\frac{d \ln(K_M^\beta - K_G^\beta)}{d \ln D} - \frac{d \ln(L_G - L_M)}{d \ln D}\Big]

    with slopes of chords between neighbouring D, which is exact for the chord of ln N*. The rate gamma drops out.
    With K_M linear in D the first part tends to beta / (1 - alpha).

    Args:
        n_tasks: D, > 0 and strictly rising, shape (n,) with n >= 2.
        loss_gap: L_G - L_M > 0 at every D, shape (n,) or one number.
        complexity_m: K_M in bits at every D, shape (n,) or one number; its price must be > 0.
        complexity_g: K_G in bits, likewise.
        alpha: in [0, 1), one number.
        beta: > 0, one number.

    Returns:
        `TransitionExponent`, shape (n - 1,) each.

    Raises:
        ValueError: an argument outside its set, or a price of memory that is not positive.

    Example:
        >>> D = np.array([2.0, 8.0, 32.0])
        >>> slopes = transition_exponent(D, 0.5 / D, 256 * D + 8, 8.0, alpha=0.5, beta=1.0)
        >>> [part.round(6).tolist() for part in slopes]
        [[4.0, 4.0], [2.0, 2.0], [2.0, 2.0]]

    Source: docs/theory.md, statement 6.4.
    """
    log_d = np.log(require_positive("n_tasks", n_tasks))
    if log_d.ndim != 1 or len(log_d) < 2 or not (np.diff(log_d) > 0).all():
        raise ValueError(f"`n_tasks` must be at least two rising numbers; got {n_tasks!r}")
    alpha, beta = require_probability("alpha", alpha, below_one=True), require_positive("beta", beta)
    gap = require_positive("loss_gap", loss_gap)
    price = require_positive("complexity_m minus complexity_g", price_of_memory(complexity_m, complexity_g, beta=beta))

    def slope(values: Floats) -> Floats:
        spread = np.broadcast_to(np.log(values), log_d.shape)
        return np.asarray(np.diff(spread) / np.diff(log_d) / (1 - alpha))

    from_price, from_gap = slope(price), -slope(gap)
    return TransitionExponent(from_price + from_gap, from_price, from_gap)
