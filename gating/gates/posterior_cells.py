"""Cells that the posterior gate is fitted to: checkpoints of models trained on different numbers of tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gating.gates.discrepancy import REACH, DiscrepancyCurves, OutputRows
from gating.gates.posterior import PosteriorParameters
from theory.validation import (
    Floats,
    require_choice,
    require_count,
    require_instances,
    require_positive,
    require_probability,
    require_reals,
    require_scalar,
)

__all__ = ["LABELS", "PosteriorCells", "best_steps", "describable"]

LABELS = ("n_tasks", "steps", "seed", "width")
"""Fields that say which checkpoint of which model a cell is."""


@dataclass(frozen=True)
class PosteriorCells:
    """Checkpoints: what the gate sees of each, and how far any mixture of M and G is from the model's outputs.

    Attributes:
        discrepancy: of the c cells, tabulated (`DiscrepancyCurves`) or with the evidence of each row (`OutputRows`).
        n_tasks: number of training tasks D, integer >= 1; here and below shape (c,) or one number for all cells.
        steps: training steps N, integer >= 0.
        loss_gap: mean loss of G minus mean loss of M on training sequences, nats (or squared error).
        complexity_m: description length of M in bits, > 0.
        complexity_g: description length of G in bits, > 0.
        seed: seed of the model, integer >= 0.
        width: width of the model (of its MLP, say), > 0.

    Raises:
        ValueError: a field outside its set or of another shape.

    Example:
        >>> log = lambda *p: np.log(np.array([[p], [p]]))
        >>> from gating.gates.discrepancy import output_rows
        >>> rows = output_rows(log(0.5, 0.5), log(0.8, 0.2), log(0.2, 0.8), distance="kl")
        >>> cells = PosteriorCells(rows.tabulate(), n_tasks=[2, 4], steps=100, loss_gap=[0.2, 0.1],
        ...     complexity_m=[512.0, 1024.0], complexity_g=8.0)
        >>> len(cells), cells.select(cells.n_tasks > 2).loss_gap.tolist()
        (2, [0.1])
    """

    discrepancy: DiscrepancyCurves | OutputRows
    n_tasks: Floats
    steps: Floats
    loss_gap: Floats
    complexity_m: Floats
    complexity_g: Floats
    seed: Floats
    width: Floats

    def __init__(
        self,
        discrepancy: DiscrepancyCurves | OutputRows,
        *,
        n_tasks: ArrayLike,
        steps: ArrayLike,
        loss_gap: ArrayLike,
        complexity_m: ArrayLike,
        complexity_g: ArrayLike,
        seed: ArrayLike = 0,
        width: ArrayLike = 1.0,
    ):
        require_instances(discrepancy=(discrepancy, DiscrepancyCurves | OutputRows))
        checked = {
            "n_tasks": require_count("n_tasks", n_tasks, least=1),
            "steps": require_count("steps", steps),
            "loss_gap": require_reals("loss_gap", loss_gap),
            "complexity_m": require_positive("complexity_m", complexity_m),
            "complexity_g": require_positive("complexity_g", complexity_g),
            "seed": require_count("seed", seed),
            "width": require_positive("width", width),
        }
        object.__setattr__(self, "discrepancy", discrepancy)
        for name, value in checked.items():
            if value.shape not in ((), (len(discrepancy),)):
                wanted = f"one number, or one for each of the {len(discrepancy)} cells of `discrepancy`"
                raise ValueError(f"`{name}` must be {wanted}; got shape {value.shape}")
            object.__setattr__(self, name, np.broadcast_to(value, len(discrepancy)))

    def __len__(self) -> int:
        return len(self.discrepancy)

    def select(self, which: NDArray[Any]) -> Self:
        """The cells of a mask (c,) or of indices; at least one.

        Raises:
            ValueError: when none is left.
        """
        index = np.arange(len(self))[which]
        if not len(index):
            raise ValueError("`which` must select at least one cell; got none")
        return replace(self, **{part.name: getattr(self, part.name)[index] for part in fields(self)})

    def log_odds(self, parameters: PosteriorParameters) -> Floats:
        """Log odds of M after training, shape (c,); their sigmoid is the predicted weight."""
        return parameters.log_odds(self.steps, self.loss_gap, self.complexity_m, self.complexity_g)

    def groups(self, by: Sequence[str]) -> NDArray[np.int64]:
        """Number of the group of each cell, shape (c,): cells with equal labels are one group.

        Args:
            by: labels, some of ``n_tasks``, ``steps``, ``seed``, ``width``.
        """
        columns = np.stack([getattr(self, require_choice("by", name, LABELS)) for name in by], axis=1)
        return np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)

    def curves(self) -> DiscrepancyCurves:
        """Discrepancy at one weight per cell, whatever the context says."""
        return self.discrepancy.tabulate() if isinstance(self.discrepancy, OutputRows) else self.discrepancy


def describable(cells: PosteriorCells, residual: ArrayLike, *, fraction: float = 0.1) -> NDArray[np.bool_]:
    r"""Cells from the first checkpoint on at which M and G together describe the model.

    Early in training no mixture of M and G is near the model. Of each run (equal ``n_tasks``, ``seed`` and ``width``)
    the cells kept are those from the first N on whose residual :math:`\min_w d(T, wM + (1-w)G)` is at most
    ``fraction`` times the largest residual of the run; none where that never happens (a run of residual 0 is kept).

    Args:
        cells: the checkpoints.
        residual: what the best mixture of M and G leaves in each cell (:mod:`gating.gates.effective`), (c,).
        fraction: in [0, 1]; 1 keeps every cell from the first checkpoint on.

    Returns:
        Mask of shape (c,).

    Raises:
        ValueError: `fraction` outside [0, 1], or `residual` not one number for each cell.

    Example:
        >>> cells = PosteriorCells(DiscrepancyCurves(np.zeros((3, 289, 3))), n_tasks=2, steps=[20, 50, 90],
        ...     loss_gap=1.0, complexity_m=9.0, complexity_g=5.0)
        >>> describable(cells, [1.0, 0.05, 0.2], fraction=0.1).tolist()
        [False, True, True]
    """
    threshold = require_scalar("fraction", require_probability("fraction", fraction))
    left, runs = require_reals("residual", residual), cells.groups(("n_tasks", "seed", "width"))
    if left.shape != (len(cells),):
        raise ValueError(f"`residual` must be {len(cells)} numbers, one for each cell; got shape {left.shape}")
    largest = np.zeros(runs.max() + 1)
    np.maximum.at(largest, runs, left)
    near = left <= threshold * largest[runs]
    first = np.full(len(largest), np.inf)
    np.minimum.at(first, runs[near], cells.steps[near])
    return np.asarray(cells.steps >= first[runs])


def best_steps(cells: PosteriorCells) -> dict[tuple[float, float], float]:
    """Steps from which M alone is played, and G alone before, with the least discrepancy in hindsight.

    Args:
        cells: the checkpoints.

    Returns:
        The step for each number of tasks and width; infinity where G is played to the end.

    Example:
        >>> table = np.zeros((3, 289, 3))
        >>> table[0, :, 0], table[1:, :, 0] = np.linspace(0, 1, 289), np.linspace(1, 0, 289)  # first near G, then M
        >>> best_steps(PosteriorCells(DiscrepancyCurves(table), n_tasks=2, steps=[0, 9, 99], loss_gap=1.0,
        ...     complexity_m=9.0, complexity_g=5.0))
        {(2.0, 1.0): 9.0}
    """
    curves = cells.curves()
    m, g = (curves.at(np.full(len(cells), odds)).value for odds in (REACH, -REACH))
    found = {}
    for group in np.unique(groups := cells.groups(("n_tasks", "width"))):
        inside = groups == group
        steps = cells.steps[inside]
        thresholds = [*np.unique(steps), np.inf]
        played = [np.where(steps < threshold, g[inside], m[inside]).sum() for threshold in thresholds]
        key = float(cells.n_tasks[inside][0]), float(cells.width[inside][0])
        found[key] = float(thresholds[int(np.argmin(played))])
    return found
