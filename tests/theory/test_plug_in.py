from itertools import product
from math import factorial, prod

import numpy as np
import pytest
from scipy import stats

from theory.plug_in import LONGEST_TABLE, mean_over_counts, miss_table


def enumerated_miss(n: int, n_labels: int, noise: float) -> float:
    """Sum over all label counts of n noisy labels."""
    p = [1 - noise] + [noise / (n_labels - 1)] * (n_labels - 1)
    total = 0.0
    for counts in product(range(n + 1), repeat=n_labels):
        if sum(counts) == n:
            mass = factorial(n) * prod(q**k / factorial(k) for q, k in zip(p, counts, strict=True))
            top = max(counts)
            total += mass * (1 - (counts[0] == top) / counts.count(top))
    return total


@pytest.mark.parametrize(
    ("n_labels", "noise"), [(3, 0.05), (3, 0.5), (3, 0.8), (4, 0.3), (4, 1e-6), (5, 0.9), (2, 0.3)]
)
def test_uniform_noise_agrees_with_enumeration(n_labels: int, noise: float) -> None:
    table, _ = miss_table(n_labels, noise, "uniform")
    for n in range(min(len(table), 8)):
        assert table[n] == pytest.approx(enumerated_miss(n, n_labels, noise), abs=1e-13)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.45, 0.7])
def test_shift_noise_is_a_binomial_majority(noise: float) -> None:
    table, limit = miss_table(6, noise, "shift")
    for n in range(1, min(len(table), 60)):
        noisy = stats.binom(n, noise)
        tie = noisy.pmf(n / 2) if n % 2 == 0 else 0.0
        assert table[n] == pytest.approx(noisy.sf(n // 2) + tie / 2, abs=1e-14)
    assert limit == (noise > 0.5)


@pytest.mark.parametrize(("n_labels", "noise"), [(10, 0.05), (10, 0.5), (1000, 0.9), (10**6, 0.95), (10**6, 0.1)])
def test_more_labels_never_hurt_and_the_table_ends_at_its_limit(n_labels: int, noise: float) -> None:
    table, limit = miss_table(n_labels, noise, "uniform")
    assert (np.diff(table) <= 1e-11).all()
    assert limit == 0
    assert table[-1] < 1e-13
    assert table[:2].tolist() == pytest.approx([1 - 1 / n_labels, noise])


@pytest.mark.parametrize("n_labels", [2, 3, 4, 6, 7, 10, 49, 1000, 10**6])
def test_equally_likely_labels_are_guessed(n_labels: int) -> None:
    for noise in (1 - 1 / n_labels, (n_labels - 1) / n_labels):
        table, limit = miss_table(n_labels, noise, "uniform")
        assert table.tolist() == [limit] * len(table)
        assert limit == 1 - 1 / n_labels
    assert miss_table(4, 0.5, "shift")[1] == 0.5


def test_noise_near_the_critical_one_is_refused_unless_counts_are_small() -> None:
    with pytest.raises(ValueError, match="`label_noise` must keep"):
        miss_table(10, 0.89, "uniform")
    assert len(miss_table(10, 0.89, "uniform", 50)[0]) == 51
    with pytest.raises(ValueError, match="table of 100000 counts"):
        miss_table(10, 0.499, "shift")
    assert len(miss_table(10, 0.48, "shift")[0]) < LONGEST_TABLE["shift"]


def test_mean_over_counts_agrees_with_the_full_sum() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        n, p, sure = int(generator.integers(0, 60)), generator.choice([0.0, generator.uniform(), 1.0]), 2
        table = generator.uniform(size=generator.integers(1, 40))
        values = np.append(table, np.full(100, 0.3))[sure : n + sure + 1]
        expected = stats.binom.pmf(np.arange(n + 1), n, p) @ values
        assert mean_over_counts(table, 0.3, np.array(float(n)), np.array(p), sure) == pytest.approx(expected, rel=1e-12)
