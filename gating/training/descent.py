"""Settings of gradient descent, the same for every trainer: which optimizer, its step sizes, and clipping."""

import math
from collections.abc import Iterator
from dataclasses import field, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from theory.fields import Count, NonNegative, Positive, Rule, Whole, shown
from theory.settings import settings

__all__ = ["Annealing", "DescentSettings", "OptimizerSettings"]

Annealing = Literal["none", "linear", "cosine", "inverse_root"]
Share = Annotated[float, Field(ge=0, lt=1)]

OWN = {"adam": ("betas", "eps"), "adamw": ("betas", "eps"), "sgd": ("momentum", "nesterov")}
"""Fields that an optimizer has and others may not have."""


@settings
class OptimizerSettings:
    """Which optimizer takes the steps, as torch defines it, and which parameters decay.

    Args:
        name: ``adam``, ``adamw`` or ``sgd``.
        betas: of Adam and AdamW, the shares that the running means of gradients and of their squares keep in a step.
        eps: of Adam and AdamW, added to the root of the mean square, > 0.
        momentum: of SGD, the share of the last update that a step keeps.
        nesterov: of SGD with momentum, whether a step looks ahead, as Nesterov's does.
        weight_decay: d >= 0. AdamW scales parameters by 1 - rate d at each step; Adam and SGD add d times the parameter
            to its gradient, after clipping.
        decays: which parameters decay: ``all``, or ``matrices``, those of two or more dimensions, which leaves out
            biases and the scales of norms. The replicas' dimension of an ensemble does not count.
        no_decay: parameters that do not decay, beside those: all whose names contain one of these texts, such as
            ``norm`` or ``embed``.

    Raises:
        SpecError: naming the fields that the optimizer does not have where they are not left at their defaults.

    Example:
        >>> OptimizerSettings("sgd", momentum=0.9, betas=(0.9, 0.95))
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: `betas` must be left at its default, [0.9, 0.999], where `name` is 'sgd', which has \
none; got [0.9, 0.95]
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Positive = 1e-8
    momentum: Share = 0.0
    nesterov: bool = False
    weight_decay: NonNegative = 0.0
    decays: Literal["all", "matrices"] = "all"
    no_decay: tuple[Annotated[str, Rule("texts that are not empty", bool)], ...] = ()

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        defaults = {part.name: part.default for part in fields(type(self))}
        for key in dict.fromkeys(key for keys in OWN.values() for key in keys if key not in OWN[self.name]):
            if (value := getattr(self, key)) != defaults[key]:
                left = f"left at its default, {shown(defaults[key])}, where `name` is '{self.name}', which has none"
                yield f"`{key}` must be {left}; got {shown(value)}"
        if self.name == "sgd" and self.nesterov and not self.momentum:
            yield f"`momentum` must be > 0 where `nesterov` is true; got {self.momentum:g}"

    @property
    def own(self) -> dict[str, Any]:
        """The fields that this optimizer has and others may not have.

        Example:
            >>> OptimizerSettings().own
            {'betas': (0.9, 0.999), 'eps': 1e-08}
        """
        return {key: getattr(self, key) for key in OWN[self.name]}


@settings
class DescentSettings:
    """What every trainer is told: number and size of the steps, the optimizer that takes them, and when to save.

    Args:
        steps: number of optimizer steps, >= 1.
        batch_size: examples per step, >= 1.
        learning_rate: the optimizer's step size after warm-up and before annealing, > 0.
        warm_up: first steps, over which the step size grows linearly from 0, in 0 .. `steps`.
        annealing: how the step size falls from the end of the warm-up on: to 0 at the last step, or, ``inverse_root``,
            with the root of the step, whichever is the last.
        max_grad_norm: largest Euclidean norm of a model's gradient, > 0; longer ones are scaled down to it. Of an
            ensemble, each replica has its own. None leaves all alone.
        optimizer: what takes the steps, and weight decay.
        save_every: steps between saved states, from which a killed run goes on, >= 1.
    """

    steps: Count
    batch_size: Count = 32
    learning_rate: Positive = 3e-4
    warm_up: Whole = 0
    annealing: Annealing = "none"
    max_grad_norm: Positive | None = None
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    save_every: Count = 500

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.warm_up > self.steps:
            yield f"`warm_up` must be an integer in 0 .. `steps`; got {self.warm_up}"

    def rate(self, step: int) -> float:
        r"""Step size of the update that follows `step` others, at most `learning_rate` :math:`= \eta`.

        In a warm-up of w steps it is :math:`\eta (s + 1) / w`. Then :math:`\eta f((s - w) / (S - w))` of S steps in
        all, with f(u) = 1, 1 - u or :math:`(1 + \cos \pi u) / 2`; by ``inverse_root`` :math:`\eta \sqrt{w / s}`, or
        :math:`\eta / \sqrt{s + 1}` where w = 0.

        Example:
            >>> schedule = DescentSettings(100, learning_rate=1.0, warm_up=10, annealing="linear")
            >>> schedule.rate(4), schedule.rate(10), schedule.rate(55)
            (0.5, 1.0, 0.5)
        """
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        falls = {"none": 1.0, "linear": 1.0 - done, "cosine": (1.0 + math.cos(math.pi * done)) / 2}
        falls["inverse_root"] = math.sqrt(self.warm_up / step) if self.warm_up else (step + 1) ** -0.5
        return self.learning_rate * falls[self.annealing]
