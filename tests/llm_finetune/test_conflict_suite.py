"""Suites and importers: what the given one holds, made-up rows with others' columns, and what is refused."""

import json
import re
from collections import Counter

import pandas as pd
import pytest

from llm_finetune.conflict.importers import import_rows, load_conflict_suite, read_rows
from llm_finetune.conflict.prompts import CONDITIONS, FALSE, draw_prompts
from llm_finetune.conflict.responses import clasheval_table, read_responses
from llm_finetune.conflict.scored import named
from llm_finetune.conflict.shares import WAYS
from llm_finetune.conflict.suite import FILES, read_conflict_suite
from llm_finetune.suites import suite_files
from theory.settings import SpecError

CLASHEVAL = [
    {"question": "How many?", "context_original": "It has 8.", "context_mod": f"It has {changed}.",
     "answer_original": "8", "answer_mod": changed, "mod_type": size, "dataset": "drugs"}
    for size, changed in (("0", "8"), ("10.0", "80"), ("-2.0", "9"), ("2.0", "16"))
] + [
    {"question": "Who?", "context_original": "It was Ann.", "context_mod": f"It was {changed}.",
     "answer_original": "Ann", "answer_mod": changed, "mod_type": size, "dataset": "names"}
    for size, changed in (("0", "Ann"), ("slight", "Anne"))
]  # fmt: skip
CONFLICTQA = [
    {"question": "What does Ann do?", "popularity": 3, "ground_truth": ["baker", "bread maker"],
     "memory_answer": "Ann is a singer.", "parametric_memory": "Ann has sung for years.",
     "counter_answer": "Ann is a baker.", "counter_memory": "Ann's bakery is old."},
    {"question": "What does Bob do?", "popularity": 3, "ground_truth": ["clerk"],
     "memory_answer": "Bob is a clerk.", "parametric_memory": "Bob sits in an office.",
     "counter_answer": "Bob is a diver.", "counter_memory": "Bob dives."},
    {"question": "Is it so?", "popularity": 3, "ground_truth": ["True"], "memory_answer": "It is not so.",
     "parametric_memory": "It is not.", "counter_answer": "It is so.", "counter_memory": "It is."},
]  # fmt: skip
COUNTERFACT = [
    {"case_id": k, "requested_rewrite": {"prompt": "The mother tongue of {} is", "relation_id": "P103", "subject": who,
     "target_true": {"str": "French", "id": "Q150"}, "target_new": {"str": "English", "id": "Q1860"}}}
    for k, who in enumerate(("Ann", "Bob"))
]  # fmt: skip
NQSWAP = [
    {"question": f"who {what} it", "org_context": "Ann did.", "org_answer": ["Ann", "Ann Bee"],
     "sub_context": "Cyd did.", "sub_answer": ["Cyd"]}
    for what in ("wrote", "sang")
]  # fmt: skip
ROWS = {"clasheval": CLASHEVAL, "conflictqa": CONFLICTQA, "counterfact": COUNTERFACT, "nqswap": NQSWAP}


def test_the_given_suite_has_what_the_study_needs():
    suite = read_conflict_suite("facts")
    assert (suite.card.languages, suite.card.licence) == (("en",), "CC0-1.0")
    assert len(suite.items) >= 100
    for item in suite.items:
        assert len({*item.candidates}) == len(item.candidates) == 5
        assert item.answer == item.candidates[0]
        assert item.answer in item.agreeing
        assert all(s.answer in s.text and s.answer != item.answer for s in item.contradicting)
        assert all(named(s.text, item.candidates, item.aliases) > 0 for s in item.contradicting if not s.size)
    sized = [item for item in suite.items if item.contradicting[0].size]
    assert {s.size for item in sized for s in item.contradicting} == {*suite.sizes}
    assert len({item.group for item in suite.items}) == 7


def test_every_condition_has_its_context():
    suite = read_conflict_suite("facts")
    asked = draw_prompts(suite, seed=3)
    assert asked == draw_prompts(suite, seed=3) != draw_prompts(suite, seed=4)
    assert len(asked) > 1000
    assert Counter(a.condition for a in asked)["no_context"] == 130
    items = {item.id: item for item in suite.items}
    true = {item.agreeing for item in suite.items}
    for a in asked:
        item = items[a.item]
        false = {s.text for s in item.contradicting if s.answer == a.stated}
        others = [text for text in a.sentences if text in true and text != item.agreeing]
        wanted = {"no_context": (0, 0), "agreeing": (1, 0), "contradicting": (0, 0), "irrelevant": (0, 1),
                  "both": (1, 0), "distractors": (0, 4), "long_context": (0, 24)}[a.condition]  # fmt: skip
        assert (item.agreeing in a.sentences, len(others)) == wanted
        assert (len(false & {*a.sentences}) == 1) == (a.condition in FALSE)
        assert a.condition != "long_context" or a.sentences[0] in false
        assert a.stated == {"no_context": None, "irrelevant": None, "agreeing": item.answer}.get(a.condition, a.stated)
    orders = {a.sentences[0] in true for a in asked if a.condition == "both"}
    assert orders == {True, False}
    few = draw_prompts(suite, conditions=("no_context", "contradicting"), seed=3, items_per_group=2, contradictions=3)
    assert {a.condition for a in few} == {"no_context", "contradicting"}
    assert Counter(a.item for a in few if a.condition == "contradicting")["capital of France"] == 3
    assert Counter(a.group for a in few if a.condition == "no_context") == Counter({i.group: 2 for i in suite.items})
    assert {*CONDITIONS} == {a.condition for a in asked}


def test_draws_do_not_depend_on_which_conditions_are_asked():
    suite = read_conflict_suite("facts")
    every = [a for a in draw_prompts(suite) if a.condition == "long_context"]
    assert every == draw_prompts(suite, conditions=("long_context",))


def test_clasheval_s_rows_become_items_with_sizes():
    suite = import_rows(CLASHEVAL, "clasheval")
    assert suite.sizes == ("-2.0", "2.0", "10.0", "slight")
    numbers, names = suite.items
    assert (numbers.group, numbers.answer, numbers.agreeing) == ("drugs", "8", "It has 8.")
    assert numbers.contradicting[0] == ("80", "It has 80.", "10.0")
    assert numbers.candidates == ("8", "80", "9", "16")
    assert names.candidates == ("Ann", "Anne")
    assert numbers.open


def test_conflictqa_s_right_answer_is_the_one_that_names_the_ground_truth():
    suite = import_rows(CONFLICTQA, "conflictqa")
    ann, bob = suite.items
    assert (ann.answer, ann.agreeing, ann.contradicting[0].text) == (
        "Ann is a baker.", "Ann's bakery is old.", "Ann has sung for years.")  # fmt: skip
    assert (bob.answer, bob.contradicting[0].answer) == ("Bob is a clerk.", "Bob is a diver.")
    assert ann.aliases == ("baker", "bread maker")
    assert suite.left_out == 1


def test_counterfact_s_and_nq_swap_s_rows():
    one = import_rows(COUNTERFACT, "counterfact").items[0]
    assert one.question == 'Finish the sentence "The mother tongue of Ann is ..." Only give the words that are missing.'
    assert (one.agreeing, one.contradicting[0].text) == (
        "The mother tongue of Ann is French.", "The mother tongue of Ann is English.")  # fmt: skip
    assert one.group == "P103"
    two = import_rows(NQSWAP, "nqswap").items[0]
    assert (two.question, two.answer, two.aliases) == ("who wrote it?", "Ann", ("Ann Bee",))
    assert two.contradicting[0] == ("Cyd", "Cyd did.", "")


@pytest.mark.parametrize("format", ROWS)
@pytest.mark.parametrize("end", ["json", "lines.json", "jsonl", "csv", "parquet", "pqt"])
def test_a_file_of_any_kind_gives_the_same_items(format, end, tmp_path):
    rows, file = ROWS[format], tmp_path / f"rows.{end}"
    if end == "json":
        file.write_text(json.dumps(rows))
    elif end in ("jsonl", "lines.json"):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif end == "csv":
        table = pd.DataFrame(rows)
        nested = table.map(lambda value: json.dumps(value) if isinstance(value, dict) else value)
        nested.to_csv(file, index=False)
    else:
        pd.DataFrame(rows).to_parquet(file)
    assert load_conflict_suite(str(file), format).items == import_rows(rows, format).items


GOOD = {"id": "a", "group": "g", "question": "Where?", "context": "In {answer}.", "answer": "A",
        "candidates": ["B", "C", "D"]}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answer": ""}, "items.jsonl, line 1: `answer` must be a text that is not blank; got ''"),
        ({"context": "In A."}, "line 1: `context` must hold {answer}; got 'In A.'"),
        ({"candidates": ["B", "C"]}, "line 1: 4 or more different answers must compete, the true one among them"),
        ({"candidates": ["A", "B", "C"]}, "line 1: 4 or more different answers must compete"),
        ({"candidates": "BCD"}, "line 1: `candidates` and `aliases` must be lists of texts"),
        ({"contradictions": [{"size": "big"}]}, "line 1: `contradictions` must be objects with `answer`"),
        ({"contradictions": [{"answer": "E"}]}, "line 1: `contradictions` must state answers among `candidates`"),
        (
            {"contradictions": [{"answer": "B", "size": "big"}]},
            "line 1: `size` must be one of `sizes` of the suite, []",
        ),
        ({"more": 1}, "line 1: keys must be among"),
        ({"id": "b"}, "must have items of different ids; got 'b' twice"),
    ],
)
def test_items_that_are_wrong_are_named_with_their_line(changes, said, tmp_path):
    (tmp_path / "suite.yaml").write_text("name: n\nlicence: l\nsource: s\nlanguages: en\n")
    lines = [json.dumps({**GOOD, **changes}), json.dumps({**GOOD, "id": "b"})]
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    with pytest.raises(SpecError, match=re.escape(said)):
        read_conflict_suite(str(tmp_path))


def test_suites_that_cannot_be_read_are_refused(tmp_path):
    file = tmp_path / "rows.txt"
    file.write_text("x")
    bad = tmp_path / "rows.json"
    bad.write_text("[1, 2]")
    with pytest.raises(
        SpecError,
        match="the folder of a suite, or a file that `format` reads; got",
    ):
        suite_files("conflict", str(tmp_path / "none"), **FILES)
    with pytest.raises(SpecError, match=r"there is no suite.yaml and no items.jsonl"):
        read_conflict_suite(str(tmp_path))
    with pytest.raises(SpecError, match=r"`suite` must be a folder where `format` is 'own'"):
        load_conflict_suite(str(file))
    with pytest.raises(SpecError, match=r"`suite` must be a file where `format` is 'nqswap'"):
        load_conflict_suite("facts", "nqswap")
    with pytest.raises(SpecError, match=r"must end in .json, .jsonl, .csv, .parquet or .pqt; got 'rows.txt'"):
        read_rows(file)
    with pytest.raises(SpecError, match=r"must be a file of rows"):
        read_rows(bad)
    bad.write_text("{")
    with pytest.raises(SpecError, match=r"must be a file that can be read"):
        read_rows(bad)
    with pytest.raises(SpecError, match=re.escape("row 2 lacks ['sub_answer']")):
        import_rows([NQSWAP[0], {k: v for k, v in NQSWAP[1].items() if k != "sub_answer"}], "nqswap")
    with pytest.raises(SpecError, match=r"what 'counterfact' has there; got TypeError"):
        import_rows([{"requested_rewrite": 3}, {"requested_rewrite": 3}], "counterfact")
    with pytest.raises(SpecError, match=r"of which one answer is known to be right; got 0 of 2"):
        import_rows([CONFLICTQA[2]] * 2, "conflictqa")
    with pytest.raises(ValueError, match=r"`format` must be one of"):
        import_rows(NQSWAP, "own")
    (tmp_path / "suite.yaml").write_text("name: n\nlicence: l\nsource: s\nlanguages: en\n")
    (tmp_path / "items.jsonl").write_text("")
    with pytest.raises(SpecError, match="`suite` must have two or more items; got 0"):
        read_conflict_suite(str(tmp_path))


def response(question, dataset, mod_type, answer_mod, prior, right, post):
    return {"question": question, "dataset": dataset, "mod_type": mod_type, "answer_mod": answer_mod,
            "prior_response": prior, "prior_correct": int(right), "post_response": post}  # fmt: skip


RESPONSES = [
    # the prior is right and the context wrong: kept, kept, followed, neither, and by time kept
    response("q1", "drugs", "10.0", "80", "8", True, "8"),
    response("q1", "drugs", "2.0", "16", "8", True, "8"),
    response("q2", "years", "-77", "1900", "1977", True, "1900"),
    response("q3", "news", "2.0", "12", "6", True, "7"),
    response("q4", "records", "1.2", "2:24", "2:00.5", True, "120.5"),
    # the context is right and the prior wrong: followed, kept, and by name followed
    response("q5", "drugs", "0", "5", "4", False, "5"),
    response("q6", "news", "0", "5", "4", False, "4"),
    response("q7", "names", "0", "Ann Lee", "Bob Ray", False, "ann LEE."),
    # of no case: both right, both wrong
    response("q1", "drugs", "0", "8", "8", True, "8"),
    response("q5", "drugs", "2.0", "10", "4", False, "10"),
]


def test_clasheval_s_responses_give_the_table_worked_out_by_hand(tmp_path):
    table = clasheval_table(RESPONSES, matched=False).set_index(["case", "way"])
    found = {case: table.loc[case]["value"].reindex(WAYS).tolist() for case in ("prior_right", "context_right")}
    assert found["prior_right"] == pytest.approx([3 / 5, 1 / 5, 1 / 5])
    assert found["context_right"] == pytest.approx([1 / 3, 2 / 3, 0])
    assert table["n"].tolist() == [5] * 3 + [3] * 3
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    pd.DataFrame(RESPONSES).to_parquet(tmp_path / "model.pqt")
    again = clasheval_table(read_responses(tmp_path / "model.pqt"), matched=False)
    pd.testing.assert_frame_equal(again, table.reset_index(), check_dtype=False)


def test_matched_cases_are_of_one_size_and_those_that_pandas_draws():
    table = clasheval_table(RESPONSES)
    assert table["n"].tolist() == [3] * 6
    drawn = pd.DataFrame(RESPONSES[:5]).sample(n=3, random_state=1)
    kept = [{("q1", "8"), ("q4", "120.5")} >= {(row.question, row.post_response)} for row in drawn.itertuples()]
    assert table["value"].iloc[0] == pytest.approx(sum(kept) / 3)


def test_responses_without_a_column_or_a_case_are_refused():
    with pytest.raises(SpecError, match=re.escape("['post_response'] are missing")):
        clasheval_table([{k: v for k, v in row.items() if k != "post_response"} for row in RESPONSES])
    with pytest.raises(SpecError, match=re.escape("none is ['context_right']")):
        clasheval_table(RESPONSES[:5])
