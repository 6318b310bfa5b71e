"""Runs the parts of a run: those that share cores by themselves one at a time, the others side by side in threads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from gating.runs.errors import Interrupted
from gating.runs.folder import RunFolder
from gating.runs.store import Place

__all__ = ["Part", "Resources", "progress", "run_parts"]


@dataclass(frozen=True)
class Resources:
    """What a run may use, and whom it tells; nothing here changes its result.

    Args:
        device: ``cpu`` or ``cuda``.
        workers: worker threads on the CPU, >= 1.
        keep: whether what a study drops at its end, such as fine-tuned models, is kept.
        say: receives a line about each piece of work.
    """

    device: str = "cpu"
    workers: int = 1
    keep: bool = False
    say: Callable[[str], None] = print


@dataclass(frozen=True)
class Part:
    """An independent piece of a run's work; once it is done it is not done again.

    Args:
        name: its name, and its folder below ``parts``; ``/`` stands between folders.
        work: does it, from what it keeps in its place on; the result is a function of the config alone.
        after: names of the parts whose work it reads.
        wide: whether it spreads itself over all workers; the others run on one core each.
        kept: whether its work stays in the folder after the table is written.
    """

    name: str
    work: Callable[[Place, Resources], None] = field(repr=False)
    after: tuple[str, ...] = ()
    wide: bool = False
    kept: bool = False


def progress(items: Iterable[Any] | None = None, **how: Any) -> tqdm[Any]:
    """A bar with the time that is left, on a terminal; arguments are those of tqdm."""
    return tqdm(items, disable=None, file=sys.stderr, **how)


@threadpool_limits.wrap(limits=1, user_api="blas")  # small matrices wait longer for its threads than they compute
def run_parts(parts: Sequence[Part], folder: RunFolder, resources: Resources) -> None:
    """Does every part that is not done, each after those that it reads.

    Raises:
        ValueError: two parts share a name or a folder, or wait for a part that there is not, or for each other.
        Interrupted: on Ctrl-C; what is done stays.
    """
    names = [part.name for part in parts]
    above = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    wanted = {name for part in parts for name in part.after}
    if len(set(names)) < len(names) or above & set(names) or not wanted <= set(names):
        raise ValueError(f"`parts` must have folders of their own, and wait for each other's names; got {names}")
    left = [part for part in parts if part.name not in folder.done]
    try:
        while left:
            ready = [part for part in left if set(part.after) <= set(folder.done)]
            if not ready:
                raise ValueError(f"`parts` must not wait for each other in a circle; got {[p.name for p in left]}")
            wide = next((part for part in ready if part.wide), None)
            if wide:
                _do(wide, folder, resources)
            else:
                _side_by_side(ready, folder, resources)
            left = [part for part in left if part.name not in folder.done]
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; `{folder.path}` holds what is done") from None


def _do(part: Part, folder: RunFolder, resources: Resources) -> None:
    part.work(Place(folder, part.name), resources)
    folder.finish(part.name)


def _side_by_side(parts: list[Part], folder: RunFolder, resources: Resources) -> None:
    with ThreadPoolExecutor(resources.workers, initializer=_one_core) as pool:
        try:
            work = pool.map(lambda part: _do(part, folder, resources), parts)
            for _ in progress(work, total=len(parts), desc=parts[0].name.split("/")[0], unit="part"):
                pass
        except BaseException:  # an error, or Ctrl-C, which may come outside of the map: nothing else cancels the rest
            pool.shutdown(cancel_futures=True)
            raise


def _one_core() -> None:
    """Work of a thread stays on one core, where torch is in use at all."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
