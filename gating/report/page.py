"""One HTML page and its plots, from the result table alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from gating.evaluation.table import summarise
from gating.files import write_text
from gating.report.bounds import BOUNDS
from gating.report.captions import caption, missing_systems
from gating.report.compare import COMPARE
from gating.report.crossover import CROSSOVER
from gating.report.draw import PAPER, THEORY_COLOURS, draw, panels
from gating.report.figures import Block, FigureSpec, MapSpec, Settings, Study
from gating.report.finetune import FINETUNE
from gating.report.names import INK, in_order, system_of
from gating.report.phase_map import PHASE_COLOURS, draw_map
from gating.report.phases import PHASES
from gating.report.query import seeds_phrase
from gating.report.regret import REGRET
from gating.report.strategies import STRATEGIES
from gating.report.tables import summary_table

__all__ = ["STUDIES", "short_table", "write_report"]

STUDIES: dict[str, Study] = {
    "compare": COMPARE,
    "crossover": CROSSOVER,
    "bounds": BOUNDS,
    "phases": PHASES,
    "regret": REGRET,
    "finetune": FINETUNE,
    "strategies": STRATEGIES,
}
"""Pages by study name, the value of the column ``study``."""

PAGE_COLOURS = {
    INK: "--ink",
    PAPER: "--paper",
    "#dcdce0": "--grid",
    THEORY_COLOURS["in_weight"]: "--theory-weights",
    THEORY_COLOURS["in_context"]: "--theory-context",
    PHASE_COLOURS[0]: "--undecided",
}
"""Colours of the plots that follow the reader's light or dark mode on the page."""


@dataclass(frozen=True)
class Plot:
    """A drawn figure on the page."""

    name: str
    title: str
    svg: str
    sentences: list[str]

    @property
    def inline(self) -> Markup:
        """The SVG as an element of the page: its own ids, colours that follow the page, no document head."""
        svg = self.svg[self.svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
        svg = re.sub(r' id="', f' id="{self.name}-', svg)
        svg = re.sub(r'href="#', f'href="#{self.name}-', svg)
        svg = svg.replace("url(#", f"url(#{self.name}-")
        for colour, variable in PAGE_COLOURS.items():
            svg = svg.replace(colour, f"var({variable})")
        return Markup(svg)

    @property
    def inches(self) -> float:
        """Width the figure was drawn at."""
        found = re.search(r'width="([\d.]+)pt"', self.svg)
        return float(found.group(1)) / 72 if found else 10.0


def write_report(folder: Path, table: pd.DataFrame, settings: Settings, environment: Mapping[str, Any]) -> list[Path]:
    """Writes ``report.html``, which needs no other file and no network, and ``plots/*.svg``; each file atomically.

    Args:
        folder: where the files go; made if it is not there.
        table: rows of the schema of `gating.evaluation.table`, all of one study.
        settings: resolved settings of the run, nested as in its config file.
        environment: versions and machine that the run ran on.

    Returns:
        The files written, the page last.

    Raises:
        ValueError: when the table has no row, or none measured for a study that measures, or its study has no page.
    """
    study = _study_of(table)
    summary = summarise(table)
    drawings, blocks = study.by_seed(table, settings)
    plots, undrawn = _plots(study, summary, settings)
    plots = [*(Plot(*drawing) for drawing in drawings), *plots]
    blocks = [*blocks, *study.results(summary, settings), *study.beside(folder)]
    files = [folder / "plots" / f"{plot.name}.svg" for plot in plots]
    for path, plot in zip(files, plots, strict=True):
        write_text(path, plot.svg)
    page = folder / "report.html"
    write_text(page, _render(study, table, summary, plots, undrawn, blocks, settings, environment))
    return [*files, page]


def short_table(table: pd.DataFrame) -> str:
    """The main numbers of a result table as text for a terminal.

    Raises:
        ValueError: as `write_report` does.
    """
    return _study_of(table).text(table)


def _study_of(table: pd.DataFrame) -> Study:
    names = sorted(table["study"].dropna().unique())
    study = STUDIES.get(names[0]) if len(names) == 1 else None
    if table.empty or (study and study.systems and not (table["kind"] == "measured").any()):
        raise ValueError("`table` must have at least one measured row; got none")
    if study is None:
        raise ValueError(f"`table` must hold one study among {sorted(STUDIES)}; got {names}")
    return study


def _plots(study: Study, summary: pd.DataFrame, settings: Settings) -> tuple[list[Plot], list[str]]:
    """Figures that the table has rows for, and titles of the others."""
    plots, undrawn = [], []
    for spec in study.figures:
        plot = _map(spec, summary, settings) if isinstance(spec, MapSpec) else _curves(spec, study, summary, settings)
        if plot is None:
            undrawn.append(spec.title)
        else:
            plots.append(plot)
    return plots, undrawn


def _map(spec: MapSpec, summary: pd.DataFrame, settings: Settings) -> Plot | None:
    svg = draw_map(spec, summary, settings)
    return Plot(spec.name, spec.title, svg, [spec.look]) if svg else None


def _curves(spec: FigureSpec, study: Study, summary: pd.DataFrame, settings: Settings) -> Plot | None:
    shown = panels(spec, summary)
    if shown is None:
        return None
    return Plot(spec.name, spec.title, draw(spec, shown, settings), caption(spec, study.systems, shown, settings))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and text, in their order."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ", ".join(str(item) for item in value)
        else:
            yield f"{prefix}{name}", "not set" if value is None else str(value)


def _render(
    study: Study,
    table: pd.DataFrame,
    summary: pd.DataFrame,
    plots: list[Plot],
    undrawn: list[str],
    blocks: list[Block],
    settings: Settings,
    environment: Mapping[str, Any],
) -> str:
    source = (resources.files("gating.report") / "page.html.j2").read_text(encoding="utf-8")
    engine = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    measured = table.loc[table["kind"] == "measured", "system"]
    return engine.from_string(source).render(
        study=study,
        plots=plots,
        undrawn=undrawn,
        colours={variable: colour for colour, variable in PAGE_COLOURS.items()},
        systems=[system_of(key) for key in in_order(measured, study.systems)],
        missing=missing_systems(study.systems, summary),
        seeds=sorted(int(seed) for seed in table["seed"].dropna().unique()),
        interval=f"{seeds_phrase(summary)} {study.intervals}".strip(),
        settings=list(_flat(settings)),
        environment=list(_flat(environment)),
        blocks=blocks,
        full=summary_table(summary) if study.all_rows else None,
    )
