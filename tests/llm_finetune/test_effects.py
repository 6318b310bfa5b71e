"""Changes of abilities and differences from random answers, on outcomes that are made by hand."""

import numpy as np
import pandas as pd
import pytest

from gating.results.intervals import unvaried_margin
from gating.results.table import make_table
from llm_finetune.collection import load_collection
from llm_finetune.conditions import draw_records
from llm_finetune.config import FinetuneConfig, Run
from llm_finetune.effects import ability_tables, control_of, effect_rows
from llm_finetune.measure import Answers
from llm_finetune.prompts import Prompter
from llm_finetune.samples import sample_table
from llm_finetune.score import CandidateScores

PEOPLE = load_collection("people")
CANDIDATES = [*PEOPLE.answers, *PEOPLE.new_answers]
CONFIG = FinetuneConfig(mixtures=["memory=1", "random=1"], n_seeds=2, conditions=["no_context", "contradicting"])


def answers(seed: int, recalls, follows) -> list[Answers]:
    """Answers of a model that recalls some subjects and follows the contexts about some, and else says a new city."""
    records = draw_records(PEOPLE.paired(seed), Prompter(None, chat=False), prompts_per_fact=2, facts_per_group=64,
                           seed=0, conditions=CONFIG.conditions)  # fmt: skip
    scores = np.zeros((len(records), len(CANDIDATES)))
    said = {}
    for k, record in enumerate(records):
        right = record.subject in (recalls if record.condition == "no_context" else follows)
        chosen = record.target if right else "Paris"
        scores[k, CANDIDATES.index(chosen)] = 5
        if (record.condition, record.subject) not in {records[j][:1] + records[j][1:2] for j in said}:
            said[k] = chosen
    return [Answers(records, CANDIDATES, CandidateScores(scores, np.ones_like(scores, dtype=int)), said)]


def samples_of(base, tuned) -> pd.DataFrame:
    """Samples of answers by seed before training, and by mixture and seed after it."""
    tables = [sample_table(found, seed=seed, step=0) for seed, found in base.items()]
    tables += [
        sample_table(found, seed=run.seed, step=40, **run.columns)
        for run in CONFIG.runs
        for found in [tuned[run.mixture.text, run.seed]]
    ]
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def samples():
    everyone, few = PEOPLE.subjects, PEOPLE.subjects[:2]
    base = {0: answers(0, [], everyone), 1: answers(1, [], everyone)}
    tuned = {
        ("memory=1", 0): answers(0, everyone, few), ("memory=1", 1): answers(1, everyone, few),
        ("random=1", 0): answers(0, [], []), ("random=1", 1): answers(1, few, few),
    }  # fmt: skip
    return samples_of(base, tuned)


@pytest.fixture(scope="module")
def found(samples):
    return make_table(effect_rows(CONFIG, samples))


def value(found, mixture: str, measure: str, judge: str = "said", step: int = 40) -> float:
    here = found[(found["mixture"] == mixture) & (found["measure"] == measure) & (found["judge"] == judge)]
    (row,) = here[here["step"] == step].itertuples()
    return row.value


@pytest.mark.parametrize("judge", ["said", "score"])
def test_values_changes_and_differences_are_means_over_seeds_and_subjects(found, judge):
    assert value(found, "memory=1", "recall", judge, 0) == 0
    assert value(found, "memory=1", "recall", judge) == 1
    assert value(found, "memory=1", "recall_change", judge) == 1
    assert value(found, "random=1", "recall", judge) == pytest.approx(1 / 8)  # 0 and 2 of 8
    assert value(found, "memory=1", "recall_less_random", judge) == pytest.approx(7 / 8)


def test_outcomes_stand_by_seed_and_subject_before_training_and_after_each_mixture(samples):
    of_random = [run for run in CONFIG.runs if run.mixture.random == 1]
    ((after, _),) = ability_tables(samples, of_random, 40, "recall", "said")
    recalled = np.isin(np.sort(PEOPLE.subjects), PEOPLE.subjects[:2])
    np.testing.assert_array_equal(after, [np.zeros(8), recalled])
    ((before, _),) = ability_tables(samples, of_random, 0, "recall", "said")
    assert before.shape == (2, 8)
    assert not before.any()
    assert ability_tables(samples, of_random, 40, "copying", "said") == []


def test_changes_and_differences_are_paired_by_seed():
    """Seeds differ, and nothing else does: then nothing changes in any of them."""
    everyone = PEOPLE.subjects
    held = {0: answers(0, [], everyone), 1: answers(1, everyone, everyone)}
    samples = samples_of(held, {(mixture, seed): held[seed] for mixture in CONFIG.mixtures for seed in held})
    found = make_table(effect_rows(CONFIG, samples))
    for name in ("recall_change", "recall_less_random"):
        row = found[(found["mixture"] == "memory=1") & (found["measure"] == name)].iloc[0]
        assert (row["value"], row["high"]) == (0, pytest.approx(float(unvaried_margin(2))))


def test_an_ability_that_was_not_asked_for_has_no_row_and_the_control_is_not_compared_with_itself(found):
    assert {*found["measure"].str.replace(r"_(change|less_random)$", "", regex=True)} == {"recall"}
    assert "recall_less_random" not in set(found.loc[found["mixture"] == "random=1", "measure"])
    assert found["answer"].all()


def test_the_control_has_the_same_seed_and_exposure():
    run = CONFIG.runs[1]
    assert (run.mixture.text, run.seed) == ("memory=1", 1)
    assert control_of(CONFIG, run) == Run(CONFIG.runs[3].mixture, "given", 1)
    assert control_of(CONFIG, CONFIG.runs[3]) is None
    assert control_of(FinetuneConfig(), run) is None
