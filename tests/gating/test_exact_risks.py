"""The predictors simulated on the sampler against the exact risks of the theory, on clean inputs.

Every mean risk over the query classes is within 4 standard errors of its exact value, and the risk of every class
within 5, on 60 random settings for each predictor. Seeds are fixed.
"""

from functools import cache

import numpy as np
import pytest
import torch

from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import TabularInWeight
from gating.tasks.class_mixture import ClassMixtureSampler
from theory import in_context
from theory.curves import in_weight_risk
from theory.distribution import ClassMixture

N_SETTINGS = 60
MEASURES = ("log_loss", "linear_loss", "error")
ROUNDING = 1e-7
"""Added to every standard error: rounding, and the least probability that copying gives a label."""


def _random_setting(rng: np.random.Generator, longest: int) -> ClassMixture:
    n_high, n_low = (int(n) for n in rng.choice([0, 2, 3, 4], 2))
    n_low = max(n_low, 2) if n_high == 0 else n_low
    length = int(rng.integers(1, longest + 1))
    frequencies = [
        {"p_high": rng.uniform(0.5, 0.95)},
        {"zipf": rng.uniform(0, 1.5)},
        {"query_frequencies": rng.dirichlet(np.full(n_high + n_low, 3.0))},
    ]
    return ClassMixture(
        n_high=n_high,
        n_low=n_low,
        **frequencies[rng.integers(3)],
        p_relevant=rng.uniform(0.1, 0.9),
        context_length=length,
        n_relevant=None if rng.random() < 0.5 else int(rng.integers(1, length + 1)),
        dim=n_high + n_low,
        input_noise=0.0,
        label_noise=rng.choice([0.0, *rng.uniform(0.05, 0.45, 4)]),
        label_noise_kind=str(rng.choice(["uniform", "shift"])),
    )


def _losses(log_p, target) -> np.ndarray:
    """Log, linear and 0-1 loss (ties broken at random, in expectation) of each answer, shape (3, ...)."""
    p_target = log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    best = log_p >= log_p.amax(-1, keepdim=True) - 1e-9
    hit = best.gather(-1, target.unsqueeze(-1)).squeeze(-1) / best.sum(-1)
    return torch.stack([-p_target, 1 - p_target.exp(), 1 - hit]).numpy()


def _scores(values, exact, n_draws: int) -> np.ndarray:
    """Means of the columns of `values` minus the exact ones, in standard errors.

    `n_draws` answers are behind each column: a 0-1 loss that was never suffered still has their binomial error.
    """
    error = values.std(0, ddof=1) / len(values) ** 0.5
    least = np.sqrt(np.clip(exact * (1 - exact), 0, None) / n_draws)
    return (values.mean(0) - exact) / (np.maximum(error, least) + ROUNDING)


def _check(values, exact, weights, n_draws: int):
    """`values` (samples, K) against the exact risks (K,), classes weighted by `weights` for their mean."""
    assert np.abs(_scores(values, exact, n_draws)).max() < 5
    assert abs(_scores(values @ weights, exact @ weights, n_draws)) < 4


@pytest.mark.parametrize("covered", [True, False])
def test_in_weight_predictor_has_its_exact_risks(covered):
    """Mean over 400 training sets, of answers to 3 new queries of each class, in base and out of base."""
    n_sets, each = 400, 3
    for number in range(N_SETTINGS):
        rng = np.random.default_rng([number, covered])
        spec, beta = _random_setting(rng, 1), float(rng.choice([0.5, 1.0, 2.0]))
        k = spec.n_classes
        n = int(rng.integers(k, 200))
        seeds = range(1000 * number, 1000 * number + n_sets)
        sampler = ClassMixtureSampler([spec] * n_sets, [n] * n_sets, seeds, cover_classes=covered)
        sampler.centres = torch.eye(k).expand(n_sets, k, k)
        g = TabularInWeight.fit(sampler, beta=beta)
        query = torch.arange(k).repeat_interleave(each)
        base = sampler.fresh(number, query, query % 2 == 0)
        for distribution, sequences in (("ibd", base), ("oobd", sampler.out_of_base(base))):
            losses = _losses(g(sequences), sequences.target).reshape(3, n_sets, k, each).mean(-1)
            for measure, values in zip(MEASURES, losses, strict=True):
                exact = in_weight_risk(spec, n, measure, distribution, cover_classes=covered, beta=beta)
                _check(values, exact, spec.frequencies, n_sets * each)


EXACT = {
    "log_loss": in_context.exact_log_loss,
    "linear_loss": in_context.exact_linear_loss,
    "error": in_context.exact_error,
}


def _risks(spec, context, temperature):
    return [EXACT[measure](spec, temperature=temperature, context=context) for measure in MEASURES]


@cache
def _copying_problem(number: int):
    """A setting, its sampler and its predictor. Centres are at one squared distance 2 from each other, the unit vectors
    of an orthonormal basis; with a single context token distances do not matter, and they stay as they were drawn."""
    rng = np.random.default_rng([number, 7])
    spec, temperature = _random_setting(rng, 6), float(rng.choice([0.05, 0.5, 2.0]))
    sampler = ClassMixtureSampler([spec], [2**40], [number], cover_classes=False, dtype=torch.float64)
    if spec.context_length > 1:
        sampler.centres = torch.eye(spec.n_classes, dtype=torch.float64)[None]
    return spec, sampler, temperature, SoftmaxSimilarity(spec.n_classes, 1, temperature=temperature).double()


@pytest.mark.parametrize("context", ["relevant", "irrelevant"])
@torch.no_grad()
def test_softmax_copying_has_its_exact_risks_in_each_context(context):
    """800 evaluation sequences of each query class, in base and out of base."""
    each = 800
    for number in range(N_SETTINGS):
        spec, sampler, temperature, h = _copying_problem(number)
        query = torch.arange(spec.n_classes).repeat(each)
        base = sampler.fresh(number, query, torch.full_like(query, context == "relevant", dtype=torch.bool))
        exact = _risks(spec, context, temperature)
        for sequences in (base, sampler.out_of_base(base)):
            losses = _losses(h(sequences)[0], sequences.target[0]).reshape(3, each, -1)
            for values, risk in zip(losses, exact, strict=True):
                _check(values, risk, spec.frequencies, each)


@torch.no_grad()
def test_softmax_copying_has_its_exact_risks_on_training_rows():
    """Rows of a training set of 2^40: the loss minus the exact risk of the row's class has mean 0."""
    n_rows = 4000
    for number in range(N_SETTINGS):
        spec, sampler, temperature, h = _copying_problem(number)
        rows = sampler.training_rows(torch.arange(n_rows)[None] * 2**28 + number)
        losses = _losses(h(rows)[0], rows.target[0])
        for values, risk in zip(losses, _risks(spec, "as_trained", temperature), strict=True):
            expected = risk[rows.query_class[0].numpy()]
            mean = expected.mean()
            assert abs(_scores(values - expected + mean, mean, n_rows)) < 4
