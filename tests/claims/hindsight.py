"""Comparators in hindsight and exhaustive streams, for the claims about regret."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gating.gates import OnlineGate

FloatArray = NDArray[np.float64]

N_STREAMS, N_ROUNDS = 1000, 200
ROUNDING = 1e-9  # absolute slack for sums of some hundred float64 terms


def never_above_bound(gate: OnlineGate, regret: torch.Tensor) -> None:
    excess = (regret - gate.bound()).max().item()
    assert excess <= ROUNDING, f"regret above its bound by {excess}"


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
