"""The folder of a run: a manifest with the SHA-256 of every file, one lock, and drafts that only this run writes.

While a run goes on, changes of the manifest are lines of a journal, each as short as what it changes; `manifest.json`
takes them up when the folder is let go, or held again.
"""

import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock, Timeout

from gating.runs.errors import Damaged, FolderError
from gating.runs.files import ctrl_c_waits
from gating.runs.listed_files import ListedFiles
from gating.runs.manifest import FORMAT, JOURNAL, JOURNALS, MANIFEST, OWN, Manifest, former, journal_of
from gating.runs.part_folder import PartFolder

__all__ = ["TABLE", "RunFolder", "find_runs"]

TABLE = "results.parquet"
"""The result table: it is written last, so a folder that has it is finished."""

LOCK_SECONDS = 1.0


class RunFolder(ListedFiles):
    """Files of one run.

    Args:
        path: the folder; ``~`` is the user's home. Nothing is made before `locked`.
    """

    @property
    def is_run(self) -> bool:
        """Whether the folder has the manifest of a run, whole or damaged."""
        file = self.path / MANIFEST
        with suppress(OSError):
            return os.path.isfile(file) and ((self.path / OWN).is_dir() or b'"seal"' in file.read_bytes())
        return False

    def change(self, **changes: Any) -> None:
        """Writes the manifest anew, with changes."""
        with self._mutex, self._writing(MANIFEST), ctrl_c_waits():
            self._opened().change(self.draft(), **changes)

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

    def _take_up(self) -> None:
        """Writes what the journal holds into the manifest."""
        if os.path.lexists(self.path / JOURNAL) and self.is_run:
            self.change()

    # Parts that other processes do.

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


def find_runs(root: str | Path) -> list[RunFolder]:
    """Folders of runs at or below a folder, by path.

    Raises:
        FolderError: there is no such folder.
    """
    place = Path(os.path.expanduser(root))
    if not os.path.isdir(place):
        raise FolderError(f"`dir` must be an existing folder; got '{root}'")
    return [folder for file in sorted(place.rglob(MANIFEST)) if (folder := RunFolder(file.parent)).is_run]
