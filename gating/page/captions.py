"""Sentences under a figure: what to look at, how its intervals were made, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from gating.page.figures import Settings
from gating.page.names import in_order, system_of
from gating.page.text_table import whole
from gating.results.query import seeds_phrase, select, steps_phrase

if TYPE_CHECKING:
    from gating.page.multiples import Facet, Mark, Multiples, Row

__all__ = ["Shown", "caption", "missing_systems"]


class Shown(NamedTuple):
    """What a figure shows of a table: its panels, their rows together, and what it has no rows for."""

    panels: tuple[tuple[Row, Facet], ...]
    data: pd.DataFrame
    absent: tuple[str, ...]


def missing_systems(systems: tuple[str, ...], data: pd.DataFrame) -> list[str]:
    """Names of the declared systems without a measured row."""
    measured = set(data.loc[data["kind"] == "measured", "system"])
    return [system_of(key).name for key in in_order(set(systems) - measured, systems)]


def caption(
    spec: Multiples, systems: tuple[str, ...], shown: Shown, settings: Settings, within: Sequence[bool]
) -> list[str]:
    """Caption of a figure, sentence after sentence; the first says what to look at.

    Args:
        spec: the figure.
        systems: systems that the study compares, for a figure that does not name its own.
        shown: what is drawn.
        settings: resolved settings of the run.
        within: for each vertical line of the figure, whether it lies in the drawn range.
    """
    data = shown.data
    traces = {trace.measure for row, _ in shown.panels for trace in row.traces if not trace.suffix}
    main = select(data, {"measure": tuple(traces), "kind": "measured"})
    sentences = [spec.look]
    if not main.empty:
        sentences += filter(None, [seeds_phrase(main)])
    if spec.x == "n" and not main.empty:
        sentences.append(f"Measured {steps_phrase(main)}.")
    if spec.theory and not (data["kind"] != "measured").any():
        sentences.append("The table has no theory rows: none are drawn.")
    elif spec.note:
        sentences.append(spec.note)
    sentences += _reference_sentences(shown, settings)
    sentences += _mark_sentences(spec.marks, shown, within)
    absent = [*missing_systems(spec.systems or systems, data), *shown.absent]
    if absent:
        sentences.append(f"Not in the table, so not drawn: {'; '.join(absent)}.")
    return sentences


def _reference_sentences(shown: Shown, settings: Settings) -> list[str]:
    """One sentence for each reference line, with its value."""
    found = {row.y.reference_name: row.y.reference(settings) for row, _ in shown.panels if row.y.reference}
    return [
        f"The dotted line is {name}: {value:.3g}."
        if value is not None
        else f"The line of {name} is left out: the settings do not give the number of classes."
        for name, value in found.items()
    ]


def _mark_sentences(marks: tuple[Mark, ...], shown: Shown, within: Sequence[bool]) -> list[str]:
    """Where the vertical lines stand, and which are left out because they lie outside the drawn range."""
    found: dict[tuple[bool, str], list[str]] = {}
    for mark, inside in zip(marks, within, strict=True):
        places = [
            row.label for row, facet in shown.panels if mark.where.items() <= {**row.where, **facet.where}.items()
        ]
        said = [f"{place.replace(chr(10), ', ')} {whole(mark.at)}" for place in dict.fromkeys(places)]
        found.setdefault((inside, mark.name), []).extend(said)
    return [
        f"{'Vertical line' if inside else 'Outside the drawn range, so without a line'}: {name}: {', '.join(places)}."
        for (inside, name), places in found.items()
        if places
    ]
