"""The study `compare`: theory, stylized models and Transformers side by side on the class mixture."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.executor import Part, Resources
from gating.runs.store import Place
from gating.runs.study import Estimate, Study
from gating.studies.compare.answers import crossing_rows, phase_rows, predicted_rows, theory_rows
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.costs import estimated, memory
from gating.studies.compare.measure import ROWS, keep_rows, measured_in
from gating.studies.compare.page import compare_page, compare_text
from gating.studies.compare.systems import ENSEMBLES, keep_trained, trained_in
from gating.studies.vocabulary import refusals

__all__ = ["Compare"]


class Compare(Study[CompareConfig]):
    """When do theory, stylized models and Transformers answer from weights, and when from context?"""

    config = CompareConfig

    def check(self, config: CompareConfig, resources: Resources) -> None:
        """Asks theory first, so that data which it refuses is not trained on."""
        with refusals():
            theory_rows(config)
            predicted_rows(config)

    def parts(self, config: CompareConfig) -> Iterator[Part]:
        """Ensembles, the gate over frozen predictors after these; then each training-set size."""
        trained = tuple(map(trained_in, ENSEMBLES))
        for ensemble, needed in ENSEMBLES.items():
            work = partial(keep_trained, config, ensemble)
            yield Part(trained_in(ensemble), work, after=tuple(map(trained_in, needed)), wide=True, kept=True)
        for n in config.n_sequences:
            yield Part(measured_in(n), partial(keep_rows, config, n), after=trained)

    def rows(self, config: CompareConfig, work: Place) -> pd.DataFrame:
        """Measures of every system, step and seed, and exact risks and bounds."""
        measured = [work.of(measured_in(n)).table(ROWS) for n in config.n_sequences]
        theory = make_table({"study": "compare", **row} for row in theory_rows(config))
        return pd.concat([*measured, theory], ignore_index=True)

    def answers(self, config: CompareConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Certified phases and crossings."""
        return make_table(chain(phase_rows(table), predicted_rows(config), crossing_rows(table)))

    def memory(self, config: CompareConfig) -> float:
        """The Transformers in training, or their answers."""
        return memory(config)

    def estimate(self, config: CompareConfig, resources: Resources) -> Estimate:
        """From a few steps of one group of each ensemble, and one checkpoint measured."""
        return estimated(config, resources)

    def page(self, config: CompareConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Errors, losses and gates against N and over steps, phases and crossings."""
        return compare_page(self.question(), config, table)

    def text(self, config: CompareConfig, table: pd.DataFrame) -> str:
        """Errors at the last step, and crossings."""
        return compare_text(config, table)
