"""A study on trial: runs of it in a temporary folder, stopped and gone on with, and how their tables differ."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_float_dtype

from gating.results.parquet import read_table, write_table
from gating.results.table import make_table
from gating.runs.engine import parts_of, table_of
from gating.runs.executor import Part, Resources, run_parts
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.runs.study import Study

__all__ = ["Stopped", "StoppingFolder", "Trial", "chance", "differing", "quiet"]


class Stopped(BaseException):
    """Stands for what stops a run at a moment that it does not choose."""


class StoppingFolder(RunFolder):
    """A run's folder that stops it after so many files."""

    def __init__(self, path: Path, files: float = float("inf")):
        super().__init__(path)
        self.left, self.written = files, 0

    def write(self, name: str, save: Callable[[Path], Any]) -> None:
        super().write(name, save)
        self.written += 1
        if self.written >= self.left:
            raise Stopped


@dataclass
class Trial:
    """A study that is checked.

    Args:
        make: makes one, as a run does each time that it begins or goes on.
        given: its settings; None where they are the defaults.
        root: folder for the runs.
    """

    make: Callable[[], Study[Any]]
    given: Any
    root: Path

    def __post_init__(self) -> None:
        self._numbers, self.path = count(), self.root / "whole"

    @cached_property
    def config(self) -> Any:
        """Settings that the study is tried with."""
        return self.make().config() if self.given is None else self.given

    def fresh(self) -> Path:
        """A path that nothing is at."""
        return self.root / f"run-{next(self._numbers)}"

    def parts(self) -> list[Part]:
        """The parts of a run, listed anew."""
        return parts_of(self.make(), self.config, "cpu")

    @contextmanager
    def worked(self, folder: RunFolder, parts: Sequence[Part], workers: int = 1) -> Iterator[Place]:
        """A folder in which parts are done, or gone on with."""
        with folder.locked():
            if not folder.is_run:
                folder.begin("none", {})
            run_parts(parts, folder, quiet(workers))
            yield Place(folder, "")

    def table(self, folder: RunFolder | None = None, parts: Sequence[Part] | None = None, workers: int = 1) -> Any:
        """Table of a run, read by another object than the one that listed the parts, and made of kept work alone."""
        with self.worked(folder or RunFolder(self.fresh()), parts or self.parts(), workers) as work:
            return table_of(self.make(), self.config, work)

    @cached_property
    def whole(self) -> tuple[pd.DataFrame, int, dict[str, str]]:
        """Table of a run that nothing stops, how many files its parts keep, and files beside."""
        folder = StoppingFolder(self.path)
        with self.worked(folder, self.parts()) as work:
            files = folder.written
            return table_of(self.make(), self.config, work), files, dict(self.make().beside(self.config, work))

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Rows of that run, which no answer has been made of."""
        self.whole  # noqa: B018
        with self.worked(RunFolder(self.path), self.parts()) as work:
            return make_table(self.make().rows(self.config, work))

    def read_back(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table as it comes back from disk."""
        file = self.fresh().with_suffix(".parquet")
        write_table(table, file)
        return read_table(file)


def quiet(workers: int = 1) -> Resources:
    """What a run may use that tells nothing."""
    return Resources(workers=workers, say=lambda line: None)


def differing(one: pd.DataFrame, other: pd.DataFrame, rounding: float = 0.0) -> str:
    """The first thing in which two tables are not the same: to the last bit, or numbers to a share of their size."""
    if list(one.columns) != list(other.columns) or len(one) != len(other):
        return f"{len(other)} rows of {list(other.columns)} in place of {len(one)} of {list(one.columns)}"
    for name in one.columns:
        mine, others = one[name].reset_index(drop=True), other[name].reset_index(drop=True)
        if mine.dtype != others.dtype:
            return f"`{name}` of type {others.dtype} in place of {mine.dtype}"
        same = (mine == others).fillna(False) | (mine.isna() & others.isna())
        if rounding and is_float_dtype(mine):
            same |= (mine - others).abs() <= rounding * mine.abs()
        if not same.all():
            at = int(np.flatnonzero(~same.to_numpy(bool))[0])
            values = [column.astype(object).iloc[at] for column in (others, mine)]
            return f"`{name}` of row {at} is {values[0]!r} in place of {values[1]!r}"
    return ""


@contextmanager
def chance(seed: int) -> Iterator[None]:
    """Global sources of chance at another place, and back."""
    held = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        yield
    finally:
        torch.set_rng_state(held[0])
        np.random.set_state(held[1])  # noqa: NPY002
        random.setstate(held[2])
