"""Where the explorer's numbers are computed: a few processes beside the server, and one bounded store for all readers.

What a process has begun ends within a limit of time and memory, or the process ends. What nobody waits for any more is
not begun.
"""

import asyncio
import multiprocessing
import resource
import signal
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Pool", "TookTooLongError"]

WORKER_BYTES = 2**31
"""Memory that a process may have in its address space, beyond what it has when it begins."""


START_SECONDS = 120.0
"""How long a process may take until it can be asked."""


class TookTooLongError(Exception):
    """A computation went beyond the limit of time or of memory."""


class _Worker:
    """A process that answers one question at a time."""

    def __init__(self, needs: str) -> None:
        near, far = multiprocessing.get_context("spawn").Pipe()
        self._line: Connection = near
        self._process = multiprocessing.get_context("spawn").Process(target=_work, args=(far, needs), daemon=True)
        self._process.start()
        self._ready = False
        far.close()

    def answer(self, work: Callable[..., Any], given: tuple[Any, ...], seconds: float) -> Any:
        """What the work gives; the process is of no use afterwards where it takes too long, or ends."""
        try:
            if not self._ready:
                if not self._line.poll(START_SECONDS):
                    raise TookTooLongError
                self._ready = bool(self._line.recv())
            self._line.send((work, given))
            if not self._line.poll(seconds):
                raise TookTooLongError
            found = self._line.recv()
        except (EOFError, OSError) as ended:
            raise TookTooLongError from ended
        if isinstance(found, Exception):
            raise found
        return found

    @property
    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process.is_alive() and not self._line.closed

    def end(self) -> None:
        """Ends the process, whatever it does; a thread that waits for it waits no more."""
        self._process.kill()
        self._process.join()
        self._line.close()


def _work(line: Connection, needs: str) -> None:
    """Answers questions until the other side hangs up, or ends this process; Ctrl-C is the other side's alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _answers(line, needs)


def _answers(line: Connection, needs: str) -> None:
    import_module(needs)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + WORKER_BYTES, resource.RLIM_INFINITY))
    line.send(True)
    while True:
        work, given = line.recv()
        try:
            found = work(*given)
        except Exception as error:
            found = error
        line.send(found)


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@dataclass
class _Asked:
    """A question that is being answered, and how many wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0
    begun: list[bool] = field(default_factory=list)


class Pool:
    """Processes that compute, and what they have found, for all readers of one server.

    Args:
        workers: number of processes.
        seconds: how long one computation may take.
        kept: characters of answers that are kept; the oldest go first.
        needs: module that questions need, which a process imports before its memory is limited.
    """

    def __init__(self, workers: int = 2, seconds: float = 30.0, kept: int = 2**26, needs: str = "gating.explore.laid"):
        self.seconds, self._most, self._needs = seconds, kept, needs
        self._kept: OrderedDict[Hashable, str] = OrderedDict()
        self._size = 0
        self._asked: dict[Hashable, _Asked] = {}
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._workers: set[_Worker] = set()
        for _ in range(workers):
            self._idle.put_nowait(self._begun())

    def _begun(self) -> _Worker:
        worker = _Worker(self._needs)
        self._workers.add(worker)
        return worker

    def _anew(self, worker: _Worker) -> _Worker:
        """Another process in the place of one."""
        self._workers.discard(worker)
        worker.end()
        return self._begun()

    def knows(self, key: Hashable) -> bool:
        """Whether the answer is kept."""
        return key in self._kept

    async def ask(self, key: Hashable, work: Callable[..., str], *given: Any) -> str:
        """The answer to a question, computed once however many ask; dropped before it begins where all have gone.

        Raises:
            TookTooLongError: it took longer than allowed, or needed more memory.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        asked = self._asked.get(key)
        if asked is None:
            begun: list[bool] = []
            asked = _Asked(asyncio.ensure_future(self._compute(key, begun, work, given)), begun=begun)
            self._asked[key] = asked
            asked.task.add_done_callback(partial(self._forget, key, asked))
        asked.waiting += 1
        try:
            return str(await asyncio.shield(asked.task))
        finally:
            asked.waiting -= 1
            if not asked.waiting and not asked.begun and not asked.task.done():
                self._forget(key, asked)
                asked.task.cancel()

    def _forget(self, key: Hashable, asked: _Asked, *_: Any) -> None:
        """Drops a question; the same one may have been asked anew meanwhile."""
        if self._asked.get(key) is asked:
            del self._asked[key]

    async def _compute(self, key: Hashable, begun: list[bool], work: Callable[..., str], given: tuple[Any, ...]) -> str:
        worker = await self._idle.get()
        begun.append(True)
        try:
            if not worker.lives:
                worker = self._anew(worker)
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(None, worker.answer, work, given, self.seconds)
        except TookTooLongError:
            worker = self._anew(worker)
            raise
        finally:
            self._idle.put_nowait(worker)
        self._keep(key, found)
        return str(found)

    def _keep(self, key: Hashable, found: str) -> None:
        self._kept[key] = found
        self._size += len(found)
        while self._size > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest)

    def close(self) -> None:
        """Ends the processes, those that compute too."""
        while self._workers:
            self._workers.pop().end()
