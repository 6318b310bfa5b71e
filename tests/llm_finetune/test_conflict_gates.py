"""Gates against values worked out by hand, and the fits behind them against simulated data."""

import re

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logsumexp

from llm_finetune.conflict.gates import (
    context_aware_decoding,
    contextual_calibration,
    cross_fitted,
    fit_logistic,
    log_odds_of,
    percentile_gate,
    posterior_gate,
    probability_gate,
)
from llm_finetune.conflict.shares import balanced, kept_slope, shares

WITHOUT = np.log([[0.70, 0.20, 0.10], [0.40, 0.35, 0.25], [0.45, 0.45, 0.10]])
CONTEXT = np.log([[0.10, 0.60, 0.30], [0.10, 0.45, 0.45], [0.45, 0.45, 0.10]])


def test_the_probability_gate_takes_the_surer_answer_and_a_tie_is_the_context_s():
    found = probability_gate(WITHOUT, CONTEXT)
    assert (found[0] == WITHOUT[0]).all()  # 0.7 > 0.6
    assert (found[1] == CONTEXT[1]).all()  # 0.4 < 0.45
    assert (found[2] == CONTEXT[2]).all()  # 0.45 = 0.45


def test_the_percentile_gate_compares_ranks():
    """Ranks 3, 1, 2 of 0.7, 0.4, 0.45 without context; 3, 1.5, 1.5 of 0.6, 0.45, 0.45 with it: the last is above."""
    found = percentile_gate(WITHOUT, CONTEXT)
    assert (found[:2] == CONTEXT[:2]).all()
    assert (found[2] == WITHOUT[2]).all()
    surer = np.log([[0.99, 0.005, 0.005], [0.98, 0.01, 0.01], [0.5, 0.3, 0.2]])  # ranks 3, 2, 1
    context = np.log([[0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.97, 0.02, 0.01]])  # ranks 2, 1, 3
    found = percentile_gate(surer, context)
    assert (found[:2] == surer[:2]).all()
    assert (found[2] == context[2]).all()


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 3.0])
def test_context_aware_decoding_is_its_formula(strength):
    by_hand = np.exp(CONTEXT) ** (1 + strength) / np.exp(WITHOUT) ** strength
    by_hand /= by_hand.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(context_aware_decoding(WITHOUT, CONTEXT, strength=strength)), by_hand, atol=1e-12)


def test_calibration_divides_by_the_content_free_probabilities_and_undoes_them():
    free = np.log(np.full((3, 3), [0.5, 0.3, 0.2]))
    by_hand = np.array([0.1 / 0.5, 0.6 / 0.3, 0.3 / 0.2])
    np.testing.assert_allclose(np.exp(contextual_calibration(CONTEXT, free))[0], by_hand / by_hand.sum())
    np.testing.assert_allclose(contextual_calibration(free, free), np.full((3, 3), -np.log(3)))


def test_the_posterior_gate_mixes_probabilities():
    found = np.exp(posterior_gate(WITHOUT, CONTEXT, np.array([0.0, 1.0, 0.25])))
    np.testing.assert_allclose(found[:2], np.exp([WITHOUT[0], CONTEXT[1]]), atol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1)


def test_the_posterior_is_bayes_rule_where_belief_is_calibrated():
    """Truth is drawn from the belief; the context states it with chance r, else another answer: b = logit r + ln 3."""
    rng = np.random.default_rng(0)
    belief = log_softmax(1.5 * rng.normal(size=(60_000, 4)), axis=1)
    truth = (np.exp(belief).cumsum(1) > rng.random((len(belief), 1))).argmax(1)
    r = 0.6
    told = np.where(rng.random(len(truth)) < r, truth, (truth + rng.integers(1, 4, len(truth))) % 4)
    b, slope = fit_logistic(log_odds_of(belief, told), (told == truth).astype(float), np.ones(len(truth)))
    assert b == pytest.approx(np.log(r / (1 - r)) + np.log(3), abs=0.1)
    assert slope == pytest.approx(1, abs=0.1)  # the ridge shortens it a little


def test_candidates_that_a_prompt_lacks_stay_without_probability():
    gaps = [np.where([[True, True, False]], row, -np.inf) for row in (WITHOUT[:1], CONTEXT[:1])]
    without, context = (row - logsumexp(row, axis=1, keepdims=True) for row in gaps)
    found = (
        probability_gate(without, context), percentile_gate(without, context), context_aware_decoding(without, context),
        contextual_calibration(context, without), posterior_gate(without, context, np.array([0.5])),
    )  # fmt: skip
    for rows in found:
        assert np.isneginf(rows[0, 2])
        assert logsumexp(rows) == pytest.approx(0, abs=1e-9)
    assert log_odds_of(without, np.array([0]))[0] == pytest.approx(without[0, 0] - without[0, 1])


def test_a_fit_is_the_one_that_made_the_data_and_separated_outcomes_have_a_finite_slope():
    rng = np.random.default_rng(1)
    x = rng.normal(size=40_000)
    y = (rng.random(len(x)) < expit(0.5 + 0.8 * x)).astype(float)
    b, slope = fit_logistic(x, y, np.ones(len(x)))
    assert (b, slope) == pytest.approx((0.5, 0.8), abs=0.08)
    assert 0 < fit_logistic(np.array([-1.0, 1]), np.array([0.0, 1]), np.ones(2))[1] < 10
    assert fit_logistic(-x, y, np.ones(len(x)), rising=True)[1] == pytest.approx(0, abs=1e-6)


def test_cross_fitting_never_sees_the_items_that_it_answers():
    """Outcomes that only the item itself could tell are not foretold: beside its fold, its rows say the contrary."""
    rng = np.random.default_rng(2)
    items = np.repeat(np.arange(40), 3)
    x = rng.normal(size=len(items))
    y = (rng.random(40) < 0.5).astype(float)[items]
    base = cross_fitted(x, y, np.ones(len(x)), items.tolist(), folds=4, seed=0)
    for item in (0, 7, 39):
        own = items == item
        turned = cross_fitted(x, np.where(own, 1 - y, y), np.ones(len(x)), items.tolist(), folds=4, seed=0)
        assert (turned[own] == base[own]).all()
        assert (turned[~own] != base[~own]).any()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: probability_gate(np.exp(WITHOUT), CONTEXT), "`without` must hold log-probabilities, whose"),
        (lambda: percentile_gate(WITHOUT, CONTEXT[:1]), "`context` must be log-probabilities of one shape (P, K); got"),
        (lambda: contextual_calibration(CONTEXT, CONTEXT[0]), "`content_free` must be log-probabilities of one shape"),
        (lambda: context_aware_decoding(WITHOUT, CONTEXT, strength=-1.0), "`strength` must be"),
        (lambda: posterior_gate(WITHOUT, CONTEXT, np.array([0.0, 1.0, 2.0])), "`weight` must be 3 numbers in [0, 1]"),
        (lambda: fit_logistic(np.ones(2), np.ones(3), np.ones(2)), "`x`, `y` and `weights` must be of one length"),
        (lambda: fit_logistic(np.ones(2), np.ones(2), np.zeros(2)), "with some weight"),
        (lambda: cross_fitted(np.ones(4), np.ones(4), np.ones(4), [0, 0, 1, 1], folds=3, seed=0),
         "`folds` must be at most the number of clusters, 2; got 3"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        call()


def test_shares_of_items_and_of_differences():
    values = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    counted = np.array([[1, 1], [1, 1], [1, 0], [0, 1]])
    found = shares(values, counted, ["a", "a", "b", "c"], n_resamples=500, seed=0)
    assert found.value.tolist() == pytest.approx([2 / 3, 0])
    assert found.items.tolist() == [2, 2]
    assert (found.low[0], found.high[0]) == (0.5, 1.0)  # only a, only b
    assert (found.low[1], found.high[1]) == pytest.approx((0, 3.8415 / (2 + 3.8415)), abs=1e-4)
    changed = shares(values - values, counted, ["a", "a", "b", "c"], n_resamples=500, seed=0, paired=True)
    assert -changed.low[1] == changed.high[1] == found.high[1]
    nothing = shares(values[:1], np.zeros((1, 2)), ["a"], n_resamples=10, seed=0)
    assert np.isnan(nothing.value).all()
    assert np.isnan(nothing.low).all()


def test_shares_of_one_universe_are_drawn_together():
    rng = np.random.default_rng(3)
    values, items = (rng.random((60, 2)) < 0.5).astype(float), np.repeat(np.arange(20), 3)
    both = shares(values, np.ones((60, 2)), items, n_resamples=300, seed=4)
    alone = shares(values[:, 1:], np.ones((60, 1)), items, n_resamples=300, seed=4, among=np.arange(20))
    np.testing.assert_allclose(both.draws[:, 1], alone.draws[:, 0], atol=1e-12)
    mean = balanced(both, 0, 1)
    assert mean.value[0] == pytest.approx(values.mean())
    assert both.low.min() <= mean.low[0] < mean.value[0] < mean.high[0] <= both.high.max()


def test_intervals_hold_the_share_where_prompts_of_an_item_are_alike():
    """Items have chances from a beta distribution, so that rows taken one by one would be far too sure."""
    rng, held, alone = np.random.default_rng(5), 0, 0
    n_runs, n_items = 200, 40
    for run in range(n_runs):
        chance = rng.beta(0.6, 1.4, n_items)  # mean 0.3
        items = np.repeat(np.arange(n_items), 6)
        values = (rng.random(len(items)) < chance[items]).astype(float)[:, None]
        found = shares(values, np.ones_like(values), items, n_resamples=200, seed=run)
        held += bool(found.low[0] <= 0.3 <= found.high[0])
        wrong = shares(values, np.ones_like(values), np.arange(len(items)), n_resamples=200, seed=run)
        alone += bool(wrong.low[0] <= 0.3 <= wrong.high[0])
    assert 0.89 <= held / n_runs <= 0.99
    assert alone / n_runs < 0.85


def test_the_slope_of_keeping_is_found_and_is_none_where_nothing_differs():
    rng = np.random.default_rng(6)
    confidence = rng.uniform(0.2, 0.99, 400)
    odds = np.log(confidence / (1 - confidence))
    kept = (rng.random(400) < expit(odds)).astype(float)
    found = kept_slope(confidence, kept, np.arange(400), n_resamples=50, seed=0)
    assert found.low[0] < found.value[0] < found.high[0]
    assert found.value[0] == pytest.approx(1, abs=0.25)
    assert found.low[0] > 0
    assert np.isnan(kept_slope(confidence, np.ones(400), np.arange(400), n_resamples=5, seed=0).low[0])
