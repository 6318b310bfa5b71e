"""Rows of the committed tables of `gating compare`, as its page and its sweeps name them."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pandas as pd

from docs.tables.cells import cell, said
from docs.tables.committed import table
from docs.tables.pages import computed
from gating.page.text_table import number
from gating.results.intervals import mean_interval
from gating.results.query import select

__all__ = ["COPIED", "GROUPS", "KNOWN", "MEASURED", "NAMES", "apart", "conditions", "course", "error_cell", "headings",
           "holds", "of_seeds", "over_seeds", "said_error"]  # fmt: skip

GROUPS = {"high": "frequent", "low": "rare"}
COPIED = {"distribution": "oobd", "context": "relevant"}
"""Out of base with a relevant context: only the context tells."""
KNOWN = {"distribution": "ibd", "context": "irrelevant"}
"""In base with an irrelevant context: only weights tell."""
NAMES = {"oobd": "out of base, relevant", "ibd": "in base, irrelevant"}
MEASURED = {"kind": "measured", "answer": False}


def conditions() -> Iterator[tuple[Mapping[str, str], str]]:
    """Both conditions with both groups of classes, in the order of the columns."""
    yield from ((where, group) for where in (COPIED, KNOWN) for group in GROUPS)


def headings() -> Iterator[str]:
    """Their names."""
    yield from (f"{NAMES[where['distribution']]}, {GROUPS[group]}" for where, group in conditions())


def error_cell(name: str, where: Mapping[str, str], group: str, **others: Any) -> str:
    """Error of a table in a condition and a group."""
    return cell(name, measure="error", group=group, **where, **MEASURED, **others)


def said_error(
    where: Mapping[str, str], group: str, n: int, system: str = "transformer", measure: str = "error"
) -> str:
    """Error, or another measure, of a system at the paper's sizes, in a sentence."""
    return said("paper", 2, measure=measure, group=group, n=n, system=system, **where, **MEASURED)


@cache
def course(name: str, measure: str, distribution: str, group: str, n: int) -> pd.DataFrame:
    """What the Transformer does over training: a row for each step, a column for each seed."""
    place = COPIED if distribution == COPIED["distribution"] else KNOWN
    where = {"system": "transformer", "measure": measure, "n": n, "group": group}
    return select(table(name), where | place | MEASURED).pivot_table(index="step", columns="seed", values="value")


def of_seeds(name: str, **place: Any) -> pd.Series:
    """A measure of the Transformer at the last step, or at that of the place, for each seed; an error by default."""
    rows = select(table(name), {"measure": "error", "system": "transformer"} | MEASURED | place)
    return rows[rows["step"] == rows["step"].max()].set_index("seed")["value"]


def over_seeds(values: pd.Series, low: float = 0) -> str:
    """Mean of some seeds' errors, gates or differences, with its interval."""
    return number(*map(float, mean_interval(values.to_numpy(float), low=low, high=1)[:3]), 2)


def apart(first: pd.Series, second: pd.Series) -> str:
    """The mean over the seeds of both of the second less the first, with its interval."""
    return computed(over_seeds((second - first).dropna(), low=-1))


def holds(found: Mapping[str, Any], published: str) -> bool:
    """Whether a published value lies inside the interval of a row."""
    return bool(found["low"] <= float(published) <= found["high"])
