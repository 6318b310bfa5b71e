"""Rounds per second of each online gate with 1,000 cells, beside a plain Python loop over cells.

    python benchmarks/online_gates.py [--cells 1000] [--repeats 5] [--rounds 1000000] [--measure 2000]

Times ``--measure`` rounds (fewer for the universal portfolio, as printed; for the loops a fiftieth, and for the
portfolio's loops fewer cells) ``--repeats`` times on one thread, prints the median, and extrapolates it to ``--rounds``
rounds, which are not themselves run (too much for the portfolio, whose rounds get cheaper: see portfolio.py). Gates and
loops keep the same accounts and check their input; each loop is first checked to play the same weights as its gate.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
    OnlineGate,
    UniversalPortfolioGate,
)
from theory.mixture_regret import portfolio_nodes

Loop = Callable[[list[list[float]]], list[list[float]]]


class Account:
    """What a loop keeps beside its weights, as a gate does: rounds, losses of all three, and a check of the input."""

    def __init__(self, n: int):
        self.rounds, self.loss, self.loss_in_weight, self.loss_in_context = ([0.0] * n for _ in range(4))

    def pay(self, i: int, alpha: float, in_weight: float) -> None:
        if not abs(in_weight) <= 1.0:
            raise ValueError(f"`in_weight` must be in [-1, 1]; got {in_weight}")
        self.rounds[i] += 1
        self.loss[i] += alpha * in_weight
        self.loss_in_weight[i] += in_weight
        self.loss_in_context[i] += 0.0


def loop_gradient_descent(differences: list[list[float]]) -> list[list[float]]:
    weights, played, account = [0.5] * len(differences[0]), [], Account(len(differences[0]))
    for t, row in enumerate(differences, start=1):
        played.append(list(weights))
        step = 1 / math.sqrt(2 * t)
        for i, d in enumerate(row):
            account.pay(i, weights[i], d)
            weights[i] = min(1.0, max(0.0, weights[i] - step * d))
    return played


def loop_exponential_weights(differences: list[list[float]], constant: float | None = None) -> list[list[float]]:
    lead, played, account = [0.0] * len(differences[0]), [], Account(len(differences[0]))
    for t, row in enumerate(differences, start=1):
        rate = constant or 2 * math.sqrt(math.log(2) / t)
        played.append([1 / (1 + math.exp(rate * total)) for total in lead])
        for i, d in enumerate(row):
            account.pay(i, played[-1][i], d)
            lead[i] += d
    return played


def loop_bayes(differences: list[list[float]]) -> list[list[float]]:
    return loop_exponential_weights(differences, constant=1.0)


def loop_adahedge(differences: list[list[float]]) -> list[list[float]]:
    n, played, account = len(differences[0]), [], Account(len(differences[0]))
    lead, cost = [0.0] * n, [0.0] * n
    for row in differences:
        weights = []
        for i, d in enumerate(row):
            rate = math.log(2) / cost[i] if cost[i] else math.inf
            total = lead[i]
            alpha = 0.5 if total == 0 else 1 / (1 + math.exp(min(700.0, rate * total)))
            mixed = _mixed(rate, total + d) - _mixed(rate, total)
            account.pay(i, alpha, d)
            cost[i] += max(0.0, alpha * d - mixed)
            lead[i] += d
            weights.append(alpha)
        played.append(weights)
    return played


def _mixed(rate: float, lead: float) -> float:
    if rate == math.inf:
        return min(lead, 0.0)
    return min(lead, 0.0) + (math.log(2) - math.log1p(math.exp(-rate * abs(lead)))) / rate


def loop_portfolio(n_nodes: int) -> Loop:
    nodes = [math.sin((j + 0.5) * math.pi / (2 * n_nodes)) ** 2 for j in range(n_nodes)]

    def loop(differences: list[list[float]]) -> list[list[float]]:
        wealth, played = [[1.0] * n_nodes for _ in differences[0]], []
        account = Account(len(wealth))
        for row in differences:
            weights = []
            for i, d in enumerate(row):
                weights.append(sum(w * a for w, a in zip(wealth[i], nodes, strict=True)) / sum(wealth[i]))
                account.pay(i, weights[-1], d)
                g = math.exp(-d)
                wealth[i] = [w * (a * g + 1 - a) for w, a in zip(wealth[i], nodes, strict=True)]
            played.append(weights)
        return played

    return loop


def gate_time(make: Callable[[int], OnlineGate], losses: Tensor, repeats: int) -> float:
    """Median seconds per round."""
    times = []
    for _ in range(repeats):
        gate = make(losses.shape[1])
        start = time.perf_counter()
        for row in losses:
            gate.update(row, 0.0)
        times.append((time.perf_counter() - start) / len(losses))
    return statistics.median(times)


def loop_time(loop: Loop, losses: Tensor, repeats: int) -> float:
    rows, times = losses.tolist(), []
    for _ in range(repeats):
        start = time.perf_counter()
        loop(rows)
        times.append((time.perf_counter() - start) / len(rows))
    return statistics.median(times)


def largest_difference(make: Callable[[int], OnlineGate], loop: Loop, losses: Tensor) -> float:
    gate, played = make(losses.shape[1]), []
    for row in losses:
        played.append(gate.alpha())
        gate.update(row, 0.0)
    return float((torch.stack(played) - torch.tensor(loop(losses.tolist()), dtype=torch.float64)).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--measure", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    many = portfolio_nodes(options.rounds)
    n = options.cells
    few = portfolio_nodes(1000)
    cases: list[tuple[str, Callable[[int], OnlineGate], Loop, int, int]] = [
        ("gradient descent", lambda k: GradientDescentGate((k,), loss_range=1.0), loop_gradient_descent, 1, n),
        ("exponential weights", lambda k: ExponentialWeightsGate((k,), loss_range=1.0), loop_exponential_weights, 1, n),
        ("AdaHedge", lambda k: AdaHedgeGate((k,)), loop_adahedge, 1, n),
        ("Bayes mixture", lambda k: BayesMixtureGate((k,)), loop_bayes, 1, n),
        ("portfolio, horizon 1e3", lambda k: UniversalPortfolioGate((k,), horizon=1000), loop_portfolio(few), 10, 10),
        (
            "portfolio, all rounds",
            lambda k: UniversalPortfolioGate((k,), horizon=options.rounds),
            loop_portfolio(many),
            100,
            1,
        ),
    ]
    print(
        f"{options.cells} cells, one thread, median of {options.repeats}; all {options.rounds:.0e} rounds extrapolated"
    )
    print(
        f"{'gate':24} {'timed':>6} {'rounds/s':>9} {'cells/s':>9} {'loop cells/s':>13} {'ratio':>6} {'all rounds':>11}"
    )
    generator = np.random.default_rng(0)
    for name, make, loop, fewer, loop_cells in cases:
        losses = torch.from_numpy(generator.random((max(10, options.measure // fewer), options.cells)))
        few = losses[: max(10, options.measure // 50), :loop_cells]
        difference = largest_difference(make, loop, losses[:10, :loop_cells])
        if difference > 1e-9:
            raise SystemExit(f"{name}: loop and gate play weights {difference} apart")
        per_round = gate_time(make, losses, options.repeats)
        cells, looped = options.cells / per_round, loop_cells / loop_time(loop, few, options.repeats)
        minutes = per_round * options.rounds / 60
        print(
            f"{name:24} {len(losses):6d} {1 / per_round:9.0f} {cells:9.2e} {looped:13.2e} {cells / looped:6.1f}"
            f" {minutes:7.1f} min"
        )


if __name__ == "__main__":
    main()
