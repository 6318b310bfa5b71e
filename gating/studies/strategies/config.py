"""Settings of the strategies study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from gating.studies.replicas import combined_seed
from gating.tasks.task_sampler import MAX_TASKS
from gating.training.schedule import TrainSettings
from theory.distribution import SpecError
from theory.validation import is_integer

__all__ = ["DecoderShape", "StrategiesConfig", "StrategyReplica"]


@dataclass(frozen=True)
class DecoderShape:
    """Shape of the Transformer; its MLP factors are settings of the study.

    Args:
        depth: number of blocks, >= 1.
        heads: attention heads, >= 1.
        width: width of the stream, a multiple of 8 `heads`.
    """

    depth: int = 1
    heads: int = 1
    width: int = 64


@dataclass(frozen=True)
class StrategyReplica:
    """One trained model: its task diversity, its MLP factor and its seeds."""

    n_tasks: int
    mlp_factor: float
    seed: int
    init_seed: int


@dataclass(frozen=True)
class HeldOut:
    """What the fit of the posterior does not see.

    Args:
        n_tasks: task diversities D left out.
        mlp_factors: MLP factors left out.
        steps_after: fraction of the training after which every checkpoint is left out, in (0, 1]; 1 leaves out none.
    """

    n_tasks: tuple[int, ...] = ()
    mlp_factors: tuple[float, ...] = ()
    steps_after: float = 1.0


@dataclass(frozen=True)
class StrategiesConfig:
    """Does a Transformer memorize its training tasks or generalize, when, and does a loss-complexity gate predict it?

    Args:
        study: name of the study.
        task: task family.
        dim: number m of colours, or of features, >= 2.
        length: number of draws, of pairs, or of pairs with the query; see the family.
        n_tasks: task diversities D, two or more ascending integers in 2 .. 2^20.
        mlp_factors: hidden widths of the perceptron over the width, ascending numbers > 0.
        n_seeds: number of models for each D and MLP factor, >= 1; intervals are over them.
        seed: first data seed; the others follow it.
        init_seed: seed of the initial weights, combined with the data seed.
        evaluation_seed: seed of the sequences that models are measured on, none of which is met in training.
        evaluation_sequences: sequences of each kind (training tasks, unseen tasks) that answers are taken from, >= 8.
        evaluation_rows: answers of each kind that are compared at each checkpoint, >= 8; drawn from all positions of
            the sequences, or all of them where there are fewer.
        loss_sequences: sequences on which the losses of M and G are measured, >= 8.
        loss_groups: groups whose mean losses the reported loss is the median of, in 1 .. `loss_sequences`.
        described_within: largest residual of the free mixture of M and G, as a fraction of the run's largest, at
            which a checkpoint counts as described by them, in (0, 1].
        held_out: what the fit does not see.
        bootstrap: number of resamples of the fit for its intervals, >= 2.
        transformer: shape of the Transformer.
        training: how the Transformers are trained.
    """

    study: Literal["strategies"] = "strategies"
    task: Literal["urns", "linear_regression", "item_labels"] = "urns"
    dim: int = 8
    length: int = 128
    n_tasks: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256)
    mlp_factors: tuple[float, ...] = (4.0,)
    n_seeds: int = 1
    seed: int = 0
    init_seed: int = 0
    evaluation_seed: int = 0
    evaluation_sequences: int = 256
    evaluation_rows: int = 1024
    loss_sequences: int = 10_000
    loss_groups: int = 10
    described_within: float = 0.1
    held_out: HeldOut = field(default_factory=HeldOut)
    bootstrap: int = 200
    transformer: DecoderShape = field(default_factory=DecoderShape)
    training: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            steps=100_000, batch_size=64, learning_rate=5e-4, checkpoints=100, warm_up=5000, clip=1.0
        )
    )

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpecError(problems)

    def _problems(self) -> Iterator[str]:
        for name, least, most in (
            ("dim", 2, 2**16),
            ("length", 1 if self.task == "linear_regression" else 2, 2**16),
            ("n_seeds", 1, 2**32),
            ("seed", 0, 2**32 - 1),
            ("init_seed", 0, 2**32 - 1),
            ("evaluation_seed", 0, 2**32 - 1),
            ("evaluation_sequences", 8, 2**32),
            ("evaluation_rows", 8, 2**20),
            ("loss_sequences", 8, 2**32),
            ("loss_groups", 1, self.loss_sequences if is_integer(self.loss_sequences) else 2**32),
            ("bootstrap", 2, 2**20),
        ):
            value = getattr(self, name)
            if not is_integer(value) or not least <= value <= most:
                yield f"`{name}` must be an integer in {least} .. {most}; got {value!r}"
        diversities = self.n_tasks
        ascending = all(is_integer(d) and d >= 2 for d in diversities) and list(diversities) == sorted(set(diversities))
        if len(diversities) < 2 or not ascending:
            yield f"`n_tasks` must be two or more ascending integers >= 2; got {list(diversities)}"
        elif diversities[-1] > MAX_TASKS:
            yield f"`n_tasks` must be at most {MAX_TASKS}; got {diversities[-1]}"
        factors = self.mlp_factors
        if not factors or list(factors) != sorted(set(factors)) or not 0 < factors[0] <= factors[-1] < float("inf"):
            yield f"`mlp_factors` must be one or more ascending numbers > 0; got {list(factors)}"
        if not 0 < self.described_within <= 1:
            yield f"`described_within` must be in (0, 1]; got {self.described_within!r}"
        yield from self._shape_problems()
        yield from self._held_out_problems()

    def _shape_problems(self) -> Iterator[str]:
        shape = self.transformer
        for name in ("depth", "heads", "width"):
            if not is_integer(getattr(shape, name)) or getattr(shape, name) < 1:
                yield f"`transformer.{name}` must be an integer >= 1; got {getattr(shape, name)!r}"
                return
        if shape.width % (8 * shape.heads):
            yield f"`transformer.width` must be a multiple of 8 `transformer.heads`; got {shape.width}"
        for factor in self.mlp_factors:
            if not 1 <= factor * shape.width <= 2**20:
                yield f"`mlp_factors` times the width {shape.width} must be in 1 .. 2^20; got {factor!r}"

    def _held_out_problems(self) -> Iterator[str]:
        held = self.held_out
        for name, given, left in (
            ("n_tasks", self.n_tasks, held.n_tasks),
            ("mlp_factors", self.mlp_factors, held.mlp_factors),
        ):
            if not set(left) <= set(given) or len(set(left)) == len(given):
                yield f"`held_out.{name}` must be some, not all, of `{name}` = {list(given)}; got {list(left)}"
        if not 0 < held.steps_after <= 1:
            yield f"`held_out.steps_after` must be in (0, 1]; got {held.steps_after!r}"
        elif (first := self.training.checkpoint_steps[0]) > held.steps_after * self.training.steps:
            yield f"`held_out.steps_after` must leave the first checkpoint, step {first}; got {held.steps_after!r}"
        left_factors, left_tasks = set(self.mlp_factors) - set(held.mlp_factors), set(self.n_tasks) - set(held.n_tasks)
        if len(left_factors) * len(left_tasks) == 1 and self.n_seeds == 1:
            yield "`held_out` must leave two or more models, over which the fit has intervals; it leaves 1"

    @property
    def replicas(self) -> list[StrategyReplica]:
        """One replica for each MLP factor, D and seed, in this order."""
        return [
            StrategyReplica(n_tasks, factor, seed, combined_seed(self.init_seed, seed))
            for factor in self.mlp_factors
            for n_tasks in self.n_tasks
            for seed in range(self.seed, self.seed + self.n_seeds)
        ]
