"""Page of a sweep: what a study found at each setting side by side, and its first figure at each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from gating.page.figures import Block, Drawing, Facet, FigureSpec, Page
from gating.page.text_table import TextTable, with_ends
from gating.results.columns import measure
from gating.results.query import select
from gating.results.table import key_names

__all__ = ["answer_blocks", "sweep_page"]

MOST_FIGURES = 12
"""Settings whose figures are drawn; those beyond stand in the tables."""

MOST_COLUMNS = 8
"""Settings that stand side by side; more stand below each other."""

Values = Mapping[str, Any]


def sweep_page(question: str, pages: Sequence[tuple[Values, Page]], table: pd.DataFrame) -> Page:
    """The page of a sweep.

    Args:
        question: what is asked.
        pages: values and page of each setting.
        table: rows of all settings, answers included.
    """
    first, over = pages[0][1], list(pages[0][0])
    figures = [_of_setting(number, values, page.figures[0])
               for number, (values, page) in enumerate(pages[:MOST_FIGURES]) if page.figures]  # fmt: skip
    blocks = answer_blocks([values for values, _ in pages], table)
    title = f"{first.title}, over {' and '.join(over)}"
    return replace(first, title=title, question=question, figures=tuple(figures), blocks=blocks, every_row=None,
                   results_title="What was found at each setting")  # fmt: skip


def _of_setting(number: int, values: Values, figure: FigureSpec | Drawing) -> FigureSpec | Drawing:
    """A figure that shows one setting alone."""
    name, title = f"setting-{number}-{figure.name}", f"{figure.title} ({_label(values)})"
    if isinstance(figure, Drawing):
        return figure._replace(name=name, title=title)
    columns = figure.columns

    def facets(summary: pd.DataFrame) -> tuple[Facet, ...]:
        mine = select(summary, values)
        return tuple(Facet(facet.label, {**facet.where, **values}) for facet in columns(mine))

    marks = tuple(mark._replace(where={**mark.where, **values}) for mark in figure.marks)
    return replace(figure, name=name, title=title, columns=facets, marks=marks)


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
