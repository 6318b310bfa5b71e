"""The in-weight and in-context predictors against their formulas."""

import math

import pytest
import torch

from gating.models.layers import generators
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP, TabularInWeight
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from theory.distribution import ClassMixture

R, B, C, D, L = 3, 20, 5, 6, 4


def _sequences(seed=0):
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(0, C, (R, B, L + 1), generator=rng)
    return Sequences(torch.randn(R, B, L + 1, D, generator=rng, dtype=torch.float64), y, y)


def test_softmax_similarity_is_its_formula():
    """h_y = sum over l with y_l = y of exp(-|x - x_l|^2 / tau) / sum_l exp(-|x - x_l|^2 / tau), at least `clip`."""
    clip, taus = 1e-3, [0.5, 2.0, 8.0]
    h = SoftmaxSimilarity(C, R, clip=clip).double()
    with torch.no_grad():
        h.log_temperature.copy_(torch.tensor(taus).log().view(R, 1, 1))
    sequences = _sequences()
    out, clipped = h(sequences), 0
    assert out.shape == (R, B, C)
    for r in range(R):
        for b in range(B):
            distance = [math.dist(sequences.x[r, b, -1], sequences.x[r, b, i]) ** 2 for i in range(L)]
            weight = [math.exp(-value / taus[r]) for value in distance]
            for label in range(C):
                shown = sum(w for w, y in zip(weight, sequences.y[r, b, :-1], strict=True) if y == label)
                clipped += shown / sum(weight) < clip
                assert out[r, b, label].item() == pytest.approx(math.log(max(shown / sum(weight), clip)), abs=1e-6)
    assert 0 < clipped < R * B * C


def test_softmax_similarity_starts_at_its_temperature():
    h = SoftmaxSimilarity(C, R, temperature=0.25).double()
    torch.testing.assert_close(h.log_temperature.exp().flatten(), torch.full((R,), 0.25, dtype=torch.float64))


def test_softmax_similarity_at_a_vanishing_temperature_copies_the_nearest_label():
    h, sequences = SoftmaxSimilarity(C, R, temperature=1e-6).double(), _sequences()
    nearest = (sequences.context_x - sequences.query.unsqueeze(-2)).norm(dim=-1).argmin(-1, keepdim=True)
    copied = sequences.context_y.gather(-1, nearest).squeeze(-1)
    out = h(sequences)
    assert torch.equal(out.argmax(-1), copied)
    torch.testing.assert_close(out.min(-1).values, torch.full((R, B), math.log(1e-7), dtype=torch.float64))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"temperature": 0.0}, "`temperature` must be a finite number > 0; got 0."),
        ({"temperature": float("nan")}, "`temperature` must be a finite number > 0; got nan"),
        ({"clip": 0.0}, r"`clip` must be in \(0, 1\); got 0."),
        ({"clip": 1}, r"`clip` must be in \(0, 1\); got 1"),
    ],
)
def test_bad_arguments_of_softmax_similarity_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        SoftmaxSimilarity(C, R, **arguments)


def test_in_weight_perceptron_is_its_formula_and_sees_the_query_alone():
    g, sequences = InWeightMLP(D, C, hidden=9, rngs=generators(range(R))).double(), _sequences()
    first, last = g.layers[0], g.layers[2]
    with torch.no_grad():
        first.bias += 0.3
        last.bias -= torch.arange(C)
    out = g(sequences)
    for r in range(R):
        hidden = (sequences.query[r] @ first.weight[r] + first.bias[r]).relu()
        wanted = torch.log_softmax(hidden @ last.weight[r] + last.bias[r], dim=-1)
        torch.testing.assert_close(out[r], wanted, rtol=1e-12, atol=1e-12)
    x = sequences.x.clone()
    x[..., :-1, :] += 1
    assert torch.equal(g(sequences._replace(x=x, y=(sequences.y + 1) % C)), out)


@pytest.mark.parametrize("beta", [0.5, 1.0])
@pytest.mark.parametrize("chunk", [1000, 37])
def test_tabular_counts_are_those_of_the_training_set_whatever_the_chunk(beta, chunk):
    """g(y | c) = (k_y + beta) / (n + beta C), counted one row at a time."""
    spec = ClassMixture(n_high=2, n_low=2, dim=8, input_noise=0.0, label_noise=0.3)
    sampler = ClassMixtureSampler([spec, spec], [200, 200], [0, 1])
    g = TabularInWeight.fit(sampler, beta=beta, chunk=chunk)
    rows = sampler.training_rows(torch.arange(200).expand(2, -1))
    counts = torch.zeros(2, 4, 4, dtype=torch.float64)
    for r in range(2):
        for c, y in zip(rows.query_class[r], rows.target[r], strict=True):
            counts[r, c, y] += 1
    assert torch.equal(g.counts, counts)
    table = (counts + beta) / (counts.sum(-1, keepdim=True) + 4 * beta)
    query = torch.arange(4)
    out = g(sampler.fresh(0, query, query > 1))
    torch.testing.assert_close(out.exp(), table, rtol=1e-12, atol=0)


def test_tabular_predictor_refuses_sizes_that_differ_and_no_pseudo_count():
    spec = ClassMixture(dim=2)
    with pytest.raises(ValueError, match=r"^`sampler` must hold training sets of one size; got sizes \[64, 65\]$"):
        TabularInWeight.fit(ClassMixtureSampler([spec, spec], [64, 65], [0, 0]))
    with pytest.raises(ValueError, match=r"^`beta` must be a finite number > 0; got 0$"):
        TabularInWeight.fit(ClassMixtureSampler([spec], [64], [0]), beta=0)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_label_counts_refuse_a_query_without_a_nearest_centre(bad):
    g = TabularInWeight(torch.ones(R, C, C), torch.zeros(R, C, D).double())
    sequences = _sequences()
    sequences.x[0, 0, -1, 0] = bad
    with pytest.raises(ValueError, match=r"^`sequences\.x` must be finite in the query; got 1 numbers that are not$"):
        g(sequences)
