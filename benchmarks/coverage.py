"""How often 95% intervals hold the mean over all seeds, and how wide they are.

    python benchmarks/coverage.py [--runs 20000] [--seed 0]

Each run draws S seeds, and the test sequences of each. Columns are coverage in per cent and mean width, of the interval
of `gating.results.intervals.mean_interval`, of Student's over seeds alone, and of Wilson's over all test sequences, as
if one seed had them all. The tables stand in `docs/intervals.md`.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.results.intervals import mean_interval

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Scenario:
    """What seeds are drawn from.

    Args:
        name: its name in the table.
        mean: the true mean over seeds and test sequences.
        tests: test sequences of each seed.
        draw: values and their standard errors from a generator, each of shape (runs, seeds).
        high: largest value that can be measured; the least is 0.
    """

    name: str
    mean: float
    tests: int
    draw: Draw
    high: float = 1.0


def shares(name: str, mean: float, tests: int, spread: float = 0.0) -> Scenario:
    """Errors (0-1); a seed's true error has a beta distribution with this standard deviation."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        size = mean * (1 - mean) / spread**2 - 1 if spread else 0.0
        true = rng.beta(mean * size, (1 - mean) * size, shape) if spread else np.full(shape, mean)
        return _errors(rng, true, tests)

    return Scenario(f"share {mean:g}, {tests} sequences, {name}", mean, tests, draw)


def losses(name: str, spread: float, *, sequences: float | None = None, tests: int = 100) -> Scenario:
    """Log losses of mean 1; a seed's true loss is lognormal with this standard deviation of its logarithm.

    Losses of sequences are exponential, or lognormal with standard deviation `sequences` of their logarithm.
    """

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        true = np.exp(spread * rng.standard_normal(shape) - spread**2 / 2)
        mean, square = np.zeros(shape), np.zeros(shape)
        for _ in range(tests):
            normal = rng.standard_normal(shape) if sequences else None
            one = rng.exponential(1, shape) if normal is None else np.exp(sequences * normal - sequences**2 / 2)
            mean, square = mean + one / tests, square + one**2 / tests
        return true * mean, true * np.sqrt((square - mean**2) / (tests - 1))

    return Scenario(f"log loss, {tests} sequences, {name}", 1.0, tests, draw, np.inf)


def failing_shares(rare: float, failed: float, tests: int = 200) -> Scenario:
    """One seed in ten fails, with another error."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        return _errors(rng, np.where(rng.random(shape) < 0.1, failed, rare), tests)

    name = f"share {rare:g}, of one seed in ten {failed:g}, {tests} sequences"
    return Scenario(name, 0.9 * rare + 0.1 * failed, tests, draw)


def failing_losses(usual: float, failed: float, tests: int = 200) -> Scenario:
    """One seed in ten fails, with another mean loss; losses of sequences are exponential."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        value = np.where(rng.random(shape) < 0.1, failed, usual) * rng.gamma(tests, 1 / tests, shape)
        return value, value / tests**0.5

    name = f"log loss {usual:g}, of one seed in ten {failed:g}, {tests} sequences"
    return Scenario(name, 0.9 * usual + 0.1 * failed, tests, draw, np.inf)


def _errors(rng: np.random.Generator, true: Floats, tests: int) -> tuple[Floats, Floats]:
    value = rng.binomial(tests, true) / tests
    return value, np.sqrt(value * (1 - value) / (tests - 1))


ALIKE, AS_MEAN = "seeds alike", "sd of seeds as the mean"
SCENARIOS = (
    *(shares(ALIKE, 0.0, tests) for tests in (100, 200, 1000)),
    *(shares(name, 0.003, n, sd) for n in (100, 200, 1000) for name, sd in ((ALIKE, 0.0), (AS_MEAN, 0.003))),
    *(shares(name, 0.5, n, sd) for n in (100, 200, 1000) for name, sd in ((ALIKE, 0.0), ("sd of seeds 0.1", 0.1))),
    losses("exponential, seeds alike", 0.0),
    losses("exponential, sd of seeds 0.31", 0.3),
    losses("exponential, sd of seeds 0.53", 0.5),
    losses("lognormal (1.5), seeds alike", 0.0, sequences=1.5),
    losses("lognormal (1.5), sd of seeds 0.31", 0.3, sequences=1.5),
)
"""Where the interval is to hold the mean in 93% of the runs or more."""

BEYOND = (
    shares("sd of seeds 1.8 times the mean", 0.003, 1000, 0.0054),
    losses("exponential, sd of seeds 1.3", 1.0),
    failing_shares(0.003, 0.5),
    failing_losses(0.5, 2.0),
)
"""Where no interval of a useful width can: seeds that were not drawn differ from those that were."""


def measure(scenario: Scenario, n_seeds: int, n_runs: int, seed: int) -> dict[str, tuple[float, float]]:
    """Coverage in per cent and mean width, by method."""
    values, errors = scenario.draw(np.random.default_rng(seed), (n_runs, n_seeds))
    ends = {"low": 0.0, "high": scenario.high}
    tried = {
        "this": mean_interval(values, tests=scenario.tests, standard_errors=errors, **ends),
        "Student": mean_interval(values),
    }
    if np.isfinite(scenario.high):
        tried["Wilson"] = mean_interval(values.mean(1)[:, None], tests=n_seeds * scenario.tests, **ends)
    found = {}
    for name, (mean, low, high, *_) in tried.items():
        low, high = (np.where(np.isnan(end), mean, end) for end in (low, high))  # Student's of values that agree
        holds = (low <= scenario.mean + 1e-12) & (scenario.mean <= high + 1e-12)
        found[name] = float(100 * holds.mean()), float((high - low).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for scenarios in (SCENARIOS, BEYOND):
        print("\n| seeds drawn from | S | this | width | Student | width | Wilson | width |\n| --- |" + " ---: |" * 7)
        for scenario in scenarios:
            for n_seeds in (3, 5, 20):
                found = measure(scenario, n_seeds, arguments.runs, arguments.seed)
                cells = [
                    f"{found[m][0]:.1f} | {found[m][1]:.3g}" if m in found else "|"
                    for m in ("this", "Student", "Wilson")
                ]
                print(f"| {scenario.name if n_seeds == 3 else ''} | {n_seeds} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
