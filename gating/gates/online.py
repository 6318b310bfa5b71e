"""The protocol of online gates: play a weight, see both losses, learn; one independent learner per stream and cell.

A gate of shape ``(streams, cells)`` is that many learners side by side. Every round it plays
``alpha = gate.alpha(cells)`` and is told the losses of the in-weight and the in-context predictor by
``gate.update(loss_in_weight, loss_in_context, cells)``; only the cells visited learn. State is float64 and lives in
buffers, so a gate moves with ``.to(device)`` and is saved by ``state_dict``.

Two kinds of gate differ in the loss they suffer. A :class:`LinearLossGate` pays ``alpha l(g) + (1 - alpha) l(h)``,
which for convex losses is at least what the mixed prediction pays. A :class:`LogLossGate` is told negative
log-probabilities and pays ``-ln(alpha g + (1 - alpha) h)``, the log loss of the mixed prediction itself.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gating.gates.registry import declare_gate
from theory.fields import shown
from theory.validation import LARGEST_TABLE, require_integers, require_positive, require_scalar, require_sizes

__all__ = ["Index", "Learners", "LinearLossGate", "LogLossGate", "OnlineGate", "Tuning", "add_at", "play"]

# The learners that a round visits: all of them, or one per stream.
Index = slice | Tensor


def add_at(state: Tensor, index: Index, value: Tensor | float) -> None:
    """Add to the visited learners' state in place (no learner is visited twice in a round).

    Example:
        >>> state = torch.zeros(3)
        >>> add_at(state, torch.tensor([2]), torch.tensor([1.5]))
        >>> state.tolist()
        [0.0, 0.0, 1.5]
    """
    if isinstance(index, slice):
        state.add_(value)
    else:
        state[index] += value


class Tuning(NamedTuple):
    """What is known of the rounds before a gate plays them.

    Attributes:
        loss_range: B, largest difference of the two losses in a round; infinite where it is not known.
        horizon: rounds that a learner is expected to play; None where it is not known.
        rounds: most rounds that a learner can play, an integer.
    """

    loss_range: float
    horizon: float | None
    rounds: int


class Learners(nn.Module):
    """Independent online learners side by side, one per stream and cell: their number, rounds and loss.

    Args:
        shape: leading shape of streams and, last, the number of cells; integers >= 1. ``(cells,)`` is one stream.
    """

    rounds: Tensor
    loss: Tensor
    offsets: Tensor

    def __init__(self, shape: Sequence[int]):
        super().__init__()
        self.shape = torch.Size(require_integers("shape", shape, least=1, most=LARGEST_TABLE))
        require_sizes(shape=math.prod(self.shape))
        self._state("rounds", "loss")
        self.register_buffer("offsets", torch.arange(0, self.shape.numel(), self.shape[-1]))

    def _state(self, *names: str, fill: float = 0.0, width: tuple[int, ...] = ()) -> None:
        """Register one float64 number, or a row of them, for every learner under each name."""
        for name in names:
            self.register_buffer(name, torch.full((self.shape.numel(), *width), fill, dtype=torch.float64))

    def _parameter(self, name: str, value: NDArray[np.float64] | None) -> None:
        """Register a number, or a table that broadcasts to the gate's shape, as one number for every learner."""
        try:
            spread = None if value is None else np.broadcast_to(value, self.shape).astype(np.float64).reshape(-1)
        except ValueError as mismatch:
            raise ValueError(f"`{name}` must broadcast to shape {tuple(self.shape)}; got {value!r}") from mismatch
        self.register_buffer(name, None if spread is None else torch.from_numpy(spread))

    def _table(self, value: NDArray[np.float64]) -> Tensor:
        """One number for every learner, computed in numpy, as a tensor of the gate's shape on its device."""
        return torch.from_numpy(value).to(self.rounds).reshape(self.shape)

    def _index(self, cells: Tensor | None) -> tuple[Index, torch.Size]:
        if cells is None:
            return slice(None), self.shape
        visited = self.shape[:-1]
        if not isinstance(cells, Tensor) or cells.dtype != torch.int64 or cells.shape != visited:
            raise ValueError(f"`cells` must be an int64 tensor of shape {tuple(visited)}; got {shown(cells)}")
        flat = cells.reshape(-1).to(self.offsets.device)
        if ((flat < 0) | (flat >= self.shape[-1])).any():
            raise ValueError(f"`cells` must be in 0 .. {self.shape[-1] - 1}; got {cells!r}")
        return self.offsets + flat, visited


class OnlineGate(Learners, ABC):
    """Independent online learners of the weight of the in-weight predictor.

    A gate of one's own is a subclass of :class:`LinearLossGate` or :class:`LogLossGate` that says what it plays, how it
    learns and what bounds its regret; :func:`gating.checks.check_gate` looks whether it keeps the contract. Named, as
    ``class MyGate(LinearLossGate, key="my_gate")``, it can be played by name, as `tuned` for the rounds.

    Args:
        shape: leading shape of streams and, last, the number of cells; integers >= 1. ``(cells,)`` is one stream.

    Attributes:
        rounds: (n,) rounds each learner has played; n is the product of ``shape``.
        loss: (n,) what each learner has suffered; ``loss_in_weight`` and ``loss_in_context`` what g and h have.
    """

    loss_in_weight: Tensor
    loss_in_context: Tensor

    def __init__(self, shape: Sequence[int]):
        super().__init__(shape)
        self._state("loss_in_weight", "loss_in_context")

    def __init_subclass__(cls, *, key: str = "", **others: Any):
        super().__init_subclass__(**others)
        if key:
            declare_gate(key, cls)

    @classmethod
    def tuned(cls, shape: Sequence[int], tuning: Tuning) -> Self:
        """A gate of this shape that makes the best of what is known of the rounds; as it is by default here."""
        return cls(shape)

    @abstractmethod
    def _alpha(self, index: Index) -> Tensor:
        """Weights of the learners at ``index``, one axis."""

    @abstractmethod
    def _suffer(self, index: Index, in_weight: Tensor, in_context: Tensor) -> Tensor:
        """Loss of this round of the learners at ``index``, which then learn from it."""

    @abstractmethod
    def bound(self) -> Tensor:
        """Upper bound on :meth:`regret` after the rounds played, in the gate's shape; see the class."""

    @torch.no_grad()
    def alpha(self, cells: Tensor | None = None) -> Tensor:
        """Weight of the in-weight predictor, in [0, 1].

        Args:
            cells: int64 tensor of shape ``shape[:-1]``, the cell that each stream is in, or None for all cells.

        Returns:
            float64 tensor of shape ``shape[:-1]``, or ``shape`` when ``cells`` is None.

        Raises:
            ValueError: ``cells`` of another shape or type, or outside 0 .. shape[-1] - 1.
        """
        index, visited = self._index(cells)
        return self._alpha(index).reshape(visited)

    @torch.no_grad()
    def update(
        self, loss_in_weight: Tensor | float, loss_in_context: Tensor | float, cells: Tensor | None = None
    ) -> Tensor:
        """Suffer one round in the visited cells, and learn from it.

        Args:
            loss_in_weight: loss of g in this round, broadcastable to the shape that :meth:`alpha` returns.
            loss_in_context: loss of h, likewise.
            cells: as in :meth:`alpha`.

        Returns:
            Loss that the gate suffered in this round, in the shape that :meth:`alpha` returns.

        Raises:
            ValueError: losses that are not finite, too far apart, or of the wrong shape (see the class).
        """
        index, visited = self._index(cells)
        in_weight = self._losses("loss_in_weight", loss_in_weight, visited)
        in_context = self._losses("loss_in_context", loss_in_context, visited)
        suffered = self._suffer(index, in_weight, in_context)
        add_at(self.rounds, index, 1.0)
        add_at(self.loss, index, suffered)
        add_at(self.loss_in_weight, index, in_weight)
        add_at(self.loss_in_context, index, in_context)
        return suffered.reshape(visited)

    @torch.no_grad()
    def regret(self) -> Tensor:
        """Loss so far minus that of the better of the two predictors in hindsight, in the gate's shape."""
        return (self.loss - torch.minimum(self.loss_in_weight, self.loss_in_context)).reshape(self.shape)

    def _losses(self, name: str, value: Tensor | float, visited: torch.Size) -> Tensor:
        try:
            losses = torch.as_tensor(value, dtype=torch.float64, device=self.rounds.device)
            return losses.expand(visited).reshape(-1)
        except Exception as mismatch:  # torch has many
            wanted = f"numbers that broadcast to {tuple(visited)}"
            raise ValueError(f"`{name}` must be {wanted}; got {shown(value)}") from mismatch


class LinearLossGate(OnlineGate):
    """A gate that suffers ``alpha l(g) + (1 - alpha) l(h)`` and learns from ``d = l(g) - l(h)``.

    Args:
        shape: see :class:`OnlineGate`.
        loss_range: B, largest ``|d|`` that :meth:`update` accepts; infinite for learners that need no range.
    """

    def __init__(self, shape: Sequence[int], loss_range: float = math.inf):
        super().__init__(shape)
        bounded = not isinstance(loss_range, float) or loss_range != math.inf
        self.loss_range = (
            require_scalar("loss_range", require_positive("loss_range", loss_range)) if bounded else math.inf
        )

    @abstractmethod
    def _learn(self, index: Index, alpha: Tensor, difference: Tensor) -> None:
        """Take in ``d`` of a round that was played with ``alpha``."""

    def _suffer(self, index: Index, in_weight: Tensor, in_context: Tensor) -> Tensor:
        difference = in_weight - in_context
        largest = difference.abs().max().item()
        if not (largest <= self.loss_range and math.isfinite(largest)):  # NaN fails too
            raise ValueError(
                f"`loss_in_weight` and `loss_in_context` must be finite and differ by at most {self.loss_range};"
                f" got differences up to {largest}"
            )
        alpha = self._alpha(index)
        suffered = in_context + alpha * difference
        self._learn(index, alpha, difference)
        return suffered


class LogLossGate(OnlineGate):
    """A gate that is told ``-ln g(y)`` and ``-ln h(y)`` and suffers ``-ln(alpha g(y) + (1 - alpha) h(y))``.

    Either loss may be infinite (a predictor that excludes the outcome), but not so that the mixture excludes it too.
    """

    @abstractmethod
    def _log_weights(self, index: Index) -> tuple[Tensor, Tensor]:
        """``ln alpha`` and ``ln(1 - alpha)`` of the learners at ``index``."""

    @abstractmethod
    def _learn(self, index: Index, in_weight: Tensor, in_context: Tensor) -> None:
        """Take in the losses of a round."""

    def _alpha(self, index: Index) -> Tensor:
        return self._log_weights(index)[0].exp()

    def _suffer(self, index: Index, in_weight: Tensor, in_context: Tensor) -> Tensor:
        log_alpha, log_rest = self._log_weights(index)
        suffered = -torch.logaddexp(log_alpha - in_weight, log_rest - in_context)
        if not math.isfinite(suffered.abs().max().item()):
            raise ValueError(
                "`loss_in_weight` and `loss_in_context` must be negative log-probabilities that leave the mixture"
                " a positive probability; got NaN, minus infinity, or an outcome that no trusted predictor allows"
            )
        self._learn(index, in_weight, in_context)
        return suffered


def play(gate: OnlineGate, loss_in_weight: Tensor, loss_in_context: Tensor, cells: Tensor | None = None) -> Tensor:
    """Replay losses to a gate.

    Args:
        gate: learns as it plays.
        loss_in_weight: (rounds, ...) losses of g, each round in the shape that ``gate.alpha`` returns.
        loss_in_context: (rounds, ...) losses of h.
        cells: (rounds, ...) int64 cell of each stream, or None when every cell plays every round.

    Returns:
        (rounds, ...) weights played.

    Raises:
        ValueError: losses or cells that the gate does not accept.

    Example:
        >>> from gating.gates import BayesMixtureGate
        >>> weights = play(BayesMixtureGate((1,)), torch.zeros(2, 1), torch.full((2, 1), 3.0).log())
        >>> weights[:, 0].round(decimals=4).tolist()
        [0.5, 0.75]
    """
    weights = []
    for t in range(len(loss_in_weight)):
        here = None if cells is None else cells[t]
        weights.append(gate.alpha(here))
        gate.update(loss_in_weight[t], loss_in_context[t], here)
    return torch.stack(weights)
