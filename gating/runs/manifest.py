"""What a run is and has, on disk: a sealed file, and a journal of what changed since it was written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gating.runs.errors import Damaged, FolderError
from gating.runs.files import reading
from gating.runs.journal import LOST, Journal, change_by
from gating.runs.listing import Listing

__all__ = [
    "FORMAT",
    "JOURNAL",
    "JOURNALS",
    "MANIFEST",
    "OWN",
    "Manifest",
    "former",
    "is_inside",
    "journal_of",
    "to_disk",
]

FORMAT = 1
"""Version of the manifest's form; folders of another are refused."""

MANIFEST, OWN, JOURNAL, JOURNALS = "manifest.json", ".gating", ".gating/journal", ".gating/journals"


class Manifest:
    """The manifest of a run, or what a process that does one part knows of it.

    Args:
        path: folder of the run.
        held: ``study``, ``identity``, ``done`` parts, and ``files`` with their checksums, in the order of writing.
        journal: what follows.

    Attributes:
        held: the same, changes included.
    """

    def __init__(self, path: Path, held: dict[str, Any], journal: Journal):
        self.held, self._path, self._journal = held, path, journal
        for note in journal.notes:
            change_by(note, held)
        self._listing: Listing | None = None

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in a folder.

        Raises:
            FolderError: there is none, or that of another version.
            Damaged: it is not as it was written.
        """
        file = path / MANIFEST
        if not os.path.isfile(file):
            raise FolderError(f"`{path}` must be the folder of a run; it has no {MANIFEST}{former(path)}")
        with reading(file, LOST):
            held = json.loads(file.read_bytes())
            seal, version = held.pop("seal"), held["format"]
        if version != FORMAT:
            raise FolderError(f"`{path}` must hold a run of format {FORMAT}; it holds one of format {version!r}")
        if seal != _seal(held):
            raise Damaged(f"`{file}` is not as the run wrote it; {LOST}")
        return cls(path, held, Journal(path / JOURNAL, seal))

    @classmethod
    def new(cls, path: Path) -> Manifest:
        """One that is not written yet."""
        return cls(path, {}, Journal(path / JOURNAL, ""))

    @classmethod
    def of_part(cls, path: Path, part: str, files: Mapping[str, list[str]]) -> Manifest:
        """What is known of a part, and of others that it reads; its journal tells what was written of it since."""
        own = {name: known for name, known in sorted(files.items()) if is_inside(name, part)}
        return cls(path, {"files": dict(files), "done": []}, Journal(journal_of(path, part), _seal(own)))

    @property
    def goes_on(self) -> bool:
        """Whether the journal held something when it was opened."""
        return bool(self._journal.notes)

    def change(self, draft: Path, **changes: Any) -> None:
        """Writes the manifest anew, by way of a draft, with changes; it takes the journal up.

        Raises:
            OSError: it cannot be written.
        """
        held = {**self.held, **changes}
        draft.write_text(json.dumps({**held, "seal": _seal(held)}, indent=1), encoding="utf-8")
        to_disk(draft)
        os.replace(draft, self._path / MANIFEST)
        self.held = held
        (self._path / JOURNAL).unlink(missing_ok=True)
        self._journal = Journal(self._path / JOURNAL, _seal(held))

    def note(self, **note: Any) -> None:
        """Writes a change to the journal: what `change_by` knows.

        Raises:
            OSError: it cannot be written.
        """
        note = {what: changed for what, changed in note.items() if changed}
        self._journal.append(note)
        change_by(note, self.held)
        if self._listing and self._listing.files is self.held["files"]:
            self._listing.change(note)

    def files_of(self, parts: Iterable[str]) -> dict[str, list[str]]:
        """Files of parts, or of folders of parts, with their checksums."""
        files = self.held["files"]
        if self._listing is None or self._listing.files is not files:
            self._listing = Listing(files)
        return {name: files[name] for part in parts for name in self._listing.inside(f"parts/{part}")}


def is_inside(name: str, part: str) -> bool:
    """Whether a file of a run belongs to a part, by their names."""
    return name.startswith(f"parts/{part}/")


def journal_of(path: Path, part: str) -> Path:
    """Journal of a part that another process does."""
    return path / JOURNALS / f"{quote(part, safe='')}.part"


def former(path: Path) -> str:
    """The end of a sentence about a folder without a manifest."""
    words = ", and a config.yaml: a run of a former version, which cannot be read, or another project's folder"
    return words if os.path.isfile(path / "config.yaml") else ""


def to_disk(path: Path) -> None:
    """Waits until a file's content is on disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _seal(held: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
