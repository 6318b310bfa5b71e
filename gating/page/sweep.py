"""Page of a sweep: what a study found at each setting side by side, and its first figure at each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from gating.page.figures import Block, Figure, Page
from gating.page.text_table import TextTable, with_ends
from gating.results.columns import measure
from gating.results.query import select
from gating.results.table import key_names

__all__ = ["answer_blocks", "sweep_page", "sweep_verdict"]

MOST_FIGURES = 12
"""Settings whose figures are drawn; those beyond stand in the tables."""

MOST_TOLD = 4
"""Settings whose first sentence stands in the verdict."""

MOST_COLUMNS = 8
"""Settings that stand side by side; more stand below each other."""

Values = Mapping[str, Any]


def sweep_page(question: str, settings: Sequence[tuple[Values, Page, tuple[Figure, ...]]], table: pd.DataFrame) -> Page:
    """The page of a sweep.

    Args:
        question: what is asked.
        settings: values, page and figures of each setting.
        table: rows of all settings, answers included.
    """
    first, over = settings[0][1], list(settings[0][0])
    figures = [
        replace(figures[0], name=f"setting-{number}-{figures[0].name}", title=f"{figures[0].title} ({_label(values)})")
        for number, (values, _, figures) in enumerate(settings[:MOST_FIGURES])
        if figures
    ]
    title = f"{first.title}, over {' and '.join(over)}"
    return replace(first, title=title, question=question, figures=tuple(figures), every_row=None,
                   blocks=answer_blocks([values for values, _, _ in settings], table), verdict=sweep_verdict(settings),
                   results_title="What was found at each setting")  # fmt: skip


def sweep_verdict(settings: Sequence[tuple[Values, Page, tuple[Figure, ...]]]) -> tuple[str, ...]:
    """The first sentence of each setting's own verdict, for the first and the last settings."""
    told = [(values, page.verdict[0]) for values, page, _ in settings if page.verdict]
    shown = told if len(told) <= MOST_TOLD else [*told[: MOST_TOLD - 1], told[-1]]
    left = len(told) - len(shown)
    rest = (f"Of {left} more settings the tables below tell.",) if left else ()
    return (*(f"At {_label(values)}: {sentence}" for values, sentence in shown), *rest)


def answer_blocks(settings: Sequence[Values], table: pd.DataFrame) -> tuple[Block, ...]:
    """A table for each measure that was found: a row for each setting, a column for each thing it was found of."""
    answers, over = table[table["answer"]], list(settings[0])
    keys = [name for name in key_names(answers) if name not in (*over, "study", "measure", "answer", "seed")]
    blocks = []
    for name, found in answers.groupby("measure", sort=False):
        meaning = measure(str(name)).meaning
        shown = [key for key in keys if found[key].notna().any()]
        telling = [key for key in shown if found[key].nunique(dropna=False) > 1] or shown[:1]
        columns = list(dict.fromkeys(found[telling].itertuples(index=False, name=None)))
        cells = [_cells(select(found, values), telling) for values in settings]
        things = [[" ".join("" if pd.isna(part) else str(part) for part in column).strip()] for column in columns]
        grid = [[mine.get(_key(column), "") for mine in cells] for column in columns]
        at = [list(map(str, values.values())) for values in settings]
        if len(settings) > max(MOST_COLUMNS, len(columns)):  # a row for each setting
            header = (*over, *(thing.replace(" ", "\n") for [thing] in things))
            rows = [(*values, *column) for values, column in zip(at, zip(*grid, strict=True), strict=True)]
        else:
            header = (" and ".join(over), *("\n".join(values) for values in at))
            rows = [(*thing, *line) for thing, line in zip(things, grid, strict=True)]
        blocks.append(Block(meaning[:1].upper() + meaning[1:], (("", TextTable(header, tuple(rows))),)))
    return tuple(blocks)


def _cells(rows: pd.DataFrame, telling: Sequence[str]) -> dict[tuple[Any, ...], str]:
    """Value and interval of each thing."""
    ends = rows[["value", "low", "high"]].itertuples(index=False, name=None)
    keys = rows[list(telling)].itertuples(index=False, name=None)
    return {_key(key): with_ends(*map(float, end)) for key, end in zip(keys, ends, strict=True)}


def _key(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if pd.isna(value) else value for value in values)


def _label(values: Values) -> str:
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in values.items())
