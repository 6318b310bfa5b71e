"""Certified phases for learners from noisy inputs, beside simulation: contradictions, and the share that is decided.

Run: python -m benchmarks.certified_noisy [POINTS, 2000 by default]
"""

import sys
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.distribution import ClassMixture
from theory.noisy_inputs import noisy_input_error
from theory.phases import ICL, IWL, Comparison, risk_bounds

DRAWS, ERRORS = 1500, 5.0
TEMPERATURE = 0.1
Floats = NDArray[np.float64]


class Found(NamedTuple):
    """Certified points, by phase, and those that simulation contradicts."""

    certified: int
    icl: int
    iwl: int
    contradicted: list[str]


def unit(generator: np.random.Generator, *shape: int) -> Floats:
    centres = generator.normal(size=shape)
    return np.asarray(centres / np.linalg.norm(centres, axis=-1, keepdims=True))


def copying_wrong(
    spec: ClassMixture, label: int, temperature: float, draws: int, generator: np.random.Generator
) -> float:
    """Share of wrong answers of the softmax similarity on relevant contexts, each of its own centres."""
    k, length, noise = spec.n_classes, spec.context_length, spec.input_noise
    relevant = generator.choice(length + 1, p=spec.relevant_counts(np.array([label]))[0], size=draws)
    others = np.delete(np.arange(k), label)
    classes = generator.choice(
        others, p=spec.frequencies[others] / spec.frequencies[others].sum(), size=(draws, length)
    )
    classes[np.arange(length) < relevant[:, None]] = label
    centres = unit(generator, draws, k, spec.dim)
    query = centres[:, label] + noise * generator.normal(size=(draws, spec.dim))
    tokens = np.take_along_axis(centres, classes[..., None], 1)
    tokens = tokens + noise * generator.normal(size=tokens.shape)
    scores = -((tokens - query[:, None]) ** 2).sum(-1) / temperature
    weights = np.exp(scores - scores.max(1, keepdims=True))
    votes = np.stack([(weights * (classes == y)).sum(1) for y in range(k)], 1)
    return float((votes.argmax(1) != label).mean())


def _means(spec: ClassMixture, label: int, size: int, draws: int, generator: np.random.Generator) -> tuple[Floats, ...]:
    """Counts, mean inputs of classes and a query, each draw of its own centres and training set."""
    centres = unit(generator, draws, spec.n_classes, spec.dim)
    counts = generator.multinomial(size, spec.frequencies, size=draws).astype(np.float64)
    spread = spec.input_noise / np.sqrt(np.maximum(counts, 1))[..., None]
    means = centres + spread * generator.normal(size=centres.shape)
    return counts, means, centres[:, label] + spec.input_noise * generator.normal(size=(draws, spec.dim))


def nearest_mean_wrong(spec: ClassMixture, label: int, size: int, draws: int, generator: np.random.Generator) -> float:
    """Share of wrong answers of the nearest class mean; classes never seen are never answered."""
    counts, means, query = _means(spec, label, size, draws, generator)
    squared = np.where(counts > 0, ((means - query[:, None]) ** 2).sum(-1), np.inf)
    return float((squared.argmin(1) != label).mean())


def random_point(generator: np.random.Generator) -> tuple[ClassMixture, int, str, str]:
    """Data, N, kind of context and group."""
    spec = ClassMixture(
        n_high=int(generator.integers(1, 6)),
        n_low=int(generator.integers(1, 6)),
        p_high=float(generator.uniform(0.5, 0.97)),
        dim=int(generator.choice([2, 4, 8, 16, 64])),
        input_noise=float(generator.choice([0.005, 0.05, 0.1, 0.2, 0.5])),
        context_length=int(generator.integers(1, 9)),
    )
    size = int(10 ** generator.uniform(0.5, 4))
    return spec, size, str(generator.choice(["relevant", "as_trained"])), str(generator.choice(["high", "low"]))


def contradictions(n_points: int, generator: np.random.Generator) -> Found:
    """At random points until so many are certified: means of a group, whose classes are alike, from its first class.

    Certified ICL says that no learner is better than copying, so nearest means are not; certified IWL that these are.
    """
    phases, wrong = {ICL: 0, IWL: 0}, []
    while sum(phases.values()) < n_points:
        spec, size, context, group = random_point(generator)
        compare = Comparison(inputs="noisy", squared_distance=None, context=context, temperature=TEMPERATURE)
        phase = int(risk_bounds([spec], [size], compare)[group].phases[0, 0])
        if phase not in phases:
            continue
        phases[phase] += 1
        label = int(spec.group(group)[0])
        copied = copying_wrong(spec, label, TEMPERATURE, DRAWS, generator)
        learned = nearest_mean_wrong(spec, label, size, DRAWS, generator)
        share = spec.p_relevant if context == "as_trained" else 1.0
        gap = share * copied + 1 - share - learned
        error = ERRORS * np.sqrt((share**2 * copied * (1 - copied) + learned * (1 - learned)) / DRAWS) + 1 / DRAWS
        if phase * gap > error:
            wrong.append(f"{spec} N={size} {context} {group}: copying - learned = {gap:.4f}, phase {phase}")
    return Found(sum(phases.values()), phases[ICL], phases[IWL], wrong)


def shares(n_points: int, generator: np.random.Generator) -> tuple[int, int]:
    """How many random points are certified, and of how many: those where copying and nearest means differ twofold."""
    decided = differ = 0
    for _ in range(n_points):
        spec, size, context, group = random_point(generator)
        label = int(spec.group(group)[0])
        share = spec.p_relevant if context == "as_trained" else 1.0
        copied = share * copying_wrong(spec, label, TEMPERATURE, DRAWS, generator) + 1 - share
        never = (1 - spec.frequencies[label]) ** size
        learned = noisy_input_error(size, spec, "nearest_mean")[label] + never / spec.n_classes
        if max(copied, learned) < 2 * min(copied, learned):
            continue
        differ += 1
        compare = Comparison(inputs="noisy", squared_distance=None, context=context, temperature=TEMPERATURE)
        decided += int(risk_bounds([spec], [size], compare)[group].phases[0, 0] != 0)
    return decided, differ


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    start = time.perf_counter()
    found = contradictions(points, np.random.default_rng(0))
    print(
        f"{found.certified} certified points ({found.icl} ICL, {found.iwl} IWL), {len(found.contradicted)} contradicted"
    )
    print(*found.contradicted, sep="\n")
    decided, differ = shares(points // 2, np.random.default_rng(1))
    print(f"{decided} of {differ} settings whose two risks differ twofold are certified ({decided / differ:.1%})")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
