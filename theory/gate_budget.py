r"""The best gate under a budget of memory: one price for all classes, found by bisection.

A class uses the largest of its weights. At a price :math:`\lambda` per unit each class has a problem of its own,

.. math:: \min_u \lambda u + \sum_k \min_{a \le u} f_k(a)

over its gates k, and its use falls as the price rises; the right price is that at which the budget is just used.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.gate_tables import GateTables, least, sums
from theory.validation import Floats

__all__ = ["Balanced", "balanced", "budget_gate", "budget_saving"]

Integers = NDArray[np.int64]
MOST_PRICES = 4000


def budget_gate(tables: GateTables, query: Integers, memory: float) -> tuple[Floats, dict[str, Floats]]:
    """Variables of :func:`theory.gate_polytope.gate_polytope` with this budget alone, and the price of each inequality.

    Weights are infinite in loss only where the budget leaves no other gate.

    Args:
        tables: the gates.
        query: (gates,) class of each gate, 0 .. Q - 1, each of them met.
        memory: the budget m >= 0.

    Example:
        >>> tables = GateTables(np.array([[0.8], [0.2]]), np.full((2, 1), 0.9), np.full((2, 1), 0.5), "linear_loss")
        >>> z, prices = budget_gate(tables, np.array([0, 1]), 1.5)
        >>> z.tolist(), prices["memory"].round(3).tolist()
        ([1.0, 0.5], [0.08])
    """
    n_classes = int(query.max()) + 1
    free = least(tables, np.arange(len(tables)), len(tables))
    wanted = np.zeros(n_classes)
    np.maximum.at(wanted, query, free)
    if wanted.sum() <= memory:
        return _priced(tables, query, free, wanted, 0.0)
    if tables.loss == "linear_loss":
        used, price = _knapsack(sums(query, -np.minimum(tables.slopes(free).first, 0.0), n_classes), memory)
    else:
        used, price = _balanced(tables, query, n_classes, memory)
    return _priced(tables, query, np.minimum(free, used[query]), used, price)


class Balanced(NamedTuple):
    """What uses a budget exactly, what is best at the nearer of two prices about the right one, and that price."""

    mixed: Floats
    near: Floats
    price: float


def balanced(
    respond: Callable[[float], Floats], use: Callable[[Floats], Any], budget: float, start: float, within: float = 1e-13
) -> Balanced:
    """The price at which the best response uses the budget, which it does not at the price of 0.

    Args:
        respond: best response to a price, whose use falls as the price rises.
        use: what a response uses, linear.
        budget: what may be used; at some price less is.
        start: first price > 0 to try.
        within: what the use of a response may miss the budget by, as part of it; mixing two responses mends it.

    Example:
        >>> balanced(lambda price: np.exp([-price]), np.sum, 0.5, 1.0).price.__round__(9)
        0.693147181
    """
    low, high, at_low, at_high = 0.0, start, respond(0.0), respond(start)
    while use(at_high) > budget:
        low, at_low, high = high, at_high, 2 * high
        at_high = respond(high)
    for turn in range(MOST_PRICES):
        over, under = float(use(at_low)) - budget, budget - float(use(at_high))
        # two steps in three along the chord of the logarithms of the prices, the third a halving
        middle = low * (high / low) ** (over / (over + under)) if low > 0 and turn % 3 < 2 else (low + high) / 2
        if not low < middle < high:
            middle = (low + high) / 2
        if min(over, under) <= within * budget or not low < middle < high:
            break
        at_middle = respond(middle)
        if use(at_middle) > budget:
            low, at_low = middle, at_middle
        else:
            high, at_high = middle, at_middle
    share = under / (over + under)
    near, price = (at_low, low) if over < under else (at_high, high)
    return Balanced(share * at_low + (1 - share) * at_high, near, price)


def budget_saving(saving: Floats, query: Integers, memory: float) -> float:
    """Most that classes can save in all where each gate saves so much per unit of its weight, negative where it costs.

    Example:
        >>> budget_saving(np.array([3.0, -1.0, 2.0]), np.array([0, 0, 1]), 1.5)
        4.0
    """
    each = sums(query, np.maximum(saving, 0.0), int(query.max()) + 1)
    return float(_knapsack(each, memory)[0] @ each)


def _knapsack(saving: Floats, memory: float) -> tuple[Floats, float]:
    """Whole classes in order of what they save, a part of the next one, and what a unit more of memory would save."""
    order = np.argsort(-saving, kind="stable")
    used = np.zeros(len(saving))
    used[order] = np.clip(memory - np.arange(len(saving)), 0.0, 1.0)
    used[saving <= 0] = 0.0
    return used, float(saving[order[int(memory)]]) if memory < len(saving) else 0.0


def _balanced(tables: GateTables, query: Integers, n_classes: int, memory: float) -> tuple[Floats, float]:
    """Use of each class and the price under log loss, where the budget binds."""

    def use(price: float) -> Floats:
        return least(tables, query, n_classes, price, falling_only=True)

    if memory == 0:
        steepest = np.bincount(query, -np.minimum(tables.slopes(np.zeros(len(tables))).first, 0.0), n_classes).max()
        return np.zeros(n_classes), float(steepest)
    found = balanced(use, np.sum, memory, 1.0 / n_classes)
    at_limit = ((found.near == 0) | (found.near == 1)) & (np.abs(found.mixed - found.near) < 1e-12)
    return np.where(at_limit, found.near, found.mixed), found.price


def _priced(
    tables: GateTables, query: Integers, alpha: Floats, used: Floats, price: float
) -> tuple[Floats, dict[str, Floats]]:
    """The prices that make the weights stationary: of a gate that its class holds back, what it would save."""
    slope = tables.slopes(alpha).first
    several = len(used) < len(alpha)
    share = np.full(len(alpha), price)
    if several:
        held = np.where(alpha == used[query], np.maximum(-slope, 0.0), 0.0)
        total = np.bincount(query, held)[query]
        spread = (price - total) / np.bincount(query)[query]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where((used[query] == 0) & (spread > 0), held + spread, held * (price / total))
        share = np.where((total > 0) | (used[query] == 0), share, 0.0)
    with np.errstate(invalid="ignore"):
        rest = slope + share
    prices = {
        "lower": np.where(alpha == 0, np.maximum(rest, 0.0), 0.0),
        "upper": np.where(alpha == 1, np.maximum(-rest, 0.0), 0.0),
        "memory": np.array([price]),
    }
    if not several:
        return alpha, prices
    return np.concatenate([alpha, used]), {**prices, "memory_share": share}
