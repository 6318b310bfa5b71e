"""Page of the study `kinetics`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from gating.page.figures import Axis, Page
from gating.page.multiples import DASHED, DOTTED, Facet, Mark, Multiples, Row, Trace, YAxis
from gating.page.said import in_lines, listed
from gating.page.text_table import Block, TextTable, cross_table, whole
from gating.page.words import page_words
from gating.results.query import select
from gating.studies.kinetics.config import KineticsConfig
from gating.studies.vocabulary import CONDITIONS, GATE, GROUPS

__all__ = ["kinetics_page", "kinetics_text", "kinetics_verdict"]

WORDS = page_words("gating.studies.kinetics")
STEPS = ("emergence_step", "handover_step", "gate_step", "lost_step")
MARKED = {"emergence_step": DOTTED, "handover_step": DASHED, "lost_step": (2.0, 6.0)}
LOSS = YAxis(Axis("linear loss", -0.04, 1.04))


def _loss(label: str, distribution: str, context: str) -> Row:
    where = {"distribution": distribution, "context": context}
    return Row(f"{label}\n{CONDITIONS[distribution, context]}", where, (Trace("linear_loss"),), LOSS)


ROWS = (
    _loss("in-weight loss", "ibd", "irrelevant"),
    _loss("in-context loss", "oobd", "relevant"),
    Row("gate", {}, (Trace("mean_gate"),), GATE),
)


def _ends(rows: pd.DataFrame) -> list[int]:
    """The smallest and the largest N."""
    found = sorted(int(n) for n in rows["n"].dropna().unique())
    return sorted({found[0], found[-1]}) if found else []


def by_group_and_size(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each group and the smallest and the largest N."""
    held = set(summary["group"].dropna())
    return tuple(
        Facet(f"{name}, N = {n:,}", {"group": group, "n": n})
        for group, name in GROUPS.items()
        if group in held
        for n in _ends(summary)
    )


def _marks(table: pd.DataFrame) -> Iterator[Mark]:
    """Steps that are reached, in the panels of their curves."""
    found = select(table[table["answer"]], {"n": tuple(_ends(table)), "measure": tuple(MARKED)})
    for row in found[np.isfinite(found["value"])].itertuples(index=False):
        where = {"group": row.group, "n": row.n, "distribution": row.distribution, "context": row.context}
        yield Mark(float(row.value), WORDS.said[f"mark_{row.measure}"], where, MARKED[str(row.measure)])


def step_table(table: pd.DataFrame) -> TextTable:
    """Steps of what happens: a row for each event and group, a column for each N."""
    rows = select(table[table["answer"]], {"measure": STEPS, "group": tuple(GROUPS)}).sort_values("n", kind="stable")
    return cross_table(rows, ("what happens", "classes"),
                       lambda row: (WORDS.said[row.measure], GROUPS[row.group]),
                       lambda row: f"N={whole(row.n)}", lambda row: _step(row.value))  # fmt: skip


def _step(value: float) -> str:
    """A step; with three figures where it is small.

    Example:
        >>> _step(0.0), _step(15.612), _step(3284.4), _step(float("inf"))
        ('0', '15.6', '3,284', 'never')
    """
    return f"{value:.3g}" if value < 100 else whole(value)


def kinetics_verdict(config: KineticsConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """Of each group, when copying emerges, when weights answer, and for which N reading is lost; and what that is."""
    answers = table[table["answer"]]
    said = []
    for group, name in GROUPS.items():
        of = {measure: select(answers, {"group": group, "measure": measure}) for measure in STEPS}
        emerge, lost = of["emergence_step"], of["lost_step"]
        lost = lost[~lost["n"].isin(emerge.loc[~np.isfinite(emerge["value"]), "n"])]
        parts = [
            _range("copying emerges", "copying does not emerge", emerge),
            _range("reading the context is lost", "reading the context is not lost", lost),
            _range("weights answer in its place", "weights do not answer in its place", of["handover_step"]),
        ]
        if any(parts):
            said.append(f"{name.capitalize()}: {'; '.join(filter(None, parts))}.")
    if not said:
        said.append("The table has no step at which anything happens.")
    never = f"What is not reached in {config.steps:,} steps counts as never."
    return (*said, never, WORDS.said["model"])


def _range(reached: str, never: str, rows: pd.DataFrame) -> str:
    """At which steps something happens, and at which N it does not."""
    there, absent = (rows[np.isfinite(rows["value"]) == finite] for finite in (True, False))
    if there.empty:
        return f"{never} at any N looked at" if len(rows) else ""
    first, last = (_step(end) for end in there["value"].agg(["min", "max"]))
    when = f"at step {first}" if first == last else f"between step {first} and {last}"
    sizes = [whole(n) for n in sorted(absent["n"])]
    return f"{reached} {when}" + (f", but not at N = {listed(sizes)}" if sizes else "")


def kinetics_text(config: KineticsConfig, table: pd.DataFrame) -> str:
    """What happens when, for a terminal."""
    found = step_table(table)
    return "\n\n".join([in_lines(kinetics_verdict(config, table)), *([str(found)] if found.rows else [])])


def kinetics_page(question: str, config: KineticsConfig, table: pd.DataFrame) -> Page:
    """The page of the study `kinetics`."""
    figure: dict[str, Any] = WORDS.figures["kinetics-by-step"]
    return Page(
        title=WORDS.title,
        question=question,
        systems=(),
        figures=(Multiples(**figure, x="step", rows=ROWS, columns=by_group_and_size, theory=True,
                           marks=tuple(_marks(table))),),
        terms=WORDS.terms,
        blocks=(Block("What happens when", (("Steps", step_table(table)),)),),
        verdict=kinetics_verdict(config, table),
        results_title="Steps",
    )  # fmt: skip
