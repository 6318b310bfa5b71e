"""The counter-based generator: distinct keys, uniform and normal numbers."""

import torch
from scipy import stats

from gating.tasks import counter

FAILURE_RATE = 1e-6
"""Probability that one statistical test of this file would fail on sound code with fresh seeds (they are fixed)."""


def test_keys_of_seeds_streams_and_rows_are_distinct():
    """64-bit hashes of 5 x 500 x 50 cells: a collision would have probability below 1e-9."""
    rows = torch.arange(50).expand(500, -1)
    keys = [counter.row_keys(counter.seed_keys(list(range(500)), stream), rows) for stream in counter.STREAMS]
    assert torch.cat(keys).unique().numel() == len(counter.STREAMS) * 500 * 50


def test_a_seed_of_any_size_and_sign_gives_a_key():
    seeds = [-1, 0, 2**63, 2**64 - 2, -(2**63)]
    keys = counter.seed_keys(seeds, "training")
    assert len(set(keys.tolist())) == 4  # 2^63 and -2^63 are the same 64 bits
    assert keys[2] == keys[4]


def test_split_mix_is_that_of_the_paper():
    """First outputs of SplitMix64 from state 1234567, as published with the reference implementation."""
    found = counter.hashes(torch.tensor(1234567), 0, 5).tolist()
    wanted = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert [value % 2**64 for value in found] == wanted


def test_counters_are_addressed_one_by_one():
    """Numbers start .. start + count - 1 are the slice of a longer draw."""
    keys = counter.row_keys(counter.seed_keys([3], "order"), torch.tensor([[0, 1, 2**40]]))
    whole = counter.uniforms(keys, 0, 20)
    assert torch.equal(counter.uniforms(keys, 7, 5), whole[..., 7:12])
    assert torch.equal(counter.uniforms(keys[:, 1:2], 7, 5), whole[:, 1:2, 7:12])


def _keys(n_rows, seed=0):
    return counter.row_keys(counter.seed_keys([seed], "training"), torch.arange(n_rows).view(1, -1))[0]


def test_uniforms_are_uniform_and_independent_across_rows_counters_and_seeds():
    u = counter.uniforms(_keys(100_000), 0, 3)
    assert u.dtype == torch.float64
    assert 0 <= u.min() < u.max() < 1
    other = counter.uniforms(_keys(100_000, seed=1), 0, 1)[:, 0]
    pairs = [(u[:, 0], u[:, 1]), (u[:, 1], u[:, 2]), (u[:-1, 0], u[1:, 0]), (u[:, 0], other)]
    p_values = [stats.kstest(u[:, j].numpy(), "uniform").pvalue for j in range(3)]
    for a, b in pairs:
        cells = torch.bincount((a * 16).long() * 16 + (b * 16).long(), minlength=256)
        p_values.append(stats.chisquare(cells.numpy()).pvalue)
    low_bits = (u[:, 0] * 2.0**53).long() % 256
    p_values.append(stats.chisquare(torch.bincount(low_bits, minlength=256).numpy()).pvalue)
    assert min(p_values) > FAILURE_RATE / len(p_values)


def test_normals_are_normal_up_to_their_fourth_moment():
    """Kolmogorov-Smirnov per dtype; mean, E z^2 = 1, E z^3 = 0, E z^4 = 3 by their standard errors; Box-Muller pairs
    share a radius, so their squares are tested for correlation too."""
    p_values = []
    for dtype in (torch.float32, torch.float64):
        z = counter.normals(_keys(50_000), 2, 5, dtype)
        assert z.dtype == dtype
        assert z.shape == (50_000, 5)
        assert z.isfinite().all()
        z = z.double()
        p_values += [stats.kstest(z[:, j].numpy(), "norm").pvalue for j in range(5)]
        moments = [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]  # power, mean and variance of z ** power
        for power, mean, variance in moments:
            score = ((z**power).mean() - mean) * (z.numel() / variance) ** 0.5
            p_values.append(2 * stats.norm.sf(abs(float(score))))
        for values in (z, z**2):
            off = torch.corrcoef(values.T).triu(1)
            p_values.append(stats.chi2.sf(float(off.square().sum()) * len(z), 10))
    assert min(p_values) > FAILURE_RATE / len(p_values)
