"""Measures of agreement against plain loops and scipy, at their extremes, and with bad input."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from gating.evaluation.agreement import (
    argmax_agreement,
    blend,
    correlation,
    r_squared,
    rank_correlation,
    total_variation,
)
from gating.gates.discrepancy import output_rows


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    p, q = 2 * torch.randn(2, 3, 20, 5, generator=generator, dtype=torch.float64)
    return p.log_softmax(-1), q.log_softmax(-1)


def test_measures_written_out(pair: tuple[Tensor, Tensor]) -> None:
    p, q = (part.numpy() for part in pair)
    for i in range(3):
        apart = [np.abs(np.exp(a) - np.exp(b)).sum() / 2 for a, b in zip(p[i], q[i], strict=True)]
        same = [a.argmax() == b.argmax() for a, b in zip(p[i], q[i], strict=True)]
        ranks = [stats.spearmanr(a, b).statistic for a, b in zip(p[i], q[i], strict=True)]
        assert total_variation(*pair)[i].item() == pytest.approx(np.mean(apart), rel=1e-12)
        assert argmax_agreement(*pair)[i].item() == pytest.approx(np.mean(same), rel=1e-12)
        assert rank_correlation(*pair)[i].item() == pytest.approx(np.mean(ranks), rel=1e-12)
        residual, total = q[i] - p[i], q[i] - q[i].mean(axis=0)
        assert r_squared(*pair)[i].item() == pytest.approx(1 - (residual**2).sum() / (total**2).sum(), rel=1e-12)
    x, y = p[0, :, 0], q[0, :, 0]
    assert correlation(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, rel=1e-12)


def test_perfect_agreement_and_its_opposite(pair: tuple[Tensor, Tensor]) -> None:
    p, _ = pair
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(total_variation(p, p), 0 * ones)
    for measure in (argmax_agreement, rank_correlation, r_squared):
        torch.testing.assert_close(measure(p, p), ones)
    torch.testing.assert_close(rank_correlation(p, -p), -ones)
    sure = torch.tensor([[1.0, 0.0]]).log()
    assert total_variation(sure, sure.flip(-1)).item() == 1
    assert argmax_agreement(sure, sure.flip(-1)).item() == 0


def test_measures_of_the_mean_output_and_worse() -> None:
    actual = torch.tensor([[1.0], [2.0], [6.0]])
    assert r_squared(torch.full((3, 1), 3.0), actual).item() == pytest.approx(0)
    assert r_squared(-actual, actual).item() < 0


def test_what_is_not_defined_is_nan() -> None:
    flat, rising = torch.zeros(2, 3), torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    assert rank_correlation(flat, rising).isnan()
    assert rank_correlation(torch.stack([flat[0], rising[0]]), rising).item() == pytest.approx(1)
    assert r_squared(rising, torch.ones(2, 3)).isnan()
    assert math.isnan(correlation([1.0, 1.0], [0.0, 2.0]))
    assert math.isnan(correlation([1.0, math.nan], [0.0, 2.0]))


def test_blend_is_what_the_discrepancy_measures(pair: tuple[Tensor, Tensor]) -> None:
    m, g = pair
    odds = torch.tensor([-2.0, 0.3, 4.0], dtype=torch.float64)
    mixture = blend(odds[:, None], m, g, distance="kl")
    torch.testing.assert_close(mixture.exp().sum(-1), torch.ones(3, 20, dtype=torch.float64))
    np.testing.assert_allclose(output_rows(mixture, m, g, distance="kl").at(odds.numpy()).value, 0, atol=1e-12)
    squared = blend(odds[:, None], m, g, distance="squared")
    np.testing.assert_allclose(output_rows(squared, m, g, distance="squared").at(odds.numpy()).value, 0, atol=1e-12)


@pytest.mark.parametrize("measure", [total_variation, argmax_agreement, rank_correlation, r_squared])
def test_bad_outputs_are_named(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    good = torch.full((4, 2), 0.5).log()
    with pytest.raises(ValueError, match=r"`predicted` and `actual` must have one shape .* got \(4, 2\) and \(3, 2\)"):
        measure(good, good[:3])
    with pytest.raises(ValueError, match="`predicted` and `actual` must have one shape"):
        measure(good[0], good[0])
    with pytest.raises(ValueError, match="`actual` must have no NaN; got 8 of them"):
        measure(good, good * math.nan)


def test_bad_values_are_named() -> None:
    good = torch.full((4, 2), 0.5).log()
    with pytest.raises(ValueError, match=r"`predicted` must be log-probabilities; got 0\.5"):
        total_variation(good.exp(), good)
    with pytest.raises(ValueError, match="C >= 2"):
        rank_correlation(good[:, :1], good[:, :1])
    with pytest.raises(ValueError, match=r"must have one shape \(c,\); got \(2,\) and \(3,\)"):
        correlation([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="`distance` must be one of"):
        blend(torch.zeros(4), good, good, distance="hinge")
