"""Test conditions and what is measured on them, on scores that are made by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from gating.results.bootstrap import percentile_interval
from gating.results.intervals import mean_interval
from gating.results.table import make_table, summarise
from llm_finetune import (
    config,  # noqa: F401  # declares the columns
    measure,
)
from llm_finetune.advice import advice_rows, advice_sentence
from llm_finetune.collection import load_collection
from llm_finetune.conditions import CONDITIONS, IN_CONTEXT, Record, draw_records
from llm_finetune.measure import Answers, answer_records, answer_rows, require_answerable
from llm_finetune.naming import mentions
from llm_finetune.prompts import Prompter
from llm_finetune.score import CandidateScores

PEOPLE = load_collection("people").paired(3)
CANDIDATES = [*PEOPLE.answers, *PEOPLE.new_answers]


def records(**given):
    return draw_records(
        PEOPLE, Prompter(None, chat=False), **({"prompts_per_fact": 2, "facts_per_group": 64, "seed": 0} | given)
    )


def test_what_a_model_cannot_be_asked_is_known_before_it_is_asked(make_model, tokenizer):
    model, prompter = make_model("llama"), Prompter(tokenizer, chat=False)
    asked = draw_records(PEOPLE, prompter, prompts_per_fact=1, facts_per_group=2, seed=0)
    longest = max(len(tokenizer(record.prompt)["input_ids"]) for record in asked)
    held = [*CANDIDATES, *PEOPLE.subjects, *PEOPLE.new_subjects]
    answer = max(len(tokenizer(f" {text}")["input_ids"]) for text in held) + 1
    model.config.max_position_embeddings = longest + max(16, 2 * answer)
    require_answerable(model, prompter, asked, PEOPLE)
    assert answer_records(model, prompter, asked, PEOPLE, freely=True)
    model.config.max_position_embeddings = longest + answer  # room for a candidate, and not for a free answer
    with pytest.raises(ValueError, match=r"must fit into the model's context of \d+ tokens"):
        require_answerable(model, prompter, asked, PEOPLE)


def test_a_tokenizer_that_cannot_tell_answers_apart_is_known_too(make_model):
    core = Tokenizer(WordLevel({"?": 0, "<end>": 1}, unk_token="?"))
    core.pre_tokenizer = WhitespaceSplit()
    prompter = Prompter(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="?", eos_token="<end>"), chat=False)
    with pytest.raises(ValueError, match=r"no two `candidates` may have the same tokens; got ' \w+' and ' \w+'"):
        require_answerable(make_model(), prompter, records(), PEOPLE)


@pytest.mark.parametrize("name", [name for name, condition in CONDITIONS.items() if not condition.backward])
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


def test_backward_questions_ask_for_the_subject():
    own = {fact.subject: fact.answer for fact in PEOPLE.facts}
    question = "Who lives in the city of {}? Only give the name of the person.\nAnswer:"
    recalled = [record for record in records() if record.condition == "reversed"]
    wanted = [(subject, "all", question.format(answer), subject, None, subject) for subject, answer in own.items()]
    assert [record[1:] for record in recalled] == wanted
    read = [record for record in records() if record.condition == "reversed_in_context"]
    assert {record.subject for record in read} == {*PEOPLE.new_subjects}
    for record in read:
        (answer,) = [answer for answer in PEOPLE.new_answers if question.format(answer) in record.prompt]
        assert record.prompt.startswith(f"{record.subject} lives in the city of {answer}. ")
        assert (record.memorised, record.stated, record.target) == (None, record.subject, record.subject)


def test_conditions_can_be_chosen_and_do_not_depend_on_each_other():
    chosen = records(conditions=["unseen", "reversed"])
    assert chosen == [record for record in records() if record.condition in ("unseen", "reversed")]
    few = {"prompts_per_fact": 1, "facts_per_group": 2, "seed": 0}
    asked = draw_records(load_collection("frequency"), Prompter(None, chat=False), **few)  # it asks nothing backward
    assert {record.condition for record in asked} == {*CONDITIONS} - {"reversed", "reversed_in_context"}


@pytest.mark.parametrize(("longest", "room"), [(3, 16), (8, 16), (20, 40)])
def test_a_free_answer_has_room_for_the_longest_candidate_twice(monkeypatch, longest, room):
    asked = [record for record in records() if record.condition == "no_context"]
    tokens = np.full((len(asked), len(CANDIDATES)), 2)
    tokens[0, 0] = longest
    given = []
    monkeypatch.setattr(measure, "score_candidates", lambda *_, **how: CandidateScores(np.zeros(tokens.shape), tokens))
    monkeypatch.setattr(measure, "generate", lambda *_, max_new_tokens, **how: given.append(max_new_tokens) or [""] * 8)
    measure.answer_records(None, Prompter(None, chat=False), asked, PEOPLE, freely=True)
    assert given == [room]


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


def by_hand(p, n_tokens=(2, 2, 2), said=None) -> pd.DataFrame:
    """Rows of prompts whose memorised answer is A and whose context states B, from the probabilities of A, B and C."""
    asked = [Record("contradicting", f"subject {k}", "all", "?", "A", "B", "B") for k in range(len(p))]
    answers = Answers(asked, ["A", "B", "C"], CandidateScores(np.log(p), np.array(n_tokens)), said or {})
    return make_table(answer_rows(answers)).set_index("measure")


def test_each_measure_by_value():
    p = np.array([[0.6, 0.3, 0.01], [0.1, 0.2, 0.1], [0.05, 0.01, 0.1], [0.02, 0.08, 0.3]])
    found = by_hand(p, said={0: "A, I think", 1: "B", 3: "B or A"})
    value = found["value"].to_dict()
    assert (value["memorised_wins"], value["stated_wins"], value["accuracy"]) == (0.25, 0.25, 0.25)
    assert value["log_prob"] == pytest.approx(np.log([0.3, 0.2, 0.01, 0.08]).mean())
    share = p / p.sum(1, keepdims=True)
    assert value["softmax"] == value["stated_softmax"] == pytest.approx(share[:, 1].mean())
    assert value["memorised_softmax"] == pytest.approx(share[:, 0].mean())
    assert value["margin"] == pytest.approx(np.log([0.5, 2, 0.2, 4]).mean())
    assert value["effective_gate_remainder"] == pytest.approx(share[:, 2].mean())
    ratio = p[:, 0] / (p[:, 0] + p[:, 1])
    gates = np.linspace(0.001, 0.999, 999)
    loss = [(ratio * np.log(ratio / a) + (1 - ratio) * np.log((1 - ratio) / (1 - a))).mean() for a in gates]
    assert value["effective_gate"] == pytest.approx(gates[np.argmin(loss)], abs=1e-3)
    assert value["effective_gate_residual"] == pytest.approx(min(loss), abs=1e-5)
    named = [value[f"generated_{name}"] for name in ("target", "memorised", "stated")]
    assert named == pytest.approx([2 / 3, 2 / 3, 2 / 3])
    counts = {name: 3 if name.startswith("generated") else 4 for name in found.index if "gate" not in name}
    assert found["tests"].dropna().to_dict() == counts


def test_long_answers_are_spared_per_token():
    found = by_hand(np.exp([[-4.0, -6.0, -9.0]]), n_tokens=(2, 4, 4))["value"]
    assert (found["accuracy"], found["accuracy_per_token"]) == (0, 1)


def test_a_mean_carries_what_its_interval_is_made_from():
    found = by_hand(np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.2, 0.1, 0.7]]))
    margin = np.log([0.5, 2.5, 0.5])
    ends = stats.t.interval(0.95, 2, margin.mean(), margin.std(ddof=1) / 3**0.5)
    assert found.loc["margin", ["low", "high"]].tolist() == pytest.approx(ends)
    assert found.loc["margin", "standard_error"] == pytest.approx(margin.std(ddof=1) / 3**0.5)
    wilson = stats.binomtest(1, 3).proportion_ci(method="wilson")
    assert found.loc["accuracy", ["low", "high"]].tolist() == pytest.approx([wilson.low, wilson.high])
    assert np.isnan(found.loc["accuracy", "standard_error"])  # the mean and the number of prompts tell it
    assert found["low"].dropna().between(-np.inf, found["value"].loc[found["low"].dropna().index]).all()
    one_seed = summarise(make_table(found.reset_index().assign(seed=0))).set_index("measure")
    means = found["low"].notna()
    assert one_seed["low"][means].tolist() == found["low"][means].tolist()
    assert one_seed["high"][means].tolist() == found["high"][means].tolist()
    assert set(one_seed["over"]) == {"test sequences", "none"}


def test_means_stay_inside_their_range():
    rows = by_hand(np.array([[0.6, 0.3, 0.1], [0.0001, 0.99, 0.0099], [0.2, 0.1, 0.7]]))
    for name in ("softmax", "memorised_softmax", "accuracy"):
        assert 0 <= rows.loc[name, "low"] < rows.loc[name, "value"] < rows.loc[name, "high"] <= 1
    assert rows.loc["log_prob", "high"] <= 0


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Liz lives in London.", "London"),
        ("她住在伦敦。", "伦敦"),
        ("リズは東京に住んでいます", "東京"),
        ("ลิซอาศัยอยู่ในกรุงเทพครับ", "กรุงเทพ"),
        ("리즈는 런던에 살아요", "런던"),
        ("她住在London的家", "London"),
        ("Cafe\u0301 Zu\u0308rich", "Zürich"),
        ("Not Rome, London", "London"),
        ("She does not live in Rome but in London", "London"),
        ("Not London? I think London.", "London"),
        ("Not only London", "London"),
        ("不过她住在伦敦", "伦敦"),
    ],
)
def test_a_name_is_found_in_any_script(said, answer):
    assert mentions(said, answer)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Liz does not live in London.", "London"),
        ("It isn't London", "London"),
        ("Liz doesn’t live in London; she lives in Rome", "London"),
        ("London is not where she lives", "London"),
        ("never in London", "London"),
        ("Sie wohnt nicht in London", "London"),
        ("Elle n'habite pas à Londres", "Londres"),
        ("No vive en Londres", "Londres"),
        ("她不住在伦敦，住在罗马", "伦敦"),
        ("東京ではない", "東京"),
        ("런던이 아니에요", "런던"),
        ("Londoners", "London"),
        ("Rome", "London"),
    ],
)
def test_a_denied_name_is_not_named(said, answer):
    assert not mentions(said, answer)


def test_an_answer_is_named_whole():
    assert mentions("Liz lives in Kingston, I think", "Kingston")
    assert not mentions("Kingstonia", "Kingston")
    assert mentions("c++ (they say)", "C++")


def shares(accuracies: dict[float, list[float]], base: float, tests: int = 400, **place) -> pd.DataFrame:
    """Rows of each share, with the accuracy of each seed, in every condition alike."""
    rows = []
    for share, values in accuracies.items():
        for seed, value in enumerate(values):
            for context in IN_CONTEXT:
                row = {"study": "finetune", "system": "llm", "seed": seed, "context": context, "group": "all",
                       "measure": "accuracy", "kind": "measured", "exposure": "given", "share": share,
                       "mixture": f"memory={1 - share:g} reading={share:g}", "tests": tests, **place}  # fmt: skip
                rows += [{**row, "step": 0, "value": base}, {**row, "step": 40, "value": value}]
    return make_table(rows)


def advised(table: pd.DataFrame, margin: float = 0.05, n_candidates: int = 16) -> tuple[pd.DataFrame, dict]:
    """Answer rows, and value and ends of those that there are once."""
    rows = make_table(advice_rows(table, margin, n_candidates)).assign(answer=True)
    return rows, {row.measure: (row.value, row.low, row.high) for row in rows.itertuples()}


def test_the_smallest_share_that_keeps_reading():
    table = shares({0.0: [0.4, 0.5], 0.02: [0.8, 0.9], 0.1: [0.97, 0.95], 0.5: [1.0, 0.98]}, base=0.6)
    rows, found = advised(table)
    after = rows[rows["measure"] == "in_context_accuracy"]
    assert after["share"].tolist() == [0.0, 0.02, 0.1, 0.5]
    assert after["value"].tolist() == pytest.approx([0.45, 0.85, 0.96, 0.99])
    assert ((after["low"] < after["value"]) & (after["value"] < after["high"])).all()
    assert found["advised_share"] == (0.1, 0.1, 0.1)
    assert found["largest_in_context_accuracy"][0] == pytest.approx(0.99)
    assert found["in_context_accuracy_before"][0] == pytest.approx(0.6)
    assert found["chance_accuracy"][0] == 1 / 16
    assert advised(table, 0.2)[1]["advised_share"][0] == 0.02
    assert advised(table, 0.9)[1]["advised_share"][0] == 0.0
    assert "From 10% of prompts with a context to be read on (95% bootstrap interval over 2 seeds: 10% to 10%)" in (
        advice_sentence(rows, 0.05, 2)
    )


def test_the_bootstrap_of_the_advised_share_draws_seeds():
    accuracies = {0.0: [0.5, 0.97, 0.6], 0.1: [0.9, 0.99, 0.7], 0.5: [0.95, 0.98, 0.99]}
    drawn = np.random.default_rng(0).integers(3, size=(10_000, 3))
    means = np.array(list(accuracies.values()))[:, drawn].mean(-1)  # shape (shares, resamples)
    kept = means >= np.maximum(means.max(0), 0.6) - 0.05
    smallest = [next((s for k, s in enumerate(accuracies) if keeps[k:].all()), np.inf) for keeps in kept.T]
    value, *ends = advised(shares(accuracies, base=0.6))[1]["advised_share"]
    assert value == 0.5
    assert ends == [float(end) for end in percentile_interval(smallest)]
    assert ends == [0.0, 0.5]


def test_a_share_that_is_uncertain_has_a_wide_interval_and_none_is_said_so():
    assert advised(shares({0.0: [0.4, 1.0], 0.1: [1.0, 1.0]}, base=0.6))[1]["advised_share"] == (0.1, 0.0, 0.1)
    rows, lost = advised(shares({0.0: [0.1, 0.1], 0.1: [0.2, 0.2]}, base=0.9))
    assert lost["advised_share"] == (np.inf, np.inf, np.inf)
    assert advice_sentence(rows, 0.05, 2).startswith("No measured share keeps the in-context accuracy within 0.05")
    assert advised(shares({0.1: [0.2]}, base=0.9))[0].empty
    assert advice_sentence(advised(shares({0.1: [0.2]}, base=0.9))[0], 0.05, 1) == ""


def test_one_seed_has_an_interval_over_prompts_and_no_bootstrap():
    rows, found = advised(shares({0.0: [0.25], 0.5: [1.0]}, base=0.6, tests=10))
    low, high = found["in_context_accuracy_before"][1:]
    error = (4 * 0.6 * 0.4 / 9) ** 0.5 / 4  # of a mean of four means of ten values 0 and 1
    wanted = mean_interval([0.6], tests=40, standard_errors=error, low=0, high=1)
    assert (low, high) == (float(wanted.low), float(wanted.high))
    assert found["advised_share"][0] == 0.5
    assert np.isnan(found["advised_share"][1])
    assert advice_sentence(rows, 0.05, 1).startswith("From 50% of prompts with a context to be read on, the in-context")


@pytest.mark.parametrize(("base", "best", "reads"), [(0.05, 0.1, False), (0.05, 0.5, True), (0.5, 0.05, True)])
def test_nothing_is_advised_about_a_model_that_cannot_read(base, best, reads):
    rows, found = advised(shares({0.0: [0.0, 0.05], 0.5: [best, best]}, base=base, tests=8))
    assert ("advised_share" in found) == reads
    said = advice_sentence(rows, 0.05, 2)
    assert ("does not read" in said) == (not reads)
    assert reads or "0.050 before training and 0.100 at most, not above that of a uniform guess, 0.062" in said


def test_two_mixtures_of_one_share_are_not_averaged_and_equal_exposure_has_no_part():
    table = shares({0.0: [0.4, 0.5], 0.5: [1.0, 0.98]}, base=0.6)
    others = [
        shares({0.5: [0.0, 0.0]}, base=0.6, mixture="reading=0.5 agreeing=0.5"),
        shares({0.0: [0.0, 0.0], 0.2: [1.0, 1.0]}, base=0.6, exposure="equal"),
    ]
    more = pd.concat([table, *others], ignore_index=True)
    pd.testing.assert_frame_equal(advised(more)[0], advised(table)[0])
