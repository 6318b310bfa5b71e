"""Laws of Gaussian samples, as p-values, and the bound that they are held to."""

import numpy as np
from scipy import stats

SUITE_FAILURE_RATE = 1e-6
N_TESTS = 1000  # more than the p-values of a file that uses it
BOUND = SUITE_FAILURE_RATE / N_TESTS


def normal(values, variance) -> float:
    """Smallest p-value of a sample against N(0, variance): its distribution function, mean and mean square."""
    z = np.ravel(values) / np.sqrt(variance)
    return min(
        stats.kstest(z, "norm").pvalue,
        2 * stats.norm.sf(abs(z.mean()) * np.sqrt(z.size)),
        2 * stats.norm.sf(abs((z**2).mean() - 1) * np.sqrt(z.size / 2)),
    )


def uncorrelated(columns) -> float:
    """p-value of the sum of squared correlations between columns (n, c)."""
    off = np.triu(np.corrcoef(columns.T), 1)
    c = columns.shape[1]
    return float(stats.chi2.sf(len(columns) * (off**2).sum(), c * (c - 1) / 2))
