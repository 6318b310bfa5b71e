"""Checkpoints of all runs as the cells that gates are fitted to and judged on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gating.evaluation.relative_distance import relative_distance
from gating.gates.discrepancy import DiscrepancyCurves, output_rows
from gating.gates.effective import EffectiveGate, effective_gate_squared, nearest_mixture
from gating.gates.posterior_cells import PosteriorCells, describable
from gating.studies.strategies.config import StrategiesConfig, StrategyReplica
from gating.studies.strategies.families import FAMILIES
from gating.studies.strategies.outputs import Answers, RunOutputs
from theory.validation import Floats

__all__ = ["GROUPS", "StudyCells", "cells_of", "group_of"]

GROUPS = ("in_fit", "held_out_tasks", "held_out_steps", "held_out_widths")
"""What the fit has seen of a cell; a cell that is held out twice counts under the last that applies."""

BEST_MIXTURE: dict[str, Callable[..., EffectiveGate[Tensor]]] = {
    "kl": nearest_mixture,
    "squared": effective_gate_squared,
}


@dataclass(frozen=True)
class StudyCells:
    """One cell for each run and checkpoint, run after run.

    Attributes:
        distance: how answers are compared, ``kl`` or ``squared``.
        runs: outputs of each run.
        run: which run a cell is of, (c,).
        checkpoint: which of its checkpoints, (c,).
        trained: what the gate sees of each cell, and its discrepancy on sequences of training tasks.
        relative: relative distance, 1 at M and 0 at G, by kind of test sequences, (c,) each.
        best: weight of M in the best mixture of M and G, NaN where they agree, by kind, (c,) each.
        residual: what that mixture leaves, nats or squared error, by kind, (c,) each.
        group: what the fit has seen of each cell, (c,); see `GROUPS`.
        described: whether M and G together describe the model from this checkpoint on, (c,).
    """

    distance: str
    runs: Sequence[RunOutputs]
    run: NDArray[np.int64]
    checkpoint: NDArray[np.int64]
    trained: PosteriorCells
    relative: Mapping[str, Floats]
    best: Mapping[str, Floats]
    residual: Mapping[str, Floats]
    group: NDArray[np.str_]
    described: NDArray[np.bool_]

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """The cells that the fit sees, (c,)."""
        return self.described & (self.group == "in_fit")


def group_of(config: StrategiesConfig, replica: StrategyReplica, step: int) -> str:
    """What the fit has seen of a checkpoint.

    Example:
        >>> from gating.studies.strategies.config import HeldOut
        >>> config = StrategiesConfig(held_out=HeldOut(n_tasks=(8,), steps_after=0.5))
        >>> [group_of(config, config.replicas[k], step) for k in (0, 1) for step in (10, 90_000)]
        ['in_fit', 'held_out_steps', 'held_out_tasks', 'held_out_steps']
    """
    held = config.held_out
    if replica.mlp_factor in held.mlp_factors:
        return "held_out_widths"
    if step > held.steps_after * config.training.steps:
        return "held_out_steps"
    return "held_out_tasks" if replica.n_tasks in held.n_tasks else "in_fit"


def cells_of(config: StrategiesConfig, runs: Sequence[RunOutputs]) -> StudyCells:
    """Cells of all runs, in the order of the config's replicas."""
    replicas, steps, distance = config.replicas, config.training.checkpoint_steps, FAMILIES[config.task].distance
    n = len(steps)
    known: dict[str, list[float]] = {
        "n_tasks": [replica.n_tasks for replica in replicas],
        "loss_gap": [run.loss_g - run.loss_m for run in runs],
        "complexity_m": [run.complexity_m for run in runs],
        "complexity_g": [run.complexity_g for run in runs],
        "seed": [replica.seed for replica in replicas],
        "width": [replica.mlp_factor for replica in replicas],
    }
    repeated = {name: np.repeat(values, n) for name, values in known.items()}
    on_training = (run.answers["ibd"] for run in runs)
    rows = (output_rows(a.transformer, a.m[None], a.g[None], distance=distance) for a in on_training)
    curves = DiscrepancyCurves(np.concatenate([part.tabulate().table for part in rows]))
    trained = PosteriorCells(curves, steps=np.tile(steps, len(runs)), **repeated)
    relative, best, residual = dict[str, Floats](), dict[str, Floats](), dict[str, Floats]()
    for kind in runs[0].answers:
        places = (_placed(run.answers[kind], distance) for run in runs)
        relative[kind], best[kind], residual[kind] = map(np.concatenate, zip(*places, strict=True))
    run, checkpoint = np.divmod(np.arange(len(runs) * n), n)
    group = np.array([group_of(config, replica, step) for replica in replicas for step in steps])
    described = describable(trained, residual["ibd"], fraction=config.described_within)
    return StudyCells(distance, runs, run, checkpoint, trained, relative, best, residual, group, described)


def _placed(answers: Answers, distance: str) -> tuple[Tensor, Tensor, Tensor]:
    """Relative distance of each checkpoint, weight of M in the best mixture, and what that leaves."""
    model, m, g = answers[:3]
    best = BEST_MIXTURE[distance](model, m.expand_as(model), g.expand_as(model))
    return relative_distance(model, m, g, distance=distance), best.alpha, best.residual
