"""The study `probe`; what needs torch and transformers is imported where it computes, which help does without."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from gating.page.figures import Page
from gating.runs.calls import study_function
from llm_finetune.asking import AskingStudy
from llm_finetune.probe.config import BASE, ProbeConfig, called
from llm_finetune.probe.page import probe_page, probe_text

__all__ = ["Probe", "probe_study"]


class Probe(AskingStudy[ProbeConfig]):
    """What did a fine-tune gain from its weights, and what did it lose in context?"""

    config = ProbeConfig
    positionals = ("base", "tuned")
    several = True

    def asked(self, config: ProbeConfig) -> Mapping[str, Path | bytes]:
        """The collections of every suite."""
        return {
            f"`suites` {suite.name}" + f" ({key})" * (key != suite.name): member.text.encode()
            for suite in config.given
            for key, member in suite.members.items()
        }

    def setting(self, name: str) -> str:
        """The base, or a fine-tuned model."""
        return called(name)

    def whole(self, config: ProbeConfig) -> Sequence[str]:
        """The base alone."""
        return [BASE]

    def page(self, config: ProbeConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Abilities and their changes, and examples of each kind of change."""
        return probe_page(self.question(), config, table, beside)

    def text(self, config: ProbeConfig, table: pd.DataFrame) -> str:
        """What was gained and lost, and every ability of every model."""
        return probe_text(config, table)


probe_study = study_function(Probe())
