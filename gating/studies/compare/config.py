"""Settings of the comparison."""

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gating.gates.learned import GATE_INPUTS
from gating.results.columns import declare_from
from gating.studies.replicas import Replica, TransformerShape, combined_seed
from gating.tasks.class_mixture import MAX_SEQUENCES
from gating.training.schedule import TrainSettings
from theory.distribution import ClassMixture
from theory.fields import Count, Seed, Several, one_of
from theory.settings import settings

__all__ = ["CompareConfig"]

declare_from("gating.studies.compare")


@settings
class CompareConfig:
    """Settings of the study `compare`.

    Args:
        study: name of the study.
        distribution: the data.
        n_sequences: training-set sizes N, one or several, in 1 .. 2^40 (from K on with ``cover_classes``).
        n_seeds: number of seeds, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the initial weights, combined with the data seed.
        evaluation_seed: seed of the test sequences, combined with the data seed.
        evaluation_per_cell: test sequences for each (query class, context kind), >= 1.
        evaluation_classes: query classes of test sequences, of each group at most as many, evenly spread; null for all.
        cover_classes: give every class at least one training query.
        transformer: shape of the Transformer.
        hidden: hidden width of the perceptrons of the stylized model.
        gate_inputs: what its gate sees, ``query`` or ``query_and_context``.
        references: whether the reference Transformers are trained too, on contexts that never and always show the
            query's class: two thirds of the Transformers' training.
        transformer_training: how the Transformers are trained.
        stylized_training: how the predictors and the stylized models are trained.
    """

    study: Literal["compare"] = "compare"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_sequences: Several[Annotated[int, Field(ge=1, le=MAX_SEQUENCES)]] = (64, 256, 1024, 4096, 16384)
    n_seeds: Count = 3
    seed: Seed = 0
    init_seed: Seed = 0
    evaluation_seed: Seed = 0
    evaluation_per_cell: Count = 200
    evaluation_classes: Count | None = None
    cover_classes: bool = False
    transformer: TransformerShape = field(default_factory=TransformerShape)
    hidden: Count = 64
    gate_inputs: Annotated[str, one_of(GATE_INPUTS)] = "query_and_context"
    references: bool = True
    transformer_training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=50_000))
    stylized_training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=50_000))

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        least = self.distribution.n_classes if self.cover_classes else 1
        if min(self.n_sequences) < least:
            yield f"`n_sequences` must be one or more integers in {least} .. 2^40; got {list(self.n_sequences)}"
        yield from self.transformer.data_problems(self.read)

    @property
    def read(self) -> ClassMixture:
        """The data as the Transformer's blocks read them."""
        return self.distribution

    @property
    def tested(self) -> list[int]:
        """Query classes of the test sequences."""
        groups = map(self.distribution.group, ("high", "low"))
        counts = [(group, min(len(group), self.evaluation_classes or len(group))) for group in groups]
        asked = [group[np.linspace(0, len(group) - 1, count).astype(int)] for group, count in counts if count]
        return [int(c) for c in np.concatenate(asked)]

    @property
    def replicas(self) -> list[Replica]:
        """One replica for each N and seed, N-major."""
        return [
            Replica(self.distribution, n, seed, combined_seed(self.init_seed, seed))
            for n in self.n_sequences
            for seed in range(self.seed, self.seed + self.n_seeds)
        ]
