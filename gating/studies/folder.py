"""The folder of a study: resolved config, environment, table and report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gating.evaluation.table import make_table
from gating.files import FolderError, atomic_path, is_draft, reading, write_text
from gating.training.runs import environment

__all__ = ["FolderError", "StudyFolder", "find_studies", "tabulate"]


_MAKE_AGAIN = "where it is missing, the command that ran the study makes it again"


class StudyFolder:
    """A folder in which one study with one resolved config lives.

    Args:
        path: the folder; made by `prepare`.
    """

    def __init__(self, path: Path):
        self.path = Path(path)

    @property
    def config_path(self) -> Path:
        """The resolved config, YAML."""
        return self.path / "config.yaml"

    @property
    def environment_path(self) -> Path:
        """What the run ran on, JSON."""
        return self.path / "environment.json"

    @property
    def table_path(self) -> Path:
        """The result table; it is written last, so a folder that has it is finished."""
        return self.path / "results.parquet"

    def check(self, config: Any) -> None:
        """Checks that the folder holds the same study, or nothing; writes nothing.

        Raises:
            FolderError: when the folder holds another study or other settings, naming each difference, or cannot be
                written.
        """
        if self.config_path.exists():
            differences = _differences(self.settings(), _plain(config))
            if differences:
                raise FolderError(
                    f"`{self.path}` holds a run with other settings ({'; '.join(differences)});"
                    " choose another folder, or remove that run with --again"
                )
        elif self.path.is_dir() and any(not is_draft(file) for file in self.path.iterdir()):
            raise FolderError(f"`{self.path}` must be new, empty or the folder of a run; it holds other files")
        place = next(p for p in (self.path.absolute(), *self.path.absolute().parents) if p.exists())
        if not self.finished and not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            raise FolderError(f"`{self.path}` must be a folder that can be written; '{place}' is not")

    def prepare(self, config: Any) -> None:
        """Writes config and environment, or checks that the folder holds the same study.

        The config comes first and makes the folder that of a run, so that a stop between the two can be gone on from.

        Raises:
            FolderError: as `check` does.
        """
        self.check(config)
        try:
            if not self.config_path.exists():
                write_text(self.config_path, yaml.safe_dump(_plain(config), sort_keys=False))
            if not self.environment_path.exists():
                write_text(self.environment_path, json.dumps(environment(), indent=2) + "\n")
        except OSError as error:
            raise FolderError(f"`{self.path}` must be a folder that can be written; {error.strerror}") from error

    def remove(self) -> None:
        """Removes what a run left in the folder, and nothing else; a folder without a run is left alone."""
        if not self.config_path.exists():
            return
        self.table_path.unlink(missing_ok=True)
        for name in ("ensembles", "models", "parts", "plots"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for path in (self.path / "report.html", self.path / "samples.jsonl", self.environment_path, self.config_path):
            path.unlink(missing_ok=True)

    def settings(self) -> dict[str, Any]:
        """The resolved settings; ``study`` names the study.

        Raises:
            FolderError: when the folder holds no run, or its config is damaged.
        """
        if not self.config_path.is_file():
            raise FolderError(f"`{self.path}` must be the folder of a run; it has no config.yaml")
        with reading(self.config_path, "put the config of the run back, or remove the folder"):
            settings = yaml.safe_load(self.config_path.read_text(encoding="utf-8"))
            if not isinstance(settings, dict):
                raise ValueError(f"it must hold settings by name; it holds {type(settings).__name__}")
        return settings

    def environment(self) -> dict[str, str]:
        """What the run ran on.

        Raises:
            FolderError: when the file is missing or damaged.
        """
        with reading(self.environment_path, _MAKE_AGAIN):
            return dict(json.loads(self.environment_path.read_text(encoding="utf-8")))

    @property
    def finished(self) -> bool:
        """Whether the table is there."""
        return self.table_path.exists()

    def write_table(self, table: pd.DataFrame) -> None:
        """Writes the result table, which finishes the run."""
        with atomic_path(self.table_path) as draft:
            table.to_parquet(draft, index=False)

    def read_table(self) -> pd.DataFrame:
        """The result table.

        Raises:
            FolderError: when the run is not finished, or its table is damaged.
        """
        self.settings()
        if not self.finished:
            raise FolderError(f"`{self.path}` must be a finished run; it has no results.parquet yet")
        with reading(self.table_path, _MAKE_AGAIN):
            return make_table(pd.read_parquet(self.table_path))


def tabulate(config: Any, out: Path | None, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The table of a study that is computed in one go; with a folder, it is kept there once it is whole.

    Args:
        config: settings of the study.
        out: folder to write, or None to write nothing. A finished folder of the same settings is read instead.
        compute: computes the table.

    Raises:
        FolderError: the folder holds something else; known before anything is computed.
    """
    if out is None:
        return compute()
    folder = StudyFolder(out)
    folder.check(config)
    if folder.finished:
        return folder.read_table()
    table = compute()
    folder.prepare(config)
    folder.write_table(table)
    return table


def find_studies(root: Path) -> list[StudyFolder]:
    """Folders of studies at or below `root`, by path."""
    folders = [StudyFolder(file.parent) for file in sorted(Path(root).rglob("config.yaml"))]
    return [folder for folder in folders if folder.environment_path.exists()]


def _plain(config: Any) -> dict[str, Any]:
    """A config as lists, numbers and text, with numpy's numbers as Python's."""
    return json.loads(json.dumps(asdict(config), default=lambda number: number.item()))


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key} is {a!r} there, {b!r} here")
    return found
