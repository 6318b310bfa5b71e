"""Some test texts with what a model answers after each kind of labels, from the table of all answers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from llm_finetune.demonstrations.config import DemonstrationsConfig

__all__ = ["example_lines"]

EACH = 2  # test texts of each label, from the first draw


def example_lines(config: DemonstrationsConfig, samples: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A line for each model, task, kind of labels and of a few test texts, after most demonstrations and after none.

    Args:
        config: settings of the run.
        samples: rows of `llm_finetune.demonstrations.bench.ask` of all models and tasks.
    """
    before = (samples["shots"] == 0) & (samples["labels"] == "gold")  # words that mean nothing are not known yet
    first = samples[(samples["draw"] == 0) & (before | (samples["shots"] == config.shots[-1]))]
    places = first.drop_duplicates(["model", "task", "query"]).groupby(["model", "task", "gold"]).head(EACH)
    chosen = first.merge(places[["model", "task", "query"]])
    keys = ["model", "task", "labels", "flipped", "shots", "query"]
    for _, rows in chosen.groupby(keys, sort=False):
        law = np.exp(rows["log_prob"] - np.logaddexp.reduce(rows["log_prob"]))
        best = rows.loc[law.idxmax()]
        yield {
            **best[["model", "task", "flipped", "shots", "text", "prompt"]].to_dict(),
            "labels": best["labels"] if best["shots"] else "none",
            "right": rows.loc[rows["right"], "candidate"].iloc[0],
            "chosen": best["candidate"],
            "probability": float(law.max()),
        }
