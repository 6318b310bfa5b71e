"""Files that a manifest lists: written in one step, and read only as they were written.

A file is written as a draft inside ``.gating``, listed in the manifest, and moved into its place in one step. So a kill
at any moment leaves each file as it was or as it shall be, and both are listed. What the manifest does not list is
never read, replaced or removed; what does not match it is named.
"""

import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from gating.runs.errors import Damaged, FolderError, Unwritable
from gating.runs.files import ctrl_c_waits, reading
from gating.runs.manifest import JOURNAL, OWN, Manifest, is_inside, to_disk

__all__ = ["ListedFiles", "digest"]

Loaded = TypeVar("Loaded")

RERUN = "the command that ran the study makes it again"
MADE_AGAIN = f"remove it, and {RERUN}"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class ListedFiles:
    """Files of a folder, each with its SHA-256 in a manifest.

    Args:
        path: the folder; ``~`` is the user's home.
    """

    def __init__(self, path: str | Path):
        self.path = Path(os.path.expanduser(path))
        self._manifest: Manifest | None = None
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}
        self._mutex = threading.RLock()

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run is and has: ``study``, ``identity``, ``done`` parts, and ``files`` with their checksums.

        The file that was written last stands last. A file has several checksums while it is being replaced.

        Raises:
            FolderError: there is no manifest, or that of another version.
            Damaged: it is not as it was written.
        """
        return self._opened().held

    def _opened(self) -> Manifest:
        with self._mutex:
            if self._manifest is None:
                self._manifest = Manifest.read(self.path)
            return self._manifest

    def _note(self, **note: Any) -> None:
        """Notes a change of the manifest, on disk and here, or neither."""
        with self._mutex, self._writing(JOURNAL), ctrl_c_waits():
            self._opened().note(**note)

    def has(self, name: str) -> bool:
        """Whether a file is listed and there."""
        return name in self.manifest["files"] and (self.path / name).is_file()

    def files_of(self, parts: Iterable[str]) -> dict[str, list[str]]:
        """Files of parts, or of folders of parts, with their checksums."""
        with self._mutex:
            return self._opened().files_of(parts)

    def write(self, name: str, save: Callable[[Path], Any]) -> None:
        """Writes a file.

        Args:
            name: its place in the folder, with ``/`` between folders.
            save: writes the content to the path that it is given.

        Raises:
            FolderError: the place is taken by a file that is not the run's or lies behind a link, or the disk is full.
        """
        draft = self.draft()
        with self._writing(name):
            try:
                save(draft)
                to_disk(draft)
                new = digest(draft)
                with self._mutex:
                    self._require_free(name)
                    (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                    old = self.manifest["files"].get(name, [])  # several where writing it was killed before
                    there = [self._known[name][1]] if name in self._known else old
                    self._note(files={name: [new, *(other for other in there if other != new)]})
                    os.replace(draft, self.path / name)
                    self._known[name] = ((), new)
            finally:
                draft.unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file; names of files that are no text are escaped in it."""
        self.write(name, lambda draft: draft.write_text(text, encoding="utf-8", errors="backslashreplace"))

    def read(self, name: str, load: Callable[[Path], Loaded], remedy: str = MADE_AGAIN) -> Loaded:
        """What `load` makes of a file that is as the run wrote it.

        Raises:
            Damaged: it is not there, or not as it was written.
        """
        path = self.verified(name, remedy)
        with reading(path, remedy):
            return load(path)

    def verified(self, name: str, remedy: str = MADE_AGAIN) -> Path:
        """Path of a file that is as the run wrote it; a file that has not moved since is not read again.

        Raises:
            Damaged: as `read` does.
        """
        path, listed = self.path / name, self.manifest["files"].get(name)
        try:
            if listed is None or not path.is_file():
                raise Damaged(f"`{path}` is missing; {RERUN if remedy == MADE_AGAIN else remedy}")
            now = path.stat()
            state, known = (now.st_ino, now.st_size, now.st_mtime_ns), self._known.get(name)
            if known is None or known[0] != state:
                found = digest(path)
                if found not in listed:
                    raise Damaged(f"`{path}` is not as the run wrote it (its SHA-256 is another); {remedy}")
                self._known[name] = (state, found)
        except OSError as error:
            raise FolderError(f"`{path}` cannot be read ({error.strerror})") from error
        return path

    def discard(self, names: Sequence[str], parts: Sequence[str] = ()) -> None:
        """Removes files of the run that it does not need any more, and marks of parts."""
        with self._mutex:
            gone = [name for name in names if name in self.manifest["files"]]
            for name in gone:
                self._unlink(name)
            done = set(self.manifest["done"])
            undone = [part for part in parts if part in done]
            if gone or undone:
                self._note(gone=gone, undone=undone)

    def damaged(self) -> dict[str, str]:
        """What is wrong with each listed file that is missing or not as it was written, by its name."""
        found = {}
        for name in self.manifest["files"]:
            try:
                self.verified(name)
            except Damaged as error:
                found[name] = str(error)
        return found

    def draft(self) -> Path:
        """A path that no one else uses, for what is moved into its place when it is whole."""
        return self.path / OWN / "drafts" / uuid.uuid4().hex

    def _unlink(self, name: str) -> None:
        if self._outside(name):
            return  # what lies behind a link is not the run's
        self._known.pop(name, None)
        with self._writing(name):
            (self.path / name).unlink(missing_ok=True)
            for parent in list(PurePosixPath(name).parents)[:-1]:
                place = self.path / parent
                if not place.is_dir() or not _is_empty(place):
                    break
                place.rmdir()

    def _outside(self, name: str) -> bool:
        """Whether a name leads out of the folder."""
        inside = PurePosixPath(name)
        way = list(inside.parents)[:-1]
        return inside.is_absolute() or ".." in inside.parts or any((self.path / place).is_symlink() for place in way)

    def _require_free(self, name: str) -> None:
        target = self.path / name
        if self._outside(name):
            raise FolderError(f"`{target}` must lie in the folder; a link on the way leads elsewhere")
        if name not in self.manifest["files"] and (target.exists() or target.is_symlink()):
            raise FolderError(f"`{target}` is in the way and not the run's; move it, or choose another folder")

    def _unwritten(self) -> list[str]:
        """The file, if there is one, that was listed and killed before it came into its place."""
        last = next(reversed(self.manifest["files"]), None)
        written = (
            last is None
            or os.path.lexists(self.path / last)
            or any(is_inside(last, part) for part in self.manifest["done"])
        )
        return [] if written else [str(last)]

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Names the file when it cannot be written, whatever library found out."""
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) or "os error" in str(error):  # Rust's libraries pass them on as text
                raise self._unwritable(error, name) from error
            raise

    def _unwritable(self, error: Exception, name: str = "") -> Unwritable:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        return Unwritable(f"`{self.path / name}` cannot be written ({reason}); what is saved stays")


def _is_empty(place: Path) -> bool:
    with os.scandir(place) as entries:  # a listing would read all of a large folder for each file in it
        return next(entries, None) is None
