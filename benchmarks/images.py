"""How long the images of printed kanji take, their checksum, and how well pixels tell them apart.

Needs the extra `images`, and the fonts that gating/pictures/typefaces.yaml lists.

Run: python benchmarks/images.py [--csv FILE]
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import PIL

from gating.pictures.characters import CharacterImages, printed_kanji
from gating.pictures.features import Components
from gating.pictures.one_shot import one_shot

TRIALS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, help="file for what pixels tell")
    options = parser.parse_args()
    start = time.perf_counter()
    training, held_out = printed_kanji()
    print(f"{training.images.shape} and {held_out.images.shape} in {time.perf_counter() - start:.1f} s")
    print(f"Pillow {PIL.__version__}\ntraining, SHA-256: {training.sha256}\nheld out, SHA-256: {held_out.sha256}\n")
    table = pd.DataFrame(rows(training, held_out)).assign(answer=True)
    print(table.to_string(index=False))
    if options.csv:
        table.to_csv(options.csv, index=False, lineterminator="\n")


def rows(training: CharacterImages, held_out: CharacterImages) -> Iterator[dict[str, str | int | float]]:
    every = np.concatenate([training.images, held_out.images], axis=1)
    for name, images in (("all 24", every), ("20 of training", training.images), ("4 held out", held_out.images)):
        for ways in (2, 5, 20):
            found = one_shot(images, ways, trials=TRIALS)
            ends = {"value": float(found.value), "low": float(found.low), "high": float(found.high)}
            yield {"typefaces": name, "measure": "one_shot", "size": ways, **ends}
    for dim in (64, 256):
        kept = Components.of(training.images, dim).kept
        yield {
            "typefaces": "20 of training",
            "measure": "variance",
            "size": dim,
            "value": kept,
            "low": kept,
            "high": kept,
        }


if __name__ == "__main__":
    main()
