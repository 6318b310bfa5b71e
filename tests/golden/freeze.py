"""Writes the frozen results: those of the code in a folder, which need not be the one beside this file.

python -m tests.golden.freeze path/to/the/code

A study that comes by an entry point is that of the code only if the folder holds the package's ``egg-info``.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from tests.golden.comparison import KEYS, VALUES, machine
from tests.golden.settings import CASES, description_lengths, run, study_table, tensors

__all__ = ["freeze"]

HERE = Path(__file__).parent


def freeze(code: Path) -> None:
    """Runs every case with the packages in `code` and writes tables, tensors, description lengths and the machine."""
    sys.path.insert(0, str(code.resolve()))
    import gating

    assert Path(gating.__file__).is_relative_to(code.resolve()), f"imported {gating.__file__}"
    torch.set_num_threads(1)  # as the suite does
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
        (HERE / f"{name}.json").write_text(json.dumps(what, indent=1) + "\n")


def _last_checkpoints(folder: Path) -> list[Path]:
    """The last checkpoint of every ensemble in the folder of a run."""
    last = {file.parent: file for file in sorted(folder.rglob("step-*.safetensors"))}
    return list(last.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Freezes the results of the code in a folder.")
    parser.add_argument("code", type=Path, help="folder that holds the packages")
    freeze(parser.parse_args().code)
