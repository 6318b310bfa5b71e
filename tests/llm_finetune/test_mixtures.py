"""Training prompts: shares, what each kind shows, frequencies, and prompts as pure functions of seed and index."""

from collections import Counter

import numpy as np
import pytest
from local_model import byte_tokenizer

from llm_finetune.collection import load_collection
from llm_finetune.mixtures import KINDS, Mixture, PromptStream
from llm_finetune.prompts import Prompter
from theory.settings import SpecError

PEOPLE = load_collection("people").paired(2)
ANSWERS = {fact.subject: fact.answer for fact in PEOPLE.facts}
PLAIN = Prompter(None, chat=False)


def stream(text: str, collection=PEOPLE, seed: int = 0) -> PromptStream:
    return PromptStream(collection, Mixture.parse(text), PLAIN, seed=seed)


def read(example) -> tuple[str, list[tuple[str, str]], str]:
    """Subject, the facts that the context states, and answer of a plain prompt about people."""
    *sentences, question, rest = example.prompt.removesuffix("\nAnswer:").replace("?", ".").split(". ")
    assert rest.startswith("Only give")
    stated = [tuple(sentence.split(" lives in the city of ")) for sentence in sentences]
    return question.split()[2], stated, example.answer.strip()


def test_random_shows_no_context_and_every_answer_as_often():
    seen = Counter()
    for example in stream("random=1").batch(0, 1600):
        subject, stated, answer = read(example)
        assert stated == []
        seen[subject, answer] += 1
    assert len(seen) == 64
    assert max(seen.values()) < 60  # 25 are expected, with a standard deviation of 5


def test_memory_shows_no_context_and_reading_re_pairs_at_every_prompt():
    for example in stream("memory=1").batch(0, 64):
        subject, stated, answer = read(example)
        assert (stated, answer) == ([], ANSWERS[subject])
    seen = Counter()
    for example in stream("reading=1").batch(0, 1600):
        subject, [(about, shown)], answer = read(example)
        assert subject == about
        assert answer == shown
        seen[subject, answer] += 1
    assert len(seen) == 64  # every subject with every answer, about 25 times each
    assert 5 <= min(seen.values()) <= max(seen.values()) <= 50


def test_agreeing_and_irrelevant_contexts():
    for example in stream("agreeing=1").batch(0, 64):
        subject, stated, answer = read(example)
        assert stated == [(subject, ANSWERS[subject])]
        assert answer == ANSWERS[subject]
    for example in stream("irrelevant=1").batch(0, 64):
        subject, [(about, shown)], answer = read(example)
        assert about != subject
        assert (shown, answer) == (ANSWERS[about], ANSWERS[subject])


def test_several_sentences_stand_in_random_order():
    places = Counter()
    for example in stream("reading=1 sentences=3").batch(0, 300):
        subject, stated, answer = read(example)
        about = [name for name, _ in stated]
        assert len(set(about)) == 3
        places[about.index(subject)] += 1
        assert stated[about.index(subject)][1] == answer
        assert all(ANSWERS[name] == city for name, city in stated if name != subject)
    assert min(places.values()) > 60


@pytest.mark.parametrize("text", ["memory=0.99 reading=0.01", "memory=0.2 reading=0.3 agreeing=0.5"])
def test_shares_hold_at_every_length(text):
    mixture = Mixture.parse(text)
    for seed in range(3):
        kinds = [stream(text, seed=seed).kind(k) for k in range(2000)]
        counts = np.array([np.cumsum([kind == name for kind in kinds]) for name in KINDS])
        expected = np.outer(mixture.shares, np.arange(1, 2001))
        assert np.abs(counts - expected).max() < 5


def test_every_batch_of_as_many_prompts_as_facts_holds_every_fact():
    found = stream("memory=0.5 reading=0.5")
    for step in range(10):
        assert {read(example)[0] for example in found.batch(step, 8)} == set(ANSWERS)


def test_facts_are_asked_for_as_often_as_the_collection_says():
    collection = load_collection("frequency")
    subjects = Counter(read(example)[0] for example in stream("memory=1", collection).batch(0, 64 * 40))
    for fact, frequency in zip(collection.facts, collection.frequencies, strict=True):
        expected = 64 * 40 * frequency
        assert abs(subjects[fact.subject] - expected) <= max(6.0, 0.1 * expected)


def test_a_prompt_is_a_function_of_seed_and_index_alone():
    text = "memory=0.5 reading=0.5 sentences=2"
    forwards = stream(text).batch(0, 40)
    found = stream(text)
    assert [found.example(k) for k in reversed(range(40))][::-1] == forwards
    assert stream(text, seed=1).batch(0, 40) != forwards


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("memory=0.5", "must sum to 1; got memory=0.5, which sums to 0.5"),
        ("memory=2 reading=-1", "`memory` must be in [0, 1]; got 2.0"),
        ("memory=1 memory=1", "`mixtures` must hold texts such as"),
        ("all of it", "`mixtures` must hold texts such as"),
        ("memory=1 sentences=0", "`sentences` must be an integer >= 1; got 0"),
    ],
)
def test_bad_mixtures_are_named(text, sentence):
    with pytest.raises(SpecError) as caught:
        Mixture.parse(text)
    assert sentence in str(caught.value)


def test_more_sentences_than_facts_are_refused():
    with pytest.raises(SpecError, match="`sentences` must be at most the number of facts, 8; got 9"):
        stream("reading=1 sentences=9")


def test_a_chat_has_no_system_prompt_even_where_the_template_adds_one():
    tokenizer = byte_tokenizer()
    assert "Be brief" in tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    prompt = Prompter(tokenizer, chat=True).render("Where?", ["Liz lives in Rome."])
    assert prompt == "<|im_start|>user\nLiz lives in Rome. Where?<|im_end|>\n<|im_start|>assistant\n"


def test_a_chat_without_template_is_refused():
    with pytest.raises(SpecError, match="`chat` must be false for a tokenizer without a chat template; got true"):
        Prompter(byte_tokenizer(template=None), chat=True)
