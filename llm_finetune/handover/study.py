"""The study `handover`: reads finished runs and trains nothing; it needs neither torch nor transformers."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.calls import study_function
from gating.runs.executor import Part, Resources
from gating.runs.folder import TABLE
from gating.runs.store import Place
from gating.runs.study import PAGE_BYTES, Estimate, Study
from llm_finetune.handover.answers import answer_rows
from llm_finetune.handover.config import HandoverConfig
from llm_finetune.handover.page import handover_page, handover_text
from llm_finetune.handover.runs import joined_rows, read_source

__all__ = ["Handover", "handover_study"]

ROWS = "rows"
"""Part, and table in it, with the rows that runs have to give."""

SECONDS = 20.0  # of intervals and of a page


class Handover(Study[HandoverConfig]):
    """Do a language model, a Transformer and a stylized model hand over from context to weights when theory says?"""

    config = HandoverConfig
    positionals = ("runs",)
    several = True

    def inputs(self, config: HandoverConfig, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """The table and the settings of every run."""
        found: dict[str, Path | bytes] = {}
        for folder in config.runs:
            source = read_source(folder)
            found[f"`runs` {folder} ({TABLE})"] = Path(folder) / TABLE
            found[f"`runs` {folder} (settings)"] = json.dumps(source.identity["config"], sort_keys=True).encode()
        return found

    def check(self, config: HandoverConfig, resources: Resources) -> None:
        """Looks whether runs belong together, with a memory-only run for each system."""
        joined_rows(map(read_source, config.runs))

    def parts(self, config: HandoverConfig) -> Iterator[Part]:
        """Rows of all runs."""
        yield Part(ROWS, partial(_keep_rows, config))

    def rows(self, config: HandoverConfig, work: Place) -> pd.DataFrame:
        """Measured gates, errors and margins, and what memory alone misses, by how often training asked."""
        return make_table(work.of(ROWS).table(ROWS))

    def answers(self, config: HandoverConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Predicted gates, errors of predictions and baselines, and where weights take over."""
        return make_table(answer_rows(table))

    def estimate(self, config: HandoverConfig, resources: Resources) -> Estimate:
        """Reading tables, and drawing seeds."""
        return Estimate(SECONDS, self.memory(config), 2 * PAGE_BYTES)

    def page(self, config: HandoverConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
        """Predicted and measured gates of every system, side by side."""
        return handover_page(self.question(), config, table)

    def text(self, config: HandoverConfig, table: pd.DataFrame) -> str:
        """What came out, and the tables."""
        return handover_text(config, table)


def _keep_rows(config: HandoverConfig, place: Place, resources: Resources) -> None:
    place.save_table(ROWS, joined_rows(map(read_source, config.runs)))


handover_study = study_function(Handover())
