"""Where in-weight beats in-context and where it does not: certified phases, phase diagrams.

A point is certified *ICL* for a group of classes when the in-context risk is bounded from above by less than what every
in-weight predictor must pay, and certified *IWL* when the tabular in-weight predictor is bounded from above by less
than what the in-context predictor must pay; otherwise it is undecided. All bounds hold in expectation over training
sets; see `theory.in_weight_lower_bounds` for what "every in-weight predictor" means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import in_context_noise, in_weight, in_weight_bounds
from theory import in_weight_lower_bounds as lower_bounds
from theory.context_law import CONTEXTS
from theory.distribution import GROUPS, ClassMixture
from theory.fields import NonNegative, Positive, Probability, Rule, one_of
from theory.in_context_noise import MEASURES
from theory.label_learning import noise_entropy
from theory.labels import LabelLaw, label_law
from theory.noisy_grids import noisy_grid
from theory.noisy_inputs import noisy_input_bounds
from theory.settings import settings
from theory.validation import Floats, require_choice, require_count

__all__ = [
    "BOUNDS",
    "ICL",
    "INPUTS",
    "IWL",
    "MEASURES",
    "UNDECIDED",
    "Comparison",
    "PhaseDiagram",
    "RiskBounds",
    "noisy_problems",
    "phase_diagram",
    "risk_bounds",
]


IWL, UNDECIDED, ICL = -1, 0, 1
BOUNDS = ("tight", "simple")
INPUTS = ("told", "noisy")
_ROUNDING = 1e-11  # exact values may be wrong by 1e-12


Distances = Annotated[tuple[NonNegative, NonNegative], Rule("ordered", lambda ends: ends[0] <= ends[1])]


@settings
class Comparison:
    """What is compared: one loss, one kind of context, one in-context predictor, one way to bound.

    Args:
        measure: ``error`` (0-1), ``log_loss`` (nats) or ``linear_loss``.
        context: ``relevant``, ``irrelevant`` or ``as_trained``.
        temperature: tau > 0 of the similarity.
        clip: least probability that h gives a label, in (0, 1).
        squared_distance: D >= 0 between class centres; a number for equidistant centres, or the least and the largest.
            None averages risks over independent uniform centres.
        cover_classes: whether K of the N training queries show every class once.
        beta: pseudo-count > 0 of the tabular predictor; simple bounds are about 1.
        bounds: ``tight`` uses exact risks and Bayes risks where they are known, ``simple`` closed forms that do not
            look at the label law: add-one and total-variation bounds from above, unseen classes from below.

    Raises:
        SpecError: with a sentence for each argument outside its set.

    Example:
        >>> Comparison(measure="hinge")
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: `measure` must be one of ('error', 'log_loss', 'linear_loss'); got 'hinge'
    """

    measure: Annotated[str, one_of(MEASURES)] = "error"
    context: Annotated[str, one_of(CONTEXTS)] = "relevant"
    temperature: Positive = 0.1
    clip: Probability = 1e-7
    squared_distance: NonNegative | Distances | None = 2.0
    cover_classes: bool = False
    beta: Positive = 1.0
    bounds: Annotated[str, one_of(BOUNDS)] = "tight"
    inputs: Annotated[str, one_of(INPUTS)] = "told"

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.inputs == "noisy":
            yield from noisy_problems(self.measure, self.bounds, self.squared_distance)


def noisy_problems(measure: str, bounds: str, squared_distance: float | tuple[float, float] | None) -> Iterator[str]:
    """What bounds for learners from noisy inputs are not known for, one sentence each."""
    for name, value, known in (("measure", measure, "error"), ("bounds", bounds, "tight")):
        if value != known:
            yield f"`{name}` must be {known} where `inputs` is noisy; got {value!r}"
    if squared_distance is not None:
        yield f"`squared_distance` must be None (uniform centres) where `inputs` is noisy; got {squared_distance}"


@dataclass(frozen=True)
class RiskBounds:
    """Bounds of both predictors over a grid of specifications and sample sizes, each of shape (S, M).

    ``in_weight_lower`` holds for every in-weight predictor, ``in_weight_upper`` for the tabular one; where inputs are
    noisy, for every learner from them, and for nearest means.
    """

    in_weight_lower: Floats
    in_weight_upper: Floats
    in_context_lower: Floats
    in_context_upper: Floats

    @property
    def phases(self) -> NDArray[np.int8]:
        """1 where ICL is certified, -1 where IWL is, 0 where neither is or both bounds agree to 1e-11 (relative)."""
        icl = self.in_context_upper < self.in_weight_lower * (1 - _ROUNDING)
        iwl = self.in_weight_upper < self.in_context_lower * (1 - _ROUNDING)
        return icl.astype(np.int8) - iwl.astype(np.int8)


def risk_bounds(specs: Sequence[ClassMixture], n_sequences: ArrayLike, compare: Comparison) -> dict[str, RiskBounds]:
    """Bounds of both predictors for each specification, sample size and group.

    Lower and upper bounds, in expectation; equal to each other where exact values are known.

    Args:
        specs: S specifications.
        n_sequences: N, whole numbers >= 0 (>= K with ``cover_classes``), shape () or (M,).
        compare: what is compared.

    Returns:
        For each group that no specification leaves empty, bounds of shape (S, M).

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> bounds = risk_bounds([ClassMixture(label_noise=0.1)], [10, 10**4], Comparison())["low"]
        >>> bounds.phases.tolist()
        [[1, -1]]
    """
    sizes = np.atleast_1d(require_count("n_sequences", n_sequences))
    groups = [g for g in GROUPS if all(len(spec.group(g)) for spec in specs)]
    if compare.inputs == "noisy":
        ends = [noisy_input_bounds(sizes, spec, cover_classes=compare.cover_classes) for spec in specs]
        in_weight = {g: np.stack([each[g] for each in ends], axis=1) for g in groups}
    else:
        in_weight = _told_sides(specs, sizes, compare, groups)
    return _beside_context(specs, sizes, compare, in_weight)


def _beside_context(
    specs: Sequence[ClassMixture], sizes: Floats, compare: Comparison, in_weight: Mapping[str, Floats]
) -> dict[str, RiskBounds]:
    """Bounds of both predictors from those (S, M) of the in-weight one."""
    sides = [
        in_context_noise.risk_bounds(
            spec,
            compare.measure,
            temperature=compare.temperature,
            clip=compare.clip,
            squared_distance=compare.squared_distance,
            context=compare.context,
        )
        for spec in specs
    ]
    bounds = {}
    for group, (least, most) in in_weight.items():
        means = np.array([[spec.group_mean(r, group) for r in each] for spec, each in zip(specs, sides, strict=True)])
        lower, upper = (np.broadcast_to(side[:, None], (len(specs), len(sizes))) for side in means.T)
        bounds[group] = RiskBounds(least, most, lower, upper)
    return bounds


def _told_sides(
    specs: Sequence[ClassMixture], sizes: Floats, compare: Comparison, groups: Sequence[str]
) -> dict[str, Floats]:
    """Lower and upper bounds (2, S, M) of each group, where the in-weight predictor is told the class."""
    sides = _in_weight_sides(specs, sizes, compare)
    return {
        g: np.stack([[spec.group_mean(r, g) for r in ends] for spec, ends in zip(specs, sides, strict=True)], axis=1)
        for g in groups
    }


def _in_weight_sides(specs: Sequence[ClassMixture], sizes: Floats, compare: Comparison) -> list[tuple[Floats, Floats]]:
    """Lower and upper bounds (M, K) for each specification; classes with one label law are done in one call."""
    members: dict[LabelLaw, list[int]] = {}
    for s, spec in enumerate(specs):
        law = label_law(spec.n_classes, spec.label_noise, spec.label_noise_kind)
        members.setdefault(law, []).append(s)
    sides: dict[int, tuple[Floats, Floats]] = {}
    for law, places in members.items():
        q, classes = np.unique([specs[s].frequencies for s in places], return_inverse=True)
        lower, upper = _in_weight_ends(law, sizes, q[:, None], compare)
        for s, of_class in zip(places, classes.reshape(len(places), -1), strict=True):
            sides[s] = (lower[of_class].T, upper[of_class].T)
    return [sides[s] for s in range(len(specs))]


def _in_weight_ends(law: LabelLaw, sizes: Floats, q: Floats, compare: Comparison) -> tuple[Floats, Floats]:
    n, sure = (sizes - law.n_labels, 1) if compare.cover_classes else (sizes, 0)
    if (n < 0).any():
        raise ValueError(f"`n_sequences` must be at least the {law.n_labels} classes covered; got {sizes.min():.0f}")
    data: dict[str, Any] = {"label_noise": law.label_noise, "label_noise_kind": law.label_noise_kind, "n_sure": sure}
    is_log = compare.measure == "log_loss"
    if compare.bounds == "tight":
        lower_bound = lower_bounds.log_loss_lower_bound if is_log else lower_bounds.error_lower_bound
        upper = in_weight.tabular_risk(compare.measure, n, q, law, beta=compare.beta, n_sure=sure)
        return lower_bound(n, q, law.n_labels, **data), upper
    lower_bound = lower_bounds.unseen_log_loss_lower_bound if is_log else lower_bounds.unseen_error_lower_bound
    lower, best = lower_bound(n, q, law.n_labels, **data), max(share.trained for share in law.shares)
    if is_log:
        entropy = noise_entropy(law.n_labels, law.label_noise, law.label_noise_kind)
        return lower, in_weight_bounds.log_loss_upper_bound(n, q, law.n_labels, entropy=entropy, n_sure=sure)
    if compare.measure == "error":
        return lower, in_weight_bounds.error_upper_bound(n, q, law.n_labels, bayes_error=1 - best, n_sure=sure)
    return lower, in_weight_bounds.linear_loss_upper_bound(n, q, law.n_labels, collision=best**2, n_sure=sure)


@dataclass(frozen=True)
class PhaseDiagram:
    """Certified phases of one group over two parameters.

    Args:
        x, y: names of the parameters: fields of `ClassMixture`, or ``n_sequences``.
        x_values, y_values: their values.
        bounds: the bounds behind the phases, arrays of shape (len(y_values), len(x_values)).
    """

    x: str
    y: str
    x_values: tuple[Any, ...]
    y_values: tuple[Any, ...]
    group: str
    compare: Comparison
    bounds: RiskBounds

    @property
    def phases(self) -> NDArray[np.int8]:
        """Shape (len(y_values), len(x_values)): 1 ICL, -1 IWL, 0 undecided."""
        return self.bounds.phases

    @property
    def shares(self) -> dict[str, float]:
        """Share of points in each phase, keys ``icl``, ``iwl`` and ``undecided``."""
        codes = {"icl": ICL, "iwl": IWL, "undecided": UNDECIDED}
        return {name: float((self.phases == code).mean()) for name, code in codes.items()}


def phase_diagram(
    spec: ClassMixture,
    x: str,
    x_values: Sequence[Any],
    y: str,
    y_values: Sequence[Any],
    *,
    compare: Comparison,
    n_sequences: int | None = None,
) -> dict[str, PhaseDiagram]:
    """Certified phases over any two fields of the specification, or one field and N.

    Args:
        spec: the data; its fields ``x`` and ``y`` are replaced point by point.
        x: name of a field of `ClassMixture`, or ``n_sequences`` for N.
        x_values: its values, at least one.
        y: another such name.
        y_values: its values, at least one.
        compare: what is compared.
        n_sequences: N, where neither axis is it.

    Returns:
        One diagram for each group that is never empty.

    Raises:
        ValueError: an argument outside its set, or a value that the specification refuses.

    Example:
        >>> diagrams = phase_diagram(
        ...     ClassMixture(label_noise=0.05),
        ...     *("n_sequences", [10, 1000, 10**5]),
        ...     *("p_high", [0.5, 0.9]),
        ...     compare=Comparison(),
        ... )
        >>> diagrams["low"].phases.tolist()
        [[1, -1, -1], [1, -1, -1]]
    """
    names = (*ClassMixture.__dataclass_fields__, "n_sequences")
    require_choice("x", x, names)
    require_choice("y", y, [name for name in names if name != x])
    axes = {x: list(x_values), y: list(y_values)}
    for name, values in axes.items():
        if not values:
            raise ValueError(f"`{name}` must have at least one value; got none")
    sizes = axes.get("n_sequences", [n_sequences])
    if sizes == [None]:
        raise ValueError("`n_sequences` must be given when neither axis is it; got None")
    order = sorted(axes, key=lambda name: name == "n_sequences")  # as risk_bounds has them: sizes last
    fields = [name for name in order if name != "n_sequences"]
    specs = [replace(spec, **dict(zip(fields, v, strict=True))) for v in product(*(axes[f] for f in fields))]
    diagrams = {}
    for group, flat in _plane(specs, np.array(sizes), compare, [(name, axes[name]) for name in order]).items():
        sides = {
            name: np.moveaxis(values.reshape([len(axes[axis]) for axis in order]), order.index(y), 0)
            for name, values in vars(flat).items()
        }
        diagrams[group] = PhaseDiagram(x, y, tuple(axes[x]), tuple(axes[y]), group, compare, RiskBounds(**sides))
    return diagrams


def _plane(
    specs: Sequence[ClassMixture], n_sequences: ArrayLike, compare: Comparison, axes: list[tuple[str, list[Any]]]
) -> dict[str, RiskBounds]:
    """`risk_bounds` of all points of a plane, those for noisy inputs interpolated."""
    if compare.inputs == "told":
        return risk_bounds(specs, n_sequences, compare)
    sizes = require_count("n_sequences", n_sequences)
    rows = np.reshape(np.array(specs, dtype=object), (len(axes[0][1]), -1)).tolist()
    found = noisy_grid(rows, sizes, axes, cover_classes=compare.cover_classes)
    shape = len(specs), len(sizes)
    in_weight = {group: np.reshape(ends, (2, *shape)) for group, ends in found.items()}
    return _beside_context(specs, sizes, compare, in_weight)
