"""What `conflict` finds in answers that are made by hand: cases, gates, free answers, examples and the verdict."""

import numpy as np
import pandas as pd
import pytest

from gating.results.query import select
from gating.results.table import make_table
from llm_finetune.conflict.config import ConflictConfig
from llm_finetune.conflict.gates import context_aware_decoding, contextual_calibration
from llm_finetune.conflict.report import GATES, example_lines, gated, report_rows
from llm_finetune.conflict.scored import Scored
from llm_finetune.conflict.shares import WAYS, outcomes
from llm_finetune.conflict.verdict import GATE_NAMES, conflict_verdict


def made(chances, *, said=None):
    """Samples of 30 items of three candidates: right A, contradicting B and another C.

    Args:
        chances: by condition, probabilities of the candidates of each item, shape (30, 3).
        said: by condition, the free answer of each item.
    """
    rows, number = [], 0
    stated = {"no_context": None, "agreeing": "A", "contradicting": "B"}
    for item in range(30):
        for condition, values in chances.items():
            for place, candidate in enumerate("ABC"):
                rows.append({
                    "model": "m", "prompt_number": number, "item": f"item {item}", "group": "g", "condition": condition,
                    "stated": stated[condition], "size": "", "prompt": "?", "target": "A", "aliases": "",
                    "said": said[condition][item] if said else None, "candidate": candidate,
                    "log_prob": np.log(values[item][place]) - 1.0, "n_tokens": 1, "content_free": np.log(1 / 3),
                })  # fmt: skip
            number += 1
    return pd.DataFrame(rows).astype({"stated": object, "said": object})


KNOWS, TOLD_A, TOLD_B, OTHER = [0.7, 0.2, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]
BARE = [KNOWS] * 20 + [OTHER] * 10
FOLLOWS = {"no_context": BARE, "agreeing": [TOLD_A] * 30, "contradicting": [TOLD_B] * 30}
KEEPS = {"no_context": BARE, "agreeing": BARE, "contradicting": BARE}
HALF = {"no_context": BARE, "agreeing": [TOLD_A] * 30, "contradicting": [TOLD_B, KNOWS] * 15}


class Made(ConflictConfig):
    """Settings of answers made by hand: 30 items, with numbers that are not the suite's."""

    @property
    def sources(self):
        return {"m": "m"}


def table_of(samples, **given):
    config = Made(models="m", n_resamples=200, **given)
    object.__setattr__(config, "__dict__", {**config.__dict__, "asked": [
        config.asked[0]._replace(item=name) for name in samples["item"].unique()]})  # fmt: skip
    return config, make_table(report_rows(config, samples))


def test_cases_and_ways_of_answers_made_by_hand():
    """20 items are known, 10 are not: all contexts followed; so context bias 1, prior bias 0 and accuracy 0.5."""
    _, table = table_of(made(FOLLOWS))
    ways = select(table, {"judge": "score", "context": "contradicting", "group": "all", "measure": "context_followed"})
    assert ways[ways["case"].notna()].set_index("case")["value"].to_dict() == {"prior_right": 1.0, "both_wrong": 1.0}
    right = select(table, {"context": "agreeing", "case": "context_right", "group": "all", "judge": "score"})
    assert right.set_index("measure")["value"].to_dict() == {
        "prior_kept": 0.0, "context_followed": 1.0, "neither_chosen": 0.0, "context_preference": 1.0}  # fmt: skip
    plain = select(table, {"gate": "plain"}).set_index("measure")["value"].to_dict()
    assert plain == {"conflict_accuracy": 0.5, "context_bias": 1.0, "prior_bias": 0.0}
    assert select(table, {"measure": "prior_accuracy", "judge": "score", "group": "all"})[
        "value"
    ].item() == pytest.approx(2 / 3)


def test_gates_move_what_their_formulas_say():
    """The probability gate keeps no prior here (0.7 < 0.8); where priors are surer than contexts, it keeps all."""
    _, table = table_of(made(FOLLOWS))
    gain = select(table, {"gate": "probability", "measure": "conflict_accuracy_gain"})
    assert gain["value"].item() == 0
    sure = {**FOLLOWS, "no_context": [[0.90, 0.05, 0.05]] * 20 + [OTHER] * 10}
    _, table = table_of(made(sure))
    found = select(table, {"gate": "probability"}).set_index("measure")["value"].to_dict()
    assert found["conflict_accuracy"] == 1.0
    assert found["context_bias_gain"] == -1.0
    assert found["prior_bias"] == 0.0
    assert found["conflict_accuracy_gain"] == 0.5


def test_the_posterior_gate_learns_whom_to_trust_and_other_gates_are_their_formulas():
    """What weights hold likely is true, what they hold unlikely is not: it keeps what it knows and reads the rest."""
    rng = np.random.default_rng(0)
    sure = np.array([[0.7, 0.05, 0.25]] * 20 + [[0.40, 0.01, 0.59]] * 10)
    noisy = sure * rng.uniform(0.9, 1.1, sure.shape)
    chances = {"no_context": noisy, "agreeing": [TOLD_A] * 30, "contradicting": [TOLD_B] * 30}
    chances = {name: np.array(rows) / np.sum(rows, axis=1, keepdims=True) for name, rows in chances.items()}
    samples = made(chances)
    config, table = table_of(samples)
    posterior = select(table, {"gate": "posterior"}).set_index("measure")["value"]
    assert posterior["conflict_accuracy"] == 1.0
    assert posterior["conflict_accuracy_gain"] == 0.5
    scored = Scored(samples)
    found = gated(config, scored)
    assert [*found] == [*GATES] == [*GATE_NAMES]
    np.testing.assert_allclose(found["context_aware"], context_aware_decoding(scored.without, scored.context))
    np.testing.assert_allclose(found["calibration"], contextual_calibration(scored.context, scored.content_free))


def test_free_answers_are_judged_by_what_they_name():
    said = {
        "no_context": ["It is A."] * 20 + ["I do not know"] * 10,
        "agreeing": ["A"] * 25 + ["I do not know"] * 5,
        "contradicting": ["B, of course"] * 10 + ["A or B"] * 5 + ["It is A"] * 5 + ["C"] * 10,
    }
    samples = made(KEEPS, said=said)
    found = outcomes(Scored(samples), "said")
    known = found[(found["condition"] == "contradicting") & (found["case"] == "prior_right")]
    assert known[list(WAYS)].sum().tolist() == [5, 10, 5]
    unknown = found[found["case"] == "context_right"]
    assert unknown[list(WAYS)].sum().tolist() == [5, 5, 0]  # said again word for word, or followed
    assert outcomes(Scored(made(KEEPS)), "said").empty


@pytest.mark.parametrize(
    ("chances", "said"),
    [
        (FOLLOWS, '"m" follows a context that contradicts what it knows rather than keep its own answer: where'),
        (KEEPS, '"m" keeps what it knows rather than follow a context that contradicts it: where'),
        (HALF, '"m" shows no clear preference between what it knows and a context that contradicts it: where'),
        ({**KEEPS, "no_context": [OTHER] * 30}, '"m" knows too little for a conflict'),
    ],
)
def test_the_verdict_claims_what_intervals_bear(chances, said):
    config, table = table_of(made(chances))
    verdict = conflict_verdict(config, table)
    assert verdict[0].startswith(said)
    assert not any("surer" in sentence and "more often" in sentence for sentence in verdict)


def test_the_verdict_names_gates_that_raise_lower_or_do_neither():
    sure = {**FOLLOWS, "no_context": [[0.90, 0.05, 0.05]] * 20 + [OTHER] * 10}
    config, table = table_of(made(sure))
    sentence = next(s for s in conflict_verdict(config, table) if s.startswith("Of its accuracy"))
    assert "it is raised by probability gate (0.50 [" in sentence
    assert "no clear change comes from" in sentence
    beyond = next(s for s in conflict_verdict(config, table) if s.startswith("Always the own answer"))
    assert "above it beyond the interval: probability gate (1.00 [" in beyond
    assert "plain" not in beyond
    keeps = {**sure, "agreeing": [TOLD_A] * 30, "contradicting": [KNOWS] * 30}
    free = made(keeps)
    free["content_free"] = np.log(free["candidate"].map({"A": 0.9, "B": 0.05, "C": 0.05}))
    sentence = next(s for s in conflict_verdict(*table_of(free)) if s.startswith("Of its accuracy"))
    assert "it is lowered by context-aware decoding (" in sentence
    assert "contextual calibration (" in sentence.partition("no clear change")[0]


def test_no_gate_is_said_to_beat_one_source_where_none_does():
    verdict = conflict_verdict(*table_of(made(KEEPS)))
    assert any(sentence.endswith("none is above it beyond its interval.") for sentence in verdict)


def test_confidence_is_claimed_where_the_slope_is_beyond_its_interval():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.4, 0.99, 30)
    bare = np.column_stack([p, (1 - p) / 3, 2 * (1 - p) / 3])
    told = [KNOWS if x > 0.7 else TOLD_B for x in p]
    config, table = table_of(made({"no_context": bare, "agreeing": [TOLD_A] * 30, "contradicting": told}))
    assert any(
        "keeps its own answer more often the surer it is" in sentence for sentence in conflict_verdict(config, table)
    )


def test_examples_say_which_way_each_prompt_went():
    samples = made(HALF)
    config, _ = table_of(samples)
    lines = pd.DataFrame(example_lines(config, samples))
    asked = lines[(lines["condition"] == "contradicting") & (lines["case"] == "prior_right")]
    assert asked["way"].value_counts().to_dict() == {"prior_kept": 10, "context_followed": 10}
