"""Checkpoints of all runs as the cells that gates are fitted to and judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.gates.discrepancy import DiscrepancyCurves, output_rows
from gating.gates.posterior_cells import PosteriorCells, describable
from gating.studies.strategies.config import StrategiesConfig, StrategyReplica
from gating.studies.strategies.outputs import RunOutputs

__all__ = ["GROUPS", "StudyCells", "cells_of", "group_of"]

GROUPS = ("in_fit", "held_out_tasks", "held_out_steps", "held_out_widths")
"""What the fit has seen of a cell; a cell that is held out twice counts under the last that applies."""


@dataclass(frozen=True)
class StudyCells:
    """One cell for each run and checkpoint, run after run.

    Attributes:
        runs: outputs of each run.
        run: which run a cell is of, (c,).
        checkpoint: which of its checkpoints, (c,).
        kinds: discrepancy of each cell by kind of test sequences; the other fields are those of every kind.
        group: what the fit has seen of each cell, (c,); see `GROUPS`.
        described: whether M and G together describe the model from this checkpoint on, (c,).
    """

    runs: Sequence[RunOutputs]
    run: NDArray[np.int64]
    checkpoint: NDArray[np.int64]
    kinds: Mapping[str, PosteriorCells]
    group: NDArray[np.str_]
    described: NDArray[np.bool_]

    @property
    def trained(self) -> PosteriorCells:
        """The cells on sequences of training tasks, which fits are made on."""
        return self.kinds["ibd"]

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


def cells_of(config: StrategiesConfig, runs: Sequence[RunOutputs], steps: Sequence[int], distance: str) -> StudyCells:
    """Cells of all runs, in the order of the config's replicas.

    Args:
        config: settings of the study.
        runs: outputs of each replica.
        steps: the checkpoints.
        distance: ``kl`` or ``squared``.
    """
    replicas, n = config.replicas, len(steps)
    known: dict[str, list[float]] = {
        "n_tasks": [replica.n_tasks for replica in replicas],
        "loss_gap": [run.loss_g - run.loss_m for run in runs],
        "complexity_m": [run.complexity_m for run in runs],
        "complexity_g": [run.complexity_g for run in runs],
        "seed": [replica.seed for replica in replicas],
        "width": [replica.mlp_factor for replica in replicas],
    }
    repeated = {name: np.repeat(values, n) for name, values in known.items()}
    kinds = {}
    for kind in runs[0].answers:
        answers = [run.answers[kind] for run in runs]
        tables = [output_rows(a.transformer, a.m[None], a.g[None], loss=distance).tabulate().table for a in answers]
        curves = DiscrepancyCurves(np.concatenate(tables))
        kinds[kind] = PosteriorCells(curves, steps=np.tile(steps, len(runs)), **repeated)
    return StudyCells(
        runs,
        np.repeat(np.arange(len(runs)), n),
        np.tile(np.arange(n), len(runs)),
        kinds,
        np.array([group_of(config, replica, step) for replica in replicas for step in steps]),
        describable(kinds["ibd"], fraction=config.described_within),
    )
