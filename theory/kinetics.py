r"""Learning from weights and from context over training steps: gradient flow of a small model on a class mixture.

Every part of the stylized model :math:`f = \alpha g + (1 - \alpha) h` has one parameter, and all of them follow the
gradient of the mean log loss over rows, whose labels carry no noise. C is the number of labels and
:math:`s(x) = e^x / (e^x + C - 1)`.

- *Weights*: class c has a margin m, so that softmax gives its label s(m) and every other one the same. The learner
  takes the class for another with probability :math:`\epsilon`, which N decides: a channel that moves s(m) to
  :math:`g = (1 - \epsilon) s + \epsilon (1 - s) / (C - 1)`.
- *Copier*: tokens of the query's class have score w in an attention and others 0, so that r of L such tokens get
  :math:`A = r e^w / (r e^w + L - r)`; what is attended to is read out with margin v. It gives the true label
  :math:`h = A s(v) + (1 - A)(1 - s(v)) / (C - 1)`, and :math:`h_0 = (1 - s(v)) / (C - 1)` where the context shows other
  classes alone.
- *Gate*: :math:`\alpha = 1 / (1 + e^{-a})`, one a for each class or one for all. It does not see whether the context
  answers.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, special

from theory.distribution import GROUPS, ClassMixture
from theory.noisy_inputs import noisy_input_error
from theory.validation import (
    Floats,
    require_choice,
    require_count,
    require_instances,
    require_probability,
    require_scalar,
    require_within,
)

__all__ = ["Kinetics", "class_mixture_kinetics"]

POINTS = 600
"""Steps at which a course is kept, but for the start: a geometric grid over eight powers of ten."""


@dataclass(frozen=True)
class Kinetics:
    """A course of learning: what each part does on new sequences, per class.

    Accuracies are those of an answer drawn from the model, one minus its linear loss.

    Attributes:
        spec: the data.
        times: steps, shape (T,), from 0 on.
        in_weight: probability that g gives the true label, shape (T, K).
        gate: weight of g, shape (T, K).
        copier: mean probability that h gives the copied label in relevant contexts, shape (T, K).
        irrelevant: accuracy in contexts without the query's class, shape (T, K).
        relevant: accuracy in relevant contexts, shape (T, K).
        new_labels: accuracy in relevant contexts whose labels are remapped, shape (T, K): only copying gets it right.
    """

    spec: ClassMixture
    times: Floats
    in_weight: Floats
    gate: Floats
    copier: Floats
    irrelevant: Floats
    relevant: Floats
    new_labels: Floats

    def emergence(self, group: str = "all", level: float = 0.5) -> float:
        """Step at which a group's accuracy on new labels first passes a level; infinite where it does not.

        Example:
            >>> round(class_mixture_kinetics(ClassMixture(), 1000).emergence("low"), 1)
            15.6
        """
        return [*self._passes(self.new_labels, group, level), np.inf][0]

    def lost(self, group: str = "all", level: float = 0.5) -> float:
        """Step at which that accuracy, having passed the level, first falls below it; infinite where it does not.

        Example:
            >>> round(class_mixture_kinetics(ClassMixture(), 1000).lost("low"))
            3255
        """
        return [*self._passes(self.new_labels, group, level), np.inf, np.inf][1]

    def handover(self, group: str = "all", level: float = 0.5, of: str = "irrelevant") -> float:
        """Step from which weights answer: accuracy in irrelevant contexts, or the gate, stays above a level.

        Args:
            group: ``high``, ``low`` or ``all``, not empty.
            level: in (0, 1).
            of: ``irrelevant`` or ``gate``.

        Returns:
            The step after which it is above the level to the end; infinite where it ends below.

        Raises:
            ValueError: an argument outside its set.

        Example:
            >>> found = class_mixture_kinetics(ClassMixture(), 1000)
            >>> round(found.handover("high")), round(found.handover("low"))
            (355, 3450)
        """
        curve = self.gate if require_choice("of", of, ("irrelevant", "gate")) == "gate" else self.irrelevant
        passes = self._passes(curve, group, level)
        return passes[-1] if len(passes) % 2 else np.inf

    def _passes(self, curve: Floats, group: str, level: float) -> list[float]:
        """Steps at which the mean of a group passes the level, upwards first."""
        require_choice("group", group, [name for name in GROUPS if len(self.spec.group(name))])
        wanted = require_scalar("level", require_probability("level", level, above_zero=True, below_one=True))
        above = self.spec.group_mean(curve, group) - wanted
        start = [0.0] if above[0] > 0 else []
        before = np.flatnonzero((above[1:] > 0) != (above[:-1] > 0))
        share = above[before] / (above[before] - above[before + 1])
        crossed = self.times[before] + share * np.diff(self.times)[before]
        return [*start, *crossed.tolist()]


class _Model(NamedTuple):
    """What stays as it is while the model learns; class kinds G, numbers of relevant tokens L + 1.

    Attributes:
        q: frequency of one class of each kind, (G,).
        members: classes of each kind, (G,).
        p: probability of a relevant context, (G,).
        counts: law of the number of relevant tokens, (G, L + 1).
        odds: logarithm of r / (L - r), (L + 1,).
        labels: C.
        confused: probability that training takes a class for another, (G,).
        rates: of margins, gate and copier.
        shared: whether all classes have one gate.
    """

    q: Floats
    members: Floats
    p: Floats
    counts: Floats
    odds: Floats
    labels: int
    confused: Floats
    rates: tuple[float, float, float]
    shared: bool


class _Parts(NamedTuple):
    """Probabilities at one or more points of the course, with further axes in front."""

    soft: Floats  # s(m), (..., G)
    alpha: Floats  # (..., G)
    attention: Floats  # A, (..., L + 1)
    read: Floats  # s(v), (..., 1)


def class_mixture_kinetics(
    spec: ClassMixture,
    n_sequences: int,
    *,
    steps: float = 1e5,
    weight_rate: float = 1.0,
    gate_rate: float = 1.0,
    copier_rate: float = 1.0,
    shared_gate: bool = False,
    by_heart: bool = False,
) -> Kinetics:
    r"""The course of weights, gate and copier from all parameters 0 on (statement 10.1).

    With :math:`T = p E_r[1/f_r] + (1 - p)/f_0` and the means below over r given a relevant context,

    .. math::
        \dot m_c &= \eta_g\, q_c\, \alpha g'(m)\, T, \qquad
        \dot a_c = \eta_a\, q_c\, \alpha(1 - \alpha) [p E_r (g - h_r)/f_r + (1 - p)(g - h_0)/f_0],\\
        \dot w &= \eta_h \sum_c q_c (1 - \alpha)\, p E_r\, \partial_w h_r / f_r, \quad
        \dot v = \eta_h \sum_c q_c (1 - \alpha) [p E_r\, \partial_v h_r / f_r + (1 - p)\, \partial_v h_0 / f_0].

    With a shared gate, :math:`\dot a` is the sum over classes. :math:`\epsilon` is the risk of the best learner from N
    noisy inputs (statement 1.14), or without noise :math:`(1 - 1/C)(1 - q)^N`, that of a class never seen. All of it
    holds for training rows too, unless they are learnt by heart: then N has no part in the flow, and limits what g is
    worth on new queries.

    Numerical integration, relative error below 1e-6; steps at which a level is passed are interpolated, to about 1e-3.
    Takes a tenth of a second, and with noisy inputs what `noisy_input_error` takes: 11 s for 200 different frequencies.

    Args:
        spec: the data; labels without noise.
        n_sequences: N, a whole number >= 0.
        steps: how far the course goes; like the rates, in [1e-12, 1e12].
        weight_rate: :math:`\eta_g` per step.
        gate_rate: :math:`\eta_a` per step.
        copier_rate: :math:`\eta_h` per step.
        shared_gate: whether all classes have one gate.
        by_heart: whether training rows are never taken for another class.

    Returns:
        The course.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> found = class_mixture_kinetics(ClassMixture(), 1000)
        >>> round(found.emergence("low"), 1), round(found.handover("low")), round(found.lost("low"))
        (15.6, 3450, 3255)
        >>> class_mixture_kinetics(ClassMixture(), 20).lost("low")
        inf

    Source: own derivation (statement 10.1); Jacobs, Jordan, Nowlan and Hinton (1991) for the shares.
    """
    require_instances(shared_gate=(shared_gate, bool), by_heart=(by_heart, bool))
    if spec.label_noise:
        raise ValueError(f"`spec.label_noise` must be 0; got {spec.label_noise}: the flow is that of clean labels")
    n = require_scalar("n_sequences", require_count("n_sequences", n_sequences))
    named = {"weight_rate": weight_rate, "gate_rate": gate_rate, "copier_rate": copier_rate, "steps": steps}
    *rates, end = (_between(name, value) for name, value in named.items())
    q, first, place, members = np.unique(spec.frequencies, return_index=True, return_inverse=True, return_counts=True)
    confused = _confused(spec, n)[first]
    counts, length = spec.relevant_counts(first), spec.context_length
    r = np.arange(length + 1)
    with np.errstate(divide="ignore"):
        odds = np.log(r) - np.log(length - r)
    model = _Model(q, members.astype(np.float64), spec.relevant_shares[first], counts, odds, spec.n_classes,
                   0 * confused if by_heart else confused, (rates[0], rates[1], rates[2]), shared_gate)  # fmt: skip
    times = np.append(0.0, np.geomspace(end / 1e8, end, POINTS))
    start = np.zeros(len(q) + (1 if shared_gate else len(q)) + 2)
    solved = integrate.solve_ivp(
        lambda _, state: _slopes(model, state), (0, end), start, "LSODA", times, rtol=1e-8, atol=1e-10
    )
    if not solved.success:
        raise ArithmeticError(f"no course found: {solved.message}")
    return _course(spec, model, confused, times, _parts(model, solved.y.T), place)


def _between(name: str, value: float) -> float:
    allowed = require_within(name, value, "in [1e-12, 1e12]", lambda x: (x >= 1e-12) & (x <= 1e12))
    return require_scalar(name, allowed)


def _confused(spec: ClassMixture, n: float) -> Floats:
    """Probability that each class is taken for another."""
    if spec.input_noise and spec.dim > 1:
        return np.clip(noisy_input_error(n, spec), 0, 1 - 1 / spec.n_classes)
    if spec.input_noise:
        raise ValueError(f"`spec.dim` must be >= 2 where `spec.input_noise` > 0; got {spec.dim}")
    return (1 - 1 / spec.n_classes) * (1 - spec.frequencies) ** n


def _course(
    spec: ClassMixture, model: _Model, confused: Floats, times: Floats, parts: _Parts, place: NDArray[np.int64]
) -> Kinetics:
    others = model.labels - 1
    g = _channel(parts.soft, confused, others)
    h = (1 - parts.read) / others + parts.attention * (parts.read - (1 - parts.read) / others)
    copied = h @ model.counts.T
    alpha = np.broadcast_to(parts.alpha, g.shape)
    known = {
        "in_weight": g,
        "gate": alpha,
        "copier": copied,
        "irrelevant": alpha * g + (1 - alpha) * (1 - parts.read) / others,
        "relevant": alpha * g + (1 - alpha) * copied,
        "new_labels": alpha * (1 - g) / others + (1 - alpha) * copied,
    }
    return Kinetics(spec, times, **{name: curve[:, place.ravel()] for name, curve in known.items()})


def _channel(soft: Floats, confused: Floats, others: int) -> Floats:
    """The true label's probability, from that before classes are confused."""
    return np.asarray((1 - confused) * soft + confused * (1 - soft) / others)


def _parts(model: _Model, state: Floats) -> _Parts:
    kinds, margin = len(model.q), np.log(model.labels - 1)
    return _Parts(
        special.expit(state[..., :kinds] - margin),
        special.expit(state[..., kinds:-2]),
        special.expit(state[..., -2:-1] + model.odds),
        special.expit(state[..., -1:] - margin),
    )


def _slopes(model: _Model, state: Floats) -> Floats:
    """Minus the gradient of the mean log loss, times the rates."""
    soft, alpha, attention, read = _parts(model, state)
    others, mass = model.labels - 1, model.members * model.q
    g, missed = _channel(soft, model.confused, others), (1 - read) / others
    gain = read - missed  # of attention
    h = missed + attention * gain
    relevant = model.p[:, None] * model.counts / ((alpha * g)[:, None] + (1 - alpha)[:, None] * h)
    irrelevant = (1 - model.p) / np.maximum(alpha * g + (1 - alpha) * missed, np.finfo(float).tiny)
    whole = relevant.sum(1)
    steep = (1 - model.confused * model.labels / others) * soft * (1 - soft)
    margins = model.rates[0] * model.q * alpha * steep * (whole + irrelevant)
    gates = alpha * (1 - alpha) * (g * whole - relevant @ h + irrelevant * (g - missed))
    gate = mass @ gates[:, None] if model.shared else model.q * gates
    trust = mass * (1 - alpha)
    match = trust @ relevant @ (attention * (1 - attention)) * gain
    copy = trust @ relevant @ (attention - (1 - attention) / others) - trust @ irrelevant / others
    tail = model.rates[2] * np.append(match, copy * read * (1 - read))
    return np.concatenate([margins, model.rates[1] * gate, tail])
