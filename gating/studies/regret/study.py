"""The study `regret`: gates that learn round by round, and what their bounds allow them."""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from gating.gates import find_gate
from gating.page.figures import Page
from gating.results.columns import declare_from
from gating.results.query import last_step, select
from gating.results.table import summarise
from gating.runs.executor import Part
from gating.runs.store import Place
from gating.runs.study import Study
from gating.studies.regret.config import RegretConfig
from gating.studies.regret.page import regret_page, regret_text
from gating.studies.regret.run import PREDICTORS, ROWS, keep_gate, keep_predictors

__all__ = ["Regret"]

declare_from("gating.studies.regret")


class Regret(Study[RegretConfig]):
    """How far is an online gate from the better predictor of each class, and how far do the bounds let it be?"""

    config = RegretConfig

    def inputs(self, config: RegretConfig, say: Callable[[str], None]) -> Mapping[str, Path | bytes]:
        """Files of gates that are not the project's own; a gate of an interactive session has none."""
        modules = {name: find_gate(name).__module__ for name in config.gates}
        files = {name: getattr(sys.modules[module], "__file__", None) for name, module in modules.items()
                 if not module.startswith("gating.")}  # fmt: skip
        return {f"the file of gate `{name}`": Path(file) for name, file in files.items() if file}

    def parts(self, config: RegretConfig) -> Iterator[Part]:
        """g and h first, then every gate learner on their losses."""
        yield Part(PREDICTORS, partial(keep_predictors, config))
        for loss in config.losses:
            for name in config.gates_of(loss):
                yield Part(f"gates/{loss}-{name}", partial(keep_gate, config, loss, name), after=(PREDICTORS,))

    def rows(self, config: RegretConfig, work: Place) -> pd.DataFrame:
        """Regrets, gates and totals of every seed."""
        return pd.concat([work.of(part.name).table(ROWS) for part in self.parts(config)], ignore_index=True)

    def answers(self, config: RegretConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Regret, bound, their ratio and total losses at the last round, over seeds and all cells."""
        last = select(last_step(table), {"group": "all"})
        return summarise(last).drop(columns=["seeds", "over"])

    def memory(self, config: RegretConfig) -> float:
        """Rounds of all seeds, some ten numbers each, twice, and a gate's state in every cell."""
        wealth = 8.0 * config.n_rounds * config.n_seeds * (20 + 2 * len(config.temperatures))
        return wealth + 64.0 * config.n_seeds * config.n_cells * (len(config.records) + config.n_rounds**0.5)

    def page(self, config: RegretConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Regrets against rounds, and paths of the gates."""
        return regret_page(self.question(), table)

    def text(self, config: RegretConfig, table: pd.DataFrame) -> str:
        """Regrets and totals."""
        return regret_text(table)
