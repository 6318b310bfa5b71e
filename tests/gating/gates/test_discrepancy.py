"""Discrepancy of mixtures from a model: tables against direct sums, slopes against differences, bad input."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, logit

from gating.gates.discrepancy import DiscrepancyCurves, OutputRows, output_rows
from gating.gates.effective import effective_gate, effective_gate_squared


def outputs(distance: str, shape: tuple[int, ...], seed: int = 0) -> tuple[Any, Any, Any]:
    generator = np.random.default_rng(seed)
    drawn = [generator.normal(size=shape) * 3 for _ in range(3)]
    return tuple(log_softmax(part, axis=-1) for part in drawn) if distance == "kl" else tuple(drawn)


def direct(distance: str, t: Any, m: Any, g: Any, weight: Any) -> Any:
    if distance == "squared":
        return ((t - weight * m - (1 - weight) * g) ** 2).sum(-1)
    return (np.exp(t) * (t - np.log(weight * np.exp(m) + (1 - weight) * np.exp(g)))).sum(-1)


DISTANCES = pytest.mark.parametrize("distance", ["kl", "squared"])


@DISTANCES
def test_tables_agree_with_the_definition(distance: str) -> None:
    t, m, g = outputs(distance, (5, 60, 4))
    curves = output_rows(t, m, g, distance=distance).tabulate()
    for odds in np.random.default_rng(1).uniform(-40, 40, (100, 5)):
        expected = direct(distance, t, m, g, expit(odds)[:, None, None]).mean(-1)
        np.testing.assert_allclose(curves.at(odds).value, expected, atol=1e-8 if distance == "kl" else 1e-6)


def test_a_table_is_within_1e8_of_sums_over_rows_also_where_ratios_are_extreme() -> None:
    t, m, g = outputs("kl", (3, 50, 4))
    m = log_softmax(12 * m, axis=-1)  # log ratios of hundreds of nats
    rows = output_rows(t, m, g, distance="kl")
    curves = rows.tabulate()
    for odds in np.random.default_rng(2).uniform(-36, 36, (200, 3)):
        np.testing.assert_allclose(curves.at(odds).value, rows.at(odds).value, atol=1e-8)
        np.testing.assert_allclose(curves.at(odds).slope, rows.at(odds).slope, atol=1e-7)


@DISTANCES
def test_slopes_against_differences(distance: str) -> None:
    t, m, g = outputs(distance, (4, 30, 3))
    evidence = np.random.default_rng(3).normal(size=(4, 30))
    rows, h = output_rows(t, m, g, distance=distance, evidence=evidence), 1e-5
    odds, kappa = np.array([-3.0, -0.2, 0.4, 5.0]), 0.7
    at, curves = rows.at(odds, kappa), rows.tabulate()
    along = (rows.at(odds + h, kappa).value - rows.at(odds - h, kappa).value) / (2 * h)
    in_kappa = (rows.at(odds, kappa + h).value - rows.at(odds, kappa - h).value) / (2 * h)
    np.testing.assert_allclose(at.slope, along, atol=1e-7)
    np.testing.assert_allclose(at.slope_kappa, in_kappa, atol=1e-7)
    tabulated = (curves.at(odds + h).value - curves.at(odds - h).value) / (2 * h)
    np.testing.assert_allclose(curves.at(odds).slope, tabulated, atol=1e-7)


def test_the_effective_gate_is_where_the_tabulated_discrepancy_is_least() -> None:
    """Second route of the only solver: no other weight of the table has less, and its slope changes sign there."""
    for distance, solve in (("kl", effective_gate), ("squared", effective_gate_squared)):
        t, m, g = outputs(distance, (6, 40, 3), seed=4)
        t[0], t[1] = m[0], g[1]
        curves, found = output_rows(t, m, g, distance=distance).tabulate(), solve(*map(torch.from_numpy, (t, m, g)))
        odds, residual = logit(found.alpha.numpy()).clip(-36, 36), found.residual.numpy()
        np.testing.assert_allclose(curves.at(odds).value, residual, atol=1e-6)
        for other in np.linspace(-36, 36, 999):
            assert (curves.at(np.full(6, other)).value >= residual - 1e-6).all()
        inside = slice(2, None)
        assert (curves.at(odds - 0.01).slope[inside] < 0).all()
        assert (curves.at(odds + 0.01).slope[inside] > 0).all()


def test_certainty_beyond_float64_stays_finite() -> None:
    with np.errstate(divide="ignore"):
        sure, other = np.log(np.array([[[1.0, 0.0]]])), np.log(np.array([[[0.0, 1.0]]]))
    curves = output_rows(sure, other, sure, distance="kl").tabulate()
    values = [curves.at(np.array([odds])).value.item() for odds in (-1e9, 0.0, 1e9)]
    assert values == pytest.approx([0.0, np.log(2), 36.0], abs=1e-6)
    assert curves.at(np.array([1e9])).slope.item() == 0


def test_tensors_broadcasting_and_restored_tables() -> None:
    t, m, g = outputs("kl", (3, 8, 2))
    one = output_rows(torch.from_numpy(t), torch.from_numpy(m[:1]), g[:1], distance="kl")
    many = output_rows(t, np.repeat(m[:1], 3, 0), np.repeat(g[:1], 3, 0), distance="kl")
    odds = np.array([0.1, -2.0, 3.0])
    np.testing.assert_array_equal(one.at(odds).value, many.at(odds).value)
    kept = DiscrepancyCurves(one.tabulate().table)
    np.testing.assert_allclose(kept[np.array([2])].at(odds[2:]).value, one.at(odds).value[2:], atol=1e-8)
    assert isinstance(one[np.array([0, 2])], OutputRows)
    assert len(one[np.array([0, 2])]) == 2


def test_bad_input_is_named() -> None:
    t, m, g = outputs("kl", (3, 8, 2))
    with pytest.raises(ValueError, match=r"`distance` must be one of \('kl', 'squared'\); got 'hinge'"):
        output_rows(t, m, g, distance="hinge")
    with pytest.raises(ValueError, match="`model` must have shape"):
        output_rows(t[0], m, g, distance="kl")
    with pytest.raises(ValueError, match=r"`memorizer` must broadcast to shape \(3, 8, 2\); got \(3, 7, 2\)"):
        output_rows(t, m[:, :7], g, distance="kl")
    with pytest.raises(ValueError, match="`generalizer` must be log-probabilities"):
        output_rows(t, m, g + 9, distance="kl")
    with pytest.raises(ValueError, match="`generalizer` must be finite real numbers"):
        output_rows(t, m, g * np.nan, distance="squared")
    with pytest.raises(ValueError, match="`evidence` must broadcast"):
        output_rows(t, m, g, distance="kl", evidence=np.zeros((3, 7)))
    with pytest.raises(ValueError, match="`table` must have shape"):
        DiscrepancyCurves(np.zeros((2, 10, 3)))
    with pytest.raises(ValueError, match="`kappa` must be 0"):
        output_rows(t, m, g, distance="kl").tabulate().at(np.zeros(3), 0.5)
