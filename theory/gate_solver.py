"""The best gate under any mix of constraints by a solver: Clarabel for log loss, HiGHS for linear loss."""

import warnings
from typing import Any, NamedTuple

import cvxpy as cp
import numpy as np
from scipy import optimize, sparse

from theory.gate_polytope import GatePolytope
from theory.gate_tables import GateTables
from theory.validation import Floats

__all__ = ["Program", "SolverError", "linear_program", "solve"]

# What is asked of Clarabel until it reports an optimum, the tightest first: at 1e-11 weights agree with a scalar
# minimiser to 1e-7. Its equilibration stalls on about one monotone problem in three hundred, which it solves without.
ATTEMPTS = tuple(
    {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance, "equilibrate_enable": equilibrate}
    for tolerance in (1e-11, 1e-10, 1e-9, 1e-8)
    for equilibrate in (True, False)
)


SIMPLEX_UP_TO = 20_000
"""Variables from which on a linear program is left to the interior-point method."""


class SolverError(RuntimeError):
    """A solver stopped without an optimum; ``solver`` and ``status`` say which and how."""

    def __init__(self, solver: str, status: str):
        self.solver, self.status = solver, status
        super().__init__(
            f"solver {solver} ended with status {status!r}, not 'optimal'; check that a gate allowed by the"
            " constraints gives every outcome a positive probability, or relax the solver options"
        )


class Program(NamedTuple):
    """Solution of a linear program: variables, value, and the price >= 0 of each inequality."""

    z: Floats
    value: float
    prices: Floats


def solve(tables: GateTables, polytope: GatePolytope, options: dict[str, Any]) -> tuple[Floats, dict[str, Floats]]:
    """Optimal variables and the price of each inequality by name of its block.

    Raises:
        SolverError: the solver did not reach an optimum.

    Example:
        >>> from theory.gate_polytope import gate_polytope
        >>> one, rules = np.zeros(1, dtype=int), {"lipschitz": None, "distances": None, "monotone": False}
        >>> held = gate_polytope(one, one, np.ones(1), memory=0.25, **rules)
        >>> z, prices = solve(GateTables(np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1)), "linear_loss"), held, {})
        >>> z.tolist(), prices["memory"].tolist()
        ([0.25], [1.0])
    """
    if tables.loss == "linear_loss":
        gradient = np.zeros(polytope.n_variables)
        gradient[: polytope.n_gates] = tables.slopes(np.zeros(polytope.n_gates)).first
        found = linear_program(polytope, gradient, options)
        prices = np.split(found.prices, np.cumsum([len(block.bound) for block in polytope.blocks])[:-1])
        return found.z, {block.name: price for block, price in zip(polytope.blocks, prices, strict=True)}
    p, g, h = tables.p, tables.g, tables.h
    larger = np.where(p > 0, np.maximum(g, h), 1.0)  # scaled to 1, which only shifts the objective
    gate, column = np.nonzero(p)
    z = cp.Variable(polytope.n_variables)
    gap = ((g - h) / larger)[gate, column]
    pick = sparse.csr_matrix((gap, (np.arange(len(gate)), gate)), shape=(len(gate), polytope.n_variables))
    objective = cp.Minimize(-p[gate, column] @ cp.log(pick @ z + (h / larger)[gate, column]))
    constraints = [block.matrix @ z <= block.bound for block in polytope.blocks]
    _run_clarabel(cp.Problem(objective, constraints), options)
    pairs = zip(polytope.blocks, constraints, strict=True)
    return np.asarray(z.value), {block.name: np.atleast_1d(rule.dual_value) for block, rule in pairs}


def linear_program(polytope: GatePolytope, gradient: Floats, options: dict[str, Any] | None = None) -> "Program":
    """What scipy's HiGHS finds for the least of ``gradient @ z`` over the polytope.

    Raises:
        SolverError: no optimum.

    Example:
        >>> from theory.gate_polytope import gate_polytope
        >>> one, rules = np.zeros(1, dtype=int), {"lipschitz": None, "distances": None, "monotone": False}
        >>> linear_program(gate_polytope(one, one, np.ones(1), memory=0.25, **rules), np.array([-2.0])).value
        -0.5
    """
    scale = float(np.abs(gradient).max()) or 1.0  # tolerances of the solver are absolute
    result = optimize.linprog(
        gradient / scale,
        A_ub=sparse.vstack([block.matrix for block in polytope.blocks]),
        b_ub=np.concatenate([block.bound for block in polytope.blocks]),
        bounds=(None, None),
        method="highs-ipm" if polytope.n_variables > SIMPLEX_UP_TO else "highs",
        options=options or {},
    )
    if result.status != 0:
        raise SolverError("HIGHS", result.message)
    return Program(result.x, scale * result.fun, scale * np.maximum(-result.ineqlin.marginals, 0.0))


def _run_clarabel(problem: cp.Problem, options: dict[str, Any]) -> None:
    """Solve; an inaccurate, infeasible or interrupted end is an error, never a warning."""
    status = "unsolved"
    for attempt in ATTEMPTS:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", UserWarning)  # cvxpy warns of what the status says
            try:
                problem.solve(solver="CLARABEL", **{**attempt, **options})
            except cp.error.SolverError as failure:
                status = f"failed: {failure}"
                continue
        status = str(problem.status)
        if status == cp.OPTIMAL:
            return
    raise SolverError("CLARABEL", status)
