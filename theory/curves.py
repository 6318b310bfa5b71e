"""Risk curves over the number of training sequences, as rows of the one result table."""

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory import in_context, in_weight
from theory.context_law import CONTEXTS
from theory.distribution import GROUPS, ClassMixture
from theory.label_votes import LONGEST_EXACT_CONTEXT
from theory.labels import LabelLaw, class_label_law
from theory.phases import BOUNDS, MEASURES, Comparison, risk_bounds
from theory.validation import Floats, require_choice, require_count

__all__ = ["in_context_risk", "in_weight_risk", "risk_rows"]

Row = dict[str, Any]


def in_weight_risk(
    spec: ClassMixture,
    n_sequences: ArrayLike,
    measure: str,
    test_distribution: str,
    *,
    cover_classes: bool,
    beta: float = 1.0,
) -> Floats:
    """Exact risk of the tabular in-weight predictor for each class, shape ``n_sequences.shape + (K,)``.

    With ``cover_classes``, K of the N training queries show every class once and the others are i.i.d.

    Example:
        >>> in_weight_risk(ClassMixture(), [10, 1000], "error", "ibd", cover_classes=False)[:, 9].round(4).tolist()
        [0.7354, 0.0]
    """
    n = require_count("n_sequences", n_sequences, least=spec.n_classes if cover_classes else 0)
    require_choice("measure", measure, MEASURES)
    draws, sure = (n - spec.n_classes, 1) if cover_classes else (n, 0)

    @functools.cache
    def risk(q: float, law: LabelLaw) -> Floats:
        return in_weight.tabular_risk(measure, draws, q, law, beta=beta, n_sure=sure)

    frequencies = enumerate(spec.frequencies)
    return np.stack([risk(q, class_label_law(spec, label, test_distribution)) for label, q in frequencies], axis=-1)


def in_context_risk(
    spec: ClassMixture,
    measure: str,
    *,
    context: str = "relevant",
    temperature: float = 0.1,
    clip: float = 1e-7,
    squared_distance: float = 2.0,
) -> Floats:
    """Exact risk of the softmax similarity h for each class, shape (K,), on clean inputs.

    Args:
        spec: the data.
        measure: ``error`` (0-1; contexts of at most 10 tokens), ``log_loss`` (nats) or ``linear_loss``.
        context: ``relevant``, ``irrelevant`` or ``as_trained``.
        temperature: tau > 0 of the similarity.
        clip: least probability that h gives a label, in (0, 1); of no concern to the other two losses.
        squared_distance: D >= 0 between the centres of two classes.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> in_context_risk(ClassMixture(label_noise=0.1), "error").round(4)[:2].tolist()
        [0.1889, 0.1889]
    """
    how: dict[str, Any] = {"temperature": temperature, "context": context, "squared_distance": squared_distance}
    if require_choice("measure", measure, MEASURES) == "log_loss":
        return in_context.exact_log_loss(spec, clip=clip, **how)
    exact = in_context.exact_error if measure == "error" else in_context.exact_linear_loss
    return exact(spec, **how)


def risk_rows(
    spec: ClassMixture,
    n_sequences: ArrayLike,
    *,
    cover_classes: bool,
    beta: float = 1.0,
    temperature: float = 0.1,
    clip: float = 1e-7,
    squared_distance: float | None = 2.0,
    bounds: str = "tight",
    inputs: str = "told",
) -> list[Row]:
    """Risks of both predictors for each N, test distribution, context and group, exact and between bounds.

    Exact rows are risks on clean inputs (the specification's ``input_noise`` is not looked at): of the tabular add-beta
    predictor, whose query class is known, and of the softmax similarity with class centres at one squared distance.
    Exact 0-1 risks of h are left out for contexts of more than 10 tokens, out-of-base rows where a group of one class
    leaves no remapping.

    Lower and upper rows are in-base, and those that phases are certified by. In-weight: below every in-weight
    predictor, and above the tabular one; tight ones are its exact risk, simple ones do not look at the labels' law.
    In-context: with ``input_noise``, for centres at the one squared distance; left out for noise in one dimension.

    Args:
        spec: the data.
        n_sequences: N, whole numbers >= 0 (>= K when ``cover_classes``), shape () or (M,).
        cover_classes: whether K of the training queries show every class once.
        beta: pseudo-count of each label, > 0.
        temperature: tau > 0 of the similarity.
        clip: least probability that h gives a label, in (0, 1).
        squared_distance: D between class centres; 2 is its mean for independent unit vectors. None averages bounds over
            uniform centres, and leaves out exact risks of h for contexts of more than one token.
        bounds: ``tight`` or ``simple``, as in `theory.phases.Comparison`.
        inputs: ``told`` or ``noisy``, as there: what in-weight predictors of the bounds see; ``noisy`` has bounds of
            the error alone.

    Returns:
        One dict per value with keys ``system`` (``tabular``: add-beta label counts; ``copying``: softmax similarity at
        the temperature; ``nearest_mean``: of noisy inputs, where these are what is seen; ``any_in_weight``: every
        predictor that sees the query alone), ``n``, ``distribution`` (ibd, oobd), ``context`` (relevant, irrelevant,
        as_trained), ``group``, ``measure`` (error, log_loss, linear_loss),
        ``kind`` (exact, lower, upper) and ``value``.

    Raises:
        ValueError: an argument outside its set.

    Example:
        >>> rows = risk_rows(ClassMixture(), [10, 100], cover_classes=True)
        >>> len(rows), rows[0]["system"], rows[0]["group"]
        (432, 'tabular', 'high')
    """
    sizes = np.atleast_1d(require_count("n_sequences", n_sequences, least=spec.n_classes if cover_classes else 0))
    require_choice("bounds", bounds, BOUNDS)
    groups = [group for group in GROUPS if len(spec.group(group))]
    singles = any(len(spec.group(group)) == 1 for group in ("high", "low"))
    distributions = ("ibd",) if singles else ("ibd", "oobd")
    weights: dict[tuple[str, str], Floats] = {
        (measure, distribution): in_weight_risk(
            spec, sizes, measure, distribution, cover_classes=cover_classes, beta=beta
        )
        for measure in MEASURES
        for distribution in distributions
    }
    curves: list[tuple[Row, Floats]] = []
    for context in CONTEXTS:
        copies = _in_context_risks(spec, context, temperature, clip, squared_distance)
        for (measure, distribution), by_size in weights.items():
            systems = {"tabular": by_size}
            if measure in copies:
                systems["copying"] = np.broadcast_to(copies[measure], by_size.shape)
            for system, risks in systems.items():
                key = {"system": system, "distribution": distribution, "context": context, "measure": measure}
                curves += [({**key, "group": g, "kind": "exact"}, spec.group_mean(risks, g)) for g in groups]
        known = MEASURES if inputs == "told" else ("error",)
        for measure in known if spec.dim > 1 or spec.input_noise == 0 or spec.context_length == 1 else ():
            compare = Comparison(
                measure, context, temperature, clip, squared_distance, cover_classes, beta, bounds, inputs
            )
            upper = "tabular" if inputs == "told" else "nearest_mean"
            for group, ends in risk_bounds([spec], sizes, compare).items():
                key = {"distribution": "ibd", "context": context, "measure": measure, "group": group}
                curves += [
                    ({"system": "any_in_weight", **key, "kind": "lower"}, ends.in_weight_lower[0]),
                    ({"system": upper, **key, "kind": "upper"}, ends.in_weight_upper[0]),
                    ({"system": "copying", **key, "kind": "lower"}, ends.in_context_lower[0]),
                    ({"system": "copying", **key, "kind": "upper"}, ends.in_context_upper[0]),
                ]
    return [
        {**key, "n": int(n), "value": float(value)}
        for key, values in curves
        for n, value in zip(sizes, values, strict=True)
    ]


def _in_context_risks(
    spec: ClassMixture, context: str, temperature: float, clip: float, squared_distance: float | None
) -> dict[str, Floats]:
    if squared_distance is None and spec.context_length > 1:
        return {}
    distance = 2.0 if squared_distance is None else squared_distance  # of no concern to one token
    is_short = spec.context_length <= LONGEST_EXACT_CONTEXT
    return {
        measure: in_context_risk(
            spec, measure, context=context, temperature=temperature, clip=clip, squared_distance=distance
        )
        for measure in ("log_loss", "linear_loss", "error")
        if measure != "error" or is_short
    }
