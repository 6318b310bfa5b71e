"""Numbers of docs/results/kinetics.md."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from benchmarks.kinetics_measured import LEVEL, SYSTEMS, Point, factor_of, points, ranked
from docs.tables.cells import table_of
from docs.tables.committed import table
from docs.tables.pages import computed
from gating.page.text_table import number, whole, with_ends
from gating.results.intervals import geometric_mean_interval
from gating.studies.crossover.config import CrossoverConfig

PAGE = "docs/results/kinetics.md"
NAMES = {"transformer": "Transformers", "stylized": "stylized models"}
MORE_DATA = (((0.6, 1400), (0.6, 3200)), ((0.9, 5600), (0.9, 12800)), ((0.975, 22400), (0.975, 51200)))
"""N q = 112 and 256 at each frequency."""
RAREST = ((0.6, 3200), (0.975, 51200))
"""N q = 256 at the largest and the smallest frequency."""


@cache
def held(system: str) -> tuple[Point, ...]:
    """The points of a kind of model, in the order of p_high and N."""
    return tuple(points(table("long"), CrossoverConfig().distribution, system))


@cache
def factor(system: str) -> tuple[float, float, float]:
    """One factor between both clocks, with its interval."""
    return factor_of([point for point in held(system) if np.isfinite(point.measured)])


def handover() -> str:
    def line(*pair: Point) -> Iterator[str]:
        yield from (f"{pair[0].p_high:g}", f"{pair[0].n:,}", whole(pair[0].predicted))
        for system, point in zip(SYSTEMS, pair, strict=True):
            crossed, seeds = int(np.isfinite(point.handover).sum()), len(point.handover)
            ratio = geometric_mean_interval(point.handover / (factor(system)[0] * point.predicted))
            yield whole(factor(system)[0] * point.predicted)
            yield whole(point.measured) if crossed == seeds else "not all"
            yield f"{crossed} of {seeds}"
            yield with_ends(*(float(end) for end in ratio[:3])) if crossed == seeds else ""

    each = ("measured", "seeds", "ratio")
    head = ("p_high", "N", "kinetics", "Transformers: predicted", *each, "stylized: predicted", *each)
    return table_of(head, (line(*pair) for pair in zip(*map(held, SYSTEMS), strict=True)))


def reading() -> str:
    def line(*pair: Point) -> Iterator[str]:
        yield from (f"{pair[0].p_high:g}", f"{pair[0].n:,}")
        for point in pair:
            read, lost = _read(point)
            yield str(read.sum())
            yield f"{lost.sum()} of {read.sum()}" if read.any() else ""
            ends = (point.reading.min(1).mean(), point.last, point.weights[:, -1].mean(), point.at_rest)
            yield from (f"{end:.2f}" for end in ends)

    each = ("lost it", "least error", "last", "in-weight error", "equally able")
    head = ("p_high", "N", "Transformers: seeds that read", *each, "stylized: read", *each)
    return table_of(head, (line(*pair) for pair in zip(*map(held, SYSTEMS), strict=True)))


def _read(point: Point) -> tuple[np.ndarray, np.ndarray]:
    """Seeds that read at a checkpoint, and those of them that lost it."""
    read = point.reading.min(1) < LEVEL
    return read, read & (point.reading[:, -1] > LEVEL)


def _ranks(which: str, system: str) -> str:
    some = [point for point in held(system) if which != "reached" or np.isfinite(point.measured)]
    told = [point.as_able.handover("low") if which == "able" else point.predicted for point in some]
    return ranked(told, np.log([point.handover for point in some])).partition(" over")[0]


def ranks() -> str:
    rows = {"reached": "points that all seeds cross", "all": "all points, others behind these",
            "able": "all points, equally able learner"}  # fmt: skip
    return table_of(("rank correlation of predicted and measured steps", *NAMES.values()),
                    ((name, *(_ranks(which, system) for system in NAMES)) for which, name in rows.items()))  # fmt: skip


def _told(system: str, which: str) -> str:
    """At how many points it is told rightly whether the last in-context error is above the level."""
    high = np.array([point.last > LEVEL for point in held(system)])
    courses = [point.as_able if which == "able" else point.course for point in held(system)]
    lost = np.array([factor(system)[0] * course.lost("low") for course in courses]) <= held(system)[0].until
    return f"{(lost == high).sum()} of {len(high)}"


def rightly() -> str:
    rows = {"all": "kinetics (above everywhere)", "able": "equally able learner"}
    return table_of(("last in-context error above or below 1/2: points told rightly", *NAMES.values()),
                    ((name, *(_told(system, which) for system in NAMES)) for which, name in rows.items()))  # fmt: skip


TABLES = {"handover": handover, "ranks": ranks, "reading": reading, "rightly": rightly}


def sentences() -> Iterator[str]:
    ours, theirs = (computed(number(*factor(system))) for system in NAMES)
    yield f"One factor: {ours} for Transformers, {theirs} for stylized models."
    ends = [ranked([p.at_rest for p in held(system)], np.array([p.reading[:, -1] for p in held(system)]))
            .partition(" over")[0] for system in NAMES]  # fmt: skip
    yield f"kinetics at rest: {computed(ends[0])} for Transformers, {computed(ends[1])} for stylized models."
    over = [point.measured / (factor("transformer")[0] * point.predicted) for point in held("transformer")]
    least, most = (computed(f"{end(each for each in over if np.isfinite(each)):.2g}") for end in (min, max))
    ranked_reached = computed(_ranks("reached", "transformer"))
    yield f"rank correlation {ranked_reached} over 7 points, with steps from {least} to {most} times the predicted ones"
    at = {(p.p_high, p.n): p for p in held("transformer")}
    sooner = [at[first].measured / at[last].measured for first, last in MORE_DATA]
    yield f"Transformers take over {computed(f'{min(sooner):.1f}')} to {computed(f'{max(sooner):.1f}')} times sooner."
    ours, theirs = ([p for p in held(system) if (p.p_high, p.n) in RAREST] for system in NAMES)
    slower = [computed(f"{some[1].measured / some[0].measured:.1f}") for some in (ours, theirs)]
    told = computed(f"{ours[1].predicted / ours[0].predicted:.1f}")
    yield f"so {told} times more at q = 0.005 than at 0.08 (N q = 256); measured {slower[0]} times for Transformers,"
    yield f"times for Transformers, {slower[1]} for stylized models."
    yield f"order all 15 handovers ({computed(_ranks('able', 'stylized'))})."
    counts = [np.array([_read(point) for point in held(system)]).sum((0, 2)) for system in NAMES]
    (read, lost), (other_read, other_lost) = (map(computed, pair[:2]) for pair in counts)
    yield f"{lost} of {read} Transformers and {other_lost} of {other_read} stylized models lost it."
