"""The interval of a mean over seeds: known intervals in its limits, its range, what it says of few seeds."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gating.results.intervals import (
    geometric_mean_interval,
    grouped_intervals,
    mean_interval,
    sequence_interval,
)
from gating.results.moments import reals_with_gaps
from gating.results.table import make_table

SHARES = st.lists(st.floats(0, 1).map(lambda p: round(p, 3)), min_size=2, max_size=8)
LOSSES = st.lists(st.floats(0.001, 20).map(lambda x: round(x, 3)), min_size=2, max_size=8)
REALS = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=8)
COVERAGE = st.floats(0.5, 0.999)


def ends(found):
    return np.array([found.low, found.high])


def wilson(successes, n, confidence=0.95):
    found = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return [found.low, found.high]


# known intervals


@given(REALS, COVERAGE)
def test_on_the_whole_line_it_is_students(values, confidence):
    found = mean_interval(values, confidence=confidence)
    if np.ptp(values) == 0:
        assert np.isnan(ends(found)).all()
        return
    known = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert ends(found) == pytest.approx([known.low, known.high], rel=1e-9, abs=1e-9)
    assert found.over == "seeds"


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), COVERAGE)
def test_of_errors_of_one_seed_it_is_wilsons(counts, confidence):
    k, n = counts
    found = mean_interval([k / n], tests=n, low=0, high=1, confidence=confidence)
    assert ends(found) == pytest.approx(wilson(k, n, confidence), abs=1e-12)
    assert found.over == "test sequences"


@given(st.integers(0, 50), st.integers(2, 20))
def test_of_seeds_that_agree_it_is_wilsons_of_all_their_test_sequences(k, n_seeds):
    found = mean_interval([k / 50] * n_seeds, tests=50, low=0, high=1)
    assert ends(found) == pytest.approx(wilson(k * n_seeds, 50 * n_seeds), abs=1e-12)


def test_without_an_error_the_upper_end_is_a_rule_of_three():
    found = mean_interval([0.0, 0.0, 0.0], tests=200, low=0, high=1)
    assert found.low == 0
    assert -np.log(0.025) / 600 < found.high < 4 / 600
    assert found.over == "test sequences"


@given(SHARES)
def test_its_ends_are_as_far_as_the_variance_at_them_allows(values):
    found = mean_interval(values, low=0, high=1)
    mean, w = found.value, lambda p: p * (1 - p)
    if found.over == "none":
        assert np.ptp(values) == 0
        return
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    for end in ends(found):
        assert (mean - end) ** 2 * w(mean) == pytest.approx(half**2 * w(end), rel=1e-7, abs=1e-12)


@given(LOSSES.filter(lambda v: np.ptp(v) > 0))
def test_of_losses_it_is_symmetric_in_the_logarithm(values):
    found = mean_interval(values, low=0)
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    factor = np.exp(2 * np.arcsinh(half / found.value / 2))
    assert ends(found) == pytest.approx([found.value / factor, found.value * factor], rel=1e-6)


@given(LOSSES)
def test_an_end_of_the_range_far_away_is_no_end(values):
    one_end, two = mean_interval(values, low=0), mean_interval(values, low=0, high=1e12)
    assert ends(two) == pytest.approx(ends(one_end), rel=1e-6, nan_ok=True)
    none, far = mean_interval(values), mean_interval(values, low=-1e12, high=1e12)
    assert ends(far) == pytest.approx(ends(none), rel=1e-6, abs=1e-6, nan_ok=True)


def test_standard_errors_of_one_seed_give_students_over_its_test_sequences():
    losses = np.random.default_rng(0).exponential(1, 40)
    found = mean_interval([losses.mean()], tests=40, standard_errors=stats.sem(losses))
    known = stats.ttest_1samp(losses, 0).confidence_interval(0.95)
    assert ends(found) == pytest.approx([known.low, known.high])
    assert ends(sequence_interval(losses)) == pytest.approx([known.low, known.high])


def test_standard_errors_count_only_where_they_are_the_larger():
    apart, alike = [1.0, 2.0, 4.0], [1.0, 1.001, 1.002]
    assert mean_interval(apart, standard_errors=0.1, tests=100) == mean_interval(apart)
    found = mean_interval(alike, standard_errors=[0.1, 0.2, 0.2], tests=100)
    half = stats.t.ppf(0.975, 297) * np.sqrt((0.01 + 0.04 + 0.04) / 3 / 3)
    assert ends(found) == pytest.approx([1.001 - half, 1.001 + half])
    assert found.over == "test sequences"


def test_each_seed_counts_by_its_own_test_sequences():
    found = mean_interval([0.2, 0.2], tests=[10, 1000], low=0, high=1)
    pooled = 4 / (1 / 10 + 1 / 1000)
    k = stats.norm.ppf(0.975) ** 2 / pooled
    half = np.sqrt(k * 0.2 * 0.8 + k**2 / 4)
    assert ends(found) == pytest.approx((0.2 + k / 2 + np.array([-half, half])) / (1 + k))
    dropped = mean_interval([0.2, 0.2, np.nan], tests=[10, 1000, 1], standard_errors=[np.nan, np.nan, 5], low=0, high=1)
    assert dropped == found


def test_test_sequences_tell_no_variance_where_the_range_has_no_end():
    for sign, end in ((1, {"low": 0}), (-1, {"high": 0})):
        values = sign * np.array([1.0, 2.0, 4.0])
        assert mean_interval(values, tests=50, **end) == mean_interval(values, **end)
        assert mean_interval([0.0, 0.0], tests=50, **end).over == "none"


def test_standard_errors_of_zero_are_no_knowledge():
    found = mean_interval([0.3], tests=20, standard_errors=0.0, low=0, high=1)
    assert ends(found) == pytest.approx(wilson(6, 20))
    assert mean_interval([0.3], standard_errors=np.inf, low=0).over == "none"


@given(st.lists(st.floats(2, 9).map(lambda x: round(x, 3)), min_size=2, max_size=6).filter(lambda v: np.ptp(v) > 0))
def test_few_test_sequences_have_students_quantile(values):
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert ends(sequence_interval(values)) == pytest.approx([known.low, known.high], abs=1e-9)


# range and width


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), COVERAGE)
def test_with_test_sequences_it_has_a_width_and_stays_in_the_range(counts, confidence):
    found = mean_interval(np.array(counts) / 30, tests=30, low=0, high=1, confidence=confidence)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 1e-3
    wider = mean_interval(np.array(counts) / 30, tests=30, low=0, high=1, confidence=(1 + confidence) / 2)
    assert wider.high - wider.low > found.high - found.low
    assert wider.low <= found.low + 1e-12
    assert wider.high >= found.high - 1e-12


@given(LOSSES, st.floats(1e-3, 1e3))
def test_it_has_no_unit(values, unit):
    found, scaled = mean_interval(values, low=0, high=20), mean_interval(unit * np.array(values), low=0, high=20 * unit)
    assert ends(scaled) == pytest.approx(unit * ends(found), rel=1e-6, nan_ok=True)
    moved = mean_interval(np.array(values) + 7, low=7, high=27)
    assert ends(moved) == pytest.approx(7 + ends(found), rel=1e-6, nan_ok=True)


@given(SHARES)
def test_accuracy_is_one_minus_error(values):
    errors = mean_interval(values, tests=100, low=0, high=1)
    accuracies = mean_interval(1 - np.array(values), tests=100, low=0, high=1)
    assert ends(accuracies) == pytest.approx(1 - ends(errors)[::-1], abs=1e-9)


@given(SHARES)
def test_a_paired_difference_changes_its_sign_with_the_order_of_the_systems(values):
    first, second = np.array(values), np.array(values[::-1])
    there = mean_interval(first - second + 0.0, low=-1, high=1)
    back = mean_interval(second - first + 0.0, low=-1, high=1)
    assert ends(there) == pytest.approx(-ends(back)[::-1], abs=1e-9, nan_ok=True)


def test_seeds_that_agree_up_to_rounding_and_say_no_more_have_no_interval():
    for values in ([0.3, 0.3, 0.3], [0.1 + 0.2, 0.3, 0.3], [0.0, 0.0]):
        found = mean_interval(values, low=0, high=1)
        assert np.isnan(ends(found)).all()
        assert found.over == "none"
    assert mean_interval([0.0, 0.0], low=0, tests=100).over == "none"  # no loss at all says nothing of how large one is


def test_rounding_does_not_leave_the_range():
    found = mean_interval([1 + 1e-12, 1 + 1e-12], tests=10, low=0, high=1)
    assert found.value == found.high == 1


def test_what_is_infinite_leaves_a_range_with_ends():
    for infinite in (np.inf, -np.inf):
        with pytest.raises(ValueError, match="`values` must be from `low` to `high`"):
            mean_interval([0.5, infinite], low=0, high=1)
        with pytest.raises(ValueError, match=r"`error` must be in \[0, 1\]; got -?inf"):
            make_table([{"measure": "error", "value": infinite}])


def test_a_single_seed_says_what_it_knows():
    assert mean_interval([0.3], low=0, high=1).over == "none"
    assert mean_interval([0.3], low=0, high=1, tests=10).over == "test sequences"
    assert mean_interval([0.3], standard_errors=0.1).over == "test sequences"
    assert mean_interval([0.3], tests=10).over == "none"


def test_missing_and_infinite_values():
    found = mean_interval([[0.1, np.nan, 0.4], [np.nan] * 3, [0.1, 0.2, np.inf]], low=0)
    assert ends(found)[:, 0] == pytest.approx(ends(mean_interval([0.1, 0.4], low=0)))
    assert found.seeds.tolist() == [2, 0, 3]
    assert np.isnan(found.value[1])
    assert found.value[2] == np.inf
    assert found.over.tolist() == ["seeds", "none", "none"]


# groups


def test_groups_are_each_as_alone_in_any_order():
    rng = np.random.default_rng(0)
    groups = rng.integers(12, size=60)
    values, tests = rng.integers(0, 20, 60) / 20, rng.integers(10, 200, 60).astype(float)
    errors, high = rng.choice([np.nan, 0.0, 0.05], 60), rng.choice([1.0, np.inf], 13)
    found = grouped_intervals(groups, values, 13, tests=tests, standard_errors=errors, low=0, high=high)
    for k in range(12):
        mine = groups == k
        alone = mean_interval(values[mine], tests=tests[mine], standard_errors=errors[mine], low=0, high=high[k])
        assert ends(alone) == pytest.approx(np.array([found.low[k], found.high[k]]), rel=1e-9, nan_ok=True)
        assert (alone.seeds, alone.over) == (found.seeds[k], found.over[k])
    assert found.seeds[12] == 0
    assert np.isnan(found.value[12])


def test_ten_thousand_groups_take_no_time_to_speak_of():
    rng = np.random.default_rng(0)
    groups, values = np.tile(np.arange(10_000), 5), rng.random(50_000)
    start = time.process_time()
    found = grouped_intervals(groups, values, 10_000, tests=200, low=0, high=1)
    assert time.process_time() - start < 10
    assert found.value.shape == (10_000,)
    assert grouped_intervals([], np.empty(0), 0).value.shape == (0,)


# other forms


@given(st.lists(st.floats(0.01, 1e6), min_size=3, max_size=6).filter(lambda v: np.ptp(np.log(v)) > 1e-3))
def test_the_geometric_mean_is_the_mean_logarithm(times):
    found, logs = geometric_mean_interval(times), mean_interval(np.log(times))
    assert ends(found) == pytest.approx(np.exp(ends(logs)))
    assert found.value == pytest.approx(stats.gmean(times))


def test_a_time_that_was_not_seen_leaves_no_interval():
    found = geometric_mean_interval([[1.0, 4.0, gap] for gap in (0.0, np.inf, np.nan)] + [[np.inf] * 3])
    assert found.value[:3] == pytest.approx(2)
    assert np.isnan(found.value[3])
    assert found.seeds.tolist() == [2, 2, 2, 0]
    assert np.isnan(ends(found)).all()
    assert (found.over == "none").all()


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=50))
def test_prompts_that_are_right_or_wrong_have_wilsons_interval(values):
    assert ends(sequence_interval(values)) == pytest.approx(wilson(int(sum(values)), len(values)), abs=1e-12)


def test_one_prompt_that_is_not_right_or_wrong_has_no_interval():
    assert np.isnan(ends(sequence_interval([0.4]))).all()


# wrong calls


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval(0.5), "`values` must have one number for each seed"),
        (lambda: mean_interval([]), "`values` must have one number for each seed"),
        (lambda: mean_interval(["a"]), "`values` must be real numbers"),
        (lambda: mean_interval([[1], [1, 2]]), "`values` must be real numbers"),
        (lambda: mean_interval([0.5, 1.2], low=0, high=1), r"`values` must be from `low` to `high` .* got \[1.2\]"),
        (lambda: mean_interval([0.5, 0.2], low=1, high=0), "`low` must be less than `high`"),
        (lambda: mean_interval([0.5, 0.2], tests=0), "`tests` must be numbers >= 1"),
        (lambda: mean_interval([0.5, 0.2], tests=[1, 2, 3]), r"`tests` must be one number or have shape \(2,\)"),
        (lambda: mean_interval([0.5, 0.2], standard_errors=-1), "`standard_errors` must be numbers >= 0"),
        (lambda: mean_interval([0.5, 0.2], confidence=1), "`confidence` must be in"),
        (lambda: grouped_intervals([0, 2], [0.1, 0.2], 2), "`groups` must be integers from 0 to 1"),
        (lambda: grouped_intervals([0, -1], [0.1, 0.2], 2), "`groups` must be integers from 0 to 1"),
        (lambda: grouped_intervals([0.5], [0.1], 2), "`groups` must be integers from 0 to 1"),
        (lambda: grouped_intervals([[0], [0, 1]], [0.1], 2), "`groups` must be real numbers"),
        (lambda: grouped_intervals([0, 1], [0.1], 2), "`values` must have one number for each of 2 rows"),
        (lambda: grouped_intervals([0], [0.1], -1), "`n_groups` must be an integer >= 0"),
        (lambda: geometric_mean_interval([-1.0, 2.0]), "`values` must be numbers >= 0"),
        (lambda: sequence_interval([]), "`values` must be"),
        (lambda: sequence_interval([np.nan, 1.0]), "`values` must be one number for each test sequence"),
        (lambda: reals_with_gaps("x", [True]), "`x` must be real numbers"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
