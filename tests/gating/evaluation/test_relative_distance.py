"""Relative distance: its formula, its ends, its place on the line from G to M, and where it is not defined."""

import math

import pytest
import torch

from gating.evaluation.relative_distance import relative_distance

N, C = 7, 4


def _log_p(seed, *shape):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, N, C, generator=rng, dtype=torch.float64).mul(2).log_softmax(-1)


def _kl(p, q):
    """Mean over rows of KL(p || q), one term at a time."""
    return sum(math.exp(a) * (a - b) for x, y in zip(p, q, strict=True) for a, b in zip(x, y, strict=True)) / len(p)


def _squares(p, q):
    return sum((a - b) ** 2 for x, y in zip(p, q, strict=True) for a, b in zip(x, y, strict=True)) / len(p)


@pytest.mark.parametrize("distance", ["kl", "squared"])
def test_it_is_its_formula(distance):
    t, m, g = _log_p(0, 30), _log_p(1), _log_p(2, 30)
    t[:5] = (3 * m - 2 * g[:5]).log_softmax(-1)  # beyond M, so that some are clipped
    out = relative_distance(t, m, g, distance=distance)
    assert out.shape == (30,)
    assert out.dtype == torch.float64

    def d(p, q):
        return (_kl(p, q) + _kl(q, p)) / 2 if distance == "kl" else _squares(p, q)

    inside = 0
    for k in range(30):
        a, b, c = t[k].tolist(), m.tolist(), g[k].tolist()
        raw = (d(a, c) - d(a, b) + d(b, c)) / (2 * d(b, c))
        inside += 0 < raw < 1
        assert out[k].item() == pytest.approx(min(max(raw, 0), 1), abs=1e-12)
    assert 0 < inside < 30


@pytest.mark.parametrize("distance", ["kl", "squared"])
def test_it_is_one_at_m_zero_at_g_and_changes_sides_with_them(distance):
    t, m, g = _log_p(0, 5), _log_p(1, 5), _log_p(2, 5)
    ones = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(relative_distance(m, m, g, distance=distance), ones)
    assert not relative_distance(g, m, g, distance=distance).any()
    swapped = relative_distance(t, g, m, distance=distance)
    torch.testing.assert_close(relative_distance(t, m, g, distance=distance), 1 - swapped)


def test_squared_it_is_the_place_of_the_nearest_point_of_the_line():
    m, g = _log_p(1), _log_p(2)
    across = torch.randn(N, C, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    across -= (across * (m - g)).sum() / (m - g).square().sum() * (m - g)
    for place in (0.0, 0.3, 0.8, 1.0):
        beside = g + place * (m - g) + 5 * across
        assert relative_distance(beside, m, g, distance="squared").item() == pytest.approx(place, abs=1e-12)
    assert relative_distance(g + 3 * (m - g), m, g, distance="squared").item() == 1
    assert relative_distance(g - 3 * (m - g), m, g, distance="squared").item() == 0


@pytest.mark.parametrize("distance", ["kl", "squared"])
def test_it_rises_along_the_mixtures_from_g_to_m(distance):
    m, g, weights = _log_p(1).exp(), _log_p(2).exp(), torch.linspace(0, 1, 21, dtype=torch.float64)[:, None, None]
    out = relative_distance((weights * m + (1 - weights) * g).log(), m.log(), g.log(), distance=distance)
    assert bool((out.diff() > 0).all())
    assert out[[0, -1]].tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize("distance", ["kl", "squared"])
def test_it_is_nan_where_m_and_g_agree_and_there_alone(distance):
    t, m = _log_p(0, 2), _log_p(1, 2)
    g = torch.stack([m[0] + 1e-9, _log_p(2)])
    out = relative_distance(t, m, g, distance=distance)
    assert out.isnan().tolist() == [True, False]


def test_a_probability_of_zero_counts_as_the_least_one():
    t, m, g = _log_p(0), _log_p(1), _log_p(2)
    for part in (t, m, g):
        gone, least = part.clone(), part.clone()
        gone[0, 0], least[0, 0] = -torch.inf, -300.0
        a = relative_distance(*(gone if other is part else other for other in (t, m, g)), distance="kl")
        b = relative_distance(*(least if other is part else other for other in (t, m, g)), distance="kl")
        assert a.item() == b.item()


@pytest.mark.parametrize(
    ("change", "distance", "error", "sentence"),
    [
        ({}, "l1", ValueError, r"`distance` must be one of \('kl', 'squared'\); got 'l1'"),
        (
            {"memorizer": _log_p(1) * torch.nan},
            "kl",
            ValueError,
            "`memorizer` must be log-probabilities; got 28 of 28 that are not",
        ),
        (
            {"generalizer": _log_p(1) / 0},
            "squared",
            ValueError,
            "`generalizer` must be finite numbers; got 28 of 28 that are not",
        ),
        (
            {"generalizer": torch.zeros(N, C + 1)},
            "kl",
            ValueError,
            r"`model`, `memorizer` and `generalizer` must broadcast to one shape;"
            r" got \(7, 4\) and \(7, 4\) and \(7, 5\)",
        ),
        (
            {name: torch.zeros(0, C) for name in ("model", "memorizer", "generalizer")},
            "kl",
            ValueError,
            r"`model` must have shape \(..., n, C\), none of them 0; got \(0, 4\)",
        ),
        ({"model": [[0.5]]}, "squared", TypeError, r"`model` must be a tensor of real numbers; got \[\[0.5\]\]"),
    ],
)
def test_bad_input_is_named(change, distance, error, sentence):
    parts = {"model": _log_p(0), "memorizer": _log_p(1), "generalizer": _log_p(2), **change}
    with pytest.raises(error, match=f"^{sentence}$"):
        relative_distance(**parts, distance=distance)
