"""The study that this package adds to the command ``gating``; found there by its entry point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from gating.studies.catalogue import RunOptions, Study, trained_in_folder
from llm_finetune.config import FinetuneConfig

__all__ = ["FINETUNE", "FinetuneOptions"]


@dataclass(frozen=True)
class FinetuneOptions(RunOptions):
    """Where and how a study runs; nothing here changes its result.

    Args:
        out: folder of the run; the same folder and settings go on with an interrupted run.
        device: where models train; ``auto`` takes a GPU when there is one.
        workers: threads of torch on the CPU; 0 takes the cores that are free.
        json: print the last rows as JSON in place of a text table; `--json` alone means true.
        again: remove what a former run left in `out` and run anew; `--again` alone means true.
        keep_models: keep the fine-tuned models in the folder, for `from_pretrained` to open.
    """

    out: str = "runs/finetune"
    keep_models: bool = False


def _run(*arguments: Any, **how: Any) -> pd.DataFrame:
    """Starts the study; what it imports takes seconds, which help and checks of settings do without."""
    from llm_finetune.study import run_finetune

    return run_finetune(*arguments, **how)


def _kept(config: FinetuneConfig, how: FinetuneOptions) -> pd.DataFrame:
    return trained_in_folder(partial(_run, keep_models=how.keep_models))(config, how)


FINETUNE = Study(FinetuneConfig, FinetuneOptions, _kept)
"""Fine-tuning of language models."""
