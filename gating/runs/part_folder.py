"""The folder of a run for a process that does one part of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from gating.runs.errors import FolderError
from gating.runs.listed_files import ListedFiles
from gating.runs.manifest import JOURNALS, Manifest, journal_of

__all__ = ["PartFolder"]

LOCK_SECONDS = 30.0


class PartFolder(ListedFiles):
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
        self._lock = FileLock(self._file.with_suffix(".lock"), timeout=LOCK_SECONDS)

    def __enter__(self) -> Self:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise FolderError(f"part `{self._part}` of `{self.path}` is being done by another process") from None
        except OSError as error:
            raise self._unwritable(error, JOURNALS) from error
        try:
            self._manifest = Manifest.of_part(self.path, self._part, self._files)
        except BaseException:
            self._lock.release()
            raise
        self.goes_on = self._manifest.goes_on
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()
