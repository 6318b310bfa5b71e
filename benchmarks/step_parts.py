"""What two choices inside a training step are worth: the order of the read-out's product, and memory that is kept.

    python -m benchmarks.step_parts     # about a minute, on an otherwise idle machine

The read-out of a balls-and-urns model maps 8,192 tokens of width 64 to 9 answers; its product is computed as (W' X')'
and as X W, in alternating windows. Memory that a step frees is kept by the process, which is a setting of the whole
process: both ways train the urn model in processes of their own, in turns, and pages that are taken anew are counted.
One thread; medians (range), by the processor's time.
"""

import argparse
import resource
import statistics
import subprocess
import sys
from time import process_time

import torch

from benchmarks.strategies import SETTINGS, SIZES, TASKS
from benchmarks.windows import ROUNDS, System, alternating, table
from gating.training import trainer

TOKENS, WIDTH, ANSWERS, STEPS = 8192, 64, 9, 60


def read_out() -> None:
    rows, weight = torch.randn(1, TOKENS, WIDTH), torch.randn(1, WIDTH, ANSWERS)

    def turned(count: int) -> None:
        for _ in range(count):
            torch.bmm(weight.mT, rows.mT)

    def plain(count: int) -> None:
        for _ in range(count):
            torch.bmm(rows, weight)

    rates = alternating({"turned": System(turned), "plain": System(plain)})
    print(f"read-out: (W' X')' is {rates.ratios('turned', 'plain')[1]} times as fast as X W\n")


def memory() -> None:
    found: dict[str, list[tuple[float, float]]] = {"kept": [], "given back": []}
    for _ in range(ROUNDS):
        for way, rates in found.items():
            said = subprocess.run(
                [sys.executable, "-m", "benchmarks.step_parts", "--train", way], capture_output=True, check=True
            )
            rate, pages = map(float, said.stdout.split())
            rates.append((rate, pages))
    lines = ((way, *(f"{statistics.median(of):,.1f} ({min(of):,.1f} to {max(of):,.1f})"
                     for of in zip(*values, strict=True))) for way, values in found.items())  # fmt: skip
    print(table(["freed memory is", "steps/s", "pages taken anew in a step"], lines))


def train(way: str) -> None:
    """Prints steps a second, and pages taken anew in each."""
    torch.set_num_threads(1)
    if way == "given back":
        trainer._keep_freed_memory = lambda: None  # type: ignore[assignment]
    steps = SIZES[0].ours([TASKS], SETTINGS)
    steps(5)
    start, pages = process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    steps(STEPS)
    print(STEPS / (process_time() - start), (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages) / STEPS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", choices=("kept", "given back"), help=argparse.SUPPRESS)
    chosen = parser.parse_args().train
    if chosen:
        train(chosen)
    else:
        torch.set_num_threads(1)
        read_out()
        memory()
