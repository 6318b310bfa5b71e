r"""The best monotone gate: isotonic regression by splits, for any convex losses and with ties.

Gates of one kind of context stand in the order of their class frequency, and gates of one level of frequency in that of
the weights they would take alone: between the thresholds of its level each gate takes the nearest weight to its own
favourite, so that this order holds in some optimum anyway. The chain is then split into blocks of equal weights from
above, in a number of rounds that does not grow with it; pooling neighbours that disagree, from below, can take as many
rounds as there are gates.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.gate_polytope import Levels
from theory.gate_tables import GateTables, least
from theory.validation import Floats

__all__ = ["monotone_gate", "monotone_saving"]

Integers = NDArray[np.int64]

MIDDLES = 48
ROUNDING = 1e-11
"""Gain of a split, as part of the largest slope of the segment, that is none."""


def monotone_gate(tables: GateTables, levels: Levels) -> tuple[Floats, dict[str, Floats]]:
    """Variables of :func:`theory.gate_polytope.gate_polytope` for a monotone gate, and the price of each inequality.

    Example:
        >>> from theory.gate_polytope import frequency_levels
        >>> tables = GateTables(np.array([[0.4], [0.6]]), np.array([[0.9], [0.4]]), np.full((2, 1), 0.5), "linear_loss")
        >>> levels = frequency_levels(np.arange(2), np.zeros(2, dtype=int), np.array([0.4, 0.6]))
        >>> monotone_gate(tables, levels)[0].tolist()  # the rarer class would save 0.16, the other lose 0.06
        [1.0, 1.0, 1.0]
    """
    alone = least(tables, np.arange(len(tables)), len(tables))
    order = np.lexsort((alone, levels.level))
    kind = levels.kind[levels.level[order]]
    value, block = _pooled(tables[order], *_split(tables[order], alone[order], kind), kind)
    chain = value[block]
    slope = tables[order].slopes(chain).first
    flow, low, high = np.zeros(len(chain)), np.zeros(len(chain)), np.zeros(len(chain))
    for start, end in _runs(kind):
        here = slice(start, end)
        flow[here], low[here], high[here] = _flow(slope[here], chain[here], block[here])
    return _in_blocks(levels, order, chain, np.stack([flow, low, high]))


def monotone_saving(saving: Floats, levels: Levels) -> float:
    """Most that monotone weights can save in all where each gate saves so much per unit of its weight.

    Example:
        >>> monotone_saving(np.array([3.0, -1.0, -1.0]), Levels(np.array([0, 1, 2]), np.zeros(3, dtype=int)))
        1.0
    """
    whole, free = (np.bincount(levels.level, s) for s in (saving, np.maximum(saving, 0.0)))
    # some level is free between its two thresholds, those above it are at 1 and those below at 0
    best = 0.0
    for start, end in _runs(levels.kind):
        above = np.append(np.cumsum(whole[start:end][::-1])[::-1][1:], 0.0)
        best += float((above + free[start:end]).max())
    return best


def _split(tables: GateTables, alone: Floats, kind: Integers) -> tuple[Floats, Integers]:
    """Weight of each block of a chain whose gates are equal in the optimum, and the block of each gate.

    The gates that are above a weight v in the optimum are the end of the chain that gains most by rising from v. So
    segments are split at the middle of their range, as often as numbers of order 1 have digits, and then at their own
    best weight, until that splits none of them.
    """
    value, first = alone.copy(), np.append(True, kind[1:] != kind[:-1])
    gates, sizes = np.arange(len(alone)), np.diff(np.append(np.flatnonzero(first), len(alone)))
    low, high = np.zeros(len(sizes)), np.ones(len(sizes))
    turn = 0
    while True:
        several = sizes > 1
        gates = gates[np.repeat(several, sizes)]
        sizes, low, high = sizes[several], low[several], high[several]
        if not len(sizes):
            return value[first], np.cumsum(first) - 1
        segment, starts = np.repeat(np.arange(len(sizes)), sizes), np.cumsum(sizes) - sizes
        held, exact = tables[gates], turn >= MIDDLES or tables.loss == "linear_loss"
        middle = least(held, segment, len(sizes)) if exact else (low + high) / 2
        cut = _best_cut(-held.slopes(middle[segment]).first, segment, starts, sizes)
        inside = (cut > 0) & (cut < sizes)
        first[gates[(starts + cut)[inside]]] = True
        if exact:
            value[gates[starts[~inside]]] = middle[~inside]
            gates = gates[inside[segment]]
            sizes, cut, low, middle, high = sizes[inside], cut[inside], low[inside], middle[inside], high[inside]
        sizes, turn = _side_by_side(cut, sizes - cut), turn + 1
        low, high = _side_by_side(low, middle), _side_by_side(middle, high)


def _side_by_side(left: Any, right: Any) -> Any:
    """The entries of two arrays in turn."""
    return np.stack([left, right], axis=1).ravel()


def _best_cut(gain: Floats, segment: Integers, starts: Integers, sizes: Integers) -> Integers:
    """Number of gates of each segment before the end that gains most in all; all or none where that gains as much."""
    largest = np.maximum.reduceat(np.abs(gain), starts)
    scaled = gain / np.where(largest > 0, largest, 1.0)[segment]
    running = np.cumsum(scaled)
    before = running - (running - scaled)[starts][segment]  # of each gate and those ahead of it in its segment
    lowest, whole = np.minimum.reduceat(before, starts), before[starts + sizes - 1]
    place = np.flatnonzero(before == lowest[segment])
    cut = place[np.searchsorted(segment[place], np.arange(len(sizes)))] - starts + 1
    return np.where(lowest > -ROUNDING, 0, np.where(whole - lowest < ROUNDING, sizes, cut))


def _pooled(tables: GateTables, value: Floats, block: Integers, kind: Integers) -> tuple[Floats, Integers]:
    """The same after blocks that rounding left in the wrong order are pooled, every run of falling weights at once."""
    kind_of = kind[np.append(True, block[1:] != block[:-1])]
    while True:
        falls = (value[1:] < value[:-1]) & (kind_of[1:] == kind_of[:-1])
        if not falls.any():
            return value, block
        first = np.append(True, ~falls)
        joined = np.cumsum(first) - 1
        changed = np.bincount(joined) > 1
        value, kind_of, block = value[first], kind_of[first], joined[block]
        touched = changed[block]
        number = np.cumsum(changed) - 1
        value[changed] = least(tables[touched], number[block[touched]], int(changed.sum()))


def _runs(labels: Integers) -> list[tuple[int, int]]:
    """Starts and ends of the runs of equal labels."""
    ends = np.append(np.flatnonzero(labels[1:] != labels[:-1]) + 1, len(labels))
    return list(zip(np.append(0, ends[:-1]).tolist(), ends.tolist(), strict=True))


def _flow(slope: Floats, chain: Floats, block: Integers) -> tuple[Floats, Floats, Floats]:
    """Price of each gate's order to the next one, and of its lower and upper limit, along one chain.

    At 0 a gate that wants less is held by the limit, after it has paid for gates before it that want more; at 1 the
    same the other way round. Between them a block balances itself.
    """
    flow, low, high = (np.zeros(len(chain)) for _ in range(3))
    zeros, ones = int((chain == 0).sum()), len(chain) - int((chain == 1).sum())
    start = slope[:zeros]
    if zeros:
        pushed = np.cumsum(-start)
        flow[:zeros] = pushed - np.minimum(np.minimum.accumulate(pushed), 0.0)
        low[:zeros] = np.maximum(start + np.diff(flow[:zeros], prepend=0.0), 0.0)
        flow[zeros - 1] = 0.0
    if ones < len(chain):
        end = slope[ones:][::-1]
        pulled = np.cumsum(end)
        into = pulled - np.minimum(np.minimum.accumulate(pulled), 0.0)
        high[ones:] = np.maximum(-end + np.diff(into, prepend=0.0), 0.0)[::-1]
        flow[ones:-1] = into[::-1][1:]
    middle = slice(zeros, ones)
    if zeros < ones:
        pushed, of = np.cumsum(-slope[middle]), block[middle] - block[zeros]
        last = np.append(of[1:] != of[:-1], True)
        before = np.append(0.0, pushed[last][:-1])
        flow[middle] = np.where(last, 0.0, np.maximum(pushed - before[of], 0.0))
    return flow, low, high


def _in_blocks(levels: Levels, order: Integers, chain: Floats, prices: Floats) -> tuple[Floats, dict[str, Floats]]:
    """Weights and thresholds, and the prices by block: thresholds stand where the highest gate below them does."""
    flow, low, high = prices
    level = levels.level[order]
    last = np.append(level[1:] != level[:-1], True)
    bounded = np.append(levels.kind[1:] == levels.kind[:-1], False)
    through = flow[last] * bounded  # at each level's threshold
    into = np.append(0.0, through[:-1])
    before = np.append(0.0, flow[:-1])
    before[1:][last[:-1]] = into[level[1:][last[:-1]]]
    net = before - np.where(last, through[level], flow)
    down, up = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    over = np.maximum(into - np.bincount(level, down), 0.0)  # what a level passes on: by its last gate
    down[last] += over
    up[last] += over
    back = np.argsort(order)
    has_up, has_down = bounded[levels.level], np.roll(bounded, 1)[levels.level]
    found = {"lower": low[back], "upper": high[back]}
    monotone = np.concatenate([up[back][has_up], down[back][has_down]])
    if len(monotone):
        found["monotone"] = monotone
    return np.concatenate([chain[back], chain[last][bounded]]), found
