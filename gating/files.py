"""Files that are either whole or not there, written beside their place and moved into it; what is damaged is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FolderError", "atomic_path", "is_draft", "reading", "write_text"]


class FolderError(ValueError):
    """A folder does not hold what is needed from it, or cannot be written."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` in one step when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def is_draft(path: Path) -> bool:
    """Whether a file is what a killed process left of one that it was writing."""
    return path.name.startswith(".") and path.name.endswith(".part")


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with atomic_path(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Names the file, and what to do, when what the block reads from it is damaged or out of reach.

    Args:
        path: the file.
        remedy: what the user can do, as the end of a sentence.

    Raises:
        FolderError: in place of any error of the library that reads the file.
    """
    try:
        yield
    except Exception as error:
        said = str(error).split("\n")[0]
        raise FolderError(f"`{path}` cannot be read ({type(error).__name__}: {said}); {remedy}") from error
