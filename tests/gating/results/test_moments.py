"""Moments of groups: those of parts, put together in any way, are those of all rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.results.intervals import grouped_intervals, moment_intervals
from gating.results.moments import Moments, grouped_moments

NUMBERS = st.one_of(st.just(np.nan), st.floats(0, 1).map(lambda x: round(x, 3)))
ROWS = st.lists(
    st.tuples(st.integers(0, 2), NUMBERS, st.sampled_from([np.nan, 1.0, 200.0]), st.sampled_from([np.nan, 0.0, 0.01])),
    max_size=30,
)


def moments(rows):
    groups, values, tests, errors = np.array(rows, np.float64).reshape(-1, 4).T
    return grouped_moments(groups, values, 3, tests=tests, standard_errors=errors)


def merged(parts):
    return Moments.merged(parts, np.tile(np.arange(3), len(parts)), 3)


def assert_alike(found, wanted):
    for name, ours, theirs in zip(wanted._fields, found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15, err_msg=name)


@given(ROWS, st.lists(st.integers(0, 30), max_size=4).map(sorted))
def test_parts_put_together_are_the_whole(rows, cuts):
    parts = [moments(rows[start:end]) for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    assert_alike(merged(parts), moments(rows))
    assert_alike(merged([parts[0], merged(parts[1:])] if parts[1:] else parts), moments(rows))


@given(ROWS.filter(len), st.floats(0.5, 0.99))
def test_the_interval_is_that_of_the_rows(rows, confidence):
    groups, values, tests, errors = np.array(rows).T
    how = {"low": 0, "high": 1, "confidence": confidence}
    wanted = grouped_intervals(groups, values, 3, tests=tests, standard_errors=errors, **how)
    found = moment_intervals(merged([moments([row]) for row in rows]), **how)
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-11, atol=1e-12, err_msg=name)
    assert found.over.tolist() == wanted.over.tolist()
    assert found.seeds.tolist() == wanted.seeds.tolist()


def test_nothing_is_lost_where_values_are_far_from_zero():
    values = [1e9 + k for k in range(10)]
    rows = [moments([(0, value, np.nan, np.nan)]) for value in values]
    assert merged(rows).spread[0] == pytest.approx(82.5, rel=1e-12)


@pytest.mark.parametrize("values", [[np.inf, 1.0, 2.0], [np.inf, np.inf], [np.inf, -np.inf, 1.0], [np.nan, np.nan]])
def test_infinite_and_missing_values_say_as_much_in_parts(values):
    wanted = grouped_intervals(np.zeros(len(values)), values, 1)
    parts = [grouped_moments([0], [value], 1) for value in values]
    found = moment_intervals(Moments.merged(parts, np.zeros(len(parts), np.int64), 1))
    np.testing.assert_array_equal(np.array(found[:4]), np.array(wanted[:4]))
    assert found.over.tolist() == wanted.over.tolist()
