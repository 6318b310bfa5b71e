"""Questions to which a context gives the right answer, or another: suites as folders, and what a suite holds.

A suite is a folder with ``suite.yaml`` (name, licence, source, language, and the sizes of changes in their order) and
``items.jsonl``, an item on each line. Files of others are read by `llm_finetune.conflict.importers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from theory.fields import shown
from theory.settings import SpecError

__all__ = ["GIVEN", "Item", "Statement", "Suite", "read_suite", "suite_files"]

GIVEN = ("facts",)
"""Suites that come with the package."""

ABOUT = ("name", "licence", "source", "language")
FEWEST = 4
"""Answers that compete for an item of a suite folder, at least."""


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
class Suite:
    """Items with what must be known about them.

    Attributes:
        name: what it is called.
        licence: under which it is given; empty where the file does not say.
        source: where it comes from.
        language: of its texts, such as ``en``.
        sizes: sizes of changes in their order.
        items: the items.
        left_out: rows of the file that are no items, since it is not known which answer is right.
    """

    name: str
    licence: str
    source: str
    language: str
    sizes: tuple[str, ...]
    items: tuple[Item, ...]
    left_out: int = 0


def suite_files(source: str) -> list[Path]:
    """Files of a suite: those of a folder, or the one file that an importer reads.

    Args:
        source: one of `GIVEN`, a folder or a file.

    Raises:
        SpecError: there is none.

    Example:
        >>> [file.name for file in suite_files("facts")]
        ['suite.yaml', 'items.jsonl']
    """
    path = (
        Path(str(resources.files("llm_finetune") / "data" / "conflict" / source)) if source in GIVEN else Path(source)
    )
    if path.is_file():
        return [path]
    files = [path / name for name in ("suite.yaml", "items.jsonl")]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise SpecError([f"`suite` must be one of {GIVEN}, a folder with suite.yaml and items.jsonl, or a file that"
                         f" `format` reads; got {shown(source)}, without {' and '.join(missing)}"])  # fmt: skip
    return files


def read_suite(source: str) -> Suite:
    """A suite from its folder.

    Args:
        source: one of `GIVEN`, or a folder.

    Raises:
        SpecError: naming the file and line of what is wrong.

    Example:
        >>> suite = read_suite("facts")
        >>> suite.items[0].question, suite.items[0].contradicting[0].text
        ('What is the capital of France? Only give the name of the city.', 'The capital of France is Lyon.')
    """
    files = suite_files(source)
    if len(files) == 1:
        raise SpecError([f"`suite` must be a folder where `format` is 'own'; got the file {shown(source)}"])
    held = _yaml(files[0])
    items = [
        _item(line, f"{files[1].name}, line {number}")
        for number, line in enumerate(files[1].read_text(encoding="utf-8").split("\n"), 1)
        if line.strip()
    ]
    sizes = tuple(map(str, held.get("sizes", ())))
    unknown = sorted({s.size for item in items for s in item.contradicting} - {"", *sizes})
    if unknown:
        raise SpecError([f"`suite` must name the sizes of its changes in suite.yaml; {unknown} are not in {sizes}"])
    name, licence, origin, language = (str(held[key]) for key in ABOUT)
    return Suite(name, licence, origin, language, sizes, require_items(items))


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


def _yaml(file: Path) -> dict[str, Any]:
    try:
        held = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError([f"`suite` must have a suite.yaml that can be read; got {shown(str(error))}"]) from error
    if not isinstance(held, dict) or not {*ABOUT} <= {*held} or not isinstance(held.get("sizes", []), list):
        raise SpecError([f"`suite` must have a suite.yaml with {list(ABOUT)}, and `sizes`, a list; got {shown(held)}"])
    return held


def _item(line: str, where: str) -> Item:
    try:
        held = json.loads(line)
    except ValueError as error:
        raise SpecError([f"`suite` must be JSON Lines; {where}: {error}"]) from None
    wrong = _wrong(held)
    if wrong:
        raise SpecError([f"`suite` must have sound items; {where}: {wrong}"])
    changes = held.get("contradictions") or [{"answer": answer} for answer in held["candidates"]]
    stated = tuple(Statement(c["answer"], _stating(held["context"], c["answer"]), c.get("size", "")) for c in changes)
    others = held.get("candidates") or [statement.answer for statement in stated]
    return Item(held["id"], held["group"], held["question"], held["answer"], _stating(held["context"], held["answer"]),
                stated, (held["answer"], *others), tuple(held.get("aliases", ())))  # fmt: skip


def _stating(template: str, answer: str) -> str:
    return template.replace("{answer}", answer)


def _wrong(held: Any) -> str:
    """What is wrong with an item, or nothing."""
    texts = ("id", "group", "question", "context", "answer")
    lists = ("candidates", "aliases")
    if not isinstance(held, Mapping):
        return f"an item must be an object; got {shown(held)}"
    if {*held} - {*texts, *lists, "contradictions"}:
        return f"keys must be among {[*texts, *lists, 'contradictions']}; got {sorted(held)}"
    for name in texts:
        if not isinstance(held.get(name), str) or not held[name].strip():
            return f"`{name}` must be a text that is not empty; got {shown(held.get(name))}"
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
