"""The small tables that results pages are made from: rows of a run, with the command that made it and a checksum.

Each stands in ``docs/results/tables`` and is described in ``tables.yaml`` there. What a run is kept of (``rows``) is
written by hand; ``settings``, ``versions`` and ``sha256`` are taken from the run.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml

from gating.results.parquet import read_table, write_table
from gating.results.query import last_step, select
from gating.results.table import make_table, summarise
from gating.runs.calls import read_results
from gating.runs.catalogue import find_study
from gating.runs.files import write_bytes, write_text
from gating.runs.folder import RunFolder
from gating.runs.grid import SweepConfig, declare_over
from gating.runs.identity import environment

__all__ = ["FOLDER", "ROOT", "Declared", "declared", "keep", "summary", "table"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "results" / "tables"
LARGEST = 100_000
"""Bytes that a committed table may have."""
VERSIONS = ("date", "python", "torch", "numpy", "scipy", "transformers")
"""What is kept of a run's ``environment.json``."""

Declared = dict[str, Any]


def declared(folder: Path = FOLDER) -> dict[str, Declared]:
    """What ``tables.yaml`` says of each table, by name."""
    found: dict[str, Declared] = yaml.safe_load((folder / "tables.yaml").read_text(encoding="utf-8"))
    return found


@cache
def table(name: str, folder: Path = FOLDER) -> pd.DataFrame:
    """A committed table, which must be as it was kept.

    Raises:
        ValueError: it is not declared, or its checksum is another.
    """
    entry = declared(folder).get(name)
    if entry is None:
        raise ValueError(f"`name` must be a table of tables.yaml, {sorted(declared(folder))}; got {name!r}")
    file = folder / entry["file"]
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != entry["sha256"]:
        raise ValueError(f"`{file.name}` must have the checksum of tables.yaml, {entry['sha256']}; got {found}")
    if "study" in entry:
        _declare(entry["study"], entry.get("settings", {}))
    if file.suffix == ".parquet":
        return make_table(read_table(file))
    if file.suffix == ".json":
        return pd.json_normalize(json.loads(file.read_text(encoding="utf-8")))
    rows = pd.read_csv(file, engine="pyarrow")  # whose numbers are those that were written
    return make_table(rows) if "study" in entry else rows


@cache
def summary(name: str) -> pd.DataFrame:
    """The rows of a committed table at the last step, seeds turned into means with intervals; answers as they are."""
    rows = table(name)
    of_seeds = rows[~rows["answer"].astype(bool)]
    if of_seeds.empty:
        return rows
    return pd.concat([summarise(last_step(of_seeds)), rows[rows["answer"]]], ignore_index=True)


def keep(name: str, made: Path, folder: Path = FOLDER) -> None:
    """Writes a declared table anew from a finished run, or a CSV file, and notes settings, versions and checksum.

    Args:
        name: of the table.
        made: folder of the run, or the CSV file that the table's command writes.
        folder: where the tables are.

    Raises:
        ValueError: the run has no row that is asked for, or the table would be too large to commit.
    """
    entries = declared(folder)
    entry = entries[name]
    if made.is_file():
        content, there = made.read_bytes(), environment()
    else:
        content, there = _rows(entry, made), json.loads((made / "environment.json").read_text(encoding="utf-8"))
    if len(content) > LARGEST:
        raise ValueError(f"`rows` of {name!r} must give at most {LARGEST:,} bytes; got {len(content):,}")
    write_bytes(folder / entry["file"], content)
    entry["versions"] = {key: there[key] for key in VERSIONS if key in there}
    entry["sha256"] = hashlib.sha256(content).hexdigest()
    write_text(folder / "tables.yaml", yaml.safe_dump(entries, sort_keys=False, width=120, default_flow_style=None))


def _rows(entry: Declared, run: Path) -> bytes:
    """The rows of a run that a table is to have, as its file; what they are of is noted in the entry."""
    config = RunFolder(run).manifest["identity"]["config"]
    _declare(config["study"], config)
    rows = read_results(run)
    found = [select(rows, _where(where)) for where in entry["rows"]]
    if any(each.empty for each in found):
        raise ValueError(f"`rows` must each be in the run; got none for some of {entry['rows']}")
    kept = rows.loc[sorted({place for each in found for place in each.index})].dropna(axis=1, how="all")
    entry |= {"study": config["study"], "settings": _changed(config)}
    with TemporaryDirectory() as draft:
        file = Path(draft) / entry["file"]
        if file.suffix == ".parquet":
            write_table(kept, file)
        else:
            kept.to_csv(file, index=False, lineterminator="\n")
        return file.read_bytes()


def _declare(study: str, settings: Mapping[str, Any]) -> None:
    """Declares the columns that are a study's own, or a sweep's."""
    find_study(study)
    if study == "sweep":
        declare_over(SweepConfig(settings["of"], {}, settings["over"]))


def _where(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A query as `select` takes it; several allowed values are a list in YAML."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in asked.items()}


def _changed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run that are not the study's defaults, by dotted name; of a sweep, also what it is over."""
    if "over" in config:
        return {"of": config["of"], "over": config["over"], **_changed(config["base"])}
    defaults = (
        (each.name, each.default if each.default is not MISSING else each.default_factory())
        for each in fields(find_study(config["study"]).config)
        if each.default is not MISSING or each.default_factory is not MISSING
    )
    plain = {name: asdict(value) if is_dataclass(value) else value for name, value in defaults}
    usual = _flat(json.loads(json.dumps(plain)))
    return {key: value for key, value in _flat(config).items() if key not in usual or usual[key] != value}


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found
