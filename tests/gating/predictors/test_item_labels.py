"""Predictors of item-label classification: enumeration, quadrature over items, calibration and label noise."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from gating.predictors.item_labels import ItemGeneralizer, ItemMemorizer
from gating.tasks.sequences import Sequences

M, L, D, V = 3, 8, 12, 0.5


def _rng(seed):
    return torch.Generator().manual_seed(seed)


def _table(n=D, m=M, seed=0):
    items = torch.randn(n, m, generator=_rng(seed), dtype=torch.float64) / m**0.5
    return items, torch.randint(0, 2, (n,), generator=_rng(seed + 1))


def _shown(items, v, seed):
    noise = torch.randn(items.shape, generator=_rng(seed), dtype=torch.float64) / items.shape[-1] ** 0.5
    return (items + v**0.5 * noise) / (1 + v) ** 0.5


def _sequences(n, items, labels, v=V, length=L, seed=0):
    """Sequences of the stored items; the query shows the item of a context pair again."""
    drawn = torch.randint(0, len(items), (n, length), generator=_rng(seed + 10))
    copied = torch.randint(0, length, (n, 1), generator=_rng(seed + 11))
    drawn = torch.cat([drawn, drawn.gather(1, copied)], 1)
    return Sequences(_shown(items[drawn], v, seed + 12), labels[drawn], drawn)


def _noisy(p, noise):
    return [(1 - noise) * value + noise / 2 for value in p]


@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.2])
@pytest.mark.parametrize("v", [0.01, 0.5, 3.0])
def test_memorizer_is_the_enumerated_posterior_over_stored_items(v, noise):
    items, labels = _table()
    sequences = _sequences(6, items, labels, v)
    out = ItemMemorizer(items, labels, within_variance=v, label_noise=noise)(sequences)
    with mpmath.workdps(40):
        for x, row in zip(sequences.query.tolist(), out, strict=True):
            by_label = [mpmath.mpf(0)] * 2
            for item, label in zip(items.tolist(), labels.tolist(), strict=True):
                squares = [(a - b / mpmath.sqrt(1 + mpmath.mpf(v))) ** 2 for a, b in zip(x, item, strict=True)]
                by_label[label] += mpmath.exp(-mpmath.fsum(squares) * M * (1 + v) / (2 * v))
            wanted = _noisy([value / mpmath.fsum(by_label) for value in by_label], noise)
            assert row.tolist() == pytest.approx([float(mpmath.log(p)) for p in wanted], abs=1e-10)


def test_memorizer_is_bayes_rule_with_scipys_densities():
    items, labels = _table()
    sequences = _sequences(50, items, labels)
    density = torch.stack(
        [
            torch.from_numpy(multivariate_normal(item / math.sqrt(1 + V), V / (1 + V) / M).pdf(sequences.query))
            for item in items.numpy()
        ],
        -1,
    )
    ones = (density * labels).sum(-1) / density.sum(-1)
    out = ItemMemorizer(items, labels, label_noise=0.0)(sequences).exp()
    torch.testing.assert_close(out, torch.stack([1 - ones, ones], -1), rtol=0, atol=1e-10)


@pytest.mark.parametrize("noise", [0.0, 1e-6])
@pytest.mark.parametrize("v", [0.01, 0.5, 3.0])
def test_generalizer_is_the_enumerated_posterior_over_copied_pairs(v, noise):
    sequences = _sequences(6, *_table(), v)
    out = ItemGeneralizer(M, within_variance=v, label_noise=noise)(sequences)
    covariance = np.array([[1, 1 / (1 + v)], [1 / (1 + v), 1]])
    for x, y, row in zip(sequences.x, sequences.context_y, out, strict=True):
        by_label = [0.0, 0.0]
        for pair, label in zip(x[:-1], y.tolist(), strict=True):
            joint = sum(
                multivariate_normal.logpdf(torch.stack([x[-1], pair], -1)[k], cov=covariance / M) for k in range(M)
            )
            by_label[label] += math.exp(joint - multivariate_normal.logpdf(pair, cov=np.eye(M) / M))
        wanted = _noisy([value / sum(by_label) for value in by_label], noise)
        finite = [k for k in (0, 1) if wanted[k] > 0]
        assert [row[k].item() for k in finite] == pytest.approx([math.log(wanted[k]) for k in finite], abs=1e-10)


def test_generalizer_of_one_dimension_integrates_over_the_item():
    sequences = _sequences(3, *_table(m=1), length=4)
    out = ItemGeneralizer(1, label_noise=0.0)(sequences)
    width, spread = math.sqrt(1 + V), mpmath.mpf(V) / (1 + V)
    for x, y, row in zip(sequences.x[..., 0].tolist(), sequences.context_y.tolist(), out, strict=True):
        by_label = [mpmath.mpf(0)] * 2
        for pair, label in zip(x[:-1], y, strict=True):

            def once(a, pair=pair):
                return mpmath.npdf(a) * mpmath.npdf(pair, a / width, mpmath.sqrt(spread))

            def twice(a, pair=pair, query=x[-1]):
                return once(a) * mpmath.npdf(query, a / width, mpmath.sqrt(spread))

            grid = mpmath.linspace(-8, 8, 17)
            by_label[label] += mpmath.quad(twice, grid) / mpmath.quad(once, grid)
        wanted = [value / mpmath.fsum(by_label) for value in by_label]
        assert row.exp().tolist() == pytest.approx([float(p) for p in wanted], abs=1e-10)


@pytest.mark.parametrize("world", ["stored", "fresh"])
def test_each_predictor_is_calibrated_in_its_own_world(world):
    """Given what it sees, P(label 1) is the answer: the mean surprise is 0 within 5 standard errors, in four groups."""
    n = 20_000
    if world == "stored":
        items, labels = _table()
        predictor, sequences = ItemMemorizer(items, labels, label_noise=0.0), _sequences(n, items, labels)
    else:
        items = torch.randn(n, L, M, generator=_rng(3), dtype=torch.float64) / M**0.5
        labels = torch.randint(0, 2, (n, L), generator=_rng(4))
        copied = torch.randint(0, L, (n, 1), generator=_rng(5))
        y = torch.cat([labels, labels.gather(1, copied)], 1)
        shown = torch.cat([items, items.gather(1, copied[..., None].expand(-1, -1, M))], 1)
        predictor, sequences = ItemGeneralizer(M, label_noise=0.0), Sequences(_shown(shown, V, 6), y, y)
    p = predictor(sequences).exp()[:, 1]
    for low, high in ((0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.01)):
        group = (p >= low) & (p < high)
        surprise = sequences.target[group] - p[group]
        assert int(group.sum()) > 500
        assert surprise.mean().abs() < 5 * (p[group] * (1 - p[group])).sum().sqrt() / group.sum()


def test_a_label_that_is_absent_has_half_the_label_noise():
    items, _ = _table()
    absent = torch.zeros(D, dtype=torch.int64)
    sequences = _sequences(4, items, absent)
    for make in (
        lambda noise: ItemMemorizer(items, absent, label_noise=noise),
        lambda noise: ItemGeneralizer(M, label_noise=noise),
    ):
        torch.testing.assert_close(make(1e-6)(sequences)[:, 1].exp(), torch.full((4,), 5e-7, dtype=torch.float64))
        assert bool(make(0.0)(sequences)[:, 1].isneginf().all())
        torch.testing.assert_close(make(0.0)(sequences)[:, 0], torch.zeros(4, dtype=torch.float64))


def test_no_answer_is_lost_to_underflow():
    """One item of each label, the query on the first: the odds are those of the squared distance, here 6000 nats."""
    items, v = torch.tensor([[0.0], [2.0]], dtype=torch.float64), 1 / 3000
    x = torch.zeros(3, 1, dtype=torch.float64)
    out = ItemMemorizer(items, torch.tensor([0, 1]), within_variance=v, label_noise=0.0)(
        Sequences(x, torch.zeros(3, dtype=torch.int64), x)
    )
    assert out.tolist() == pytest.approx([0.0, -6000.0])


@pytest.mark.parametrize("chunk", [1, 40, 2**8])
def test_answers_do_not_depend_on_blocks_leading_dimensions_or_order(chunk):
    items, labels = _table()
    sequences = _sequences(24, items, labels)
    order, pairs = torch.randperm(D, generator=_rng(2)), torch.randperm(L, generator=_rng(2)).tolist()
    mixed = Sequences(*(field[:, [*pairs, L]].unflatten(0, (2, 3, 4)) for field in sequences))
    for whole, blocked in (
        (ItemMemorizer(items, labels), ItemMemorizer(items[order], labels[order], chunk=chunk)),
        (ItemGeneralizer(M), ItemGeneralizer(M, chunk=chunk)),
    ):
        out = whole(sequences)
        torch.testing.assert_close(blocked(mixed).view(24, 2), out, rtol=0, atol=1e-11)
        torch.testing.assert_close(whole(Sequences(*(field[5] for field in sequences))), out[5], rtol=0, atol=1e-11)
        torch.testing.assert_close(out.exp().sum(-1), torch.ones(24, dtype=torch.float64), rtol=0, atol=1e-12)
        assert whole(Sequences(*(field[:0] for field in sequences))).shape == (0, 2)


def test_the_target_is_hidden_and_the_memorizer_sees_the_query_alone():
    items, labels = _table()
    sequences = _sequences(20, items, labels)
    y = sequences.y.clone()
    y[:, -1] = 1 - y[:, -1]
    M_, G = ItemMemorizer(items, labels), ItemGeneralizer(M)
    assert torch.equal(G(sequences._replace(y=y, classes=y)), G(sequences))
    x = sequences.x.clone()
    x[:, :-1] += 1
    assert torch.equal(M_(sequences._replace(x=x, y=1 - sequences.y)), M_(sequences))
    assert not torch.equal(G(sequences._replace(x=x)), G(sequences))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: ItemMemorizer(torch.ones(2), torch.ones(2)),
            r"`items` must be a tensor of finite .*; got shape \(2,\)",
        ),
        (lambda: ItemMemorizer(_table()[0] * torch.nan, _table()[1]), "`items` must .*; got 36 that are not finite"),
        (
            lambda: ItemMemorizer(_table()[0], torch.arange(D)),
            "`labels` must be integers in 0 .. 1; got values from 0 to 11",
        ),
        (
            lambda: ItemMemorizer(_table()[0], _table(5)[1]),
            r"`labels` must have shape \(12,\); got \(5,\)",
        ),
        (
            lambda: ItemMemorizer(*_table(), within_variance=0),
            "`within_variance` must be a finite number > 0; got 0",
        ),
        (lambda: ItemGeneralizer(M, label_noise=1.0), r"`label_noise` must be in \[0, 1\); got 1."),
        (lambda: ItemGeneralizer(M, label_noise=float("nan")), r"`label_noise` must be in \[0, 1\); got nan"),
        (lambda: ItemGeneralizer(0), "`dim` must be an integer >= 1; got 0"),
        (lambda: ItemGeneralizer(M, chunk=2.0), "`chunk` must be an integer >= 1; got 2.0"),
        (
            lambda: ItemGeneralizer(2)(_sequences(2, *_table())),
            r"`sequences.x` must have shape \(..., T, 2\), y \(..., T\), T >= 1; got \(2, 9, 3\) and \(2, 9\)",
        ),
        (
            lambda: ItemGeneralizer(M)(Sequences(*(field[:, -1:] for field in _sequences(2, *_table())))),
            r"`sequences` must have one context pair or more; got x of shape \(2, 1, 3\)",
        ),
    ],
)
def test_bad_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call()
