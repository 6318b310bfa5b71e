"""Answers of a model to demonstrations, made by hand: which texts it gets right after each kind of labels."""

import numpy as np
import pandas as pd

from gating.results.table import make_table
from llm_finetune.demonstrations.config import DemonstrationsConfig
from llm_finetune.demonstrations.report import report_rows

SHOTS = 2
CELLS = (("gold", 0.0, 0), ("gold", 0.0, SHOTS), ("flipped", 1.0, SHOTS), ("random", 0.0, SHOTS),
         ("abstract", 0.0, 0), ("abstract", 0.0, SHOTS))  # fmt: skip


def config_of(n_draws, n_queries):
    return DemonstrationsConfig(
        models="made", tasks="sentiment", shots=SHOTS, flips=1.0, queries=n_queries, draws=n_draws, calibration=False
    )


def samples_of(hits, sure=0.9):
    """Rows of all answers, from the texts that are right in each cell, shape (draws, texts); two labels, in turns."""
    parts = []
    for cell in CELLS:
        right = np.asarray(hits[cell])
        for draw, query in np.ndindex(right.shape):
            gold = query % 2
            law = np.full(2, 1 - sure)
            law[gold if right[draw, query] else 1 - gold] = sure
            kind, flipped, shots = cell
            count = np.zeros(2, int)
            count[1 - gold if kind == "flipped" else gold] = shots // 2
            parts += [
                {"model": "made", "task": "sentiment", "labels": kind, "flipped": flipped, "shots": shots, "draw": draw,
                 "query": query, "text": f"text {query}", "gold": gold, "candidate": f"word {k}", "right": k == gold,
                 "count": count[k], "log_prob": np.log(law[k]) - 30.0 - query, "blank": np.nan, "prompt": "Review:"}
                for k in range(2)
            ]  # fmt: skip
    return pd.DataFrame(parts)


def table_of(shares, n_draws=6, n_queries=6):
    """Settings and table of a model that gets the first texts of each label right, a share of all, in each cell."""
    first = np.arange(n_queries) // 2 < np.array([shares[cell] for cell in CELLS])[:, None] * n_queries / 2
    hits = {cell: np.tile(row, (n_draws, 1)) for cell, row in zip(CELLS, first, strict=True)}
    config = config_of(n_draws, n_queries)
    return config, make_table(report_rows(config, samples_of(hits)))
