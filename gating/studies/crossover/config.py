"""Settings of the crossover study."""

from collections.abc import Iterator
from dataclasses import field, replace
from typing import Annotated, Literal

from pydantic import Field

from gating.results.columns import declare_from
from gating.studies.replicas import Replica, TransformerShape, combined_seed
from gating.tasks.class_mixture import MAX_SEQUENCES
from gating.training.schedule import TrainSettings
from theory.distribution import ClassMixture
from theory.fields import ASCENDING, DIFFERENT, Count, Positive, Probability, Seed
from theory.settings import settings

__all__ = ["CrossoverConfig"]

declare_from("gating.studies.crossover")

Queries = Annotated[tuple[Annotated[float, Field(gt=0, le=MAX_SEQUENCES)], ...], Field(min_length=2), ASCENDING]


@settings
class CrossoverConfig:
    """Settings of the study `crossover`.

    Args:
        study: name of the study.
        distribution: the data; its `p_high` is replaced by each value below.
        p_high: masses of the frequent classes, two or more in (0, 1); a rare class has frequency (1 - p_high) / n_low.
        low_queries: training-set sizes of the Transformers as the expected number N q of training queries of each rare
            class, two or more ascending numbers; each N is N q / q, rounded, in 1 .. 2^40.
        n_seeds: number of Transformers for each p_high and N, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the initial weights, combined with the data seed.
        evaluation_seed: seed of the test sequences, combined with the data seed.
        evaluation_per_cell: test sequences of the Transformers for each (query class, context kind), >= 1.
        tabular_seeds: training sets that label counts are averaged over, in 2 .. 100,000.
        tabular_octaves: counts are taken at N up to this many octaves below and above the predicted N*, in 1 .. 6.
        tabular_per_octave: sizes N in each octave, in 1 .. 64.
        beta: pseudo-count > 0 of the label counts.
        temperature: temperature > 0 of the softmax that copies from the context.
        transformer: shape of the Transformer.
        transformer_training: how the Transformers are trained.
    """

    study: Literal["crossover"] = "crossover"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    p_high: Annotated[tuple[Probability, ...], Field(min_length=2), DIFFERENT] = (0.6, 0.8, 0.9, 0.95, 0.975)
    low_queries: Queries = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
    n_seeds: Count = 3
    seed: Seed = 0
    init_seed: Seed = 0
    evaluation_seed: Seed = 0
    evaluation_per_cell: Count = 100
    tabular_seeds: Annotated[int, Field(ge=2, le=100_000)] = 1000
    tabular_octaves: Annotated[int, Field(ge=1, le=6)] = 2
    tabular_per_octave: Annotated[int, Field(ge=1, le=64)] = 4
    beta: Positive = 1.0
    temperature: Positive = 0.1
    transformer: TransformerShape = field(default_factory=TransformerShape)
    transformer_training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=50_000))

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        problems = [*self._data_problems(), *self.transformer.data_problems(self.distribution)]
        yield from problems or self._size_problems()

    def _data_problems(self) -> Iterator[str]:
        spec = self.distribution
        if spec.zipf is not None or spec.query_frequencies is not None:
            yield "`distribution.zipf` and `distribution.query_frequencies` must be null: they would overrule `p_high`"
        for name in ("n_high", "n_low"):
            if getattr(spec, name) == 0:
                yield f"`distribution.{name}` must be an integer >= 2; got 0"

    def _size_problems(self) -> Iterator[str]:
        for spec in self.settings:
            sizes = self.sizes(spec)
            if len(set(sizes)) < len(sizes) or not 1 <= sizes[0] <= sizes[-1] <= MAX_SEQUENCES:
                wanted = f"different sizes N in 1 .. 2^40 at `p_high` = {spec.p_high}"
                yield f"`low_queries` must give {wanted}; got {sizes}"

    @property
    def settings(self) -> list[ClassMixture]:
        """The data at each `p_high`."""
        return [replace(self.distribution, p_high=p) for p in self.p_high]

    def sizes(self, spec: ClassMixture) -> list[int]:
        """Training-set sizes N of the Transformers for data of these frequencies."""
        return [round(count / spec.frequencies[-1]) for count in self.low_queries]

    @property
    def replicas(self) -> list[Replica]:
        """One replica for each `p_high`, N and seed, in this order."""
        return [
            Replica(spec, n, seed, combined_seed(self.init_seed, seed))
            for spec in self.settings
            for n in self.sizes(spec)
            for seed in range(self.seed, self.seed + self.n_seeds)
        ]
