"""Page of the study `images`."""

from collections.abc import Iterator

import pandas as pd

from gating.page.figures import Page
from gating.page.multiples import Multiples, Trace
from gating.page.said import interval, listed
from gating.page.words import page_words
from gating.results.query import last_step, select
from gating.results.table import summarise
from gating.studies import vocabulary as words
from gating.studies.compare.page import by_group, compare_page, compare_text, comparison_figures
from gating.studies.compare.verdict import compare_verdict
from gating.studies.images.config import ImagesConfig

__all__ = ["images_page", "images_text", "images_verdict"]

WORDS = page_words("gating.studies.images")
NEVER_SHOWN = (
    ("unseen_ibd", "relevant"),
    ("unseen_ibd", "irrelevant"),
    ("unseen_oobd", "relevant"),
    ("new_ibd", "relevant"),
)
"""Test conditions of images that training never showed."""

SAID = {
    ("ibd", "irrelevant"): "on exemplars of training without help of the context",
    ("unseen_ibd", "irrelevant"): "on exemplars it never saw without that help",
    ("new_ibd", "relevant"): "on classes it never saw, shown in the context,",
}


def images_verdict(config: ImagesConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What `compare` says of its systems, and what the Transformer does with images that it never saw."""
    summary = last_step(summarise(table[~table["answer"]]))
    mine = select(summary, {"system": "transformer", "measure": "error", "kind": "measured", "group": "all"})
    said = []
    for (distribution, context), where in SAID.items():
        found = select(mine, {"distribution": distribution, "context": context})
        if len(found):
            said.append(f"{where} {interval(found.sort_values('n').iloc[-1].to_dict())}")
    known = [f"At N = {int(mine['n'].max()):,}, the Transformer errs {listed(said)}."] if said else []
    return (*compare_verdict(config, table), *known)


def _figures(table: pd.DataFrame) -> Iterator[Multiples]:
    first, *others = comparison_figures(table, WORDS.figures, theory=False)
    yield first
    columns, rows = words.conditions(*NEVER_SHOWN), by_group(words.ERROR, Trace("error"))
    yield Multiples(**WORDS.figures["never-shown-by-n"], x="n", columns=columns, rows=rows)
    yield from others


def images_page(question: str, config: ImagesConfig, table: pd.DataFrame) -> Page:
    """The page of the study `images`."""
    verdict, figures = images_verdict(config, table), tuple(_figures(table))
    return compare_page(question, config, table, verdict=verdict, texts=WORDS, figures=figures, theory=False)


def images_text(config: ImagesConfig, table: pd.DataFrame) -> str:
    """What the study `images` prints."""
    return compare_text(config, table, images_verdict(config, table))
