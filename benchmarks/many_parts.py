"""What the engine adds to a part: ten thousand parts without work, in threads and as tasks of Ray.

    python benchmarks/many_parts.py [--parts 10000] [--executor ray] [--workers 2] [--kills 20]
    python benchmarks/many_parts.py --executor none --parts 100000

Every part keeps one small table. Through Ray, a tenth fails at its first attempt, by an OSError or, for a few, by the
end of the process that does it (``os._exit``), and is begun again by Ray. Threads begin no part again, so that none
fails there. Columns are wall time without that of the first `FIRST` parts, which wait for processes to start; the same
by part; parts that were begun again; and the memory that the process that holds the folder has after a tenth of the
parts, and at the end. With no executor, it is the list of files alone that is measured, of parts of four files each,
and the order of as many parts. `docs/scale.md` has the figures.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import psutil

from gating.runs.executor import Part, Resources, _order, run_parts
from gating.runs.folder import RunFolder
from gating.runs.store import Place

FIRST = 100
ATTEMPT, TABLE = "attempt", "rows"


def work(fails: str, place: Place, resources: Resources) -> None:
    """Keeps one row; at the first attempt it may fail, after a record that a second one finds."""
    attempts = 1 + place.has_records(ATTEMPT)
    if fails and attempts == 1:
        place.save_records(ATTEMPT, [{"attempt": 1}])
        if fails == "exit":
            os._exit(1)
        raise OSError("made up")
    place.save_table(TABLE, pd.DataFrame({"attempts": [attempts]}))
    resources.say("")


def parts_of(count: int, kills: int, fail: bool) -> list[Part]:
    """Parts whose every tenth fails at first, and of these every so many by the end of its process."""
    failing = range(5, count, 10) if fail else range(0)
    killed = set(failing[:: max(1, len(failing) // kills)][:kills]) if kills else set()
    kinds = {number: "exit" if number in killed else "error" for number in failing}
    return [Part(f"work/{number}", partial(work, kinds.get(number, ""))) for number in range(count)]


class Watch:
    """Time and memory after each part, which says one line at its end."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.memory: list[float] = []
        self._process = psutil.Process()

    def __call__(self, line: str) -> None:
        self.times.append(time.perf_counter())
        self.memory.append(self._process.memory_info().rss / 2**20)


def measured(parts: Sequence[Part], resources: Callable[[Watch], Resources]) -> tuple[float, Watch, int]:
    """Seconds by part, what was watched, and how many parts were begun again."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as root:
        folder = RunFolder(Path(root) / "run")
        with folder.locked():
            folder.begin("none", {})
            run_parts(parts, folder, resources(watch))
            assert len(set(folder.done)) == len(parts)
            again = sum(name.endswith(f"{ATTEMPT}.jsonl") for name in folder.manifest["files"])
    seconds = watch.times[-1] - watch.times[FIRST - 1]
    return seconds / (len(parts) - FIRST), watch, again


def list_of_files(count: int) -> None:
    """Prints what a list of the files of so many parts takes; none of them is there."""
    memory, known = psutil.Process().memory_info, ["0" * 64]
    with tempfile.TemporaryDirectory() as root:
        folder = RunFolder(Path(root) / "run")
        with folder.locked():
            folder.begin("none", {})
            before = memory().rss
            for first in range(0, count, 1000):
                names = [f"work/{number}" for number in range(first, min(first + 1000, count))]
                folder.adopt({p: {f"parts/{p}/{n}.parquet": known for n in range(4)} for p in names}, done=True)
            held, journal = (memory().rss - before) / 2**20, (folder.path / ".gating" / "journal").stat().st_size
            print(f"{count:,} parts of 4 files: {held:.0f} MiB, {journal / count:.0f} bytes of journal a part")
            seconds = {"write the manifest": timed(folder.change)}
            print(f"{(folder.path / 'manifest.json').stat().st_size / count:.0f} bytes of manifest a part")
            seconds["read it"] = timed(lambda: RunFolder(folder.path).manifest)
            seconds["find the files of a part"] = timed(lambda: folder.files_of(["work/7"]))
            seconds["remove all parts"] = timed(lambda: folder.forget([f"work/{number}" for number in range(count)]))
    trained = [Part(f"train/{number}", print) for number in range(count // 2)]
    measured = [Part(f"measure/{number}", print, ("train",)) for number in range(count // 2)]
    seconds[f"put {count // 2:,} parts after {count // 2:,} others"] = timed(lambda: _order([*trained, *measured]))
    for what, taken in seconds.items():
        print(f"{what}: {taken:.3g} s")


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--executor", choices=["threads", "ray", "both", "none"], default="both")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=20)
    given = parser.parse_args()
    if given.executor == "none":
        return list_of_files(given.parts)
    print("| executor | workers | parts | ms a part | begun again | MiB at a tenth | MiB at the end |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for executor in ["threads", "ray"] if given.executor == "both" else [given.executor]:
        parts = parts_of(given.parts, given.kills, executor == "ray")
        seconds, watch, again = measured(
            parts, lambda watch, name=executor: Resources(workers=given.workers, say=watch, executor=name)
        )
        early, late = watch.memory[given.parts // 10], watch.memory[-1]
        print(
            f"| {executor} | {given.workers} | {given.parts:,} | {1e3 * seconds:.1f} | {again:,} | {early:.0f} |"
            f" {late:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
