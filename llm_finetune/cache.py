"""Folders that are made once and kept: whole or not there, and compared with their checksums before they are used.

A folder is made beside its place and moved into it, by one process at a time. What a killed process left beside it is
removed by the next one that makes it.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gating.runs.listed_files import digest

__all__ = ["CHECKSUMS", "LOCK", "cache_folder", "kept_folder"]

CHECKSUMS = "checksums.sha256"
"""File of a kept folder with the SHA-256 of each of the others."""

LOCK = ".lock"
"""File of the cache that a process holds while it makes a folder."""

_seen: dict[Path, list[tuple[str, int, int, int]]] = {}
"""Folders that were compared with their checksums, and how their files looked: they are not read again until they
change."""


def cache_folder() -> Path:
    """Where converted models are kept: ``$ICL_GATING_CACHE``, else ``icl-gating`` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ICL_GATING_CACHE") or Path(home) / "icl-gating")


def kept_folder(place: Path, make: Callable[[Path, Path], None], say: Callable[[str], None]) -> Path:
    """A folder of the cache, made where it is not there or not as it was written.

    Args:
        place: the folder.
        make: fills an empty folder, the first; what it needs on the way goes into the second, which is removed.
        say: receives a line when the folder is made again, and when another process is waited for.

    Example:
        >>> with tempfile.TemporaryDirectory() as root:
        ...     place = kept_folder(Path(root) / "a", lambda new, room: (new / "b").touch(), print)
        ...     sorted(file.name for file in place.iterdir())
        ['b', 'checksums.sha256']
    """
    if place.is_dir() and _problem(place) is None:
        return place
    with _locked(place, say):
        for left in place.parent.iterdir():
            if left.name.startswith(f".{place.name}.") and left.suffix == ".part":
                shutil.rmtree(left, ignore_errors=True)
        problem = _problem(place) if place.is_dir() else None
        if place.is_dir() and problem is None:
            return place  # another process has made it
        if problem:
            say(f"{problem}; the model is made again")
        with tempfile.TemporaryDirectory(
            prefix=f".{place.name}.", suffix=".part", dir=place.parent, ignore_cleanup_errors=True
        ) as room:
            new = Path(room) / "new"
            new.mkdir()
            make(new, Path(room))
            sums = {file.name: digest(file) for file in sorted(new.iterdir())}
            (new / CHECKSUMS).write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")
            if place.is_dir():
                os.replace(place, Path(room) / "old")
            os.replace(new, place)
    return place


def _problem(place: Path) -> str | None:
    """What is wrong with a kept folder, if anything is."""
    looks = [(file.name, *_state(file)) for file in sorted(place.iterdir())]
    if _seen.get(place) == looks:
        return None
    try:
        sums: dict[str, str] = json.loads((place / CHECKSUMS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"`{place}` has no {CHECKSUMS}"
    except ValueError:
        return f"`{place / CHECKSUMS}` cannot be read"
    for name, wanted in sums.items():
        if not (place / name).is_file():
            return f"`{place / name}` is missing"
        if digest(place / name) != wanted:
            return f"`{place / name}` is not as it was written (its SHA-256 is another)"
    _seen[place] = looks
    return None


def _state(file: Path) -> tuple[int, int, int]:
    now = file.stat()
    return now.st_ino, now.st_size, now.st_mtime_ns


@contextmanager
def _locked(place: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the cache while a folder is made; the lock of a process that was killed is free."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.parent / LOCK)
    try:
        lock.acquire(timeout=0.1)
    except Timeout:
        say(f"another process is making a model in {place.parent}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
