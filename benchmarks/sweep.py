"""A sweep of six settings and three seeds beside six runs one after the other: ``python benchmarks/sweep.py``.

Both are commands of their own, in turns, so both pay for what a process imports, compiles and draws. The six settings
of a sweep train together, in groups of up to 24 replicas; a run of one of them has six replicas of each ensemble.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

NOISES, SHARES = (0.0, 0.1, 0.2), (0.5, 0.9)


def seconds(commands: list[list[str]]) -> float:
    """Time that commands take one after the other."""
    start = time.perf_counter()
    for command in commands:
        subprocess.run([sys.executable, "-m", "gating", *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Prints the median time of each, and their ratio in each turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    steps = [f"--{name}_training.steps={given.steps}" for name in ("transformer", "stylized")]
    base = [
        "--n_seeds=3",
        "--n_sequences=[256, 4096]",
        "--evaluation_per_cell=50",
        f"--workers={given.workers}",
        *steps,
    ]
    over = [f"--over=distribution.label_noise={list(NOISES)}", f"--over=distribution.p_relevant={list(SHARES)}"]
    times: dict[str, list[float]] = {"sweep": [], "six runs": []}
    for turn in range(given.turns):
        with tempfile.TemporaryDirectory() as root:
            alone = [
                ["compare", f"--distribution.label_noise={noise}", f"--distribution.p_relevant={share}", *base,
                 f"--out={Path(root) / f'{noise}-{share}'}"]
                for noise, share in product(NOISES, SHARES)
            ]  # fmt: skip
            times["sweep"].append(seconds([["sweep", "compare", *over, *base, f"--out={Path(root) / 'sweep'}"]]))
            times["six runs"].append(seconds(alone))
        print(f"turn {turn}: " + ", ".join(f"{name} {taken[-1]:.0f} s" for name, taken in times.items()), flush=True)
    ratio = statistics.median(six / one for one, six in zip(*times.values(), strict=True))
    medians = ", ".join(f"{name} {statistics.median(taken):.0f} s" for name, taken in times.items())
    print(f"medians: {medians}; six runs take {ratio:.2f} times as long")


if __name__ == "__main__":
    main()
