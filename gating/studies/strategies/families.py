"""The three task families: how each is sampled, modelled and scored, and its two Bayesian predictors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gating.models.decoder import Decoder, ItemDecoder, RegressionDecoder, UrnDecoder
from gating.predictors.item_labels import ItemGeneralizer, ItemMemorizer
from gating.predictors.linear_regression import RegressionGeneralizer, RegressionMemorizer
from gating.predictors.urns import UrnGeneralizer, UrnMemorizer
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.sequences import Sequences
from gating.tasks.task_sampler import TaskSampler
from gating.tasks.urns import Urns
from gating.training.group import Loss, target_log_loss

__all__ = ["FAMILIES", "Family", "every_draw_log_loss", "squared_error"]

Predictor = Callable[[Sequences], Tensor]


def every_draw_log_loss(log_probabilities: Tensor, sequences: Sequences) -> Tensor:
    """Log loss of every draw in nats, mean over draws and batch: (R, B, T, m) -> (R,)."""
    return -log_probabilities.gather(-1, sequences.y.unsqueeze(-1)).flatten(1).mean(-1)


def squared_error(means: Tensor, sequences: Sequences) -> Tensor:
    """Squared error of every outcome, mean over pairs and batch: (R, B, T) -> (R,)."""
    return (means - sequences.y).square().flatten(1).mean(-1)


@dataclass(frozen=True)
class Family:
    """A task family.

    Args:
        sampler: draws its sequences.
        decoder: the Transformer that reads them.
        loss: what training minimises.
        memorizer: M of one replica of a sampler.
        generalizer: G of a sampler.
    """

    sampler: type[TaskSampler]
    decoder: Callable[..., Decoder]
    loss: Loss
    memorizer: Callable[[Any, int], Predictor]
    generalizer: Callable[[Any], Predictor]


def _regression_memorizer(sampler: LinearRegression, replica: int) -> Predictor:
    return RegressionMemorizer(sampler.table(replica), noise_variance=sampler.noise_variance)


def _item_memorizer(sampler: ItemLabels, replica: int) -> Predictor:
    return ItemMemorizer(*sampler.table(replica), within_variance=sampler.within_variance)


FAMILIES: dict[str, Family] = {
    "urns": Family(
        Urns,
        UrnDecoder,
        every_draw_log_loss,
        lambda sampler, replica: UrnMemorizer(sampler.table(replica)),
        lambda sampler: UrnGeneralizer(sampler.dim),
    ),
    "linear_regression": Family(
        LinearRegression,
        RegressionDecoder,
        squared_error,
        _regression_memorizer,
        lambda sampler: RegressionGeneralizer(sampler.dim, noise_variance=sampler.noise_variance),
    ),
    "item_labels": Family(
        ItemLabels,
        ItemDecoder,
        target_log_loss,
        _item_memorizer,
        lambda sampler: ItemGeneralizer(sampler.dim, within_variance=sampler.within_variance),
    ),
}
"""Task families by the name that a config gives."""
