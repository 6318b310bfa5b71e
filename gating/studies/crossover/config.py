"""Settings of the crossover study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from gating.studies.replicas import Replica, TransformerShape, combined_seed
from gating.tasks.class_mixture import MAX_SEQUENCES
from gating.training.schedule import TrainSettings
from theory.distribution import ClassMixture, SpecError

__all__ = ["CrossoverConfig"]

MAX_TABULAR_SEEDS = 100_000


@dataclass(frozen=True)
class CrossoverConfig:
    """At which number N* of training sequences do weights take over a rare class, and is N* inverse to its frequency?

    Args:
        study: name of the study.
        distribution: the data; its `p_high` is replaced by each value below.
        p_high: masses of the frequent classes, two or more in (0, 1); a rare class has frequency (1 - p_high) / n_low.
        rare_queries: training-set sizes of the Transformers as the expected number N q of training queries of each rare
            class, two or more ascending numbers; each N is N q / q, rounded, in 1 .. 2^40.
        n_seeds: number of Transformers for each p_high and N, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the initial weights, combined with the data seed.
        evaluation_seed: seed of the test sequences, combined with the data seed.
        evaluation_per_cell: test sequences of the Transformers for each (query class, context kind), >= 1.
        tabular_seeds: training sets that label counts are averaged over, in 2 .. 100,000.
        tabular_octaves: counts are taken at N up to this many octaves below and above the predicted N*, in 1 .. 6.
        tabular_per_octave: sizes N in each octave, >= 1.
        beta: pseudo-count > 0 of the label counts.
        temperature: temperature > 0 of the softmax that copies from the context.
        transformer: shape of the Transformer.
        transformer_training: how the Transformers are trained.
    """

    study: Literal["crossover"] = "crossover"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    p_high: tuple[float, ...] = (0.6, 0.8, 0.9, 0.95, 0.975)
    rare_queries: tuple[float, ...] = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
    n_seeds: int = 3
    seed: int = 0
    init_seed: int = 0
    evaluation_seed: int = 0
    evaluation_per_cell: int = 100
    tabular_seeds: int = 1000
    tabular_octaves: int = 2
    tabular_per_octave: int = 4
    beta: float = 1.0
    temperature: float = 0.1
    transformer: TransformerShape = field(default_factory=TransformerShape)
    transformer_training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=50_000))

    def __post_init__(self) -> None:
        problems = list(self._problems()) or list(self._size_problems())
        if problems:
            raise SpecError(problems)

    def _problems(self) -> Iterator[str]:
        if len(set(self.p_high)) < max(2, len(self.p_high)) or not all(0 < p < 1 for p in self.p_high):
            yield f"`p_high` must be two or more different numbers in (0, 1); got {list(self.p_high)}"
        sizes = self.rare_queries
        if len(sizes) < 2 or list(sizes) != sorted(set(sizes)) or not 0 < sizes[0] <= sizes[-1] < float("inf"):
            yield f"`rare_queries` must be two or more ascending numbers > 0; got {list(sizes)}"
        for name, least, most in (
            ("n_seeds", 1, 2**32),
            ("evaluation_per_cell", 1, 2**32),
            ("tabular_seeds", 2, MAX_TABULAR_SEEDS),
            ("tabular_octaves", 1, 6),
            ("tabular_per_octave", 1, 64),
            ("seed", 0, 2**32 - 1),
            ("init_seed", 0, 2**32 - 1),
            ("evaluation_seed", 0, 2**32 - 1),
        ):
            if not least <= getattr(self, name) <= most:
                yield f"`{name}` must be an integer in {least} .. {most}; got {getattr(self, name)!r}"
        for name in ("beta", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                yield f"`{name}` must be a finite number > 0; got {getattr(self, name)!r}"
        yield from self._data_problems()

    def _data_problems(self) -> Iterator[str]:
        spec = self.distribution
        if spec.zipf is not None or spec.query_frequencies is not None:
            yield "`distribution.zipf` and `distribution.query_frequencies` must be null: they would overrule `p_high`"
        for name in ("n_high", "n_low"):
            if getattr(spec, name) == 0:
                yield f"`distribution.{name}` must be an integer >= 2; got 0"
        yield from self.transformer.problems(spec)

    def _size_problems(self) -> Iterator[str]:
        for spec in self.settings:
            sizes = self.sizes(spec)
            if len(set(sizes)) < len(sizes) or not 1 <= sizes[0] <= sizes[-1] <= MAX_SEQUENCES:
                yield (
                    f"`rare_queries` must give different sizes N in 1 .. 2^40 at `p_high` = {spec.p_high}; got {sizes}"
                )

    @property
    def settings(self) -> list[ClassMixture]:
        """The data at each `p_high`."""
        return [replace(self.distribution, p_high=p) for p in self.p_high]

    def sizes(self, spec: ClassMixture) -> list[int]:
        """Training-set sizes N of the Transformers for data of these frequencies."""
        return [round(count / spec.frequencies[-1]) for count in self.rare_queries]

    @property
    def replicas(self) -> list[Replica]:
        """One replica for each `p_high`, N and seed, in this order."""
        return [
            Replica(spec, n, seed, combined_seed(self.init_seed, seed))
            for spec in self.settings
            for n in self.sizes(spec)
            for seed in range(self.seed, self.seed + self.n_seeds)
        ]
