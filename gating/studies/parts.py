"""Tables that are computed part by part; a part that is on disk is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
from tqdm import tqdm

from gating.files import atomic_path, reading
from gating.training.trainer import Interrupted

__all__ = ["finished_parts", "in_threads", "kept_table"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def finished_parts(
    parts: Mapping[str, Callable[[], pd.DataFrame]], folder: Path, workers: int, label: str
) -> list[pd.DataFrame]:
    """Tables of the parts in order, each kept in `folder` as soon as it is there.

    Args:
        parts: name of each part, and what computes its table.
        folder: where the tables are kept.
        workers: worker threads, each computing on one core.
        label: what the progress bar says.

    Raises:
        FolderError: a kept table is damaged.
        Interrupted: on Ctrl-C; the parts that are kept stay.
    """

    def finished(name: str) -> pd.DataFrame:
        return kept_table(folder / f"{name}.parquet", parts[name])

    return in_threads(finished, list(parts), folder, workers, label, unit="part")


def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], folder: Path, workers: int, label: str, *, unit: str
) -> list[Result]:
    """What `work` makes of each item, in order, and keeps in `folder`; the first error ends it.

    Args:
        work: makes a result on one core.
        items: what results are made of.
        folder: where `work` keeps them, for the message of an interruption.
        workers: worker threads.
        label: what the progress bar says.
        unit: what it counts.

    Raises:
        Interrupted: on Ctrl-C; what is kept stays.
    """
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            return list(tqdm(pool.map(work, items), total=len(items), desc=label, unit=unit, disable=None))
        except KeyboardInterrupt:  # which may come outside of the map, and then nothing else cancels what is left
            pool.shutdown(cancel_futures=True)
            raise Interrupted(f"interrupted while {label}; `{folder}` holds what is done") from None


def kept_table(path: Path, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The table of a file; it is computed and written when the file is not there.

    Raises:
        FolderError: the file is damaged.
    """
    if not path.exists():
        table = compute()
        with atomic_path(path) as draft:
            table.to_parquet(draft, index=False)
    with reading(path, "remove it to compute it again"):
        return pd.read_parquet(path)
