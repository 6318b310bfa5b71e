"""Certificates and time of the best gate in hindsight, on ordinary and on steep random problems.

    OMP_NUM_THREADS=1 python benchmarks/oracle_gate.py [--problems 200] [--cells 100 1000 100000] [--beside 1000]

Ordinary: 10 classes, one or two kinds of context, 4 outcomes, probabilities uniform in [0.01, 1]. Steep: up to 14
classes, probabilities spread over twelve orders of magnitude, some of them 0. Quantiles are over problems and sets of
constraints, smooth gates along a line among them. The second table times one solution, certificates included, of an
ordinary problem with one kind of context, and up to ``--beside`` cells the general solver alone on the same problem:
cvxpy with Clarabel (log loss) or HiGHS (linear loss). "value apart" is the value of the solver minus that of the gate.
"""

import argparse
import time
from typing import Any

import numpy as np
from scipy import sparse

from theory.gate_cells import GateCells
from theory.gate_distances import require_distances
from theory.gate_polytope import gate_polytope
from theory.gate_solver import SolverError, solve
from theory.gate_tables import GateTables
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


def line(n_classes: int) -> sparse.coo_array:
    """Neighbours along a line, a tenth apart."""
    first = np.arange(n_classes - 1)
    return sparse.coo_array((np.full(n_classes - 1, 0.1), (first, first + 1)), shape=(n_classes, n_classes))


def constraint_sets(cells: GateCells) -> list[dict[str, Any]]:
    smooth = {"lipschitz": 1.0, "distances": line(cells.n_queries)} if cells.n_queries > 1 else {}
    return [{}, {"query_only": True}, {"monotone": True}, {"memory": 0.3 * cells.n_queries}, smooth]


def by_solver(cells: GateCells, loss: str, rules: dict[str, Any]) -> float:
    """Value that cvxpy's Clarabel or scipy's HiGHS finds, for cells of one kind of context."""
    query, context = np.arange(cells.n_queries), np.zeros(cells.n_queries, dtype=np.int64)
    asked = {"lipschitz": None, "distances": None, "monotone": False, "memory": None, **rules}
    asked.pop("query_only", None)
    if asked["distances"] is not None:
        asked["distances"] = require_distances(asked["distances"], cells.n_queries)
    polytope = gate_polytope(query, context, cells.query_frequency, **asked)
    z = solve(GateTables.of(cells, query, loss), polytope, {})[0]
    return float(cells.losses(z[: len(query)].clip(0, 1), loss=loss).sum())


def certificates(problems: int) -> None:
    print("| problems | solved | certificate | median | 90% | 99% | largest |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for make in (ordinary, steep):
        found = []
        for seed in range(problems):
            cells = make(seed)
            found += [oracle_gate(cells, **constraints) for constraints in constraint_sets(cells)]
        for certificate in ("optimality_gap", "kkt_residual"):
            levels = np.quantile([getattr(gate, certificate) for gate in found], [0.5, 0.9, 0.99, 1])
            print(
                f"| {make.__name__} | {len(found)} | {certificate} | {' | '.join(f'{level:.0e}' for level in levels)} |"
            )


def times(sizes: list[int], beside: int) -> None:
    print("\n| cells | constraints | loss | seconds | of the solver | ratio | value apart | gap |")
    print("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for n_classes in sizes:
        cells = ordinary(0, n_classes)
        for constraints in constraint_sets(cells):
            for loss in ("log_loss", "linear_loss"):
                start = time.perf_counter()
                gate = oracle_gate(cells, loss=loss, **constraints)
                taken = time.perf_counter() - start
                other = "- | - | -"
                if n_classes <= beside:
                    start = time.perf_counter()
                    try:
                        value = by_solver(cells, loss, constraints)
                        of_solver = time.perf_counter() - start
                        other = f"{of_solver:.2f} | {of_solver / taken:.0f} | {value - gate.value:.0e}"
                    except SolverError as failure:
                        other = f"{failure.status} | - | -"
                print(
                    f"| {n_classes} | {', '.join(set(constraints) - {'distances'}) or 'none'} | {loss} | {taken:.2f}"
                    f" | {other} | {gate.optimality_gap:.0e} |",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 1000, 100_000])
    parser.add_argument("--beside", type=int, default=1000)
    options = parser.parse_args()
    certificates(options.problems)
    times(options.cells, options.beside)


if __name__ == "__main__":
    main()
