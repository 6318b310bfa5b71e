"""Sequences per second and peak memory of the class-mixture sampler, by the size N of the training set.

    python benchmarks/sampler.py [--repeats 5] [--sequences 200000] [--batch 512]

The sampler draws the paper's sequences (10 classes, one context pair, 64 dimensions) from random rows on one thread,
batch after batch. Each measurement runs in a process of its own; memory is the peak resident size beyond that of a
process which has only imported the packages. Prints medians as a Markdown table.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

SIZES = (2**10, 2**20, 2**30)


def peak_mib() -> float:
    """Peak resident memory of this process; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure(n: int, n_sequences: int, batch: int) -> None:
    """Prints sequences per second and MiB beyond the imports."""
    import torch

    from gating.tasks.class_mixture import ClassMixtureSampler
    from theory.distribution import ClassMixture

    torch.set_num_threads(1)
    torch.ones(64, 64) @ torch.ones(64, 64)
    imports = peak_mib()
    sampler = ClassMixtureSampler([ClassMixture()], [n], [0])
    sampler.batches(0, 1, batch)
    start = time.perf_counter()
    steps = n_sequences // batch
    for step in range(1, steps + 1):
        sampler.batches(step, 1, batch)
    seconds = time.perf_counter() - start
    print(steps * batch / seconds, peak_mib() - imports)


def main() -> None:
    """Runs the measurements and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--only", type=int, help="measure one N in this process")
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.only, arguments.sequences, arguments.batch)
        return
    runs: dict[int, list[tuple[float, float]]] = {n: [] for n in SIZES}
    for _ in range(arguments.repeats):
        for n in SIZES:
            command = [sys.executable, __file__, "--only", str(n), "--batch", str(arguments.batch)]
            command += ["--sequences", str(arguments.sequences)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            runs[n].append((float(out[0]), float(out[1])))
    print(f"Medians of {arguments.repeats} runs, batches of {arguments.batch}, one thread (range in brackets).\n")
    print("| N | sequences/s | peak memory beyond imports, MiB |")
    print("| --- | --- | --- |")
    for n, found in runs.items():
        rates, memory = zip(*found, strict=True)
        rate = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        size = f"{statistics.median(memory):.1f} ({min(memory):.1f} to {max(memory):.1f})"
        print(f"| 2^{n.bit_length() - 1} | {rate} | {size} |")


if __name__ == "__main__":
    main()
