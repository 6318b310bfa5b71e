"""A folder in the layout of Omniglot, with made-up characters."""

from pathlib import Path

import numpy as np
from PIL import Image

N_CLASSES, N_EXEMPLARS = 8, 5


def write_characters(place: Path, seed: int = 0) -> Path:
    """Eight characters in two alphabets, by five hands: blocks of ink, some of which every hand moves."""
    chance = np.random.default_rng(seed)
    for number in range(N_CLASSES):
        blocks = np.kron(chance.random((5, 5)) < 0.3, np.ones((21, 21), bool))
        folder = place / f"Alphabet{number // 4}" / f"character{number % 4 + 1:02d}"
        folder.mkdir(parents=True)
        for hand in range(N_EXEMPLARS):
            ink = blocks ^ (chance.random(blocks.shape) < 0.02)
            Image.fromarray(~ink).convert("1").save(folder / f"{number:04d}_{hand + 1:02d}.png")
    return place
