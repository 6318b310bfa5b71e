"""Interventions on labels, effects and verdicts of the study `demonstrations`, on cases that are made by hand."""

from functools import cache

import numpy as np
import pytest
from demonstration_answers import CELLS, SHOTS, config_of, samples_of, table_of

from gating.results.table import make_table
from llm_finetune.demonstrations.interventions import (
    Chances,
    Intervention,
    label_law,
    labels_shown,
    shown_counts,
)
from llm_finetune.demonstrations.report import answers_in, report_rows, resampled
from llm_finetune.demonstrations.tasks import Text, load_task, plan_of
from llm_finetune.demonstrations.verdict import cell_of, demonstrations_verdict

GOLD = [0, 1, 2, 2, 1, 0, 1, 2]


@pytest.fixture
def chances():
    return Chances.drawn(len(GOLD), 3, [5])


def test_flips_show_the_next_label_and_a_larger_share_flips_more_of_the_same(chances):
    flipped = set()
    for share, number in ((0.25, 2), (0.5, 4), (0.75, 6), (1.0, 8)):
        shown = labels_shown(Intervention("flipped", share), GOLD, 3, chances)
        changed = {k for k, label in enumerate(GOLD) if shown[k] != label}
        assert len(changed) == number
        assert changed > flipped
        assert all(shown[k] == (GOLD[k] + 1) % 3 for k in changed)
        flipped = changed
    assert labels_shown(Intervention("gold"), GOLD, 3, chances).tolist() == GOLD
    rounded = labels_shown(Intervention("flipped", 0.75), GOLD[:2], 3, chances)  # 1.5 of two are two
    assert rounded.tolist() == [1, 2]


def test_abstract_words_stand_for_one_label_each_and_random_labels_for_none(chances):
    words = labels_shown(Intervention("abstract"), GOLD, 3, chances)
    assert {(gold, word) for gold, word in zip(GOLD, words, strict=True)} == set(enumerate(chances.words))
    assert sorted(chances.words) == [0, 1, 2]
    random = labels_shown(Intervention("random"), GOLD, 3, chances)
    assert random.tolist() == labels_shown(Intervention("random"), GOLD[::-1], 3, chances).tolist()
    many = Chances.drawn(9000, 3, [1]).random
    assert np.bincount(many, minlength=3) == pytest.approx([3000] * 3, abs=200)
    for kind in ("gold", "flipped", "random", "abstract"):  # fewer demonstrations are the first of more
        few = labels_shown(Intervention(kind, float(kind == "flipped")), GOLD[:3], 3, chances)
        assert few.tolist() == labels_shown(Intervention(kind, float(kind == "flipped")), GOLD, 3, chances)[:3].tolist()


def test_counts_are_of_the_class_of_the_text():
    shots = [Text(f"t{k}", label) for k, label in enumerate([0, 0, 1, 1, 1])]
    counts = shown_counts(shots, np.array([0, 1, 1, 1, 0]), 2)
    assert counts.tolist() == [[1, 1], [1, 2]]
    assert label_law(counts, 1.0).tolist() == [[0.5, 0.5], [0.4, 0.6]]


@pytest.mark.parametrize("name", ["sentiment", "topic"])
def test_texts_are_balanced_and_no_word_of_a_label_is_both_shown_and_asked(name):
    task = load_task(name)
    n = len(task.labels)
    plan = plan_of(task, queries=3 * n, shots=4 * n, draws=5, seed=2)
    assert np.bincount([query.label for query in plan.queries]).tolist() == [3] * n
    asked = {query.text for query in plan.queries}
    assert len(asked) == 3 * n
    assert not {text for pool in task.shown for text in pool} & {text for pool in task.asked for text in pool}
    for shots in plan.shots:
        assert len({shot.text for shot in shots}) == 4 * n
        for k in range(n, 4 * n + 1, n):
            assert np.bincount([shot.label for shot in shots[:k]]).tolist() == [k // n] * n
        assert all(shot.text in task.shown[shot.label] for shot in shots)
    assert plan.shots[0] != plan.shots[1]
    assert plan_of(task, queries=3 * n, shots=2 * n, draws=2, seed=2).queries == plan.queries


def hand_made():
    """2 draws and 4 texts: right 4 of 8 without demonstrations, 8, 2 and 6 with gold, flipped and random ones."""
    half, three = [[1, 1, 0, 0]] * 2, [[1, 1, 1, 0], [1, 0, 1, 1]]
    gold, flipped, abstract = [[1] * 4] * 2, [[1, 0, 0, 0], [0, 0, 0, 1]], [[1, 1, 1, 1], [1, 1, 1, 0]]
    other_half = [[0, 1, 0, 1], [0, 0, 1, 1]]  # words that mean nothing have a prior of their own
    return dict(zip(CELLS, (half, gold, flipped, three, other_half, abstract), strict=True))


def test_recognition_learning_and_flips_are_those_computed_by_hand():
    config = config_of(2, 4)
    rows = make_table(report_rows(config, samples_of(hand_made())))
    found = {name: cell_of(rows, name, SHOTS)["value"] for name in
             ("demonstration_gain", "task_recognition", "task_learning", "flip_effect")}  # fmt: skip
    assert found == pytest.approx(
        {"demonstration_gain": 0.5, "task_recognition": 0.25, "task_learning": 0.375, "flip_effect": 0.75}
    )
    assert cell_of(rows, "accuracy", SHOTS, "flipped", 1.0)["value"] == pytest.approx(0.25)
    assert cell_of(rows, "accuracy_shown", SHOTS, "flipped", 1.0)["value"] == pytest.approx(0.75)
    assert cell_of(rows, "accuracy_shown", SHOTS, "gold")["value"] == 1
    assert cell_of(rows, "softmax", SHOTS, "random")["value"] == pytest.approx(0.75 * 0.9 + 0.25 * 0.1)
    assert not ((rows["low"] > rows["value"]) | (rows["high"] < rows["value"])).any()
    assert (rows["high"] - rows["low"] > 0)[rows["measure"] != "effective_gate_residual"].all()


def test_the_gate_is_the_weight_of_the_law_without_demonstrations():
    samples = samples_of(hand_made())
    config = config_of(2, 4)
    g = samples[samples["shots"] == 0].groupby(["labels", "draw", "query"])["log_prob"]
    prior = np.exp(g.transform(lambda v: v - np.logaddexp.reduce(v)))
    keys = samples.loc[prior.index, ["labels", "draw", "query", "candidate"]].itertuples(index=False, name=None)
    law = dict(zip(keys, prior, strict=True))
    for k, row in samples[samples["shots"] > 0].iterrows():
        kind = "abstract" if row["labels"] == "abstract" else "gold"
        h = (row["count"] + 1) / (SHOTS // 2 + 2)
        mixed = 0.25 * law[kind, row["draw"], row["query"], row["candidate"]] + 0.75 * h
        samples.loc[k, "log_prob"] = np.log(mixed) - 7
    rows = make_table(report_rows(config, samples))
    for kind in ("gold", "random", "abstract"):
        assert cell_of(rows, "effective_gate", SHOTS, kind)["value"] == pytest.approx(0.25, abs=1e-6)
    assert rows.loc[rows["measure"] == "effective_gate_residual", "value"].max() < 1e-9


def test_calibration_divides_by_the_text_without_content():
    samples = samples_of(hand_made())
    cell = samples[(samples["labels"] == "gold") & (samples["shots"] == SHOTS)]
    towards = np.where(cell["candidate"] == "word 0", np.log(0.9), np.log(0.1))
    biased = cell.assign(log_prob=cell["log_prob"] + 3 * towards, blank=3 * towards - 5)
    found = answers_in(biased).measures()
    assert found["accuracy"].mean() == 0.5  # always the first word
    assert found["accuracy_calibrated"].mean() == 1
    assert "accuracy_calibrated" not in answers_in(cell).measures()


def test_ties_of_labels_shown_count_in_part():
    samples = samples_of(hand_made())
    cell = samples[(samples["labels"] == "gold") & (samples["shots"] == SHOTS)]
    assert answers_in(cell.assign(count=1)).measures()["accuracy_shown"].tolist() == [[0.5] * 4] * 2
    assert np.isnan(answers_in(cell.assign(count=np.where(cell["query"] == 0, 0, 1))).measures()["accuracy_shown"])[
        :, 0
    ].all()


def test_bootstrap_weights_are_of_draws_times_texts_and_keep_labels_balanced():
    weights = resampled(3, np.array([0, 1, 0, 1]), 0, samples=400)
    assert (weights[0] == 1).all()
    assert (weights[:, :, [0, 2]].sum((1, 2)) == 6).all()
    assert (weights[:, :, [1, 3]].sum((1, 2)) == 6).all()
    ranks = np.linalg.matrix_rank(weights)
    assert set(ranks) == {1}
    assert weights.mean(0) == pytest.approx(np.ones((3, 4)), abs=0.2)


SHARES = {"none": 2 / 3, "gold": 1.0, "flipped": 0.0, "random": 2 / 3, "before": 0.5, "abstract": 1.0}


@cache
def verdict(**shares):
    held = SHARES | shares
    cells = dict(zip(CELLS, (held[name] for name in ("none", "gold", "flipped", "random", "before", "abstract")),
                     strict=True))  # fmt: skip
    return " ".join(demonstrations_verdict(*table_of(cells)))


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({}, '"made" learns labels from 2 demonstrations'),
        ({"abstract": 0.5}, '"made" does not clearly learn labels'),
        ({}, "and does not clearly recognise the task by them"),
        ({"none": 1 / 3, "random": 1.0}, "and recognises the task by them"),
        ({"none": 1.0, "random": 1 / 3}, "and is misled by random ones"),
        ({}, '"made" follows what it is shown: right label 0.00'),
        ({"flipped": 1.0}, '"made" keeps what it knew: right label 1.00'),
        ({"flipped": 0.5}, '"made" clearly prefers neither'),
        ({"none": 0.5}, '"made" is no better than a guess on sentiment'),
    ],
)
def test_the_verdict_says_what_intervals_allow(shares, said):
    assert said in verdict(**shares)


def test_the_verdict_holds_no_claim_that_the_answers_do_not_bear():
    assert "no better than a guess" not in verdict(none=1.0)
    assert "Caution: 6 draws and 6 test texts are few" in verdict()
    assert "recognises" not in verdict()
    assert "right labels change accuracy from 0.67 to 1.00" in verdict()
