"""The set of gates a constrained problem allows, as named blocks of linear inequalities.

A gate is a vector of weights ``alpha``, one per group of cells that it cannot tell apart. Every constraint of
:func:`theory.oracle.oracle_gate` is a block ``matrix @ z <= bound`` over ``z = (alpha, auxiliary variables)``; one
block, one name, one vector of prices.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from theory.gate_distances import Distances, near_pairs
from theory.validation import Floats

__all__ = ["Block", "GatePolytope", "Levels", "frequency_levels", "gate_polytope"]

Integers = NDArray[np.int64]
Entries = list[tuple[Integers, Integers, float]]
"""Rows, columns and value of entries of a matrix."""
Rows = tuple[str, Entries, Floats]
"""Name, entries and bounds of a block."""

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


class Levels(NamedTuple):
    """Gates by kind of context and, within it, by level of class frequency, rare first.

    Attributes:
        level: (gates,) number of each gate's level; levels of one kind are consecutive numbers.
        kind: (levels,) kind of context of each level.
    """

    level: Integers
    kind: Integers


def gate_polytope(
    query: Integers,
    context: Integers,
    frequency: Floats,
    *,
    lipschitz: float | None,
    distances: Distances | None,
    monotone: bool,
    memory: float | None,
) -> GatePolytope:
    """Gates that obey the given constraints.

    Args:
        query: (gates,) query class 0 .. Q - 1 that each weight serves.
        context: (gates,) context kind that each weight serves.
        frequency: (Q,) probability of each query class.
        lipschitz: None, or largest slope over ``distances``, between weights of one context kind.
        distances: (Q, Q) distances of the query classes; no constraint is meant for pairs that a sparse table lacks.
        monotone: weights of one context kind do not fall as the class frequency grows.
        memory: None, or the most that the classes' weights may sum to; a class counts its largest weight.

    Returns:
        The polytope, with blocks ``lower`` and ``upper`` (the box), then those of the constraints asked for. Between
        two levels of a monotone gate lies a threshold variable; where several weights serve a class, the class has a
        variable for the largest of them.
    """
    n = n_variables = len(query)
    every, none = np.arange(n), np.zeros(n)
    rows: list[Rows] = [("lower", [(every, every, -1.0)], none), ("upper", [(every, every, 1.0)], none + 1)]
    if lipschitz is not None and distances is not None:
        rows.append(_lipschitz_rows(*near_pairs(query, context, lipschitz, distances)))
    if monotone:
        added, n_variables = _monotone_rows(frequency_levels(query, context, frequency), n_variables)
        rows += added
    if memory is not None:
        added, n_variables = _memory_rows(query, memory, n_variables)
        rows += added
    blocks = tuple(_block(*block, n_variables) for block in rows if len(block[2]))
    return GatePolytope(n, n_variables, coupled=len(blocks) > 2, blocks=blocks)


def frequency_levels(query: Integers, context: Integers, frequency: Floats) -> Levels:
    """Levels of class frequency of the gates, arguments as in :func:`gate_polytope`.

    Example:
        >>> frequency_levels(np.array([0, 1, 2]), np.zeros(3, dtype=int), np.array([0.25, 0.5, 0.25])).level
        array([0, 1, 0])
    """
    order = np.lexsort((frequency[query], context))
    ascending, kinds = frequency[query][order], context[order]
    new = (kinds[1:] != kinds[:-1]) | (ascending[1:] > ascending[:-1] * (1 + SAME_FREQUENCY))
    level = np.empty(len(order), dtype=np.int64)
    level[order] = np.concatenate([[0], np.cumsum(new)])
    return Levels(level, kinds[np.concatenate([[True], new])])


def _block(name: str, entries: Entries, bound: Floats, n_variables: int) -> Block:
    row, column = (np.concatenate([entry[k] for entry in entries]) for k in (0, 1))
    values = np.concatenate([np.full(len(entry[0]), entry[2]) for entry in entries])
    return Block(name, sparse.csr_matrix((values, (row, column)), shape=(len(bound), n_variables)), bound)


def _lipschitz_rows(i: Integers, j: Integers, reach: Floats) -> Rows:
    even = 2 * np.arange(len(i))
    entries = [(even, i, 1.0), (even, j, -1.0), (even + 1, i, -1.0), (even + 1, j, 1.0)]
    return "lipschitz", entries, np.repeat(reach, 2)


def _monotone_rows(levels: Levels, n_variables: int) -> tuple[list[Rows], int]:
    """Gates at most the threshold above their level, then gates at least the one below: linear in the gates."""
    bounded = np.append(levels.kind[1:] == levels.kind[:-1], False)
    threshold = n_variables + np.cumsum(bounded) - 1  # above each level that is not the last of its kind
    up = np.flatnonzero(bounded[levels.level])
    down = np.flatnonzero(np.roll(bounded, 1)[levels.level])
    first, second = np.arange(len(up)), len(up) + np.arange(len(down))
    entries = [
        (first, threshold[levels.level[up]], -1.0),
        (first, up, 1.0),
        (second, threshold[levels.level[down] - 1], 1.0),
        (second, down, -1.0),
    ]
    return [("monotone", entries, np.zeros(len(up) + len(down)))], n_variables + int(bounded.sum())


def _memory_rows(query: Integers, memory: float, n_variables: int) -> tuple[list[Rows], int]:
    """The budget row, the rows that make a class pay for its largest weight, and the new number of variables."""
    classes, paid = np.unique(query, return_inverse=True)
    every, top = np.arange(len(query)), np.zeros(len(classes), dtype=np.int64)
    if len(classes) == len(query):
        return [("memory", [(top, every, 1.0)], np.array([memory]))], n_variables
    shares = [(every, every, 1.0), (every, n_variables + paid, -1.0)]
    budget: Rows = ("memory", [(top, n_variables + np.arange(len(classes)), 1.0)], np.array([memory]))
    return [budget, ("memory_share", shares, np.zeros(len(query)))], n_variables + len(classes)
