"""Problems in one weight each: the loss of every gate in its own weight, and the least of a sum of them.

A gate is a weight that serves one cell, or all cells of a query class where the gate sees the query alone. All gates
are worked on side by side, and so are the blocks of gates that a constraint makes equal.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from theory.gate_cells import GateCells
from theory.validation import Floats

__all__ = ["GateTables", "Slopes", "least", "sums"]

Integers = NDArray[np.int64]

MOST_STEPS = 2000
"""Halvings from 1 down to the smallest float, and as many Newton steps."""


class Slopes(NamedTuple):
    """First and second derivative of each gate's loss in its weight."""

    first: Floats
    second: Floats


@dataclass(frozen=True, eq=False)
class GateTables:
    """What every gate weighs: rows of outcomes, of all cells that the gate serves, padded with probability 0.

    Attributes:
        p: (gates, outcomes) joint probability of cell and outcome.
        g: (gates, outcomes) probability that the in-weight predictor gives to the outcome.
        h: (gates, outcomes) the same for the in-context predictor.
        loss: ``log_loss`` or ``linear_loss``.
    """

    p: Floats
    g: Floats
    h: Floats
    loss: str

    @classmethod
    def of(cls, cells: GateCells, gate_of: Integers, loss: str) -> Self:
        """Tables of the gates that serve the cells.

        Example:
            >>> cells = GateCells([[0.5], [0.5]], [[0.9], [0.1]], [[0.6], [0.6]], query=[0, 0], context=[0, 1])
            >>> GateTables.of(cells, np.array([0, 0]), "log_loss").p.tolist()
            [[0.5, 0.5]]
        """
        p, g, h = (cells._arrays[name] for name in ("probability", "p_in_weight", "p_in_context"))
        order = np.argsort(gate_of, kind="stable")
        first = np.searchsorted(gate_of[order], np.arange(gate_of.max() + 1))
        place = np.arange(len(order)) - first[gate_of[order]]
        made = []
        for table in (p, g, h):
            wide = np.zeros((len(first), place.max() + 1, p.shape[1]))
            wide[gate_of[order], place] = table[order]
            made.append(wide.reshape(len(first), -1))
        return cls(made[0], made[1], made[2], loss)

    def __len__(self) -> int:
        return len(self.p)

    def __getitem__(self, index: Integers | NDArray[np.bool_]) -> "GateTables":
        return GateTables(self.p[index], self.g[index], self.h[index], self.loss)

    def slopes(self, alpha: Floats) -> Slopes:
        """Derivatives at the weights (gates,); infinite where the mixture excludes an outcome.

        Example:
            >>> GateTables(np.array([[1.0]]), np.array([[0.9]]), np.array([[0.5]]), "log_loss").slopes(np.array([0.0]))
            Slopes(first=array([-0.8]), second=array([0.64]))
        """
        if self.loss == "linear_loss":
            return Slopes(-(self.p * (self.g - self.h)).sum(axis=1), np.zeros(len(self)))
        gap = np.where(self.p > 0, self.g - self.h, 0.0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = gap / (self.h * (1 - alpha[:, None]) + self.g * alpha[:, None])
            ratio[gap == 0] = 0.0
            pull = self.p * ratio
            return Slopes(-pull.sum(axis=1), np.einsum("ij,ij->i", pull, ratio))


def sums(label: Integers, values: Floats, n_labels: int) -> Floats:
    """Sum of the values of each label 0 .. n_labels - 1.

    Example:
        >>> sums(np.array([0, 1, 0]), np.array([1.0, 2.0, 3.0]), 2).tolist()
        [4.0, 2.0]
    """
    return np.bincount(label, values, n_labels).astype(np.float64, copy=False)


def least(
    tables: GateTables, block: Integers, n_blocks: int, price: float = 0.0, *, falling_only: bool = False
) -> Floats:
    r"""Weight in [0, 1] of each block of gates at which the sum of their losses and ``price`` times it is least.

    With ``falling_only`` a gate may have a smaller weight than its block where it likes that better, so that only the
    gates count whose loss still falls. Newton steps inside a bracket of the slope's sign, until no float lies between
    its ends or the slope is that of rounding; of several such weights (linear loss) the smallest.

    Args:
        tables: the gates.
        block: (gates,) block of each gate, 0 .. n_blocks - 1.
        n_blocks: number of blocks.
        price: what a unit of each block's weight costs, >= 0.
        falling_only: see above.

    Returns:
        (blocks,) weights.

    Example:
        >>> p = np.array([[0.4, 0.1], [0.3, 0.2]])
        >>> tables = GateTables(p, np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([[0.5, 0.5], [0.9, 0.1]]), "log_loss")
        >>> least(tables, np.array([0, 1]), 2).round(6)
        array([0.75, 0.75])
    """

    def total(alpha: Floats) -> Slopes:
        first, second = held.slopes(alpha[at])
        if falling_only:
            second, first = np.where(first < 0, second, 0.0), np.minimum(first, 0.0)
        return Slopes(sums(at, first, len(alpha)) + price, sums(at, second, len(alpha)))

    held, at = tables, block
    low, high, found = np.zeros(n_blocks), np.ones(n_blocks), np.zeros(n_blocks)
    rises, falls = total(low).first >= 0, total(high).first <= 0
    found[falls & ~rises] = 1.0
    names, alpha = np.arange(n_blocks), np.full(n_blocks, 0.5)
    stay = ~rises & ~falls
    for _ in range(MOST_STEPS):
        if not stay.all():
            number = np.cumsum(stay) - 1
            kept = stay[at]
            held, at = held[kept], number[at[kept]]
            low, high, names, alpha = low[stay], high[stay], names[stay], alpha[stay]
        if not len(names):
            return found
        first, second = total(alpha)
        low, high = np.where(first < 0, alpha, low), np.where(first < 0, high, alpha)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = alpha - first / second
        middle = (low + high) / 2
        inside = (step > low) & (step < high)
        found[names] = alpha
        close = np.abs(step - alpha) <= 4e-16 * alpha
        stay = (first != 0) & ~close & (middle > low) & (middle < high)
        alpha = np.where(inside, step, middle)
    raise ArithmeticError(f"the weights of {len(names)} of {n_blocks} gates were not found")
