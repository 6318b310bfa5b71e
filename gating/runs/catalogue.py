"""Studies by name: every installed package may add some through the entry points ``gating.studies``."""

from __future__ import annotations

import ast
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.settings import SpecError

if TYPE_CHECKING:
    from gating.runs.study import Study

__all__ = ["ENTRY_POINTS", "find_study", "home_of", "study_names", "study_question"]

ENTRY_POINTS = "gating.studies"


def study_names() -> list[str]:
    """Names of all studies that are installed, by name.

    Example:
        >>> {"compare", "bounds"} < set(study_names())
        True
    """
    return sorted(entry_points(group=ENTRY_POINTS).names)


def _entry(name: str) -> EntryPoint:
    found = entry_points(group=ENTRY_POINTS)
    if name not in found.names:
        raise SpecError([f"`study` must be one of {sorted(found.names)}; got {name!r}"])
    return found[name]


def study_question(name: str) -> str:
    """The question of a study, read from its source: help does not wait for what studies import."""
    entry = _entry(name)
    try:
        spec = find_spec(entry.module)
        tree = ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8")) if spec else ast.Module([], [])
    except Exception:  # a package of somebody else that breaks does not take the help of the others with it
        return "cannot be read"
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == entry.attr]
    return (ast.get_docstring(found[0]) or "").split("\n")[0] if found else ""


def find_study(name: str) -> Study[Any]:
    """The study of a name.

    Raises:
        SpecError: there is none, it needs packages that are not installed, or its module cannot be loaded.

    Example:
        >>> find_study("compere")
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: `study` must be one of ...; got 'compere'
    """
    entry = _entry(name)
    try:
        study: Study[Any] = entry.load()()
    except ModuleNotFoundError as missing:
        needs = f"`{name}` needs the package '{missing.name}', which is not installed{_remedy(entry)}"
        raise SpecError([needs]) from missing
    except Exception as error:
        said = f"{type(error).__name__}: {error}".split("\n")[0]
        raise SpecError([f"`{name}` cannot be loaded from {entry.value} ({said})"]) from error
    if study.name() != name:
        raise SpecError([f"`study` must be {name!r}, as the entry point of {entry.value}; got {study.name()!r}"])
    return study


def _remedy(entry: EntryPoint) -> str:
    """Which extra installs what a study lacks: the one that names it, where the distribution has one."""
    extras = (entry.dist.metadata.get_all("Provides-Extra") or []) if entry.dist else []
    named = [extra for extra in extras if extra in entry.module]
    return f"; `pip install '{entry.dist.name}[{named[0]}]'` installs it" if entry.dist and named else ""


def home_of(name: str) -> tuple[str, str, str]:
    """Module, distribution and its version, of a study."""
    entry = _entry(name)
    dist = entry.dist
    return entry.module, dist.name if dist else entry.module.partition(".")[0], dist.version if dist else "0"
