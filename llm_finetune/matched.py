"""Gates at matched frequencies: how often training asked for a fact, or for a class of the synthetic data.

A language model that took s steps of B prompts, of which a share m have the memorised answer, was asked for a fact of
frequency f about ``s B m f`` times; a model trained on N sequences saw a class of frequency q about ``N q`` times. On
this axis the effective gates of both stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from gating.evaluation.measures import Row
from gating.evaluation.table import make_table
from gating.report.query import at_last_step, select
from gating.settings import load_settings
from gating.studies.folder import FolderError, StudyFolder
from llm_finetune.collection import Collection
from llm_finetune.mixtures import Mixture
from theory.distribution import ClassMixture

__all__ = ["exposure_rows", "gates_beside"]

BESIDE = ("transformer", "stylized")


def exposure_rows(
    collection: Collection, mixture: Mixture, setting: str | None, steps: Iterable[int], batch_size: int
) -> Iterator[Row]:
    """Expected number of prompts with the memorised answer, for a fact of each group, after each number of steps.

    Args:
        collection: the facts.
        mixture: the training prompts.
        setting: what the column `setting` says.
        steps: numbers of steps.
        batch_size: prompts per step.
    """
    groups = np.array([fact.group for fact in collection.facts])
    for step in steps:
        prompts = step * batch_size * (1 - mixture.reading)
        for group in dict.fromkeys(["all", *groups]):
            chosen = groups == group if group != "all" else np.full(len(groups), True)
            value = prompts * float(collection.frequencies[chosen].mean())
            yield {**_exposures(group, value), "system": "llm", "step": step, "setting": setting}


def gates_beside(folder: str | Path) -> pd.DataFrame:
    """Effective gates of the Transformer and the stylized model, with the exposures of a class, from a finished run.

    They are those of the last step, on out-of-base sequences whose context shows the query's class.

    Args:
        folder: folder of a finished `gating compare` run.

    Raises:
        FolderError: the folder holds no such run.
    """
    run = StudyFolder(Path(folder))
    settings = run.settings()
    if settings.get("study") != "compare":
        raise FolderError(f"`gates` must be the folder of a `gating compare` run; '{folder}' holds another study")
    where = {"system": BESIDE, "measure": "effective_gate", "distribution": "oobd", "context": "relevant"}
    gates = at_last_step(select(run.read_table(), {**where, "group": ("high", "low")}))
    spec = load_settings(ClassMixture, list(settings["distribution"].items()))
    classes = {"high": spec.frequencies[: spec.n_high], "low": spec.frequencies[spec.n_high :]}
    places = gates[["system", "n", "group"]].drop_duplicates().itertuples(index=False)
    rows = [{**_exposures(g, n * classes[g].mean()), "system": system, "n": n} for system, n, g in places]
    return pd.concat([make_table(gates.assign(study="finetune")), make_table(rows)], ignore_index=True)


def _exposures(group: str, value: float) -> Row:
    return {"study": "finetune", "group": group, "measure": "exposures", "kind": "exact", "value": float(value)}
