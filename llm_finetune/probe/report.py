"""Rows of the study `probe`, and what became of each prompt, from the table of all answers."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from llm_finetune.abilities import ability_rows, change_rows, changes, detail_rows, prompt_values
from llm_finetune.collection_suites import CollectionSuite
from llm_finetune.probe.config import BASE, WHOLE, ProbeConfig
from llm_finetune.samples import answers_of

__all__ = ["example_lines", "report_rows"]

Row = dict[str, Any]
ASKED = ("collection", "condition", "subject", "prompt", "memorised", "stated")


def report_rows(config: ProbeConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """Rows of every model and suite, and of each relation and language of a suite that has several.

    Args:
        config: settings of the run.
        samples: rows of `llm_finetune.samples.sample_table` of all models and suites.
    """
    for suite in config.given:
        base = _values(samples, BASE, suite)
        for model in config.sources:
            shared = {"study": "probe", "system": "llm", "model": model, "suite": suite.name}
            values = _values(samples, model, suite)
            for row in detail_rows(values):
                yield {**shared, **WHOLE, **row}
            for where, some in _parts(suite, values):
                before = base[some]
                changed = () if model == BASE else change_rows(before, values[some], config.judge)
                for row in (*ability_rows(values[some], config.judge), *changed):
                    if where == WHOLE or row["group"] == "all":
                        yield {**shared, **where, **row, "answer": True}


def _parts(suite: CollectionSuite, values: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.Series]]:
    """The whole suite, then each relation and each language where there are several, with the prompts of each."""
    yield WHOLE, pd.Series(True, index=values.index)
    for what in WHOLE:
        held = values["collection"].map(lambda key, what=what: getattr(suite.members[key], what))
        for value in suite.values(what) if len(suite.values(what)) > 1 else ():
            yield {**WHOLE, what: value}, held == value


def example_lines(config: ProbeConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """What became of each prompt whose context tells the answer, for every fine-tuned model.

    Args:
        config: settings of the run.
        samples: as in `report_rows`.
    """
    for suite in config.given:
        asked, before = _firsts(samples, BASE, suite), _values(samples, BASE, suite)
        for model in list(config.sources)[1:]:
            after, now = _values(samples, model, suite), _firsts(samples, model, suite)
            for k, change in enumerate(changes(before, after, config.judge)):
                if change:
                    yield {
                        "suite": suite.name,
                        "model": model,
                        "change": change,
                        **{name: asked[name].iloc[k] for name in ASKED},
                        **{f"{name}_before": asked[name].iloc[k] for name in ("chose", "said")},
                        **{f"{name}_after": now[name].iloc[k] for name in ("chose", "said")},
                    }


def _values(samples: pd.DataFrame, model: str, suite: CollectionSuite) -> pd.DataFrame:
    by_collection = _of(samples, model, suite).groupby("collection", sort=False)
    return prompt_values({str(key): answers_of(part) for key, part in by_collection})


def _firsts(samples: pd.DataFrame, model: str, suite: CollectionSuite) -> pd.DataFrame:
    """One row for each prompt, in the order of `prompt_values`, with the candidate that it chose."""
    rows = _of(samples, model, suite)
    found = rows[rows["chosen"]].rename(columns={"candidate": "chose"}).reset_index(drop=True)
    return found.astype(object).where(found.notna(), None)


def _of(samples: pd.DataFrame, model: str, suite: CollectionSuite) -> pd.DataFrame:
    return samples[(samples["model"] == model) & (samples["suite"] == suite.name)]
