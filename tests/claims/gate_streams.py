"""Streams of losses that gate learners are tried on: random ones, answers of an adversary, and a replayed recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gating.gates import OnlineGate
from theory.distribution import ClassMixture

FloatArray = NDArray[np.float64]
Adversary = Callable[[Tensor, Tensor], Tensor]


def random_differences(generator: np.random.Generator, n_rounds: int, n_streams: int) -> Tensor:
    """(rounds, streams) ``d`` in [-1, 1]: uniform, biased coins, rare losses and switching leaders, by quarters."""
    uniform = generator.uniform(-1, 1, (n_rounds, n_streams))
    coins = np.where(generator.random((n_rounds, n_streams)) < generator.random(n_streams), 1.0, -1.0)
    rare = uniform * (generator.random((n_rounds, n_streams)) < 0.05)
    phase = generator.integers(1, n_rounds, n_streams)
    switching = np.sign(np.sin(np.pi * np.arange(n_rounds)[:, None] / phase + 1e-9)) * np.abs(uniform)
    quarter = np.arange(n_streams) % 4
    return torch.from_numpy(np.choose(quarter, [uniform, coins, rare, switching]))


def play(gate: OnlineGate, in_weight: Tensor, in_context: Tensor, cells: Tensor | None = None) -> Tensor:
    """Replay losses of shape (rounds, ...) and return the weights played, (rounds, ...)."""
    weights = []
    for t in range(len(in_weight)):
        here = None if cells is None else cells[t]
        weights.append(gate.alpha(here))
        gate.update(in_weight[t], in_context[t], here)
    return torch.stack(weights)


def answer_linear(gate: OnlineGate, generator: np.random.Generator, n_rounds: int) -> Tensor:
    """(rounds, streams) ``d`` in [-1, 1] by an adversary that sees the weight before it answers.

    A third of the streams make the gate pay now, a third do so and then push one way to the end, a third choose the
    sign that raises the regret most. Half of all streams use full losses, half random ones.
    """
    (n_streams,) = gate.shape
    kind, total = torch.arange(n_streams) % 3, torch.zeros(n_streams, dtype=torch.float64)
    turn = torch.from_numpy(generator.integers(0, n_rounds, n_streams))
    played = []
    for t in range(n_rounds):
        alpha, coin = gate.alpha(), torch.from_numpy(generator.choice([-1.0, 1.0], n_streams))
        pay_now = torch.where(alpha == 0.5, coin, torch.sign(alpha - 0.5))
        push = torch.where((t > turn) & (kind == 1), torch.where(turn % 2 == 0, 1.0, -1.0), pay_now)
        up, down = alpha - (total + 1).clamp(max=0), -alpha - (total - 1).clamp(max=0)
        greedy = torch.where(up == down, coin, torch.where(up > down, 1.0, -1.0))
        size = torch.from_numpy(generator.random(n_streams)).where(torch.arange(n_streams) % 2 == 0, 1.0)
        difference = torch.where(kind == 2, greedy, push) * size
        gate.update(difference, 0.0)
        total += difference
        played.append(difference)
    return torch.stack(played)


def answer_log(gate: OnlineGate, generator: np.random.Generator, n_rounds: int) -> tuple[Tensor, Tensor]:
    """(rounds, streams) log losses of g and h by an adversary that sees the weight before it answers.

    Outcomes that one predictor finds certain and the other nearly impossible, given against the heavier predictor, with
    it, or by a coin of random bias.
    """
    (n_streams,) = gate.shape
    kind = torch.arange(n_streams) % 3
    bias = torch.from_numpy(generator.random(n_streams) ** 3)
    rare = torch.from_numpy(10.0 ** -generator.uniform(0.1, 12, n_streams))
    losses = []
    for _ in range(n_rounds):
        alpha = gate.alpha()
        coin = torch.from_numpy(generator.random(n_streams))
        against = torch.where(alpha == 0.5, coin < 0.5, alpha > 0.5)
        g_fails = torch.where(kind == 0, against, torch.where(kind == 1, ~against, coin < bias))
        pair = (
            torch.where(g_fails, -rare.log(), -torch.log1p(-rare)),
            torch.where(g_fails, -torch.log1p(-rare), -rare.log()),
        )
        gate.update(*pair)
        losses.append(pair)
    return torch.stack([g for g, _ in losses]), torch.stack([h for _, h in losses])


@dataclass(frozen=True)
class Recording:
    """Probabilities that two learners gave to the labels of a class mixture, as they learned; (rounds, streams)."""

    cells: Tensor
    p_in_weight: Tensor
    p_in_context: Tensor


def record(spec: ClassMixture, generator: np.random.Generator, n_rounds: int, n_streams: int) -> Recording:
    """Laplace's rule per class beside a copy of the context's label, on labels of the mixture."""
    k = spec.n_classes
    query = generator.choice(k, (n_rounds, n_streams), p=spec.frequencies)
    labels, copied = (_labels(spec, generator, query) for _ in range(2))
    elsewhere = generator.integers(0, k, query.shape)
    copied = np.where(generator.random(query.shape) < spec.p_relevant, copied, elsewhere)
    counts, streams = np.zeros((n_streams, k, k)), np.arange(n_streams)
    p_in_weight = np.empty(query.shape)
    for t in range(n_rounds):
        seen = counts[streams, query[t]]
        p_in_weight[t] = (seen[streams, labels[t]] + 1) / (seen.sum(axis=1) + k)
        counts[streams, query[t], labels[t]] += 1
    p_in_context = 0.9 * (copied == labels) + 0.1 / k
    return Recording(*(torch.from_numpy(a) for a in (query, p_in_weight, p_in_context)))


def _labels(spec: ClassMixture, generator: np.random.Generator, query: NDArray[np.int64]) -> NDArray[np.int64]:
    cumulative = spec.label_matrix.cumsum(axis=1)[query]
    return (generator.random(query.shape)[..., None] > cumulative[..., :-1]).sum(axis=-1)


def best_mixture_loss(in_weight: Tensor, in_context: Tensor) -> FloatArray:
    """(streams,) smallest log loss of a fixed mixture, by bisection on the slope; losses are (rounds, streams)."""
    best = torch.minimum(in_weight, in_context)
    g, h = (best - in_weight).exp().numpy(), (best - in_context).exp().numpy()
    low, high = np.zeros(g.shape[1]), np.ones(g.shape[1])
    for _ in range(60):
        middle = (low + high) / 2
        rising = ((g - h) / (middle * g + (1 - middle) * h)).sum(axis=0) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    # The ends are mixtures too, and a bisection only approaches them.
    with np.errstate(divide="ignore"):
        losses = [-np.log(a * g + (1 - a) * h).sum(axis=0) for a in (low, np.zeros_like(low), np.ones_like(low))]
    return np.min(losses, axis=0) + best.sum(dim=0).numpy()


def sign_streams(n_rounds: int) -> Tensor:
    """(rounds, 2^rounds) every sequence of -1 and +1."""
    codes = np.arange(2**n_rounds)
    return torch.from_numpy(np.where(codes >> np.arange(n_rounds)[:, None] & 1, 1.0, -1.0))


def compositions(total: int, parts: int) -> Sequence[tuple[int, ...]]:
    """Every way to write ``total`` as ``parts`` counts in falling order."""
    if parts == 1:
        return [(total,)]
    return [
        (first, *rest)
        for first in range(total, -1, -1)
        for rest in compositions(total - first, parts - 1)
        if rest[0] <= first
    ]
