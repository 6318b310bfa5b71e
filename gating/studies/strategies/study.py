"""The study `strategies`: Transformers that memorize their training tasks or generalize, and the gate between."""

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
from gating.studies.strategies.config import StrategiesConfig
from gating.studies.strategies.ensemble import TRAINED, train
from gating.studies.strategies.estimate import estimate_of, memory_of
from gating.studies.strategies.fit import FIT, keep_fit, measured_in
from gating.studies.strategies.outputs import keep_outputs
from gating.studies.strategies.page import strategies_page
from gating.studies.strategies.page_tables import strategies_text
from gating.studies.strategies.transitions import times_over_seeds

__all__ = ["Strategies"]


class Strategies(Study[StrategiesConfig]):
    """Does a Transformer memorize its training tasks or generalize, when, and does a loss-complexity gate predict it?

    Gates are fitted to the answers of all models together, so agreement, parameters, exponents and thresholds are found
    in the part that has these answers; what is found over seeds alone is made from the table.
    """

    config = StrategiesConfig

    def parts(self, config: StrategiesConfig) -> Iterator[Part]:
        """All Transformers, then the answers of each, then the gates between M and G."""
        yield Part(TRAINED, partial(train, config), wide=True, kept=True)
        measuring = [measured_in(index) for index in range(len(config.replicas))]
        for index, name in enumerate(measuring):
            yield Part(name, partial(keep_outputs, config, index), after=(TRAINED,))
        yield Part(FIT, partial(keep_fit, config), after=tuple(measuring), wide=True)

    def rows(self, config: StrategiesConfig, work: Place) -> pd.DataFrame:
        """What each model and seed does, and what gates fitted to all of them find."""
        return work.of(FIT).table(FIT)

    def answers(self, config: StrategiesConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Transition times of each width and task diversity, over seeds."""
        return make_table({"study": "strategies", "context": "as_trained", **row} for row in times_over_seeds(table))

    def memory(self, config: StrategiesConfig) -> float:
        """States of all Transformers, what some hold while they answer, and the answers of all."""
        return memory_of(config)

    def estimate(self, config: StrategiesConfig, resources: Resources) -> Estimate:
        """From the time of a few steps of the widest Transformer."""
        return estimate_of(config, resources)

    def page(self, config: StrategiesConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Maps and paths of the strategy, transition times, and agreement of every gate."""
        return strategies_page(self.question(), config, table)

    def text(self, config: StrategiesConfig, table: pd.DataFrame) -> str:
        """Agreement of the posterior, its parameters, exponents and thresholds."""
        return strategies_text(table)
