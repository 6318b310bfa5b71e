"""Whose label does a Transformer answer with, where a relevant context shows a rare class's?

    python -m benchmarks.whose_label RUN [--csv FILE]     # half a minute

RUN is the folder of a `gating images` run. Of queries of rare classes with a relevant context, in base and out of base:
the share that is answered with the label that the context gives the class, with the one that training gave it (in base
the same), with that of another class in the context, and with any other. Means over seeds, with 95% intervals.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from gating.results.intervals import mean_interval
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.studies.compare.systems import transformers_of
from gating.studies.images.config import ImagesConfig
from gating.studies.images.systems import ImageSystems
from gating.tasks.sequences import Sequences
from theory.settings import build

PLACES = ("ibd", "oobd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--csv", type=Path, help="file for the same numbers, one a row")
    options = parser.parse_args()
    table = pd.DataFrame(rows(options.run))
    if options.csv:
        table.assign(answer=True).to_csv(options.csv, index=False, lineterminator="\n")
    print(table.to_string(index=False))


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Shares of each label for each N, system and kind of test sequences."""
    run = RunFolder(folder)
    config = build(ImagesConfig, run.manifest["identity"]["config"])
    systems = ImageSystems(config, Place(run, ""), torch.device("cpu"))
    last = config.transformer_training.steps
    trained = [name for name in ("transformer", "transformer_ic") if name in transformers_of(config)]
    if not config.distribution.n_low:
        raise SystemExit(f"{folder}: must be of a run with rare classes; `distribution.n_low` is 0 there")
    for n in config.n_sequences:
        replicas = [replica for replica in config.replicas if replica.n_sequences == n]
        asked = {name: part for tests, _ in systems.tests(systems.source(replicas))
                 for name, part in tests.sequences.items() if name in PLACES}  # fmt: skip
        for system in trained:
            model = systems.trained(system, last, replicas)
            for name, sequences in asked.items():
                for label, values in shares(sequences, model(sequences).argmax(-1), config.distribution.n_high).items():
                    found = mean_interval(values.numpy(), low=0, high=1)
                    ends = {"value": float(found.value), "low": float(found.low), "high": float(found.high)}
                    yield {"n": n, "system": system, "distribution": name, "label": label, **ends}


def shares(sequences: Sequences, said: Tensor, n_high: int) -> dict[str, Tensor]:
    """Shares of answers by whose label they are, of each replica, shape (R,)."""
    shown = sequences.context_y == sequences.target.unsqueeze(-1)
    asked = (sequences.query_class >= n_high) & shown.any(-1)
    own, copied = said == sequences.query_class, said == sequences.target
    near = (sequences.context_y == said.unsqueeze(-1)).any(-1)
    kinds = {"of the class in the context": copied, "of the class in training": own & ~copied,
             "of another class in the context": near & ~own & ~copied, "any other": ~(near | own | copied)}  # fmt: skip
    return {name: (kind & asked).double().sum(-1) / asked.sum(-1) for name, kind in kinds.items()}


if __name__ == "__main__":
    main()
