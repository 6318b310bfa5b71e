"""The folder of a study: resolved config, environment, table and report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gating.evaluation.table import make_table
from gating.files import atomic_path, write_text
from gating.training.runs import environment

__all__ = ["FolderError", "StudyFolder", "find_studies", "tabulate"]


class FolderError(ValueError):
    """A folder does not hold what the command needs."""


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
    def table_path(self) -> Path:
        """The result table; it is written last, so a folder that has it is finished."""
        return self.path / "results.parquet"

    def check(self, config: Any) -> None:
        """Checks that the folder holds the same study, or nothing; writes nothing.

        Raises:
            FolderError: when the folder holds another study or other settings, naming each difference.
        """
        if self.config_path.exists():
            settings = json.loads(json.dumps(asdict(config)))
            differences = _differences(self.settings(), settings)
            if differences:
                raise FolderError(
                    f"`{self.path}` holds a run with other settings ({'; '.join(differences)});"
                    " choose another folder, or remove this one"
                )
        elif self.path.exists() and any(self.path.iterdir()):
            raise FolderError(f"`{self.path}` must be new, empty or the folder of a run; it holds other files")

    def prepare(self, config: Any) -> None:
        """Writes config and environment, or checks that the folder holds the same study.

        Raises:
            FolderError: as `check` does.
        """
        self.check(config)
        if self.config_path.exists():
            return
        settings = json.loads(json.dumps(asdict(config)))
        write_text(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")
        write_text(self.config_path, yaml.safe_dump(settings, sort_keys=False))

    def settings(self) -> dict[str, Any]:
        """The resolved settings; ``study`` names the study.

        Raises:
            FolderError: when the folder holds no run.
        """
        if not self.config_path.is_file():
            raise FolderError(f"`{self.path}` must be the folder of a run; it has no config.yaml")
        return yaml.safe_load(self.config_path.read_text(encoding="utf-8"))

    def environment(self) -> dict[str, str]:
        """What the run ran on."""
        return json.loads((self.path / "environment.json").read_text(encoding="utf-8"))

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
            FolderError: when the run is not finished.
        """
        self.settings()
        if not self.finished:
            raise FolderError(f"`{self.path}` must be a finished run; it has no results.parquet yet")
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
    return [folder for folder in folders if (folder.path / "environment.json").exists()]


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key} is {a!r} there, {b!r} here")
    return found
