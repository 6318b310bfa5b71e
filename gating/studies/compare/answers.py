"""What the comparison finds: certified phases, and where curves over N cross, predicted and measured."""

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gating.evaluation.crossing import crossing
from gating.results.intervals import geometric_mean_interval
from gating.results.query import last_step, select
from gating.studies.compare.config import CompareConfig
from theory.crossovers import crossover
from theory.curves import risk_rows
from theory.phases import Comparison, RiskBounds

__all__ = ["CROSSINGS", "GATED", "LOSSES", "Crossing", "crossing_rows", "phase_rows", "predicted_rows", "theory_rows"]

Row = dict[str, Any]
LOSSES = ("error", "log_loss")
AS_TRAINED = ("ibd", "as_trained")
GATED = ("transformer", "stylized", "stylized_frozen")


class Crossing(NamedTuple):
    """Where a curve over N falls to a level for good.

    Args:
        measure: measure of the answer.
        curve: measure of the curve.
        where: distribution and context of its rows.
        systems: whose curves.
        level: the level, or the system whose own curve is.
        rises: whether it rises to the level in place of falling.
    """

    measure: str
    curve: str
    where: tuple[str, str]
    systems: tuple[str, ...]
    level: float | str
    rises: bool = False


CROSSINGS = (
    *(Crossing(f"crossover_{loss}", f"expected_{loss}", AS_TRAINED, ("tabular", "in_weight"), "in_context")
      for loss in LOSSES),
    Crossing("crossover_gate", "effective_gate", ("oobd", "relevant"), GATED, 0.5, rises=True),
    Crossing("crossover_error_level", "error", ("ibd", "irrelevant"), ("tabular", "in_weight", *GATED), 0.5),
)  # fmt: skip
"""The crossings that are looked for: of risks, of gates and of in-weight errors. Of risks theory predicts N*, of the
tabular error it has the curve, and of gates it says nothing."""


@lru_cache(maxsize=4)  # asked for before a run, and at its end
def theory_rows(config: CompareConfig) -> tuple[Row, ...]:
    """Exact risks and bounds for the study's data and training-set sizes, on clean inputs."""
    return tuple(risk_rows(config.distribution, list(config.n_sequences), cover_classes=config.cover_classes))


@lru_cache(maxsize=4)
def predicted_rows(config: CompareConfig) -> tuple[Row, ...]:
    """N from which label counts are at least as good as copying, contexts as trained, exact and between bounds."""
    rows: list[Row] = []
    groups = [group for group in ("high", "low") if len(config.distribution.group(group))]
    for loss, group in product(LOSSES, groups):
        compare = Comparison(loss, "as_trained", cover_classes=config.cover_classes)
        found = crossover(config.distribution, group, compare)
        ends = {"lower": found.earliest, "exact": found.exact, "upper": found.latest}
        place = _place("theory", AS_TRAINED, group, f"crossover_{loss}") | {"against": "copying"}
        rows += [{**place, "kind": kind, "value": value} for kind, value in ends.items() if not math.isnan(value)]
    return tuple(rows)


def phase_rows(table: pd.DataFrame) -> Iterator[Row]:
    """Certified phase of each N and group, contexts as trained, from the bounds in the table."""
    ends = (("any_in_weight", "lower"), ("tabular", "upper"), ("copying", "lower"), ("copying", "upper"))
    for loss in LOSSES:
        where = {"distribution": "ibd", "context": "as_trained", "measure": loss, "kind": ("lower", "upper")}
        bounds = select(table, where).pivot(index=["group", "n"], columns=["system", "kind"], values="value")
        phases = RiskBounds(*(bounds[end].to_numpy(np.float64) for end in ends)).phases
        for (group, n), phase in zip(bounds.index, phases, strict=True):
            yield {**_place("theory", AS_TRAINED, group, f"phase_{loss}"), "n": n, "kind": "exact", "value": phase}


def crossing_rows(table: pd.DataFrame) -> Iterator[Row]:
    """Every one of `CROSSINGS` at the last step, by system and group: the geometric mean over seeds of where each
    seed's curve crosses, interpolated on ln N. Where no seed crosses among the sizes measured it is 0 if all are past
    the level from the first, infinite if none gets there, else missing."""
    last = last_step(table)
    for sought in CROSSINGS:
        distribution, context = sought.where
        where = {"distribution": distribution, "context": context, "measure": sought.curve, "group": ("high", "low")}
        held, level = select(last, where), sought.level
        curves = select(held, {"system": sought.systems, "kind": ("measured", "exact")})
        for (kind, system, group), rows in curves.groupby(["kind", "system", "group"], sort=False):
            if isinstance(level, str):
                excess = _by_seed(rows) - _by_seed(select(held, {"system": level, "kind": kind, "group": group}))
            else:
                excess = (_by_seed(rows) - level) * (-1 if sought.rises else 1)
            excess = excess.dropna(axis=1, how="all")
            if excess.shape[1] > 1:
                study = table["study"].iloc[0]
                place = _place(system, sought.where, group, sought.measure) | {"study": study}
                place["against" if isinstance(level, str) else "level"] = level
                yield {**place, "kind": kind, **_found(excess, kind)}


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Values by seed and N; those of no seed in one row."""
    return rows.assign(seed=rows["seed"].fillna(0)).pivot(index="seed", columns="n", values="value")


def _found(excess: pd.DataFrame, kind: Any) -> Row:
    of_seed = crossing(excess.columns.to_numpy(np.float64), excess.to_numpy(np.float64))
    mean, known = geometric_mean_interval(of_seed), of_seed[~np.isnan(of_seed)]
    alike = known[0] if len(known) and len(np.unique(known)) == 1 else math.nan  # 0 or infinite in every seed
    ends = {"value": mean.value if mean.seeds else alike, "low": mean.low, "high": mean.high}
    counts = {"reached": mean.seeds, "already": (known == 0).sum(), "seeds": len(known)}
    return ends | counts if kind == "measured" else ends


def _place(system: Any, where: tuple[str, str], group: Any, measure: str) -> Row:
    return {"study": "compare", "system": system, "distribution": where[0], "context": where[1], "group": group,
            "measure": measure}  # fmt: skip
