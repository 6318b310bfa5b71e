"""Suites of conflicts: questions, each with a context that gives the right answer and with some that give another.

The folder of such a `llm_finetune.suites` holds ``items.jsonl``, an item on each line, and its card also ``sizes``,
those of changes in their order, where there are any. Files of others are read by `llm_finetune.conflict.importers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from llm_finetune.lines import file_text, json_rows
from llm_finetune.suites import SuiteCard, read_card, suite_files
from theory.fields import shown
from theory.settings import SpecError, settings

__all__ = ["FILES", "ConflictSuite", "Item", "Statement", "read_conflict_suite", "require_items"]

FILES: dict[str, Any] = {"names": ("items.jsonl",), "file": "a file that `format` reads"}
"""What `suite_files` looks for."""

FEWEST = 4
"""Answers that compete for an item of a suite folder, at least."""


@settings
class ConflictCard(SuiteCard):
    """What ``suite.yaml`` says of a suite of conflicts.

    Args:
        name: what tables and pages call it.
        licence: under which licence its files may be used.
        source: who wrote them, or where they are from.
        languages: codes of its languages.
        sizes: sizes of changes, in words, in their order.

    Raises:
        SpecError: with a sentence for each unknown key and each value out of its set.
    """

    sizes: tuple[str, ...] = ()


class Statement(NamedTuple):
    """A context that states an answer.

    Attributes:
        answer: what it states.
        text: the context.
        size: how far the answer is from the true one, in words such as ``50%``; empty where that has no meaning.
    """

    answer: str
    text: str
    size: str = ""


@dataclass(frozen=True)
class Item:
    """A question, its answers, and contexts that state them.

    Attributes:
        id: its name; prompts of one item are alike, and intervals draw them together.
        group: what it is about, such as ``capitals``.
        question: the question.
        answer: the true answer.
        agreeing: a context that states it.
        contradicting: contexts that state others.
        candidates: answers that compete, the true one first, no two alike.
        aliases: other ways to say the true answer freely.
        open: whether the model's own free answer competes too, where it names none of the candidates.
    """

    id: str
    group: str
    question: str
    answer: str
    agreeing: str
    contradicting: tuple[Statement, ...]
    candidates: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True)
class ConflictSuite:
    """Items that are asked together.

    Attributes:
        name: what tables call it.
        items: the items.
        sizes: sizes of changes in their order.
        left_out: rows of the file that are no items, since it is not known which answer is right.
        card: what its folder says of it; None for a file of others.
    """

    name: str
    items: tuple[Item, ...]
    sizes: tuple[str, ...] = ()
    left_out: int = 0
    card: ConflictCard | None = None


def read_conflict_suite(source: str) -> ConflictSuite:
    """A suite from its folder.

    Args:
        source: ``facts``, or a folder.

    Raises:
        SpecError: with a sentence for each thing that is wrong, naming file and line.

    Example:
        >>> suite = read_conflict_suite("facts")
        >>> suite.items[0].question, suite.items[0].contradicting[0].text
        ('What is the capital of France? Only give the name of the city.', 'The capital of France is Lyon.')
    """
    files = suite_files("conflict", source, **FILES)
    if len(files) == 1:
        raise SpecError([f"`suite` must be a folder where `format` is 'own'; got the file {shown(source)}"])
    card, problems = read_card(ConflictCard, files[0]), list[str]()
    rows = json_rows(str(files[1]), file_text(files[1], "suite"), problems)
    problems += [f"{place}: {wrong}" for place, row in rows.items() if (wrong := _wrong(row, card.sizes))]
    if problems:
        raise SpecError(problems)
    return ConflictSuite(card.name, require_items([*map(_item, rows.values())]), card.sizes, card=card)


def require_items(items: Sequence[Item]) -> tuple[Item, ...]:
    """Items, if they make a suite.

    Raises:
        SpecError: there are fewer than two, or two have one name.
    """
    if len(items) < 2:
        raise SpecError([f"`suite` must have two or more items; got {len(items)}"])
    names = [item.id for item in items]
    twice = sorted({name for name in names if names.count(name) > 1}) if len({*names}) < len(names) else []
    if twice:
        raise SpecError([f"`suite` must have items of different ids; got {shown(twice[0])} twice"])
    return tuple(items)


def _item(held: Mapping[str, Any]) -> Item:
    changes = held.get("contradictions") or [{"answer": answer} for answer in held["candidates"]]
    stated = tuple(Statement(c["answer"], _stating(held["context"], c["answer"]), c.get("size", "")) for c in changes)
    others = held.get("candidates") or [statement.answer for statement in stated]
    return Item(held["id"], held["group"], held["question"], held["answer"], _stating(held["context"], held["answer"]),
                stated, (held["answer"], *others), tuple(held.get("aliases", ())))  # fmt: skip


def _stating(template: str, answer: str) -> str:
    return template.replace("{answer}", answer)


def _wrong(held: Any, sizes: Sequence[str]) -> str:
    """What is wrong with an item, or nothing."""
    texts = ("id", "group", "question", "context", "answer")
    lists = ("candidates", "aliases")
    if not isinstance(held, Mapping):
        return f"must be a JSON object; got {shown(held, 40)}"
    if {*held} - {*texts, *lists, "contradictions"}:
        return f"keys must be among {[*texts, *lists, 'contradictions']}; got {sorted(held)}"
    for name in texts:
        if not isinstance(held.get(name), str) or not held[name].strip():
            return f"`{name}` must be a text that is not blank; got {held.get(name)!r}"
    if "{answer}" not in held["context"]:
        return f"`context` must hold {{answer}}; got {shown(held['context'])}"
    if not all(isinstance(held.get(n, []), list) and all(isinstance(v, str) for v in held.get(n, [])) for n in lists):
        return "`candidates` and `aliases` must be lists of texts"
    changes = held.get("contradictions", [])
    if not isinstance(changes, list) or not all(
        isinstance(c, Mapping) and {"answer"} <= {*c} <= {"answer", "size"} and all(map(_is_text, c.values()))
        for c in changes
    ):
        return f"`contradictions` must be objects with `answer` and perhaps `size`, texts; got {shown(changes)}"
    unknown = sorted({c["size"] for c in changes if "size" in c} - {*sizes})
    if unknown:
        return f"`size` must be one of `sizes` of the suite, {list(sizes)}; got {unknown}"
    stated = [c["answer"] for c in changes]
    others = held.get("candidates") or stated
    answers = [held["answer"], *others]
    if len({*answers}) < len(answers) or len(answers) < FEWEST:
        return f"{FEWEST} or more different answers must compete, the true one among them; got {answers}"
    if not {*stated} <= {*others}:
        return f"`contradictions` must state answers among `candidates`; got {stated}"
    return ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
