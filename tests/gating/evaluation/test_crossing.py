"""Crossovers of curves: roots, units, order of settings, and what is said where there is none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.evaluation.crossing import ONSETS, crossing, estimate_crossings, power_law_exponent
from gating.evaluation.table import make_table, setting_text

SIZES = 2.0 ** np.arange(5, 13)
TAKES_OVER, EMERGES = (onset for onset in ONSETS if onset.system == "transformer")


@given(st.floats(40, 3000), st.floats(0.1, 10))
def test_a_curve_linear_in_ln_n_is_crossed_at_its_root_in_any_unit(root, unit):
    excess = np.log(root) - np.log(SIZES)
    assert crossing(SIZES, excess) == pytest.approx(root)
    assert crossing(unit * SIZES, 7 * excess) == pytest.approx(unit * root)


def test_a_curve_that_comes_back_is_crossed_where_it_stays():
    assert crossing([1, 2, 4, 8, 16], [-1, 3, -1, 1, -1]) == pytest.approx(8 * 2**0.5)
    assert crossing([1, 2, 4], [1, 0, 0]) == pytest.approx(2)


@pytest.mark.parametrize("sizes", [[4], [4, 4], [8, 4], [0, 4], [[1, 2]]])
def test_sizes_must_ascend(sizes):
    with pytest.raises(ValueError, match="`n` must be at least two ascending positive sizes"):
        crossing(sizes, np.zeros(len(sizes)))


@given(st.floats(-3, 3), st.floats(0.1, 1e6))
def test_the_exponent_of_a_power_law(exponent, factor):
    q = np.array([0.005, 0.01, 0.02, 0.08])
    n = factor * q**exponent
    assert power_law_exponent(q, n) == pytest.approx(exponent, abs=1e-9)
    n[1] = np.inf
    assert power_law_exponent(q, n) == pytest.approx(exponent, abs=1e-9)


def synthetic(factors: dict[int, float]) -> pd.DataFrame:
    """Curves that cross at predicted N* = 2 / q: counts on average, Transformers of each seed at `factor` / q."""
    rows = []
    for p_high in (0.8, 0.95, 0.9):  # not in the order of frequencies
        q = (1 - p_high) / 5
        setting = setting_text({"p_high": p_high})
        base = {"setting": setting, "distribution": "ibd", "context": "as_trained", "group": "low"}
        theory = {**base, "system": "theory", "kind": "exact"}
        rows.append({**theory, "measure": "query_frequency", "value": q})
        for loss in ("expected_error", "expected_log_loss"):
            rows.append({**theory, "measure": f"crossover_{loss}", "value": 2 / q})
            for seed in range(20):
                tilt = 0.2 if seed % 2 else -0.2
                rows += [
                    {**base, "system": "tabular", "kind": "measured", "seed": seed, "measure": loss, "n": int(n),
                     "value": 1 + tilt - np.log(n * q / 2)} for n in SIZES
                ]  # fmt: skip
                rows.append({**base, "system": "in_context", "kind": "measured", "seed": seed, "measure": loss,
                             "n": 32, "value": 1.0})  # fmt: skip
        for seed, factor in factors.items():
            for step in (10, 20):
                place = {**base, "system": "transformer", "kind": "measured", "seed": seed, "step": step}
                for n in SIZES:
                    height = 0.5 + 0.1 * np.log(n * q / factor) * (1 if step == 20 else -1)
                    for onset, value in ((TAKES_OVER, height), (EMERGES, 1 - height)):
                        distribution, context, measure = onset.where
                        rows.append({**place, "distribution": distribution, "context": context, "measure": measure,
                                     "n": int(n), "value": value})  # fmt: skip
    return make_table(rows)


def test_every_onset_is_estimated_over_ascending_frequencies():
    estimates = estimate_crossings(synthetic({0: 4.0, 1: 16.0}))
    assert [e.onset for e in estimates] == list(ONSETS)
    for estimate in estimates:
        np.testing.assert_allclose(estimate.frequency, [0.01, 0.02, 0.04])
        np.testing.assert_allclose(estimate.predicted, [200, 100, 50])
        assert estimate.predicted_exponent == pytest.approx(-1)
        ratio = 1.0 if estimate.onset.system == "tabular" else 4.0  # geometric mean of 2 and 8
        np.testing.assert_allclose(estimate.value / estimate.predicted, ratio, rtol=1e-6)
        assert estimate.exponent[0] == pytest.approx(-1)
        assert (estimate.reached == estimate.seeds).all()
        assert (estimate.low < estimate.value).all()
        assert (estimate.value < estimate.high).all()


def test_an_interval_is_wider_for_fewer_resampled_training_sets():
    table = synthetic({0: 4.0})
    widths = [
        np.log(e.high / e.low)[0]
        for seeds in (20, 4)
        for e in estimate_crossings(table[table["seed"].fillna(0) < seeds])
        if e.onset == ONSETS[0]
    ]
    assert widths[0] < widths[1]
    assert widths[0] == pytest.approx(2 * 1.96 * 0.2 / 20**0.5, rel=0.3)


def test_seeds_without_a_crossing_are_counted_and_leave_no_interval():
    both, one = synthetic({0: 4.0, 1: 4.0, 2: 1e6}), synthetic({0: 1e-6})
    found = next(e for e in estimate_crossings(both) if e.onset == TAKES_OVER)
    assert found.reached.tolist() == [2, 2, 2]
    assert found.already.tolist() == [0, 0, 0]
    assert found.seeds == 3
    np.testing.assert_allclose(found.value, 2 * found.predicted)
    assert np.isnan([found.low, found.high]).all()
    never = next(e for e in estimate_crossings(one) if e.onset == TAKES_OVER)
    assert never.reached.tolist() == [0, 0, 0]
    assert never.already.tolist() == [1, 1, 1]
    assert np.isnan(never.value).all()
    assert np.isnan(never.exponent).all()


def test_an_earlier_step_can_be_asked_for():
    found = next(e for e in estimate_crossings(synthetic({0: 4.0}), step=10) if e.onset == TAKES_OVER)
    assert found.step == 10
    assert np.isnan(found.value).all()  # that curve goes the other way
