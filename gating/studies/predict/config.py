"""Settings of the study `predict`."""

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gating.results.columns import declare_from
from gating.studies.replicas import Replica, combined_seed
from gating.tasks.class_mixture import MAX_SEQUENCES
from gating.training.schedule import TrainSettings
from theory.distribution import GROUPS, ClassMixture
from theory.fields import ASCENDING, Count, Positive, Seed
from theory.settings import settings

__all__ = ["PredictConfig"]

declare_from("gating.studies")
declare_from("gating.studies.predict")

FEWEST_QUERIES, MOST_QUERIES, SIZES = 4.0, 512.0, 8
"""Training queries of a most frequent class at the smallest N, of a rarest at the largest, and how many N."""

Sizes = Annotated[tuple[Annotated[int, Field(ge=1, le=MAX_SEQUENCES)], ...], Field(min_length=2), ASCENDING]


@settings
class PredictConfig:
    """Settings of the study `predict`.

    Args:
        study: name of the study.
        distribution: the data; a group of classes has none or at least two, together at least three. The level of
            errors is (1 + label_noise) / 2, where half of what can be learnt is; it must be better than a guess.
        n_sequences: training-set sizes N, two or more ascending integers in 1 .. 2^40. None takes 8 of them, evenly
            spaced in ln N from 4 queries of a most frequent class to 512 of a rarest.
        training: how the Transformer will be trained; the stylized models that predict it are trained so.
        hidden: hidden width of the Transformer's perceptrons, and of the stylized models', >= 1.
        n_seeds: stylized models for each N, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the initial weights, combined with the data seed.
        evaluation_seed: seed of the test sequences, combined with the data seed.
        evaluation_per_cell: test sequences for each (query class, context kind), >= 1.
        beta: pseudo-count > 0 of the label counts that the gate is measured with.
        temperature: temperature > 0 of the softmax that copies, likewise.
    """

    study: Literal["predict"] = "predict"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_sequences: Sizes | None = None
    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(steps=3951, learning_rate=1e-3, checkpoints=5)
    )
    hidden: Count = 256
    n_seeds: Count = 3
    seed: Seed = 0
    init_seed: Seed = 0
    evaluation_seed: Seed = 0
    evaluation_per_cell: Count = 100
    beta: Positive = 1.0
    temperature: Positive = 0.1

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        spec = self.distribution
        for group, count in (("high", spec.n_high), ("low", spec.n_low)):
            if count == 1:
                yield f"`distribution.n_{group}` must be 0 or at least 2 for the out-of-base shift; got 1"
        most = 1 - 2 / spec.n_classes
        if spec.label_noise >= most:
            below = f"below 1 - 2 / {spec.n_classes} = {most:.3g}, from which on a guess passes the level"
            yield f"`distribution.label_noise` must be {below} (1 + label_noise) / 2; got {spec.label_noise:g}"
        if self.n_sequences is None and self.sizes[-1] > MAX_SEQUENCES:
            yield f"`n_sequences` must be given: 512 queries of a rarest class are more than 2^40; got {self.sizes[-1]}"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Training-set sizes N.

        Example:
            >>> PredictConfig().sizes
            (22, 61, 167, 456, 1248, 3416, 9352, 25600)
        """
        if self.n_sequences is not None:
            return self.n_sequences
        q = self.distribution.frequencies
        first, last = max(2.0, FEWEST_QUERIES / q.max()), MOST_QUERIES / q.min()
        return tuple(sorted({round(n) for n in np.geomspace(first, last, SIZES)}))

    @property
    def groups(self) -> list[str]:
        """Groups that have classes, frequent ones first."""
        return [group for group in GROUPS if group != "all" and len(self.distribution.group(group))]

    @property
    def level(self) -> float:
        """Error at which half of what can be learnt is: 1/2 without label noise."""
        return (1 + self.distribution.label_noise) / 2

    @property
    def replicas(self) -> list[Replica]:
        """One replica for each N and seed, in this order."""
        return [
            Replica(self.distribution, n, seed, combined_seed(self.init_seed, seed))
            for n in self.sizes
            for seed in range(self.seed, self.seed + self.n_seeds)
        ]
