"""How simulated means and rates are held against exact values and bounds."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

SUITE_FAILURE_RATE = 1e-3  # chance that any simulated comparison of the suite fails although every claim holds
N_COMPARISONS = 50_000  # simulated comparisons in the suite, at most
COMPARISON_RATE = SUITE_FAILURE_RATE / N_COMPARISONS
N_ERRORS = float(stats.norm.isf(COMPARISON_RATE / 2))  # about 5.6 standard errors
ROUNDING = 1e-9

Floats = NDArray[np.float64]


def standard_error(draws: Floats) -> float:
    """Of the mean; a constant sample may still hide a value as rare as 3 in its size."""
    spread = float(np.ptp(draws)) or 1.0
    return float(draws.std() / np.sqrt(len(draws))) + spread * 3 / len(draws)


def assert_mean(draws: Floats, exact: ArrayLike) -> None:
    error = abs(draws.mean() - float(np.asarray(exact)))
    assert error <= N_ERRORS * standard_error(draws) + ROUNDING, (draws.mean(), exact, standard_error(draws))


def assert_mean_between(draws: Floats, lower: ArrayLike, upper: ArrayLike) -> None:
    slack = N_ERRORS * standard_error(draws) + ROUNDING
    assert float(np.asarray(lower)) - slack <= draws.mean() <= float(np.asarray(upper)) + slack


def assert_rate_at_most(n_failures: int, n_trials: int, delta: float) -> None:
    """The Clopper-Pearson lower limit of the failure rate does not exceed delta."""
    limit = stats.beta.ppf(COMPARISON_RATE, n_failures, n_trials - n_failures + 1) if n_failures else 0.0
    assert limit <= delta, (n_failures, n_trials, delta)
