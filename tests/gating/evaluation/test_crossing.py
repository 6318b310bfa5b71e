"""Crossovers of curves and their power law: roots, units, and what is said where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.evaluation.crossing import crossing, power_law_exponent

SIZES = 2.0 ** np.arange(5, 13)


@given(st.floats(40, 3000), st.floats(0.1, 10))
def test_a_curve_linear_in_ln_n_is_crossed_at_its_root_in_any_unit(root, unit):
    excess = np.log(root) - np.log(SIZES)
    assert crossing(SIZES, excess) == pytest.approx(root)
    assert crossing(unit * SIZES, 7 * excess) == pytest.approx(unit * root)


def test_a_curve_that_comes_back_is_crossed_where_it_stays():
    assert crossing([1, 2, 4, 8, 16], [-1, 3, -1, 1, -1]) == pytest.approx(8 * 2**0.5)
    assert crossing([1, 2, 4], [1, 0, 0]) == pytest.approx(2)


def test_missing_sizes_make_no_crossing_of_their_own_curve_alone():
    found = crossing([10, 100, 1000], [[1, np.nan, -1], [1, -1, -1]])
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(10**1.5)


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
    n[0] = 0
    assert np.isnan(power_law_exponent(q, n))
