"""Measured regret of every gate learner beside its bound, on random, adversarial and replayed streams.

    python benchmarks/gate_regret.py [--streams 300] [--rounds 2000] [--seed 0]

Three tables. Linear loss in [-1, 1]: the gate pays ``alpha l(g) + (1 - alpha) l(h)``. Log loss in nats: it pays the log
loss of the mixed prediction. Replayed class mixture: Laplace's rule in weights beside a copy of the context, ten cells,
and the log loss of the mixed prediction of every gate beyond the better predictor of each cell. "worst ratio" is the
largest regret over bound of any stream and cell.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch

from gating.checks.streams import Recording, answer_linear, answer_log, random_differences, record
from gating.gates import (
    AdaHedgeGate,
    BayesMixtureGate,
    ExponentialWeightsGate,
    GradientDescentGate,
    OnlineGate,
    UniversalPortfolioGate,
)
from gating.gates.online import play
from theory.distribution import ClassMixture

Maker = Callable[[tuple[int, ...], float, float], OnlineGate]

LINEAR: dict[str, Maker] = {
    "gradient descent, horizon": lambda shape, n, b: GradientDescentGate(shape, loss_range=b, horizon=n),
    "gradient descent": lambda shape, n, b: GradientDescentGate(shape, loss_range=b),
    "exponential weights, horizon": lambda shape, n, b: ExponentialWeightsGate(shape, loss_range=b, horizon=n),
    "exponential weights": lambda shape, n, b: ExponentialWeightsGate(shape, loss_range=b),
    "AdaHedge": lambda shape, n, b: AdaHedgeGate(shape),
}
LOG: dict[str, Maker] = {
    "Bayes mixture": lambda shape, n, b: BayesMixtureGate(shape),
    "universal portfolio": lambda shape, n, b: UniversalPortfolioGate(shape, horizon=int(n)),
    "universal portfolio, uniform": lambda shape, n, b: UniversalPortfolioGate(shape, horizon=int(n), prior="uniform"),
}


def row(name: str, stream: str, gate: OnlineGate) -> None:
    regret, bound = gate.regret(), gate.bound()
    ratio = torch.where(bound > 0, regret / bound, 0.0).max().item()
    print(f"| {name} | {stream} | {regret.mean():.3f} | {regret.max():.3f} | {bound.max():.3f} | {ratio:.2f} |")


def header(title: str) -> None:
    print(f"\n{title}\n\n| gate | stream | mean regret | largest | bound | worst ratio |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")


def linear_table(n_rounds: int, n_streams: int, seed: int) -> None:
    header("Linear loss, differences in [-1, 1]")
    for name, make in LINEAR.items():
        generator, shape = np.random.default_rng(seed), (n_streams,)
        differences = random_differences(generator, n_rounds, n_streams)
        gate = make(shape, n_rounds, 1.0)
        play(gate, differences, torch.zeros_like(differences))
        row(name, "random", gate)
        gate = make(shape, n_rounds, 1.0)
        answer_linear(gate, generator, n_rounds)
        row(name, "adversary", gate)


def log_table(n_rounds: int, n_streams: int, seed: int) -> None:
    header("Log loss, against the better predictor (the portfolio's bound is against the best fixed mixture)")
    for name, make in LOG.items():
        generator, shape = np.random.default_rng(seed), (n_streams,)
        gate = make(shape, n_rounds, 1.0)
        play(gate, *torch.from_numpy(generator.exponential(1, (2, n_rounds, n_streams))))
        row(name, "random", gate)
        gate = make(shape, n_rounds, 1.0)
        answer_log(gate, generator, n_rounds)
        row(name, "adversary", gate)


def replay_table(n_rounds: int, n_streams: int, seed: int) -> None:
    spec = ClassMixture(label_noise=0.1)
    print(f"\nClass mixture, {spec.n_classes} cells, log loss of the mixed prediction\n")
    print("| gate | excess nats per stream | standard error |\n| --- | ---: | ---: |")
    stream = record(spec, np.random.default_rng(seed), n_rounds, n_streams)
    losses = -stream.p_in_weight.log(), -stream.p_in_context.log()
    for name, make in {**LINEAR, **LOG}.items():
        largest = float((losses[0] - losses[1]).abs().max())
        horizon = n_rounds if name in LOG else n_rounds / spec.n_classes  # a portfolio's horizon is a limit
        gate = make((n_streams, spec.n_classes), horizon, largest)
        alpha = play(gate, *losses, stream.cells)
        paid = -(alpha * stream.p_in_weight + (1 - alpha) * stream.p_in_context).log().sum(dim=0)
        better = torch.minimum(gate.loss_in_weight, gate.loss_in_context).reshape(gate.shape).sum(dim=1)
        excess = paid - better
        print(f"| {name} | {excess.mean():.2f} | {excess.std() / n_streams**0.5:.2f} |")
    hindsight_rows(stream, spec.n_classes)


def hindsight_rows(stream: Recording, n_cells: int) -> None:
    """What the best fixed blend, and the best single switch from context to weights, would have saved in each cell."""
    blend, switch = torch.zeros(()), torch.zeros(())
    for cell in range(n_cells):
        here = stream.cells == cell
        g, h = (torch.where(here, p, 1.0) for p in (stream.p_in_weight, stream.p_in_context))
        summed_g, summed_h = -g.log().cumsum(dim=0), -h.log().cumsum(dim=0)
        better = torch.minimum(summed_g[-1], summed_h[-1])
        grid = torch.linspace(0, 1, 101, dtype=torch.float64)
        blends = torch.stack([-(a * g + (1 - a) * h).log().sum(dim=0) for a in grid])
        blend = blend + (blends.min(dim=0).values - better).mean()
        ahead = (summed_h - summed_g).min(dim=0).values.clamp(max=0)  # what h was ahead by when it was left
        switch = switch + (ahead + summed_g[-1] - better).mean()
    print(f"| best fixed blend of each class, hindsight | {blend:.2f} | |")
    print(f"| best switch from context to weights, hindsight | {switch:.2f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.streams} streams, {options.rounds} rounds, seed {options.seed}")
    for table in (linear_table, log_table, replay_table):
        table(options.rounds, options.streams, options.seed)


if __name__ == "__main__":
    main()
