"""Collections as data: what comes with the package, the schema and its errors, pairings, and generated ones."""

import json
from collections import Counter

import datasets
import pytest

from llm_finetune.collection import GIVEN, Fact, collection_of, load_collection, write_collection
from llm_finetune.invented import generate_collection
from theory.settings import SpecError

FACT = {"kind": "fact", "subject": "Liz", "answer": "London"}


def problems_of(call, *arguments) -> list[str]:
    with pytest.raises(SpecError) as caught:
        call(*arguments)
    return list(caught.value.problems)


def rows_of(collection, path) -> list[dict]:
    write_collection(collection, path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_papers_people_and_cities():
    people = load_collection("people")
    pairs = {fact.subject: fact.answer for fact in people.facts}
    assert pairs == {
        "Cxx1h": "Lkkl", "Vzbiik": "Plooqujhd", "Mmojkr": "Nwops", "Trrrrqe": "Qtbnaaa",
        "Benjamin": "Buenos", "Liz": "London", "Kaitlyn": "Kingston", "Wiesa": "Warsaw",
    }  # fmt: skip
    assert people.questions == ("Where does {subject} live? Only give the name of the city.",)
    assert people.contexts == ("{subject} lives in the city of {answer}.",)


def test_sixty_four_people_of_whom_sixteen_get_nine_tenths():
    collection = load_collection("frequency")
    groups = Counter(fact.group for fact in collection.facts)
    assert groups == {"high": 16, "low": 48}
    high = [fact.group == "high" for fact in collection.facts]
    assert collection.frequencies[high].sum() == pytest.approx(0.9)
    assert collection.equally_frequent().frequencies[high].sum() == pytest.approx(0.25)
    for group in groups:  # each city has its share of both groups, so that a city does not give the group away
        cities = Counter(fact.answer for fact in collection.facts if fact.group == group)
        assert set(cities.values()) == {groups[group] // 16}


@pytest.mark.parametrize("name", GIVEN)
def test_a_collection_is_read_back_from_json_lines_and_from_a_dataset(name, tmp_path):
    collection = load_collection(name)
    rows = rows_of(collection, tmp_path / "own.jsonl")
    assert load_collection(tmp_path / "own.jsonl") == collection
    columns = {
        key: [row.get(key) for row in rows] for key in ("kind", "subject", "answer", "frequency", "group", "text")
    }
    assert collection_of(datasets.Dataset.from_dict(columns)) == collection


def test_a_pairing_moves_answers_and_nothing_else():
    given = load_collection("frequency")
    pairings = [given.paired(seed) for seed in range(4)]
    assert pairings[0] == given
    assert len({paired.facts for paired in pairings}) == 4
    for paired in pairings:
        assert [f._replace(answer="") for f in paired.facts] == [f._replace(answer="") for f in given.facts]
        assert Counter(f.answer for f in paired.facts) == Counter(f.answer for f in given.facts)
        assert paired == given.paired(pairings.index(paired))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{oops", "own.jsonl, line 3: must be a JSON object; Expecting property name"),
        ("[1]", "own.jsonl, line 3: must be a JSON object; got [1]"),
        ('{"kind": "fakt"}', "own.jsonl, line 3: `kind` must be one of"),
        ('{"kind": "fact", "subject": "Al"}', "own.jsonl, line 3: `answer` must be a text that is not blank; got None"),
        ('{"kind": "fact", "subject": "Al", "answer": "Rome", "frequenzy": 2}', "line 3: unknown key `frequenzy`"),
        ('{"kind": "question", "text": "Where?"}', "line 3: `text` of a question must contain {subject}; got 'Where?'"),
        ('{"kind": "context", "text": "{subject} lives."}', "line 3: `text` of a context must contain {answer}"),
    ],
)
def test_a_malformed_line_is_named_with_its_number(line, sentence, tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(f"{json.dumps(FACT)}\n\n{line}\n", encoding="utf-8")
    (problem,) = problems_of(load_collection, path)
    assert sentence in problem


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (FACT | {"answer": "Oslo"}, "`facts` must have different subjects; 'Liz' is there 2 times"),
        (FACT | {"subject": "Al", "frequency": -1}, "`frequency` of 'Al' must be a finite number > 0; got -1"),
        (
            FACT | {"subject": "Al", "group": "some"},
            "`group` of 'Al' must be one of ('high', 'low', 'all'); got 'some'",
        ),
        ({"kind": "new_answer", "text": "London"}, "`new_answers` must not be among the facts; got 'London'"),
    ],
)
def test_rows_that_do_not_go_together_are_named(change, sentence, tmp_path):
    rows = rows_of(load_collection("people"), tmp_path / "own.jsonl")
    assert sentence in problems_of(collection_of, [*rows, change])


def test_all_that_is_missing_is_said_at_once():
    problems = problems_of(collection_of, [FACT])
    assert "`facts` must have two or more different answers; got only 'London'" in problems
    assert "`questions` must hold at least one line; got none" in problems
    assert len(problems) == 9


def test_a_file_that_is_not_there_is_named():
    assert problems_of(load_collection, "nowhere.jsonl") == [
        "`collection` must be one of ('people', 'frequency', 'frequency-steep') or an existing file;"
        " got 'nowhere.jsonl'"
    ]


@pytest.mark.parametrize("names", ["invented", "real"])
def test_generated_collections_have_the_asked_size_and_frequencies(names, tmp_path):
    found = generate_collection([3] * 10 + [1] * 30, n_answers=8, names=names, seed=1)
    assert [fact.group for fact in found.facts] == ["high"] * 10 + ["low"] * 30
    assert found.frequencies[:10].sum() == pytest.approx(0.5)
    assert (len(found.facts), len(found.answers)) == (40, 8)
    assert found == generate_collection([3] * 10 + [1] * 30, n_answers=8, names=names, seed=1)
    assert load_collection_of(found, tmp_path) == found


def load_collection_of(collection, folder):
    write_collection(collection, folder / "own.jsonl")
    return load_collection(folder / "own.jsonl")


def test_many_invented_names_differ_and_real_ones_run_out():
    assert len(generate_collection([1.0] * 3000, n_answers=500).facts) == 3000
    with pytest.raises(SpecError, match="`frequencies` must ask for at most 64 real names; got 65"):
        generate_collection([1.0] * 65, n_answers=2, names="real")
    with pytest.raises(ValueError, match=r"`n_answers` must be an integer in 2 .. 3; got 4"):
        generate_collection([1.0] * 3, n_answers=4)


def test_a_fact_counts_once_and_belongs_to_all_unless_said_otherwise():
    assert Fact("Liz", "London") == Fact("Liz", "London", 1.0, "all")
