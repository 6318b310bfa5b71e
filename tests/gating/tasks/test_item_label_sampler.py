"""Item labels against their exact laws: items, labels, how items are shown, and where the query comes from.

All p-values of the file together fall under their bounds with probability at most `SUITE_FAILURE_RATE` on sound code
with fresh seeds (Bonferroni); the seeds are fixed, so a pass stays one.
"""

import numpy as np
import pytest
import torch
from gaussian_laws import BOUND, normal, uncorrelated
from scipy import stats

from gating.tasks.item_labels import ItemLabels


def _fair(flags) -> float:
    return float(stats.binomtest(int(flags.sum()), flags.size).pvalue)


@pytest.mark.parametrize("dim", [8, 16])
def test_items_are_gaussian_and_labels_fair_coins(dim):
    items, labels = ItemLabels([20_000], [1], dim=dim, length=2).table(0)
    with_labels = torch.cat([items, labels.unsqueeze(-1)], dim=-1).double().numpy()
    p = [normal(items.numpy(), 1 / dim), uncorrelated(with_labels), uncorrelated(with_labels[:, :-1] ** 2)]
    assert min(*p, _fair(labels.numpy())) > BOUND
    assert set(labels.tolist()) == {0, 1}


@pytest.mark.parametrize("v", [0.5, 2.0])
@pytest.mark.parametrize("mode", ["training", "fresh", "absent"])
def test_an_item_is_shown_with_new_noise_of_its_share_at_every_token(mode, v):
    """(x sqrt(1 + v) - a) / sqrt(v) is N(0, I / m) at every token, apart from other tokens', the query's too."""
    sampler = ItemLabels([6], [2], dim=4, length=5, within_variance=v)
    sequences = sampler.batches(0, 40, 100) if mode == "training" else sampler.fresh(0, 4000, absent=mode == "absent")
    items, labels = sampler.table(0)
    noise = ((sequences.x[0].double() * (1 + v) ** 0.5 - items[sequences.classes[0]]) / v**0.5).flatten(1).numpy()
    assert min(normal(noise, 1 / 4), uncorrelated(noise), uncorrelated(noise**2)) > BOUND
    assert torch.equal(sequences.y[0], labels[sequences.classes[0]])


def test_a_shown_item_has_the_variance_of_an_item():
    """Over many items a shown one is N(0, I / m) again, and two showings of one correlate by 1 / (1 + v)."""
    sequences = ItemLabels([2**17], [3], dim=8, length=2).fresh(0, 4000)
    first, query = sequences.x[0, :, 0].double().numpy(), sequences.x[0, :, 1].double().numpy()
    assert min(normal(first, 1 / 8), normal(query, 1 / 8)) > BOUND
    rho = np.corrcoef(first.ravel(), query.ravel())[0, 1]
    assert 2 * stats.norm.sf(abs(np.arctanh(rho) - np.arctanh(1 / 1.5)) * np.sqrt(first.size - 3)) > BOUND


@pytest.mark.parametrize("unseen", [False, True])
def test_the_query_repeats_the_item_of_a_uniform_context_place(unseen):
    """With noise-free items of an almost surely injective context, the place is read off: uniform over L."""
    sampler = ItemLabels([2**20], [4], dim=4, length=8, within_variance=0.0)
    sequences = sampler.fresh(0, 8000, unseen=unseen)
    same = (sequences.context_x[0] == sequences.query[0].unsqueeze(1)).all(-1).numpy()
    once = same.sum(1) == 1
    assert (same.sum(1) >= 1).all()
    assert once.mean() > 0.999
    place = same[once].argmax(1)
    assert stats.chisquare(np.bincount(place, minlength=7)).pvalue > BOUND
    shown = np.take_along_axis(sequences.context_y[0].numpy()[once], place[:, None], axis=1)[:, 0]
    assert (shown == sequences.target[0].numpy()[once]).all()


def test_context_items_are_uniform_and_independent():
    classes = ItemLabels([3], [5], dim=2, length=4).batches(0, 90, 100).classes[0].numpy()
    p = [stats.chisquare(np.bincount(column, minlength=3)).pvalue for column in classes.T]
    code = classes[:, 0] * 9 + classes[:, 1] * 3 + classes[:, 2]
    p.append(stats.chisquare(np.bincount(code, minlength=27)).pvalue)
    assert min(p) > BOUND
    assert (classes[:, :-1] == classes[:, -1:]).any(1).all()


def test_without_the_querys_item_the_context_is_uniform_over_the_others():
    sampler = ItemLabels([4, 2], [5, 6], dim=2, length=3)
    sequences = sampler.fresh(0, 8000, absent=True)
    assert not (sequences.classes[..., :-1] == sequences.query_class.unsqueeze(-1)).any()
    classes = sequences.classes[0].numpy()
    code = np.ravel_multi_index(classes.T, (4, 4, 4))
    allowed = [a * 16 + b * 4 + q for a in range(4) for b in range(4) for q in range(4) if q not in (a, b)]
    counts = np.bincount(code, minlength=64)
    assert counts.sum() == counts[allowed].sum()
    assert stats.chisquare(counts[allowed]).pvalue > BOUND
    assert (sequences.classes[1, :, 0] == 1 - sequences.query_class[1]).all()


def test_unseen_items_are_new_gaussian_items_with_fair_labels():
    sampler = ItemLabels([8], [7], dim=4, length=6, within_variance=0.0)
    sequences = sampler.fresh(0, 4000, unseen=True)
    assert (sequences.classes == -1).all()
    shown = sequences.context_x[0].double()
    p = [normal(shown.numpy(), 1 / 4), uncorrelated(shown.flatten(1).numpy()), _fair(sequences.context_y[0].numpy())]
    p.append(uncorrelated(torch.cat([shown[:, 0], sequences.context_y[0].double()], dim=-1).numpy()))
    assert min(p) > BOUND
    assert len(torch.unique(shown.flatten(0, 1), dim=0)) == 4000 * 5


def test_the_items_of_a_small_diversity_are_the_first_of_a_larger_one():
    sampler = ItemLabels([2, 64], [0, 0], dim=8, length=4)
    for small, large in zip(sampler.table(0), sampler.table(1), strict=True):
        assert torch.equal(small, large[:2])


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_a_bad_variance_is_named(value):
    with pytest.raises(ValueError, match=r"^`within_variance` must be .*; got "):
        ItemLabels([2], [0], dim=8, length=4, within_variance=value)


def test_a_context_pair_is_needed():
    with pytest.raises(ValueError, match=r"^`length` must be an integer >= 2, a context pair and the query; got 1$"):
        ItemLabels([2], [0], dim=8, length=1)


@pytest.mark.parametrize(("n_tasks", "unseen"), [([8, 1], False), ([8], True)])
def test_absent_needs_two_training_items(n_tasks, unseen):
    sampler = ItemLabels(n_tasks, list(range(len(n_tasks))), dim=8, length=4)
    with pytest.raises(ValueError, match=r"^`absent` must come with training items \(not `unseen`\), two or more"):
        sampler.fresh(0, 4, absent=True, unseen=unseen)
