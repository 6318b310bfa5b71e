"""What each part of the explorer shows, as JSON for the browser: a figure and what it says in words."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from gating.explore.setting import COARSE, Setting, bounds_of, kinetics_of, map_of
from gating.page.figures import Figure, Layer, Panel
from gating.page.multiples import DASHED, Facet, Mark, Multiples, Row, Trace, drawn
from gating.page.names import INK, System
from gating.page.page import chart_data
from gating.page.said import listed
from gating.page.text_table import whole
from gating.page.words import Words, page_words
from gating.results.table import make_table, summarise
from gating.settings.text import as_plain, call_of, command_of, print_config
from gating.studies.bounds.page import LOSSES, bounds_page, bounds_verdict
from gating.studies.bounds.study import crossover_rows, risks_of
from gating.studies.kinetics.page import kinetics_page, kinetics_verdict
from gating.studies.kinetics.study import answer_rows, curve_rows
from gating.studies.phases.config import PhasesConfig
from gating.studies.phases.page import phase_map, phases_verdict
from gating.studies.phases.study import diagrams_of
from gating.studies.vocabulary import GROUPS
from theory.crossovers import error_crossover
from theory.handover import handover_error
from theory.settings import SpecError

__all__ = ["FORMS", "HERE", "exported", "figure_of", "refused", "shown", "titled", "words"]

HERE = "this setting"
"""Entry of the legend for the setting itself, which the browser moves without asking."""

CONFIGS: dict[str, Callable[[Setting], Any]] = {"map": map_of, "curves": bounds_of, "kinetics": kinetics_of}
FORMS: dict[str, Callable[[Any], str]] = {"command": command_of, "yaml": print_config, "python": call_of}
"""How the settings behind a part are written out; ``csv`` is the table of the study besides."""


@cache
def words() -> Words:
    """Words of the explorer."""
    return page_words("gating.explore")


def refused(error: Exception) -> list[str]:
    """What theory says to settings that it does not take, as sentences."""
    if isinstance(error, MemoryError):
        return [words().said["memory"]]
    problems = error.problems if isinstance(error, SpecError) else [str(error)[:500] or type(error).__name__]
    return [problem.replace("`spec.", "`distribution.") for problem in problems]


def shown(part: str, setting: Setting, *, coarse: bool = False) -> str:
    """A part as JSON: ``figure``, ``said`` in sentences, and for a map the values of its axes; or why there is none.

    Example:
        >>> sorted(json.loads(shown("curves", Setting())))
        ['figure', 'said']
        >>> json.loads(shown("curves", Setting(squared_distance=(1.0, 2.0))))["refused"]
        ['`squared_distance` must be a finite number > 0, or null; got [1.0, 2.0]']
    """
    try:
        config = CONFIGS[part](setting)
        found = map_shown(config, coarse) if part == "map" else figure_of(part, config)
    except (ValueError, ArithmeticError, MemoryError) as error:
        found = {"refused": refused(error)}
    return json.dumps(found, separators=(",", ":"), allow_nan=False)


def exported(part: str, form: str, setting: Setting) -> str:
    """A part as text that gives the same numbers: command, YAML, Python, or every row of its study's table as CSV.

    Raises:
        ValueError: theory refuses the setting.

    Example:
        >>> exported("curves", "command", Setting(measure="log_loss")).split(" --")[2:4]
        ["measures '[log_loss]'", "contexts '[as_trained]'"]
    """
    from gating.runs import engine
    from gating.runs.catalogue import find_study
    from gating.runs.executor import Resources

    config = CONFIGS[part](setting)
    if form != "csv":
        return FORMS[form](config)
    table = engine.run(find_study(config.study), config, None, Resources(say=lambda line: None))
    return str(table.dropna(axis=1, how="all").to_csv(index=False, lineterminator="\r\n"))


def map_shown(config: PhasesConfig, coarse: bool) -> dict[str, Any]:
    """The map of certified phases, of all points of the axes or of a few."""
    x, y = (axis.points[COARSE] if coarse and len(axis.points) > 12 else axis.points for axis in (config.x, config.y))
    found = diagrams_of(config, x, y)
    groups = [group for group in found if group != "all"] or list(found)
    across, up = (np.ravel(grid) for grid in np.meshgrid(np.array(x, object), np.array(y, object)))
    names = {config.x.column: across, config.y.column: up}
    table = pd.concat(
        pd.DataFrame({**names, "measure": "phase", "group": group, "value": np.ravel(found[group].phases)})
        for group in groups
    ).infer_objects()
    figure = phase_map(config, table)
    said = phases_verdict(config, table)
    return {
        "figure": titled(_pointed(figure, "points", x=x[0], value=y[0])),
        "said": list(said),
        "x": list(x),
        "y": list(y),
        "coarse": coarse,
    }


def figure_of(part: str, config: Any) -> dict[str, Any]:
    """Curves over N or over steps, with what they say."""
    return _curves(config) if part == "curves" else _kinetics(config)


def _curves(config: Any) -> dict[str, Any]:
    crossings = make_table({"study": "bounds", **row} for row in crossover_rows(config))
    risks = risks_of(config, config.n_sequences)
    table = pd.concat([risks, crossings], ignore_index=True)
    page = bounds_page("", config, table)
    asked = next(each for each in page.figures if each.name == f"{config.measures[0].replace('_', '-')}-by-n")
    assert isinstance(asked, Multiples)
    measure, groups = config.measures[0], [group for group in GROUPS if group in config.groups]
    beside = replace(
        asked,
        rows=(Row("", {}, (Trace(measure),), LOSSES[measure]),),
        columns=lambda _: tuple(Facet(GROUPS[group], {"group": group}) for group in groups),
        marks=tuple(_crossings(crossings)),
    )
    figure = drawn(beside, (), summarise(risks), as_plain(config))
    said = [*bounds_verdict(config, table), *_handover(config)]
    if figure is None:
        return {"refused": said}
    return {"figure": titled(_pointed(figure, "upright", x=config.n_sequences[0], value=np.nan)), "said": said}


def _crossings(crossings: pd.DataFrame) -> Iterator[Mark]:
    """Lines at each N*; at its bounds where it is not known exactly."""
    for group, rows in crossings.groupby("group", sort=False):
        at = rows.set_index("kind")["value"].to_dict()
        ends = ["exact"] if "exact" in at else ["lower", "upper"]
        for kind in ends:
            name = words().said["crossing" if kind == "exact" else "crossing_bounds"]
            yield Mark(float(at[kind]), name, {"group": group})


def _handover(config: Any) -> Iterator[str]:
    """From which N on the best gate that does not see whether the context answers lets weights win."""
    spec = config.distribution
    if spec.label_noise or config.cover_classes:
        return
    most = float(handover_error(spec.p_relevant))
    found = [f"{_from(error_crossover(spec, group, most))} ({GROUPS[group]})" for group in config.groups]
    yield words().said["handover"].format(share=f"{spec.p_relevant:g}", most=f"{most:.3g}", found=listed(found))


def _from(n: float) -> str:
    return "at no N" if np.isinf(n) else f"from N = {whole(n)} on"


def _kinetics(config: Any) -> dict[str, Any]:
    curves, answers = make_table(curve_rows(config)), make_table(answer_rows(config)).assign(answer=True)
    table = pd.concat([curves, answers], ignore_index=True)
    page = kinetics_page("", config, table)
    figure = drawn(page.figures[0], (), summarise(curves), as_plain(config))  # type: ignore[arg-type]
    said = kinetics_verdict(config, table)
    return {"figure": titled(figure), "said": list(said)} if figure else {"refused": list(said)}


def titled(figure: Figure) -> dict[str, Any]:
    """A figure as the script that draws it takes it, with its title."""
    return {**chart_data(figure), "title": figure.title}


def _pointed(figure: Figure, mark: str, **at: Any) -> Figure:
    """A figure with the setting itself in every panel: a point of a map, or a line over N."""
    look = System(HERE, "", INK, "cross", dash=DASHED)
    rows = pd.DataFrame({name: [value] for name, value in at.items()}).assign(said=HERE)
    layer = Layer(look, rows, mark)  # type: ignore[arg-type]
    panels = tuple(Panel(*panel[:3], (*panel.layers, layer)) for panel in figure.panels)
    return replace(figure, panels=panels)
