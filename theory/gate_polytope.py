"""The set of gates a constrained problem allows, as named blocks of linear inequalities.

A gate is a vector of weights ``alpha``, one per group of cells that it cannot tell apart. Every constraint of
:func:`theory.oracle.oracle_gate` is a block ``matrix @ z <= bound`` over ``z = (alpha, auxiliary variables)``; one
block, one name, one vector of prices.
"""

from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from theory.validation import Floats

__all__ = ["Block", "GatePolytope", "gate_polytope"]

Rows = list[tuple[list[int], list[float], float]]

# Class frequencies closer than this (relative) are one level of a monotone gate: they differ by rounding alone.
SAME_FREQUENCY = 1e-12


class Block(NamedTuple):
    """Named inequalities ``matrix @ z <= bound``; ``matrix`` is (rows, variables), ``bound`` is (rows,)."""

    name: str
    matrix: sparse.csr_matrix
    bound: Floats


class GatePolytope(NamedTuple):
    """Blocks over ``n_variables`` variables, of which the first ``n_gates`` are the gate's weights.

    ``coupled`` says that some block ties two different weights together, so that the problem does not fall apart into
    one problem per weight.
    """

    n_gates: int
    n_variables: int
    coupled: bool
    blocks: tuple[Block, ...]


def gate_polytope(
    query: NDArray[np.int64],
    context: NDArray[np.int64],
    frequency: Floats,
    *,
    lipschitz: float | None,
    distances: Floats | None,
    monotone: bool,
    memory: float | None,
) -> GatePolytope:
    """Gates that obey the given constraints.

    Args:
        query: (gates,) query class 0 .. Q - 1 that each weight serves.
        context: (gates,) context kind that each weight serves.
        frequency: (Q,) probability of each query class.
        lipschitz: None, or largest slope over ``distances``, between weights of one context kind.
        distances: (Q, Q) distances of the query classes, infinite where no constraint is meant.
        monotone: weights of one context kind do not fall as the class frequency grows.
        memory: None, or the most that the classes' weights may sum to; a class counts its largest weight.

    Returns:
        The polytope, with blocks ``lower`` and ``upper`` (the box), then those of the constraints asked for.
    """
    n_gates = len(query)
    rows: dict[str, Rows] = {
        "lower": [([i], [-1.0], 0.0) for i in range(n_gates)],
        "upper": [([i], [1.0], 1.0) for i in range(n_gates)],
    }
    n_variables = n_gates
    if lipschitz is not None and distances is not None:
        rows["lipschitz"] = _lipschitz_rows(query, context, lipschitz * distances)
    if monotone:
        rows["monotone"], n_variables = _monotone_rows(frequency[query], context, n_variables)
    if memory is not None:
        rows["memory"], rows["memory_share"], n_variables = _memory_rows(query, memory, n_variables)
    blocks = tuple(_block(name, block, n_variables) for name, block in rows.items() if block)
    return GatePolytope(n_gates, n_variables, coupled=len(blocks) > 2, blocks=blocks)


def _block(name: str, rows: Rows, n_variables: int) -> Block:
    columns = np.concatenate([columns for columns, _, _ in rows])
    values = np.concatenate([values for _, values, _ in rows])
    index = np.repeat(np.arange(len(rows)), [len(columns) for columns, _, _ in rows])
    matrix = sparse.csr_matrix((values, (index, columns)), shape=(len(rows), n_variables))
    return Block(name, matrix, np.array([bound for _, _, bound in rows]))


def _lipschitz_rows(query: NDArray[np.int64], context: NDArray[np.int64], reach: Floats) -> Rows:
    rows: Rows = []
    for i, j in combinations(range(len(query)), 2):
        limit = reach[query[i], query[j]]
        if context[i] == context[j] and limit < 1:  # weights in [0, 1] never differ by more than 1
            rows += [([i, j], [1.0, -1.0], limit), ([i, j], [-1.0, 1.0], limit)]
    return rows


def _monotone_rows(frequency: Floats, context: NDArray[np.int64], n_variables: int) -> tuple[Rows, int]:
    """A threshold variable between neighbouring frequency levels keeps the number of rows linear in the gates."""
    rows: Rows = []
    for kind in np.unique(context):
        for below, above in pairwise(_levels(frequency, np.flatnonzero(context == kind))):
            rows += [([i, n_variables], [1.0, -1.0], 0.0) for i in below]
            rows += [([n_variables, j], [1.0, -1.0], 0.0) for j in above]
            n_variables += 1
    return rows, n_variables


def _levels(frequency: Floats, gates: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Gates grouped by class frequency, rare first."""
    order = gates[np.argsort(frequency[gates], kind="stable")]
    ascending = frequency[order]
    return np.split(order, np.flatnonzero(ascending[1:] > ascending[:-1] * (1 + SAME_FREQUENCY)) + 1)


def _memory_rows(query: NDArray[np.int64], memory: float, n_variables: int) -> tuple[Rows, Rows, int]:
    """The budget row, the rows that make a class pay for its largest weight, and the new number of variables."""
    classes = np.unique(query)
    if len(classes) == len(query):
        return [(list(range(len(query))), [1.0] * len(query), memory)], [], n_variables
    paid = {int(c): n_variables + k for k, c in enumerate(classes)}
    shares: Rows = [([i, paid[int(c)]], [1.0, -1.0], 0.0) for i, c in enumerate(query)]
    return [(list(paid.values()), [1.0] * len(paid), memory)], shares, n_variables + len(paid)
