"""How well pixels alone tell a class from one example: the baseline of whatever is learnt from images."""

import numpy as np
from numpy.typing import NDArray

from gating.results.intervals import Interval, sequence_interval
from theory.validation import require_integer

__all__ = ["one_shot"]


def one_shot(images: NDArray[np.uint8], ways: int, *, trials: int = 4000, seed: int = 0) -> Interval:
    """Share of trials in which the nearest of `ways` examples is of the query's class, with Wilson's 95% interval.

    Each trial draws `ways` classes and two exemplars: all examples are of the one, the query of the other. Nearest is
    by the cosine of pixels.

    Args:
        images: uint8, shape (K, T, s, s), T >= 2.
        ways: number of classes in a trial, in 2 .. K.
        trials: >= 1.
        seed: of the draws, >= 0.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> bars = np.zeros((2, 3, 4, 4), np.uint8)
        >>> bars[0, :, 0], bars[1, :, 3] = 255, 255
        >>> float(one_shot(bars, 2, trials=100).value)
        1.0
    """
    n_classes, n_exemplars = images.shape[:2]
    ways = require_integer("ways", ways, least=2, most=n_classes)
    trials, chance = require_integer("trials", trials, least=1), np.random.default_rng(require_integer("seed", seed))
    if n_exemplars < 2:
        raise ValueError(f"`images` must have two or more exemplars of each class; got {n_exemplars}")
    flat = images.reshape(n_classes, n_exemplars, -1).astype(np.float32)
    flat /= np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-9)
    right = np.empty(trials)
    for trial in range(trials):
        classes = chance.choice(n_classes, ways, replace=False)
        example, query = chance.choice(n_exemplars, 2, replace=False)
        right[trial] = np.argmax(flat[classes, example] @ flat[classes[0], query]) == 0
    return sequence_interval(right)
