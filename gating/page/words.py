"""The words of a page, which are data: title, terms, what figures are called and say, and how systems look."""

from importlib import resources
from typing import Any, NamedTuple

import yaml

from gating.page.names import System, declare_systems

__all__ = ["Words", "page_words"]


class Words(NamedTuple):
    """What ``page.yaml`` of a package holds.

    Attributes:
        title: heading of the page.
        terms: words a reader needs, and what they mean.
        figures: by name, the texts of each figure: ``title``, ``look`` ...; with its ``name``.
        systems: how systems look, by key; declared for every page.
        looks: how other things look that colours tell apart, such as test conditions, by key.
        tables: by name, what a table has in its columns.
        said: other sentences, by name.
    """

    title: str
    terms: tuple[tuple[str, str], ...]
    figures: dict[str, dict[str, Any]]
    systems: dict[str, System]
    looks: dict[str, System]
    tables: dict[str, Any]
    said: dict[str, str]


def page_words(package: str) -> Words:
    """Words of the page of a package, from its file ``page.yaml``.

    Example:
        >>> page_words("gating.studies.phases").title
        'Certified phases: where in-context, where in-weight learning must win'
    """
    held = yaml.safe_load((resources.files(package) / "page.yaml").read_text(encoding="utf-8"))
    return Words(
        held.get("title", ""),
        tuple(held.get("terms", {}).items()),
        {name: {"name": name, **texts} for name, texts in held.get("figures", {}).items()},
        declare_systems({key: System(**look) for key, look in held.get("systems", {}).items()}),
        {key: System(**look) for key, look in held.get("looks", {}).items()},
        held.get("tables", {}),
        held.get("said", {}),
    )
