"""Questions to the result table: which rows, at which step, for which N, over how many seeds."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

__all__ = ["few_sizes", "find_setting", "first_of", "last_step", "ordered", "seeds_phrase", "select", "sizes",
           "steps_phrase"]  # fmt: skip


def select(summary: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Rows whose columns equal the given values, or are among them where a tuple is given.

    Example:
        >>> rows = pd.DataFrame({"n": [64, 128, 256], "value": [0.3, 0.2, 0.1]})
        >>> select(rows, {"n": (64, 256)})["value"].tolist()
        [0.3, 0.1]
    """
    keep = pd.Series(True, index=summary.index)
    for column, wanted in where.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        keep &= summary[column].isin(values)
    return summary[keep]


def first_of(summary: pd.DataFrame, **where: Any) -> pd.Series | None:
    """The first row whose columns equal the given values; None where there is none.

    Example:
        >>> rows = pd.DataFrame({"n": [64, 128], "value": [0.3, 0.2]})
        >>> first_of(rows, n=128)["value"].item(), first_of(rows, n=1)
        (0.2, None)
    """
    found = select(summary, where)
    return None if found.empty else found.iloc[0]


def ordered(rows: pd.DataFrame, columns: list[str], order: Iterable[str]) -> pd.DataFrame:
    """Rows sorted by columns of words, the first of which counts most; words that are not in `order` stand last.

    Example:
        >>> ordered(pd.DataFrame({"group": ["low", "high"]}), ["group"], ["high", "low"])["group"].tolist()
        ['high', 'low']
    """
    rank = {word: place for place, word in enumerate(order)}
    return rows.sort_values(columns, key=lambda words: words.map(lambda word: rank.get(word, len(rank))), kind="stable")


def last_step(summary: pd.DataFrame) -> pd.DataFrame:
    """Rows of each system's last step at each N; rows without a step (theory, counts) are kept."""
    last = summary.groupby(["system", "n"], dropna=False)["step"].transform("max")
    return summary[summary["step"].isna() | (summary["step"] == last).fillna(False)]


def sizes(summary: pd.DataFrame) -> list[int]:
    """Numbers of training sequences with a measured row, ascending."""
    return sorted(int(n) for n in summary.loc[summary["kind"] == "measured", "n"].dropna().unique())


def few_sizes(summary: pd.DataFrame) -> list[int]:
    """The smallest, the middle and the largest N (fewer where there are fewer)."""
    found = sizes(summary)
    return sorted({found[0], found[len(found) // 2], found[-1]}) if found else []


def find_setting(settings: Mapping[str, Any], name: str) -> Any:
    """First value called `name` in nested settings, outermost first; None where there is none.

    Example:
        >>> find_setting({"steps": 100, "data": {"n_high": 5}}, "n_high")
        5
    """
    if name in settings:
        return settings[name]
    nested = (find_setting(value, name) for value in settings.values() if isinstance(value, Mapping))
    return next((value for value in nested if value is not None), None)


def seeds_phrase(summary: pd.DataFrame) -> str:
    """How the interval of these rows was made, in words; nothing of measured rows that are of no seed."""
    if (summary["kind"] == "measured").any() and (summary["seeds"] == 0).all():
        return ""
    seeds = summary.loc[(summary["kind"] == "measured") & (summary["seeds"] > 0), "seeds"]
    if seeds.empty:
        return "No measured rows."
    fewest, most = int(seeds.min()), int(seeds.max())
    if most == 1:
        return "One seed: an interval, where there is one, is over its test sequences alone."
    span = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"Mean over {span} seeds, with its 95% interval."


def steps_phrase(summary: pd.DataFrame) -> str:
    """After how many optimizer steps these rows were measured, in words."""
    steps = sorted(int(step) for step in summary["step"].dropna().unique())
    return "after " + " or ".join(f"{step:,}" for step in steps) + " steps" if steps else "after training"
