"""Suites: questions for language models, as a folder of data with a card that says where it is from.

==============================  =====================================  =================================================
kind                            read by                                its folder holds, beside ``suite.yaml``
==============================  =====================================  =================================================
``collections``                 `llm_finetune.collection_suites`       prompt collections: facts, asked and stated
``conflict``                    `llm_finetune.conflict.suite`          questions, with contexts that contradict
``labelled``                    `llm_finetune.demonstrations.tasks`    texts, with labels
==============================  =====================================  =================================================

The card, ``suite.yaml``, holds ``name``, ``licence``, ``source`` and ``languages``, and what its kind adds. Other
files, such as the text of a licence, are left alone. Given suites of a kind are the folders below ``data/KIND`` of the
package.
"""

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, TypeVar

from gating.settings.yaml_files import read_entries
from theory.fields import Rule, Several, shown
from theory.settings import SpecError, build, settings

__all__ = ["CARD", "SuiteCard", "Words", "given_suites", "read_card", "suite_files"]

CARD = "suite.yaml"
"""Name of the file that says what a suite is."""

Words = Annotated[str, Rule("a text that is not blank", lambda text: bool(text.strip()))]
Code = Annotated[
    str,
    Rule("language codes such as 'en' or 'zh'", lambda text: bool(re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", text))),
]


@settings
class SuiteCard:
    """What ``suite.yaml`` says of every suite.

    Args:
        name: what tables and pages call it.
        licence: under which licence its files may be used.
        source: who wrote them, or where they are from.
        languages: codes of its languages, in the order of tables.

    Raises:
        SpecError: with a sentence for each unknown key and each value out of its set.
    """

    name: Words
    licence: Words
    source: Words
    languages: Several[Code]


Card = TypeVar("Card", bound=SuiteCard)
TEXTS = frozenset({"name", "licence", "source", "description", "template"})
"""Keys whose values are text, whatever they look like."""


def given_suites(kind: str) -> tuple[str, ...]:
    """Names of the suites of a kind that come with the package.

    Example:
        >>> given_suites("collections"), given_suites("conflict"), given_suites("labelled")
        (('relations',), ('facts',), ('sentiment', 'topic'))
    """
    return tuple(sorted(card.parent.name for card in (_data() / kind).glob(f"*/{CARD}")))


def suite_files(
    kind: str, source: str | Path, names: Sequence[str] = (), *, file: str, others: Sequence[str] = ()
) -> list[Path]:
    """Files of a suite: its card and the named ones; or the one file that stands for a suite without a card.

    Args:
        kind: its kind.
        source: the name of a given suite, a folder or a file.
        names: of the files beside the card.
        file: what a file without a card must be, for errors.
        others: further names that the setting takes, for errors.

    Raises:
        SpecError: nothing is there, or a file of the folder is missing.

    Example:
        >>> [file.name for file in suite_files("conflict", "facts", ["items.jsonl"], file="a file")]
        ['suite.yaml', 'items.jsonl']
    """
    given = given_suites(kind)
    place = _data() / kind / str(source) if source in given else Path(source)
    if place.is_file():
        return [place]
    if not place.is_dir():
        allowed = f"one of {(*given, *others)}, the folder of a suite, or {file}"
        raise SpecError([f"`suite` must be {allowed}; got {shown(str(source))}"])
    files = [place / name for name in (CARD, *names)]
    missing = [own.name for own in files if not own.is_file()]
    if missing:
        raise SpecError([f"{place}: the folder of a suite must hold {' and '.join(own.name for own in files)};"
                         f" there is no {' and no '.join(missing)}"])  # fmt: skip
    return files


def read_card(kind: type[Card], path: Path) -> Card:
    """What ``suite.yaml`` says.

    Args:
        kind: class of the card.
        path: the file.

    Raises:
        SpecError: it cannot be read, or a sentence for each thing that is wrong.
    """
    try:
        entries, problems = read_entries(path, TEXTS)
    except SpecError as error:
        raise SpecError([problem.replace("`config`", f"`{CARD}` of a suite") for problem in error.problems]) from None
    try:
        card = build(kind, {entry.key: entry.value for entry in entries})
    except SpecError as error:
        problems += [f"{path}: {problem}" for problem in error.problems]
    if problems:
        raise SpecError(problems)
    return card


def _data() -> Path:
    return Path(str(resources.files("llm_finetune") / "data"))
