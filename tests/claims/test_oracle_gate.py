"""One test for each statement of docs/theory.md, section 3."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tests.claims.oracle_cells import N_QUERIES, constraint_sets, random_cells, random_distances
from theory.gate_cells import GATE_LOSSES, GateCells
from theory.oracle import OracleGate, SolverError, oracle_gate

LOSSES = pytest.mark.parametrize("loss", GATE_LOSSES)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def scalar_minimum(p: NDArray[np.float64], g: NDArray[np.float64], h: NDArray[np.float64]) -> tuple[float, float]:
    result = minimize_scalar(
        lambda a: -(p * np.log(a * g + (1 - a) * h)).sum(), bounds=(0, 1), method="bounded", options={"xatol": 1e-11}
    )
    return float(result.x), float(result.fun)


def test_3_1_cells_without_constraints_are_scalar_problems(generator: np.random.Generator) -> None:
    """Against a scalar minimiser, to 1e-6 in weight and value, on 200 cells."""
    weights = []
    for _ in range(20):
        cells = random_cells(generator, kinds=1, n_outcomes=int(generator.integers(1, 7)))
        tables = [np.asarray(t) for t in (cells.probability, cells.p_in_weight, cells.p_in_context)]
        gate = oracle_gate(cells)
        for i, alpha in enumerate(gate.alpha):
            p, g, h = (t[i] for t in tables)
            expected, value = scalar_minimum(p / p.sum(), g, h)
            assert alpha == pytest.approx(expected, abs=1e-6)
            assert cells.losses(gate.alpha)[i] / p.sum() == pytest.approx(value, abs=1e-6)
            weights.append(alpha)
    inside = (np.array(weights) > 0.001) & (np.array(weights) < 0.999)
    assert 20 < inside.sum() < len(weights) - 20  # both kinds of solution were met


def test_3_2_linear_loss_picks_the_better_predictor(generator: np.random.Generator) -> None:
    for _ in range(20):
        cells = random_cells(generator)
        gate = oracle_gate(cells, loss="linear_loss")
        p, g, h = (np.asarray(t) for t in (cells.probability, cells.p_in_weight, cells.p_in_context))
        np.testing.assert_array_equal(gate.alpha, (p * (g - h)).sum(axis=1) > 0)


def test_3_2_a_constraint_can_put_the_best_linear_weight_inside() -> None:
    """Half a unit of memory for one class, and a slope of one half between two classes of opposite taste."""
    cells = GateCells([[0.5], [0.5]], [[0.9], [0.1]], [[0.2], [0.4]])
    assert oracle_gate(cells, loss="linear_loss", memory=0.5).alpha == pytest.approx([0.5, 0.0])
    smooth = oracle_gate(cells, loss="linear_loss", lipschitz=0.5, distances=[[0, 1], [1, 0]])
    assert smooth.alpha == pytest.approx([1.0, 0.5])


def test_3_3_inside_weights_balance_the_likelihood_ratios(generator: np.random.Generator) -> None:
    for _ in range(10):
        cells = random_cells(generator)
        alpha = oracle_gate(cells).alpha
        p, g, h = (np.asarray(t) for t in (cells.probability, cells.p_in_weight, cells.p_in_context))
        mixture = alpha[:, None] * g + (1 - alpha[:, None]) * h
        e_g, e_h = ((p * t / mixture).sum(axis=1) / p.sum(axis=1) for t in (g, h))
        inside = (alpha > 1e-3) & (alpha < 1 - 1e-3)
        np.testing.assert_allclose(e_g[inside], 1, atol=1e-6)
        np.testing.assert_allclose(e_h[inside], 1, atol=1e-6)
        assert (e_g[alpha < 1e-4] <= 1 + 1e-6).all()
        assert (e_h[alpha > 1 - 1e-4] <= 1 + 1e-6).all()


@LOSSES
def test_3_4_constraints_only_cost(loss: str, generator: np.random.Generator) -> None:
    for _ in range(10):
        cells = random_cells(generator)
        free = oracle_gate(cells, loss=loss)
        either = min(cells.losses(0.0, loss=loss).sum(), cells.losses(1.0, loss=loss).sum())
        assert free.value <= either + 1e-8
        for constraints in constraint_sets(generator):
            assert oracle_gate(cells, loss=loss, **constraints).value >= free.value - 1e-7


@LOSSES
def test_3_4_a_gate_blind_to_context_pays_only_where_kinds_disagree(loss: str, generator: np.random.Generator) -> None:
    cells = random_cells(generator)
    blind = oracle_gate(cells, loss=loss, query_only=True)
    np.testing.assert_array_equal(blind.alpha[::2], blind.alpha[1::2])
    same = random_cells(generator, kinds=1)
    assert oracle_gate(same, loss=loss, query_only=True).value == pytest.approx(
        oracle_gate(same, loss=loss).value, abs=1e-8
    )


@LOSSES
def test_3_5_lipschitz_gate_from_constant_to_free(loss: str, generator: np.random.Generator) -> None:
    cells, distances = random_cells(generator, kinds=1), random_distances(generator)
    slopes = np.array([0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 100.0])
    gates = [oracle_gate(cells, loss=loss, lipschitz=s, distances=distances) for s in slopes]
    values = np.array([gate.value for gate in gates])
    assert (np.diff(values) <= 1e-8).all()
    between = np.interp(slopes[1:-1], slopes[[0, -1]], values[[0, -1]])
    assert (values[1:-1] <= between + 1e-8).all()  # convex in the slope
    assert np.ptp(gates[0].alpha) < 1e-6
    constant = min(cells.losses(a, loss=loss).sum() for a in np.linspace(0, 1, 2001))
    assert values[0] == pytest.approx(constant, abs=1e-5)
    assert values[-1] == pytest.approx(oracle_gate(cells, loss=loss).value, abs=1e-7)
    for slope, gate in zip(slopes, gates, strict=True):
        assert (np.abs(gate.alpha[:, None] - gate.alpha) <= slope * distances + 1e-6).all()


@LOSSES
def test_3_6_monotone_gate_in_class_frequency(loss: str, generator: np.random.Generator) -> None:
    for kinds in (1, 2):
        cells = random_cells(generator, kinds=kinds)
        gate = oracle_gate(cells, loss=loss, monotone=True)
        order = np.argsort(cells.query_frequency)
        for kind in range(kinds):
            assert (np.diff(gate.alpha[kind::kinds][order]) >= -1e-7).all()
    free = oracle_gate(cells, loss=loss)
    p, g, h = (np.asarray(t) for t in (cells.probability, cells.p_in_weight, cells.p_in_context))
    already = GateCells(
        p,
        np.where(p > 0, 0.9, g),
        np.where(p > 0, 0.1, h),
        query=np.repeat(range(N_QUERIES), kinds),
        context=np.tile(range(kinds), N_QUERIES),
    )
    assert oracle_gate(already, loss=loss, monotone=True).value == pytest.approx(
        oracle_gate(already, loss=loss).value, abs=1e-7
    )
    assert gate.value >= free.value - 1e-8


def test_3_6_classes_of_one_frequency_need_not_agree() -> None:
    cells = GateCells([[0.25], [0.25], [0.5]], [[0.9], [0.1], [0.9]], [[0.1], [0.9], [0.1]])
    assert oracle_gate(cells, loss="linear_loss", monotone=True).alpha == pytest.approx([1, 0, 1])


@LOSSES
def test_3_7_price_of_memory_is_the_slope_of_the_value(loss: str, generator: np.random.Generator) -> None:
    for kinds in (1, 2):
        cells = random_cells(generator, kinds=kinds)
        budgets = np.linspace(0, N_QUERIES, 9) + 0.1234
        gates = [oracle_gate(cells, loss=loss, memory=m) for m in budgets]
        values, prices = np.array([g.value for g in gates]), np.array([g.memory_price for g in gates])
        assert (np.diff(values) <= 1e-8).all()
        assert (np.diff(prices) <= 1e-6).all()  # falling returns: the value is convex in the budget
        for gate, budget in zip(gates, budgets, strict=True):
            paid = gate.alpha.reshape(N_QUERIES, kinds).max(axis=1).sum()
            assert paid <= budget + 1e-6
            step = 1e-3
            low, high = (oracle_gate(cells, loss=loss, memory=budget + s).value for s in (-step, step))
            assert gate.memory_price == pytest.approx((low - high) / (2 * step), abs=1e-4)
        assert prices[-1] == pytest.approx(0, abs=1e-7)


def test_3_7_linear_loss_with_memory_is_a_knapsack(generator: np.random.Generator) -> None:
    """Second route: fill the classes in order of what a unit of memory saves."""
    cells = random_cells(generator, kinds=1)
    saved = np.sort(np.maximum(cells.losses(0, loss="linear_loss") - cells.losses(1, loss="linear_loss"), 0))[::-1]
    for memory in (0.0, 1.0, 2.4, 5.0):
        whole = int(memory)
        best = saved[:whole].sum() + (memory - whole) * saved[whole]
        gate = oracle_gate(cells, loss="linear_loss", memory=memory)
        assert cells.losses(0, loss="linear_loss").sum() - gate.value == pytest.approx(best, abs=1e-9)
        if memory == whole:
            assert np.isin(gate.alpha.round(9), [0, 1]).all()


def allowed(cells: GateCells, alpha: NDArray[np.float64], constraints: dict[str, Any]) -> bool:
    """Whether a query-only gate obeys the constraints, from their definitions."""
    order = np.argsort(cells.query_frequency)
    rules = [
        "memory" not in constraints or alpha.sum() <= constraints["memory"],
        not constraints.get("monotone") or (np.diff(alpha[order]) >= 0).all(),
        "lipschitz" not in constraints
        or (np.abs(alpha[:, None] - alpha) <= constraints["lipschitz"] * constraints["distances"]).all(),
    ]
    return all(rules)


@LOSSES
def test_3_8_no_allowed_gate_is_better_by_more_than_the_gap(loss: str, generator: np.random.Generator) -> None:
    tried = 0
    for constraints in constraint_sets(generator):
        cells = random_cells(generator)
        best = oracle_gate(cells, loss=loss, **constraints)
        assert best.optimality_gap < 1e-6
        assert best.kkt_residual < 1e-6
        assert all((price >= -1e-9).all() for price in best.duals.values())
        level = np.sort(generator.random((400, N_QUERIES)) ** generator.uniform(0.2, 4, (400, 1)), axis=1)
        flat = level.mean(axis=1, keepdims=True) + generator.random((400, 1)) ** 6 * (
            level - level.mean(axis=1, keepdims=True)
        )
        for alpha in flat:
            ranked = np.empty(N_QUERIES)
            ranked[np.argsort(cells.query_frequency)] = alpha
            if allowed(cells, ranked, constraints):
                tried += 1
                value = cells.losses(np.repeat(ranked, 2), loss=loss).sum()
                assert value >= best.value - best.optimality_gap - 1e-12
    assert tried > 300


def test_3_9_probabilities_twelve_orders_of_magnitude_apart_are_solved() -> None:
    gaps = []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        n_cells, n_outcomes = generator.integers(1, 25), generator.integers(1, 6)
        frequency = generator.dirichlet(np.full(n_cells, 0.2)) + 1e-9
        p = generator.dirichlet(np.full(n_outcomes, 0.3), n_cells) * frequency[:, None]
        g, h = 10 ** -generator.uniform(0, 12, (2, *p.shape))
        cells = GateCells(p / p.sum(), g * (generator.random(p.shape) < 0.9), h)
        free, held = oracle_gate(cells), oracle_gate(cells, memory=0.3 * n_cells, monotone=True)
        assert held.value >= free.value - held.optimality_gap - free.optimality_gap
        gaps += [free.optimality_gap, held.optimality_gap]
    assert np.median(gaps) < 1e-8
    assert max(gaps) < 0.02


def test_3_8_the_gap_sees_a_wrong_answer(monkeypatch: pytest.MonkeyPatch, generator: np.random.Generator) -> None:
    """A solver that stops early is told by both certificates."""
    loose = {"tol_gap_abs": 1e-2, "tol_gap_rel": 1e-2, "tol_feas": 1e-2}
    monkeypatch.setattr("theory.gate_solver.ATTEMPTS", (loose,))
    cells = random_cells(generator)
    sloppy = oracle_gate(cells, memory=3.0, monotone=True)
    monkeypatch.undo()
    exact = oracle_gate(cells, memory=3.0, monotone=True)
    assert sloppy.optimality_gap >= sloppy.value - exact.value - 1e-9
    assert max(sloppy.optimality_gap, sloppy.kkt_residual) > 1e-5 > exact.optimality_gap


@LOSSES
def test_3_9_a_solver_without_an_optimum_is_an_error(loss: str, generator: np.random.Generator) -> None:
    options = {"max_iter": 1} if loss == "log_loss" else {"time_limit": 0.0}
    with pytest.raises(SolverError, match=r"solver (CLARABEL|HIGHS) ended with status") as caught:
        oracle_gate(random_cells(generator), loss=loss, memory=2.0, monotone=True, solver_options=options)
    assert caught.value.solver in ("CLARABEL", "HIGHS")
    assert caught.value.status != "optimal"


def test_3_9_no_gate_of_finite_loss_is_an_error() -> None:
    """Without memory the in-context predictor answers alone, and it excludes the outcome."""
    with pytest.raises(SolverError, match="ended with status"):
        oracle_gate(GateCells([[1.0]], [[0.5]], [[0.0]]), memory=0.0)


def test_results_are_frozen(generator: np.random.Generator) -> None:
    gate: OracleGate = oracle_gate(random_cells(generator))
    with pytest.raises(AttributeError):
        gate.value = 0.0  # type: ignore[misc]
