"""Predictors of draws from an urn: exact fractions, evidence, limits, and urns of extreme probabilities."""

from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest
import torch
from scipy.special import gammaln

from gating.predictors.urns import UrnGeneralizer, UrnMemorizer
from gating.tasks.sequences import Sequences


def _sequences(y):
    y = torch.as_tensor(y)
    return Sequences(torch.empty(*y.shape, 0), y, y)


def _dirichlet(n, m, seed=0):
    noise = -torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).log()
    return noise / noise.sum(-1, keepdim=True)


def _draws(n, length, m, seed=0):
    return torch.randint(0, m, (n, length), generator=torch.Generator().manual_seed(seed))


def _exact(urns, draws):
    """Logarithms of the posterior mean before every draw, from fractions: one list of m numbers for each position."""
    table = [[Fraction(p) for p in row] for row in urns.tolist()]
    weights, answers = [Fraction(1)] * len(table), []
    for y in draws:
        mean = [sum(w * urn[c] for w, urn in zip(weights, table, strict=True)) for c in range(len(table[0]))]
        total = sum(weights)
        answers.append([_log(value / total) for value in mean])
        weights = [w * urn[y] for w, urn in zip(weights, table, strict=True)]
    return torch.tensor(answers, dtype=torch.float64)


def _log(value):
    with mpmath.workdps(40):
        return float(mpmath.log(mpmath.mpf(value.numerator) / value.denominator)) if value else -np.inf


def test_memorizer_is_the_posterior_mean_in_exact_fractions():
    urns = torch.tensor([[8, 4, 4], [1, 1, 14], [5, 6, 5], [2, 13, 1]], dtype=torch.float64) / 16
    y = torch.tensor(list(product(range(3), repeat=4)))
    out = UrnMemorizer(urns)(_sequences(y))
    for i, draws in enumerate(y.tolist()):
        torch.testing.assert_close(out[i], _exact(urns, draws), rtol=1e-13, atol=1e-13)


def test_memorizer_is_a_softmax_of_summed_logarithms_at_every_position():
    urns, y = _dirichlet(300, 8), _draws(5, 60, 8)
    out, logs = UrnMemorizer(urns)(_sequences(y)), urns.log().numpy()
    for i in range(5):
        score = np.zeros(300)
        for t in range(60):
            posterior = np.exp(score - np.logaddexp.reduce(score))
            np.testing.assert_allclose(out[i, t], np.log(posterior @ urns.numpy()), rtol=0, atol=1e-10)
            score += logs[:, y[i, t]]


def test_memorizers_answers_multiply_to_the_mean_likelihood():
    """The probability of a sequence is the mean over urns of the product of its draws."""
    urns, y = _dirichlet(500, 8, seed=1), _draws(20, 384, 8, seed=1)
    chained = UrnMemorizer(urns)(_sequences(y)).gather(-1, y[..., None]).sum((-2, -1))
    evidence = urns.log()[:, y].sum(-1).logsumexp(0) - np.log(500)
    torch.testing.assert_close(chained, evidence, rtol=0, atol=1e-10)


@pytest.mark.parametrize("concentration", [0.3, 1.0, 4.0])
def test_generalizers_answers_multiply_to_the_dirichlet_evidence(concentration):
    m, y = 5, _draws(30, 40, 5)
    out = UrnGeneralizer(m, concentration=concentration)(_sequences(y))
    for t in (1, 7, 40):
        chained = out[:, :t].gather(-1, y[:, :t, None]).sum((-2, -1))
        counts = np.stack([np.bincount(row, minlength=m) for row in y[:, :t].numpy()])
        ends = gammaln(m * concentration) - gammaln(t + m * concentration)
        evidence = ends + (gammaln(counts + concentration) - gammaln(concentration)).sum(-1)
        np.testing.assert_allclose(chained, evidence, rtol=0, atol=1e-10)


def test_generalizer_of_two_colours_is_the_mean_of_a_beta_by_quadrature():
    y = [0, 1, 1, 0, 1, 1, 1]
    out = UrnGeneralizer(2)(_sequences(y))
    for t in range(len(y)):
        ones = sum(y[:t])
        likelihood = [lambda u, k=k, n=t - ones, j=ones: u ** (j + k) * (1 - u) ** n for k in (0, 1)]
        nothing, once = (mpmath.quad(f, [0, 1]) for f in likelihood)
        assert out[t, 1].exp().item() == pytest.approx(float(once / nothing), abs=1e-12)


def test_generalizer_is_the_limit_of_the_memorizer_as_urns_grow_in_number():
    """Difference within 5 standard errors of the ratio of means, which fall as 1 / sqrt(D)."""
    y, m = _draws(1, 6, 3)[0], 3
    limit = UrnGeneralizer(m)(_sequences(y)).exp()
    for n in (1000, 100_000):
        urns = _dirichlet(n, m, seed=n)
        out = UrnMemorizer(urns)(_sequences(y)).exp()
        for t in range(6):
            likelihood = urns[:, y[:t]].prod(-1, keepdim=True)
            error = (likelihood * (urns - limit[t])).std(0) / n**0.5 / likelihood.mean()
            assert bool(((out[t] - limit[t]).abs() < 5 * error).all())
            assert error.max() < 3 / n**0.5


@pytest.mark.parametrize("chunk", [1, 100, 2**12])
def test_memorizer_does_not_depend_on_blocks_leading_dimensions_or_order(chunk):
    urns, y = _dirichlet(50, 4), _draws(24, 30, 4)
    whole = UrnMemorizer(urns)(_sequences(y))
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    other = UrnMemorizer(urns[order], chunk=chunk)(_sequences(y.view(2, 3, 4, 30)))
    torch.testing.assert_close(other.view(24, 30, 4), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(UrnMemorizer(urns)(_sequences(y[5])), whole[5], rtol=0, atol=1e-12)


@pytest.mark.parametrize("predictor", [UrnMemorizer(_dirichlet(9, 4)), UrnGeneralizer(4)])
def test_answers_are_float64_and_sum_to_one_exactly(predictor):
    y = _draws(7, 20, 4).int()
    out = predictor(_sequences(y))
    assert out.dtype == torch.float64
    torch.testing.assert_close(out.exp().sum(-1), torch.ones(7, 20, dtype=torch.float64), rtol=0, atol=1e-13)
    assert predictor(_sequences(y[:0])).shape == (0, 20, 4)


def test_urns_of_probability_zero_and_1e_300_are_exact():
    urns = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1e-300, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 1e-200]], dtype=torch.float64)
    possible = ([0, 0, 0], [0, 2, 0, 2, 0], [1] * 5 + [0], [0] * 3 + [1, 0], [2, 2, 2, 2, 0])
    for draws in possible:
        exact = _exact(urns, draws)
        torch.testing.assert_close(UrnMemorizer(urns)(_sequences(draws)), exact, rtol=1e-12, atol=1e-12)
        assert bool(exact.isneginf().any()) == (draws != [0, 0, 0])
    rare = torch.tensor([[1.0, 1e-300], [1.0, 1e-290]], dtype=torch.float64)
    for draws in ([1, 1, 1, 0], [0, 1, 0, 1]):
        out = UrnMemorizer(rare)(_sequences(draws))
        torch.testing.assert_close(out, _exact(rare, draws), rtol=1e-12, atol=1e-12)
        assert bool(out.isfinite().all())


def test_an_urn_ruled_out_by_a_thousand_nats_comes_back_when_the_others_are():
    urns = torch.tensor([[1023, 1, 0], [1, 1, 1022]], dtype=torch.float64) / 1024
    draws = [0] * 160 + [2, 1, 0]
    out = UrnMemorizer(urns)(_sequences(draws))
    torch.testing.assert_close(out, _exact(urns, draws), rtol=1e-12, atol=1e-12)
    assert out[160, 2] < -1000
    assert out[161, 2] == pytest.approx(np.log(1022 / 1024))


def test_a_sequence_that_no_urn_can_give_is_an_error():
    with pytest.raises(ValueError, match=r"^`sequences` must be possible under some urn; got 1 that none of them can"):
        UrnMemorizer(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))(_sequences([[0, 0, 0], [0, 1, 0]]))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: UrnMemorizer([[1.0]]),
            r"`urns` must be a tensor of finite numbers of shape \(D, m\), .*; got \[\[1.0\]\]",
        ),
        (lambda: UrnMemorizer(torch.ones(3)), r"`urns` must be a tensor .*; got shape \(3,\)"),
        (
            lambda: UrnMemorizer(torch.tensor([[torch.nan, 1.0]])),
            "`urns` must be a tensor .*; got 1 that are not finite",
        ),
        (
            lambda: UrnMemorizer(torch.tensor([[1.5, -0.5]])),
            "`urns` must be probabilities >= 0 that sum to 1 .*; got a least value of -0.5 and sums from 1 to 1",
        ),
        (lambda: UrnMemorizer(torch.tensor([[0.5, 0.4]])), "`urns` must be probabilities .* sums from 0.9 to 0.9"),
        (lambda: UrnMemorizer(_dirichlet(2, 2), chunk=0), "`chunk` must be an integer >= 1; got 0"),
        (lambda: UrnGeneralizer(0), "`n_colours` must be an integer >= 1; got 0"),
        (lambda: UrnGeneralizer(2, concentration=0), "`concentration` must be a finite number > 0; got 0"),
        (
            lambda: UrnGeneralizer(2)(_sequences([0, 2])),
            "`sequences.y` must be integers in 0 .. 1; got values from 0 to 2",
        ),
        (lambda: UrnMemorizer(_dirichlet(2, 2))(_sequences([0.0])), "`sequences.y` must be integers in 0 .. 1; got .*"),
        (lambda: UrnGeneralizer(2)(_sequences(1)), r"`sequences.y` must have shape \(..., T\), T >= 1; got \(\)"),
    ],
)
def test_bad_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call()
