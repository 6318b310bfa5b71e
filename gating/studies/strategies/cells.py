"""Checkpoints of all runs as the cells that gates are fitted to and judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.evaluation.relative_distance import relative_distance
from gating.gates.discrepancy import DiscrepancyCurves, output_rows
from gating.gates.effective import EffectiveGate, effective_gate, effective_gate_squared
from gating.gates.posterior_cells import PosteriorCells, describable
from gating.studies.strategies.config import StrategiesConfig, StrategyReplica
from gating.studies.strategies.families import FAMILIES
from gating.studies.strategies.outputs import Answers, RunOutputs

__all__ = ["GROUPS", "StudyCells", "cells_of", "group_of"]

Floats = NDArray[np.float64]

GROUPS = ("in_fit", "held_out_tasks", "held_out_steps", "held_out_widths")
"""What the fit has seen of a cell; a cell that is held out twice counts under the last that applies."""

BEST_MIXTURE = {"kl": effective_gate, "squared": effective_gate_squared}


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
    answers = {kind: [run.answers[kind] for run in runs] for kind in runs[0].answers}
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
    rows = (output_rows(a.transformer, a.m[None], a.g[None], loss=distance) for a in answers["ibd"])
    curves = DiscrepancyCurves(np.concatenate([part.tabulate().table for part in rows]))
    trained = PosteriorCells(curves, steps=np.tile(steps, len(runs)), **repeated)
    relative = {kind: [relative_distance(*a[:3], distance=distance) for a in held] for kind, held in answers.items()}
    best = {kind: [_best_mixture(a, distance) for a in held] for kind, held in answers.items()}
    residual = {kind: np.concatenate([fit.residual for fit in fits]) for kind, fits in best.items()}
    return StudyCells(
        distance,
        runs,
        np.repeat(np.arange(len(runs)), n),
        np.tile(np.arange(n), len(runs)),
        trained,
        {kind: np.concatenate(parts) for kind, parts in relative.items()},
        {kind: np.concatenate([fit.alpha for fit in fits]) for kind, fits in best.items()},
        residual,
        np.array([group_of(config, replica, step) for replica in replicas for step in steps]),
        describable(trained, residual["ibd"], fraction=config.described_within),
    )


def _best_mixture(answers: Answers, distance: str) -> EffectiveGate:
    model, m, g = answers[:3]
    return BEST_MIXTURE[distance](model, m.expand_as(model), g.expand_as(model))
