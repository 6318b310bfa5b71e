"""How often the interval of a mean over seeds misses it, where that is known, and what it costs in width."""

import numpy as np
import pytest
from scipy import stats

from gating.results.intervals import mean_interval
from tests.claims.monte_carlo import assert_rate_at_most

RUNS = 5000


def errors_of(rng, true, tests):
    values = rng.binomial(tests, true) / tests
    return values, np.sqrt(values * (1 - values) / (tests - 1))


def losses_of(rng, true):
    values = true * rng.gamma(100, 0.01, true.shape)  # means of 100 exponential losses
    return values, values / 10


@pytest.mark.parametrize("n_seeds", [3, 5, 20])
@pytest.mark.parametrize(
    ("mean", "draw", "high"),
    [
        (0.003, lambda rng, s: errors_of(rng, np.full(s, 0.003), 200), 1),
        (0.003, lambda rng, s: errors_of(rng, rng.beta(1, 1 / 0.003 - 1, s), 200), 1),
        (0.5, lambda rng, s: errors_of(rng, np.full(s, 0.5), 200), 1),
        (0.5, lambda rng, s: errors_of(rng, rng.beta(12, 12, s), 200), 1),
        (1.0, lambda rng, s: losses_of(rng, np.ones(s)), np.inf),
        (1.0, lambda rng, s: losses_of(rng, rng.lognormal(-0.125, 0.5, s)), np.inf),
    ],
    ids=["rare alike", "rare apart", "even alike", "even apart", "loss alike", "loss apart"],
)
def test_it_misses_the_mean_in_at_most_7_of_100_runs(n_seeds, mean, draw, high):
    values, errors = draw(np.random.default_rng(0), (RUNS, n_seeds))
    found = mean_interval(values, tests=200 if high == 1 else 100, standard_errors=errors, low=0, high=high)
    missed = (found.low > mean) | (found.high < mean)
    assert_rate_at_most(int(missed.sum()), RUNS, 0.07)
    if mean == 0.5:  # what it costs: no width beyond Student's
        plain = mean_interval(values)
        assert np.mean(found.high - found.low) < 1.08 * np.nanmean(plain.high - plain.low)


def test_students_interval_and_wilsons_miss_it_more_often():
    values, _ = errors_of(np.random.default_rng(0), np.full((RUNS, 3), 0.003), 200)
    half = stats.t.ppf(0.975, 2) * values.std(1, ddof=1) / 3**0.5
    with pytest.raises(AssertionError):
        assert_rate_at_most(int((abs(values.mean(1) - 0.003) > half).sum()), RUNS, 0.07)
    values, _ = errors_of(np.random.default_rng(0), np.random.default_rng(1).beta(12, 12, (RUNS, 3)), 200)
    pooled = mean_interval(values.mean(1)[:, None], tests=600, low=0, high=1)
    with pytest.raises(AssertionError):
        assert_rate_at_most(int(((pooled.low > 0.5) | (pooled.high < 0.5)).sum()), RUNS, 0.07)
