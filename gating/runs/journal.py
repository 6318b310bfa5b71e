"""What changed in a folder since its manifest was written: short lines, each sealed with those before it."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gating.runs.errors import Damaged
from gating.runs.files import reading

__all__ = ["Journal", "change_by"]

LOST = "put it back, or remove the folder by hand: without it nothing says which files are the run's"


class Journal:
    """Changes that follow a manifest.

    The first line is the seal of what they follow, and its own; each other one is the seal of all up to it, and a
    change as JSON. A line that a kill cut short was never acted on, and a journal that follows something else is one of
    before, which a kill kept from being removed.

    Args:
        file: where it is, or will be.
        follows: seal of what it follows.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     Journal(Path(place) / "journal", "seal").append({"done": ["train/a"]})
        ...     Journal(Path(place) / "journal", "seal").notes, Journal(Path(place) / "journal", "other").notes
        ([{'done': ['train/a']}], [])
    """

    def __init__(self, file: Path, follows: str):
        self.file, self._seal = file, follows
        self.notes: list[dict[str, Any]] = []
        """Changes that were there when it was opened."""
        self._size = self._read() if os.path.isfile(file) else 0

    def _read(self) -> int:
        with reading(self.file, LOST):
            content = self.file.read_bytes()
        first, *lines = content.split(b"\n")[:-1] or [_first("").encode()]
        with reading(self.file, LOST):
            follows = first.decode().split(" ")[0]
            if first.decode() != _first(follows):
                raise Damaged(f"`{self.file}` is not as the run wrote it; {LOST}")
            if follows != self._seal:
                return 0
        for line in lines:
            with reading(self.file, LOST):
                seal, text = line.decode().split(" ", 1)
                if seal != self._next(text):
                    raise Damaged(f"`{self.file}` is not as the run wrote it; {LOST}")
                self.notes.append(json.loads(text))
            self._seal = seal
        return content.rfind(b"\n") + 1

    def append(self, note: Mapping[str, Any]) -> None:
        """Writes a change; it is on disk when this returns, or not at all.

        Raises:
            OSError: it cannot be written.
        """
        text = json.dumps(note)
        seal = self._next(text)
        lines = (f"{seal} {text}\n" if self._size else f"{_first(self._seal)}\n{seal} {text}\n").encode()
        with self.file.open("r+b" if self._size else "wb", buffering=0) as stream:  # closing then writes nothing more
            stream.truncate(self._size)
            stream.seek(self._size)
            try:
                while lines:
                    lines = lines[stream.write(lines) :]
                os.fsync(stream.fileno())
            except BaseException:
                with suppress(OSError):
                    os.truncate(self.file, self._size)
                raise
            self._size, self._seal = stream.tell(), seal

    def _next(self, text: str) -> str:
        return _sealed(f"{self._seal} {text}")


def _first(follows: str) -> str:
    return f"{follows} {_sealed(follows)}"


def _sealed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def change_by(note: Mapping[str, Any], held: dict[str, Any]) -> None:
    """Changes a manifest as a note says: ``files`` and their checksums, which go last; names that are ``gone``; parts
    that are ``done`` or ``undone``."""
    for name, known in note.get("files", {}).items():
        held["files"].pop(name, None)
        held["files"][name] = known
    for name in note.get("gone", ()):
        held["files"].pop(name, None)
    held["done"] += note.get("done", ())
    if undone := set(note.get("undone", ())):
        held["done"] = [part for part in held["done"] if part not in undone]
