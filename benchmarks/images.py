"""How long the images of printed kanji take, their checksum, and how well pixels tell them apart, as Markdown tables.

Needs the extra `images`, and the fonts that gating/images/typefaces.yaml lists.

Run: python benchmarks/images.py
"""

import time

import numpy as np
import PIL

from gating.images.characters import printed_kanji
from gating.images.features import Components
from gating.images.one_shot import one_shot

TRIALS = 20_000


def main() -> None:
    start = time.perf_counter()
    training, held_out = printed_kanji()
    seconds = time.perf_counter() - start
    every = np.concatenate([training.images, held_out.images], axis=1)
    print(f"{every.shape} in {seconds:.1f} s, Pillow {PIL.__version__}\n")
    print(f"training, SHA-256: {training.sha256}\nheld out, SHA-256: {held_out.sha256}\n")
    print("| typefaces | 2-way | 5-way | 20-way |\n| --- | ---: | ---: | ---: |")
    for name, images in (("all 24", every), ("20 of training", training.images), ("4 held out", held_out.images)):
        found = [one_shot(images, ways, trials=TRIALS) for ways in (2, 5, 20)]
        print(f"| {name} | " + " | ".join(f"{f.value:.3f} [{f.low:.3f}, {f.high:.3f}]" for f in found) + " |")
    print("\n| components | share of the variance |\n| ---: | ---: |")
    for dim in (16, 64, 256):
        print(f"| {dim} | {Components.of(training.images, dim).kept:.3f} |")


if __name__ == "__main__":
    main()
