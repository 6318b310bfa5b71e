"""The three task families: how each is sampled, modelled and scored, and its two Bayesian predictors."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gating.gates.posterior import context_evidence
from gating.models.decoder import Decoder, ItemDecoder, RegressionDecoder, UrnDecoder
from gating.predictors.item_labels import ItemGeneralizer, ItemMemorizer
from gating.predictors.linear_regression import RegressionGeneralizer, RegressionMemorizer
from gating.predictors.predictor import Predictor
from gating.predictors.urns import UrnGeneralizer, UrnMemorizer
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.sequences import Sequences
from gating.tasks.urns import Urns
from gating.training.group import Loss, target_log_loss

__all__ = ["FAMILIES", "Family", "every_draw_log_loss", "squared_error"]


def every_draw_log_loss(log_probabilities: Tensor, sequences: Sequences) -> Tensor:
    """Log loss of every draw in nats, mean over draws and batch: (R, B, T, m) -> (R,)."""
    return -log_probabilities.gather(-1, sequences.y.unsqueeze(-1)).flatten(1).mean(-1)


def squared_error(means: Tensor, sequences: Sequences) -> Tensor:
    """Squared error of every outcome, mean over pairs and batch: (R, B, T) -> (R,)."""
    return (means - sequences.y).square().flatten(1).mean(-1)


@dataclass(frozen=True)
class Family:
    """A task family; predictors, losses and evidence are of one replica, on sequences of leading shape (B,).

    Args:
        sampler: draws its sequences.
        decoder: the Transformer that reads them.
        objective: what training minimises.
        remember: M, from a sampler and the tables that M stores.
        generalizer: G of a sampler.
        distance: how answers are compared: ``kl`` of log-probabilities, or ``squared`` error of numbers.
        losses: nats of every answer, (B, T): log loss, for numbers that of N(answer, noise variance) without the part
            that all answers share.
        evidence: nats for M over G that each answer's context holds, (B, T), from M, G and the sequences.
        kinds: arguments of the sampler's `fresh` for each kind of test sequences.
    """

    sampler: Callable[..., Any]
    decoder: Callable[..., Decoder]
    objective: Loss
    remember: Callable[..., Predictor]
    generalizer: Callable[[Any], Predictor]
    distance: str
    losses: Callable[[Any, Tensor, Sequences], Tensor]
    evidence: Callable[[Any, Predictor, Predictor, Sequences], Tensor]
    kinds: dict[str, dict[str, bool]] = field(default_factory=lambda: {"ibd": {}, "oobd": {"unseen": True}})

    def memorizer(self, sampler: Any, replica: int) -> tuple[Predictor, tuple[Tensor, ...]]:
        """M of a replica of a sampler, and the tables that it stores."""
        stored = sampler.table(replica)
        tables = stored if isinstance(stored, tuple) else (stored,)
        return self.remember(sampler, *tables), tables


def _log_losses(sampler: Any, log_probabilities: Tensor, sequences: Sequences) -> Tensor:
    """Log loss of every answer: all draws, or the query's label alone, (B, T, m) or (B, 2) -> (B, T) or (B, 1)."""
    if log_probabilities.dim() == 2:
        return -log_probabilities.gather(-1, sequences.target.unsqueeze(-1))
    return -log_probabilities.gather(-1, sequences.y.unsqueeze(-1)).squeeze(-1)


def _gaussian_losses(sampler: LinearRegression, means: Tensor, sequences: Sequences) -> Tensor:
    return (means.double() - sequences.y).square() / (2 * sampler.noise_variance)


def _told_apart(losses: Callable[[Any, Tensor, Sequences], Tensor]) -> Callable[..., Tensor]:
    """Evidence from answers that were asked for, and have been shown since, earlier in the sequence."""

    def evidence(sampler: Any, m: Predictor, g: Predictor, sequences: Sequences) -> Tensor:
        return context_evidence(losses(sampler, m(sequences), sequences), losses(sampler, g(sequences), sequences))

    return evidence


def _items_told_apart(sampler: ItemLabels, m: Predictor, g: Predictor, sequences: Sequences) -> Tensor:
    """Evidence of the context's labels: M knows those of its items, to G the label of a new item is a fair coin."""
    x, y, classes = (part[:, :-1].flatten(0, 1).unsqueeze(1) for part in sequences)
    asked = _log_losses(sampler, m(Sequences(x, y, classes)), Sequences(x, y, classes))
    return (math.log(2) - asked).unflatten(0, (len(sequences.x), -1)).sum(1)


FAMILIES: dict[str, Family] = {
    "urns": Family(
        sampler=Urns,
        decoder=UrnDecoder,
        objective=every_draw_log_loss,
        remember=lambda sampler, urns: UrnMemorizer(urns),
        generalizer=lambda sampler: UrnGeneralizer(sampler.dim),
        distance="kl",
        losses=_log_losses,
        evidence=_told_apart(_log_losses),
    ),
    "linear_regression": Family(
        sampler=LinearRegression,
        decoder=RegressionDecoder,
        objective=squared_error,
        remember=lambda sampler, weights: RegressionMemorizer(weights, noise_variance=sampler.noise_variance),
        generalizer=lambda sampler: RegressionGeneralizer(sampler.dim, noise_variance=sampler.noise_variance),
        distance="squared",
        losses=_gaussian_losses,
        evidence=_told_apart(_gaussian_losses),
    ),
    "item_labels": Family(
        sampler=ItemLabels,
        decoder=ItemDecoder,
        objective=target_log_loss,
        remember=lambda sampler, *tables: ItemMemorizer(*tables, within_variance=sampler.within_variance),
        generalizer=lambda sampler: ItemGeneralizer(sampler.dim, within_variance=sampler.within_variance),
        distance="kl",
        losses=_log_losses,
        evidence=_items_told_apart,
        kinds={"ibd": {}, "oobd": {"unseen": True}, "absent": {"absent": True}},
    ),
}
"""Task families by the name that a config gives."""
