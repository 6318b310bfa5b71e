"""One HTML page, from a `Page` and the result table alone."""

import base64
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup

from gating.page.captions import missing_systems
from gating.page.chart import columns_of, legend_of, specification
from gating.page.figures import Figure, Page, Settings
from gating.page.multiples import figures_of
from gating.page.names import in_order, system_of
from gating.results.query import last_step, seeds_phrase
from gating.results.table import summarise
from gating.settings.text import flat

__all__ = ["CITATION", "PAGE", "chart_data", "chart_script", "svg", "write_page"]

PAGE = "report.html"
LARGEST_PARQUET = 600_000  # bytes of a summary that the page holds; a larger one stands beside it alone
CITATION = (
    "Chan, Chen, György and Schuurmans, Toward Understanding In-context vs. In-weight Learning, ICLR 2025 "
    "(arXiv:2410.23042); Wurgaft and others, In-Context Learning Strategies Emerge Rationally, NeurIPS 2025 "
    "(arXiv:2506.17859); and this toolkit, icl-gating, with its version and commit."
)


def svg(figure: Figure) -> str:
    """A figure as SVG text, which is the same for the same figure."""
    text, names = str(vl_convert.vegalite_to_svg(specification(figure, "paper"))), dict[str, str]()
    named = r'((?:id="|url\(#)(?:clip|gradient_))(\d+)'  # counted on from chart to chart
    return re.sub(named, lambda at: at[1] + names.setdefault(at[2], str(len(names))), text) + "\n"


@cache
def chart_script(*names: str) -> str:
    """What draws charts in a browser, and what lets a reader touch them; then other scripts of this package."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    files = resources.files("gating.page")
    own = "".join((files / name).read_text(encoding="utf-8") for name in ("charts.js", *names))
    return f"{{{bundle}}}\n{own}"


def write_page(
    page: Page, table: pd.DataFrame, settings: Settings, environment: Mapping[str, Any], command: str = ""
) -> str:
    """A page as HTML text, which needs no other file and no network.

    Args:
        page: what is shown.
        table: rows of the schema of `gating.results`, all of one study.
        settings: resolved settings of the run, nested as in its config file.
        environment: versions and machine that the run ran on.
        command: the command that makes the same run.

    Raises:
        ValueError: when the table has no row, or none measured for a page of measured systems.
    """
    if table.empty or (page.systems and not (table["kind"] == "measured").any()):
        raise ValueError("`table` must have at least one measured row; got none")
    summary = summarise(table[~table["answer"]])
    figures, undrawn = figures_of(page, summary, settings)
    script = chart_script("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    engine = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    files = resources.files("gating.page")
    measured = table.loc[table["kind"] == "measured", "system"]
    known = in_order(measured.dropna(), page.systems) if page.systems else []
    made = " ".join(
        f"{name} {environment[name]}," for name in ("icl-gating", "commit", "date") if environment.get(name)
    )
    return engine.from_string((files / "page.html.j2").read_text(encoding="utf-8")).render(
        study=page,
        figures=figures,
        undrawn=undrawn,
        systems=[(system_of(key).name, system_of(key).role) for key in known],
        missing=missing_systems(page.systems, table),
        seeds=sorted(int(seed) for seed in table["seed"].dropna().unique()),
        interval=f"{seeds_phrase(summary)} {page.intervals}".strip(),
        settings=list(_told(settings)),
        environment=list(_told(environment)),
        command=command,
        made=f"Made by {made.rstrip(',')}." if made else "",
        citation=CITATION,
        style=Markup((files / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=Markup(f"'sha256-{digest}'"),
        data=Markup(_held(figures, summary)),
    )


def _held(figures: tuple[Figure, ...], summary: pd.DataFrame) -> str:
    """What the page's script reads: JSON, packed, so that no text of the data is in the page."""
    buffer = io.BytesIO()
    last_step(summary).to_parquet(buffer, index=False, compression="zstd")
    table = buffer.getvalue()
    parquet = base64.b64encode(table).decode() if len(table) <= LARGEST_PARQUET else None
    text = json.dumps(
        {"figures": [*map(chart_data, figures)], "parquet": parquet}, separators=(",", ":"), allow_nan=False
    )
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def chart_data(figure: Figure) -> dict[str, Any]:
    """A figure as the scripts that draw it take it."""
    return {
        "name": figure.name,
        "spec": specification(figure, "page"),
        "points": {name: _coded(column) for name, column in columns_of(figure).items()},
        "legend": legend_of(figure),
        "heading": figure.legend,
        "panels": [
            {"row": panel.row.replace("\n", ", "), "column": panel.column.replace("\n", ", ")}
            for panel in figure.panels
        ],
        "steps": list(figure.steps),
    }


def _coded(column: list[Any]) -> Any:
    """A column of words as its distinct values and their places; numbers as they are."""
    if not any(isinstance(value, str) for value in column):
        return column
    distinct = {value: place for place, value in enumerate(dict.fromkeys(column))}
    return {"of": list(distinct), "at": [distinct[value] for value in column]}


def _told(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and text, in their order."""
    for name, value in flat(settings):
        listed = ", ".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)
        yield name, "not set" if value is None else listed
