"""Gates at matched frequencies: how often training asked for a fact, or for a class of the synthetic data.

A language model that took s steps of B prompts, of which a share m have the memorised answer, was asked for a fact of
frequency f about ``s B m f`` times; a model trained on N sequences saw a class of frequency q about ``N q`` times. On
this axis the effective gates of both stand side by side.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gating.results.columns import BASE
from gating.results.parquet import read_table
from gating.results.query import last_step, select
from gating.results.table import make_table
from gating.runs.folder import TABLE, RunFolder
from llm_finetune.config import FinetuneConfig
from theory.distribution import ClassMixture
from theory.settings import SpecError, build

__all__ = ["exposure_rows", "gates_beside"]

BESIDE = ("transformer", "stylized")
Row = dict[str, Any]


def exposure_rows(config: FinetuneConfig) -> Iterator[Row]:
    """Expected number of prompts with the memorised answer, for a fact of each group, after each number of steps."""
    for run in {(run.mixture, run.exposure): run for run in config.runs}.values():
        facts = config.facts_of(run)
        groups = np.array([fact.group for fact in facts.facts])
        for step in config.training.evaluations:
            prompts = step * config.training.batch_size * (1 - run.mixture.reading - run.mixture.data)
            for group in dict.fromkeys(["all", *groups]):
                chosen = groups == group if group != "all" else np.full(len(groups), True)
                value = prompts * float(facts.frequencies[chosen].mean())
                yield {**_exposures(group, value), **run.columns, "system": "llm", "step": step}


def gates_beside(folder: str | Path) -> pd.DataFrame:
    """Effective gates of the Transformer and the stylized model, with the exposures of a class, from a finished run.

    They are those of the last step, on out-of-base sequences whose context shows the query's class.

    Args:
        folder: folder of a finished run on the class mixture, such as one of `gating compare`.

    Raises:
        SpecError: the run has no such gates, or its settings no ``distribution``.
        FolderError: the folder holds no finished run, or a damaged one.
    """
    run = RunFolder(folder)
    settings, table = run.manifest["identity"].get("config", {}), run.read(TABLE, read_table)
    where = {"system": BESIDE, "measure": "effective_gate", "distribution": "oobd", "context": "relevant"}
    found = select(table, {**where, "group": ("high", "low"), "answer": False})
    gates = last_step(found)[[column.name for column in BASE]]
    if gates.empty or "distribution" not in settings:
        raise SpecError([f"`gates` must be the folder of a `gating compare` run; '{folder}' holds no gates of classes"])
    spec = build(ClassMixture, settings["distribution"])
    classes = {"high": spec.frequencies[: spec.n_high], "low": spec.frequencies[spec.n_high :]}
    places = gates[["system", "n", "group"]].drop_duplicates().itertuples(index=False)
    rows = [{**_exposures(g, n * classes[g].mean()), "system": system, "n": n} for system, n, g in places]
    return pd.concat([gates.assign(study="finetune"), make_table(rows)], ignore_index=True)


def _exposures(group: str, value: float) -> Row:
    return {"study": "finetune", "group": group, "measure": "exposures", "kind": "exact", "value": float(value)}
