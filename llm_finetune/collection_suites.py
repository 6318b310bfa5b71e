"""Suites of collections: prompt collections that are asked together.

The folder of such a `llm_finetune.suites` holds collections (`llm_finetune.collection`), each of which asks about one
relation in one language, and its card also a ``description``, one sentence that says what it asks:

=================  ==============================================================================================
file               what it holds
=================  ==============================================================================================
R.L.jsonl          a collection about the relation R in the language L, which is one of ``languages``
R.jsonl            likewise, where there is one language
=================  ==============================================================================================

Every language has a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from llm_finetune.collection import GIVEN, Collection, collection_text, load_collection
from llm_finetune.suites import SuiteCard, Words, read_card, suite_files
from theory.settings import SpecError, settings

__all__ = ["CollectionCard", "CollectionSuite", "Member", "load_collection_suite", "suite_of"]

END = ".jsonl"


@settings
class CollectionCard(SuiteCard):
    """What ``suite.yaml`` says of a suite of collections.

    Args:
        name: what tables and pages call it.
        licence: under which licence its files may be used.
        source: who wrote them, or where they are from.
        languages: codes of its languages, in the order of tables.
        description: one sentence that says what it asks.

    Raises:
        SpecError: with a sentence for each unknown key and each value out of its set.
    """

    description: Words


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
class CollectionSuite:
    """Collections that are asked together.

    Attributes:
        name: what tables call it.
        members: its collections by name: relation and language with a dot between them, or the name of the suite where
            that is a single collection.
        card: what its folder says of it; None for a single collection.
    """

    name: str
    members: Mapping[str, Member]
    card: CollectionCard | None = None

    def paired(self, seed: int) -> CollectionSuite:
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
            >>> load_collection_suite("relations").values("language")
            ('en', 'de', 'es', 'zh')
        """
        return tuple(dict.fromkeys(getattr(member, what) for member in self.members.values()))


def suite_of(collection: Collection, name: str = "collection") -> CollectionSuite:
    """A single collection as a suite.

    Example:
        >>> list(suite_of(load_collection("people"), "people").members)
        ['people']
    """
    return CollectionSuite(name, {name: Member(name, "", collection)})


def load_collection_suite(source: str | Path) -> CollectionSuite:
    """A suite by its name, from its folder, or of a single collection.

    Args:
        source: ``relations`` (eight relations in four languages), the path of a folder, one of
            `llm_finetune.collection.GIVEN`, or the path of a collection.

    Raises:
        SpecError: nothing is there, or a sentence for each thing that is wrong, with its file.

    Example:
        >>> suite = load_collection_suite("relations")
        >>> suite.members["capitals.es"].collection.facts[0]
        Fact(subject='Grecia', answer='Atenas', frequency=1.0, group='all')
    """
    if source not in GIVEN:
        (place,) = suite_files("collections", source, file="the file of a collection", others=GIVEN)
        if place != Path(source):
            return _from_folder(place)
    try:
        text = collection_text(source)
        member = Member(str(source), "", load_collection(source, text), text)
    except SpecError as error:
        raise SpecError([problem.replace("`collection`", "`suite`") for problem in error.problems]) from None
    return CollectionSuite(str(source), {str(source): member})


def _from_folder(path: Path) -> CollectionSuite:
    folder, card, members, problems = path.parent, read_card(CollectionCard, path), {}, list[str]()
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
        problems.append(f"{path}: each of `languages` must have a file; got none for {missing}")
    if problems:
        raise SpecError(problems)
    order = sorted(members, key=lambda key: (card.languages.index(members[key].language), key))
    return CollectionSuite(card.name, {key: members[key] for key in order}, card)
