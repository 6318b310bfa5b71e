"""Made-up tables of the study `finetune`."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from gating.results.table import make_table
from llm_finetune.advice import advice_rows
from llm_finetune.conditions import CONDITIONS, IN_CONTEXT
from llm_finetune.config import FinetuneConfig

MEASURES = ("accuracy", "memorised_wins", "stated_wins")
MEMORY, MIXED, READING, RANDOM = "memory=1", "memory=0.5 reading=0.5", "reading=1", "random=1"

BEFORE = {"recall": 0.06, "memorised": 0.05, "stated": 0.24, "reads": 0.46}
AFTER = {
    MEMORY: {"recall": 1.0, "memorised": 0.71, "stated": 0.24, "reads": 0.2},
    MIXED: {"recall": 1.0, "memorised": 0.0, "stated": 1.0, "reads": 0.94},
    READING: {"recall": 0.16, "memorised": 0.0, "stated": 1.0, "reads": 0.98},
}
"""Recall, whose answer wins contradictions, and accuracy where the context tells, as the small model had them."""


def measured(
    after: Mapping[str, Mapping[str, float]] = AFTER,
    *,
    n_seeds: int = 4,
    tests: int = 200,
    spread: float = 0.02,
    **how: Any,
) -> tuple[FinetuneConfig, pd.DataFrame]:
    """Settings, and rows of every seed and condition before and after 40 steps, with the answers that follow.

    Args:
        after: by mixture, the four values after training.
        n_seeds: number of pairing seeds.
        tests: prompts of each condition.
        spread: between neighbouring seeds, cut off at 0 and 1.
        how: ``before``, the four values before training; ``n_candidates``; ``width`` of effects to either side.
    """
    config = FinetuneConfig(mixtures=list(after), n_seeds=n_seeds)
    rows = make_table(_rows(config, after, how.get("before", BEFORE), tests, spread))
    answers = make_table(
        {**row, "answer": True} for row in advice_rows(rows, config.margin, how.get("n_candidates", 16))
    )
    effects = make_table(_effects(config, after, how.get("before", BEFORE), how.get("width", 0.04)))
    return config, make_table(pd.concat([rows, answers, effects], ignore_index=True))


def _effects(
    config: FinetuneConfig, after: Mapping[str, Any], before: Mapping[str, float], width: float
) -> Iterator[dict[str, Any]]:
    """Rows as `effect_rows` yields them, by what is said, with intervals of a width to either side."""
    random = after.get(RANDOM)
    for run in {run.mixture: run for run in config.runs}.values():
        shared = {**run.columns, "study": "finetune", "system": "llm", "kind": "measured", "group": "all",
                  "judge": "said", "answer": True}  # fmt: skip
        ends = {0: before, 40: after[run.mixture.text]}
        for name, key in (("recall", "recall"), ("in_context_accuracy", "reads"), ("reading_elsewhere", "reads")):
            values = {(name, step): value[key] for step, value in ends.items()}
            values[f"{name}_change", 40] = ends[40][key] - before[key]
            if random and run.mixture.text != RANDOM:
                values[f"{name}_less_random", 40] = ends[40][key] - random[key]
            for (measure, step), value in values.items():
                yield {**shared, "measure": measure, "step": step, "value": value, "low": value - width,
                       "high": value + width}  # fmt: skip


def _rows(
    config: FinetuneConfig, after: Mapping[str, Any], before: Mapping[str, float], tests: int, spread: float
) -> Iterator[dict[str, Any]]:
    for run in config.runs:
        for step, values in ((0, before), (40, after[run.mixture.text])):
            for context in CONDITIONS:
                for measure in MEASURES if context == "contradicting" else MEASURES[:1]:
                    key = {"memorised_wins": "memorised", "stated_wins": "stated"}.get(
                        measure, "reads" if context in IN_CONTEXT else "recall"
                    )
                    value = values[key] + spread * (run.seed - (config.n_seeds - 1) / 2)
                    yield {**run.columns, "study": "finetune", "system": "llm", "kind": "measured", "seed": run.seed,
                           "step": step, "context": context, "group": "all", "measure": measure, "tests": tests,
                           "value": min(1.0, max(0.0, value))}  # fmt: skip
