"""Prompts of a suite: each question without context, and with contexts that agree, contradict, or say nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from llm_finetune.conflict.suite import ConflictSuite, Item, Statement

__all__ = ["CONDITIONS", "CONTENT_FREE", "FALSE", "NEEDED", "Asked", "Condition", "draw_prompts"]

Condition = Literal["no_context", "agreeing", "contradicting", "irrelevant", "both", "distractors", "long_context"]

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""What a context says of the question: nothing, as there is none; the true answer; another; nothing, as it is about
something else; both answers, in random order; another, amid true sentences about others; another, far back before many
of these."""

NEEDED: tuple[Condition, ...] = ("no_context", "agreeing", "contradicting")
"""Conditions without which there is no table of who wins."""

FALSE: tuple[Condition, ...] = ("contradicting", "both", "distractors", "long_context")
"""Conditions whose context states an answer that is not true."""

CONTENT_FREE = ("N/A", "[MASK]", "")
"""Prompts that say nothing (Zhao et al. 2021)."""


class Asked(NamedTuple):
    """A prompt.

    Attributes:
        item: id of the item.
        group: its group.
        condition: one of `CONDITIONS`.
        stated: the answer that the context states, the one that is not true where it states both; None for none.
        size: how far it is from the truth, as `Statement` has it.
        question: the question.
        sentences: the context, sentence by sentence.
    """

    item: str
    group: str
    condition: str
    stated: str | None
    size: str
    question: str
    sentences: tuple[str, ...]


def draw_prompts(
    suite: ConflictSuite,
    *,
    conditions: Sequence[str] = CONDITIONS,
    items_per_group: int = 2**32 - 1,
    contradictions: int = 1,
    distractors: int = 4,
    long_sentences: int = 24,
    seed: int = 0,
) -> list[Asked]:
    """Prompts of a suite, item by item.

    The condition ``contradicting`` has a prompt for each change with a size, and `contradictions` of those without,
    drawn
    at random; other conditions state one of an item's contradicting answers, drawn at random. True sentences about
    others
    are the agreeing contexts of other items, of the same group where it has enough; an irrelevant context is one of
    another group, where there is another.

    Args:
        suite: the items.
        conditions: which of `CONDITIONS`.
        items_per_group: most items that are asked in each group, the first ones, >= 1.
        contradictions: most contradicting contexts without a size for each item, >= 1.
        distractors: true sentences about others in the condition ``distractors``, >= 1.
        long_sentences: those in the condition ``long_context``, >= 1.
        seed: seed of the draws, which are each item's own.

    Example:
        >>> from llm_finetune.conflict.suite import read_conflict_suite
        >>> asked = draw_prompts(read_conflict_suite("facts"), conditions=["both"], items_per_group=1)
        >>> asked[0].stated, sorted(asked[0].sentences)
        ('Moscow', ['The capital of France is Moscow.', 'The capital of France is Paris.'])
    """
    found: list[Asked] = []
    counts: dict[str, int] = {}
    for place, item in enumerate(suite.items):
        counts[item.group] = counts.get(item.group, 0) + 1
        if counts[item.group] > items_per_group:
            continue
        rng = np.random.default_rng([seed, place])
        amid = _Others(suite, item, rng)
        changes = _changes(item, contradictions, rng)
        one = item.contradicting[rng.integers(len(item.contradicting))]
        true = Statement(item.answer, item.agreeing)
        for condition, said, sentences in _contexts(item, true, one, changes, amid, rng, distractors, long_sentences):
            if condition in conditions:
                stated, size = (said.answer, said.size) if said else (None, "")
                found.append(Asked(item.id, item.group, condition, stated, size, item.question, tuple(sentences)))
    return found


def _contexts(
    item: Item, true: Statement, one: Statement, changes: Sequence[Statement], amid: _Others, rng: np.random.Generator,
    distractors: int, long_sentences: int,
) -> Iterator[tuple[str, Statement | None, list[str]]]:  # fmt: skip
    """Every condition with what its context states, in one order, so that draws do not depend on which are asked."""
    yield "no_context", None, []
    yield "agreeing", true, [item.agreeing]
    for change in changes:
        yield "contradicting", change, [change.text]
    yield "irrelevant", None, [amid.elsewhere()]
    yield "both", one, [(item.agreeing, one.text)[k] for k in rng.permutation(2)]
    others = amid.sentences(distractors)
    place = int(rng.integers(len(others) + 1))
    yield "distractors", one, [*others[:place], one.text, *others[place:]]
    yield "long_context", one, [one.text, *amid.sentences(long_sentences)]


def _changes(item: Item, most: int, rng: np.random.Generator) -> list[Statement]:
    plain = [s for s in item.contradicting if not s.size]
    kept = sorted(rng.permutation(len(plain))[:most].tolist())
    return [*(plain[k] for k in kept), *(s for s in item.contradicting if s.size)]


class _Others:
    """True sentences about other items."""

    def __init__(self, suite: ConflictSuite, item: Item, rng: np.random.Generator):
        others = [other for other in suite.items if other.id != item.id]
        self.alike = [other.agreeing for other in others if other.group == item.group]
        self.unlike = [other.agreeing for other in others if other.group != item.group]
        self.rng = rng

    def elsewhere(self) -> str:
        pool = self.unlike or self.alike
        return pool[self.rng.integers(len(pool))]

    def sentences(self, most: int) -> list[str]:
        """Of the same group, then of others; as many as there are, where these are fewer than asked for."""
        drawn = [pool[k] for pool in (self.alike, self.unlike) for k in self.rng.permutation(len(pool))]
        return drawn[:most]
