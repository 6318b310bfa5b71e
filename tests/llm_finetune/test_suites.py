"""Suites as data: the given one, the user's own and how they are refused, and how many prompts are asked."""

import re
from collections import Counter
from itertools import combinations

import pytest
from small_suite import small_suite

from llm_finetune.collection import load_collection, write_collection
from llm_finetune.collection_suites import load_collection_suite, suite_of
from llm_finetune.conditions import draw_records
from llm_finetune.naming import mentions
from llm_finetune.probe.config import ProbeConfig
from llm_finetune.probe.questions import Questions
from llm_finetune.prompts import Prompter
from llm_finetune.suites import given_suites
from tests.golden.settings import save_model
from theory.settings import SpecError, build

RELATIONS = load_collection_suite("relations")
MEMBERS = pytest.mark.parametrize("key", RELATIONS.members)
PLAIN = Prompter(None, chat=False)
UNSPACED = re.compile(r"[一-鿿]")


def questions(suite, *, prompts_per_fact=2, facts_per_group=64, most_prompts=640, seed=0):
    return Questions(suite, prompts_per_fact, facts_per_group, most_prompts, seed)


def problems_of(source) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_collection_suite(source)
    return list(caught.value.problems)


def templates(collection):
    return [*collection.questions, *collection.paraphrases, *collection.contexts, *collection.unrelated_questions,
            *collection.unrelated_contexts]  # fmt: skip


def candidates(collection):
    return [*collection.answers, *collection.new_answers], [*collection.unrelated_answers]


def answers(collection):
    return [answer for group in candidates(collection) for answer in group]


def subjects(collection):
    return [*(fact.subject for fact in collection.facts), *collection.new_subjects]


def test_eight_relations_in_four_languages_and_five_hundred_prompts():
    assert len(RELATIONS.values("relation")) == 8
    assert RELATIONS.values("language") == ("en", "de", "es", "zh")
    assert len(RELATIONS.members) == 32
    sizes = questions(RELATIONS).sizes
    assert {tuple(counts.values()) for counts in sizes.values()} == {(2,) * 9}
    assert sum(sum(counts.values()) for counts in sizes.values()) == 576
    assert sum(sum(counts.values()) for counts in questions(RELATIONS, most_prompts=5000).sizes.values()) > 2000


@MEMBERS
def test_every_collection_can_be_asked_and_read(key):
    """Placeholders filled, candidates that no other names, and no answer that the question gives away."""
    collection = RELATIONS.members[key].collection
    for template in templates(collection):
        assert set(re.findall(r"\{.*?\}", template)) <= {"{subject}", "{answer}"}
        assert template.count("{subject}") == 1
    for group in candidates(collection):
        assert len(group) >= 4
        assert not [pair for a, b in combinations(group, 2) for pair in ((a, b), (b, a)) if mentions(*pair)]
    asked = [collection.ask(text, name) for text in (*collection.questions, *collection.paraphrases)
             for name in subjects(collection)]  # fmt: skip
    assert not [(text, answer) for text in asked for answer in candidates(collection)[0] if mentions(text, answer)]
    told = collection.state(collection.contexts[0], *collection.facts[0][:2])
    assert mentions(told, collection.facts[0].answer)
    assert not {*subjects(collection)} & {fact.subject for fact in collection.unrelated_facts}


@MEMBERS
def test_every_text_is_in_its_language(key):
    member = RELATIONS.members[key]
    texts = [*templates(member.collection), *subjects(member.collection), *answers(member.collection)]
    unspaced = [bool(UNSPACED.search(text)) for text in texts]
    assert unspaced == [member.language == "zh"] * len(texts)
    if member.language == "zh":
        assert not any(" " in text for text in texts)
        assert "。 " not in PLAIN.render(member.collection.questions[0], [member.collection.contexts[0]])


def test_articles_fit_every_answer():
    """English *a* stands before consonants; Spanish *la* before feminine nouns and never before a stressed a."""
    jobs = RELATIONS.members["jobs.en"].collection
    assert jobs.contexts == ("{subject} works as a {answer}.",)
    assert not [answer for answer in candidates(jobs)[0] if answer[0].lower() in "aeiou"]
    music = RELATIONS.members["instruments.es"].collection
    assert music.contexts == ("{subject} toca la {answer}.",)
    assert {answer[-1] for answer in candidates(music)[0]} == {"a"}
    colours = RELATIONS.members["colours.es"].collection
    masculine = {"blanco", "morado", "rojo", "negro", "amarillo"}
    assert not [answer for answer in answers(colours) if answer.endswith("a") and answer[:-1] + "o" in masculine]


def test_subjects_of_one_relation_are_asked_about_in_one_language_only():
    """So that facts, which intervals are over, are different ones."""
    for relation in RELATIONS.values("relation"):
        held = [member.collection for member in RELATIONS.members.values() if member.relation == relation]
        counts = Counter(name for collection in held for name in subjects(collection))
        assert set(counts.values()) == {1}


def test_answers_have_different_tokens(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(save_model(tmp_path / "model"))
    for member in RELATIONS.members.values():
        for group in candidates(member.collection):
            ids = {tuple(tokenizer(f" {answer}")["input_ids"]) for answer in group}
            assert len(ids) == len(group)


def test_a_suite_of_ones_own(tmp_path):
    suite = load_collection_suite(small_suite(tmp_path / "mine"))
    assert (suite.name, suite.card.licence) == ("mine", "CC0")
    assert list(suite.members) == ["cities.en", "colours.en", "cities.zh", "colours.zh"]
    assert suite.members["cities.zh"].collection == RELATIONS.members["cities.zh"].collection
    one = tmp_path / "one"
    small_suite(one, names=("cities.en",), languages="en")
    (one / "cities.en.jsonl").rename(one / "cities.jsonl")
    (one / "LICENCE.txt").write_text("whatever")
    assert list(load_collection_suite(one).members) == ["cities.en"]
    assert load_collection_suite(str(one / "cities.jsonl")).members.keys() == {str(one / "cities.jsonl")}
    for name in given_suites("collections"):
        assert load_collection_suite(name).name == name
        assert load_collection_suite(name).card.licence


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ({"licence": None}, "suite.yaml: `licence` must be given, a text that is not blank; got nothing"),
        ({"source": "' '"}, "suite.yaml: `source` must be a text that is not blank; got ' '"),
        ({"languages": "[]"}, "suite.yaml: `languages` must be one or more different language codes such as 'en' or"),
        ({"languages": "[english]"}, "suite.yaml: `languages` must be one or more different language codes such as"),
        ({"lisence": "CC0"}, "suite.yaml: unknown key `lisence`; did you mean `licence`?"),
        ({"languages": "[en]"}, "cities.zh.jsonl: what stands between the name and .jsonl must be one of `languages`,"
                                " ('en',); got 'zh'"),
        ({"languages": "[en, zh, ja]"}, "suite.yaml: each of `languages` must have a file; got none for ['ja']"),
        ({"name": "a\nname: b"}, "suite.yaml, line 2: `name` must be given once; it is on line 1 too"),
    ],
)  # fmt: skip
def test_a_bad_folder_is_refused_with_its_file(card, sentence, tmp_path):
    folder = small_suite(tmp_path / "mine", **card)
    problems = problems_of(folder)
    assert sentence in problems[0]
    assert str(folder) in problems[0]


def test_what_is_wrong_with_collections_is_said_with_their_files(tmp_path):
    folder = small_suite(tmp_path / "mine")
    with open(folder / "cities.en.jsonl", "a", encoding="utf-8") as file:
        file.write('{"kind": "fact", "subject": "Margot", "answer": "Rome"}\n')
    with open(folder / "cities.zh.jsonl", "a", encoding="utf-8") as file:
        file.write('{"kind": "fakt"}\n')
    assert problems_of(folder)[0] == f"{folder}/cities.en.jsonl: `facts` must have different subjects; 'Margot' is" + (
        " there 2 times"
    )
    assert problems_of(folder)[1].startswith(f"{folder}/cities.zh.jsonl, line 24: `kind` must be one of ('fact',")
    (folder / "cities.zh.jsonl").write_bytes(b"\xff")
    assert f"'{folder}/cities.zh.jsonl' is not: " in problems_of(folder)[1]


def test_folders_that_are_no_suites_are_refused(tmp_path):
    assert problems_of(tmp_path) == [f"{tmp_path}: the folder of a suite must hold suite.yaml; there is no suite.yaml"]
    empty = small_suite(tmp_path / "empty", names=())
    assert problems_of(empty) == [
        f"{empty}: a suite must hold one or more collections, relation.language.jsonl; got none"
    ]
    twice = small_suite(tmp_path / "twice", names=("cities.en",), languages="en")
    write_collection(load_collection("people"), twice / "cities.jsonl")
    assert problems_of(twice) == [f"{twice}/cities.jsonl: a relation must have one file for each language; got another"
                                  " for 'cities.en'"]  # fmt: skip
    (twice / "suite.yaml").write_text("- name")
    assert "`suite.yaml` of a suite must hold `key: value` lines" in problems_of(twice)[0]
    assert problems_of("nowhere") == [
        "`suite` must be one of ('relations', 'people', 'frequency', 'frequency-steep'), the folder of a suite, or"
        " the file of a collection; got 'nowhere'"
    ]
    same = [str(small_suite(tmp_path / name)) for name in ("a", "b")]
    with pytest.raises(SpecError, match="`suites` must be different suites, each with a name of its own; got"):
        build(ProbeConfig, {"base": "b", "tuned": "t", "suites": same})


def test_prompts_of_a_single_collection_are_those_of_the_study(tmp_path):
    people = load_collection("people")
    wanted = draw_records(people, PLAIN, prompts_per_fact=2, facts_per_group=5, seed=3)
    assert questions(suite_of(people, "people"), facts_per_group=5, seed=3).draw(PLAIN) == {"people": wanted}


def test_fewer_prompts_are_the_first_ones_and_as_many_everywhere():
    suite = suite_of(load_collection("frequency"), "frequency")
    whole = questions(suite, most_prompts=10_000).draw(PLAIN)["frequency"]
    for most in (15, 200, 603):
        found = questions(suite, most_prompts=most).draw(PLAIN)["frequency"]
        assert [record for record in whole if record in set(found)] == found
        cells = Counter((record.condition, record.group) for record in whole)
        kept = Counter((record.condition, record.group) for record in found)
        quota = max(kept.values())
        assert kept == {cell: min(size, quota) for cell, size in cells.items()}
        assert sum(kept.values()) <= most < sum(min(size, quota + 1) for size in cells.values())
        for condition, group in cells:
            turns = Counter(r.subject for r in found if (r.condition, r.group) == (condition, group))
            most_turns = Counter(r.subject for r in whole if (r.condition, r.group) == (condition, group))
            least = min(turns[name] for name in most_turns)
            assert all(turns[name] <= least + 1 for name in most_turns if most_turns[name] > least)
    with pytest.raises(SpecError, match="`most_prompts` must be at least 15, one in each condition of the suite 'freq"):
        questions(suite, most_prompts=14)


def test_collections_of_a_suite_draw_their_own_numbers():
    suite = suite_of(load_collection("people"), "a")
    twice = type(suite)("two", {**suite.members, "b": suite.members["a"]})
    drawn = questions(twice).draw(PLAIN)
    assert drawn["a"] == questions(suite).draw(PLAIN)["a"]
    assert drawn["a"] != drawn["b"]
    assert {r.condition for r in drawn["a"]} == {r.condition for r in drawn["b"]}


def test_a_pairing_shuffles_every_collection():
    paired = RELATIONS.paired(1)
    moved = [paired.members[key].collection != member.collection for key, member in RELATIONS.members.items()]
    assert sum(moved) > 28
    assert RELATIONS.paired(0) == RELATIONS
