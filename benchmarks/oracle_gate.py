"""Certificates and time of the best gate in hindsight, on ordinary and on steep random problems.

    python benchmarks/oracle_gate.py [--problems 200]

Ordinary: 10 classes, one or two kinds of context, 4 outcomes, probabilities uniform in [0.01, 1]. Steep: up to 14
classes, probabilities spread over twelve orders of magnitude, some of them 0. Quantiles are over problems and sets of
constraints. The second table times one solution of a larger ordinary problem.
"""

import argparse
import time
from typing import Any

import numpy as np

from theory.gate_cells import GateCells
from theory.oracle import oracle_gate


def ordinary(seed: int, n_classes: int = 10) -> GateCells:
    generator, kinds = np.random.default_rng(seed), 2 if seed % 2 else 1
    query, context = np.repeat(np.arange(n_classes), kinds), np.tile(np.arange(kinds), n_classes)
    frequency = generator.dirichlet(np.ones(n_classes))
    p = generator.dirichlet(np.ones(4), len(query)) * frequency[query][:, None] / kinds
    g, h = generator.uniform(0.01, 1, (2, *p.shape))
    return GateCells(p, g, h, query=query, context=context)


def steep(seed: int) -> GateCells:
    generator = np.random.default_rng(seed)
    n_classes, kinds, n_outcomes = (int(generator.integers(1, limit)) for limit in (15, 3, 6))
    query, context = np.repeat(np.arange(n_classes), kinds), np.tile(np.arange(kinds), n_classes)
    frequency = generator.dirichlet(np.full(n_classes, 0.2)) + 1e-9
    p = generator.dirichlet(np.full(n_outcomes, 0.3), len(query)) * frequency[query][:, None]
    g, h = 10.0 ** -generator.uniform(0, 12, (2, *p.shape))
    return GateCells(p / p.sum(), g * (generator.random(p.shape) < 0.9), h, query=query, context=context)


def constraint_sets(cells: GateCells) -> list[dict[str, Any]]:
    return [{}, {"query_only": True}, {"monotone": True}, {"memory": 0.3 * cells.n_queries}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=200)
    options = parser.parse_args()
    print("| problems | solved | certificate | median | 90% | 99% | largest |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for make in (ordinary, steep):
        found = []
        for seed in range(options.problems):
            cells = make(seed)
            found += [oracle_gate(cells, **constraints) for constraints in constraint_sets(cells)]
        for certificate in ("optimality_gap", "kkt_residual"):
            levels = np.quantile([getattr(gate, certificate) for gate in found], [0.5, 0.9, 0.99, 1])
            print(
                f"| {make.__name__} | {len(found)} | {certificate} | {' | '.join(f'{level:.0e}' for level in levels)} |"
            )
    print("\n| classes | constraints | loss | seconds |\n| ---: | --- | --- | ---: |")
    for n_classes in (100, 1000):
        cells = ordinary(1, n_classes)
        for constraints in constraint_sets(cells):
            for loss in ("log_loss", "linear_loss"):
                start = time.perf_counter()
                oracle_gate(cells, loss=loss, **constraints)
                print(
                    f"| {n_classes} | {', '.join(constraints) or 'none'} | {loss} | {time.perf_counter() - start:.2f} |"
                )


if __name__ == "__main__":
    main()
