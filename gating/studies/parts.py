"""Tables that are computed part by part; a part that is on disk is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from gating.files import atomic_path, reading
from gating.training.trainer import Interrupted

__all__ = ["finished_parts", "kept_table"]


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

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            return list(tqdm(pool.map(finished, parts), total=len(parts), desc=label, unit="part", disable=None))
        except KeyboardInterrupt:
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
