"""Seconds per round of the universal portfolio at a long horizon, as rounds go on, and what all of them take.

    python benchmarks/portfolio.py [--cells 1000] [--horizon 1000000] [--played 65536] [--repeats 20]

One cell plays random rounds, g against h, of which the ratio is e^2 or e^-2 (g is right in 30%). When its rounds are a
power of four its state is given to all cells, and ``--repeats`` rounds of all are timed on one thread. All rounds: the
sum of the times, each held until the next power of four, the last one to the end; windows narrow, so it is too high.
"""

import argparse
import statistics
import time

import torch

from gating.gates import UniversalPortfolioGate


def seconds(one: UniversalPortfolioGate, cells: int, repeats: int, generator: torch.Generator) -> float:
    """Median seconds of a round of many cells that all stand where one cell does."""
    many = UniversalPortfolioGate((cells,), horizon=one.horizon)
    shared = {"nodes", "mirrored", "log_prior", "offsets"}
    many.load_state_dict({
        name: value if name in shared else value.repeat(cells, *[1] * (value.dim() - 1))
        for name, value in one.state_dict().items()
    })  # fmt: skip
    times = []
    for _ in range(repeats):
        wins = torch.rand(cells, generator=generator) < 0.3
        start = time.perf_counter()
        many.update(torch.where(wins, 0.0, 2.0), torch.where(wins, 2.0, 0.0))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--horizon", type=int, default=1_000_000)
    parser.add_argument("--played", type=int, default=65_536)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    one = UniversalPortfolioGate((1,), horizon=options.horizon)
    print(f"{options.cells} cells, {one.n_nodes} nodes, one thread, median of {options.repeats}")
    total, stand = 0.0, 1
    for t in range(1, options.played + 1):
        win = bool(torch.rand((), generator=generator) < 0.3)
        one.update(0.0 if win else 2.0, 2.0 if win else 0.0)
        if t == stand:
            found = seconds(one, options.cells, options.repeats, generator)
            last = 4 * stand > options.played
            total += found * ((options.horizon if last else 4 * stand) - stand)
            print(f"round {t:8,}: window {int(one.width):5,}, {1000 * found:8.2f} ms; to here {total / 60:6.1f} min")
            stand *= 4
    print(f"all {options.horizon:,} rounds: {total / 60:.0f} min")


if __name__ == "__main__":
    main()
