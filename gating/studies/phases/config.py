"""Settings of the study `phases`."""

import math
from collections.abc import Iterator
from dataclasses import field, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from theory.context_law import CONTEXTS
from theory.distribution import ClassMixture
from theory.fields import DIFFERENT, EXACT, LARGEST_WHOLE, Positive, Probability, one_of
from theory.phases import BOUNDS, INPUTS, MEASURES, Comparison, noisy_problems
from theory.settings import SpecError, settings

__all__ = ["Axis", "PhasesConfig", "Value"]

FIELDS = ("n_sequences", *ClassMixture.__dataclass_fields__)
WHOLE = ("n_sequences", "n_high", "n_low", "context_length", "n_relevant", "dim")
MOST_VALUES = 1000
Value = Annotated[int, EXACT] | float | str


@settings
class Axis:
    """Values of a field of the data, or of N.

    Args:
        field: ``n_sequences``, or a field of the data such as p_high or label_noise.
        low: smallest value.
        high: largest value.
        count: number of values from low to high, in 2 .. 1000; whole-number fields are rounded, each kept once.
        scale: ``linear`` or ``log`` spacing.
        values: the values themselves; takes the place of low, high, count and scale.
    """

    field: Annotated[str, one_of(FIELDS)] = "n_sequences"
    low: float = 10.0
    high: float = 1e7
    count: Annotated[int, Field(ge=2, le=MOST_VALUES)] = 60
    scale: Literal["linear", "log"] = "log"
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=MOST_VALUES), DIFFERENT] | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if not 0 < self.high - self.low < math.inf or (self.scale == "log" and self.low <= 0):
            allowed = "0 < low < high" if self.scale == "log" else "low < high"
            yield f"`low` and `high` must satisfy {allowed}; got {self.low} and {self.high}"

    @property
    def column(self) -> str:
        """Column of the result table that holds the values: ``n`` for N, or the field's own name."""
        return "n" if self.field == "n_sequences" else self.field

    @property
    def points(self) -> tuple[Value, ...]:
        """The values of the axis, in order."""
        if self.values is not None:
            return self.values
        spread = np.geomspace if self.scale == "log" else np.linspace
        grid = spread(self.low, self.high, self.count)
        if self.field in WHOLE:
            return tuple(int(v) for v in np.unique(grid.round()))
        return tuple(float(v) for v in grid)


@settings
class PhasesConfig:
    """Settings of the study `phases`.

    Args:
        study: name of the study.
        distribution: the data; the fields of the two axes are replaced point by point.
        x: the horizontal axis.
        y: the vertical axis, of another field.
        n_sequences: N where neither axis is it, a whole number in 0 .. 2^53.
        measure: loss, of error (0-1), log_loss (nats), linear_loss.
        context: kind of context, of relevant, irrelevant, as_trained.
        temperature: temperature > 0 of the similarity h.
        clip: least probability that h gives a label, in (0, 1).
        squared_distance: squared distance between class centres in (0, 4], a number or the least and the largest;
            null averages risks over independent centres uniform on the sphere.
        cover_classes: whether K of the training queries show every class once.
        beta: pseudo-count > 0 of the tabular g.
        bounds: ``tight`` (exact and Bayes risks where they are known) or ``simple`` (closed forms).
        inputs: what in-weight predictors see: ``told`` (the class of each query) or ``noisy`` (noisy inputs and
            labels, never the class; for the error alone, tight bounds and a squared distance of null).
    """

    study: Literal["phases"] = "phases"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=lambda: Axis("p_high", 0.5, 0.99, scale="linear"))
    n_sequences: Annotated[int, Field(ge=0, le=LARGEST_WHOLE)] = 1000
    measure: Annotated[str, one_of(MEASURES)] = "error"
    context: Annotated[str, one_of(CONTEXTS)] = "as_trained"
    temperature: Positive = 0.1
    clip: Probability = 1e-7
    squared_distance: float | tuple[float, float] | None = 2.0
    cover_classes: bool = False
    beta: Positive = 1.0
    bounds: Annotated[str, one_of(BOUNDS)] = "tight"
    inputs: Annotated[str, one_of(INPUTS)] = "told"

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.x.field == self.y.field:
            yield f"`x.field` and `y.field` must differ; got {self.x.field!r} for both"
        least, largest = np.broadcast_to(2.0 if self.squared_distance is None else self.squared_distance, 2)
        if not 0 < least <= largest <= 4:
            yield f"`squared_distance` must be null or 0 < least <= largest <= 4; got {self.squared_distance}"
        fewest = self.distribution.n_classes if self.cover_classes else 0
        sizes = next((axis.points for axis in (self.x, self.y) if axis.field == "n_sequences"), (self.n_sequences,))
        outside = [n for n in sizes if not isinstance(n, int) or not fewest <= n <= LARGEST_WHOLE]
        if outside:
            yield f"`n_sequences`, or its axis, must hold integers in {fewest} .. 2^53; got {outside[0]!r}"
        if self.inputs == "noisy":
            yield from noisy_problems(self.measure, self.bounds, self.squared_distance)
        yield from self._axis_problems()

    def _axis_problems(self) -> Iterator[str]:
        """Values that the data refuse: the first of each axis."""
        for name, axis in (("x", self.x), ("y", self.y)):
            for value in axis.points if axis.field != "n_sequences" else ():
                try:
                    changed: dict[str, Any] = {axis.field: value}
                    replace(self.distribution, **changed)
                except SpecError as error:
                    yield from (f"on axis `{name}`, {problem}" for problem in error.problems)
                    break

    @property
    def compare(self) -> Comparison:
        """What is compared, in the terms of the theory."""
        return Comparison(
            measure=self.measure,
            context=self.context,
            temperature=self.temperature,
            clip=self.clip,
            squared_distance=self.squared_distance,
            cover_classes=self.cover_classes,
            beta=self.beta,
            bounds=self.bounds,
            inputs=self.inputs,
        )
