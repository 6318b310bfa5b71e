"""Every path of training and evaluation on a GPU: is its result that of the CPU, and how long does it take?

    python benchmarks/gpu.py                          # some minutes; without a GPU it says so and ends
    python benchmarks/gpu.py --device cpu --quick     # the same checks of the CPU against itself, at small sizes

Each row is one path. `difference` is the largest one between the device's result and the CPU's, over the largest number
of the CPU's where that is above 1; integers are compared apart and must be equal. Training is compared by the losses of
its first five steps; its modes are held against float32 on the CPU, by as much as their rounding allows. Times are
medians, in ms: of one step of training, or of one pass; the CPU's are those of one core in float32. The exit status is
1 where a difference is above its tolerance or a path cannot be computed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from gpu_paths import Check, Made, Sizes, paths
from torch import Tensor

from gating.runs.store import opened

FULL, QUICK = Sizes(64, 32, 20, 512, 256, 5), Sizes(2, 4, 2, 8, 32, 2)


def kinds(infinite: Tensor) -> Tensor:
    """1 and -1 for the two infinities, 0 for what is no number."""
    return infinite.sign().nan_to_num(0.0)


def difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest difference, over the largest finite number where that is above 1; infinite where integers, shapes or
    what is no number differ."""
    worst = 0.0
    for mine, other in zip((part.detach().cpu() for part in found), wanted, strict=True):
        other = other.detach().cpu()
        if mine.shape != other.shape or mine.dtype != other.dtype:
            return float("inf")
        finite = other.isfinite()
        if (
            not torch.equal(finite, mine.isfinite())
            or not torch.equal(*(kinds(part[~finite]) for part in (mine, other)))
            or not (other.is_floating_point() or torch.equal(mine, other))
        ):
            return float("inf")
        if bool(finite.any()) and other.is_floating_point():
            a, b = mine[finite].double(), other[finite].double()
            worst = max(worst, float((a - b).abs().max()) / max(1.0, float(b.abs().max())))
    return worst


def milliseconds(made: Made, device: str, turns: int) -> float:
    """Median time of a step or pass."""
    taken = []
    for turn in range(turns + 1):
        start = time.perf_counter()
        made.again()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(1000 * (time.perf_counter() - start) / made.steps)
        if not turn:
            taken.clear()  # the first warms up
    return statistics.median(taken)


def row(check: Check, device: str, turns: int) -> tuple[str, bool]:
    """A row of the table, and whether the path is as it should be."""
    begins = f"| {check.path} | {check.mode} |"
    try:
        reference, made = check.reference("cpu"), check.make(device)
        off = difference(made.results, reference.results)
        slow, fast = milliseconds(reference, "cpu", turns), milliseconds(made, device, turns)
    except Exception as error:  # the other paths are still of interest
        said = str(error).strip().split("\n")[0].replace("|", "/")
        return f"{begins} {type(error).__name__}: {said} | {check.tolerance:g} | | | | no |", False
    good = off <= check.tolerance
    times = f"{slow:,.2f} | {fast:,.2f} | {slow / fast:.2f}"
    return f"{begins} {off:.1e} | {check.tolerance:g} | {times} | {'yes' if good else 'no'} |", good


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compares and times every path of training and evaluation on a GPU.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries the script itself")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    told = parser.parse_args(arguments)
    if told.device == "cuda" and not torch.cuda.is_available():
        print("No GPU that torch can use is here, so nothing was compared.")
        return 0
    torch.set_num_threads(1)
    sizes, bad = QUICK if told.quick else FULL, 0
    name = torch.cuda.get_device_name() if told.device == "cuda" else "the CPU itself"
    print(f"torch {torch.__version__}; {name} beside one core of the CPU; {sizes}\n")
    print(f"| path | mode | difference | tolerance | CPU (ms) | {told.device} (ms) | CPU / {told.device} | within |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    with tempfile.TemporaryDirectory() as root, opened(Path(root) / "run", {}) as place:
        checks = paths(place, Path(root), sizes)
        for check in checks:
            line, good = row(check, told.device, sizes.turns)
            print(line, flush=True)
            bad += not good
    print(f"\n{len(checks) - bad} of {len(checks)} paths are within their tolerances.")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
