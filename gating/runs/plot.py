"""One figure of a finished run: as a chart that can be touched in a notebook, or as a file for a paper."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import vl_convert

from gating.page.chart import specification
from gating.page.figures import Figure
from gating.page.multiples import figures_of
from gating.page.page import svg
from gating.results.parquet import read_table
from gating.results.table import summarise
from gating.runs.catalogue import find_study
from gating.runs.engine import texts_beside
from gating.runs.errors import FolderError
from gating.runs.files import write_bytes
from gating.runs.folder import TABLE, RunFolder
from theory.settings import build

if TYPE_CHECKING:
    import altair

__all__ = ["ENDINGS", "figures_in", "plot", "save_plot"]

ENDINGS = (".svg", ".png", ".json")
MIME_TYPE = "application/vnd.vegalite.v6+json"
PIXELS = 2.0
"""Pixels of a PNG file for each of a screen."""


def plot(results: Any, name: str = "") -> altair.ConcatChart:
    """A figure of a study's page, as a chart: hover, zoom, and in a notebook a legend that filters.

    Args:
        results: folder of a finished run, a table that a study's function has returned, or a `Figure`.
        name: name of the figure; the page's first where it is empty.

    Raises:
        ValueError: there is no such figure, or the table does not say which settings it is of.
        FolderError: the folder holds no finished run.

    Example:
        >>> import gating
        >>> chart = gating.plot(gating.bounds(n_sequences=[16, 64, 256]), "error-by-n")
        >>> chart.to_dict()["title"]["text"]
        'Error (0-1 loss) against the number of training sequences N'
        >>> gating.plot(gating.bounds(), "error")
        Traceback (most recent call last):
        ...
        ValueError: `name` must be one of ['error-by-n', 'log-loss-by-n']; got 'error'
    """
    chart: altair.ConcatChart = _chart_class().from_dict(specification(_figure(results, name), "notebook"))
    return chart


@cache
def _chart_class() -> type[altair.ConcatChart]:
    """Charts that a notebook shows by itself where it knows Vega-Lite, and by a script from the network where not."""
    import altair

    class Chart(altair.ConcatChart):
        def _repr_mimebundle_(self, *include: Any, **exclude: Any) -> Any:
            shown = super()._repr_mimebundle_(*include, **exclude)
            return {**shown, MIME_TYPE: self.to_dict()} if isinstance(shown, dict) else shown

    return Chart


def save_plot(results: Any, name: str, file: str | Path) -> Path:
    """Writes a figure of a study's page as an SVG or PNG file, or as the Vega-Lite specification of both.

    Args:
        results: as for `plot`.
        name: name of the figure; the page's first where it is empty.
        file: where to; its ending, one of ``.svg``, ``.png`` and ``.json``, says as what.

    Returns:
        The file.

    Raises:
        ValueError: there is no such figure or ending.
        FolderError: the folder holds no finished run, or the file cannot be written.
    """
    place = Path(file).expanduser()
    if place.suffix not in ENDINGS:
        raise ValueError(f"`file` must end in one of {list(ENDINGS)}; got '{file}'")
    figure = _figure(results, name)
    if place.suffix == ".svg":
        content = svg(figure).encode()
    elif place.suffix == ".png":
        content = vl_convert.vegalite_to_png(specification(figure, "paper"), scale=PIXELS)
    else:
        content = json.dumps(specification(figure, "paper"), indent=1).encode()
    write_bytes(place, content)
    return place


def _figure(results: Any, name: str) -> Figure:
    found = {figure.name: figure for figure in ([results] if isinstance(results, Figure) else figures_in(results))}
    if name and name not in found:
        raise ValueError(f"`name` must be one of {list(found)}; got {name!r}")
    if not found:
        raise ValueError("`results` must have rows for a figure; the table has none")
    return found[name] if name else next(iter(found.values()))


def figures_in(results: Any) -> tuple[Figure, ...]:
    """All figures of a finished run's page, in order.

    Raises:
        ValueError: `results` is a table that does not say which settings it is of.
        FolderError: `results` is a folder that holds no finished run.
    """
    beside: dict[str, str] = {}
    if isinstance(results, pd.DataFrame):
        table, plain = results, results.attrs.get("settings")
        if not plain:
            raise ValueError(
                "`results` must be a run's folder, or a table as a study's function returns it; got another table"
            )
        study = find_study(plain["study"])
    else:
        folder = RunFolder(results)
        if not folder.has(TABLE):
            raise FolderError(f"`{results}` must be a finished run; it has no {TABLE} yet")
        study, plain = find_study(folder.manifest["study"]), folder.manifest["identity"]["config"]
        table, beside = folder.read(TABLE, read_table), texts_beside(folder)
    page = study.page(build(study.config, plain), table, beside)
    return figures_of(page, summarise(table[~table["answer"]]), plain)[0]
