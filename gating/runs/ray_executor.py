"""Parts of a run as tasks of Ray, on this machine or on a cluster whose nodes share the run's folder."""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from threadpoolctl import threadpool_limits

from gating.runs.errors import FolderError, Interrupted, RunFailed
from gating.runs.executor import Part, Resources, do_part
from gating.runs.folder import RunFolder
from gating.runs.identity import LIBRARIES, environment
from gating.runs.part_folder import PartFolder
from theory.settings import SpecError

for _name, _value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}.items():
    os.environ.setdefault(_name, _value)  # nothing is reported; and the second is what Ray warns to set

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ModuleNotFoundError as missing:
    needs = f"`executor` 'ray' needs the package '{missing.name}', which is not installed"
    raise SpecError([f"{needs}; `pip install 'icl-gating[ray]'` installs it"]) from missing

__all__ = ["RayExecutor"]

MOST_RETRIES = 10
"""How often a part is begun again, from its last save, whose worker or node died, or whose disk refused."""

HANDED_OUT = 8
"""Parts that a core is given, with those that wait. Ray takes a process back that has none left and asks for it anew,
which takes longer than a short part: with 2, a part of `benchmarks/many_parts.py` took four times as long."""

STOP_SECONDS = 30.0
"""How long parts may take to stop."""

POLL_SECONDS = 0.5
"""How often a process looks whether its part shall stop."""

COUNT_SECONDS = 5.0
"""How often the cores of the cluster are counted anew."""

CONNECT_SECONDS = 5.0
Files = dict[str, list[str]]
Numbers = tuple[str, Mapping[str, float], int]


class RayExecutor:
    """Parts as tasks; the folder's holder takes up what each has written when it ends.

    A part takes one core, and a wide one `workers` of them; on a GPU each takes one.

    Args:
        folder: folder of the run, which this process holds, and which every node sees under the same path.
        resources: what the run may use.

    Raises:
        SpecError: there is no such cluster.
    """

    def __init__(self, folder: RunFolder, resources: Resources):
        self._folder, self._resources = folder, resources
        self._running: dict[Any, str] = {}

    def __enter__(self) -> Self:
        self._owned = not ray.is_initialized()
        if self._owned:
            _connect(self._resources)
        self._count_cores()
        how = self._resources
        path, stop = self._folder.path.resolve(), self._folder.draft().resolve()
        self._task = _Task(str(path), os.getcwd(), _computes(), how.device, how.workers, how.keep, str(stop))
        return self

    def __exit__(self, *error: object) -> None:
        if self._owned:
            ray.shutdown()

    def _count_cores(self) -> None:
        """Cores of the cluster, and of its largest node; nodes come and go."""
        self._counted = time.monotonic()
        cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        self._cores, self._largest = max(1, sum(cores)), max(1, *cores, 0)

    def room(self, part: Part) -> bool:
        """Whether few parts wait; more would take memory and gain nothing."""
        if time.monotonic() > self._counted + COUNT_SECONDS:
            self._count_cores()
        return len(self._running) < HANDED_OUT * self._cores

    def begin(self, part: Part) -> None:
        """Hands a part to the cluster."""
        read = (part.name, *part.after, *(part.scope + name for name in part.after))
        cores = min(self._resources.workers, self._largest) if part.wide else 1
        needs = {"num_cpus": cores, "num_gpus": 1 if self._resources.device == "cuda" else 0}
        task = _do.options(**needs).remote(part, self._folder.files_of(read), self._task)
        self._running[task] = part.name

    def ended(self) -> Iterator[str]:
        """Waits for the next part to end; with it come those that ended meanwhile."""
        first, others = ray.wait(list(self._running), num_returns=1)
        more = ray.wait(others, num_returns=len(others), timeout=0)[0] if others else []
        yield from self._of([*first, *more])

    def stop(self) -> Iterator[str]:
        """Tells parts to end at their next step, by a file: `ray.cancel` can abort this process where a task ends as
        it is cancelled (a failed check of Ray 2.60)."""
        with suppress(Exception):  # the run has its error already
            Path(self._task.stop).touch()
            ready = ray.wait(list(self._running), num_returns=len(self._running), timeout=STOP_SECONDS)[0]
            yield from self._of(ready)

    def _of(self, tasks: list[Any]) -> Iterator[str]:
        """Takes up what parts have written, all in one line of the journal; then raises the error of one."""
        found, ended, failed = dict[str, Files](), [], None
        for task in tasks:
            part = self._running[task]
            try:
                files, said, told = _result(task, part)
            except Exception as error:
                failed = failed or error
                continue
            ended.append(task)
            found[part] = files
            for line in said:
                self._resources.say(line)
            for numbers in told:
                self._resources.log(*numbers)
        if found:
            self._folder.adopt(found, done=True)
        for task in ended:
            yield self._running.pop(task)
        if failed:
            raise failed


def _connect(resources: Resources) -> None:
    """Starts a cluster on this machine, or finds the one that is asked for."""
    how: dict[str, Any] = {"address": resources.address, "log_to_driver": False, "logging_level": logging.ERROR}
    if resources.address == "local":
        how |= {"num_cpus": resources.workers, "include_dashboard": False}
    # Ray prints each failure that it mends, with its traceback and among the results
    ray._private.worker._worker_logs_enabled = False
    try:
        host, _, port = resources.address.rpartition(":")
        if port.isdecimal() and "/" not in host:  # Ray takes a minute to find out that nobody is there
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(**how)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        said = str(error).split("\n")[0]
        asked = f"the address of a running cluster of Ray, 'auto' or 'local'; got {resources.address!r}"
        raise SpecError([f"`address` must be {asked} ({said})"]) from error


def _result(task: Any, part: str) -> tuple[Files, list[str], list[Numbers]]:
    """What a task returned; raises the error that it ended with, as threads do."""
    try:
        return ray.get(task)
    except RayError as error:
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, Exception) and not isinstance(cause, RayError):
            raise cause from None
        said = str(cause).split("\n")[0]
        raise RunFailed(f"no process could do part `{part}`, begun up to {MOST_RETRIES + 1} times ({said})") from None


@cache
def _computes() -> dict[str, str]:
    """What the numbers come from, which must be the same on every node."""
    here = environment()
    return {name: here[name] for name in ("icl-gating", "python", "processor", *LIBRARIES)}


@dataclass(frozen=True)
class _Task:
    """What all parts of a run share: its folder, where it was started, with which software, its resources, and the
    file that is there once they shall stop."""

    path: str
    here: str
    computes: dict[str, str]
    device: str
    workers: int
    keep: bool
    stop: str


def _do_in_worker(part: Part, files: Files, task: _Task) -> tuple[Files, list[str], list[Numbers]]:
    """Does a part on some node; returns its files, with their checksums, the lines that it said, and what trackers are
    to be told."""
    if task.computes != _computes():
        differ = {name: (there, _computes()[name]) for name, there in task.computes.items()
                  if there != _computes()[name]}  # fmt: skip
        raise RunFailed(f"every node must have the same software and processor; there and here differ: {differ}")
    for name, place in (("out", task.path), ("the folder where the command is run", task.here)):
        if not Path(place).is_dir():
            raise RunFailed(f"`{name}` must be a folder that every node sees; a node has no `{place}`")
    said: list[str] = []
    told: list[Numbers] = []
    how = Resources(task.device, task.workers if part.wide else 1, task.keep, said.append,
                    log=lambda *numbers: told.append(numbers))  # fmt: skip
    if Path(task.stop).exists():
        raise Interrupted("interrupted before it began")
    os.chdir(task.here)  # settings may name files from there
    with PartFolder(task.path, part.name, files) as folder, threadpool_limits(1, "blas"), _told(task.stop, how.stop):
        if folder.goes_on:
            said.append(f"{part.name}: begun again, from its last save")
        _set_threads(how.workers)
        do_part(part, folder, how)
        return folder.files_of([part.name]), said, told


@contextmanager
def _told(file: str, stop: threading.Event) -> Iterator[None]:
    """Sets the event soon after the file is there."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            if os.path.exists(file):
                stop.set()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _set_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


_do: Any = ray.remote(max_retries=MOST_RETRIES, retry_exceptions=[OSError, FolderError])(_do_in_worker)  # type: ignore[call-overload]
