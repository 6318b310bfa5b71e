"""Test conditions: what a prompt shows, what weights and context answer, which is right; and what is measured."""

from collections.abc import Container, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from gating.results.columns import declare_from
from llm_finetune.collection import Collection, Fact
from llm_finetune.prompts import Prompter

__all__ = [
    "CHANGES",
    "CONDITIONS",
    "IN_CONTEXT",
    "Condition",
    "ConditionName",
    "Judge",
    "Record",
    "draw_records",
]

CHANGES = ("kept", "overridden", "collapsed", "learned", "unread")
"""What became of the reading of a prompt whose context tells the answer."""

Judge = Literal["said", "score"]
"""What an answer is right by: what the model says, or the largest log-probability."""

ConditionName = Literal[
    "no_context", "agreeing", "contradicting", "contradicting_new", "unseen", "unseen_new", "someone_else",
    "paraphrased", "unrelated", "reversed", "reversed_in_context",
]  # fmt: skip


class Record(NamedTuple):
    """One test prompt.

    Attributes:
        condition: name of its condition, one of `CONDITIONS`.
        subject: whom or what the question is about.
        group: group of its fact: ``high``, ``low`` or ``all``.
        prompt: rendered text, which ends where the answer begins.
        memorised: the trained answer of the subject; None for a subject that training never shows.
        stated: the answer that the context states; None without context.
        target: the right answer: the context's where it is about the subject, else the memorised one. Of a question
            asked backward answers are subjects.
    """

    condition: str
    subject: str
    group: str
    prompt: str
    memorised: str | None
    stated: str | None
    target: str


class Condition(NamedTuple):
    """A test condition.

    Attributes:
        subject: ``trained``, ``new`` or ``unrelated``: whom the question is about.
        stated: what the context states about that subject: ``nothing``, the ``memorised`` answer, ``another`` trained
            answer, a ``new`` answer, ``someone`` else's fact in place of one about the subject, or ``any`` answer of
            the unrelated relation.
        paraphrased: whether the question is worded as training never does.
        backward: whether it asks, from the answer, for the subject.
    """

    subject: str
    stated: str
    paraphrased: bool
    backward: bool = False


CONDITIONS: Mapping[str, Condition] = {
    "no_context": Condition("trained", "nothing", False),
    "agreeing": Condition("trained", "memorised", False),
    "contradicting": Condition("trained", "another", False),
    "contradicting_new": Condition("trained", "new", False),
    "unseen": Condition("new", "another", False),
    "unseen_new": Condition("new", "new", False),
    "someone_else": Condition("trained", "someone", False),
    "paraphrased": Condition("trained", "nothing", True),
    "unrelated": Condition("unrelated", "any", False),
    "reversed": Condition("trained", "nothing", False, backward=True),
    "reversed_in_context": Condition("new", "new", False, backward=True),
}
"""Test conditions by name, in the order of tables."""

IN_CONTEXT = ("contradicting", "contradicting_new", "unseen", "unseen_new")
"""Conditions whose mean accuracy is the in-context accuracy: the context states the answer, about the subject."""

declare_from("llm_finetune")


def draw_records(
    collection: Collection,
    prompter: Prompter,
    *,
    prompts_per_fact: int,
    facts_per_group: int,
    seed: int,
    conditions: Container[str] = tuple(CONDITIONS),
) -> list[Record]:
    """Test prompts of every condition that the collection has questions for.

    Answers that a context states, and templates where there are several, are drawn anew for each prompt.

    Args:
        collection: the facts, paired.
        prompter: renders the prompts.
        prompts_per_fact: prompts for each subject of a condition, >= 1; conditions without context have one.
        facts_per_group: most trained facts that are asked for in each group, the first ones, >= 1.
        seed: seed of every draw, an integer >= 0.
        conditions: names of those that are asked, among `CONDITIONS`; the prompts of each do not depend on the others.
    """
    records: list[Record] = []
    for place, (name, condition) in enumerate(CONDITIONS.items()):
        if name not in conditions or (condition.backward and not collection.reversed_questions):
            continue
        rng = np.random.default_rng([seed, place])
        repeats = 1 if condition.stated == "nothing" else prompts_per_fact
        for fact in _asked(collection, condition.subject, facts_per_group):
            records += [_record(collection, prompter, name, fact, rng) for _ in range(repeats)]
    return list(dict.fromkeys(records))


def _asked(collection: Collection, subject: str, most: int) -> Sequence[Fact]:
    if subject == "unrelated":
        return collection.unrelated_facts
    if subject == "new":
        return [Fact(name, "") for name in collection.new_subjects]
    groups = dict.fromkeys(fact.group for fact in collection.facts)
    return [fact for group in groups for fact in [f for f in collection.facts if f.group == group][:most]]


def _record(collection: Collection, prompter: Prompter, name: str, fact: Fact, rng: np.random.Generator) -> Record:
    subject, what, paraphrased, backward = CONDITIONS[name]

    def one_of(texts: Sequence[Any]) -> Any:
        return texts[int(rng.integers(len(texts)))]

    contexts, questions, answers = collection.contexts, collection.questions, collection.answers
    if subject == "unrelated":
        contexts, questions = collection.unrelated_contexts, collection.unrelated_questions
        answers = collection.unrelated_answers
    if paraphrased:
        questions = collection.paraphrases
    about, stated = fact.subject, None
    if what == "someone":
        about, stated = one_of([other for other in collection.facts if other.answer != fact.answer])[:2]
    elif what != "nothing":
        others = [answer for answer in answers if answer != fact.answer]
        choices = {"memorised": [fact.answer], "another": others, "new": collection.new_answers, "any": others}
        stated = one_of(choices[what])
    sentences = [] if stated is None else [collection.state(one_of(contexts), about, stated)]
    if backward:
        question = collection.state(one_of(collection.reversed_questions), fact.subject, stated or fact.answer)
        answers_are = (fact.subject if subject == "trained" else None, stated and fact.subject, fact.subject)
        return Record(name, fact.subject, fact.group, prompter.render(question, sentences), *answers_are)
    prompt = prompter.render(collection.ask(one_of(questions), fact.subject), sentences)
    memorised = fact.answer if subject == "trained" else None
    target = memorised if memorised and (stated is None or about != fact.subject) else stated
    return Record(name, fact.subject, fact.group, prompt, memorised, stated, str(target))
