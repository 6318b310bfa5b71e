"""Abilities, changes and their intervals on outcomes that are made by hand."""

import numpy as np
import pandas as pd
import pytest

from gating.results.intervals import mean_interval
from llm_finetune.abilities import ability_rows, change_rows, prompt_values
from llm_finetune.collection import load_collection
from llm_finetune.conditions import CHANGES, IN_CONTEXT, draw_records
from llm_finetune.measure import Answers
from llm_finetune.prompts import Prompter
from llm_finetune.score import CandidateScores


def outcomes(context, subject, *right, memorised=False, collection="one"):
    """Prompts about a fact, right or wrong by every judge; where `memorised`, the memorised answer is given instead."""
    asked = {"condition": context, "collection": collection, "subject": subject, "group": "all"}
    rows = [{**asked, "memorised": "M", "stated": "S", "target": "S"}]
    given, instead = np.array(right, float), [float(memorised and not one) for one in right]
    measures = {"accuracy": given, "memorised_wins": instead, "generated_target": given, "generated_memorised": instead}
    return pd.DataFrame(rows * len(right)).assign(**measures)


def values_of(rows, measure):
    found = {row["measure"]: row for row in rows}[measure]
    return found["value"], found["low"], found["high"]


def test_each_fact_counts_once_and_each_condition_too():
    parts = [outcomes("unseen", "A", 1, 1, 1, 1), outcomes("unseen", "B", 0), outcomes("unseen_new", "A", 0),
             outcomes("unseen_new", "B", 0), *(outcomes(name, "C", 1) for name in IN_CONTEXT[:2])]  # fmt: skip
    rows = list(ability_rows(pd.concat(parts, ignore_index=True), "score"))
    assert values_of(rows, "reading")[0] == pytest.approx(0.25)
    assert values_of(rows, "in_context_accuracy")[0] == pytest.approx((0.25 + 1) / 2)


@pytest.mark.parametrize("judge", ["score", "said"])
def test_what_became_of_reading(judge):
    before, after = [1, 1, 1, 0, 0], [1, 0, 0, 1, 0]
    names = (*IN_CONTEXT, "unrelated")
    base = pd.concat([outcomes(name, f"{k}", one) for name in names for k, one in enumerate(before)])
    tuned = pd.concat([outcomes(n, f"{k}", one, memorised=k == 1) for n in names for k, one in enumerate(after)])
    rows = list(change_rows(base.reset_index(drop=True), tuned.reset_index(drop=True), judge))
    assert [values_of(rows, name)[0] for name in CHANGES] == pytest.approx([0.2] * 5)
    assert values_of(rows, "reading_change")[0] == pytest.approx(-0.2)
    with pytest.raises(ValueError, match="must be answers to the same prompts"):
        next(change_rows(base.reset_index(drop=True), tuned.iloc[::-1].reset_index(drop=True), judge))


def test_a_change_that_is_nowhere_has_width_and_one_that_is_everywhere_is_clear():
    base = pd.concat([outcomes("no_context", f"{k}", 1, 1) for k in range(8)], ignore_index=True)
    value, low, high = values_of(change_rows(base, base, "score"), "recall_change")
    assert value == 0
    assert -0.4 < low < 0 < high < 0.4
    lost = pd.concat([outcomes("no_context", f"{k}", 0, 0) for k in range(8)], ignore_index=True)
    value, low, high = values_of(change_rows(base, lost, "score"), "recall_change")
    assert (value, low) == (-1, -1)
    assert high < -0.5


def test_facts_that_gain_and_lose_alike_do_not_shorten_the_interval_of_a_change():
    before, after = [(0, 1, 0, 0), (0, 1, 0, 0), *[(0, 0, 0, 0)] * 2], [(1, 0, 0, 0), (1, 0, 0, 0), *[(0, 0, 0, 0)] * 2]
    base, tuned = (
        pd.concat([outcomes("no_context", f"{k}", *one) for k, one in enumerate(part)], ignore_index=True)
        for part in (before, after)
    )
    one = mean_interval([0.25, 0.25, 0, 0], tests=4, low=0, high=1)  # of those gained, and of those lost
    margin = ((one.high - one.value) ** 2 + (one.value - one.low) ** 2) ** 0.5
    found = values_of(change_rows(base, tuned, "score"), "recall_change")
    assert found == pytest.approx((0, -margin, margin))


def test_facts_that_do_not_vary_are_as_many_outcomes_as_facts_however_many_prompts_each_has():
    never = pd.concat([outcomes("no_context", f"{k}", 0, 0, 0, 0) for k in range(8)], ignore_index=True)
    assert values_of(ability_rows(never, "score"), "recall") == pytest.approx((0, 0, 0.3244), abs=1e-4)  # Wilson's of 8


def test_intervals_hold_the_truth_when_all_prompts_of_a_fact_go_one_way():
    rng, held = np.random.default_rng(0), 0
    asked = pd.concat([outcomes("no_context", f"{k}", 0, 0, 0, 0) for k in range(8)], ignore_index=True)
    for _ in range(100):
        known = np.repeat(rng.random(8) < 0.15, 4).astype(float)
        found = values_of(ability_rows(asked.assign(accuracy=known), "score"), "recall")
        held += found[1] <= 0.15 <= found[2]
    assert held >= 90


@pytest.mark.parametrize("change", [0.0, -0.3])
def test_intervals_of_changes_hold_the_truth_when_facts_differ(change):
    rng, held, n_facts = np.random.default_rng(0), 0, 12
    asked = pd.concat([outcomes("no_context", f"{k}", 0, 0, 0, 0) for k in range(n_facts)], ignore_index=True)
    truth = _truth(change)
    for _ in range(150):
        easy = rng.beta(2, 2, n_facts)
        draw = rng.random((n_facts, 4))
        before = draw < 0.3 + 0.7 * easy[:, None]
        after = draw < 0.3 + 0.7 * easy[:, None] + change
        after ^= rng.random((n_facts, 4)) < 0.05
        base, tuned = (asked.assign(accuracy=part.ravel().astype(float)) for part in (before, after))
        found = values_of(change_rows(base, tuned, "score"), "recall_change")
        held += found[1] <= truth <= found[2]
    assert held >= 135


def _truth(change):
    """Mean of right answers after less before, where easiness is Beta(2, 2)."""
    easy = np.random.default_rng(1).beta(2, 2, 400_000)
    p = 0.3 + 0.7 * easy
    q = np.clip(p + change, 0, 1)
    return float((q * 0.95 + (1 - q) * 0.05 - p).mean())


def test_what_is_said_belongs_to_the_prompts_that_were_answered_freely():
    records = draw_records(load_collection("people"), Prompter(None, chat=False), prompts_per_fact=1, facts_per_group=3,
                           seed=0, conditions=["no_context"])  # fmt: skip
    candidates = [*load_collection("people").answers]
    scores = CandidateScores(np.zeros((3, 8)), np.ones(8, dtype=int))
    values = prompt_values({"people": [Answers(records, candidates, scores, {1: records[1].target, 2: "nowhere"})]})
    np.testing.assert_array_equal(values["generated_target"], [np.nan, 1.0, 0.0])


def test_one_name_in_two_collections_is_two_facts():
    parts = [outcomes("no_context", "A", 1, 1, 1), outcomes("no_context", "A", 0, collection="two")]
    together = values_of(ability_rows(pd.concat(parts, ignore_index=True), "score"), "recall")
    names = [outcomes("no_context", "A", 1, 1, 1), outcomes("no_context", "B", 0)]
    assert together == values_of(ability_rows(pd.concat(names, ignore_index=True), "score"), "recall")
    assert together[0] == 0.5
