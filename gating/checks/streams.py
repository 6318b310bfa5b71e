"""Streams of losses that online gates are tried on: random ones, answers of an adversary, a recording of learners.

Everything is float64 and vectorised over streams; rounds come first, so `gating.gates.online.play` replays a stream.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gating.gates.online import OnlineGate
from theory.distribution import ClassMixture

__all__ = ["Recording", "answer_linear", "answer_log", "random_differences", "record"]


def random_differences(generator: np.random.Generator, n_rounds: int, n_streams: int) -> Tensor:
    """Losses of g minus losses of h that do not look at the gate, in [-1, 1].

    By quarters of the streams: uniform, coins of random bias, rare losses, leaders that switch.

    Args:
        generator: source of randomness.
        n_rounds: rounds, at least 2.
        n_streams: independent streams.

    Returns:
        (rounds, streams) differences.

    Example:
        >>> random_differences(np.random.default_rng(0), 10, 4).shape
        torch.Size([10, 4])
    """
    uniform = generator.uniform(-1, 1, (n_rounds, n_streams))
    coins = np.where(generator.random((n_rounds, n_streams)) < generator.random(n_streams), 1.0, -1.0)
    rare = uniform * (generator.random((n_rounds, n_streams)) < 0.05)
    phase = generator.integers(1, n_rounds, n_streams)
    switching = np.sign(np.sin(np.pi * np.arange(n_rounds)[:, None] / phase + 1e-9)) * np.abs(uniform)
    return torch.from_numpy(np.choose(np.arange(n_streams) % 4, [uniform, coins, rare, switching]))


def answer_linear(gate: OnlineGate, generator: np.random.Generator, n_rounds: int, *, size: float = 1.0) -> Tensor:
    """Differences in [-size, size] by an adversary that sees the weight before it answers; the gate learns as it plays.

    A third of the streams make the gate pay now, a third do so and then push one way to the end, a third choose the
    sign that raises the regret most. Half of all streams use full losses, half random ones.

    Args:
        gate: of shape (streams,), with a loss range of at least `size`.
        generator: source of the adversary's coins.
        n_rounds: rounds to play.
        size: a full loss.

    Returns:
        (rounds, streams) what the adversary answered.

    Example:
        >>> from gating.gates import AdaHedgeGate
        >>> gate = AdaHedgeGate((6,))
        >>> answer_linear(gate, np.random.default_rng(0), 50).abs().max().item()
        1.0
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
        share = torch.from_numpy(generator.random(n_streams)).where(torch.arange(n_streams) % 2 == 0, 1.0)
        difference = torch.where(kind == 2, greedy, push) * share
        gate.update(size * difference, 0.0)
        total += difference
        played.append(size * difference)
    return torch.stack(played)


def answer_log(gate: OnlineGate, generator: np.random.Generator, n_rounds: int) -> tuple[Tensor, Tensor]:
    """Log losses of g and h by an adversary that sees the weight before it answers; the gate learns as it plays.

    Outcomes that one predictor finds nearly certain and the other nearly impossible; by thirds of the streams against
    the heavier predictor, for it, or by a coin of random bias.

    Args:
        gate: of shape (streams,).
        generator: source of the adversary's coins.
        n_rounds: rounds to play.

    Returns:
        Two tensors (rounds, streams), the losses of g and of h in nats.

    Example:
        >>> from gating.gates import BayesMixtureGate
        >>> gate = BayesMixtureGate((6,))
        >>> g, h = answer_log(gate, np.random.default_rng(0), 50)
        >>> bool((gate.regret() <= gate.bound() + 1e-9).all()), g.shape
        (True, torch.Size([50, 6]))
    """
    (n_streams,) = gate.shape
    kind = torch.arange(n_streams) % 3
    bias = torch.from_numpy(generator.random(n_streams) ** 3)
    rare = torch.from_numpy(10.0 ** -generator.uniform(0.1, 12, n_streams))
    unlikely, likely = -rare.log(), -torch.log1p(-rare)
    losses = []
    for _ in range(n_rounds):
        alpha, coin = gate.alpha(), torch.from_numpy(generator.random(n_streams))
        against = torch.where(alpha == 0.5, coin < 0.5, alpha > 0.5)
        g_fails = torch.where(kind == 0, against, torch.where(kind == 1, ~against, coin < bias))
        pair = torch.where(g_fails, unlikely, likely), torch.where(g_fails, likely, unlikely)
        gate.update(*pair)
        losses.append(pair)
    return torch.stack([g for g, _ in losses]), torch.stack([h for _, h in losses])


@dataclass(frozen=True)
class Recording:
    """What two learners said of the labels of a class mixture, as they learned; all fields are (rounds, streams).

    Attributes:
        cells: int64 query class.
        p_in_weight: probability that g gave to the label.
        p_in_context: probability that h gave to the label.
    """

    cells: Tensor
    p_in_weight: Tensor
    p_in_context: Tensor


def record(spec: ClassMixture, generator: np.random.Generator, n_rounds: int, n_streams: int) -> Recording:
    """Laplace's rule per class (g) beside a copy of the label of a relevant context (h), on labels of the mixture.

    The context is relevant with probability ``spec.p_relevant``, else its label is any class; h trusts the label it
    sees with probability 0.9. Inputs are left out: classes are told apart without error.

    Args:
        spec: class frequencies, label noise and share of relevant contexts.
        generator: source of randomness.
        n_rounds: sequences per stream.
        n_streams: independent streams.

    Returns:
        The recording.

    Example:
        >>> stream = record(ClassMixture(), np.random.default_rng(0), 5, 3)
        >>> stream.p_in_weight[0].tolist()  # nothing learned yet: uniform over ten labels
        [0.1, 0.1, 0.1]
    """
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
