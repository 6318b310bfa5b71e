"""Best gate under log loss where many sparse inequalities tie the weights: primal-dual interior-point steps.

The loss of each gate is taken as it is, with two derivatives, so that a step solves one sparse linear system with as
many unknowns as there are gates; along a chain or a tree that takes time in proportion to their number.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from theory.gate_polytope import GatePolytope
from theory.gate_solver import SolverError
from theory.gate_tables import GateTables
from theory.validation import Floats

__all__ = ["interior_point"]

MOST_STEPS = 200
CLOSEST = 0.995
"""How much of the way to the nearest limit a step may go."""
HALVINGS = 20
TOLERANCE, ACCEPTED = 1e-11, 1e-7
"""Of stationarity and of price times slack, where a gate of mean probability has losses of order 1: what ends the
steps, and what is taken where rounding stops them before."""


class _Point(NamedTuple):
    z: Floats
    price: Floats
    slack: Floats
    stationarity: Floats
    curvature: Floats


def interior_point(tables: GateTables, polytope: GatePolytope) -> tuple[Floats, dict[str, Floats]]:
    """Optimal weights and the price of each inequality by name of its block.

    Args:
        tables: the gates, with log loss.
        polytope: limits without variables of their own, which all weights of 1/2 obey strictly.

    Raises:
        SolverError: the steps did not reach an optimum.

    Example:
        >>> from theory.gate_polytope import gate_polytope
        >>> rules = {"distances": np.array([[0, 1], [1, 0]]), "monotone": False, "memory": None}
        >>> near = gate_polytope(np.arange(2), np.zeros(2, dtype=int), np.ones(2) / 2, lipschitz=0.5, **rules)
        >>> tables = GateTables(np.ones((2, 1)) / 2, np.array([[0.9], [0.1]]), np.array([[0.1], [0.9]]), "log_loss")
        >>> interior_point(tables, near)[0].round(6).tolist()
        [0.75, 0.25]
    """
    matrix = sparse.csr_array(sparse.vstack([block.matrix for block in polytope.blocks]))
    bound = np.concatenate([block.bound for block in polytope.blocks])
    n = len(tables)

    def point(z: Floats, price: Floats, slack: Floats) -> _Point:  # the slack is carried: 1 - z would lose its digits
        first, second = tables.slopes(z)
        return _Point(z, price, slack, n * first + matrix.T @ price, n * second)

    z = np.full(n, 0.5)
    slack = bound - matrix @ z
    here, stalled = point(z, 1 / slack, slack), False
    for _ in range(MOST_STEPS):
        gaps = here.price * here.slack
        error = max(np.abs(here.stationarity).max(), gaps.max())
        if error <= TOLERANCE or (stalled and error <= ACCEPTED):
            prices = np.split(here.price / n, np.cumsum([len(block.bound) for block in polytope.blocks])[:-1])
            return here.z, {block.name: price for block, price in zip(polytope.blocks, prices, strict=True)}
        target = 0.1 * gaps.mean()
        weight = here.price / here.slack
        system = sparse.csc_array(matrix.T @ _diagonal(weight) @ matrix + _diagonal(here.curvature))
        side = -here.stationarity - matrix.T @ ((target - gaps) / here.slack)
        step = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(side)
        rate = matrix @ step
        change = (target - gaps + here.price * rate) / here.slack
        most = max(float((rate / here.slack).max()), float((-change / here.price).max()), 1e-300)
        length, before = min(1.0, CLOSEST / most), _norm(here, target)
        for _ in range(HALVINGS):
            there = point(here.z + length * step, here.price + length * change, here.slack - length * rate)
            if _norm(there, target) <= (1 - 0.01 * length) * before:
                break
            length /= 2
        stalled = length < min(1.0, CLOSEST / most) / 8
        here = there
    raise SolverError("interior point", f"{MOST_STEPS} steps without an optimum")


def _diagonal(values: Floats) -> sparse.dia_array:
    return sparse.dia_array((values[None], [0]), shape=(len(values), len(values)))


def _norm(at: _Point, target: float) -> float:
    return float(np.sqrt((at.stationarity**2).sum() + ((at.price * at.slack - target) ** 2).sum()))
