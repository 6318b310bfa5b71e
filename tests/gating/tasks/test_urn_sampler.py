"""Balls and urns against their exact laws, and what training and evaluation sequences share.

All p-values of the file together fall under their bounds with probability at most `SUITE_FAILURE_RATE` on sound code
with fresh seeds (Bonferroni); the seeds are fixed, so a pass stays one.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from gating.tasks.urns import Urns

SUITE_FAILURE_RATE = 1e-6
N_TESTS = 1000  # more than the p-values of this file
BOUND = SUITE_FAILURE_RATE / N_TESTS


def _chi_square(counts, probabilities) -> float:
    """p-value of counts against probabilities; cells with fewer than 10 expected are pooled."""
    expected = counts.sum() * probabilities
    order = np.argsort(-expected)
    counts, expected = counts[order], expected[order]
    large = int((expected >= 10).sum())
    last = large if expected[large:].sum() >= 10 else large - 1
    o = np.append(counts[:last], counts[last:].sum())
    e = np.append(expected[:last], expected[last:].sum())
    return float(stats.chisquare(o, e * o.sum() / e.sum()).pvalue)


@pytest.mark.parametrize("dim", [2, 8, 12, 16])
def test_urns_are_dirichlet_one(dim):
    """Each frequency is Beta(1, m - 1), and so is the merged frequency of j colours, Beta(j, m - j)."""
    urns = Urns([20_000], [3], dim=dim, length=2).table(0).numpy()
    assert urns.shape == (20_000, dim)
    np.testing.assert_allclose(urns.sum(1), 1, rtol=1e-12)
    p = [stats.kstest(column, stats.beta(1, dim - 1).cdf).pvalue for column in urns.T]
    for j in range(2, dim):
        p.append(stats.kstest(urns[:, :j].sum(1), stats.beta(j, dim - j).cdf).pvalue)
    assert min(p) > BOUND


@pytest.mark.parametrize("source", ["training", "evaluation"])
def test_draws_are_independent_draws_of_a_uniform_urn(source):
    """The urn is uniform; given it, the colour of every draw has the urn's frequencies, and pairs of draws, next to
    each other or far apart, have their product."""
    sampler = Urns([3], [5], dim=4, length=16)
    sequences = sampler.batches(0, 300, 100) if source == "training" else sampler.fresh(1, 30_000)
    y, task = sequences.y[0].numpy(), sequences.classes[0].numpy()
    assert sequences.x.shape == (1, 30_000, 16, 0)
    assert (task == task[:, :1]).all()
    p = [_chi_square(np.bincount(task[:, 0], minlength=3), np.full(3, 1 / 3))]
    for k, urn in enumerate(sampler.table(0).numpy()):
        mine = y[task[:, 0] == k]
        for t in range(16):
            p.append(_chi_square(np.bincount(mine[:, t], minlength=4), urn))
        for a, b in ((0, 1), (7, 8), (0, 15)):
            p.append(_chi_square(np.bincount(mine[:, a] * 4 + mine[:, b], minlength=16), np.outer(urn, urn).ravel()))
    assert min(p) > BOUND


def test_unseen_urns_are_new_in_every_sequence_and_dirichlet():
    """The number of draws of one colour is beta-binomial: over the urns, all counts 0 .. T of two colours are alike."""
    y = Urns([2], [5], dim=2, length=20).fresh(0, 20_000, unseen=True)
    assert (y.classes == -1).all()
    counts = np.bincount(y.y[0].sum(-1).numpy(), minlength=21)
    assert _chi_square(counts, np.full(21, 1 / 21)) > BOUND
    three = Urns([2], [6], dim=3, length=12).fresh(0, 20_000, unseen=True).y[0].numpy()
    law = stats.betabinom(12, 1, 2).pmf(np.arange(13))
    assert min(_chi_square(np.bincount((three == c).sum(1), minlength=13), law) for c in range(3)) > BOUND


def test_the_urns_of_a_small_diversity_are_the_first_of_a_larger_one():
    sampler = Urns([2, 64, 64], [0, 0, 1], dim=8, length=4)
    assert torch.equal(sampler.table(0), sampler.table(1)[:2])
    assert not torch.isclose(sampler.table(1), sampler.table(2)).all(1).any()
    assert torch.equal(Urns([4096], [0], dim=8, length=4).table(0)[:64], sampler.table(1))
