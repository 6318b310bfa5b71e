"""What studies of Transformers share: shape of the model, one trained replica, and where its sequences come from."""

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources
from gating.runs.store import opened
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture
from theory.fields import Count, Positive
from theory.settings import settings

__all__ = ["Replica", "TransformerShape", "combined_seed", "input_shape", "sampler_of", "seconds_per_step"]

FIRST_STEPS, TIMED_STEPS, TIMED_REPLICAS = 2, 8, 16
"""Steps that are timed, after the first, which are slower; and replicas that a core trains together, about."""


@settings
class TransformerShape:
    """Shape of the Transformer.

    Args:
        depth: number of blocks.
        heads: attention heads, a divisor of the width, which is even.
        width: width of the stream; equal to the input dimension.
        mlp_factor: hidden width of the perceptron over the width.
    """

    depth: Count = 2
    heads: Count = 1
    width: Count = 64
    mlp_factor: Positive = 4.0

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.width % self.heads:
            yield f"`heads` must divide the width {self.width}; got {self.heads}"
        if not 1 <= self.mlp_factor * self.width < math.inf:
            yield f"`mlp_factor` must be a finite number of at least 1 / width; got {self.mlp_factor}"

    @property
    def hidden(self) -> int:
        """Hidden width of the perceptrons."""
        return max(1, round(self.width * self.mlp_factor))

    def data_problems(self, spec: ClassMixture) -> Iterator[str]:
        """One sentence for each way in which the shape, or the out-of-base test, does not suit the data."""
        if self.width != spec.dim:
            yield f"`transformer.width` must equal `distribution.dim` = {spec.dim}; got {self.width}"
        if spec.dim % 2:
            yield f"`distribution.dim` must be even, as it is the width of the Transformer; got {spec.dim}"
        for group, count in (("high", spec.n_high), ("low", spec.n_low)):
            if count == 1:
                yield f"`distribution.n_{group}` must be 0 or at least 2 for the out-of-base shift; got 1"


@dataclass(frozen=True)
class Replica:
    """One trained model: its data and its seeds."""

    distribution: ClassMixture
    n_sequences: int
    data_seed: int
    init_seed: int


def combined_seed(*seeds: int) -> int:
    """One seed from several, below 2^63.

    Example:
        >>> combined_seed(0, 1) == combined_seed(1, 0)
        False
    """
    return int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]) >> 1


def input_shape(replica: Replica) -> tuple[int, int, int]:
    """Dimension, classes and context length, which replicas that train together have in common."""
    spec = replica.distribution
    return spec.dim, spec.n_classes, spec.context_length


def sampler_of(replicas: Sequence[Replica], *, cover_classes: bool, device: torch.device) -> ClassMixtureSampler:
    """Sampler of the replicas' training sets and of fresh sequences."""
    return ClassMixtureSampler(
        [r.distribution for r in replicas],
        [r.n_sequences for r in replicas],
        [r.data_seed for r in replicas],
        cover_classes=cover_classes,
        device=device,
    )


def seconds_per_step(ensemble: Ensemble[Any], resources: Resources) -> float:
    """Seconds that a training step of one replica takes, from a few real ones of the last, and as a rule largest,
    group; nothing of them is kept."""
    timed = ensemble.groups(resources.device)[-1]
    with tempfile.TemporaryDirectory() as root, opened(Path(root) / "run", {}) as place:
        made = ensemble.trainer(place, resources, timed)
        made.advance(FIRST_STEPS)
        start = time.perf_counter()
        made.advance(FIRST_STEPS + TIMED_STEPS)
        return (time.perf_counter() - start) / TIMED_STEPS / len(timed)
