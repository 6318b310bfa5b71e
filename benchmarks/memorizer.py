"""Seconds and peak memory of the memorizing predictor of urns, beside a plain loop over positions.

    python benchmarks/memorizer.py [--urns 4096] [--sequences 10000] [--draws 128] [--threads 1] [--repeats 3]

Both answer the same sequences, drawn from the urns (m = 8 colours). `plain` keeps the log-weights of all urns and
sequences, and at each position takes their softmax and its product with the urns. Each measurement runs in a process of
its own, in turns; memory is the peak resident size beyond that of a process which has imported the packages and drawn
the sequences, the answers included; seconds of the processor count all threads and do not grow when the machine is
shared. Prints medians, with the range in brackets, as a Markdown table.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor

from gating.predictors.urns import UrnMemorizer
from gating.tasks.sequences import Sequences

COLOURS = 8


def peak_mib() -> float:
    """Peak resident memory of this process; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def draw(n_urns: int, n_sequences: int, n_draws: int) -> tuple[Tensor, Tensor]:
    """Urns ~ Dirichlet(1), shape (D, m), and sequences from them, shape (n, T); seed 0."""
    generator = torch.Generator().manual_seed(0)
    noise = -torch.rand(n_urns, COLOURS, generator=generator, dtype=torch.float64).log()
    urns = noise / noise.sum(-1, keepdim=True)
    task = torch.randint(0, n_urns, (n_sequences,), generator=generator)
    return urns, torch.multinomial(urns[task], n_draws, replacement=True, generator=generator)


def memorizer(urns: Tensor, y: Tensor) -> Tensor:
    return UrnMemorizer(urns)(Sequences(torch.empty(*y.shape, 0), y, y))


def plain(urns: Tensor, y: Tensor) -> Tensor:
    log_urns, answers = urns.log().T.contiguous(), torch.empty(*y.shape, COLOURS, dtype=torch.float64)
    score = torch.zeros(len(y), len(urns), dtype=torch.float64)
    for t in range(y.shape[1]):
        answers[:, t] = (score.softmax(-1) @ urns).log()
        score += log_urns[y[:, t]]
    return answers


SYSTEMS = {"memorizer": memorizer, "plain": plain}


def measure(options: argparse.Namespace) -> None:
    """Prints seconds, processor seconds, MiB beyond the sequences, and the distance of 100 from the plain loop's."""
    torch.set_num_threads(options.threads)
    urns, y = draw(options.urns, options.sequences, options.draws)
    before = peak_mib()
    start, start_cpu = time.perf_counter(), time.process_time()
    answers = SYSTEMS[options.only](urns, y)
    seconds, cpu, memory = time.perf_counter() - start, time.process_time() - start_cpu, peak_mib() - before
    difference = (answers[:100] - plain(urns, y[:100])).abs().max()
    print(seconds, cpu, memory, difference.item())


def main() -> None:
    """Runs the measurements and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("urns", 4096), ("sequences", 10_000), ("draws", 128), ("threads", 1), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", choices=SYSTEMS, help="measure one system in this process")
    options = parser.parse_args()
    if options.only:
        measure(options)
        return
    runs: dict[str, list[list[float]]] = {name: [] for name in SYSTEMS}
    for _ in range(options.repeats):
        for name, found in runs.items():
            command = [sys.executable, __file__, "--only", name, *sys.argv[1:]]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append([float(value) for value in out.split()])
    size = f"D = {options.urns}, {options.sequences} sequences of {options.draws} draws, {options.threads} thread(s)"
    print(f"{size}; medians of {options.repeats} runs (range in brackets).\n")
    print("| system | seconds | processor seconds | peak memory, MiB | speed / plain | largest difference in ln p |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    reference = statistics.median(found[0] for found in runs["plain"])
    for name, found in runs.items():
        *measured, difference = zip(*found, strict=True)
        cells = [f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})" for values in measured]
        cells += [f"{reference / statistics.median(measured[0]):.1f}", f"{max(difference):.0e}"]
        print("|", " | ".join([name, *cells]), "|")


if __name__ == "__main__":
    main()
