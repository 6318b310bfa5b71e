"""Files outside of run folders: written whole or not at all, and named where they cannot be read."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gating.runs.errors import Damaged, FolderError

__all__ = ["reading", "write_bytes", "write_text"]


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of a text in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file in one step, through a draft beside it that no other process knows.

    Raises:
        FolderError: it cannot be written.
    """
    draft = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("xb") as stream:
                stream.write(content)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"`{path}` cannot be written ({error.strerror})") from error


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Names the file, and what to do, when what the block reads from it is damaged or out of reach.

    Args:
        path: the file.
        remedy: what the user can do, as the end of a sentence.

    Raises:
        Damaged: in place of any error of the library that reads the file.
    """
    try:
        yield
    except (MemoryError, Damaged):
        raise
    except Exception as error:
        said = str(error).split("\n")[0]
        raise Damaged(f"`{path}` cannot be read ({type(error).__name__}: {said}); {remedy}") from error
