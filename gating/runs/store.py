"""Kept work: tables, tensors and records of a run's parts, in its folder, read back only as they were written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gating.runs.errors import FolderError
from gating.runs.folder import RunFolder
from gating.runs.listed_files import ListedFiles

if TYPE_CHECKING:  # torch takes a second to import, which tables do without
    from torch import Tensor

__all__ = ["Place", "opened"]


@dataclass(frozen=True)
class Place:
    """Where a part of a run keeps its work, and finds that of other parts.

    Args:
        folder: files of the run, or those that a process needs which does one part.
        part: name of the part.
        scope: folder of the parts that go by their names here, with a ``/`` at its end; by default that of all parts.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root, opened(root, {"seed": 1}) as place:
        ...     place.save_table("losses", pd.DataFrame({"loss": [0.5]}))
        ...     place.has_table("losses"), place.table("losses")["loss"].tolist()
        (True, [0.5])
    """

    folder: ListedFiles
    part: str
    scope: str = ""

    def of(self, part: str) -> Place:
        """The place of another part of the same run."""
        return Place(self.folder, f"{self.scope}{part}", self.scope)

    @property
    def path(self) -> Path:
        """Its folder, which is there once something is kept."""
        return self.folder.path / "parts" / self.part

    @property
    def names(self) -> list[str]:
        """Files that are kept here, with their endings."""
        return [name.removeprefix(f"parts/{self.part}/") for name in self.folder.files_of([self.part])]

    def has_table(self, name: str) -> bool:
        """Whether a table is kept."""
        return self.folder.has(self._file(name, "parquet"))

    def save_table(self, name: str, table: pd.DataFrame) -> None:
        """Keeps a table."""
        self.folder.write(self._file(name, "parquet"), lambda draft: table.to_parquet(draft, index=False))

    def table(self, name: str) -> pd.DataFrame:
        """A table that is kept.

        Raises:
            Damaged: its file is missing, or not as it was written.
        """
        return self.folder.read(self._file(name, "parquet"), pd.read_parquet)

    def has_tensors(self, name: str) -> bool:
        """Whether tensors are kept."""
        return self.folder.has(self._file(name, "safetensors"))

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], numbers: Mapping[str, int] | None = None) -> None:
        """Keeps named tensors, and whole numbers beside them, in one file."""
        from safetensors.torch import save_file

        held = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}  # none shares memory
        beside = {"numbers": json.dumps(numbers or {}, sort_keys=True)}  # several keys would come in a random order
        self.folder.write(self._file(name, "safetensors"), lambda draft: save_file(held, draft, beside))

    def tensors(self, name: str, rows: slice = slice(None)) -> dict[str, Tensor]:
        """Tensors that are kept.

        Args:
            name: name of the file.
            rows: rows of each tensor to read.

        Raises:
            Damaged: their file is missing, or not as it was written.
        """
        if rows == slice(None):  # also of tensors without dimensions, which have no rows
            return self._opened(name, lambda file: {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        return self._opened(name, lambda file: {key: file.get_slice(key)[rows] for key in file.keys()})  # noqa: SIM118

    def numbers(self, name: str) -> dict[str, int]:
        """The numbers beside tensors."""
        return self._opened(name, lambda file: json.loads(file.metadata()["numbers"]))

    def _opened(self, name: str, read: Callable[[Any], Any]) -> Any:
        from safetensors import safe_open

        def load(path: Path) -> Any:
            with safe_open(path, framework="pt") as file:
                return read(file)

        return self.folder.read(self._file(name, "safetensors"), load)

    def has_records(self, name: str) -> bool:
        """Whether records are kept."""
        return self.folder.has(self._file(name, "jsonl"))

    def save_records(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Keeps records that JSON can hold, one a line."""
        self.folder.write_text(self._file(name, "jsonl"), "".join(json.dumps(record) + "\n" for record in records))

    def records(self, name: str) -> list[dict[str, Any]]:
        """Records that are kept.

        Raises:
            Damaged: their file is missing, or not as it was written.
        """
        text = self.folder.read(self._file(name, "jsonl"), lambda path: path.read_text(encoding="utf-8"))
        return [json.loads(line) for line in text.split("\n") if line]

    def save_folder(self, name: str, save: Callable[[Path], Any]) -> None:
        """Keeps what `save` writes into a folder, such as a model of `save_pretrained`; whole or not at all."""
        draft = self.folder.draft()
        try:
            save(draft)
            inside = sorted(file.relative_to(draft).as_posix() for file in draft.rglob("*") if file.is_file())
            self.discard(f"{name}.jsonl", *(file for file in self.names if file.startswith(f"{name}/")))
            for file in inside:
                self.folder.write(self._file(f"{name}/{file}"), (draft / file).rename)
            self.save_records(name, [{"file": file} for file in inside])
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def kept_folder(self, name: str) -> Path | None:
        """A folder that is kept, each of its files as it was written; None where it is not there."""
        if not self.folder.has(self._file(name, "jsonl")):
            return None
        for record in self.records(name):
            self.folder.verified(self._file(f"{name}/{record['file']}"))
        return self.path / name

    def discard(self, *names: str) -> None:
        """Removes kept files, by their names with endings."""
        self.folder.discard([self._file(name) for name in names if name in self.names])

    def _file(self, name: str, ending: str = "") -> str:
        return f"parts/{self.part}/{name}" + (f".{ending}" if ending else "")


@contextmanager
def opened(path: str | Path, identity: dict[str, Any], part: str = "training") -> Iterator[Place]:
    """A place for work that belongs to no study, such as the training of one model, in a folder of its own.

    Args:
        path: the folder; a folder that holds the same work is gone on with.
        identity: what the work is: the same work has the same.
        part: name of its part.

    Raises:
        FolderError: the folder holds other work or other files, is in use, or cannot be written.
    """
    folder, wanted = RunFolder(path), json.loads(json.dumps(identity))
    with folder.locked():
        if not folder.is_run:
            folder.begin("none", wanted)
        held = folder.manifest["identity"]
        for key in sorted({*wanted, *held}):
            if held.get(key) != wanted.get(key):
                differ = f"its `{key}` is {held.get(key)!r}, and {wanted.get(key)!r} is asked for"
                raise FolderError(f"`{path}` must hold a run with these settings; {differ}; choose another folder")
        yield Place(folder, part)
