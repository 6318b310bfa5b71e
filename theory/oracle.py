"""The best gate in hindsight: how much to trust the in-weight predictor, cell by cell, when all losses are known.

A cell is a query class met with a kind of context. In each cell the gate weighs the in-weight predictor by ``alpha``
and the in-context predictor by ``1 - alpha``. Without constraints every cell is a problem in one variable; constraints
(a gate that sees only the query, a smooth gate, a monotone gate, a memory budget) tie cells together, and what a
constraint costs is read from its prices (duals). One constraint alone is solved in its own way (docs/theory.md, 3.10),
several together by a general solver.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from theory.gate_budget import budget_gate, budget_saving
from theory.gate_cells import GATE_LOSSES, GateCells
from theory.gate_distances import Distances, require_distances
from theory.gate_interior import interior_point
from theory.gate_monotone import monotone_gate, monotone_saving
from theory.gate_polytope import GatePolytope, Levels, frequency_levels, gate_polytope
from theory.gate_solver import SolverError, linear_program, solve
from theory.gate_tables import GateTables, least
from theory.validation import (
    Floats,
    require_choice,
    require_instances,
    require_nonnegative,
    require_scalar,
)

__all__ = ["OracleGate", "SolverError", "oracle_gate"]


@dataclass(frozen=True, eq=False)
class OracleGate:
    """The solution of :func:`oracle_gate` with its certificates.

    Attributes:
        alpha: (cells,) weight of the in-weight predictor, in [0, 1].
        value: expected loss of the gate (nats, or probability for linear loss).
        loss: ``log`` or ``linear``.
        status: what the method said; always ``optimal``.
        solver: what solved it: ``one variable``, ``isotonic splits``, ``price of memory``, ``interior point``, or the
            general solver ``CLARABEL`` (log loss) or ``HIGHS`` (linear loss).
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
    distances: ArrayLike | sparse.sparray | None = None,
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
        loss: ``log_loss`` (nats) or ``linear_loss`` (probability of not naming the outcome).
        query_only: the gate sees the query alone, so cells that share a query share their weight.
        lipschitz: slope >= 0 in weight per unit of distance: ``|alpha_i - alpha_j| <= lipschitz * distances[i, j]``
            between query classes, within each kind of context; needs ``distances``.
        distances: (Q, Q) distances >= 0 between query classes, symmetric; or a sparse array of scipy that stores the
            pairs to be constrained alone (neighbours along a line, edges of a graph), each once or twice.
        monotone: within each kind of context a more frequent class never has the smaller weight.
        memory: budget m >= 0 with ``sum_c alpha_c <= m``, a class counting its largest weight over context kinds.
        solver_options: options passed on to a general solver as they are, where one is needed: Clarabel's with log
            loss (``max_iter``), those of scipy's HiGHS with linear loss (``time_limit``).

    Returns:
        The gate, its value, its certificates and the prices of the constraints.

    Raises:
        ValueError: an argument outside its set; with log loss, an outcome that both predictors exclude.
        SolverError: no optimum was reached, or none of finite loss is allowed; names the solver and its status.

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
    table = None if distances is None else require_distances(distances, cells.n_queries)
    query, context = cells._arrays["query"], cells._arrays["context"]
    if query_only:
        gate_of, query, context = query, np.arange(cells.n_queries), np.zeros(cells.n_queries, dtype=np.int64)
    else:
        gate_of = np.arange(len(query))
    asked = _Asked(query, context, cells.query_frequency, lipschitz, table, monotone, memory)
    polytope = gate_polytope(
        query, context, asked.frequency, lipschitz=lipschitz, distances=table, monotone=monotone, memory=memory
    )
    tables = GateTables.of(cells, gate_of, loss)
    solver, z, duals = _solve(tables, polytope, asked, dict(solver_options or {}))
    alpha = np.clip(z[: polytope.n_gates], 0.0, 1.0)
    z = np.concatenate([alpha, z[polytope.n_gates :]])
    value = float(cells.losses(alpha[gate_of], loss=loss).sum())
    if not np.isfinite(value):
        raise SolverError(solver, "infinite loss")
    gradient = np.zeros(polytope.n_variables)
    gradient[: polytope.n_gates] = tables.slopes(alpha).first
    return OracleGate(
        alpha=alpha[gate_of],
        value=value,
        loss=loss,
        status="optimal",
        solver=solver,
        optimality_gap=max(0.0, float(gradient @ z) - _least_linear(polytope, asked, gradient)),
        kkt_residual=_kkt_residual(polytope, z, gradient, duals),
        duals=duals,
    )


class _Asked(NamedTuple):
    """What the gates serve and the constraints on them; see :func:`theory.gate_polytope.gate_polytope`."""

    query: NDArray[np.int64]
    context: NDArray[np.int64]
    frequency: Floats
    lipschitz: float | None
    distances: Distances | None
    monotone: bool
    memory: float | None

    @property
    def levels(self) -> Levels:
        return frequency_levels(self.query, self.context, self.frequency)

    def only(self, name: str) -> bool:
        """Whether no constraint but this one is asked for."""
        given = {"lipschitz": self.lipschitz is not None, "monotone": self.monotone, "memory": self.memory is not None}
        return {key for key, asked in given.items() if asked} == {name}


def _solve(
    tables: GateTables, polytope: GatePolytope, asked: _Asked, options: dict[str, Any]
) -> tuple[str, Floats, dict[str, Floats]]:
    """Name of the method, optimal variables and prices."""
    if not polytope.coupled:
        alpha = least(tables, np.arange(len(tables)), len(tables))
        slope = tables.slopes(alpha).first
        limits = {"lower": np.where(alpha == 0, slope, 0.0), "upper": np.where(alpha == 1, -slope, 0.0)}
        return "one variable", alpha, limits
    if asked.only("monotone"):
        return "isotonic splits", *monotone_gate(tables, asked.levels)
    if asked.only("memory"):
        return "price of memory", *budget_gate(tables, asked.query, float(asked.memory or 0.0))
    if tables.loss == "linear_loss":
        return "HIGHS", *solve(tables, polytope, options)
    few = asked.distances if isinstance(asked.distances, sparse.coo_array) and asked.only("lipschitz") else None
    if few is not None and asked.lipschitz and (few.data > 0).all():
        with suppress(SolverError):
            return "interior point", *interior_point(tables, polytope)
    return "CLARABEL", *solve(tables, polytope, options)


def _least_linear(polytope: GatePolytope, asked: _Asked, gradient: Floats) -> float:
    """Least of ``gradient @ s`` over the polytope, by sums and sorting where one constraint is alone."""
    saving = -gradient[: polytope.n_gates]
    if not polytope.coupled:
        return -float(np.maximum(saving, 0.0).sum())
    if asked.only("monotone"):
        return -monotone_saving(saving, asked.levels)
    if asked.only("memory"):
        return -budget_saving(saving, asked.query, float(asked.memory or 0.0))
    return linear_program(polytope, gradient).value


def _kkt_residual(polytope: GatePolytope, z: Floats, gradient: Floats, duals: Mapping[str, Floats]) -> float:
    stationarity, worst = gradient.copy(), 0.0
    for block in polytope.blocks:
        price, slack = duals[block.name], block.bound - block.matrix @ z
        stationarity += block.matrix.T @ price
        worst = max(worst, float(max((-price).max(), (-slack).max(), np.abs(price * slack).max())))
    return max(worst, float(np.abs(stationarity).max()))
