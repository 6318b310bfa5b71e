"""The folder of a run: a manifest with the SHA-256 of every file, one lock, and drafts that only this run writes.

A file is written as a draft inside ``.gating``, listed in the manifest, and moved into its place in one step. So a kill
at any moment leaves each file as it was or as it shall be, and both are listed. What the manifest does not list is
never read, replaced or removed; what does not match it is named. While a run goes on, changes of the manifest are lines
of a journal, each as short as what it changes; `manifest.json` takes them up when the folder is let go, or held again.
"""

import hashlib
import os
import shutil
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from filelock import FileLock, Timeout

from gating.runs.errors import Damaged, FolderError
from gating.runs.files import reading
from gating.runs.manifest import (
    FORMAT,
    JOURNAL,
    JOURNALS,
    MANIFEST,
    OWN,
    Manifest,
    former,
    is_inside,
    journal_of,
    to_disk,
)

__all__ = ["TABLE", "PartFolder", "RunFolder", "digest", "find_runs"]

Loaded = TypeVar("Loaded")

TABLE = "results.parquet"
"""The result table: it is written last, so a folder that has it is finished."""

LOCK_SECONDS, PART_LOCK_SECONDS = 1.0, 30.0
MADE_AGAIN = "remove it, and the command that ran the study makes it again"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class RunFolder:
    """Files of one run.

    Args:
        path: the folder; ``~`` is the user's home. Nothing is made before `locked`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(os.path.expanduser(path))
        self._manifest: Manifest | None = None
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}
        self._mutex = threading.RLock()

    # The manifest.

    @property
    def is_run(self) -> bool:
        """Whether the folder has the manifest of a run, whole or damaged."""
        file = self.path / MANIFEST
        with suppress(OSError):
            return os.path.isfile(file) and ((self.path / OWN).is_dir() or b'"seal"' in file.read_bytes())
        return False

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

    def change(self, **changes: Any) -> None:
        """Writes the manifest anew, with changes."""
        with self._mutex, self._writing(MANIFEST):
            self._opened().change(self.draft(), **changes)

    def _note(self, **note: Any) -> None:
        """Notes a change of the manifest."""
        with self._mutex, self._writing(JOURNAL):
            self._opened().note(**note)

    # Life of a run.

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process; makes it where it is not there.

        Raises:
            FolderError: another process holds it, it holds other files, or it cannot be written.
        """
        own = self.path / OWN
        lock = FileLock(own / "lock", timeout=LOCK_SECONDS)
        try:
            self._require_ours()
            (own / "drafts").mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise FolderError(f"`{self.path}` is in use by {self._holder()}; wait for it, or choose another") from None
        except (OSError, NotImplementedError) as error:  # the latter where a file system has no locks
            raise self._unwritable(error) from error
        try:
            self._manifest = None
            with self._writing(OWN):
                self._clean()
                (own / "holder").write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            try:
                yield
            finally:
                with suppress(FolderError):  # where it cannot be taken up, the journal stays
                    self._take_up()
        finally:
            with suppress(OSError):
                (own / "holder").unlink()
            lock.release()

    def _holder(self) -> str:
        with suppress(OSError, ValueError):
            return (self.path / OWN / "holder").read_text(encoding="utf-8") or "another process"
        return "another process"

    def _require_ours(self) -> None:
        """That the folder is new, empty or a run's, before anything is made in it."""
        if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in str(self.path)):
            raise FolderError(f"`out` must be a path in UTF-8; got {str(self.path)!r}")
        if not os.path.isdir(self.path) and os.path.lexists(self.path):
            raise FolderError(f"`{self.path}` must be a folder; it is a file, or a link to nothing")
        own = self.path / OWN
        if any(place.is_symlink() for place in (own, own / "drafts", own / "lock", own / "holder")):
            raise FolderError(f"`{own}` must be a folder of the run's own; it is, or holds, a link to elsewhere")
        if not self.is_run and self.path.is_dir() and any(file.name != OWN for file in self.path.iterdir()):
            wanted = "new, empty or the folder of a run"
            raise FolderError(f"`{self.path}` must be {wanted}; it has other files{former(self.path)}")

    @property
    def finished(self) -> bool:
        """Whether the run has its table, undamaged."""
        with suppress(Damaged):
            return self.has(TABLE) and bool(self.verified(TABLE))
        return False

    @property
    def state(self) -> tuple[str, str]:
        """Name of the study and how far the run is, in words."""
        try:
            waiting = "damaged table" if self.has(TABLE) else f"not finished, {len(self.done)} parts done"
            return self.manifest["study"], "finished" if self.finished else waiting
        except FolderError:
            return "?", "damaged"

    def begin(self, study: str, identity: dict[str, Any]) -> None:
        """Writes the manifest of a new run; files that one of a former run lists are removed first."""
        for name in self.manifest["files"] if self.is_run else ():
            self._unlink(name)
        self._manifest = Manifest.new(self.path)
        self.change(format=FORMAT, study=study, identity=identity, done=[], files={})

    # Parts.

    @property
    def done(self) -> list[str]:
        """Names of the parts that are done."""
        return list(self.manifest["done"])

    def finish(self, part: str) -> None:
        """Lists a part as done, once."""
        if part not in self.manifest["done"]:
            self._note(done=[part])

    def forget(self, parts: Sequence[str]) -> None:
        """Removes the files of parts and their marks, so that they are made again."""
        self.discard([*self.files_of(parts)], parts)

    # Files.

    def has(self, name: str) -> bool:
        """Whether a file is listed and there."""
        return name in self.manifest["files"] and (self.path / name).is_file()

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
                raise Damaged(f"`{path}` is missing; {remedy}")
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
            for name in names:
                self._unlink(name)
            gone = [name for name in names if name in self.manifest["files"]]
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

    def _clean(self) -> None:
        """Takes journals up, and removes the drafts that killed processes left."""
        if self.is_run:
            unwritten = self._unwritten()  # of this manifest, before those of parts come after it
            for journal in sorted((self.path / JOURNALS).glob("*.part")):
                part = unquote(journal.stem)
                with PartFolder(self.path, part, self.files_of([part])) as left:
                    left.discard(left._unwritten())
                    self.adopt({part: left.manifest["files"]})
            self.discard(unwritten)
            self._take_up()
        for draft in (self.path / OWN / "drafts").iterdir():
            shutil.rmtree(draft) if draft.is_dir() and not draft.is_symlink() else draft.unlink()

    def _unwritten(self) -> list[str]:
        """The file, if there is one, that was listed and killed before it came into its place."""
        last = next(reversed(self.manifest["files"]), None)
        written = last is None or os.path.lexists(self.path / last) or any(is_inside(last, part) for part in self.done)
        return [] if written else [str(last)]

    def _take_up(self) -> None:
        """Writes what the journal holds into the manifest."""
        if os.path.lexists(self.path / JOURNAL) and self.is_run:
            self.change()

    # Parts that other processes do.

    def files_of(self, parts: Iterable[str]) -> dict[str, list[str]]:
        """Files of parts, or of folders of parts, with their checksums."""
        with self._mutex:
            return self._opened().files_of(parts)

    def adopt(self, found: Mapping[str, Mapping[str, list[str]]], *, done: bool = False) -> None:
        """Lists what other processes wrote for parts, and that the parts are done.

        Args:
            found: all files of each part, with their checksums, by the part's name.
            done: whether the parts are done.
        """
        files = {name: known for each in found.values() for name, known in each.items()}
        gone = [name for name in self.files_of(found) if name not in files]
        self._note(files=files, gone=gone, done=[*found] if done else [])
        for part in found:
            for ending in (".part", ".lock"):
                journal_of(self.path, part).with_suffix(ending).unlink(missing_ok=True)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Names the file when it cannot be written, whatever library found out."""
        try:
            yield
        except Exception as error:
            if isinstance(error, OSError) or "os error" in str(error):  # Rust's libraries pass them on as text
                raise self._unwritable(error, name) from error
            raise

    def _unwritable(self, error: Exception, name: str = "") -> FolderError:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        saved = "what is saved stays, and the same command goes on from it"
        return FolderError(f"`{self.path / name}` cannot be written ({reason}); {saved}")


class PartFolder(RunFolder):
    """The folder of a run for a process that does one part of it, while another one holds the folder.

    What it writes is listed in a journal of the part, which the holder takes up by `adopt`, at the latest when the
    folder is held again. One process at a time has a part; others wait.

    Args:
        path: the folder.
        part: name of the part.
        files: files of the part and of those that it reads, with their checksums.
    """

    def __init__(self, path: str | Path, part: str, files: Mapping[str, list[str]]):
        super().__init__(path)
        self.goes_on = False
        """Whether a process that ended before it was done has written something of the part."""
        self._part, self._files, self._file = part, files, journal_of(self.path, part)
        self._lock = FileLock(self._file.with_suffix(".lock"), timeout=PART_LOCK_SECONDS)

    def __enter__(self) -> Self:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise FolderError(f"part `{self._part}` of `{self.path}` is being done by another process") from None
        except OSError as error:
            raise self._unwritable(error, JOURNALS) from error
        self._manifest = Manifest.of_part(self.path, self._part, self._files)
        self.goes_on = self._manifest.goes_on
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def _is_empty(place: Path) -> bool:
    with os.scandir(place) as entries:  # a listing would read all of a large folder for each file in it
        return next(entries, None) is None


def find_runs(root: str | Path) -> list[RunFolder]:
    """Folders of runs at or below a folder, by path.

    Raises:
        FolderError: there is no such folder.
    """
    place = Path(os.path.expanduser(root))
    if not os.path.isdir(place):
        raise FolderError(f"`dir` must be an existing folder; got '{root}'")
    return [folder for file in sorted(place.rglob(MANIFEST)) if (folder := RunFolder(file.parent)).is_run]
