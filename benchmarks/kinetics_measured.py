"""Handover and loss of reading by kinetics (docs/theory.md, section 10) beside those of a run of `gating crossover`.

    gating crossover --preset quick --p_high "[0.6, 0.9, 0.975]" --low_queries "[8, 20, 48, 112, 256]" --n_seeds 3 \\
        --transformer_training.steps 20000 --transformer_training.checkpoints 8 --out runs/long
    python benchmarks/kinetics_measured.py runs/long [docs/results/kinetics.svg]
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml

from gating import Axis, Figure, Layer, Panel, System, save_plot, select
from gating.evaluation.agreement import rank_correlation
from gating.page.text_table import TextTable, whole, with_ends
from gating.results.bootstrap import cluster_bootstrap, percentile_interval
from gating.results.intervals import geometric_mean_interval
from gating.results.parquet import read_table
from gating.studies.crossover.config import CrossoverConfig
from theory.distribution import ClassMixture
from theory.kinetics import Kinetics, class_mixture_kinetics
from theory.noisy_inputs import noisy_input_crossover
from theory.settings import build
from theory.validation import Floats

RESAMPLES = 4000
LEVEL, LATE = 0.5, 1e12  # what is not reached ranks behind all that is
SYSTEMS = {"transformer": "Transformers", "stylized": "Stylized models"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
SHAPES = ("circle", "square", "diamond", "triangle-up")


class Point(NamedTuple):
    """One p_high and N.

    Attributes:
        course: by kinetics.
        as_able: the same for a learner that knows rare classes as well as the models did at the end: at the N at which
            the best learner has their in-weight error.
        handover: step at which each seed's in-weight error first passes below the level, infinite where it does not.
        between: checkpoints that the step of the seeds' mean error lies between.
        until: last checkpoint.
        weights: in-weight error at each checkpoint, (seeds, checkpoints).
        reading: in-context error, likewise.
    """

    p_high: float
    n: int
    course: Kinetics
    as_able: Kinetics
    handover: Floats
    between: str
    until: float
    weights: Floats
    reading: Floats

    @property
    def measured(self) -> float:
        """Geometric mean over seeds; infinite where a seed does not cross."""
        return float(np.exp(np.log(self.handover).mean()))

    @property
    def predicted(self) -> float:
        """Step of the kinetics' clock."""
        return self.course.handover("low", LEVEL)

    @property
    def last(self) -> float:
        """In-context error at the last checkpoint, mean over seeds."""
        return float(self.reading[:, -1].mean())

    @property
    def at_rest(self) -> float:
        """In-context error that the kinetics of `as_able` end with."""
        return float(1 - self.as_able.spec.group_mean(self.as_able.new_labels, "low")[-1])


def first_below(steps: Floats, errors: Floats) -> float:
    """Step at which a curve first passes below the level, linear in ln step; infinite where it does not."""
    below = np.flatnonzero(errors < LEVEL)
    if not len(below) or below[0] == 0:
        return float(steps[0]) if len(below) else math.inf
    (before, after), (start, end) = (part[below[0] - 1 : below[0] + 1] for part in (errors, np.log(steps)))
    return float(np.exp(start + (before - LEVEL) / (before - after) * (end - start)))


def points(table: pd.DataFrame, data: ClassMixture, system: str) -> Iterator[Point]:
    """Measured and predicted, for every p_high and N of a run's table; its data but for `p_high`."""
    rows = select(table[~table["answer"]], {"system": system, "measure": "error", "group": "low", "kind": "measured"})
    for (p_high, n), at in rows.groupby(["p_high", "n"]):
        weights, reading = (
            select(at, where).pivot(index="seed", columns="step", values="value")
            for where in ({"distribution": "ibd", "context": "irrelevant"},
                          {"distribution": "oobd", "context": "relevant"})
        )  # fmt: skip
        steps = weights.columns.to_numpy(np.float64)
        place = int(np.searchsorted(steps, first_below(steps, weights.to_numpy().mean(0))))
        between = "" if place == len(steps) else f"{steps[max(place - 1, 0)]:,.0f}, {steps[place]:,.0f}"
        spec = replace(data, p_high=p_high)
        known = float(weights.to_numpy()[:, -1].mean())
        able = int(noisy_input_crossover(spec, "low", known)) if known < 1 - 1 / spec.n_classes else 0
        courses = (class_mixture_kinetics(spec, size, steps=1e7) for size in (n, able))
        found = np.array([first_below(steps, curve) for curve in weights.to_numpy()])
        yield Point(p_high, n, *courses, found, between, steps[-1], weights.to_numpy(), reading.to_numpy())


def resampled(seeds: Floats) -> Floats:
    """Means over seeds that are drawn with replacement for each point, (B, P); from values of shape (P, seeds)."""
    among = np.random.default_rng(0).integers(seeds.shape[1], size=(RESAMPLES, *seeds.shape))
    return np.take_along_axis(np.broadcast_to(seeds, among.shape), among, -1).mean(-1)


def ranked(predicted: list[float], seeds: Floats) -> str:
    """Rank correlation over points of predictions and means over seeds, with its bootstrap interval over seeds."""
    known = np.minimum(np.array(predicted), LATE)

    def rank(means: Floats) -> Floats:
        pair = (torch.from_numpy(part)[..., None, :] for part in np.broadcast_arrays(known, np.minimum(means, LATE)))
        return np.asarray(rank_correlation(*pair))

    low, high = percentile_interval(rank(resampled(seeds)))
    return f"{with_ends(float(rank(seeds.mean(-1))), float(low), float(high))} over {len(known)} points"


def factor_of(held: list[Point]) -> tuple[float, float, float]:
    """Geometric mean of measured over predicted steps, and its bootstrap interval over points."""
    ratios = np.log([point.measured / point.predicted for point in held])
    found = cluster_bootstrap(lambda rows: ratios[rows].mean(), range(len(held)), n_resamples=RESAMPLES, seed=0)
    value, low, high = (float(np.exp(part)) for part in (found.value, found.low, found.high))
    return value, low, high


def handover_table(held: list[Point], factor: float) -> TextTable:
    """Predicted and measured handover of each point."""
    lines = []
    for point in held:
        crossed, seeds = int(np.isfinite(point.handover).sum()), len(point.handover)
        ratio = geometric_mean_interval(point.handover / (factor * point.predicted))
        steps = (point.predicted, factor * point.predicted, factor * point.as_able.handover("low"))
        over = with_ends(float(ratio.value), float(ratio.low), float(ratio.high)) if crossed == seeds else ""
        mean = whole(point.measured) if crossed == seeds else "not all"
        line = (
            f"{point.p_high:g}",
            f"{point.n:,}",
            *map(whole, steps),
            mean,
            f"{crossed} of {seeds}",
            point.between,
            over,
        )
        lines.append(line)
    head = ("p_high", "N", "kinetics", "times the factor", "equally able", "measured", "seeds", "between", "ratio")
    return TextTable(head, tuple(lines))


def loss_table(held: list[Point], factor: float) -> TextTable:
    """Whether reading is lost: by kinetics, and of how many seeds."""
    lines = []
    for point in held:
        least, last = point.reading.min(1), point.reading[:, -1]
        read, lost = least < LEVEL, (least < LEVEL) & (last > LEVEL)
        lines.append((
            f"{point.p_high:g}", f"{point.n:,}", whole(factor * point.course.lost("low")),
            f"{read.sum()} of {len(read)}", f"{lost.sum()} of {read.sum()}" if read.any() else "",
            f"{least.mean():.2f}", f"{point.last:.2f}", f"{point.weights[:, -1].mean():.2f}", f"{point.at_rest:.2f}",
        ))  # fmt: skip
    head = ("p_high", "N", "kinetics: lost at step", "seeds that read", "of them lost it", "least error", "last error",
            "last in-weight error", "kinetics, equally able")  # fmt: skip
    return TextTable(head, tuple(lines))


def panel(name: str, held: list[Point], factor: float) -> Panel:
    """Measured over predicted steps; what no or not every seed reaches stands at the upper edge."""
    layers = []
    edge = max(float(point.handover[np.isfinite(point.handover)].max(initial=1)) for point in held) * 3
    for place, p_high in enumerate(sorted({point.p_high for point in held})):
        mine = [point for point in held if point.p_high == p_high]
        for there, look in ((True, ""), (False, ", not reached by all")):
            rows = [(p.predicted, p.measured if there else edge) for p in mine if np.isfinite(p.measured) == there]
            ends = [(p.handover.min(), p.handover.max()) if there else (edge, edge)
                    for p in mine if np.isfinite(p.measured) == there]  # fmt: skip
            table = pd.DataFrame([(*row, *end) for row, end in zip(rows, ends, strict=True)],
                                 columns=["x", "value", "low", "high"])  # fmt: skip
            style = System(f"p_high {p_high:g}{look}", "", COLOURS[place], SHAPES[place], filled=there)
            layers += [Layer(style, table, "points")] if len(table) else []
    x = np.array([min(p.predicted for p in held) / 1.3, max(p.predicted for p in held) * 1.3])
    line = System("one factor for all", "", "#8a8a92")
    return Panel("", name, Axis("measured step", scale="log"), (
        Layer(line, pd.DataFrame({"x": x, "value": factor * x}), "line"), *layers))  # fmt: skip


def said(held: list[Point], factor: tuple[float, float, float]) -> Iterator[str]:
    """The factor, rank correlations, and where it is told rightly whether reading is lost at the end."""
    reached = [point for point in held if np.isfinite(point.measured)]
    yield f"one factor {with_ends(*factor)}, from {len(reached)} points where every seed crosses"
    for name, some in (("where every seed crosses", reached), ("the others behind these", held)):
        seeds = np.log([point.handover for point in some])
        yield f"rank correlation, {name}: {ranked([p.predicted for p in some], seeds)}"
        yield f"... equally able learner: {ranked([p.as_able.handover('low') for p in some], seeds)}"
    ends = np.array([point.reading[:, -1] for point in held])
    yield f"rank correlation of in-context errors at the end, equally able: {ranked([p.at_rest for p in held], ends)}"
    read = np.array([point.reading.min(1) < LEVEL for point in held])
    yield f"seeds that read at a checkpoint: {read.sum()}; above 1/2 at the end: {(read & (ends > LEVEL)).sum()}"
    high = ends.mean(1) > LEVEL
    for what, courses in (("kinetics", [p.course for p in held]), ("equally able", [p.as_able for p in held])):
        lost = factor[0] * np.array([course.lost("low") for course in courses]) <= held[0].until
        yield (
            f"{what}: at the end above 1/2 {(lost & high).sum()} rightly, {(lost & ~high).sum()} wrongly; below"
            f" {(~lost & ~high).sum()} rightly, {(~lost & high).sum()} wrongly"
        )


def report(folder: Path, picture: Path | None) -> None:
    """Prints tables and draws the picture."""
    data = build(CrossoverConfig, yaml.safe_load((folder / "config.yaml").read_text())).distribution
    table, panels = read_table(folder / "results.parquet"), []
    for system, name in SYSTEMS.items():
        held = list(points(table, data, system))
        factor = factor_of([point for point in held if np.isfinite(point.measured)])
        print(f"\n{name}", *said(held, factor), "", sep="\n")
        print(handover_table(held, factor[0]).markdown, loss_table(held, factor[0]).markdown, sep="\n\n")
        panels.append(panel(name, held, factor[0]))
    if picture:
        x = Axis("handover step by kinetics, own clock", scale="log")
        title = "Step at which the in-weight error of rare classes falls below 1/2"
        save_plot(Figure("kinetics", title, (), x, tuple(panels), columns=2), "", picture)


if __name__ == "__main__":
    report(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
