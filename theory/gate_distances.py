"""Distances of query classes, of all pairs or of few of many, and the pairs of weights that they hold together."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from theory.validation import Floats, require_nonnegative, require_reals

__all__ = ["Distances", "near_pairs", "require_distances"]

Integers = NDArray[np.int64]
Distances: TypeAlias = Floats | sparse.coo_array
"""Of all pairs, or of those that are stored."""


def require_distances(distances: Any, n_queries: int) -> Distances:
    """The table of all pairs, or the stored pairs of a sparse one, each once with the first class below the second.

    Example:
        >>> line = sparse.coo_array(([1.0, 2.0], ([1, 2], [0, 1])), shape=(3, 3))
        >>> require_distances(line, 3).col.tolist()
        [1, 2]
    """
    if isinstance(distances, (sparse.sparray, sparse.spmatrix)):
        return _require_pairs(sparse.coo_array(distances), n_queries)
    table = require_reals("distances", distances)
    if table.shape != (n_queries, n_queries) or (table < 0).any() or not np.array_equal(table, table.T):
        raise ValueError(
            f"`distances` must be a symmetric ({n_queries}, {n_queries}) table of numbers >= 0; got {table.tolist()}"
        )
    return table


def _require_pairs(pairs: sparse.coo_array, n_queries: int) -> sparse.coo_array:
    if pairs.shape != (n_queries, n_queries) or not pairs.nnz:
        wanted = f"a ({n_queries}, {n_queries}) table that stores some pair"
        raise ValueError(f"`distances` must be {wanted}; got shape {pairs.shape} with {pairs.nnz} stored")
    apart = pairs.row != pairs.col
    value = require_nonnegative("distances", pairs.data)[apart]
    ends = np.sort(np.stack([pairs.row, pairs.col]).astype(np.int64), axis=0)[:, apart]
    key, first, again = np.unique(ends[0] * n_queries + ends[1], return_index=True, return_inverse=True)
    if (value != value[first][again]).any():
        raise ValueError("`distances` must be symmetric where it stores a pair twice; got two distances of one pair")
    return sparse.coo_array((value[first], (key // n_queries, key % n_queries)), shape=pairs.shape)


def near_pairs(
    query: Integers, context: Integers, lipschitz: float, distances: Distances
) -> tuple[Integers, Integers, Floats]:
    """Pairs of gates of one kind of context whose weights may not differ by 1, and by how much they may.

    Example:
        >>> near_pairs(np.array([0, 1]), np.array([0, 0]), 0.5, np.array([[0.0, 1.0], [1.0, 0.0]]))
        (array([0]), array([1]), array([0.5]))
    """
    found = []
    for kind in np.unique(context):
        gates = np.flatnonzero(context == kind)
        if isinstance(distances, np.ndarray):
            first, second = np.triu_indices(len(gates), 1)
            i, j = gates[first], gates[second]
            reach = lipschitz * distances[query[i], query[j]]
        else:
            gate = np.full(distances.shape[0], -1)
            gate[query[gates]] = gates
            i, j = gate[distances.row], gate[distances.col]
            reach = lipschitz * distances.data
        kept = (i >= 0) & (j >= 0) & (reach < 1)
        found.append((i[kept], j[kept], reach[kept]))
    i, j, reach = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return i, j, reach
