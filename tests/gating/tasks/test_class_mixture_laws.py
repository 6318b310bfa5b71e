"""Frequencies of the sampler against their exact probabilities, over random settings.

Each law is a chi-square test on every setting, for training rows and for evaluation sequences. All tests of the file
together fail with probability at most `SUITE_FAILURE_RATE` on sound code with fresh seeds (Bonferroni); the seeds are
fixed, so a pass stays one.
"""

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats

from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture

SUITE_FAILURE_RATE = 1e-6
N_SETTINGS = 72
N_ROWS = 30_000
LEAST_EXPECTED = 20.0
LAWS = (
    "query_class",
    "relevance",
    "n_relevant",
    "places",
    "context_class",
    "context_pair",
    "label",
    "label_out_of_base",
    "noise_pair",
)


def _random_setting(rng: np.random.Generator) -> ClassMixture:
    n_high, n_low = (int(n) for n in rng.choice([0, 2, 3, 5, 6], 2))
    n_low = max(n_low, 2) if n_high == 0 else n_low
    length = int(rng.integers(1, 9))
    relevance = "token" if rng.random() < 0.3 else "context"
    frequencies = [
        {"p_high": rng.uniform(0.2, 0.95)},
        {"zipf": rng.uniform(0, 2)},
        {"query_frequencies": rng.dirichlet(np.full(n_high + n_low, 2.0))},
    ]
    return ClassMixture(
        n_high=n_high,
        n_low=n_low,
        **frequencies[rng.integers(3)],
        p_relevant=rng.choice([0.0, 1.0, *rng.uniform(0, 1, 6)]),
        context_length=length,
        n_relevant=None if relevance == "token" or rng.random() < 0.6 else int(rng.integers(1, length + 1)),
        relevance=relevance,
        dim=1,
        label_noise=rng.choice([0.0, *rng.uniform(0, 0.95, 4)]),
        label_noise_kind=str(rng.choice(["uniform", "shift"])),
    )


SETTINGS = [_random_setting(np.random.default_rng(seed)) for seed in range(N_SETTINGS)]


def _p_value(counts, probabilities) -> float:
    """Chi-square of the rows of a table given their totals, small cells of a row pooled; NaN where no cell is free.

    A count in a cell of probability 0 fails at once."""
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-9)
    assert counts[probabilities == 0].sum() == 0
    statistic, degrees = 0.0, 0
    for observed, p in zip(counts, probabilities, strict=True):
        order = np.argsort(-p, kind="stable")
        observed, expected = observed[order], observed.sum() * p[order]
        large = int((expected >= LEAST_EXPECTED).sum())
        last = large if expected[large:].sum() >= LEAST_EXPECTED else large - 1  # where the pooled cell begins
        if last >= 1:
            o = np.append(observed[:last], observed[last:].sum())
            e = np.append(expected[:last], expected[last:].sum())
            statistic += float(((o - e) ** 2 / e).sum())
            degrees += last
    return float(stats.chi2.sf(statistic, degrees)) if degrees else float("nan")


def _table(rows, cells, n_rows: int, n_cells: int):
    """Counts of cells by row, shape (n_rows, n_cells)."""
    flat = np.bincount(np.ravel(rows * n_cells + cells), minlength=n_rows * n_cells)
    return flat.reshape(n_rows, n_cells)


def _draw(spec: ClassMixture, source: str, seed: int):
    """Classes, labels and out-of-base labels of a setting, each (rows, L + 1): training rows, or evaluation sequences
    of every query class and context kind."""
    sampler = ClassMixtureSampler([spec], [2**40], [seed], cover_classes=False)
    number = torch.arange(N_ROWS)
    if source == "training":
        sequences = sampler.training_rows(number[None] * 36_028_797 + seed)
    else:
        query, relevant = number // 2 % spec.n_classes, number % 2 == 0
        sequences = sampler.fresh(seed, query, relevant)
        shown = (sequences.classes[0, :, :-1] == query[:, None]).any(-1)
        assert torch.equal(sequences.query_class[0], query)
        assert torch.equal(shown, relevant)
    shifted = sampler.out_of_base(sequences)
    return sequences.classes[0].numpy(), sequences.y[0].numpy(), shifted.y[0].numpy()


def _context_laws(spec: ClassMixture, query, context):
    """Tables of counts and of probabilities that describe the classes of a context given the query's."""
    k, length, q = spec.n_classes, spec.context_length, spec.frequencies
    copies = context == query[:, None]
    r = copies.sum(1)
    n_in_subset = np.array([code.bit_count() for code in range(2**length)])
    subset_law = (n_in_subset == np.arange(length + 1)[:, None]) / [[math.comb(length, m)] for m in range(length + 1)]
    other = np.where(np.eye(k, dtype=bool), 0, q / (1 - q[:, None]))  # (query class, class of an irrelevant token)
    row = query[:, None] * length + np.arange(length)
    pair = (r == 0) & (length > 1)
    ends = context[pair, 0] * k + context[pair, -1]
    return {
        "n_relevant": (_table(query[r > 0], r[r > 0], k, length + 1), spec.n_relevant_pmf),
        "places": (_table(r, copies @ (1 << np.arange(length)), length + 1, 2**length), subset_law),
        "context_class": (_table(row[~copies], context[~copies], k * length, k), other.repeat(length, axis=0)),
        "context_pair": (_table(query[pair], ends, k, k * k), (other[:, :, None] * other[:, None]).reshape(k, -1)),
    }


def _laws(spec: ClassMixture, source: str, seed: int):
    """For each law, a table of counts and the probabilities of its cells given the row."""
    classes, y, y_shifted = _draw(spec, source, seed)
    k, tokens, nu = spec.n_classes, spec.context_length + 1, spec.label_noise
    query, context = classes[:, -1], classes[:, :-1]
    relevant = (context == query[:, None]).any(1)
    row = classes + k * np.arange(tokens)
    label_law = np.tile(spec.label_matrix, (tokens, 1))
    noisy = (y != classes) * 1
    noise_law = np.outer([1 - nu, nu], [1 - nu, nu]).reshape(1, 4)
    laws = {
        "label": (_table(row, y, k * tokens, k), label_law),
        "label_out_of_base": (_table(row, y_shifted, k * tokens, k), label_law[:, np.argsort(spec.shifted_labels)]),
        "noise_pair": (_table(relevant * 1, noisy[:, 0] * 2 + noisy[:, -1], 2, 4), noise_law.repeat(2, axis=0)),
        **_context_laws(spec, query, context),
    }
    if source == "training":
        kinds = np.column_stack([1 - spec.relevant_shares, spec.relevant_shares])
        laws["query_class"] = (_table(0 * query, query, 1, k), spec.frequencies[None])
        laws["relevance"] = (_table(query, relevant * 1, k, 2), kinds)
    return laws


@cache
def _p_values(source: str) -> dict[str, np.ndarray]:
    """p-values of every setting by law, followed by Fisher's combination of them; settings without the law left out."""
    found = [
        {name: _p_value(*tables) for name, tables in _laws(spec, source, seed).items()}
        for seed, spec in enumerate(SETTINGS)
    ]
    by_law = {}
    for name in found[0]:
        p = np.array([values[name] for values in found])
        p = p[~np.isnan(p)]
        by_law[name] = np.append(p, stats.combine_pvalues(np.maximum(p, 1e-300)).pvalue)
    return by_law


CASES = [*((law, "training") for law in LAWS), *((law, "evaluation") for law in LAWS[2:])]
N_TESTS = len(CASES) * (N_SETTINGS + 1) + 100  # fewer than 100 p-values of inputs and centres


@pytest.mark.parametrize(("law", "source"), CASES)
def test_frequencies_follow_the_exact_law(law, source):
    p = _p_values(source)[law]
    assert len(p) > 30  # settings where the law is not degenerate, and their combination
    assert p.min() > SUITE_FAILURE_RATE / N_TESTS, f"setting {p.argmin()}"


def test_settings_cover_what_the_specification_offers():
    """Every length from 1 to 8, each way to give frequencies, both kinds of noise and of R, contexts of one kind."""
    assert {spec.context_length for spec in SETTINGS} == set(range(1, 9))
    assert {(s.zipf is None, s.query_frequencies is None) for s in SETTINGS} == {(1, 1), (0, 1), (1, 0)}
    assert {(s.label_noise_kind, s.label_noise > 0) for s in SETTINGS} >= {("uniform", True), ("shift", True)}
    assert {s.n_relevant is None for s in SETTINGS} == {True, False}
    assert {0.0, 1.0} < {s.p_relevant for s in SETTINGS}


@pytest.mark.parametrize("source", ["training", "evaluation"])
def test_inputs_are_the_centre_of_the_class_plus_gaussian_noise(source):
    """(x - centre) / sigma has the normal distribution (Kolmogorov-Smirnov), mean 0, variance 1, and no correlation
    between coordinates and tokens, between their squares, or with label noise and relevance."""
    spec = ClassMixture(dim=5, context_length=2, input_noise=0.3, zipf=0.5, p_relevant=0.5, label_noise=0.3)
    sampler = ClassMixtureSampler([spec], [2**40], [5], dtype=torch.float64)
    number = torch.arange(N_ROWS)
    if source == "training":
        sequences = sampler.training_rows(number[None])
    else:
        sequences = sampler.fresh(0, number % 10, number % 3 > 0)
    noise = ((sequences.x - sampler.centres[0][sequences.classes]) / 0.3)[0].flatten(1).numpy()
    p = [stats.kstest(column, "norm").pvalue for column in noise.T]
    p.append(2 * stats.norm.sf(abs(noise.mean() * math.sqrt(noise.size))))
    p.append(2 * stats.norm.sf(abs(((noise**2).mean() - 1) * math.sqrt(noise.size / 2))))
    for values in (noise, noise**2):
        off = np.triu(np.corrcoef(values.T), 1)
        p.append(stats.chi2.sf(N_ROWS * (off**2).sum(), 15 * 14 / 2))
    noisy = (sequences.y != sequences.classes)[0].numpy()
    shown = (sequences.classes[0, :, :-1] == sequences.query_class[0, :, None]).any(-1).numpy()
    for flags in (noisy.T * 1.0, shown[None] * 1.0):  # inputs say nothing of label noise or relevance
        for values in (noise, noise**2):
            cross = np.corrcoef(values.T, flags)[:15, 15:]
            p.append(stats.chi2.sf(N_ROWS * (cross**2).sum(), cross.size))
    assert min(p) > SUITE_FAILURE_RATE / N_TESTS


def test_clean_inputs_are_the_centres():
    sampler = ClassMixtureSampler([ClassMixture(input_noise=0.0)], [2**40], [5])
    rows = sampler.training_rows(torch.arange(100)[None])
    assert torch.equal(rows.x, sampler.centres[0][rows.classes])


def test_centres_are_uniform_on_the_sphere():
    """Norm 1; in three dimensions every projection is uniform on [-1, 1] (Archimedes), and two centres of one seed
    are at a uniform angle: their product is uniform too."""
    sampler = ClassMixtureSampler([ClassMixture(dim=3)] * 3000, [64] * 3000, range(3000), dtype=torch.float64)
    centres = sampler.centres.numpy()
    np.testing.assert_allclose(np.linalg.norm(centres, axis=-1), 1, rtol=1e-12)
    directions = np.column_stack([np.eye(3), np.array([1, -2, 2]) / 3])
    products = [*np.moveaxis(centres @ directions, -1, 0), (centres[:, 0] * centres[:, 1]).sum(-1)]
    p = [stats.kstest(value.ravel(), stats.uniform(-1, 2).cdf).pvalue for value in products]
    assert min(p) > SUITE_FAILURE_RATE / N_TESTS
