"""Random cells for the best gate in hindsight, and sets of constraints."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.gate_cells import GateCells

N_QUERIES = 8


def random_cells(generator: np.random.Generator, *, kinds: int = 2, n_outcomes: int = 4) -> GateCells:
    query, context = np.repeat(np.arange(N_QUERIES), kinds), np.tile(np.arange(kinds), N_QUERIES)
    frequency = generator.dirichlet(np.ones(N_QUERIES))
    p = generator.dirichlet(np.ones(n_outcomes), len(query)) * frequency[query][:, None] / kinds
    g, h = generator.uniform(0.01, 1, (2, *p.shape))
    return GateCells(p, g, h, query=query, context=context)


def random_distances(generator: np.random.Generator) -> NDArray[np.float64]:
    points = generator.normal(size=(N_QUERIES, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    return (distances + distances.T) / 2


def constraint_sets(generator: np.random.Generator) -> list[dict[str, Any]]:
    distances = random_distances(generator)
    return [
        {},
        {"query_only": True},
        {"lipschitz": 0.1, "distances": distances},
        {"monotone": True},
        {"memory": 2.0},
        {"query_only": True, "memory": 2.5, "monotone": True, "lipschitz": 0.3, "distances": distances},
    ]
