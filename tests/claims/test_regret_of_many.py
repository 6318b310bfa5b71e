"""Statements 4.7 and 4.12 of docs/theory.md for more than two predictors."""

import itertools

import numpy as np
import pytest
import torch
from scipy import special

from gating.gates.predictor_weights import PredictorWeights
from theory.mixture_regret import PORTFOLIO_PRIORS, exact_worst_add_beta_regret, universal_portfolio_bound
from theory.simplex import simplex_weights

N_STREAMS = 1000


@pytest.mark.parametrize("m", [3, 5])
@pytest.mark.parametrize("rate", [None, 0.3])
def test_4_7_weights_of_m_predictors_stay_within_their_bound(
    m: int, rate: float | None, generator: np.random.Generator
) -> None:
    """Random losses of changing size, and an adversary that charges the predictor with the most weight."""
    prior = generator.dirichlet(np.ones(m))
    for adversary in (False, True):
        learner = PredictorWeights((N_STREAMS,), m, log_prior=np.log(prior), rate=rate)
        for _ in range(200):
            losses = torch.from_numpy(generator.exponential(1, (N_STREAMS, m)) ** 2)
            if adversary:
                losses = losses.sort(descending=True).values.gather(-1, (-learner.weights()).argsort(-1).argsort(-1))
            learner.update(losses)
        regret, bound = learner.regret(), learner.bound()
        assert bool((regret <= bound + 1e-9).all())
        if rate is None:  # it pays exactly the log of the prior average of the likelihoods
            average = torch.logsumexp(torch.from_numpy(np.log(prior)) - learner.losses, -1)
            torch.testing.assert_close(learner.loss, -average)


def test_4_7_the_bound_of_m_predictors_is_met_where_one_explains_what_the_others_do_not() -> None:
    learner = PredictorWeights((1,), 4)
    learner.update(torch.tensor([0.0, 60.0, 60.0, 60.0]))
    assert learner.regret().item() == pytest.approx(learner.bound().item(), abs=1e-12)


@pytest.mark.parametrize("prior", PORTFOLIO_PRIORS)
def test_4_12_the_portfolio_of_m_predictors(prior: str, generator: np.random.Generator) -> None:
    """The bound beside the attained worst case, and beside the exact average of three predictors' mixtures."""
    n = np.arange(1, 2000)
    for m in (2, 3, 6):
        bound = universal_portfolio_bound(n, prior=prior, n_predictors=m)
        slack = bound - exact_worst_add_beta_regret(n, m, PORTFOLIO_PRIORS[prior])
        assert slack.min() >= -1e-9
        assert prior == "jeffreys" or slack.max() < 1e-9
    beta, rounds = PORTFOLIO_PRIORS[prior], 7
    bound = universal_portfolio_bound(rounds, prior=prior, n_predictors=3)
    for spread in (0.02, 0.3, 2.0):
        p = generator.dirichlet(np.full(3, spread), rounds)
        # multiplied out, each choice of a predictor per round is a Dirichlet moment of its counts
        counts = np.array([np.bincount(c, minlength=3) for c in itertools.product(range(3), repeat=rounds)])
        terms = np.array([p[np.arange(rounds), list(c)].prod() for c in itertools.product(range(3), repeat=rounds)])
        moments = np.exp(
            (special.gammaln(counts + beta) - special.gammaln(beta)).sum(1)
            - special.gammaln(rounds + 3 * beta)
            + special.gammaln(3 * beta)
        )
        best = simplex_weights(np.full((1, rounds), 1 / rounds), p.T[None]).weights[0]
        assert np.log(p @ best).sum() - np.log(terms @ moments) <= bound
