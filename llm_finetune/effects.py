"""What fine-tuning did to each ability, and how much of that it does where there is nothing to memorise.

Each pairing seed asks the same subjects before training and after it, and after every mixture: changes, and differences
from the mixture of random answers alone, are paired by seed and subject. Intervals are for other pairings and other
subjects (`llm_finetune.crossed`).
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, get_args

import numpy as np
import pandas as pd

from gating.results.columns import measure as measure_of
from llm_finetune.abilities import ABILITIES, JUDGES, Ability, prompt_values
from llm_finetune.conditions import CONDITIONS, Judge
from llm_finetune.config import FinetuneConfig, Run
from llm_finetune.crossed import crossed_interval
from llm_finetune.samples import answers_of
from theory.validation import Floats

__all__ = ["Tables", "ability_tables", "control_of", "effect_rows"]

Row = dict[str, Any]
Tables = list[tuple[Floats, float]]
"""Outcomes by seed and subject, (S, F), for each set of subjects that an ability asks, with the set's weight."""


def control_of(config: FinetuneConfig, run: Run) -> Run | None:
    """The run of random answers alone with the seed and exposure of another, if there is one."""
    return next((own for own in config.runs if own.mixture.random == 1 and own[1:] == run[1:] and own != run), None)


def effect_rows(config: FinetuneConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """Rows of every ability before training and along the way, of its change, and how it differs from random answers.

    Each stands twice, by what the model says and by its scores, in the column ``judge``. What the model says is of the
    first prompt of each condition and subject.

    Args:
        config: settings of the run.
        samples: rows of `llm_finetune.samples.sample_table` of all seeds and steps, with the columns ``seed``, ``step``
            and those of `Run.columns`.
    """
    values = {(run, step): _values(samples, run, step) for run in config.runs for step in config.training.evaluations}
    for way in {(run.mixture, run.exposure): run for run in config.runs}.values():
        runs = [run for run in config.runs if run[:2] == way[:2]]
        controls = [control for run in runs if (control := control_of(config, run))]
        shared = {"study": "finetune", "system": "llm", "kind": "measured", "group": "all", **way.columns}
        for judge, (name, ability), step in product(get_args(Judge), ABILITIES.items(), config.training.evaluations):

            def tables(of: list[Run], at: int = step, ability: Ability = ability, judge: Judge = judge) -> Tables:
                return _tables([values[run, at] for run in of], ability, judge)

            row = {**shared, "judge": judge, "step": step}
            yield from _row({**row, "measure": name}, tables(runs))
            if step:
                yield from _row({**row, "measure": f"{name}_change"}, _less(tables(runs), tables(runs, 0)))
            if step and controls:
                yield from _row({**row, "measure": f"{name}_less_random"}, _less(tables(runs), tables(controls)))


def ability_tables(
    samples: pd.DataFrame, runs: Sequence[Run], step: int, ability: str | Ability, judge: Judge
) -> Tables:
    """Outcomes of an ability by seed and subject.

    Args:
        samples: as of `effect_rows`.
        runs: the run of each seed, of one mixture and exposure.
        step: after which training step.
        ability: one of `llm_finetune.abilities.ABILITIES` by name, or another one.
        judge: ``said`` or ``score``.

    Returns:
        Arguments of `llm_finetune.crossed.crossed_interval`; nothing where the ability was not measured.
    """
    asked = ABILITIES[ability] if isinstance(ability, str) else ability
    return _tables([_values(samples, run, step) for run in runs], asked, judge)


def _values(samples: pd.DataFrame, run: Run, step: int) -> pd.DataFrame:
    """Values of each prompt of a run; before training all runs of a seed are one."""
    wanted = (samples["step"] == step) & (samples["seed"] == run.seed)
    for name in ("mixture", "exposure") if step else ():
        wanted &= samples[name] == run.columns[name]
    return prompt_values({"": answers_of(samples[wanted])})


def _tables(frames: Sequence[pd.DataFrame], ability: Ability, judge: Judge) -> Tables:
    """Means by seed and subject, for each set of subjects that the ability asks, with its number of conditions."""
    column = JUDGES[judge].get(ability.measure, ability.measure)
    kinds: dict[str, list[str]] = {}
    for name in ability.contexts:
        kinds.setdefault(CONDITIONS[name].subject, []).append(name)
    if any(column not in frame or not {*ability.contexts} <= {*frame["condition"]} for frame in frames):
        return []
    found: Tables = []
    for names in kinds.values():
        asked = [frame[frame["condition"].isin(names)].dropna(subset=[column]) for frame in frames]
        by_condition = [rows.groupby(["subject", "condition"])[column].mean() for rows in asked]
        means = [values.groupby("subject").mean() for values in by_condition]
        found.append((pd.concat(means, axis=1).dropna().to_numpy(np.float64).T, float(len(names))))
    return found


def _less(tables: Tables, others: Tables) -> Tables:
    """Differences paired by seed and subject; none where one of both was not measured."""
    if not tables or not others:
        return []
    return [(table - other, weight) for (table, weight), (other, _) in zip(tables, others, strict=True)]


def _row(row: Row, tables: Tables) -> Iterator[Row]:
    """A row with the value and its interval, where the ability was measured."""
    if tables and all(table.size for table, _ in tables):
        entry = measure_of(row["measure"])
        yield {**row, **crossed_interval(tables, low=entry.low, high=entry.high)._asdict(), "answer": True}
