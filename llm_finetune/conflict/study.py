"""The study `conflict`; what needs torch and transformers is imported where it computes, which help does without."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gating.page.figures import Page
from gating.runs.calls import study_function
from llm_finetune.asking import AskingStudy
from llm_finetune.conflict.config import ConflictConfig
from llm_finetune.conflict.page import conflict_page, conflict_text
from llm_finetune.conflict.suite import FILES
from llm_finetune.suites import suite_files

__all__ = ["Conflict", "conflict_study"]


class Conflict(AskingStudy[ConflictConfig]):
    """What does a language model answer when its context contradicts what it knows, and which gate helps?"""

    config = ConflictConfig
    positionals = ("models",)
    several = True

    def asked(self, config: ConflictConfig) -> Mapping[str, Path | bytes]:
        """The files of the suite."""
        return {f"`suite` ({file.name})": file for file in suite_files("conflict", config.suite, **FILES)}

    def page(self, config: ConflictConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Who wins, by confidence and by size, every gate, and examples."""
        return conflict_page(self.question(), config, table, beside)

    def text(self, config: ConflictConfig, table: pd.DataFrame) -> str:
        """Who wins, and every gate."""
        return conflict_text(config, table)


conflict_study = study_function(Conflict())
