"""The comparison from start to end: train, measure, tabulate; each part is skipped when its files are there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from gating.studies.compare.config import CompareConfig
from gating.studies.compare.measure import measure_replicas, theory_table
from gating.studies.compare.systems import ENSEMBLES, Systems
from gating.studies.folder import StudyFolder
from gating.studies.parts import finished_parts
from gating.studies.replicas import Replica
from gating.training.trainer import Trainer

__all__ = ["run_compare"]


def run_compare(
    config: CompareConfig,
    out: Path,
    *,
    device: str = "cpu",
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Trains and measures every system into `out`, or goes on with what `out` holds.

    Args:
        config: settings; they decide the result.
        out: folder of the run. A finished run is returned as it is.
        device: ``cpu`` or ``cuda``.
        workers: worker threads on the CPU; they change the speed, not the result.
        say: receives a line about each part.

    Returns:
        The result table.

    Raises:
        FolderError: `out` holds something else, cannot be written, or a file in it is damaged.
        Interrupted: on Ctrl-C; the same call goes on from the last save.
        TrainingDiverged: a loss stopped being finite.

    Example:
        >>> run_compare(CompareConfig(), Path("runs/base"))  # doctest: +SKIP
    """
    folder = StudyFolder(out)
    folder.prepare(config)
    if folder.finished:
        say(f"`{out}` is finished; its table is used as it is")
        return folder.read_table()
    theory = theory_table(config)  # first, so that data which theory refuses is not trained on
    systems = Systems(config, out / "ensembles", torch.device(device))
    for ensemble in ENSEMBLES:
        _train(systems, ensemble, workers, say)
    parts = _measure(systems, out / "parts", workers, say)
    table = pd.concat([*parts, theory], ignore_index=True)
    folder.write_table(table)
    shutil.rmtree(out / "parts")
    return table


def _train(systems: Systems, ensemble: str, workers: int, say: Callable[[str], None]) -> None:
    settings, replicas = systems.settings(ensemble), systems.replicas(ensemble)
    folder = systems.folder(ensemble)
    if folder.step >= settings.steps:
        return
    left = settings.steps - folder.step
    start = time.perf_counter()
    trainer = Trainer(
        folder,
        replicas,
        lambda mine: systems.build(ensemble, mine),
        systems.source,
        settings,
        device=systems.device,
        workers=workers,
    )
    trainer.run(ensemble)
    seconds = time.perf_counter() - start
    rate = left * len(replicas) / seconds
    say(f"trained {ensemble}: {len(replicas)} replicas, {left} steps in {seconds:.0f} s, {rate:.0f} replica-steps/s")


def _measure(systems: Systems, folder: Path, workers: int, say: Callable[[str], None]) -> list[pd.DataFrame]:
    by_size: dict[int, list[Replica]] = {}
    for replica in systems.config.replicas:
        by_size.setdefault(replica.n_sequences, []).append(replica)
    parts = {f"n-{n}": partial(measure_replicas, systems, replicas) for n, replicas in by_size.items()}
    start = time.perf_counter()
    tables = finished_parts(parts, folder, workers, "measuring")
    say(f"measured {len(by_size)} training-set sizes in {time.perf_counter() - start:.0f} s")
    return tables
