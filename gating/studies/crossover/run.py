"""The crossover study from start to end; each part is skipped when its files are there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from gating.models.layers import generators
from gating.models.transformer import Transformer
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import LOSSES, tabular_table, theory_table, transformer_table
from gating.studies.folder import StudyFolder
from gating.studies.parts import finished_parts
from gating.studies.replicas import Replica, sampler_of
from gating.training.runs import RunFolder
from gating.training.trainer import Trainer

__all__ = ["run_crossover"]

Part = tuple[str, Callable[[], pd.DataFrame]]


def run_crossover(
    config: CrossoverConfig,
    out: Path,
    *,
    device: str = "cpu",
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Predicts, counts, trains and measures into `out`, or goes on with what `out` holds.

    Args:
        config: settings; they decide the result.
        out: folder of the run. A finished run is returned as it is.
        device: ``cpu`` or ``cuda``, for training; measuring is done on the CPU.
        workers: worker threads on the CPU; they change the speed, not the result.
        say: receives a line about each part.

    Returns:
        The result table: predicted crossovers and the measured curves that cross.

    Raises:
        FolderError: `out` holds something else.
        Interrupted: on Ctrl-C; the same call goes on from the last save.
        TrainingDiverged: a loss stopped being finite.

    Example:
        >>> run_crossover(CrossoverConfig(), Path("runs/crossover"))  # doctest: +SKIP
    """
    folder = StudyFolder(out)
    folder.prepare(config)
    if folder.finished:
        say(f"`{out}` is finished; its table is used as it is")
        return folder.read_table()
    theory = theory_table(config)
    measured = finished_parts(dict(_tabular_parts(config, theory)), out / "parts", workers, "counting labels")
    say(f"counted labels of {config.tabular_seeds} training sets at {len(config.p_high)} frequencies")
    transformers = RunFolder(out / "ensembles" / "transformer")
    _train(config, transformers, device, workers)
    say(f"trained {len(config.replicas)} Transformers for {config.transformer_training.steps} steps")
    measured += finished_parts(dict(_transformer_parts(config, transformers)), out / "parts", workers, "measuring")
    table = pd.concat([theory, *measured], ignore_index=True)
    folder.write_table(table)
    shutil.rmtree(out / "parts")
    return table


def _tabular_parts(config: CrossoverConfig, theory: pd.DataFrame) -> Iterator[Part]:
    names = [f"crossover_{loss}" for loss in LOSSES]
    predicted = theory[theory["measure"].isin(names) & (theory["kind"] != "lower")].dropna(subset="value")
    for spec, (_, rows) in zip(config.settings, predicted.groupby("setting", sort=False), strict=True):
        yield f"tabular-{spec.p_high}", partial(tabular_table, config, spec, rows["value"].tolist())


def _train(config: CrossoverConfig, folder: RunFolder, device: str, workers: int) -> None:
    if folder.step >= config.transformer_training.steps:
        return
    trainer = Trainer(
        folder,
        config.replicas,
        partial(_build, config),
        partial(sampler_of, cover_classes=False, device=torch.device(device)),
        config.transformer_training,
        device=device,
        workers=workers,
    )
    trainer.run("transformers")


def _build(config: CrossoverConfig, replicas: Sequence[Replica]) -> nn.Module:
    spec, rngs = config.distribution, generators([r.init_seed for r in replicas])
    return Transformer(spec.dim, spec.n_classes, spec.context_length, rngs=rngs, **vars(config.transformer))


def _transformer_parts(config: CrossoverConfig, folder: RunFolder) -> Iterator[Part]:
    for first in range(0, len(config.replicas), config.n_seeds):
        rows = slice(first, first + config.n_seeds)
        mine = config.replicas[rows]
        name = f"transformer-{mine[0].distribution.p_high}-{mine[0].n_sequences}"
        yield name, partial(_measure_transformers, config, folder, rows)


def _measure_transformers(config: CrossoverConfig, folder: RunFolder, rows: slice) -> pd.DataFrame:
    mine = config.replicas[rows]

    def checkpoints() -> Iterator[tuple[int, nn.Module]]:
        for step in config.transformer_training.checkpoint_steps:
            model = _build(config, mine).requires_grad_(False)
            model.load_state_dict({name: value[rows] for name, value in folder.load_checkpoint(step).items()})
            yield step, model

    return transformer_table(config, mine, checkpoints())
