"""Settings of the comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from gating.gates.learned import GATE_INPUTS
from gating.studies.replicas import Replica, TransformerShape, combined_seed
from gating.tasks.class_mixture import MAX_SEQUENCES
from gating.training.schedule import TrainSettings
from theory.distribution import ClassMixture, SpecError
from theory.validation import is_integer

__all__ = ["CompareConfig"]


@dataclass(frozen=True)
class CompareConfig:
    """When do theory, stylized models and Transformers answer from weights, and when from context?

    Args:
        study: name of the study.
        distribution: the data.
        n_sequences: training-set sizes N, each in K .. 2^40.
        n_seeds: number of seeds, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the initial weights, combined with the data seed.
        evaluation_seed: seed of the test sequences, combined with the data seed.
        evaluation_per_cell: test sequences for each (query class, context kind), >= 1.
        cover_classes: give every class at least one training query.
        transformer: shape of the Transformer.
        hidden: hidden width of the perceptrons of the stylized model.
        gate_inputs: what its gate sees, ``query`` or ``query_and_context``.
        transformer_training: how the Transformers are trained.
        stylized_training: how the predictors and the stylized models are trained.
    """

    study: Literal["compare"] = "compare"
    distribution: ClassMixture = field(default_factory=ClassMixture)
    n_sequences: tuple[int, ...] = (64, 256, 1024, 4096, 16384)
    n_seeds: int = 3
    seed: int = 0
    init_seed: int = 0
    evaluation_seed: int = 0
    evaluation_per_cell: int = 200
    cover_classes: bool = True
    transformer: TransformerShape = field(default_factory=TransformerShape)
    hidden: int = 64
    gate_inputs: str = "query_and_context"
    transformer_training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=50_000))
    stylized_training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=50_000))

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpecError(problems)

    def _problems(self) -> Iterator[str]:
        least = self.distribution.n_classes if self.cover_classes else 1
        if not self.n_sequences or any(not is_integer(n) or not least <= n <= MAX_SEQUENCES for n in self.n_sequences):
            yield f"`n_sequences` must be one or more integers in {least} .. 2^40; got {list(self.n_sequences)}"
        elif len(set(self.n_sequences)) < len(self.n_sequences):
            yield f"`n_sequences` must be distinct; got {list(self.n_sequences)}"
        for name in ("n_seeds", "evaluation_per_cell", "hidden"):
            if not is_integer(getattr(self, name)) or getattr(self, name) < 1:
                yield f"`{name}` must be an integer >= 1; got {getattr(self, name)!r}"
        for name in ("seed", "init_seed", "evaluation_seed"):
            if not is_integer(getattr(self, name)) or not 0 <= getattr(self, name) < 2**32:
                yield f"`{name}` must be an integer in 0 .. 2^32 - 1; got {getattr(self, name)!r}"
        if self.gate_inputs not in GATE_INPUTS:
            yield f"`gate_inputs` must be one of {GATE_INPUTS}; got {self.gate_inputs!r}"
        yield from self.transformer.problems(self.distribution)

    @property
    def replicas(self) -> list[Replica]:
        """One replica for each N and seed, N-major."""
        return [
            Replica(self.distribution, n, seed, combined_seed(self.init_seed, seed))
            for n in self.n_sequences
            for seed in range(self.seed, self.seed + self.n_seeds)
        ]
