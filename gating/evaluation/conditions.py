"""Test conditions of the class mixture: in-base or out-of-base, relevant context or not, frequent or rare queries.

Sequences are drawn for every cell (query class, context kind) in equal number, and conditions are weighted means over
cells: exact in the class frequencies, and precise for rare classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from theory.context_law import CONTEXTS
from theory.distribution import GROUPS, ClassMixture
from theory.validation import require_instances, require_sizes

__all__ = ["Condition", "TestSet", "conditions", "draw_test_set"]


@dataclass(frozen=True)
class TestSet:
    """Fresh sequences of R replicas, cell after cell.

    Attributes:
        sequences: for ``ibd`` and ``oobd``, sequences of shape (R, K * 2 * S, ...); out-of-base ones are the in-base
            ones with the labels moved.
        label_distribution: for both, the law of the target given the query class, shape (R, K * 2 * S, C).
        evaluation_per_cell: S, sequences in each cell (query class, relevant or irrelevant).
    """

    __test__ = False

    sequences: dict[str, Sequences]
    label_distribution: dict[str, Tensor]
    evaluation_per_cell: int


@dataclass(frozen=True)
class Condition:
    """A condition as weights over cells.

    Attributes:
        context: one of `theory.context_law.CONTEXTS`.
        group: one of `theory.distribution.GROUPS`.
        weights: weight of each cell (class, [relevant, irrelevant]), shape (K, 2); sums to 1. K counts the classes that
            are asked for.
    """

    context: str
    group: str
    weights: Tensor


def draw_test_set(
    sampler: ClassMixtureSampler,
    *,
    seed: int,
    evaluation_per_cell: int,
    classes: Sequence[int] | None = None,
    prefix: str = "",
    **how: Any,
) -> TestSet:
    """Draws `evaluation_per_cell` sequences for every query class with a relevant and with an irrelevant context.

    Args:
        sampler: mixtures of the R replicas.
        seed: evaluation seed.
        evaluation_per_cell: sequences in each cell, >= 1.
        classes: query classes; all by default.
        prefix: stands before ``ibd`` and ``oobd``.
        how: what else `fresh` of the sampler is told.

    Raises:
        ValueError: when `evaluation_per_cell` is below 1, or a frequency group has a single class.
    """
    require_instances(sampler=(sampler, ClassMixtureSampler))
    asked = torch.arange(sampler.n_classes) if classes is None else torch.tensor(classes)
    require_sizes(evaluation_per_cell=evaluation_per_cell, sampler=2 * len(asked))
    query = asked.repeat_interleave(2 * evaluation_per_cell)
    relevant = torch.tensor([True, False]).repeat_interleave(evaluation_per_cell).repeat(len(asked))
    in_base = sampler.fresh(seed, query, relevant, **how)
    laws = np.stack([spec.label_matrix for spec in sampler.distributions])
    moved = np.stack([p[:, np.argsort(s.shifted_labels)] for p, s in zip(laws, sampler.distributions, strict=True)])
    return TestSet(
        {f"{prefix}ibd": in_base, f"{prefix}oobd": sampler.out_of_base(in_base)},
        {
            f"{prefix}{name}": torch.from_numpy(law[:, query]).to(sampler.device)
            for name, law in (("ibd", laws), ("oobd", moved))
        },
        evaluation_per_cell,
    )


def conditions(spec: ClassMixture, classes: Sequence[int] | None = None) -> Iterator[Condition]:
    """Every context kind for every group that has a class; ``as_trained`` mixes both kinds with `p_relevant`.

    Where only some classes are asked for, those of a group stand for all of it: in the group of all classes it keeps
    the share that it has in the data.

    Args:
        spec: the data.
        classes: query classes of the test set; all by default.

    Example:
        >>> [c.weights.sum(0).numpy().round(9).tolist() for c in conditions(ClassMixture()) if c.group == "all"]
        [[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]]
    """
    require_instances(spec=(spec, ClassMixture))
    p = spec.relevant_shares
    shares = {"relevant": np.ones_like(p), "irrelevant": np.zeros_like(p), "as_trained": p}
    asked = spec.group("all") if classes is None else np.array(classes)
    frequencies = spec.frequencies[asked]
    for members in map(spec.group, ("high", "low")):
        inside = np.isin(asked, members)
        if inside.any():
            frequencies[inside] *= spec.frequencies[members].sum() / frequencies[inside].sum()
    for context in CONTEXTS:
        for group in GROUPS:
            inside = np.isin(asked, spec.group(group))
            if not inside.any():
                continue
            q, share = frequencies * inside, shares[context][asked]
            weights = (q / q.sum())[:, None] * np.column_stack([share, 1 - share])
            yield Condition(context, group, torch.from_numpy(weights))
