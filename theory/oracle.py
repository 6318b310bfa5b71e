"""The best gate in hindsight: how much to trust the in-weight predictor, cell by cell, when all losses are known.

A cell is a query class met with a kind of context. In each cell the gate weighs the in-weight predictor by ``alpha``
and the in-context predictor by ``1 - alpha``. Without constraints every cell is a problem in one variable; constraints
(a gate that sees only the query, a smooth gate, a monotone gate, a memory budget) tie cells together, and what a
constraint costs is read from its prices (duals).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse

from theory.gate_cells import GATE_LOSSES, GateCells
from theory.gate_polytope import GatePolytope, gate_polytope
from theory.validation import (
    Floats,
    require_choice,
    require_instances,
    require_nonnegative,
    require_reals,
    require_scalar,
)

__all__ = ["OracleGate", "SolverError", "oracle_gate"]

SOLVERS = {"log_loss": "CLARABEL", "linear_loss": "HIGHS"}  # by loss

# What is asked of Clarabel until it reports an optimum, the tightest first: at 1e-11 weights agree with a scalar
# minimiser to 1e-7. Its equilibration stalls on about one monotone problem in three hundred, which it solves without.
ATTEMPTS = tuple(
    {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance, "equilibrate_enable": equilibrate}
    for tolerance in (1e-11, 1e-10, 1e-9, 1e-8)
    for equilibrate in (True, False)
)


class SolverError(RuntimeError):
    """A solver stopped without an optimum; ``solver`` and ``status`` say which and how."""

    def __init__(self, solver: str, status: str):
        self.solver, self.status = solver, status
        super().__init__(
            f"solver {solver} ended with status {status!r}, not 'optimal'; check that a gate allowed by the"
            " constraints gives every outcome a positive probability, or relax the solver options"
        )


@dataclass(frozen=True, eq=False)
class OracleGate:
    """The solution of :func:`oracle_gate` with its certificates.

    Attributes:
        alpha: (cells,) weight of the in-weight predictor, in [0, 1].
        value: expected loss of the gate (nats, or probability for linear loss).
        loss: ``log`` or ``linear``.
        status: what the solver said; always ``optimal``.
        solver: name of the solver.
        optimality_gap: upper bound on ``value`` minus the best value, from a linear program that does not use the
            solver's duals (the gap of Frank and Wolfe): >= 0.
        kkt_residual: largest violation of stationarity, feasibility, dual sign or complementary slackness.
        duals: price of each constraint by name (``lower``, ``upper``, ``lipschitz``, ``monotone``, ``memory``,
            ``memory_share``), each an array >= 0 with one entry per inequality: what a unit of slack would save.
    """

    alpha: Floats
    value: float
    loss: str
    status: str
    solver: str
    optimality_gap: float
    kkt_residual: float
    duals: Mapping[str, Floats]

    @property
    def memory_price(self) -> float:
        """Loss that one more unit of memory would save, at the margin; 0 when the budget does not bind or is not set.

        Example:
            >>> cells = GateCells([[0.8], [0.2]], [[0.9], [0.9]], [[0.5], [0.5]])
            >>> round(oracle_gate(cells, loss="linear_loss", memory=0.5).memory_price, 6)
            0.32
        """
        return float(self.duals["memory"][0]) if "memory" in self.duals else 0.0


def oracle_gate(
    cells: GateCells,
    *,
    loss: str = "log_loss",
    query_only: bool = False,
    lipschitz: float | None = None,
    distances: ArrayLike | None = None,
    monotone: bool = False,
    memory: float | None = None,
    solver_options: Mapping[str, Any] | None = None,
) -> OracleGate:
    r"""The gate of least expected loss among those the constraints allow.

    .. math:: \min_{\alpha \in [0,1]^{cells}} \sum_{i,o} p_{io}\, \ell(\alpha_i g_{io} + (1-\alpha_i) h_{io})

    with :math:`\ell(u) = -\ln u` (log) or :math:`1 - u` (linear). Exact up to the reported optimality gap. The problem
    is convex (log) or linear, for any table of outcomes and any mix of the constraints.

    Args:
        cells: outcomes and the two predictors' probabilities of them.
        loss: ``log`` (nats) or ``linear`` (probability of not naming the outcome).
        query_only: the gate sees the query alone, so cells that share a query share their weight.
        lipschitz: slope >= 0 in weight per unit of distance: ``|alpha_i - alpha_j| <= lipschitz * distances[i, j]``
            between query classes, within each kind of context; needs ``distances``.
        distances: (Q, Q) distances >= 0 between query classes, symmetric.
        monotone: within each kind of context a more frequent class never has the smaller weight.
        memory: budget m >= 0 with ``sum_c alpha_c <= m``, a class counting its largest weight over context kinds.
        solver_options: options passed on to the solver as they are (``max_iter`` and the like).

    Returns:
        The gate, its value, its certificates and the prices of the constraints.

    Raises:
        ValueError: an argument outside its set; with log loss, an outcome that both predictors exclude.
        SolverError: the solver did not reach an optimum, naming the solver and its status.

    Example:
        >>> cells = GateCells([[0.4, 0.1], [0.3, 0.2]], [[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.9, 0.1]])
        >>> gate = oracle_gate(cells)
        >>> gate.alpha.round(4).tolist(), round(gate.value, 6), gate.optimality_gap < 1e-8
        ([0.75, 0.75], 0.586707, True)

    Source: Chan et al. (2025), the gate of the stylized model; Boyd and Vandenberghe (2004), section 5.5.3 (optimality
    conditions); Jaggi (2013), section 2 (the duality gap of Frank and Wolfe).
    """
    require_instances(cells=(cells, GateCells), query_only=(query_only, bool), monotone=(monotone, bool))
    require_choice("loss", loss, GATE_LOSSES)
    for name, number in (("lipschitz", lipschitz), ("memory", memory)):
        if number is not None:
            require_scalar(name, require_nonnegative(name, number))
    if (lipschitz is None) != (distances is None):
        raise ValueError("`lipschitz` and `distances` must be given together; got only one of them")
    if loss == "log_loss" and not np.isfinite(cells.losses(0.5)).all():
        raise ValueError(
            "`p_in_weight` and `p_in_context` must not both be 0 for an outcome of positive probability under log"
            f" loss; got it in cells {np.flatnonzero(~np.isfinite(cells.losses(0.5))).tolist()}"
        )
    table = None if distances is None else _require_distances(distances, cells.n_queries)
    query, context = cells._arrays["query"], cells._arrays["context"]
    if query_only:
        gate_of, query, context = query, np.arange(cells.n_queries), np.zeros(cells.n_queries, dtype=np.int64)
    else:
        gate_of = np.arange(len(query))
    polytope = gate_polytope(
        query, context, cells.query_frequency, lipschitz=lipschitz, distances=table, monotone=monotone, memory=memory
    )
    z, duals = _solve(cells, gate_of, polytope, loss, dict(solver_options or {}))
    alpha = np.clip(z[: polytope.n_gates], 0.0, 1.0)
    z = np.concatenate([alpha, z[polytope.n_gates :]])
    gradient = np.zeros(polytope.n_variables)
    gradient[: polytope.n_gates] = np.bincount(gate_of, cells.slopes(alpha[gate_of], loss=loss), polytope.n_gates)
    return OracleGate(
        alpha=alpha[gate_of],
        value=float(cells.losses(alpha[gate_of], loss=loss).sum()),
        loss=loss,
        status=str(cp.OPTIMAL),
        solver=SOLVERS[loss],
        optimality_gap=_frank_wolfe_gap(polytope, z, gradient),
        kkt_residual=_kkt_residual(polytope, z, gradient, duals),
        duals=duals,
    )


def _require_distances(distances: ArrayLike, n_queries: int) -> Floats:
    table = require_reals("distances", distances)
    if table.shape != (n_queries, n_queries) or (table < 0).any() or not np.array_equal(table, table.T):
        raise ValueError(
            f"`distances` must be a symmetric ({n_queries}, {n_queries}) table of numbers >= 0; got {table.tolist()}"
        )
    return table


def _solve(
    cells: GateCells, gate_of: NDArray[np.int64], polytope: GatePolytope, loss: str, options: dict[str, Any]
) -> tuple[Floats, dict[str, Floats]]:
    """Optimal variables and prices.

    When nothing ties the weights together each is its own problem, and is solved at its own scale (divided by its
    probability), so that rare cells are as accurate as frequent ones.
    """
    p, g, h = (cells._arrays[name] for name in ("probability", "p_in_weight", "p_in_context"))
    mass = np.bincount(gate_of, p.sum(axis=1), polytope.n_gates)
    scale = np.ones(polytope.n_gates) if polytope.coupled else mass
    if loss == "log_loss":  # the larger probability of each outcome is scaled to 1, which only shifts the objective
        larger = np.where(p > 0, np.maximum(g, h), 1.0)
        g, h = g / larger, h / larger
    row, column = np.nonzero(p)
    gate, weight = gate_of[row], p[row, column] / scale[gate_of[row]]
    z = cp.Variable(polytope.n_variables)
    pick = sparse.csr_matrix(
        ((g - h)[row, column], (np.arange(len(row)), gate)), shape=(len(row), polytope.n_variables)
    )
    mixture = pick @ z + h[row, column]
    objective = cp.Minimize(-weight @ (cp.log(mixture) if loss == "log_loss" else mixture))
    constraints = [block.matrix @ z <= block.bound for block in polytope.blocks]
    _run_solver(cp.Problem(objective, constraints), SOLVERS[loss], options)
    duals = {b.name: np.atleast_1d(c.dual_value) for b, c in zip(polytope.blocks, constraints, strict=True)}
    for name in ("lower", "upper"):
        duals[name] = duals[name] * scale
    return np.asarray(z.value), duals


def _run_solver(problem: cp.Problem, solver: str, options: dict[str, Any]) -> None:
    """Solve; an inaccurate, infeasible or interrupted end is an error, never a warning."""
    status = "unsolved"
    for attempt in ATTEMPTS if solver == "CLARABEL" else ({},):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", UserWarning)  # cvxpy warns of what the status says
            try:
                problem.solve(solver=solver, **{**attempt, **options})
            except cp.error.SolverError as failure:
                status = f"failed: {failure}"
                continue
        status = str(problem.status)
        if status == cp.OPTIMAL:
            return
    raise SolverError(solver, status)


def _frank_wolfe_gap(polytope: GatePolytope, z: Floats, gradient: Floats) -> float:
    r""":math:`\max_s \nabla f(z) \cdot (z - s)` over the polytope: no allowed gate is better by more than this."""
    result = optimize.linprog(
        gradient,
        A_ub=sparse.vstack([block.matrix for block in polytope.blocks]),
        b_ub=np.concatenate([block.bound for block in polytope.blocks]),
        bounds=(None, None),
        method="highs",
    )
    if result.status != 0:
        raise SolverError("HIGHS", result.message)
    return max(0.0, float(gradient @ z - result.fun))


def _kkt_residual(polytope: GatePolytope, z: Floats, gradient: Floats, duals: Mapping[str, Floats]) -> float:
    stationarity, worst = gradient.copy(), 0.0
    for block in polytope.blocks:
        price, slack = duals[block.name], block.bound - block.matrix @ z
        stationarity += block.matrix.T @ price
        worst = max(worst, float(max((-price).max(), (-slack).max(), np.abs(price * slack).max())))
    return max(worst, float(np.abs(stationarity).max()))
