"""Systems timed in alternating windows of one run, and the ratios of their speeds.

A round runs every system for about one window, one after the other. A machine that slows down slows all of a round
alike, so a ratio is taken within each round, and its median over the rounds is what is said, with the range. The
processor's time does not grow when others take turns on a core; of several threads it is the sum.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from gating.training.trainer import Trainer

__all__ = ["Groups", "Rates", "Steps", "System", "alternating", "table"]

ROUNDS = 5

Steps = Callable[[int], object]
"""Takes so many steps, and returns when they are done."""


@dataclass(frozen=True)
class System:
    """What is timed: its steps, for how many models each of them counts, and how long its window is, in seconds."""

    steps: Steps
    models: int = 1
    seconds: float = 1.0


class Groups:
    """Groups of replicas that take their steps one group after the other, as a worker of a run does; nothing is saved.

    Called with a number of steps, it takes them in every group and returns the losses of the first replica.
    """

    def __init__(self, trainers: Sequence[Trainer[Any]]):
        self._trainers, self._step = trainers, 0
        for trainer in trainers:
            trainer.start()

    def __call__(self, count: int, threads: int = 1) -> list[float]:
        """Takes so many steps; on several threads each trains groups of its own."""
        self._step += count
        if threads == 1:
            losses = [trainer.advance(self._step) for trainer in self._trainers]
        else:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                losses = list(pool.map(lambda trainer: trainer.advance(self._step), self._trainers))
        first: list[float] = losses[0][:, 0].tolist()
        return first


class Rates:
    """Steps per second of each system in each round, by the clock and by the processor's time, as texts of a table."""

    def __init__(self, rates: Mapping[str, Sequence[tuple[float, float]]]):
        self._rates = rates

    def fastest(self, names: Iterable[str]) -> str:
        """The one of these systems that has the highest median, by the processor's time."""
        return max(names, key=lambda name: statistics.median(rate for _, rate in self._rates[name]))

    def rate(self, name: str) -> str:
        """Model-steps per second of the clock: median (range)."""
        values = [rate for rate, _ in self._rates[name]]
        return _spread(values, ",.0f" if min(values) >= 100 else ".1f")

    def ratios(self, name: str, other: str, form: str = ".2f") -> list[str]:
        """How many times as fast as the other it is, round by round, by the clock and by the processor's time."""
        pairs = list(zip(self._rates[name], self._rates[other], strict=True))
        return [_spread([a[clock] / b[clock] for a, b in pairs], form) for clock in (0, 1)]


def _spread(values: Sequence[float], form: str) -> str:
    low, middle, high = (format(value, form) for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def alternating(systems: Mapping[str, System], shorter: float = 1.0) -> Rates:
    """Times the systems in alternating windows, after as many steps of each as show how many fill a window.

    Args:
        systems: by their names.
        shorter: share of the windows' lengths, for a quick look.
    """
    counts = {name: _filling(system.steps, shorter * system.seconds) for name, system in systems.items()}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
    for _ in range(ROUNDS):
        for name, system in systems.items():
            seconds, busy = _seconds(system.steps, counts[name])
            taken = system.models * counts[name]
            rates[name].append((taken / seconds, taken / busy))
    return Rates(rates)


def _filling(steps: Steps, window: float) -> int:
    """How many steps fill a window; whatever the first steps build is built before."""
    steps(2)
    count, (taken, _) = 1, _seconds(steps, 1)
    while taken < window / 4:
        count *= 2
        taken, _ = _seconds(steps, count)
    return max(1, round(count * window / taken))


def _seconds(steps: Steps, count: int) -> tuple[float, float]:
    """Seconds of the clock, and of the processor."""
    start, start_busy = time.perf_counter(), time.process_time()
    steps(count)
    return time.perf_counter() - start, time.process_time() - start_busy


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text and whose others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
