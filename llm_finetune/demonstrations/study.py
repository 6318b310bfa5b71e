"""The study `demonstrations`; what needs torch and transformers is imported where it computes."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pandas as pd

from gating.page.figures import Page
from gating.runs.calls import study_function
from llm_finetune.asking import AskingStudy
from llm_finetune.demonstrations.config import DemonstrationsConfig
from llm_finetune.demonstrations.page import demonstrations_page, demonstrations_text
from llm_finetune.demonstrations.tasks import task_files

__all__ = ["Demonstrations", "demonstrations_study"]


class Demonstrations(AskingStudy[DemonstrationsConfig]):
    """Does a language model follow the labels of the demonstrations in its context, or what it knew before?"""

    config = DemonstrationsConfig
    positionals = ("models",)
    several = True

    def asked(self, config: DemonstrationsConfig) -> Mapping[str, Path | bytes]:
        """The files of every task."""
        return {f"`tasks` {source} ({file.name})": file for source in config.tasks for file in task_files(source)}

    def pieces(self, config: DemonstrationsConfig) -> Mapping[str, tuple[str, ...]]:
        """Each model's answers about each task."""
        numbered = product(enumerate(config.sources), enumerate(config.named_tasks))
        return {f"model/{k}/{j}": (model, task) for (k, model), (j, task) in numbered}

    def page(self, config: DemonstrationsConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Accuracy over demonstrations, the curve of flips, recognition and learning, and examples."""
        return demonstrations_page(self.question(), config, table, beside)

    def text(self, config: DemonstrationsConfig, table: pd.DataFrame) -> str:
        """What demonstrations do, and accuracy after each kind of labels."""
        return demonstrations_text(config, table)


demonstrations_study = study_function(Demonstrations())
