"""What the explorer shows: one setting of all that theory asks for, and the settings of the studies behind each part.

Every number on the screen is of the study `phases`, `bounds` or `kinetics` with these settings, so that the command of
that study gives the same one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from gating.settings import read_flags
from gating.settings.text import as_plain, flat, flow
from gating.studies.bounds.config import BoundsConfig
from gating.studies.kinetics.config import LONGEST, KineticsConfig
from gating.studies.phases.config import PhasesConfig
from theory.fields import Positive, Probability, quoted
from theory.settings import SpecError, field_types, settings

__all__ = ["COARSE", "PARTS", "SIZES", "Setting", "bounds_of", "is_slow", "kinetics_of", "map_of", "read_setting",
           "texts_of", "without_point"]  # fmt: skip

PARTS = ("map", "curves", "kinetics")
"""What is shown of a setting, each by a study of its own."""

SIZES = (*(digit * 10**power for power in range(7) for digit in (1, 2, 5)), 10**7)
"""Numbers of training sequences of the curves."""

COARSE = slice(2, None, 5)
"""Points of an axis that a coarse map has: every fifth, from the middle of the first five."""

MOST_CLASSES, LONGEST_CONTEXT, MOST_POINTS = 200, 64, 60
LONGEST_ADDRESS = 4000
"""Characters; there is nothing to say that takes more."""

MOST_FREQUENCIES = 8
"""Different frequencies of classes up to which a map is quick."""


@settings
class Setting(PhasesConfig):
    """One setting of the explorer: data, comparison, the two axes of the map, and rates of learning.

    Args:
        steps: how many training steps are followed, in 1 .. 10^12.
        weight_rate: learning rate of the weights per step.
        gate_rate: learning rate of the gate.
        copier_rate: learning rate of the copier.
        shared_gate: whether all classes have one gate.
        by_heart: whether training rows are learnt by heart.
        level: accuracy, or gate, in (0, 1) whose passing counts.
    """

    steps: Annotated[int, Field(ge=1, le=LONGEST)] = 100_000
    weight_rate: Positive = 1.0
    gate_rate: Positive = 1.0
    copier_rate: Positive = 1.0
    shared_gate: bool = False
    by_heart: bool = False
    level: Probability = 0.5

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, and what would take too long; one sentence each."""
        too_much = list(self._sizes())
        yield from too_much or super().problems()

    def _sizes(self) -> Iterator[str]:
        spec = self.distribution
        largest: dict[str, Any] = {"n_high": spec.n_high, "n_low": spec.n_low, "context_length": spec.context_length}
        for name, axis in (("x", self.x), ("y", self.y)):
            points = len(axis.values) if axis.values else axis.count
            if points > MOST_POINTS:
                yield f"`{name}` must have at most {MOST_POINTS} points in the explorer; got {points}"
            ends = [end for end in axis.values or (axis.high,) if not isinstance(end, str)]
            if axis.field in largest and ends:
                largest[axis.field] = max(largest[axis.field], *ends)
        classes = largest["n_high"] + largest["n_low"]
        if classes > MOST_CLASSES:
            yield f"there must be at most {MOST_CLASSES} classes in the explorer; got up to {classes:g}"
        if largest["context_length"] > LONGEST_CONTEXT:
            longest = largest["context_length"]
            yield f"`distribution.context_length` must be at most {LONGEST_CONTEXT} in the explorer; got {longest}"


def map_of(setting: Setting) -> PhasesConfig:
    """Settings of the study `phases` behind the map."""
    return PhasesConfig(**{field.name: getattr(setting, field.name) for field in fields(PhasesConfig)})


def bounds_of(setting: Setting) -> BoundsConfig:
    """Settings of the study `bounds` behind the curves over N.

    Raises:
        SpecError: the study does not take the setting, such as distances between a least and a largest one.
    """
    spec = setting.distribution
    groups = tuple(group for group in ("high", "low") if len(spec.group(group)))
    least = spec.n_classes if setting.cover_classes else 0
    same = ("cover_classes", "beta", "temperature", "clip", "squared_distance", "bounds", "inputs")
    given: dict[str, Any] = {name: getattr(setting, name) for name in same}
    return BoundsConfig(
        distribution=spec,
        n_sequences=tuple(n for n in SIZES if n >= least),
        measures=(setting.measure,),
        contexts=(setting.context,),
        groups=groups,
        **given,
    )


def kinetics_of(setting: Setting) -> KineticsConfig:
    """Settings of the study `kinetics` behind the curves over training steps."""
    same = ("distribution", "steps", "weight_rate", "gate_rate", "copier_rate", "shared_gate", "by_heart", "level")
    given: dict[str, Any] = {name: getattr(setting, name) for name in same}
    return KineticsConfig(n_sequences=(setting.n_sequences,), **given)


def without_point(config: PhasesConfig) -> PhasesConfig:
    """The same map, with what its axes replace at their first values: equal for all points of one map.

    Example:
        >>> from theory.distribution import ClassMixture
        >>> one = PhasesConfig(n_sequences=9, distribution=ClassMixture(p_high=0.6))
        >>> without_point(one) == without_point(PhasesConfig(n_sequences=8))
        True
    """
    changes: dict[str, Any] = {axis.field: axis.points[0] for axis in (config.x, config.y)}
    n = changes.pop("n_sequences", config.n_sequences)
    spec = config.distribution
    for name, value in changes.items():  # one by one: both together may be a setting that no map shows
        try:
            spec = replace(spec, **{name: value})
        except SpecError:
            return config
    try:
        return replace(config, distribution=spec, n_sequences=n)
    except SpecError:
        return config


def is_slow(config: PhasesConfig) -> bool:
    """Whether a map takes longer than a reader who moves a slider waits for, so that a coarse one is shown first.

    Example:
        >>> is_slow(PhasesConfig()), is_slow(PhasesConfig(inputs="noisy", squared_distance=None))
        (False, True)
    """
    kinds = len(np.unique(config.distribution.frequencies))
    fields_of = {config.x.field, config.y.field}
    quick = {"n_sequences", "p_high"} | ({"p_relevant"} if config.distribution.context_length == 1 else set())
    return (
        config.inputs == "noisy" or kinds > MOST_FREQUENCIES or "n_sequences" not in fields_of or not fields_of <= quick
    )


def read_setting(texts: Mapping[str, str]) -> Setting:
    """The setting that an address gives, each value a text as of a flag of a command.

    Raises:
        SpecError: with a sentence for each thing that is wrong.

    Example:
        >>> read_setting({"distribution.label_noise": "0.05", "x.field": "dim", "x.low": "2"}).x.low
        2.0
        >>> read_setting({"distribution.dimm": "4"})
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: unknown key `distribution.dimm`; did you mean `distribution.dim`?
    """
    if sum(len(key) + len(text) for key, text in texts.items()) > LONGEST_ADDRESS:
        raise SpecError([f"an address must have at most {LONGEST_ADDRESS} characters of settings; this one has more"])
    known = field_types(Setting)
    strange = [key for key in texts if key in ("config", "preset", "study") or not key.replace(".", "").isidentifier()]
    if strange:
        raise SpecError([f"unknown key {quoted(key)}" for key in strange])
    whole = [key for key in texts if key in ("distribution", "x", "y")]
    if whole:
        raise SpecError([f"`{key}` must be given field by field, such as `{key}.{first(known, key)}`" for key in whole])
    return read_flags([f"--{key}={text}" for key, text in texts.items()], Setting)[0]


def first(known: Mapping[str, Any], section: str) -> str:
    """The first field of a section."""
    return next(key for key in known if key.startswith(f"{section}.")).partition(".")[2]


def texts_of(setting: Setting) -> dict[str, str]:
    """Every value of a setting as text, by name; `read_setting` gives the setting again.

    Example:
        >>> texts = texts_of(Setting())
        >>> texts["distribution.p_high"], texts["x.values"], read_setting(texts) == Setting()
        ('0.9', 'null', True)
    """
    return {
        name: value if isinstance(value, str) else flow(value)
        for name, value in flat(as_plain(setting))
        if name.rpartition(".")[2] != "study"
    }
