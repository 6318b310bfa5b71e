"""The bootstrap over clusters: its streams, what it leaves alone, its limits, and draws that are no numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gating.results.bootstrap import cluster_bootstrap, moment_bootstrap, percentile_interval
from gating.results.intervals import mean_interval
from tests.claims.monte_carlo import assert_mean, assert_rate_at_most

RNG = np.random.default_rng(0)
RUNS = np.repeat([3, 1, 7, 5, 2, 4], [1, 4, 2, 3, 1, 5])
X, Y = RNG.normal(size=(2, len(RUNS)))


def mean_of(x):
    return lambda rows: x[rows].mean()


def same(a, b):
    return all(np.array_equal(p, q, equal_nan=True) for p, q in zip(a, b, strict=True))


# streams


def test_rows_are_those_of_clusters_drawn_whole():
    seen = []
    cluster_bootstrap(lambda rows: seen.append(rows) or 0.0, RUNS, n_resamples=50, seed=3)
    members = [np.flatnonzero(name == RUNS) for name in np.unique(RUNS)]
    drawn = np.random.default_rng(3).integers(6, size=(50, 6))
    assert seen[0].tolist() == list(range(len(RUNS)))
    for rows, chosen in zip(seen[1:], drawn, strict=True):
        assert rows.tolist() == np.concatenate([members[k] for k in chosen]).tolist()


def test_one_by_one_the_same_clusters_are_drawn():
    rng = np.random.default_rng(3)
    together = np.random.default_rng(3).integers(6, size=(50, 6))
    assert (np.stack([rng.integers(6, size=6) for _ in range(50)]) == together).all()


def test_weights_are_multinomial_shares():
    seen = []
    cluster_bootstrap(lambda w: seen.append(w) or w[:, 0], range(5), n_resamples=40, seed=2, form="weights")
    assert (seen[0] == 0.2).all()
    assert (seen[1] == np.random.default_rng(2).multinomial(5, np.full(5, 0.2), 40) / 5).all()


def test_values_are_drawn_as_rows_are():
    values = RNG.normal(size=(7, 3))
    by_rows = cluster_bootstrap(lambda rows: values[rows].mean(0), range(7), n_resamples=200, seed=1)
    at_once = moment_bootstrap(lambda v: v.mean(1), values, n_resamples=200, seed=1)
    for a, b in zip(by_rows, at_once, strict=True):
        assert a == pytest.approx(b, abs=1e-12)
    assert at_once.low.shape == (3,)


def test_the_seed_settles_the_draws():
    def at(seed):
        return cluster_bootstrap(mean_of(X), RUNS, n_resamples=100, seed=seed)

    assert same(at(1), at(1))
    assert not same(at(1), at(2))


# invariance


def test_names_and_copies_of_all_rows_change_nothing():
    found = cluster_bootstrap(mean_of(X), RUNS, n_resamples=300, seed=0)
    named = cluster_bootstrap(mean_of(X), [f"run {name}" for name in RUNS], n_resamples=300, seed=0)
    assert same(found, named)
    twice = cluster_bootstrap(mean_of(np.tile(X, 2)), np.tile(RUNS, 2), n_resamples=300, seed=0)
    assert twice.draws == pytest.approx(found.draws)


@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_ends_move_with_the_statistic(shift, factor):
    found = cluster_bootstrap(mean_of(X), RUNS, n_resamples=99, seed=0)
    moved = cluster_bootstrap(mean_of(factor * X + shift), RUNS, n_resamples=99, seed=0)
    assert [moved.low, moved.high] == pytest.approx([factor * end + shift for end in (found.low, found.high)])


@given(st.floats(0.3, 0.98))
def test_intervals_of_more_confidence_hold_those_of_less(confidence):
    less, more = (
        cluster_bootstrap(mean_of(X), RUNS, n_resamples=200, seed=0, confidence=c)
        for c in (confidence, (1 + confidence) / 2)
    )
    assert more.low <= less.low <= less.high <= more.high


# limits


def test_of_single_rows_it_is_the_percentile_bootstrap():
    x, y = RNG.normal(size=(2, 40))
    y = y + x

    def correlation(rows):
        return np.corrcoef(x[rows], y[rows])[0, 1]

    found = cluster_bootstrap(correlation, range(40), n_resamples=4000, seed=0)
    known = stats.bootstrap(
        (x, y), lambda a, b: np.corrcoef(a, b)[0, 1], paired=True, vectorized=False, n_resamples=4000,
        method="percentile", random_state=np.random.default_rng(1),
    )  # fmt: skip
    spread = known.standard_error
    assert found.low == pytest.approx(known.confidence_interval.low, abs=0.15 * spread)
    assert found.high == pytest.approx(known.confidence_interval.high, abs=0.15 * spread)
    assert found.draws.std() == pytest.approx(spread, rel=0.06)


def test_of_many_seeds_a_mean_has_students_interval():
    x = RNG.normal(size=400)
    found = cluster_bootstrap(lambda w: w @ x, range(400), n_resamples=20_000, seed=0, form="weights")
    known = mean_interval(x)
    width = known.high - known.low
    assert found.value == pytest.approx(x.mean())
    assert found.low == pytest.approx(known.low, abs=0.03 * width)
    assert found.high == pytest.approx(known.high, abs=0.03 * width)


def test_test_sequences_drawn_inside_of_clusters_add_their_variance():
    values, errors = RNG.normal(size=10), RNG.uniform(0.5, 1, 10)
    found = moment_bootstrap(lambda v: v.mean(1), values, standard_errors=errors, n_resamples=40_000, seed=0)
    assert_mean(found.draws, values.mean())
    assert_mean((found.draws - values.mean()) ** 2, (values.var() + np.mean(errors**2)) / 10)
    over = moment_bootstrap(lambda v: v.mean(1), [1 + 1e-12, 0.5], high=1, n_resamples=99, seed=0)
    assert over.high == 1  # rounding
    none = moment_bootstrap(lambda v: v.mean(1), values, standard_errors=0.0, n_resamples=99, seed=0)
    assert same(none, moment_bootstrap(lambda v: v.mean(1), values, n_resamples=99, seed=0))


def test_drawn_values_stay_in_their_range():
    seen = []
    moment_bootstrap(
        lambda v: seen.append(v) or v.mean(1), [0.01, 0.02, 0.9], standard_errors=[0.5, np.nan, 0.5],
        low=0, high=1, n_resamples=200, seed=0,
    )  # fmt: skip
    drawn = seen[1]
    assert drawn.min() == 0
    assert drawn.max() == 1
    chosen = np.random.default_rng(0).integers(3, size=(200, 3))
    assert ((drawn == 0.02) == (chosen == 1)).all()  # where the standard error is unknown, the value itself


# draws that are no numbers


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.5, np.inf, -np.inf, np.nan]), min_size=2, max_size=60), st.floats(0.05, 0.99)
)
def test_ends_are_draws_of_those_that_are_numbers(draws, confidence):
    low, high = percentile_interval(draws, confidence=confidence)
    known = np.array([x for x in draws if not np.isnan(x)])
    if len(known) < max(2, len(draws) / 2):
        assert np.isnan([low, high]).all()
        return
    places = [(1 - confidence) / 2, (1 + confidence) / 2]
    ordered = np.sort(known)
    assert [low, high] == [ordered[int(np.ceil(len(known) * q - 1))] for q in places]
    if np.isfinite(known).all():
        assert [low, high] == np.quantile(known, places, method="inverted_cdf").tolist()


def test_half_of_the_draws_must_be_numbers():
    assert percentile_interval([1.0, 2.0, np.nan, np.nan]) == (1, 2)
    assert np.isnan(percentile_interval([1.0, 2.0, np.nan, np.nan, np.nan])).all()


def test_each_column_of_draws_is_as_alone():
    draws = RNG.choice([0.0, 1.0, 2.0, np.inf, np.nan], size=(50, 4, 2), p=[0.2, 0.2, 0.1, 0.1, 0.4])
    low, high = percentile_interval(draws)
    for k in np.ndindex(4, 2):
        assert same((low[k], high[k]), percentile_interval(draws[(slice(None), *k)]))


def test_too_few_clusters_have_a_value_and_no_interval():
    for form, statistic in (("rows", mean_of(X[:4])), ("weights", lambda w: w @ X[:4])):
        found = cluster_bootstrap(statistic, range(4), n_resamples=99, seed=0, fewest=5, form=form)
        assert found.value == pytest.approx(X[:4].mean())
        assert np.isnan([found.low, found.high]).all()
        assert len(found.draws) == 0
        enough = cluster_bootstrap(statistic, range(4), n_resamples=99, seed=0, fewest=4, form=form)
        assert enough.low < found.value < enough.high
    alone = moment_bootstrap(lambda v: v.mean(1), np.ones((1, 3)), n_resamples=99, seed=0)
    assert alone.value.tolist() == [1, 1, 1]
    assert np.isnan(alone.low).all()


# coverage


@pytest.mark.parametrize(("n", "missed"), [(3, 0.25), (5, 0.17), (10, 0.1), (20, 0.07)])
def test_percentiles_miss_the_mean_as_often_as_is_said(n, missed):
    rng, runs = np.random.default_rng(0), 2000
    x = np.repeat(rng.normal(size=(runs, n)), 3, axis=1)  # three rows of each cluster, all alike
    far = 0
    for k, values in enumerate(x):
        found = cluster_bootstrap(lambda w, v=values: w @ v[::3], range(n), n_resamples=400, seed=k, form="weights")
        far += not found.low <= 0 <= found.high
    assert_rate_at_most(far, runs, missed)
    assert_rate_at_most(runs - far, runs, 1 - missed)


def test_rows_drawn_one_by_one_miss_it_far_more_often():
    rng, clusters = np.random.default_rng(0), np.repeat(range(10), 20)
    far = {"whole": 0, "single": 0}
    for k in range(300):
        x = np.repeat(rng.normal(size=10), 20) + 0.1 * rng.normal(size=200)
        for name, labels in (("whole", clusters), ("single", range(200))):
            found = cluster_bootstrap(mean_of(x), labels, n_resamples=100, seed=k)
            far[name] += not found.low <= 0 <= found.high
    assert_rate_at_most(far["whole"], 300, 0.12)
    with pytest.raises(AssertionError):
        assert_rate_at_most(far["single"], 300, 0.12)


# wrong calls


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": []}, "`clusters` must be the label of each row"),
        ({"clusters": [[0, 1]]}, "`clusters` must be the label of each row"),
        ({"clusters": [0, None, "a"]}, "`clusters` must be labels of one type"),
        ({"n_resamples": 0}, "`n_resamples` must be an integer >= 1"),
        ({"seed": -1}, "`seed` must be an integer >= 0"),
        ({"fewest": 1}, "`fewest` must be an integer >= 2"),
        ({"confidence": 0}, "`confidence` must be in"),
        ({"form": "columns"}, "`form` must be one of"),
        ({"form": "weights", "statistic": lambda w: 1.0}, "`statistic` must give one result for each of 1 resamples"),
    ],
)
def test_wrong_calls_of_the_cluster_bootstrap_are_named(change, message):
    call = {"statistic": mean_of(X), "clusters": RUNS, "n_resamples": 9, "seed": 0} | change
    with pytest.raises(ValueError, match=message):
        cluster_bootstrap(call.pop("statistic"), call.pop("clusters"), **call)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": 1.0}, "`values` must be those of each cluster"),
        ({"values": [0.5, 1.5], "high": 1}, "`values` must be from `low` to `high`"),
        ({"values": [0.5, -0.5], "low": 0}, "`values` must be from `low` to `high`"),
        ({"standard_errors": [1.0, -1.0]}, "`standard_errors` must be numbers >= 0"),
        ({"standard_errors": [1.0, 1.0, 1.0]}, "`standard_errors` must be one number or have shape"),
        ({"statistic": lambda v: v.mean()}, "`statistic` must give one result for each"),
    ],
)
def test_wrong_calls_of_the_moment_bootstrap_are_named(change, message):
    call = {"statistic": lambda v: v.mean(1), "values": [0.1, 0.2], "n_resamples": 9, "seed": 0} | change
    with pytest.raises(ValueError, match=message):
        moment_bootstrap(call.pop("statistic"), call.pop("values"), **call)


def test_a_statistic_must_be_a_function():
    with pytest.raises(TypeError, match="`statistic` must be a function; got 'mean'"):
        cluster_bootstrap("mean", RUNS, n_resamples=9, seed=0)


def test_draws_must_be_numbers_along_an_axis():
    with pytest.raises(ValueError, match="`draws` must have one number for each resample"):
        percentile_interval(1.0)
    with pytest.raises(ValueError, match="`draws` must be real numbers"):
        percentile_interval(["a"])
