"""Prompt collections: facts, and the templates that ask for them and state them, as data.

A collection is a file of JSON Lines, or a table with the same columns; each line is an object with a ``kind``:

=====================  =============================================================================================
kind                   other keys
=====================  =============================================================================================
fact                   ``subject``, ``answer``, and optionally ``frequency`` (a number > 0, default 1) and ``group``
                       (``high``, ``low`` or ``all``, the default): what training asks for
question               ``text`` with ``{subject}``: how training asks
paraphrase             ``text`` with ``{subject}``: how only the test asks
context                ``text`` with ``{subject}`` and ``{answer}``: how a context states a fact
new_subject            ``text``: a subject that training never shows
new_answer             ``text``: an answer that training never shows
unrelated_fact         ``subject``, ``answer``: facts of another relation, which training never shows
unrelated_question     ``text`` with ``{subject}``: the question of that relation
unrelated_context      ``text`` with ``{subject}`` and ``{answer}``: its context
reversed_question      ``text`` with ``{answer}``: asks, from an answer, for the subject; only the test does
=====================  =============================================================================================

Every kind has at least one line but ``reversed_question``, which may be left out, and which facts with an answer in
common do not have; ``fact`` and ``unrelated_fact`` have at least two different answers.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gating.runs.files import write_text
from llm_finetune.lines import file_text, json_rows
from theory.fields import shown
from theory.settings import SpecError
from theory.validation import require_integer

__all__ = ["GIVEN", "Collection", "Fact", "collection_of", "collection_text", "load_collection", "write_collection"]

GIVEN = ("people", "frequency", "frequency-steep")
"""Collections that come with the package: the paper's 8 people and cities, and 64 people of whom 16 are frequent."""

GROUPS = ("high", "low", "all")
FACT_KINDS = ("fact", "unrelated_fact")
PLACEHOLDERS = {
    "question": ("{subject}",),
    "paraphrase": ("{subject}",),
    "context": ("{subject}", "{answer}"),
    "new_subject": (),
    "new_answer": (),
    "unrelated_question": ("{subject}",),
    "unrelated_context": ("{subject}", "{answer}"),
    "reversed_question": ("{answer}",),
}
KINDS = (*FACT_KINDS, *PLACEHOLDERS)
OPTIONAL = ("reversed_questions",)


class Fact(NamedTuple):
    """A subject and its answer, how often training asks for it (relative to the others), and its group.

    >>> Fact("Liz", "London").frequency
    1.0
    """

    subject: str
    answer: str
    frequency: float = 1.0
    group: str = "all"


@dataclass(frozen=True)
class Collection:
    """Facts and the texts that ask for them; the kinds of lines are described at the head of this module.

    Raises:
        SpecError: with a sentence for each kind that has no line, duplicate subject, answer that is both trained and
            new, template without its placeholder and value out of its set.

    Example:
        >>> people = load_collection("people")
        >>> people.facts[5]
        Fact(subject='Liz', answer='London', frequency=1.0, group='all')
        >>> people.ask(people.questions[0], "Liz")
        'Where does Liz live? Only give the name of the city.'
    """

    facts: tuple[Fact, ...]
    questions: tuple[str, ...]
    paraphrases: tuple[str, ...]
    contexts: tuple[str, ...]
    new_subjects: tuple[str, ...]
    new_answers: tuple[str, ...]
    unrelated_facts: tuple[Fact, ...]
    unrelated_questions: tuple[str, ...]
    unrelated_contexts: tuple[str, ...]
    reversed_questions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if problems := list(_malformed(self)) or list(_problems(self)):
            raise SpecError(problems)

    @property
    def answers(self) -> tuple[str, ...]:
        """The different answers of the facts, in order."""
        return tuple(dict.fromkeys(fact.answer for fact in self.facts))

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of the facts, in order."""
        return tuple(fact.subject for fact in self.facts)

    @property
    def unrelated_answers(self) -> tuple[str, ...]:
        """The different answers of the unrelated facts, in order."""
        return tuple(dict.fromkeys(fact.answer for fact in self.unrelated_facts))

    @property
    def frequencies(self) -> np.ndarray:
        """Probability that training asks for each fact, shape (facts,)."""
        weights = np.array([fact.frequency for fact in self.facts])
        return weights / weights.sum()

    @staticmethod
    def ask(question: str, subject: str) -> str:
        """A question about a subject."""
        return question.replace("{subject}", subject)

    @staticmethod
    def state(context: str, subject: str, answer: str) -> str:
        """A context sentence that states a fact."""
        return context.replace("{subject}", subject).replace("{answer}", answer)

    def paired(self, seed: int) -> Collection:
        """The same subjects with their answers shuffled among them; seed 0 leaves them as they are.

        Raises:
            ValueError: when `seed` is no integer >= 0.

        Example:
            >>> people = load_collection("people")
            >>> people.paired(0) == people, people.paired(1) == people
            (True, False)
        """
        if not require_integer("seed", seed):
            return self
        order = np.random.default_rng([seed, len(self.facts)]).permutation(len(self.facts))
        answers = [self.facts[k].answer for k in order]
        facts = [fact._replace(answer=answer) for fact, answer in zip(self.facts, answers, strict=True)]
        return replace(self, facts=tuple(facts))

    def equally_frequent(self) -> Collection:
        """The same facts and groups, each asked for equally often."""
        return replace(self, facts=tuple(fact._replace(frequency=1.0) for fact in self.facts))


def load_collection(source: str | Path, text: str | None = None) -> Collection:
    """A given collection by its name, or one from a file of JSON Lines.

    Args:
        source: one of `GIVEN`, or the path of a file.
        text: what `collection_text` read from it, where that is at hand.

    Raises:
        SpecError: the file is not there, or a sentence for each line that is malformed, with its number.
    """
    problems: list[str] = []
    rows = json_rows(str(source), collection_text(source) if text is None else text, problems)
    return _collected(rows, problems)


def collection_text(source: str | Path) -> str:
    """Text of a collection, as `load_collection` takes it.

    Raises:
        SpecError: the file is not there, or no text.
    """
    if source in GIVEN:
        return (resources.files("llm_finetune") / "data" / f"{source}.jsonl").read_text(encoding="utf-8")
    if not os.path.isfile(source):
        raise SpecError([f"`collection` must be one of {GIVEN} or an existing file; got {shown(str(source))}"])
    return file_text(Path(source), "collection")


def collection_of(rows: Iterable[Mapping[str, Any]]) -> Collection:
    """A collection from rows, of a `datasets.Dataset` or a list; a key whose value is None counts as absent.

    Raises:
        SpecError: a sentence for each row that is malformed, with its number, counted from 1.

    Example:
        >>> collection_of([{"kind": "fact", "subject": "Liz"}])
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: row 1: `answer` must be a text that is not blank; got None
    """
    return _collected({f"row {number}": row for number, row in enumerate(rows, start=1)}, [])


def _collected(rows: Mapping[str, Any], problems: list[str]) -> Collection:
    """A collection from rows by their places, unless one is malformed or there were problems before."""
    problems = problems + [f"{place}: {problem}" for place, row in rows.items() for problem in _row_problems(row)]
    if problems:
        raise SpecError(problems)
    lines: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for row in rows.values():
        given = {key: value for key, value in row.items() if value is not None}
        lines[given.pop("kind")].append(Fact(**given) if row["kind"] in FACT_KINDS else row["text"])
    return Collection(**{f"{kind}s": tuple(found) for kind, found in lines.items()})


def write_collection(collection: Collection, path: Path) -> None:
    """Writes a collection as JSON Lines, atomically; `load_collection` reads it back."""
    rows = [_row(plural, line) for plural, lines in vars(collection).items() for line in lines]
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _row(plural: str, line: Any) -> dict[str, Any]:
    """A line of a collection as `collection_of` takes it."""
    return {"kind": plural.removesuffix("s"), **(line._asdict() if isinstance(line, Fact) else {"text": line})}


def _row_problems(row: Any) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f"must be a JSON object; got {shown(row, 40)}"
        return
    kind = row.get("kind")
    if kind not in KINDS:
        yield f"`kind` must be one of {KINDS}; got {kind!r}"
        return
    needed = ("subject", "answer") if kind in FACT_KINDS else ("text",)
    optional = ("frequency", "group") if kind in FACT_KINDS else ()
    for key in sorted({key for key, value in row.items() if value is not None} - {"kind", *needed, *optional}):
        yield f"unknown key `{key}`; a line of kind '{kind}' has {(*needed, *optional)}"
    for key in needed:
        if not isinstance(row.get(key), str) or not row[key].strip():
            yield f"`{key}` must be a text that is not blank; got {row.get(key)!r}"
    for placeholder in PLACEHOLDERS.get(kind, ()):
        if isinstance(row.get("text"), str) and placeholder not in row["text"]:
            yield f"`text` of a {kind} must contain {placeholder}; got '{row['text']}'"


def _malformed(collection: Collection) -> Iterator[str]:
    for plural, lines in vars(collection).items():
        kind = plural.removesuffix("s")
        if not isinstance(lines, tuple) or any(any(_row_problems(_row(plural, line))) for line in lines):
            words = "facts" if kind in FACT_KINDS else " with ".join(("texts that are not blank", *PLACEHOLDERS[kind]))
            yield f"`{plural}` must be a tuple of {words}; got {shown(lines)}"


def _problems(collection: Collection) -> Iterator[str]:
    for plural, lines in vars(collection).items():
        if not lines and plural not in OPTIONAL:
            yield f"`{plural}` must hold at least one line; got none"
    for name in ("facts", "unrelated_facts"):
        yield from _fact_problems(name, getattr(collection, name))
    if collection.reversed_questions and len(collection.answers) < len(collection.facts):
        shared = Counter(fact.answer for fact in collection.facts).most_common(1)[0][0]
        yield f"`reversed_questions` must be asked of facts with different answers; '{shared}' is that of two"
    trained = {"new_subjects": {fact.subject for fact in collection.facts}, "new_answers": set(collection.answers)}
    for plural, known in trained.items():
        for text in getattr(collection, plural):
            if text in known:
                yield f"`{plural}` must not be among the facts; got '{text}'"


def _fact_problems(name: str, facts: tuple[Fact, ...]) -> Iterator[str]:
    for subject, times in Counter(fact.subject for fact in facts).items():
        if times > 1:
            yield f"`{name}` must have different subjects; '{subject}' is there {times} times"
    if facts and len({fact.answer for fact in facts}) < 2:
        yield f"`{name}` must have two or more different answers; got only '{facts[0].answer}'"
    for fact in facts:
        number = isinstance(fact.frequency, (int, float)) and not isinstance(fact.frequency, bool)
        if not number or not 0 < fact.frequency < math.inf:
            yield f"`frequency` of '{fact.subject}' must be a finite number > 0; got {fact.frequency!r}"
        if fact.group not in GROUPS:
            yield f"`group` of '{fact.subject}' must be one of {GROUPS}; got {fact.group!r}"
