"""A result table of 2e7 rows, written by parts and read by query, beside pandas reading all of it.

    python benchmarks/large_table.py                      # some minutes and 0.4 GB of disk
    python benchmarks/large_table.py --baseline-share 1   # pandas reads the whole table, not a tenth of it

Each line is measured in a process of its own, with the peak of its memory (which holds some 0.2 GB of imported
libraries). The question is that of one figure: the mean error with its interval over the seeds, by system and N, under
one condition at the last step, of one setting of a sweep or of all. Every part is one setting, with two swept columns
of its own. The files are in the cache of the operating system when they are read. `write` makes the rows as well.
"""

import argparse
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from gating.results.columns import declare_from
from gating.results.parquet import read_batches, write_table
from gating.results.query import select
from gating.results.table import make_table, summarise

declare_from("gating.studies")  # columns of the sweep: label_noise and p_relevant

KEYS = {
    "system": ("transformer", "stylized", "in_weight", "in_context"),
    "distribution": ("ibd", "oobd"),
    "context": ("relevant", "irrelevant"),
    "group": ("high", "low"),
    "measure": ("error", "log_loss", "effective_gate", "effective_gate_residual", "mean_gate"),
    "step": tuple(range(400, 10001, 400)),
    "n": (64, 256, 1024, 4096, 16384),
    "seed": (0, 1, 2, 3, 4),
}
ROWS = math.prod(len(values) for values in KEYS.values())
QUESTION = {
    "measure": "error",
    "distribution": "ibd",
    "context": "relevant",
    "group": "high",
    "step": 10000,
    "label_noise": 0.0,
    "p_relevant": 0.0,
}
SWEPT = 20


def part(index: int) -> pd.DataFrame:
    """100,000 rows of one setting of the sweep, in random order."""
    generator = np.random.default_rng(index)
    codes = np.unravel_index(generator.permutation(ROWS), [len(values) for values in KEYS.values()])
    columns = {name: np.array(values)[code] for (name, values), code in zip(KEYS.items(), codes, strict=True)}
    value = generator.random(ROWS)
    swept = {"label_noise": index % SWEPT / SWEPT, "p_relevant": index // SWEPT / SWEPT}
    rows = {"study": "sweep", "kind": "measured", "value": value, "tests": 500, "standard_error": value / 50}
    return pd.DataFrame({**columns, **rows, **swept})


def write(folder: Path, parts: int) -> str:
    for index in range(parts):
        write_table(make_table(part(index)), folder / f"{index:04}.parquet", ordered=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    return f"{parts} parts, {size / 1e9:.2f} GB"


def one_setting(folder: Path, parts: int) -> str:
    return f"{len(summarise(read_batches(folder, QUESTION)))} means"


def all_settings(folder: Path, parts: int) -> str:
    question = {name: value for name, value in QUESTION.items() if name not in ("label_noise", "p_relevant")}
    return f"{len(summarise(read_batches(folder, question)))} means"


def baseline(folder: Path, parts: int) -> str:
    table = pd.concat([pd.read_parquet(file) for file in sorted(folder.iterdir())[:parts]], ignore_index=True)
    found = select(table, QUESTION).groupby(["system", "n"])["value"].agg(["mean", "std", "count"])
    return f"{len(table)} rows, {len(found)} means"


JOBS: dict[str, Callable[[Path, int], str]] = {
    "write": write, "one_setting": one_setting, "all_settings": all_settings, "baseline": baseline,
}  # fmt: skip


def measured(job: str, folder: Path, parts: int) -> None:
    """Runs one job and prints its line."""
    start, spent = time.perf_counter(), time.process_time()
    said = JOBS[job](folder, parts)
    seconds, cpu = time.perf_counter() - start, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {job} | {seconds:.2f} | {cpu:.2f} | {peak:.2f} | {said} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=200)
    parser.add_argument("--baseline-share", type=float, default=0.1, help="share of the parts that pandas reads")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        return measured(asked.job, asked.folder, asked.parts)
    folder = Path(tempfile.mkdtemp())
    print("| what | seconds | of a core | peak memory, GiB | of |\n| --- | --- | --- | --- | --- |", flush=True)
    try:
        for job in JOBS:
            parts = round(asked.parts * asked.baseline_share) if job == "baseline" else asked.parts
            command = [sys.executable, __file__, "--job", job, "--folder", str(folder)]
            subprocess.run([*command, "--parts", str(parts)], check=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
