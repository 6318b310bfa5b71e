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
=====================  =============================================================================================

Every kind has at least one line, and ``fact`` and ``unrelated_fact`` at least two different answers.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gating.runs.files import write_text
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
}


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

    def __post_init__(self) -> None:
        if problems := list(_malformed(self)) or list(_problems(self)):
            raise SpecError(problems)

    @property
    def answers(self) -> tuple[str, ...]:
        """The different answers of the facts, in order."""
        return tuple(dict.fromkeys(fact.answer for fact in self.facts))

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
    return collection_of(_lines(collection_text(source) if text is None else text, str(source)))


def collection_text(source: str | Path) -> str:
    """Text of a collection, as `load_collection` takes it.

    Raises:
        SpecError: the file is not there, or no text.
    """
    if source in GIVEN:
        return (resources.files("llm_finetune") / "data" / f"{source}.jsonl").read_text(encoding="utf-8")
    if not Path(source).is_file():
        raise SpecError([f"`collection` must be one of {GIVEN} or an existing file; got '{source}'"])
    try:
        return Path(source).read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise SpecError([f"`collection` must be a file of JSON Lines in UTF-8; '{source}' is not: {error}"]) from None


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
    rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
    problems = [
        f"{row.get(_PLACE, f'row {number}')}: {problem}"
        for number, row in enumerate(rows, start=1)
        for problem in _row_problems(row)
    ]
    if problems:
        raise SpecError(problems)
    facts = {kind: tuple(_fact(row) for row in rows if row["kind"] == kind) for kind in FACT_KINDS}
    texts = {kind: tuple(row["text"] for row in rows if row["kind"] == kind) for kind in PLACEHOLDERS}
    return Collection(**{f"{kind}s": lines for kind, lines in {**facts, **texts}.items()})


def write_collection(collection: Collection, path: Path) -> None:
    """Writes a collection as JSON Lines, atomically; `load_collection` reads it back."""
    rows: list[dict[str, Any]] = []
    for plural, lines in asdict(collection).items():
        kind = plural.removesuffix("s")
        for line in lines:
            rows.append({"kind": kind, **(Fact(*line)._asdict() if kind in FACT_KINDS else {"text": line})})
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


_PLACE = "\0place"  # where a row came from; no column of a file can be called so


def _lines(text: str, name: str) -> Iterator[dict[str, Any]]:
    """Rows of JSON Lines, each with its place; blank lines are passed over."""
    problems = []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(f"{name}, line {number}: must be a JSON object; {error.msg} at column {error.colno}")
            continue
        if isinstance(row, dict):
            rows.append({**row, _PLACE: f"{name}, line {number}"})
        else:
            problems.append(f"{name}, line {number}: must be a JSON object; got {line.strip()[:40]}")
    if problems:
        raise SpecError(problems)
    return iter(rows)


def _row_problems(row: Mapping[str, Any]) -> Iterator[str]:
    kind = row.get("kind")
    if kind not in (*FACT_KINDS, *PLACEHOLDERS):
        yield f"`kind` must be one of {(*FACT_KINDS, *PLACEHOLDERS)}; got {kind!r}"
        return
    needed = ("subject", "answer") if kind in FACT_KINDS else ("text",)
    optional = ("frequency", "group") if kind in FACT_KINDS else ()
    for key in sorted(set(row) - {"kind", _PLACE, *needed, *optional}):
        yield f"unknown key `{key}`; a line of kind '{kind}' has {(*needed, *optional)}"
    for key in needed:
        if not _is_text(row.get(key)):
            yield f"`{key}` must be a text that is not blank; got {row.get(key)!r}"
    for placeholder in PLACEHOLDERS.get(kind, ()):
        if isinstance(row.get("text"), str) and placeholder not in row["text"]:
            yield f"`text` of a {kind} must contain {placeholder}; got '{row['text']}'"


def _fact(row: Mapping[str, Any]) -> Fact:
    return Fact(row["subject"], row["answer"], row.get("frequency", 1.0), row.get("group", "all"))


def _malformed(collection: Collection) -> Iterator[str]:
    for plural, lines in vars(collection).items():
        kind = plural.removesuffix("s")
        if not isinstance(lines, tuple) or not all(_is_line(kind, line) for line in lines):
            words = "facts" if kind in FACT_KINDS else " with ".join(("texts that are not blank", *PLACEHOLDERS[kind]))
            yield f"`{plural}` must be a tuple of {words}; got {shown(lines)}"


def _is_line(kind: str, line: Any) -> bool:
    if kind in FACT_KINDS:
        return isinstance(line, Fact) and _is_text(line.subject) and _is_text(line.answer)
    return _is_text(line) and all(placeholder in line for placeholder in PLACEHOLDERS[kind])


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _problems(collection: Collection) -> Iterator[str]:
    for plural, lines in vars(collection).items():
        if not lines:
            yield f"`{plural}` must hold at least one line; got none"
    for name in ("facts", "unrelated_facts"):
        yield from _fact_problems(name, getattr(collection, name))
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
