"""Sentences under a figure: what to look at, how its intervals were made, and what is missing."""

import pandas as pd

from gating.page.draw import Panels
from gating.page.figures import FigureSpec, Settings
from gating.page.names import in_order, system_of
from gating.page.text_table import whole
from gating.results.query import seeds_phrase, select, steps_phrase

__all__ = ["caption", "missing_systems"]


INTERVALS = {"n": "Points, set slightly apart at each N, and bars", "step": "Curves and shading"}


def missing_systems(systems: tuple[str, ...], data: pd.DataFrame) -> list[str]:
    """Names of the declared systems without a measured row."""
    measured = set(data.loc[data["kind"] == "measured", "system"])
    return [system_of(key).name for key in in_order(set(systems) - measured, systems)]


def caption(spec: FigureSpec, systems: tuple[str, ...], shown: Panels, settings: Settings) -> list[str]:
    """Caption of a figure, sentence after sentence; the first says what to look at.

    Args:
        spec: the figure.
        systems: systems that the study compares, for a figure that does not name its own.
        shown: panels that are drawn.
        settings: resolved settings of the run.
    """
    data = shown.data
    drawn = {trace.measure for row in shown.rows for trace in row.traces if not trace.suffix}
    main = select(data, {"measure": tuple(drawn), "kind": "measured"})
    sentences = [spec.look]
    if not main.empty:
        mark = f"{INTERVALS[spec.x]}: " if int(main["seeds"].max()) > 1 else ""
        interval = seeds_phrase(main)
        sentences.append(mark + (interval[:1].lower() + interval[1:] if mark else interval))
    if spec.x == "n" and not main.empty:
        sentences.append(f"Measured {steps_phrase(main)}.")
    if spec.theory and not (data["kind"] != "measured").any():
        sentences.append("The table has no theory rows: none are drawn.")
    elif spec.note:
        sentences.append(spec.note)
    sentences += _reference_sentences(shown, settings)
    sentences += _mark_sentences(spec, shown)
    absent = [*missing_systems(spec.systems or systems, data), *shown.absent]
    if absent:
        sentences.append(f"Not in the table, so not drawn: {'; '.join(absent)}.")
    return sentences


def _reference_sentences(shown: Panels, settings: Settings) -> list[str]:
    """One sentence for each reference line, with its value."""
    found = {row.axis.reference_name: row.axis.reference(settings) for row in shown.rows if row.axis.reference}
    return [
        f"The dotted line is {name}: {value:.3g}."
        if value is not None
        else f"The line of {name} is left out: the settings do not give the number of classes."
        for name, value in found.items()
    ]


def _mark_sentences(spec: FigureSpec, shown: Panels) -> list[str]:
    """Where the vertical lines stand, and which are left out because they lie outside the drawn range."""
    found: dict[tuple[bool, str], list[str]] = {}
    for mark in spec.marks:
        rows = dict.fromkeys(shown.rows[i].label for i, _ in shown.places(mark))
        places = [f"{row.replace(chr(10), ', ')} {whole(mark.at)}" for row in rows]
        found.setdefault((shown.spans(mark, spec.x), mark.name), []).extend(places)
    return [
        f"{'Vertical line' if inside else 'Outside the drawn range, so without a line'}: {name}: {', '.join(places)}."
        for (inside, name), places in found.items()
        if places
    ]
