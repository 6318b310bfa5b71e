"""Statement 3.10 of docs/theory.md: what one constraint alone needs no general solver for."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from tests.claims.oracle_cells import N_QUERIES, constraint_sets, random_cells
from theory.gate_cells import GATE_LOSSES, GateCells
from theory.gate_polytope import gate_polytope
from theory.gate_solver import solve
from theory.gate_tables import GateTables
from theory.oracle import oracle_gate

LOSSES = pytest.mark.parametrize("loss", GATE_LOSSES)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def solved(cells: GateCells, loss: str, rules: dict[str, Any], *, kinds: int) -> tuple[float, NDArray[np.float64]]:
    """Value and weights of the general solver for a gate that sees query and context."""
    query, context = np.repeat(np.arange(cells.n_queries), kinds), np.tile(np.arange(kinds), cells.n_queries)
    given = {"lipschitz": None, "distances": None, "monotone": False, "memory": None, **rules}
    polytope = gate_polytope(query, context, cells.query_frequency, **given)
    z = solve(GateTables.of(cells, np.arange(len(query)), loss), polytope, {})[0]
    alpha = z[: len(query)].clip(0, 1)
    return float(cells.losses(alpha, loss=loss).sum()), alpha


def line(n: int, apart: float) -> sparse.coo_array:
    return sparse.coo_array((np.full(n - 1, apart), (np.arange(n - 1), np.arange(1, n))), shape=(n, n))


def tied_cells(generator: np.random.Generator, kinds: int) -> GateCells:
    """Sixteen classes of three frequencies."""
    query, context = np.repeat(np.arange(16), kinds), np.tile(np.arange(kinds), 16)
    frequency = np.repeat([1.0, 2.0, 5.0], [6, 6, 4])
    p = generator.dirichlet(np.ones(4), len(query)) * frequency[query][:, None] / (kinds * frequency.sum())
    return GateCells(p, *generator.uniform(0.01, 1, (2, *p.shape)), query=query, context=context)


@LOSSES
@pytest.mark.parametrize("kinds", [1, 2])
def test_3_10_every_way_of_solution_agrees_with_the_solver(
    loss: str, kinds: int, generator: np.random.Generator
) -> None:
    """To 1e-6 in value, and under log loss in weight, on random problems with and without ties in frequency."""
    ways = set()
    for make in (random_cells, tied_cells):
        for _ in range(15):
            cells = make(generator, kinds=kinds)
            n = cells.n_queries
            sets: list[dict[str, Any]] = [{}, {"monotone": True}, {"lipschitz": 1.0, "distances": line(n, 0.1)}]
            for rules in sets + [{"memory": m} for m in (0.05, 0.3 * n, 0.5 * n)]:
                gate = oracle_gate(cells, loss=loss, **rules)
                value, alpha = solved(cells, loss, rules, kinds=kinds)
                assert gate.value == pytest.approx(value, abs=1e-6)
                if loss == "log_loss":
                    np.testing.assert_allclose(gate.alpha, alpha, atol=1e-4)
                    assert np.abs(gate.alpha - alpha).mean() < 1e-6
                assert gate.optimality_gap < 1e-9
                assert gate.kkt_residual < 1e-9
                ways.add(gate.solver)
    others = {"interior point"} if loss == "log_loss" else {"HIGHS"}
    assert ways == {"one variable", "isotonic splits", "price of memory"} | others


def test_3_10_ten_thousand_monotone_cells_are_solved(generator: np.random.Generator) -> None:
    p = generator.dirichlet(np.ones(4), 10_000) * generator.dirichlet(np.ones(10_000))[:, None]
    cells = GateCells(p, *generator.uniform(0.01, 1, (2, *p.shape)))
    gate = oracle_gate(cells, monotone=True)
    assert (np.diff(gate.alpha[np.argsort(cells.query_frequency)]) >= 0).all()
    assert gate.optimality_gap < 1e-12
    assert gate.kkt_residual < 1e-12


def test_3_10_a_heavy_class_that_pulls_all_others_down_is_no_harder() -> None:
    """Pooling from below would join one class after the other: 30,000 rounds; all weights are equal in the optimum."""
    n = 30_000
    frequency, favourite = np.append(np.arange(1.0, n), 2.0 * n**2), np.append(np.linspace(0.2, 0.8, n - 1), 0.1)
    first = 0.1 + 0.8 * favourite
    p = np.stack([first, 1 - first], axis=1) * (frequency / frequency.sum())[:, None]
    gate = oracle_gate(GateCells(p, np.tile([0.9, 0.1], (n, 1)), np.tile([0.1, 0.9], (n, 1))), monotone=True)
    assert np.ptp(gate.alpha) == 0
    assert gate.alpha[0] == pytest.approx(frequency @ favourite / frequency.sum(), abs=1e-9)


def test_3_10_neighbours_along_a_line_hold_all_classes_together(generator: np.random.Generator) -> None:
    """A sparse table of neighbours beside the table of all distances along the line, in either order of its pairs."""
    cells = random_cells(generator, kinds=1)
    place = np.cumsum(np.append(0.0, generator.random(N_QUERIES - 1)))
    near = sparse.csr_array(np.diag(np.diff(place), -1))
    for loss in GATE_LOSSES:
        every = oracle_gate(cells, loss=loss, lipschitz=0.3, distances=np.abs(place[:, None] - place))
        for table in (near, sparse.csr_array(near.T), near + near.T):
            few = oracle_gate(cells, loss=loss, lipschitz=0.3, distances=table)
            assert few.value == pytest.approx(every.value, abs=1e-8)
            np.testing.assert_allclose(few.alpha, every.alpha, atol=1e-5)
    flat = oracle_gate(cells, lipschitz=0.0, distances=near)
    assert np.ptp(flat.alpha) < 1e-6


@LOSSES
def test_3_10_nothing_is_printed(loss: str, generator: np.random.Generator, capfd: pytest.CaptureFixture[str]) -> None:
    for constraints in constraint_sets(generator):
        oracle_gate(random_cells(generator), loss=loss, **constraints)
    assert capfd.readouterr() == ("", "")
