"""What online gates came to, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gating.page.names import in_order, system_of
from gating.page.said import Row, few_seeds, listed, sized
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.intervals import Interval, mean_interval
from gating.results.query import last_step, select
from gating.results.table import summarise
from gating.studies.regret.config import LOSSES

__all__ = ["LEARNERS", "WORDS", "learners", "regret_verdict"]

WORDS = page_words("gating.studies.regret")
LEARNERS = tuple(key for key in WORDS.systems if key != "best_partition")
"""The project's online gates in the order of legends and tables."""

BEST = "best_partition"


def learners(table: pd.DataFrame) -> tuple[str, ...]:
    """The project's online gates, then others that a table has, by name."""
    return tuple(in_order([*LEARNERS, *table["system"][table["measure"].str.startswith("gate_")]], LEARNERS))


def regret_verdict(table: pd.DataFrame) -> tuple[str, ...]:
    """For each loss: who paid least, beside the better predictor; whether regrets keep their bounds; of what regret is.

    Args:
        table: rows of the study, answers included.
    """
    last = select(table, {"answer": True, "group": "all"})
    rows = select(last_step(table[~table["answer"]]), {"group": "all", "context": "as_trained", "kind": "measured"})
    said = [sentence for loss in LOSSES for sentence in _of_loss(table, last, rows, loss)]
    ratios = last[last["measure"].str.startswith("regret_ratio_")]
    over = [_name(key) for key in dict.fromkeys(ratios.loc[ratios["value"] > 1 + 1e-9, "system"])]
    if len(ratios):
        said.append(f"Regret above its bound: {listed(over)}." if over else "Every regret is within its bound.")
    return (*said, *few_seeds(table))


def _of_loss(table: pd.DataFrame, last: pd.DataFrame, rows: pd.DataFrame, loss: str) -> Iterator[str]:
    """Who paid least of the gates by a loss, beside the better predictor of each cell."""
    mine = select(rows, {"measure": f"total_{loss}"})
    totals = {row["system"]: row for row in summarise(mine).to_dict("records")} if len(mine) else {}
    gates = [key for key in learners(table) if key in totals]
    if not gates or BEST not in totals:
        return
    least = min(gates, key=lambda key: float(totals[key]["value"]))
    yield (
        f"By {measure_of(loss).meaning}, {_name(least)} paid least of the gates after {int(table['step'].max()):,} "
        f"rounds, {sized(totals[least])}: {_beside(mine, least)} the better predictor of each cell, chosen in "
        f"hindsight ({sized(totals[BEST])})."
    )
    regrets = select(last, {"measure": f"regret_{loss}", "kind": "measured"})
    yield from _other_loss(dict(zip(regrets["system"], regrets["value"], strict=True)), totals, gates)


def _beside(totals: pd.DataFrame, gate: str) -> str:
    """Whether a gate paid less or more than the better predictor, over seeds, which share their rounds."""
    paid = totals.pivot_table("value", "seed", "system")
    beyond: Interval = mean_interval(paid[gate].to_numpy(np.float64) - paid[BEST].to_numpy(np.float64))
    certain = "less than" if beyond.high < 0 else "more than" if beyond.low > 0 else ""
    return certain or "neither less nor more, for certain, than"


def _other_loss(regrets: Mapping[str, float], totals: Mapping[Any, Row], gates: list[str]) -> Iterator[str]:
    """A warning about gates whose regret is of another loss than their total: of the mixture of both losses."""
    beyond = {key: totals[key]["value"] - totals[BEST]["value"] for key in gates if key in regrets}
    others = [key for key, more in beyond.items() if abs(regrets[key] - more) > 0.01 * max(abs(regrets[key]), 1.0)]
    if others:
        worst = max(others, key=lambda key: regrets[key])
        yield (
            f"{listed([_name(key) for key in others])}: what they pay is the mixture of the two predictors' losses, "
            f"never less than the loss of the mixed prediction. So a regret of {regrets[worst]:,.0f} does not "
            f"contradict a total of {totals[worst]['value']:,.0f}."
        )


def _name(key: Any) -> str:
    return system_of(str(key)).name
