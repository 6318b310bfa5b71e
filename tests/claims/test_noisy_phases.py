"""Tests of certified phases for learners that see noisy inputs: statements 2.14 to 2.16 of docs/theory.md."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.certified_noisy import contradictions, copying_wrong, nearest_mean_wrong, shares
from theory.crossovers import crossover
from theory.distribution import ClassMixture
from theory.in_context_noise import risk_bounds as in_context_bounds
from theory.noisy_grids import noisy_grid
from theory.noisy_inputs import noisy_input_bounds, noisy_input_error
from theory.phases import Comparison, phase_diagram, risk_bounds
from theory.settings import SpecError

Floats = NDArray[np.float64]
SIZES = np.unique(np.geomspace(10, 1e6, 40).round()).tolist()
NOISY = Comparison(inputs="noisy", squared_distance=None, context="as_trained")


@pytest.mark.parametrize("spec", [
    ClassMixture(dim=64, input_noise=0.2, context_length=2), ClassMixture(dim=64, input_noise=0.5, context_length=4),
    ClassMixture(dim=2, input_noise=0.05, context_length=4), ClassMixture(dim=2, input_noise=0.3, context_length=2),
    ClassMixture(dim=16, input_noise=0.3, context_length=8), ClassMixture(dim=4, input_noise=0.2, context_length=8,
    n_relevant=3), ClassMixture(dim=8, input_noise=0.3, n_high=1, n_low=1, context_length=5),
])  # fmt: skip
@pytest.mark.parametrize("temperature", [0.02, 0.1, 0.5])
def test_2_14_who_is_nearest_bounds_the_error_of_copying(spec: ClassMixture, temperature: float) -> None:
    generator = np.random.default_rng(14)
    lower, upper = in_context_bounds(spec, "error", temperature=temperature, squared_distance=None)
    for label in (0, spec.n_classes - 1):
        wrong = copying_wrong(spec, label, temperature, 4000, generator)
        error = 5 * np.sqrt(wrong * (1 - wrong) / 4000) + 1e-3
        assert lower[label] - error <= wrong <= upper[label] + error
    if spec.context_length == 2 and temperature == 0.1:  # one relevant and one irrelevant token, or none
        np.testing.assert_allclose(upper, lower, rtol=0.05)


@pytest.mark.long
def test_2_15_simulation_contradicts_no_certificate_at_300_random_points() -> None:
    """Of either phase, centres drawn uniformly; every class as rare as it is, and d, noise and L at random."""
    found = contradictions(300, np.random.default_rng(15))
    assert found.contradicted == []
    assert found.certified >= 300
    assert found.icl >= 50
    assert found.iwl >= 50


def test_2_15_certificates_decide_most_settings_whose_risks_differ_twofold() -> None:
    decided, differ = shares(250, np.random.default_rng(16))
    assert differ > 150
    assert decided >= 0.6 * differ


def test_2_15_the_learner_told_classes_pays_less() -> None:
    """On the same data: noisy inputs can only cost, and certified IWL from them needs more sequences."""
    spec = ClassMixture(dim=64, input_noise=0.2)
    told = replace(NOISY, inputs="told")
    for group, bounds in risk_bounds([spec], [10, 30, 100, 300], NOISY).items():
        assert (bounds.in_weight_upper > risk_bounds([spec], [10, 30, 100, 300], told)[group].in_weight_upper).all()
        noisy = crossover(spec, group, NOISY)
        assert noisy.earliest <= noisy.latest
        assert noisy.latest > crossover(spec, group, told).latest
        assert np.isnan(noisy.exact)
    assert noisy_input_error(300, spec, "nearest_mean") @ spec.frequencies > 0


@pytest.mark.parametrize(("x", "x_values", "y", "y_values"), [
    ("n_sequences", SIZES, "p_high", np.linspace(0.5, 0.99, 33).tolist()),
    ("n_sequences", [10, 100, 1000, 10**4], "input_noise", np.geomspace(0.02, 0.6, 33).tolist()),
    ("input_noise", np.geomspace(0.05, 0.5, 20).tolist(), "zipf", np.linspace(0, 2, 9).tolist()),
    ("n_sequences", [10, 300, 9000], "dim", [2, 3, 4, 16]),
    ("context_length", [1, 2, 4], "p_high", [0.9, 0.6]),
])  # fmt: skip
def test_2_16_interpolated_bounds_lie_outside_exact_ones(
    x: str, x_values: list[float], y: str, y_values: list[float]
) -> None:
    spec, generator = ClassMixture(dim=16, n_high=2, n_low=2, context_length=2), np.random.default_rng(17)
    diagrams = phase_diagram(spec, x, x_values, y, y_values, compare=NOISY, n_sequences=200)
    for _ in range(40):
        column, row = int(generator.integers(len(x_values))), int(generator.integers(len(y_values)))
        point = {x: x_values[column], y: y_values[row]}
        size = int(point.pop("n_sequences", 200))
        at = noisy_input_bounds(size, replace(spec, **point))
        for group, diagram in diagrams.items():
            lower, upper = diagram.bounds.in_weight_lower[row, column], diagram.bounds.in_weight_upper[row, column]
            assert lower <= at[group][0] + 1e-9
            assert upper >= at[group][1] - 1e-9
            assert lower == pytest.approx(at[group][0], rel=0.05, abs=2e-6)
            assert upper == pytest.approx(at[group][1], rel=0.05, abs=2e-6)


def test_2_16_a_plane_without_a_smooth_axis_is_worked_out_point_by_point() -> None:
    specs = [[ClassMixture(dim=d, n_high=2, n_low=2)] for d in (2, 8, 32)]
    found = noisy_grid(specs, np.array([9.0, 50.0]), [("dim", [2, 8, 32]), ("n_sequences", [9, 50])],
                       cover_classes=True)  # fmt: skip
    for row, (spec,) in enumerate(specs):
        for group, ends in noisy_input_bounds([9, 50], spec, cover_classes=True).items():
            np.testing.assert_allclose([side[row] for side in found[group]], ends, rtol=1e-9, atol=1e-12)


def test_nearest_means_of_the_benchmark_are_those_of_the_theory() -> None:
    spec = ClassMixture(dim=8, input_noise=0.3)
    wrong = nearest_mean_wrong(spec, 9, 60, 20_000, np.random.default_rng(18))
    exact = noisy_input_error(60, spec, "nearest_mean")[9] + (1 - spec.frequencies[9]) ** 60 / 10
    assert wrong == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize(("changed", "said"), [
    ({"measure": "log_loss"}, "`measure` must be error where `inputs` is noisy; got 'log_loss'"),
    ({"bounds": "simple"}, "`bounds` must be tight where `inputs` is noisy; got 'simple'"),
    ({"squared_distance": 2.0}, "`squared_distance` must be None"),
    ({"inputs": "clean"}, "`inputs` must be one of"),
])  # fmt: skip
def test_comparisons_refuse_what_is_not_known(changed: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        replace(NOISY, **changed)  # type: ignore[arg-type]


def test_diagrams_refuse_inputs_without_noise() -> None:
    with pytest.raises(ValueError, match="inputs without noise tell the class"):
        phase_diagram(ClassMixture(), "n_sequences", [10, 20], "input_noise", [0.0, 0.1], compare=NOISY)
