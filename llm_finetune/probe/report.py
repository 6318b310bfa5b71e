"""Rows of the study `probe`, and what became of each prompt, from the table of all answers."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from llm_finetune.abilities import ability_rows, change_rows, changes, detail_rows, prompt_values
from llm_finetune.probe.config import BASE, ProbeConfig
from llm_finetune.samples import answers_of

__all__ = ["example_lines", "report_rows"]

Row = dict[str, Any]
ASKED = ("condition", "subject", "prompt", "memorised", "stated")


def report_rows(config: ProbeConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """Rows of every model and collection.

    Args:
        config: settings of the run.
        samples: rows of `llm_finetune.samples.sample_table` of all models and collections.
    """
    for collection in config.collections:
        base = _values(samples, BASE, collection)
        for model in config.models:
            shared = {"study": "probe", "system": "llm", "model": model, "collection": collection}
            values = _values(samples, model, collection)
            for row in detail_rows(values):
                yield {**shared, **row}
            for row in ability_rows(values, config.judge):
                yield {**shared, **row, "answer": True}
            for row in change_rows(base, values, config.judge) if model != BASE else ():
                yield {**shared, **row, "answer": True}


def example_lines(config: ProbeConfig, samples: pd.DataFrame) -> Iterator[Row]:
    """What became of each prompt whose context tells the answer, for every fine-tuned model.

    Args:
        config: settings of the run.
        samples: as in `report_rows`.
    """
    for collection in config.collections:
        asked, before = _firsts(samples, BASE, collection), _values(samples, BASE, collection)
        for model in list(config.models)[1:]:
            after, now = _values(samples, model, collection), _firsts(samples, model, collection)
            for k, change in enumerate(changes(before, after, config.judge)):
                if change:
                    yield {
                        "collection": collection,
                        "model": model,
                        "change": change,
                        **{name: asked[name].iloc[k] for name in ASKED},
                        **{f"{name}_before": asked[name].iloc[k] for name in ("chose", "said")},
                        **{f"{name}_after": now[name].iloc[k] for name in ("chose", "said")},
                    }


def _values(samples: pd.DataFrame, model: str, collection: str) -> pd.DataFrame:
    return prompt_values(answers_of(_of(samples, model, collection)))


def _firsts(samples: pd.DataFrame, model: str, collection: str) -> pd.DataFrame:
    """One row for each prompt, in the order of `prompt_values`, with the candidate that it chose."""
    rows = _of(samples, model, collection)
    found = rows[rows["chosen"]].rename(columns={"candidate": "chose"}).reset_index(drop=True)
    return found.astype(object).where(found.notna(), None)


def _of(samples: pd.DataFrame, model: str, collection: str) -> pd.DataFrame:
    return samples[(samples["model"] == model) & (samples["collection"] == collection)]
