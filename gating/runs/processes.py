"""Several processes that do one run together, as ``torchrun`` and ``accelerate launch`` start them.

The first one has the folder, and runs as a single process would. The others wait to be told of a part, and do it with
the first: a part that spreads itself talks over torch's process group. A process that fails ends all of them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gating.runs.errors import FolderError, RunFailed
from gating.runs.executor import Part, Resources
from gating.runs.journal import Journal
from gating.runs.listed_files import ListedFiles
from gating.runs.manifest import Manifest
from gating.runs.ranks import number, share, started
from gating.runs.store import Place, opened
from theory.settings import SpecError

if TYPE_CHECKING:
    import pandas as pd
    from torch.distributed import Store

    from gating.runs.study import Study

__all__ = ["SharedFiles", "announced", "follow", "lead", "opened_by_first"]

LONGEST = timedelta(hours=24)
"""How long a process waits for the others: what one does alone, such as a download, may take long."""

PATIENCE_SECONDS = 2.0
"""How long a process that has failed waits for the first one to say the same."""

KEY = "icl-gating/failed/"
LOST = "another process of the run has ended; what is saved stays, and the command without --again goes on from it"


class _Told(NamedTuple):
    """What the first process tells of a part that begins."""

    part: str
    path: Path
    files: dict[str, list[str]]
    keep: bool


class SharedFiles(ListedFiles):
    """Files of a part for a process that helps with it: it reads what the first one has kept, and keeps nothing.

    Args:
        path: folder of the run, which all processes see.
        files: files that the part had when it began, with their checksums.
    """

    def __init__(self, path: str | Path, files: Mapping[str, list[str]]):
        super().__init__(path)
        self._set(files)

    def _set(self, files: Mapping[str, list[str]]) -> None:
        self._manifest = Manifest(self.path, {"files": dict(files), "done": []}, Journal(Path(os.devnull), ""))

    def has(self, name: str) -> bool:
        """Whether a file is kept, by now, as far as the process that keeps it goes the same way."""
        return name in self.manifest["files"]

    def write(self, name: str, save: Callable[[Path], Any]) -> None:
        """Takes note of a file that the first process keeps."""
        self._set({**self.manifest["files"], name: []})

    def discard(self, names: Sequence[str], parts: Sequence[str] = ()) -> None:
        """Takes note of files that the first process removes."""
        self._set({name: known for name, known in self.manifest["files"].items() if name not in names})


def announced(parts: Sequence[Part]) -> list[Part]:
    """Parts of which those that spread themselves tell the other processes that they begin."""
    return [replace(part, work=partial(_announce, part)) if part.wide else part for part in parts]


def _announce(part: Part, place: Place, resources: Resources) -> None:
    share(_Told(part.name, place.folder.path, place.folder.files_of([part.name]), resources.keep))
    part.work(place, resources)


def lead(study: Study[Any], resources: Resources, run: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Runs a study in the first process of several; `follow` in the others ends when this does, in whatever way.

    Raises:
        SpecError: the study runs in one process, or they are asked to work through Ray.
        RunFailed: another process has ended, or what `run` raises.
    """
    _require_shared(study, resources)
    with _joined(resources.device):
        return share(run())


def follow(
    study: Study[Any], config: Any, resources: Resources, parts_of: Callable[[Study[Any], Any, str], list[Part]]
) -> pd.DataFrame:
    """Does the parts that the first process tells of, with it, until it ends; returns its table.

    Raises:
        SpecError: settings or inputs do not suit.
        RunFailed: a computation has no result, or another process has ended.
    """
    _require_shared(study, resources)
    quiet = replace(resources, say=lambda line: None, keep=False)
    of_name = {part.name: part for part in parts_of(study, config, resources.device)}
    with _joined(resources.device):
        checked = False
        while isinstance(told := share(), _Told):
            if not checked:
                study.check(config, quiet)
                checked = True
            part = of_name[told.part]
            part.work(Place(SharedFiles(told.path, told.files), part.name, part.scope), replace(quiet, keep=told.keep))
        return told


def _require_shared(study: Study[Any], resources: Resources) -> None:
    n = started()
    if not study.shared:
        raise SpecError([f"`{study.name()}` runs in one process; {n} were started: leave out torchrun or accelerate"])
    if resources.executor != "threads":
        raise SpecError([f"`executor` must be threads where {n} processes run together; got '{resources.executor}'"])


@contextmanager
def opened_by_first(path: str | Path, identity: dict[str, Any]) -> Iterator[Place]:
    """As `gating.runs.store.opened`, which the first of several processes does; the others read what it keeps.

    Raises:
        FolderError: in all of them, where the first one cannot open the folder.
    """
    if number():
        told = share()
        if isinstance(told, Exception):
            raise told
        yield Place(SharedFiles(told.path, told.files), told.part)
        return
    with ExitStack() as stack:
        try:
            place = stack.enter_context(opened(path, identity))
        except FolderError as error:
            share(error)
            raise
        share(_Told(place.part, place.folder.path, place.folder.files_of([place.part]), True))
        yield place


@contextmanager
def _joined(device: str) -> Iterator[None]:
    """The group of all processes; what one fails with, the others learn from the store in which they met."""
    store = _begin(device)
    try:
        yield
    except BaseException as error:
        if _is_lost(error):
            said, lost = _failure(store, number()), f"{LOST} ({_first_line(error)})"
            if number() and not said:
                print(f"gating: process {number()} of {started()}: {lost}", file=sys.stderr, flush=True)
            raise RunFailed(said or lost) from error
        words = str(error) or type(error).__name__
        store.set(f"{KEY}{number()}", words)
        if number() and not _says(store, words):
            print(f"gating: process {number()} of {started()}: {words}", file=sys.stderr, flush=True)
        raise


def _first_line(error: BaseException) -> str:
    """What torch says: others may be there, and no connection between them."""
    return str(error).split("\n")[0] or type(error).__name__


def _begin(device: str) -> Store:
    import torch
    import torch.distributed as dist

    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=LONGEST)
    found: Store = dist.distributed_c10d._get_default_store()
    return found


def _is_lost(error: BaseException) -> bool:
    """Whether torch found that another process does not answer."""
    import torch.distributed as dist

    words = ("Connection", "gloo", "NCCL")
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def _failure(store: Store, own: int) -> str:
    """What another process has failed with; nothing where none has said so."""
    with suppress(RuntimeError):  # the store may have gone too
        for other in range(started()):
            if other != own and store.check([f"{KEY}{other}"]):
                return f"process {other} of {started()} has failed: {store.get(f'{KEY}{other}').decode()}"
    return ""


def _says(store: Store, words: str) -> bool:
    """Whether the first process fails with the same words, within a moment."""
    until = time.monotonic() + PATIENCE_SECONDS
    with suppress(RuntimeError):
        while time.monotonic() < until:
            if store.check([f"{KEY}0"]):
                return store.get(f"{KEY}0").decode() == words
            time.sleep(0.05)
    return False
