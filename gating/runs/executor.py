"""Runs the parts of a run, each after those it reads: in threads of this process, or as tasks of Ray."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath
from typing import Any, Protocol

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from gating.runs.errors import Interrupted
from gating.runs.folder import RunFolder
from gating.runs.listed_files import ListedFiles
from gating.runs.precision import matmul_precision
from gating.runs.store import Place
from gating.runs.tracking import Log, TrackerName, untold

__all__ = ["Executor", "Part", "Resources", "progress", "run_parts"]


@dataclass(frozen=True)
class Resources:
    """What a run may use, and whom it tells; nothing here changes its result.

    Args:
        device: ``cpu`` or ``cuda``.
        workers: worker threads on the CPU, >= 1.
        keep: whether what a study drops at its end, such as fine-tuned models, is kept.
        say: receives a line about each piece of work.
        executor: ``threads`` of this process, or ``ray``.
        address: cluster of Ray, as `ray.init` takes it; ``local`` starts one on this machine for the run.
        trackers: that are told of the run.
        log: receives numbers of a step of a piece of work.
        stop: set when work that goes on shall end at its next step.
    """

    device: str = "cpu"
    workers: int = 1
    keep: bool = False
    say: Callable[[str], None] = print
    executor: str = "threads"
    address: str = "local"
    trackers: tuple[TrackerName, ...] = ()
    log: Log = untold
    stop: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)


@dataclass(frozen=True)
class Part:
    """An independent piece of a run's work; once it is done it is not done again.

    Args:
        name: its name, and its folder below ``parts``; ``/`` stands between folders.
        work: does it, from what it keeps in its place on; the result is a function of the config alone.
        after: names of the parts whose work it reads, or of folders of parts.
        wide: whether it spreads itself over all workers, whose number then decides how sums are rounded; the others
            run on one core each, with the same result for any number of workers.
        kept: whether its work stays in the folder after the table is written.
        scope: folder of the parts that it calls by name, with a ``/`` at its end.
    """

    name: str
    work: Callable[[Place, Resources], None] = field(repr=False)
    after: tuple[str, ...] = ()
    wide: bool = False
    kept: bool = False
    scope: str = ""


class Executor(Protocol):
    """Where parts run."""

    def room(self, part: Part) -> bool:
        """Whether the part can begin now."""

    def begin(self, part: Part) -> None:
        """Begins a part."""

    def ended(self) -> Iterator[str]:
        """Names of parts that have ended well, one or more, once the folder lists them as done; raises the error of
        one that has not."""

    def stop(self) -> Iterator[str]:
        """Ends what goes on; names of those parts that came to their end yet."""


def progress(items: Iterable[Any] | None = None, **how: Any) -> tqdm[Any]:
    """A bar with the time that is left, on a terminal; arguments are those of tqdm."""
    return tqdm(items, disable=None, file=sys.stderr, **how)


def run_parts(parts: Sequence[Part], folder: RunFolder, resources: Resources) -> None:
    """Does every part that is not done, each after those that it reads.

    Raises:
        ValueError: two parts share a name or a folder, or wait for a part that there is not, or for each other.
        Interrupted: on Ctrl-C; what is done stays.
    """
    order, done = _order(parts), set(folder.done)
    of_name = {part.name: part for part in parts}
    if done >= of_name.keys():
        return
    wide, narrow = deque[Part](), deque[Part]()

    def ended(names: Iterable[str]) -> None:
        for name in names:
            order.done(name)
            bar.update()

    with (
        _executor(folder, resources) as work,
        progress(total=len(parts), initial=len(done & of_name.keys()), desc="parts", unit="part") as bar,
    ):
        try:
            while True:
                while names := order.get_ready():
                    for name in names:
                        if name in done or name not in of_name:
                            order.done(name)
                        else:
                            (wide if of_name[name].wide else narrow).append(of_name[name])
                if not order.is_active():
                    return
                while (ready := wide or narrow) and work.room(ready[0]):
                    work.begin(ready.popleft())
                ended(work.ended())
        except BaseException as error:
            ended(work.stop())
            if isinstance(error, KeyboardInterrupt | Interrupted):
                raise Interrupted(f"interrupted; `{folder.path}` holds what is done") from None
            raise


def _order(parts: Sequence[Part]) -> TopologicalSorter[str]:
    """Parts after those that they read; a folder of parts, with a ``/`` at its end, after the parts in it."""
    names = [part.name for part in parts]
    inside: dict[str, list[str]] = {}
    for name in names:
        for above in map(str, PurePosixPath(name).parents):
            inside.setdefault(above, []).append(name)
    known = {name: f"{name}/" for name in inside} | {name: name for name in names}
    unknown = [name for part in parts for name in part.after if name not in known]
    if len(set(names)) < len(names) or inside.keys() & set(names) or unknown:
        raise ValueError(f"`parts` must have folders of their own, and wait for each other's names; got {names}")
    order = TopologicalSorter({part.name: [known[name] for name in part.after] for part in parts})
    for name in {name for part in parts for name in part.after} & inside.keys():
        order.add(f"{name}/", *inside[name])
    try:
        order.prepare()
    except CycleError as error:
        raise ValueError(f"`parts` must not wait for each other in a circle; got {error.args[1]}") from None
    return order


@contextmanager
def _executor(folder: RunFolder, resources: Resources) -> Iterator[Executor]:
    if resources.executor == "ray":
        from gating.runs.ray_executor import RayExecutor

        with RayExecutor(folder, resources) as work:
            yield work
    else:
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(resources.workers, initializer=_one_core) as pool:
            yield _Threads(pool, folder, replace(resources, stop=threading.Event()))


class _Threads:
    """Parts side by side in threads of this process, and wide ones alone in the thread that asks."""

    def __init__(self, pool: ThreadPoolExecutor, folder: RunFolder, resources: Resources):
        self._pool, self._folder, self._resources = pool, folder, resources
        self._do = partial(do_part, folder=folder, resources=resources)
        self._running: dict[Future[None], str] = {}
        self._wide: Part | None = None

    def room(self, part: Part) -> bool:
        """Whether a thread is free; for a wide part, all of them."""
        return self._wide is None and len(self._running) < (1 if part.wide else self._resources.workers)

    def begin(self, part: Part) -> None:
        """Begins a part; a wide one waits for `ended`."""
        if part.wide:
            self._wide = part
        else:
            self._running[self._pool.submit(self._do, part)] = part.name

    def ended(self) -> Iterator[str]:
        """Waits for the next part to end."""
        if self._wide:
            part, self._wide = self._wide, None
            self._do(part)
            self._folder.finish(part.name)
            yield part.name
        else:
            yield from self._of(wait(self._running, return_when=FIRST_COMPLETED).done)

    def stop(self) -> Iterator[str]:
        """Work ends at its next step; parts that have none come to their end."""
        self._resources.stop.set()
        done = wait(self._running).done
        yield from self._of([future for future in done if future.exception() is None])

    def _of(self, futures: Iterable[Future[None]]) -> Iterator[str]:
        for future in futures:
            future.result()
            self._folder.finish(self._running[future])  # before it is popped: Ctrl-C may come while this is written
            yield self._running.pop(future)


def do_part(part: Part, folder: ListedFiles, resources: Resources) -> None:
    """Does a part; products of matrices are of full precision where it asks for no other."""
    with matmul_precision("highest"):
        part.work(Place(folder, part.name, part.scope), resources)


def _one_core() -> None:
    """Work of a thread stays on one core, where torch is in use at all."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
