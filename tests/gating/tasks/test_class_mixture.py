"""The sampler: training sets as pure functions of (seed, index), batches, out-of-base copies."""

import hashlib
import subprocess
import sys

import pytest
import torch
from scipy import stats

from gating.tasks.class_mixture import MAX_SEQUENCES, ClassMixtureSampler
from theory.distribution import ClassMixture

FAILURE_RATE = 1e-6
"""Probability that one statistical test of this file would fail on sound code with fresh seeds (they are fixed)."""

SPEC = ClassMixture(dim=6, context_length=3, label_noise=0.2)
INDEX = [0, 1, 2, 9, 10, 2**20, 2**33 + 7, 2**40 - 2, 2**40 - 1]

_FRESH_PROCESS = """
import sys, hashlib, torch
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture
torch.set_num_threads(2)
spec = ClassMixture(dim=6, context_length=3, label_noise=0.2)
rows = ClassMixtureSampler([spec], [2**40], [7]).training_rows(torch.tensor([[int(i) for i in sys.argv[1:]]]))
print(hashlib.sha256(b"".join(field.numpy().tobytes() for field in rows)).hexdigest())
"""


def _sampler(spec=SPEC, n=2**40, seed=7, **options):
    return ClassMixtureSampler([spec], [n], [seed], **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cover", [True, False])
def test_a_row_is_the_same_alone_in_any_batch_and_beside_any_replica(dtype, cover):
    """Bitwise, for dimensions and batch sizes that fill vector registers and that leave a tail."""
    draw = torch.Generator().manual_seed(0)
    for dim, length, size in [(64, 1, 33), (6, 3, 100), (1, 2, 7), (17, 1, 1025)]:
        spec = ClassMixture(dim=dim, context_length=length, label_noise=0.2)
        other = ClassMixture(dim=dim, context_length=length, zipf=1.0, input_noise=1.0)
        options = {"cover_classes": cover, "dtype": dtype}
        one = ClassMixtureSampler([spec], [2**40], [7], **options)
        many = ClassMixtureSampler([other, spec, other], [64, 2**40, 2**20], [1, 7, 7], **options)
        index = torch.randint(0, 2**40, (size,), generator=draw)
        index[: len(INDEX)] = torch.tensor(INDEX)[:size]
        rows = one.training_rows(index[None])
        stacked = many.training_rows(torch.stack([index % 64, index.flip(0), index % 2**20]))
        alone = [one.training_rows(index[None, i : i + 1]) for i in range(9 if size > 9 else size)]
        for field, beside, single in zip(rows, stacked, zip(*alone, strict=True), strict=True):
            assert torch.equal(field[0], beside[1].flip(0))
            assert torch.equal(field[0, : len(single)], torch.cat(single, dim=1)[0])
        classes, y = one.training_labels(index[None])
        assert torch.equal(classes, rows.classes)
        assert torch.equal(y, rows.y)


def test_a_row_is_the_same_in_a_fresh_process():
    rows = _sampler().training_rows(torch.tensor([INDEX]))
    here = hashlib.sha256(b"".join(field.numpy().tobytes() for field in rows)).hexdigest()
    command = [sys.executable, "-c", _FRESH_PROCESS, *map(str, INDEX)]
    there = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert there.stdout.strip() == here


def test_a_smaller_training_set_is_the_beginning_of_a_larger_one():
    index = torch.arange(64)[None]
    for small, large in zip(_sampler(n=64).training_rows(index), _sampler().training_rows(index), strict=True):
        assert torch.equal(small, large)


def test_rows_and_centres_of_different_seeds_differ():
    samplers = [_sampler(seed=seed) for seed in range(50)]
    index = torch.arange(20)[None]
    queries = torch.cat([s.training_rows(index).query[0] for s in samplers])
    assert queries.unique(dim=0).shape[0] == 50 * 20
    assert torch.cat([s.centres[0] for s in samplers]).unique(dim=0).shape[0] == 50 * 10


def test_evaluation_sequences_are_not_training_rows():
    """Noise makes every input distinct: no input is shared by training rows and evaluation sequences, nor by the
    sequences of two evaluation seeds."""
    sampler = _sampler(n=2000)
    query, relevant = torch.arange(500) % 10, torch.arange(500) % 2 == 0
    inputs = [sampler.training_rows(torch.arange(2000)[None]), *(sampler.fresh(s, query, relevant) for s in (0, 1))]
    rows = torch.cat([sequences.x.flatten(0, 2) for sequences in inputs])
    assert len(rows) == 3000 * 4
    assert rows.unique(dim=0).shape[0] == len(rows)


def test_one_size_is_that_of_every_replica():
    one, each = (ClassMixtureSampler([SPEC] * 2, n, [0, 1]) for n in (100, [100, 100]))
    for mine, other in zip(one.batches(0, 2, 8), each.batches(0, 2, 8), strict=True):
        assert torch.equal(mine, other)
    assert one.n_sequences == [100, 100]


def test_evaluation_sequences_are_a_function_of_the_seed():
    query, relevant = torch.arange(50) % 10, torch.arange(50) % 2 == 0
    sampler = ClassMixtureSampler([SPEC, SPEC, SPEC], [64, 2**20, 64], [7, 7, 8])
    again, first = _sampler().fresh(3, query, relevant), sampler.fresh(3, query, relevant)
    for a, b in zip(again, first, strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(b[0], b[1])
    assert not torch.equal(first.x[0], first.x[2])
    assert torch.equal(first.query_class, query.expand(3, -1))
    shown = (first.classes[..., :-1] == query.view(1, -1, 1)).any(-1)
    assert torch.equal(shown, relevant.expand(3, -1))


def test_covered_classes_are_the_first_rows():
    """Rows 0 .. K-1 have query classes 0 .. K-1, and no other row's query is changed."""
    spec = ClassMixture(n_high=1, n_low=19, p_high=0.999, dim=1)
    index = torch.arange(3000)[None]
    covered = _sampler(spec, cover_classes=True).training_labels(index)[0][0, :, -1]
    drawn = _sampler(spec, cover_classes=False).training_labels(index)[0][0, :, -1]
    assert covered[:20].tolist() == list(range(20))
    assert len(drawn[:20].unique()) < 20
    assert torch.equal(covered[20:], drawn[20:])


def test_batch_rows_are_uniform_over_the_training_set():
    """Chi-square over the N rows of a small set, over the top and the bottom 6 bits of a set of 2^40, and over pairs
    of successive draws."""
    sampler = ClassMixtureSampler([SPEC, SPEC, SPEC], [16, 1000, 2**40], [7, 7, 7])
    index = sampler.batch_index(0, 2000, 50)
    assert index.shape == (3, 100_000)
    small, middle, large = index
    assert index.min() >= 0
    assert large.max() < 2**40
    cells = [(small, 16), (middle, 1000), (large >> 34, 64), (large % 64, 64), (small[:-1] * 16 + small[1:], 256)]
    p_values = [stats.chisquare(torch.bincount(value, minlength=k).numpy()).pvalue for value, k in cells]
    assert min(p_values) > FAILURE_RATE / len(p_values)
    late = _sampler().batch_index(10**9, 4, 32)
    assert late.unique().numel() == 128


def test_batches_are_a_function_of_the_step():
    """Steps 0 .. 9 drawn at once are steps 0 .. 2 and 3 .. 9, whatever rides along."""
    sampler = ClassMixtureSampler([SPEC, SPEC], [1000, 1000], [7, 8])
    whole = sampler.batches(0, 10, 5)
    parts = sampler.batches(0, 3, 5), sampler.batches(3, 7, 5)
    alone = _sampler(n=1000).batches(0, 10, 5)
    rows = sampler.training_rows(sampler.batch_index(0, 10, 5))
    for field, first, second, single, row in zip(whole, *parts, alone, rows, strict=True):
        assert torch.equal(field, torch.cat([first, second], dim=1))
        assert torch.equal(field[0], single[0])
        assert torch.equal(field, row)
    assert not torch.equal(sampler.batch_index(0, 10, 5)[0], sampler.batch_index(0, 10, 5)[1])


@pytest.mark.parametrize(("n_high", "n_low"), [(5, 5), (2, 3), (0, 4), (3, 0)])
def test_out_of_base_is_one_shift_on_a_copy_however_often_it_is_asked_for(n_high, n_low):
    """A predictor that names the true class is wrong on every out-of-base sequence without label noise. A shift in
    place, or one added up over redraws, would bring labels back to their class after as many draws as the group has
    classes."""
    spec = ClassMixture(n_high=n_high, n_low=n_low, dim=2, context_length=4)
    sampler = _sampler(spec)
    sizes = torch.tensor([n_high] * n_high + [n_low] * n_low)
    first = torch.tensor([0] * n_high + [n_high] * n_low)
    query = torch.arange(60) % spec.n_classes
    for redraw in range(12):
        base = sampler.fresh(redraw // 2, query, torch.arange(60) % 3 > 0)
        kept = [field.clone() for field in base]
        shifted = sampler.out_of_base(base)
        assert all(torch.equal(a, b) for a, b in zip(base, kept, strict=True))
        error = (shifted.query_class != shifted.target).double().mean().item()
        assert error == 1.0
        assert torch.equal(shifted.y, (base.y - first[base.y] + 1) % sizes[base.y] + first[base.y])
        assert torch.equal(shifted.x, base.x)
        assert torch.equal(shifted.classes, base.classes)


BAD_ARGUMENTS = [
    (([], [64], [0]), r"`distributions` must be one or more ClassMixture; got \[\]"),
    (([SPEC], [], [0]), r"`n_sequences` must be one or more integers in 10 .. 2\^40; got \[\]"),
    (
        ([SPEC], [64, 64], [0]),
        "`distributions` and `n_sequences` and `data_seeds` must have one entry per replica; got 1 and 2 and 1",
    ),
    (([SPEC, ClassMixture(dim=6)], [64] * 2, [0] * 2), r"must agree in `context_length`; got \[1, 3\]"),
    (([ClassMixture(), SPEC], [64] * 2, [0] * 2), r"must agree in `context_length`; got \[1, 3\]"),
    (([ClassMixture(), ClassMixture(dim=2)], [64] * 2, [0] * 2), r"must agree in `dim`; got \[2, 64\]"),
    (([ClassMixture(), ClassMixture(n_low=6)], [64] * 2, [0] * 2), r"must agree in `n_classes`; got \[10, 11\]"),
    (([SPEC], [9], [0]), r"`n_sequences` must be one or more integers in 10 .. 2\^40; got 9"),
    (
        ([SPEC], [MAX_SEQUENCES + 1], [0]),
        r"`n_sequences` must be one or more integers in 10 .. 2\^40; got 1099511627777",
    ),
    (([SPEC], [64.0], [0]), r"`n_sequences` must be one or more integers in 10 .. 2\^40; got 64.0"),
    (([SPEC], [True], [0]), r"`n_sequences` must be one or more integers in 10 .. 2\^40; got True"),
    (([SPEC], [64], [1.5]), r"`data_seeds` must be one or more integers in -2\^63 .. 2\^64 - 1; got 1.5"),
    (([SPEC], [64], [True]), r"`data_seeds` must be one or more integers in -2\^63 .. 2\^64 - 1; got True"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_ARGUMENTS)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ClassMixtureSampler(*arguments)


def test_a_set_without_covered_classes_may_be_a_single_row():
    assert _sampler(n=1, cover_classes=False).batch_index(0, 1, 8).tolist() == [[0] * 8]
    with pytest.raises(ValueError, match=r"in 1 .. 2\^40; got 0"):
        _sampler(n=0, cover_classes=False)


@pytest.mark.parametrize(
    ("query", "relevant", "sentence"),
    [
        ([3, 10], [True, True], "`query_class` must be in 0 .. 9; got 10"),
        ([-1, 3], [True, True], "`query_class` must be in 0 .. 9; got -1"),
        ([1, 2], [True], r"`query_class` and `relevant` must have one shape \(B,\); got \(2,\) and \(1,\)"),
    ],
)
def test_evaluation_sequences_that_cannot_be_are_refused(query, relevant, sentence):
    with pytest.raises(ValueError, match=sentence):
        _sampler().fresh(0, torch.tensor(query), torch.tensor(relevant))


@pytest.mark.parametrize(("row", "sentence"), [(100, "0 .. 99 for replica 1; got 100"), (-1, "for replica 0; got -1")])
def test_rows_that_a_training_set_does_not_have_are_refused(row, sentence):
    sampler = ClassMixtureSampler([SPEC, SPEC], [2**40, 100], [7, 7])
    index = torch.tensor([[0, row], [99, row]])
    for draw in (sampler.training_rows, sampler.training_labels):
        with pytest.raises(ValueError, match=rf"^`index` must be in .*{sentence}$"):
            draw(index)


def test_indices_of_any_integer_type_name_the_same_rows():
    wanted = _sampler().training_rows(torch.arange(20)[None])
    for dtype in (torch.int32, torch.int16, torch.uint8):
        for a, b in zip(_sampler().training_rows(torch.arange(20, dtype=dtype)[None]), wanted, strict=True):
            assert torch.equal(a, b)
