"""Suites: prompt collections that are asked together, as a folder of data that says where it is from.

A suite is a folder with a file ``suite.yaml`` and one or more collections (`llm_finetune.collection`), each of which
asks about one relation in one language:

=================  ==============================================================================================
file               what it holds
=================  ==============================================================================================
suite.yaml         ``name``, ``description`` (one sentence), ``licence``, ``source``, and ``languages``, a list of codes
R.L.jsonl          a collection about the relation R in the language L, which is one of ``languages``
R.jsonl            likewise, where there is one language
=================  ==============================================================================================

Every language has a file. Other files, such as the text of a licence, are left alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, NamedTuple

from gating.settings.yaml_files import read_entries
from llm_finetune.collection import GIVEN, Collection, collection_text, load_collection
from theory.fields import Rule, Several, shown
from theory.settings import SpecError, build, settings

__all__ = ["GIVEN_SUITES", "Member", "Suite", "SuiteCard", "load_suite", "suite_of"]

GIVEN_SUITES = ("relations",)
"""Suites that come with the package: eight relations in four languages."""

CARD = "suite.yaml"
END = ".jsonl"

Line = Annotated[str, Rule("a text that is not blank", lambda text: bool(text.strip()))]
Code = Annotated[
    str,
    Rule("language codes such as 'en' or 'zh'", lambda text: bool(re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", text))),
]


@settings
class SuiteCard:
    """What ``suite.yaml`` says of a suite.

    Args:
        name: what tables and pages call it.
        description: one sentence that says what it asks.
        licence: under which licence its files may be used.
        source: who wrote them, or where they are from.
        languages: codes of its languages, in the order of tables.

    Raises:
        SpecError: with a sentence for each unknown key and each value out of its set.
    """

    name: Line
    description: Line
    licence: Line
    source: Line
    languages: Several[Code]


class Member(NamedTuple):
    """A collection of a suite.

    Attributes:
        relation: what it asks about.
        language: code of its language; empty where that is not known.
        collection: facts and templates.
        text: its file as it was read.
    """

    relation: str
    language: str
    collection: Collection
    text: str = ""


@dataclass(frozen=True)
class Suite:
    """Collections that are asked together.

    Attributes:
        name: what tables call it.
        members: its collections by name: relation and language with a dot between them, or the name of the suite where
            that is a single collection.
        card: what its folder says of it; None for a single collection.
    """

    name: str
    members: Mapping[str, Member]
    card: SuiteCard | None = None

    def paired(self, seed: int) -> Suite:
        """The same suite with the answers of each collection shuffled, as `Collection.paired` does."""
        pairs = {
            key: member._replace(collection=member.collection.paired(seed)) for key, member in self.members.items()
        }
        return replace(self, members=pairs)

    def values(self, what: str) -> tuple[str, ...]:
        """Its different relations or languages, in order.

        Args:
            what: ``relation`` or ``language``.

        Example:
            >>> load_suite("relations").values("language")
            ('en', 'de', 'es', 'zh')
        """
        return tuple(dict.fromkeys(getattr(member, what) for member in self.members.values()))


def suite_of(collection: Collection, name: str = "collection") -> Suite:
    """A single collection as a suite.

    Example:
        >>> list(suite_of(load_collection("people"), "people").members)
        ['people']
    """
    return Suite(name, {name: Member(name, "", collection)})


def load_suite(source: str | Path) -> Suite:
    """A suite by its name, from its folder, or of a single collection.

    Args:
        source: one of `GIVEN_SUITES`, the path of a folder, one of `llm_finetune.collection.GIVEN`, or the path of a
            collection.

    Raises:
        SpecError: nothing is there, or a sentence for each thing that is wrong, with its file.

    Example:
        >>> suite = load_suite("relations")
        >>> suite.members["capitals.es"].collection.facts[0]
        Fact(subject='Grecia', answer='Atenas', frequency=1.0, group='all')
    """
    if source in GIVEN_SUITES:
        return _from_folder(Path(str(resources.files("llm_finetune") / "data" / str(source))))
    if source not in GIVEN and os.path.isdir(source):
        return _from_folder(Path(source))
    if source not in GIVEN and not os.path.isfile(source):
        names = (*GIVEN_SUITES, *GIVEN)
        raise SpecError([f"`suite` must be one of {names}, a folder with a {CARD}, or the file of a collection;"
                         f" got {shown(str(source))}"])  # fmt: skip
    try:
        text = collection_text(source)
        member = Member(str(source), "", load_collection(source, text), text)
    except SpecError as error:
        raise SpecError([problem.replace("`collection`", "`suite`") for problem in error.problems]) from None
    return Suite(str(source), {str(source): member})


def _from_folder(folder: Path) -> Suite:
    card, members, problems = _card(folder / CARD), {}, []
    files = sorted(folder.glob(f"*{END}"))
    for file in files:
        relation, _, language = file.name.removesuffix(END).partition(".")
        if not language and len(card.languages) == 1:
            (language,) = card.languages
        key = f"{relation}.{language}"
        if language not in card.languages:
            problems.append(f"{file}: what stands between the name and {END} must be one of `languages`,"
                            f" {card.languages}; got {language!r}")  # fmt: skip
        elif key in members:
            problems.append(f"{file}: a relation must have one file for each language; got another for '{key}'")
        else:
            try:
                text = collection_text(file)
                members[key] = Member(relation, language, load_collection(file, text), text)
            except SpecError as error:
                problems += [text if text.startswith(str(file)) else f"{file}: {text}" for text in error.problems]
    if not files:
        problems.append(f"{folder}: a suite must hold one or more collections, relation.language{END}; got none")
    spoken = {member.language for member in members.values()}
    if not problems and (missing := [code for code in card.languages if code not in spoken]):
        problems.append(f"{folder / CARD}: each of `languages` must have a file; got none for {missing}")
    if problems:
        raise SpecError(problems)
    order = sorted(members, key=lambda key: (card.languages.index(members[key].language), key))
    return Suite(card.name, {key: members[key] for key in order}, card)


def _card(path: Path) -> SuiteCard:
    texts = {"name", "description", "licence", "source"}
    try:
        entries, problems = read_entries(path, texts)
    except SpecError as error:
        raise SpecError([problem.replace("`config`", f"`{CARD}` of a suite") for problem in error.problems]) from None
    try:
        card = build(SuiteCard, {entry.key: entry.value for entry in entries})
    except SpecError as error:
        problems += [f"{path}: {problem}" for problem in error.problems]
    if problems:
        raise SpecError(problems)
    return card
