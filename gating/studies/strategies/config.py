"""Settings of the strategies study."""

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from gating.results.columns import declare_from
from gating.studies.replicas import combined_seed
from gating.tasks.task_sampler import MAX_TASKS
from gating.training.schedule import TrainSettings
from theory.fields import ASCENDING, Count, Positive, Seed
from theory.settings import settings

__all__ = ["PARAMETERS", "DecoderShape", "HeldOut", "StrategiesConfig", "StrategyReplica"]

Diversity = Annotated[int, Field(ge=2, le=MAX_TASKS)]
TRAINING = TrainSettings(
    steps=100_000, batch_size=64, learning_rate=5e-4, checkpoints=100, warm_up=5000, max_grad_norm=1.0
)
PARAMETERS = ("alpha", "beta", "gamma", "kappa")

declare_from("gating.studies.strategies")


@settings
class DecoderShape:
    """Shape of the Transformer; its MLP factors are settings of the study.

    Args:
        depth: number of blocks, >= 1.
        heads: attention heads, >= 1.
        width: width of the stream, a multiple of 8 `heads`.
    """

    depth: Count = 1
    heads: Count = 1
    width: Count = 64

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.width % (8 * self.heads):
            yield f"`width` must be a multiple of 8 `heads`; got {self.width}"


class StrategyReplica(NamedTuple):
    """One trained model: its task diversity, its MLP factor and its seeds."""

    n_tasks: int
    mlp_factor: float
    seed: int
    init_seed: int


@settings
class HeldOut:
    """What the fit of the posterior does not see.

    Args:
        n_tasks: task diversities D left out.
        mlp_factors: MLP factors left out.
        steps_after: fraction of the training after which every checkpoint is left out, in (0, 1]; 1 leaves out none.
    """

    n_tasks: tuple[Diversity, ...] = ()
    mlp_factors: tuple[float, ...] = ()
    steps_after: Annotated[float, Field(gt=0, le=1)] = 1.0


@settings
class StrategiesConfig:
    """Settings of the study `strategies`.

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
        n_resamples: number of resamples of the fit for its intervals, >= 2.
        transformer: shape of the Transformer.
        training: how the Transformers are trained.
    """

    study: Literal["strategies"] = "strategies"
    task: Literal["urns", "linear_regression", "item_labels"] = "urns"
    dim: Annotated[int, Field(ge=2, le=2**16)] = 8
    length: Annotated[int, Field(ge=1, le=2**16)] = 128
    n_tasks: Annotated[tuple[Diversity, ...], Field(min_length=2), ASCENDING] = (4, 8, 16, 32, 64, 128, 256)
    mlp_factors: Annotated[tuple[Positive, ...], Field(min_length=1), ASCENDING] = (4.0,)
    n_seeds: Count = 1
    seed: Seed = 0
    init_seed: Seed = 0
    evaluation_seed: Seed = 0
    evaluation_sequences: Annotated[int, Field(ge=8, le=2**32)] = 256
    evaluation_rows: Annotated[int, Field(ge=8, le=2**20)] = 1024
    loss_sequences: Annotated[int, Field(ge=8, le=2**32)] = 10_000
    loss_groups: Count = 10
    described_within: Annotated[float, Field(gt=0, le=1)] = 0.1
    held_out: HeldOut = field(default_factory=HeldOut)
    n_resamples: Annotated[int, Field(ge=2, le=2**20)] = 200
    transformer: DecoderShape = field(default_factory=DecoderShape)
    training: TrainSettings = field(default_factory=lambda: TRAINING)

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        if self.length == 1 and self.task != "linear_regression":
            yield "`length` must be an integer in 2 .. 65536; got 1"
        if self.loss_groups > self.loss_sequences:
            yield f"`loss_groups` must be an integer in 1 .. {self.loss_sequences}; got {self.loss_groups}"
        yield from self._held_out_problems()
        for factor in self.mlp_factors:
            if not 1 <= factor * self.transformer.width <= 2**20:
                yield f"`mlp_factors` times the width {self.transformer.width} must be in 1 .. 2^20; got {factor!r}"

    def _held_out_problems(self) -> Iterator[str]:
        held = self.held_out
        for name in ("n_tasks", "mlp_factors"):
            given, left = getattr(self, name), getattr(held, name)
            if not set(left) <= set(given) or len(set(left)) == len(given):
                yield f"`held_out.{name}` must be some, not all, of `{name}` = {list(given)}; got {list(left)}"
        if (first := self.training.checkpoint_steps[0]) > held.steps_after * self.training.steps:
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
