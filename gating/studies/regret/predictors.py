"""g and h as they learn round by round: the probability that each gave to the label, before it saw it.

Neither looks at the gate, so both are computed once for every gate that is played on them.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gating.models.layers import generators
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.runs.executor import progress
from gating.studies.regret.config import RegretConfig
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from gating.training.descent import DescentSettings
from gating.training.optimizer import Descent

__all__ = ["Rounds", "earlier_equal", "grid_mixture", "loss_of", "play_predictors"]

CHUNK = 2**12  # rounds of every seed that are held as inputs at once


class Rounds(NamedTuple):
    """T rounds of S seeds; every field has shape (T, S), float64 or int64.

    Attributes:
        cell: the cell of each round.
        label: the label of the query.
        in_weight: probability that g gave to the label.
        in_context: for each loss, probability that h gave to the label, h being trained on that loss.
        grid: probability that each temperature gave to the label, shape (T, S, temperatures).
    """

    cell: Tensor
    label: Tensor
    in_weight: Tensor
    in_context: dict[str, Tensor]
    grid: Tensor


def loss_of(loss: str, probability: Tensor) -> Tensor:
    """Log loss in nats, or the probability of not naming the label (linear loss), of the label's probability.

    Example:
        >>> loss_of("linear_loss", torch.tensor(0.25)).item()
        0.75
    """
    return -probability.log() if loss == "log_loss" else 1 - probability


def play_predictors(config: RegretConfig) -> Rounds:
    """Draws T sequences for every seed and plays g and h on them."""
    with torch.no_grad():
        chunks = list(_chunks(config))
    seen, label, grid, perceptron = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    recognised = seen // 2
    cell = seen if config.cells == "query_and_context" else recognised
    in_weight = perceptron if config.in_weight == "mlp" else _tabular(config, recognised, label)
    in_context = {loss: grid_mixture(grid, loss, config.loss_range(loss)) for loss in config.losses}
    return Rounds(cell, label, in_weight, in_context, grid)


def earlier_equal(keys: Tensor) -> Tensor:
    """How often each entry of a column has occurred above it; shape (T, S) in and out.

    Example:
        >>> earlier_equal(torch.tensor([[3], [5], [3], [3]]))[:, 0].tolist()
        [0, 0, 1, 2]
    """
    order = keys.argsort(dim=0, stable=True)
    ordered = keys.gather(0, order)
    place = torch.arange(len(keys)).unsqueeze(1).expand_as(keys)
    first = torch.cat([torch.ones_like(keys[:1], dtype=torch.bool), ordered[1:] != ordered[:-1]])
    start = torch.where(first, place, 0).cummax(dim=0).values
    return torch.empty_like(keys).scatter_(0, order, place - start)


def grid_mixture(grid: Tensor, loss: str, loss_range: float) -> Tensor:
    r"""Probability of the label under temperatures mixed by exponential weights, rate :math:`\sqrt{8 \ln m / T} / B`.

    Args:
        grid: probability that each of m temperatures gave to the label, shape (T, S, m).
        loss: what the weights learn from.
        loss_range: B, largest difference of two losses in a round.

    Returns:
        Shape (T, S). Regret against the best temperature is at most :math:`B \sqrt{T \ln m / 2}`.
    """
    losses = loss_of(loss, grid)
    before = losses.cumsum(0) - losses
    rate = math.sqrt(8 * math.log(grid.shape[-1]) / len(grid)) / loss_range
    return ((-rate * before).softmax(-1) * grid).sum(-1)


def _chunks(config: RegretConfig) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """What g and h need of each round: 2 * recognised class + whether it is in the context, label, h, perceptron."""
    spec, seeds = config.distribution, list(range(config.seed, config.seed + config.n_seeds))
    sampler = ClassMixtureSampler([spec] * len(seeds), [config.n_rounds] * len(seeds), seeds, cover_classes=False)
    copies = [
        SoftmaxSimilarity(spec.n_classes, len(seeds), temperature=temperature, clip=config.clip)
        for temperature in config.temperatures
    ]
    perceptron = _OnlinePerceptron(config, seeds) if config.in_weight == "mlp" else None
    with progress(total=config.n_rounds, desc="playing g and h", unit="round") as bar:
        for start in range(0, config.n_rounds, CHUNK):
            index = torch.arange(start, min(start + CHUNK, config.n_rounds))
            rows = sampler.training_rows(index.expand(len(seeds), -1))
            nearest = torch.cdist(rows.x.flatten(1, 2), sampler.centres).argmin(-1).view_as(rows.y)
            query = nearest[..., -1]
            shown = (nearest[..., :-1] == query.unsqueeze(-1)).any(-1)
            target = rows.target.unsqueeze(-1)
            grid = torch.cat([h(rows).gather(-1, target) for h in copies], dim=-1).double().exp()
            online = perceptron.play(rows) if perceptron else torch.empty(len(seeds), len(index))
            yield (2 * query + shown).T, rows.target.T, grid.transpose(0, 1), online.T
            bar.update(len(index))


def _tabular(config: RegretConfig, recognised: Tensor, label: Tensor) -> Tensor:
    """Add-beta counts of each recognised class, from the rounds before."""
    labels = config.distribution.n_classes
    named = earlier_equal(recognised * labels + label).double()
    return (named + config.beta) / (earlier_equal(recognised).double() + config.beta * labels)


class _OnlinePerceptron:
    """Perceptrons of S seeds that take one step of the optimizer on the log loss of each round."""

    def __init__(self, config: RegretConfig, seeds: list[int]):
        mixed = [int(np.random.SeedSequence((config.init_seed, seed)).generate_state(1)[0]) for seed in seeds]
        spec = config.distribution
        self.model = InWeightMLP(spec.dim, spec.n_classes, hidden=config.hidden, rngs=generators(mixed))
        told = DescentSettings(config.n_rounds, learning_rate=config.learning_rate, optimizer=config.optimizer)
        self.descent = Descent(dict(self.model.named_parameters()), told, replicas=True, fused=False)
        self.clip, self.round = config.clip, 0

    @torch.enable_grad()
    def play(self, rows: Sequences) -> Tensor:
        """Probability of each label before the step on it, shape (S, B), at least ``clip``."""
        answered = []
        for t in range(rows.y.shape[1]):
            row = Sequences(*(part[:, t : t + 1] for part in rows))
            log_p = self.model(row).gather(-1, row.target.unsqueeze(-1)).flatten()
            (-log_p.sum()).backward()
            self.descent.step(self.round)
            self.round += 1
            answered.append(log_p.detach())
        return torch.stack(answered, dim=1).double().exp().clamp_min(self.clip)
