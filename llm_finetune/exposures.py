"""How often training asked for a fact with its own answer.

A language model that took s steps of B prompts, of which a share m have the memorised answer, was asked for a fact of
frequency f about ``s B m f`` times; a model trained on N sequences saw a class of frequency q about ``N q`` times. On
this axis the study `handover` lays the gates of both side by side.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from llm_finetune.config import FinetuneConfig

__all__ = ["exposure_rows"]


def exposure_rows(config: FinetuneConfig) -> Iterator[dict[str, Any]]:
    """Expected number of prompts with the memorised answer, for a fact of each group, after each number of steps."""
    for run in {(run.mixture, run.exposure): run for run in config.runs}.values():
        facts = config.facts_of(run)
        groups = np.array([fact.group for fact in facts.facts])
        for step in config.training.evaluations:
            prompts = step * config.training.batch_size * run.mixture.memorised
            for group in dict.fromkeys(["all", *groups]):
                chosen = groups == group if group != "all" else np.full(len(groups), True)
                value = prompts * float(facts.frequencies[chosen].mean())
                yield {"study": "finetune", "system": "llm", "step": step, "group": group, "measure": "exposures",
                       "kind": "exact", "value": value, **run.columns}  # fmt: skip
