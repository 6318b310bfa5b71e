"""Every study that the command runs: its settings, where and how it runs, and what runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from gating.studies.bounds import BoundsConfig, bounds_table
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.run import run_compare
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.run import run_crossover
from gating.studies.folder import StudyFolder, tabulate
from gating.studies.phases import PhasesConfig, phases_table
from gating.studies.regret.config import RegretConfig
from gating.studies.regret.run import regret_table
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.run import run_strategies
from gating.training.threads import free_cores
from theory.distribution import SpecError

__all__ = [
    "STUDIES",
    "CrossoverOptions",
    "KeptTableOptions",
    "RunOptions",
    "StrategiesOptions",
    "Study",
    "TableOptions",
    "find_study",
    "study_names",
    "trained_in_folder",
]


@dataclass(frozen=True)
class TableOptions:
    """Where the result goes; nothing here changes it.

    Args:
        out: folder for the table, the plots and the report; without it, nothing is written.
        json: print the rows as JSON in place of a text table; `--json` alone means true.
        again: remove what a former run left in `out` and run anew; `--again` alone means true.
    """

    out: str | None = None
    json: bool = False
    again: bool = False

    def __post_init__(self) -> None:
        problems = list(self.problems())
        if problems:
            raise SpecError(problems)

    def problems(self) -> Iterator[str]:
        """What is wrong with the options, one sentence each."""
        if self.out is not None and Path(self.out).is_file():
            yield f"`out` must be a folder; got the file '{self.out}'"


@dataclass(frozen=True)
class KeptTableOptions(TableOptions):
    """Where the result goes; nothing here changes it.

    Args:
        out: folder for the table, the plots and the report; a finished run of the same settings is read from there.
        json: print the last rows as JSON in place of a text table; `--json` alone means true.
        again: remove what a former run left in `out` and run anew; `--again` alone means true.
    """

    out: str | None = "runs/regret"


@dataclass(frozen=True)
class RunOptions(TableOptions):
    """Where and how a study runs; nothing here changes its result.

    Args:
        out: folder of the run; the same folder and settings go on with an interrupted run.
        device: where models train; ``auto`` takes a GPU when there is one.
        workers: worker threads on the CPU; 0 takes the cores that are free.
        json: print the last rows as JSON in place of a text table; `--json` alone means true.
        again: remove what a former run left in `out` and run anew; `--again` alone means true.
    """

    out: str = "runs/compare"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 0

    def problems(self) -> Iterator[str]:
        """What is wrong with the options, one sentence each."""
        if self.workers < 0:
            yield f"`workers` must be an integer >= 0; got {self.workers}"
        if self.device == "cuda" and not torch.cuda.is_available():
            yield "`device` must be one of 'auto' or 'cpu' on a machine without a CUDA device; got 'cuda'"
        yield from super().problems()


@dataclass(frozen=True)
class CrossoverOptions(RunOptions):
    """Where and how a study runs; nothing here changes its result.

    Args:
        out: folder of the run; the same folder and settings go on with an interrupted run.
        device: where models train; ``auto`` takes a GPU when there is one.
        workers: worker threads on the CPU; 0 takes the cores that are free.
        json: print the last rows as JSON in place of a text table; `--json` alone means true.
        again: remove what a former run left in `out` and run anew; `--again` alone means true.
    """

    out: str = "runs/crossover"


@dataclass(frozen=True)
class StrategiesOptions(RunOptions):
    """Where and how a study runs; nothing here changes its result.

    Args:
        out: folder of the run; the same folder and settings go on with an interrupted run.
        device: where models train; ``auto`` takes a GPU when there is one.
        workers: worker threads on the CPU; 0 takes the cores that are free.
        json: print the last rows as JSON in place of a text table; `--json` alone means true.
        again: remove what a former run left in `out` and run anew; `--again` alone means true.
    """

    out: str = "runs/strategies"


@dataclass(frozen=True)
class Study:
    """A study as the command knows it.

    Args:
        config: dataclass of the settings; its first docstring line is the study's question.
        options: dataclass of where and how it runs.
        run: from both to the result table.
    """

    config: type[Any]
    options: type[Any]
    run: Callable[[Any, Any], pd.DataFrame]


def trained_in_folder(run: Callable[..., pd.DataFrame]) -> Callable[[Any, RunOptions], pd.DataFrame]:
    """A study that trains models in a folder, from which it goes on after a stop."""

    def started(config: Any, how: RunOptions) -> pd.DataFrame:
        device = how.device if how.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        workers = how.workers or free_cores()
        asked = "as asked" if how.workers else "as many as there are free cores"

        def say(line: str) -> None:
            print(line, flush=True, file=sys.stderr if how.json else sys.stdout)

        folder = StudyFolder(Path(how.out))
        if how.again:
            folder.remove()
        folder.check(config)
        say(f"running `{config.study}` in {how.out} on {device} with {workers} worker thread(s), {asked}")
        return run(config, Path(how.out), device=device, workers=workers, say=say)

    return started


def _tabulated(compute: Callable[[Any], pd.DataFrame]) -> Callable[[Any, TableOptions], pd.DataFrame]:
    """A study that is computed in one go; what the theory refuses is bad input."""

    def computed(config: Any) -> pd.DataFrame:
        try:
            return compute(config)
        except SpecError:
            raise
        except ValueError as refused:
            raise SpecError([str(refused)]) from refused

    def run(config: Any, how: TableOptions) -> pd.DataFrame:
        if how.out and how.again:
            StudyFolder(Path(how.out)).remove()
        return tabulate(config, Path(how.out) if how.out else None, lambda: computed(config))

    return run


STUDIES: dict[str, Study] = {
    "compare": Study(CompareConfig, RunOptions, trained_in_folder(run_compare)),
    "crossover": Study(CrossoverConfig, CrossoverOptions, trained_in_folder(run_crossover)),
    "strategies": Study(StrategiesConfig, StrategiesOptions, trained_in_folder(run_strategies)),
    "bounds": Study(BoundsConfig, TableOptions, _tabulated(bounds_table)),
    "phases": Study(PhasesConfig, TableOptions, _tabulated(phases_table)),
    "regret": Study(RegretConfig, KeptTableOptions, _tabulated(regret_table)),
}
"""Studies of this package by the name that runs them; others come with `find_study`."""

ENTRY_POINTS = "gating.studies"
"""Entry points under which other packages add a `Study`."""


def study_names() -> list[str]:
    """Names of all studies: those of this package, and those that installed packages add.

    Example:
        >>> {"compare", "bounds"} < set(study_names())
        True
    """
    return list(dict.fromkeys([*STUDIES, *entry_points(group=ENTRY_POINTS).names]))


def find_study(name: str) -> Study:
    """The study of a name.

    Raises:
        SpecError: there is none, or it needs packages that are not installed.

    Example:
        >>> find_study("compere")
        Traceback (most recent call last):
        ...
        theory.distribution.SpecError: `study` must be one of ...; got 'compere'
    """
    if name in STUDIES:
        return STUDIES[name]
    if name not in study_names():
        raise SpecError([f"`study` must be one of {sorted(study_names())}; got {name!r}"])
    try:
        return entry_points(group=ENTRY_POINTS, name=name)[name].load()
    except ModuleNotFoundError as missing:
        raise SpecError(
            [f"`{name}` needs the package '{missing.name}', which is not installed; `make llm`, or"
             " `pip install 'icl-gating[llm]'`, installs it"]
        ) from missing  # fmt: skip
