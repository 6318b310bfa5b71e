"""The study `crossover`: predicted, counted and trained N* of rare classes, over their frequency."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import Estimate, Study
from gating.studies.crossover import run
from gating.studies.crossover.answers import answer_rows
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import theory_rows
from gating.studies.crossover.page import crossover_page, crossover_text

__all__ = ["Crossover"]


class Crossover(Study[CrossoverConfig]):
    """At which number N* of training sequences do weights take over a rare class, and is N* inverse to its frequency?

    Theory says so; N* is measured of counted labels and of Transformers.
    """

    config = CrossoverConfig

    def check(self, config: CrossoverConfig, resources: Resources) -> None:
        """Asks theory first, so that nothing is trained where it refuses."""
        theory_rows(config)

    def parts(self, config: CrossoverConfig) -> Iterator[Part]:
        """All Transformers at once, labels counted for each `p_high`, and measures of each `p_high` and N."""
        yield Part(run.TRAINED, partial(run.train, config), wide=True, kept=True)
        for spec in config.settings:
            yield Part(f"count/{spec.p_high}", partial(run.keep_counts, config, spec))
        for first, replica in list(enumerate(config.replicas))[:: config.n_seeds]:
            name = f"measure/{replica.distribution.p_high}-{replica.n_sequences}"
            yield Part(name, partial(run.keep_measures, config, first), after=(run.TRAINED,))

    def rows(self, config: CrossoverConfig, work: Place) -> pd.DataFrame:
        """Predicted N*, and the measured curves that cross."""
        names = [part.name for part in self.parts(config) if not part.kept]
        return pd.concat([make_table(theory_rows(config)), *(work.of(name).table(run.ROWS) for name in names)])

    def answers(self, config: CrossoverConfig, table: pd.DataFrame) -> pd.DataFrame:
        """N* of every onset and its slope in the frequency, and both over what theory predicts."""
        return make_table(answer_rows(table))

    def memory(self, config: CrossoverConfig) -> float:
        """Of training, or of measuring on every core."""
        return run.memory(config)

    def estimate(self, config: CrossoverConfig, resources: Resources) -> Estimate:
        """From a few steps of one group."""
        return run.estimate(config, resources)

    def page(self, config: CrossoverConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Predicted and measured N* over the frequency, and the curves that cross."""
        return crossover_page(self.question(), table)

    def text(self, config: CrossoverConfig, table: pd.DataFrame) -> str:
        """Predicted and measured N*, their ratios and slopes."""
        return crossover_text(table)
