"""Linear regression tasks against their exact laws.

All p-values of the file together fall under their bounds with probability at most `SUITE_FAILURE_RATE` on sound code
with fresh seeds (Bonferroni); the seeds are fixed, so a pass stays one.
"""

import numpy as np
import pytest
import torch
from gaussian_laws import BOUND, normal, uncorrelated
from scipy import stats

from gating.tasks.linear_regression import LinearRegression


@pytest.mark.parametrize("dim", [8, 12, 16])
@pytest.mark.parametrize("source", ["training", "evaluation"])
def test_pairs_are_gaussian_inputs_and_noisy_products_with_the_tasks_weights(dim, source):
    """Inputs N(0, I); what the task's weights leave of y is N(0, m / 256), apart from the inputs and between pairs."""
    sampler = LinearRegression([5], [2], dim=dim, length=6)
    sequences = sampler.batches(0, 60, 100) if source == "training" else sampler.fresh(3, 6000)
    x, task = sequences.x[0].double(), sequences.classes[0]
    assert sampler.noise_variance == dim / 256
    assert (task == task[:, :1]).all()
    w = sampler.table(0).double()[task[:, 0]]
    residual = (sequences.y[0].double() - torch.einsum("btm,bm->bt", x, w)).numpy()
    p = [normal(x.numpy(), 1), normal(residual, dim / 256)]
    everything = np.concatenate([x.flatten(1).numpy(), residual], axis=1)
    p += [uncorrelated(everything), uncorrelated(everything**2)]
    p.append(stats.chisquare(np.bincount(task[:, 0].numpy(), minlength=5)).pvalue)
    assert min(p) > BOUND


def test_weights_of_training_tasks_are_gaussian():
    w = LinearRegression([20_000], [4], dim=8, length=1).table(0).numpy()
    assert min(normal(w, 1), uncorrelated(w), uncorrelated(w**2)) > BOUND


def test_a_noise_variance_can_be_given():
    sampler = LinearRegression([1], [4], dim=2, length=50, noise_variance=2.5)
    sequences = sampler.fresh(0, 200)
    residual = sequences.y[0] - sequences.x[0] @ sampler.table(0)[0]
    assert normal(residual.numpy(), 2.5) > BOUND


def test_unseen_tasks_have_new_gaussian_weights_in_every_sequence():
    """With as many nearly noiseless pairs as features the weights can be solved for: N(0, I), apart from those of
    other sequences and of training."""
    sampler = LinearRegression([3], [4], dim=2, length=2, noise_variance=1e-12)
    sequences = sampler.fresh(0, 4000, unseen=True)
    assert (sequences.classes == -1).all()
    solvable = torch.linalg.det(sequences.x[0].double()).abs() > 0.01
    x, y = sequences.x[0].double()[solvable], sequences.y[0].double()[solvable]
    w = torch.linalg.solve(x, y.unsqueeze(-1)).squeeze(-1).numpy()
    assert len(w) > 3800
    assert min(normal(w, 1), uncorrelated(w)) > BOUND
    assert len(np.unique(w.round(3), axis=0)) > 0.99 * len(w)


def test_the_tasks_of_a_small_diversity_are_the_first_of_a_larger_one():
    sampler = LinearRegression([2, 64, 64], [0, 0, 1], dim=8, length=4)
    assert torch.equal(sampler.table(0), sampler.table(1)[:2])
    assert not torch.equal(sampler.table(1), sampler.table(2))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), [1.0, 2.0]])
def test_a_bad_noise_variance_is_named(value):
    with pytest.raises(ValueError, match=r"^`noise_variance` must be .*; got "):
        LinearRegression([2], [0], dim=8, length=4, noise_variance=value)
