"""One HTML page and its plots, from a `Page` and the result table alone."""

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from gating.page.captions import caption, missing_systems
from gating.page.draw import IN_CONTEXT_THEORY, IN_WEIGHT_THEORY, PAPER, UNDECIDED, draw, panels
from gating.page.figures import Drawing, FigureSpec, Page, Settings
from gating.page.names import INK, in_order, system_of
from gating.results.query import seeds_phrase
from gating.results.table import summarise

__all__ = ["PAGE", "write_page"]

PAGE = "report.html"

PAGE_COLOURS = {
    INK: "--ink",
    PAPER: "--paper",
    "#dcdce0": "--grid",
    IN_WEIGHT_THEORY: "--theory-weights",
    IN_CONTEXT_THEORY: "--theory-context",
    UNDECIDED: "--undecided",
}
"""Colours of the plots that follow the reader's light or dark mode on the page."""


def inline(figure: Drawing) -> Markup:
    """The SVG as an element of the page: its own ids, colours that follow the page, no document head."""
    svg = figure.svg[figure.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{figure.name}-", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    return Markup(svg)


def inches(figure: Drawing) -> float:
    """Width that a figure was drawn at."""
    found = re.search(r'width="([\d.]+)pt"', figure.svg)
    return float(found.group(1)) / 72 if found else 10.0


def write_page(page: Page, table: pd.DataFrame, settings: Settings, environment: Mapping[str, Any]) -> dict[str, str]:
    """``report.html``, which needs no other file and no network, and ``plots/*.svg``, as text by file name.

    Args:
        page: what is shown.
        table: rows of the schema of `gating.results`, all of one study.
        settings: resolved settings of the run, nested as in its config file.
        environment: versions and machine that the run ran on.

    Raises:
        ValueError: when the table has no row, or none measured for a page of measured systems.
    """
    if table.empty or (page.systems and not (table["kind"] == "measured").any()):
        raise ValueError("`table` must have at least one measured row; got none")
    summary = summarise(table[~table["answer"]])
    figures = [(spec.title, _drawing(spec, page.systems, summary, settings)) for spec in page.figures]
    plots = [figure for _, figure in figures if figure]
    source = (resources.files("gating.page") / "page.html.j2").read_text(encoding="utf-8")
    engine = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    engine.filters |= {"inline": inline, "inches": inches}
    measured = table.loc[table["kind"] == "measured", "system"]
    html = engine.from_string(source).render(
        study=page,
        plots=plots,
        undrawn=[title for title, figure in figures if not figure],
        colours={variable: colour for colour, variable in PAGE_COLOURS.items()},
        systems=[system_of(key) for key in in_order(measured.dropna(), page.systems)] if page.systems else [],
        missing=missing_systems(page.systems, table),
        seeds=sorted(int(seed) for seed in table["seed"].dropna().unique()),
        interval=f"{seeds_phrase(summary)} {page.intervals}".strip(),
        settings=list(_flat(settings)),
        environment=list(_flat(environment)),
    )
    return {**{f"plots/{plot.name}.svg": plot.svg for plot in plots}, PAGE: html}


def _drawing(
    spec: FigureSpec | Drawing, systems: tuple[str, ...], summary: pd.DataFrame, settings: Settings
) -> Drawing | None:
    """The figure, drawn; None where the table has no rows for it."""
    if isinstance(spec, Drawing):
        return spec
    shown = panels(spec, summary)
    if shown is None:
        return None
    return Drawing(spec.name, spec.title, draw(spec, shown, settings), caption(spec, systems, shown, settings))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and text, in their order."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ", ".join(str(item) for item in value)
        else:
            yield f"{prefix}{name}", "not set" if value is None else str(value)
