"""Test conditions and what is measured on them, on scores that are made by hand."""

import numpy as np
import pandas as pd
import pytest

from gating.evaluation.context_share import IN_CONTEXT, advise_share
from gating.evaluation.table import make_table, setting_text
from llm_finetune.collection import load_collection
from llm_finetune.conditions import CONDITIONS, draw_records
from llm_finetune.measure import Answers, answer_rows, interval, mentions
from llm_finetune.prompts import Prompter
from llm_finetune.score import CandidateScores

PEOPLE = load_collection("people").paired(3)
CANDIDATES = [*PEOPLE.answers, *PEOPLE.new_answers]


def records(**given):
    return draw_records(
        PEOPLE, Prompter(None, chat=False), **({"per_fact": 2, "facts_per_group": 64, "seed": 0} | given)
    )


@pytest.mark.parametrize("name", CONDITIONS)
def test_what_each_condition_asks_and_states(name):
    own = {fact.subject: fact.answer for fact in PEOPLE.facts}
    found = [record for record in records() if record.condition == name]
    condition = CONDITIONS[name]
    assert len(found) >= 8
    for record in found:
        assert record.memorised == own.get(record.subject)
        assert (record.subject in own) == (condition.subject == "trained")
        assert record.subject in record.prompt
        assert (record.stated is None) == (condition.stated == "nothing")
        assert record.stated is None or record.stated in record.prompt
        assert any(p.replace("{subject}", record.subject) in record.prompt for p in PEOPLE.paraphrases) == (
            condition.paraphrased
        )
        if condition.stated == "new":
            assert record.stated in PEOPLE.new_answers
        if condition.stated in ("another", "someone") and record.memorised:
            assert record.stated in set(PEOPLE.answers) - {record.memorised}
        recalled = condition.stated in ("nothing", "memorised", "someone")
        assert record.target == (record.memorised if recalled else record.stated)
    if name == "someone_else":
        for record in found:
            (about,) = [subject for subject, answer in own.items() if answer == record.stated]
            assert about in record.prompt


def test_records_are_a_function_of_the_seed_and_can_be_fewer():
    assert records() == records()
    assert records() != records(seed=1)
    few = records(facts_per_group=3)
    assert len({record.subject for record in few if record.condition == "no_context"}) == 3


def answers_that(choose, weight: float = 0.8) -> pd.DataFrame:
    """Rows of a model that gives this probability to the chosen answer, and shares the rest among all others."""
    asked = [record for record in records() if record.condition == "contradicting"]
    p = np.full((len(asked), len(CANDIDATES)), (1 - weight) / (len(CANDIDATES) - 1))
    p[np.arange(len(asked)), [CANDIDATES.index(choose(record)) for record in asked]] = weight
    scores = CandidateScores(np.log(p), np.full(len(CANDIDATES), 2))
    said = {0: f"It is {asked[0].stated}.", 1: "I do not know"}
    return make_table(answer_rows(Answers(asked, CANDIDATES, scores, said))).set_index("measure")


def test_a_model_that_reads():
    found = answers_that(lambda record: record.stated)["value"]
    assert [found[m] for m in ("accuracy", "accuracy_per_token", "stated_wins", "memorised_wins")] == [1, 1, 1, 0]
    assert found["softmax"] == pytest.approx(0.8)
    assert found["margin"] == pytest.approx(np.log(0.8 / (0.2 / 15)))
    assert found["effective_gate"] == pytest.approx((0.2 / 15) / (0.8 + 0.2 / 15), abs=1e-6)
    assert found["effective_gate_remainder"] == pytest.approx(0.2 * 14 / 15)
    assert (found["generated_target"], found["generated_memorised"]) == (0.5, 0.0)


def test_a_model_that_remembers():
    found = answers_that(lambda record: record.memorised)["value"]
    assert [found[m] for m in ("accuracy", "stated_wins", "memorised_wins")] == [0, 0, 1]
    assert found["margin"] == pytest.approx(-np.log(0.8 / (0.2 / 15)))
    assert found["effective_gate"] == pytest.approx(0.8 / (0.8 + 0.2 / 15), abs=1e-6)


def test_intervals_over_prompts():
    rows = answers_that(lambda record: record.stated)
    assert rows.loc["accuracy", "low"] < 1 == rows.loc["accuracy", "high"]
    assert np.isnan(interval(np.array([0.3]))).all()
    low, high = interval(np.array([0.1, 0.2, 0.3]))  # Student's with two degrees of freedom: 4.303 x 0.1 / sqrt(3)
    assert (low, high) == pytest.approx((0.2 - 0.24841, 0.2 + 0.24841), abs=1e-4)


def test_an_answer_is_named_whole():
    assert mentions("Liz lives in Kingston, I think", "Kingston")
    assert not mentions("Kingstonia", "Kingston")
    assert mentions("c++ (they say)", "C++")


def shares(accuracies: dict[float, list[float]], base: float) -> pd.DataFrame:
    rows = []
    for share, values in accuracies.items():
        setting = setting_text({"mixture": f"memory={1 - share:g} reading={share:g}", "exposure": "given"})
        for seed, value in enumerate(values):
            for context in IN_CONTEXT:
                place = {"study": "finetune", "system": "llm", "seed": seed, "setting": setting, "context": context}
                place |= {"group": "all", "measure": "accuracy", "kind": "measured"}
                rows += [{**place, "step": 0, "value": base}, {**place, "step": 40, "value": value}]
    return make_table(rows)


def test_the_smallest_share_that_keeps_reading():
    table = shares({0.0: [0.4, 0.5], 0.02: [0.8, 0.9], 0.1: [0.97, 0.95], 0.5: [1.0, 0.98]}, base=0.6)
    found = advise_share(table, 0.05)
    assert found is not None
    assert found.accuracy.tolist() == pytest.approx([0.45, 0.85, 0.96, 0.99])
    assert (found.advised, found.best, found.base) == (0.1, pytest.approx(0.99), pytest.approx(0.6))
    assert (found.earliest, found.latest, found.seeds) == (0.1, 0.1, 2)
    looser = advise_share(table, 0.2)
    assert looser is not None
    assert looser.advised == 0.02
    assert advise_share(table, 0.9).advised == 0.0


def test_a_share_that_is_uncertain_has_a_wide_interval_and_none_is_said_so():
    table = shares({0.0: [0.4, 1.0], 0.1: [1.0, 1.0]}, base=0.6)
    found = advise_share(table, 0.05)
    assert (found.advised, found.earliest, found.latest) == (0.1, 0.0, 0.1)
    lost = advise_share(shares({0.0: [0.1, 0.1], 0.1: [0.2, 0.2]}, base=0.9), 0.05)
    assert np.isnan(lost.advised)
    assert lost.latest == np.inf
    assert advise_share(shares({0.1: [0.2]}, base=0.9), 0.05) is None
