"""Intervals of means over seeds and subjects: their formula, their edges and their coverage."""

import numpy as np
import pytest
from scipy.special import expit

from llm_finetune.crossed import crossed_interval

ANY = {"low": -np.inf, "high": np.inf}
"""Where there is no range, an interval is symmetric."""


def test_the_variance_is_clustered_both_ways():
    table = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    seeds, subjects = table.mean(axis=1).var(ddof=1) / 4, table.mean(axis=0).var(ddof=1) / 3
    cells = table.var(ddof=1) / 12
    variance = max(seeds + subjects - cells, seeds, subjects)
    found = crossed_interval([(table, 1.0)], **ANY)
    assert found.value == pytest.approx(0.5)
    assert found.high - found.value == pytest.approx(4.302653 * variance**0.5)  # Student's of 2 degrees of freedom
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_effects_of_seeds_and_of_subjects_add():
    one, two = np.array([0.0, 0.2, 0.4, 0.6]), np.array([0.0, 0.1, 0.3])
    table = one[:, None] + two
    variance = one.var(ddof=1) / 4 + two.var(ddof=1) / 3 - table.var(ddof=1) / 12
    assert variance > max(one.var(ddof=1) / 4, two.var(ddof=1) / 3)
    found = crossed_interval([(table, 1.0)], **ANY)
    assert found.high - found.value == pytest.approx(4.302653 * variance**0.5)


def test_subjects_of_several_tables_add_with_the_squares_of_their_weights():
    one, two = np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.5, 1.0, 0.5]])
    found = crossed_interval([(one, 1.0), (two, 3.0)], **ANY)
    variance = one.var(ddof=1) / 3 / 16 + two.var(ddof=1) / 4 * 9 / 16
    assert found.high - found.value == pytest.approx(4.302653 * variance**0.5)


def test_one_seed_leaves_the_subjects_and_bounds_cut():
    found = crossed_interval([(np.array([[0.0, 1.0, 1.0, 1.0]]), 1.0)], low=0, high=1)
    ratio = (3.182446 * 0.25) ** 2 / (0.75 * 0.25)
    ends = np.roots([1 + ratio, -(1.5 + ratio), 0.75**2])  # (0.75 - m)^2 = ratio m (1 - m)
    assert found == pytest.approx((0.75, *sorted(ends)), abs=1e-5)


def test_seeds_and_subjects_that_agree_in_their_means_do_not_hide_that_outcomes_vary():
    found = crossed_interval([(np.array([[0.0, 1.0], [1.0, 0.0]]), 1.0)], **ANY)
    assert found.high - 0.5 == pytest.approx(12.7062 * (1 / 3 / 4) ** 0.5, rel=1e-4)


def test_tables_weigh_by_their_conditions_and_share_their_seeds():
    one, two = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    found = crossed_interval([(one, 1.0), (two, 3.0)], **ANY)
    assert found.value == pytest.approx(0.5)
    seeds = np.array([0.25 * 0.5 + 0.75, 0.25 * 0.5]).var(ddof=1) / 2
    assert found.high - 0.5 == pytest.approx(12.7062 * seeds**0.5, rel=1e-4)


@pytest.mark.parametrize("shape", [(20, 8), (5, 8), (1, 8)])
def test_where_nothing_varies_the_fewest_clusters_tell_how_sure_it_is(shape):
    found = crossed_interval([(np.ones(shape), 1.0)], low=0, high=1)
    n = min(n for n in shape if n > 1)
    z = 1.959964
    assert found.high == 1
    assert found.low == pytest.approx(1 - z**2 / (n + z**2), abs=1e-5)  # Wilson's


def test_tables_with_other_seeds_are_refused():
    with pytest.raises(ValueError, match=r"as many seeds each; got shapes \[\(2, 3\), \(3, 3\)\]"):
        crossed_interval([(np.ones((2, 3)), 1.0), (np.ones((3, 3)), 1.0)], low=0, high=1)
    with pytest.raises(ValueError, match="one or more"):
        crossed_interval([], low=0, high=1)


@pytest.mark.parametrize(
    ("seeds", "mean", "by_seed", "by_subject"),
    [(20, 0, 0.5, 0.5), (20, 2, 1, 1), (20, 0, 0, 0), (6, -4, 0.3, 2.5), (6, -3, 1, 1)],
)
def test_intervals_cover_other_seeds_and_other_subjects(seeds, mean, by_seed, by_subject):
    rng = np.random.default_rng(0)
    truth = expit(mean + rng.normal(0, by_seed, 10**6) + rng.normal(0, by_subject, 10**6)).mean()
    covered = []
    for _ in range(1000):
        p = expit(mean + rng.normal(0, by_seed, (seeds, 1)) + rng.normal(0, by_subject, 8))
        found = crossed_interval([((rng.random(p.shape) < p).astype(float), 1.0)], low=0, high=1)
        covered.append(found.low <= truth <= found.high)
    assert 0.92 < np.mean(covered) < 0.998
