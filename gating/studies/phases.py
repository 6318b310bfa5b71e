"""Certified phases over any two fields of the data, or a field and N, as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from gating.evaluation.table import make_table, setting_text
from theory.context_law import CONTEXTS
from theory.distribution import ClassMixture, SpecError
from theory.phases import BOUNDS, MEASURES, Comparison, PhaseDiagram, phase_diagram
from theory.validation import LARGEST_COUNT

__all__ = ["Axis", "PhasesConfig", "phases_table"]

FIELDS = ("n", *ClassMixture.__dataclass_fields__)
WHOLE = ("n", "n_high", "n_low", "context_length", "n_relevant", "dim")
MOST_VALUES = 1000
Value = int | float | str


@dataclass(frozen=True)
class Axis:
    """Values of a field of the data, or of N.

    Args:
        field: ``n`` for the number of training sequences, or a field of the data such as p_high or label_noise.
        low: smallest value.
        high: largest value.
        count: number of values from low to high, in 2 .. 1000; whole-number fields are rounded, each kept once.
        scale: ``linear`` or ``log`` spacing.
        values: the values themselves; takes the place of low, high, count and scale.
    """

    field: str = "n"
    low: float = 10.0
    high: float = 1e7
    count: int = 60
    scale: Literal["linear", "log"] = "log"
    values: tuple[Value, ...] | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.field not in FIELDS:
            problems.append(f"`field` must be one of {FIELDS}; got {self.field!r}")
        if self.values is not None and not 1 <= len(set(self.values)) == len(self.values) <= MOST_VALUES:
            problems.append(f"`values` must be 1 .. 1000 distinct values; got {list(self.values)}")
        if not -math.inf < self.low < self.high < math.inf or (self.scale == "log" and self.low <= 0):
            allowed = "0 < low < high" if self.scale == "log" else "low < high"
            problems.append(f"`low` and `high` must satisfy {allowed}; got {self.low} and {self.high}")
        if not 2 <= self.count <= MOST_VALUES:
            problems.append(f"`count` must be an integer in 2 .. 1000; got {self.count!r}")
        if problems:
            raise SpecError(problems)

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


@dataclass(frozen=True)
class PhasesConfig:
    """Where is in-context learning certain to win, where in-weight learning, and where can neither be proved?

    Args:
        study: name of the study.
        distribution: the data; the fields of the two axes are replaced point by point.
        x: the horizontal axis.
        y: the vertical axis, of another field.
        n_sequences: N where neither axis is ``n``, a whole number in 0 .. 2^53.
        measure: loss, of error (0-1), log_loss (nats), linear_loss.
        context: kind of context, of relevant, irrelevant, as_trained.
        temperature: temperature > 0 of the similarity h.
        clip: least probability that h gives a label, in (0, 1).
        squared_distances: least and largest squared distance between class centres; null averages risks over
            independent centres uniform on the sphere.
        cover_classes: whether K of the training queries show every class once.
        beta: pseudo-count > 0 of the tabular g.
        bounds: ``tight`` (exact and Bayes risks where they are known) or ``simple`` (closed forms).
    """

    study: Literal["phases"] = "phases"
    distribution: ClassMixture = field(default_factory=lambda: ClassMixture(label_noise=0.05))
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=lambda: Axis("p_high", 0.5, 0.99, scale="linear"))
    n_sequences: int = 1000
    measure: str = "error"
    context: str = "relevant"
    temperature: float = 0.1
    clip: float = 1e-7
    squared_distances: tuple[float, float] | None = (2.0, 2.0)
    cover_classes: bool = False
    beta: float = 1.0
    bounds: str = "tight"

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpecError(problems)

    def _problems(self) -> Iterator[str]:
        if self.x.field == self.y.field:
            yield f"`x.field` and `y.field` must differ; got {self.x.field!r} for both"
        for name, choices in (("measure", MEASURES), ("context", CONTEXTS), ("bounds", BOUNDS)):
            if getattr(self, name) not in choices:
                yield f"`{name}` must be one of {choices}; got {getattr(self, name)!r}"
        for name in ("temperature", "beta"):
            if not 0 < getattr(self, name) < math.inf:
                yield f"`{name}` must be a finite number > 0; got {getattr(self, name)!r}"
        if not 0 < self.clip < 1:
            yield f"`clip` must be in (0, 1); got {self.clip!r}"
        if self.squared_distances is not None and not 0 < self.squared_distances[0] <= self.squared_distances[1] <= 4:
            yield f"`squared_distances` must be null or 0 < least <= largest <= 4; got {self.squared_distances}"
        least = self.distribution.n_classes if self.cover_classes else 0
        sizes = next((axis.points for axis in (self.x, self.y) if axis.field == "n"), (self.n_sequences,))
        outside = [n for n in sizes if not isinstance(n, int) or not least <= n <= LARGEST_COUNT]
        if outside:
            yield f"`n_sequences`, or the axis `n`, must hold integers in {least} .. 2^53; got {outside[0]!r}"
        yield from self._axis_problems()

    def _axis_problems(self) -> Iterator[str]:
        """Values that the data refuse: the first of each axis."""
        for name, axis in (("x", self.x), ("y", self.y)):
            for value in axis.points if axis.field != "n" else ():
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
            squared_distances=self.squared_distances,
            covered=self.cover_classes,
            beta=self.beta,
            bounds=self.bounds,
        )


def phases_table(config: PhasesConfig) -> pd.DataFrame:
    """Phase, and the bounds that decide it, of each point and group; then the share of points in each phase.

    ``phase`` is 1 (certified ICL), -1 (certified IWL) or 0 (undecided). ``setting`` holds the fields of
    the point, ``n`` its N. Shares have the measures ``share_icl``, ``share_iwl`` and ``share_undecided``.

    Example:
        >>> table = phases_table(PhasesConfig(x=Axis("n", values=(10, 1000)), y=Axis("p_high", values=(0.5, 0.9))))
        >>> points = table[(table["measure"] == "phase") & (table["group"] == "low")]
        >>> points[["n", "setting", "value"]].values.tolist()[1:3]
        [[1000, 'p_high=0.5', -1.0], [10, 'p_high=0.9', 1.0]]
    """
    diagrams = phase_diagram(
        config.distribution,
        config.x.field,
        config.x.points,
        config.y.field,
        config.y.points,
        compare=config.compare,
        n_sequences=config.n_sequences,
    )
    shared = {"study": "phases", "distribution": "ibd", "context": config.context}
    parts = [pd.DataFrame(_points(config, diagram)) for diagram in diagrams.values()]
    shares = [
        {"system": "theory", "group": group, "measure": f"share_{name}", "kind": "exact", "value": share}
        for group, diagram in diagrams.items()
        for name, share in diagram.shares.items()
    ]
    rows = pd.concat([*parts, pd.DataFrame(shares)], ignore_index=True).assign(**shared)
    return make_table(rows)


def _points(config: PhasesConfig, diagram: PhaseDiagram) -> dict[str, Any]:
    """Columns of the points of one group: five values for each."""
    places = [{diagram.x: x, diagram.y: y} for y in diagram.y_values for x in diagram.x_values]
    bounds = diagram.bounds
    kinds = (
        ("theory", "phase", "exact", diagram.phases),
        ("in_weight", config.measure, "lower", bounds.in_weight_lower),
        ("in_weight", config.measure, "upper", bounds.in_weight_upper),
        ("in_context", config.measure, "lower", bounds.in_context_lower),
        ("in_context", config.measure, "upper", bounds.in_context_upper),
    )
    names = [(system, measure, kind) for system, measure, kind, _ in kinds for _ in places]
    system, measure, kind = zip(*names, strict=True)
    return {
        "system": system,
        "measure": measure,
        "kind": kind,
        "group": diagram.group,
        "n": [place.get("n", config.n_sequences) for place in places] * len(kinds),
        "setting": [setting_text({k: v for k, v in place.items() if k != "n"}) for place in places] * len(kinds),
        "value": np.concatenate([np.ravel(values) for *_, values in kinds]).astype(np.float64),
    }
