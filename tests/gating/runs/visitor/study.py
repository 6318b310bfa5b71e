"""Walks that are pulled to numbers of a file: they save their state, end in a table, and need no model."""

import os
import time
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from gating.page.figures import Axis, Figure, Layer, Page, Panel
from gating.page.multiples import Facet, Multiples, Row, Trace, YAxis
from gating.page.names import System
from gating.results.columns import Column, Measure, declare
from gating.results.intervals import mean_interval
from gating.results.table import make_table
from gating.runs.errors import Interrupted
from gating.runs.executor import Part
from gating.runs.study import Estimate, Study
from gating.training.checkpoints import Checkpoints
from theory.fields import Count, PathText, Several
from theory.settings import SpecError, settings

declare(Column("pull", "float64", "how far a walk is pulled to its number in a step", 0, 1))
declare(Measure("walked", "distance (steps)", 0))
SIDES = {"left": 0.25, "right": 0.5}
N_SEEDS = 3


@settings
class VisitorConfig:
    """How far does a walk go from where it began?

    Args:
        study: which study the settings are for.
        numbers: file of the numbers that walks are pulled to.
        sizes: lengths that distances are measured over.
        steps: steps of a walk.
    """

    study: Literal["visitor"] = "visitor"
    numbers: PathText = "numbers.txt"
    sizes: Several[Count] = (64, 128)
    steps: Count = 40


class Visitor(Study[VisitorConfig]):
    """How far does a walk go from where it began?"""

    config = VisitorConfig
    positionals = ("numbers",)
    of_evaluation = ("sizes",)

    def inputs(self, config, say):
        if not Path(config.numbers).is_file():
            raise SpecError([f"`numbers` must be a file; got '{config.numbers}'"])
        return {"the numbers": Path(config.numbers)}

    def check(self, config, resources):
        try:
            _numbers(config)
        except ValueError as error:
            raise SpecError([f"`numbers` must be a file of numbers; got '{config.numbers}' ({error})"]) from error

    def memory(self, config):
        return 8.0 * config.steps

    def estimate(self, config, resources):
        return Estimate(0.01 * config.steps, self.memory(config), 1e5)

    def parts(self, config):
        walks = [f"train/{side}" for side in SIDES]
        for side, name in zip(SIDES, walks, strict=True):
            yield Part(name, partial(walk, config, side), wide=True, kept=True)
        for size in config.sizes:
            yield Part(f"measure/{size}", partial(measure, config, size), after=tuple(walks))

    def rows(self, config, work):
        return pd.concat([work.of(f"measure/{size}").table("rows") for size in config.sizes])

    def answers(self, config, table):
        found = []
        for pull, rows in table.groupby("pull"):
            ends = mean_interval(rows["value"], low=0)
            found.append({"study": "visitor", "system": "walk", "measure": "walked", "kind": "fitted", "pull": pull,
                          "value": ends.value, "low": ends.low, "high": ends.high})  # fmt: skip
        return make_table(found)

    def beside(self, config, work):
        lines = [record["line"] for size in config.sizes for record in work.of(f"measure/{size}").records("lines")]
        return {"lines.jsonl": "\n".join(lines) + "\n"}

    def page(self, config, table, beside):
        axis = Axis("distance")
        rows = (Row("walks", {"kind": "measured"}, (Trace("walked"),), YAxis(axis)),)
        facets = tuple(Facet(f"pull {pull:g}", {"pull": pull}) for pull in sorted(table["pull"].dropna().unique()))
        held = pd.DataFrame({"x": [1.0], "value": [float(len(table))]})
        panel = Panel("", "", axis, (Layer(System("rows", "", "#000000", "circle"), held, "points"),))
        return Page(
            title="Walks",
            question=self.question(),
            systems=("walk",),
            figures=(
                Multiples("walks", "Walks", "Look at the ends.", "n", rows, lambda summary: facets),
                Figure("rows", "How many rows", (beside["lines.jsonl"],), Axis("table"), (panel,), 1),
            ),
            terms=(("walk", "what goes on"),),
            blocks=(),
        )


def _numbers(config):
    return np.array([float(number) for number in Path(config.numbers).read_text(encoding="utf-8").split()])


def walk(config, side, place, resources):
    """Goes on from its last saved step; saves its state at every fifth, and where it stands at every tenth."""
    kept, numbers, pull = Checkpoints(place), _numbers(config), SIDES[side]
    step, tensors, metrics = kept.load_state() or (0, {"x": torch.zeros(N_SEEDS, 2, dtype=torch.float64)}, None)
    x = tensors["x"]
    while step < config.steps:
        if resources.stop.is_set():
            raise Interrupted(f"stopped at step {step}")
        noise = np.random.default_rng([step, len(side)]).normal(size=x.shape)
        x = x + pull * (numbers[step % len(numbers)] - x) + torch.from_numpy(noise)
        step += 1
        time.sleep(float(os.environ.get("VISITOR_PAUSE", "0")))
        if step % 10 == 0:
            kept.save(step, {"x": x})
        if step % 5 == 0 or step == config.steps:
            row = pd.DataFrame({"step": [step], "x": [x.sum().item()]})
            metrics = row if metrics is None else pd.concat([metrics, row], ignore_index=True)
            kept.save_state(step, {"x": x}, metrics)


def measure(config, size, place, resources):
    """Distance from the beginning, at the last checkpoint, of every seed and side."""
    found, lines = [], []
    for side, pull in SIDES.items():
        kept = Checkpoints(place.of(f"train/{side}"))
        time.sleep(float(os.environ.get("VISITOR_PAUSE", "0")))
        x = kept.load(kept.steps[-1])["x"]
        for seed in range(N_SEEDS):
            value = x[seed].norm().item() * size**0.5
            found.append({"study": "visitor", "system": "walk", "n": size, "step": config.steps, "seed": seed,
                          "measure": "walked", "kind": "measured", "pull": pull, "value": value})  # fmt: skip
            lines.append({"line": f"{side} {seed} {value!r}"})
    place.save_table("rows", make_table(found))
    place.save_records("lines", lines)
