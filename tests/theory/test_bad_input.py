"""Every argument of every public function of risks and phases: a named error or a value, never a silent NaN."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from theory import (
    crossovers,
    curves,
    in_context,
    in_context_bounds,
    in_context_noise,
    in_weight,
    in_weight_bounds,
    in_weight_lower_bounds,
    labels,
    phases,
    token_distances,
)
from theory.distribution import ClassMixture
from theory.labels import label_law

SPEC = ClassMixture(n_high=2, n_low=2, label_noise=0.1, context_length=2)
COMPARE = phases.Comparison()
VALID: dict[str, Any] = {
    "n_sequences": 100,
    "n_queries": 100,
    "n_labels": 5,
    "n_classes": 5,
    "frequency": 0.1,
    "frequencies": [0.5, 0.5],
    "label_noise": 0.1,
    "label_noise_kind": "uniform",
    "measure": "error",
    "test_distribution": "ibd",
    "context": "relevant",
    "group": "low",
    "phase": phases.ICL,
    "temperature": 0.5,
    "clip": 1e-7,
    "delta": 0.1,
    "dim": 8,
    "beta": 1.0,
    "n_sure": 0,
    "entropy": 0.3,
    "collision": 0.8,
    "bayes_error": 0.1,
    "squared_distance": 2.0,
    "bounds": "tight",
    "inputs": "told",
    "input_noise": 0.3,
    "margin": 0.5,
    "largest": 0.3,
    "longest": 3,
    "cover_classes": False,
    "remapped": False,
    "label": 1,
    "labels": label_law(5, 0.1),
    "spec": SPEC,
    "specs": [SPEC],
    "compare": COMPARE,
    "x": "n_sequences",
    "y": "p_high",
    "x_values": [10, 100],
    "y_values": [0.5, 0.9],
}
STRUCTURED = {"spec", "specs", "compare", "labels", "cover_classes", "remapped", "label", "x_values", "y_values"}
FUNCTIONS = [
    *(getattr(in_weight, name) for name in in_weight.__all__ if name.startswith("exact")),
    *(getattr(in_weight_bounds, name) for name in in_weight_bounds.__all__),
    *(getattr(in_weight_lower_bounds, name) for name in in_weight_lower_bounds.__all__),
    in_context.exact_linear_loss,
    in_context.exact_log_loss,
    in_context.exact_error,
    in_context_bounds.squared_distance_bounds,
    in_context_bounds.linear_loss_bounds,
    in_context_bounds.log_loss_bounds,
    in_context_bounds.error_bounds,
    in_context_noise.risk_bounds,
    *(getattr(token_distances, name) for name in token_distances.__all__),
    labels.label_law,
    labels.class_label_law,
    curves.in_weight_risk,
    curves.risk_rows,
    phases.phase_diagram,
    phases.risk_bounds,
    crossovers.crossover,
    crossovers.smallest_sample,
    crossovers.largest_label_noise,
    crossovers.smallest_context,
]
BAD = [
    None,
    "text",
    True,
    [],
    float("nan"),
    float("inf"),
    -float("inf"),
    -1,
    -0.5,
    0,
    1,
    1.5,
    1e300,
    1 + 2j,
    [0.1, np.nan],
]


def valid_arguments(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: VALID[name] for name in inspect.signature(function).parameters}


def numbers(value: Any) -> list[float]:
    if isinstance(value, (tuple, list)):
        return [x for part in value for x in numbers(part)]
    if isinstance(value, (int, float, np.ndarray, np.generic)):
        return np.asarray(value, dtype=float).ravel().tolist()
    return []


def complaint_of(function: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """The message of a ValueError, empty when there is none; NaN is for the one function that documents it."""
    try:
        result = function(**arguments)
    except ValueError as error:
        return str(error)
    may_be_nan = function is crossovers.largest_label_noise
    return "NaN" if np.isnan(numbers(result)).any() and not may_be_nan else ""


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f"{f.__module__}.{f.__qualname__}")
def test_bad_arguments_are_named_or_harmless(function: Callable[..., Any]) -> None:
    function(**valid_arguments(function))
    for name in set(inspect.signature(function).parameters) - STRUCTURED:
        for bad in BAD:
            arguments = {**valid_arguments(function), name: bad}
            if name == "n_sequences" and bad is None and function is phases.phase_diagram:
                continue
            complaint = complaint_of(function, arguments)
            assert not complaint or f"`{name}" in complaint, (name, bad, complaint)


def test_shapes_that_do_not_broadcast_are_named() -> None:
    with pytest.raises(ValueError, match="`frequency` must broadcast"):
        in_weight.exact_error([1, 2], [0.1, 0.2, 0.3], label_law(4))


def test_axes_need_names_and_values() -> None:
    with pytest.raises(ValueError, match="`y` must be one of"):
        phases.phase_diagram(SPEC, "n_sequences", [1], "n_sequences", [1], compare=COMPARE)
    with pytest.raises(ValueError, match="at least one value"):
        phases.phase_diagram(SPEC, "n_sequences", [], "p_high", [0.5], compare=COMPARE)
    with pytest.raises(ValueError, match="`n_sequences` must be given"):
        phases.phase_diagram(SPEC, "zipf", [1.0], "label_noise", [0.1], compare=COMPARE)


def test_covered_training_sets_hold_every_class() -> None:
    with pytest.raises(ValueError, match="`n_sequences` must be"):
        curves.risk_rows(SPEC, 3, cover_classes=True)
    with pytest.raises(ValueError, match="`n_sequences` must be at least the 4 classes"):
        phases.risk_bounds([SPEC], [3], phases.Comparison(cover_classes=True))


def test_one_dimension_of_noise_is_refused() -> None:
    with pytest.raises(ValueError, match="`dim` must be an integer >= 2"):
        token_distances.exact_nearer_probability(1.0, 0.1, 1)
