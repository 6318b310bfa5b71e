"""Writes the frozen results: those of the code in a folder, which need not be the one beside this file.

python -m tests.golden.freeze path/to/the/code [--renew STUDY]

With `--renew`, the rows of one study that `comparison.RENEWED` names are frozen again, from code of today, and the
description lengths; all others stay as they were.
A study that comes by an entry point is that of the code only if the folder holds the package's ``egg-info``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch

from tests.golden.comparison import KEYS, NEW_ROWS, RENEWED, VALUES, as_frozen, machine
from tests.golden.settings import CASES, description_lengths, run, study_table, tensors

__all__ = ["freeze", "renew"]

HERE = Path(__file__).parent


def freeze(code: Path) -> None:
    """Runs every case with the packages in `code` and writes tables, tensors, description lengths and the machine."""
    _use(code)
    kept: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for study, cases in CASES.items():
            table = study_table(study, root)[[*KEYS, *VALUES]]
            table.to_parquet(HERE / f"{study}.parquet", index=False, compression="zstd")
            found = set().union(*(tensors(_last_checkpoints(run(study, case, root))) for case in cases))
            if found:
                kept[study] = sorted(found)
    for name, what in (("tensors", kept), ("description_lengths", description_lengths()), ("made_on", machine())):
        _write(name, what)


def renew(code: Path, study: str) -> None:
    """Puts rows of today in the place of those that `RENEWED` names, which the machine of all others must compute."""
    _use(code)
    file, chosen = HERE / f"{study}.parquet", RENEWED[study]
    assert machine() == json.loads((HERE / "made_on.json").read_text()), "frozen on another machine"
    frozen = pd.read_parquet(file)
    with tempfile.TemporaryDirectory() as folder:
        table = study_table(study, Path(folder))
    today = as_frozen(table[~NEW_ROWS[study](table)], study)
    renewed = pd.concat([frozen[~chosen(frozen)], today[chosen(today)].astype(frozen.dtypes)])
    renewed.to_parquet(file, index=False, compression="zstd")
    _write("description_lengths", description_lengths())


def _use(code: Path) -> None:
    """Imports packages from a folder, to compute as the suite does."""
    sys.path.insert(0, str(code.resolve()))
    import gating

    assert Path(gating.__file__).is_relative_to(code.resolve()), f"imported {gating.__file__}"
    torch.set_num_threads(1)


def _write(name: str, what: object) -> None:
    (HERE / f"{name}.json").write_text(json.dumps(what, indent=1) + "\n")


def _last_checkpoints(folder: Path) -> list[Path]:
    """The last checkpoint of every ensemble in the folder of a run."""
    last = {file.parent: file for file in sorted(folder.rglob("step-*.safetensors"))}
    return list(last.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Freezes the results of the code in a folder.")
    parser.add_argument("code", type=Path, help="folder that holds the packages")
    parser.add_argument("--renew", choices=RENEWED, help="the rows of one study alone that got another meaning")
    given = parser.parse_args()
    renew(given.code, given.renew) if given.renew else freeze(given.code)
