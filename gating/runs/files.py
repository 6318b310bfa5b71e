"""Files: written whole or not at all, by Ctrl-C too, and named where they cannot be read."""

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gating.runs.errors import Damaged, FolderError

__all__ = ["ctrl_c_waits", "reading", "write_bytes", "write_text"]


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C is obeyed once the block has ended, so that it never parts what the block does together.

    It reaches the main thread alone; in others, and where its handler is not one of Python's, nothing is changed.
    """
    former = signal.getsignal(signal.SIGINT)
    if former is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
        if came:
            signal.raise_signal(signal.SIGINT)


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
