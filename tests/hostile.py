"""Names that would be code if a page let them, and pages in which they stand wherever a text comes from data."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from gating.page.figures import Axis, Block, Figure, Layer, Page, Panel
from gating.page.multiples import Facet, Multiples, Row, Trace, YAxis, figures_of
from gating.page.names import System
from gating.page.page import write_page
from gating.page.sweep import sweep_page
from gating.page.text_table import TextTable
from gating.results.parquet import read_table
from gating.results.table import make_table, summarise
from gating.runs.catalogue import find_study
from gating.runs.engine import texts_beside
from gating.runs.folder import TABLE, RunFolder
from theory.settings import build

__all__ = ["NAMES", "PLAIN", "Naming", "generic_figure", "generic_page", "harmless", "in_turn", "parts", "study_page",
           "sweep_page_of"]  # fmt: skip

NAMES = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
    "<iframe src='javascript:alert(1)'>", "</title></style></textarea><script>alert(1)</script>",
    '" onmouseover="alert(1)', "' autofocus onfocus='alert(1)", "<!--", "-->", "]]>", "&lt;script&gt;", "&#60;b&#62;",
    "datum.x || alert(1)", '{"signal": "alert(1)"}', "'];alert(1)//", '"];alert(1)//', '"}}, {"expr": "alert(1)"}',
    "\\", '\\"', '\\" + alert(1) + \\"', "\\u003cscript>", "a\nb", "a\r\nb\tc", "\u2028\u2029",
    "\u202eright\u2067to left", "\x01\x1b[31m\x7f\x85", "\ufffe", "{{ 7 * 7 }}{% raw %}", "${alert(1)}",
    "javascript:alert(1)", "__proto__", "constructor", "hasOwnProperty", "var(--ink)", "url(#clip0)", "\U0001f9e8",
    "e\u0301\u0301\u0301", " ", "x" * 3000,
)  # fmt: skip

Naming = Callable[[int], str]
"""The name of the n-th thing that has one."""


def harmless(number: int) -> str:
    """A name that no page can take for anything else."""
    return f"name {number}"


def in_turn(start: int = 0) -> Naming:
    """Names of the list, one after the other, each with a number that tells it from others."""
    return lambda number: f"{NAMES[(start + number) % len(NAMES)]}{number}"


PLAIN = {"title", "text", "domain"}
"""Where a specification shows a text as it is: of titles, and of the entries of a scale."""


def parts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a specification with the names that lead to it, and every name itself."""
    if isinstance(value, dict):
        for name, held in value.items():
            yield (*path, "a name"), name
            yield from parts(held, (*path, name))
    elif isinstance(value, list):
        for held in value:
            yield from parts(held, path)
    elif isinstance(value, str):
        yield path, value


FOREIGN: dict[str, dict[str, tuple[str, ...]]] = {
    "bounds": {"system": ("any_in_weight",), "distribution": ("oobd",), "context": ("irrelevant",), "kind": ("upper",)},
    "phases": {"distribution": ("ibd",), "system": ("copying",)},
    "regret": {"system": ("adahedge", "bayes_mixture"), "group": ("low",)},
    "compare": {"system": ("stylized_frozen", "transformer_iw"), "group": ("all",), "measure": ("mean_gate",)},
    "crossover": {"system": ("copying",), "context": ("relevant",), "measure": ("log_loss",)},
    "predict": {"system": ("bayes",), "context": ("relevant",), "measure": ("crossover_gate",)},
    "kinetics": {"system": ("kinetics",), "context": ("irrelevant",), "measure": ("emergence_step",)},
    "strategies": {"system": ("posterior, beta = 1", "step in time"), "kind": ("fitted",), "fitted_to": ("one seed",)},
    "finetune": {"system": ("llm",), "mixture": ("memory=1",), "exposure": ("given",), "measure": ("gate",)},
}
"""Values in tables of studies that are given another name: others may not be known to a study."""


def _renamed(study: str, table: pd.DataFrame, name: Naming) -> pd.DataFrame:
    """A table with other names, and, of a study whose system is single, its rows under a second one."""
    changed, number = table.copy(), 0
    for column, values in FOREIGN[study].items():
        for value in values:
            changed[column] = changed[column].replace(value, name(number))
            number += 1
    return make_table(pd.concat([table, changed], ignore_index=True) if study == "finetune" else changed)


def _texts(held: Any, name: Naming, number: int = 100) -> Any:
    """Settings, or what is known of a machine, with another text for every text."""
    if isinstance(held, dict):
        return {key: _texts(value, name, number + place) for place, (key, value) in enumerate(held.items())}
    if isinstance(held, (list, tuple)):
        return [_texts(value, name, number + place) for place, value in enumerate(held)]
    return name(number) if isinstance(held, str) else held


def _beside(texts: dict[str, str], name: Naming) -> dict[str, str]:
    """Samples of answers with other texts."""
    known, changed = dict[str, str](), {}
    for file, text in texts.items():
        records = [json.loads(line) for line in text.split("\n") if line]
        for record in records:
            for key in ("subject", "memorised", "stated", "said", "prompt"):
                if record.get(key):
                    record[key] = known.setdefault(record[key], name(len(known)))
        changed[file] = "\n".join(map(json.dumps, records))
    return changed


def study_page(folder: Path, name: Naming) -> str:
    """Page of a run, with other names in its table, settings, machine, command and files beside it."""
    held = RunFolder(folder)
    plain, study = held.manifest["identity"]["config"], find_study(held.manifest["study"])
    table = _renamed(study.name(), held.read(TABLE, read_table), name)
    page = study.page(build(study.config, plain), table, _beside(dict(texts_beside(held)), name))
    environment = {name(90): name(91), **_texts(dict(held.manifest["identity"]["environment"]), name)}
    return write_page(page, table, _texts(plain, name), environment, name(92))


def sweep_page_of(folder: Path, name: Naming) -> str:
    """Page of a sweep over a setting whose values are texts, of a run's table at each."""
    held = RunFolder(folder)
    plain, study = held.manifest["identity"]["config"], find_study(held.manifest["study"])
    table, settings = held.read(TABLE, read_table), []
    page = study.page(build(study.config, plain), table, {})
    figures = figures_of(page, summarise(table[~table["answer"]]), plain)[0][:1]
    values = [{"setting": name(number)} for number in range(3)]
    settings = [(value, page, figures) for value in values]
    tables = pd.concat([table.assign(**value) for value in values], ignore_index=True)
    return write_page(sweep_page(name(80), settings, tables), tables, {"over": {name(81): [name(82)]}}, {})


def generic_figure(name: Naming) -> Figure:
    """A figure with every mark, all of whose texts are given."""
    ends = {"x": [1.0, 2.0, 3.0], "value": [0.2, 0.4, 0.3], "low": [0.1, 0.3, 0.2], "high": [0.3, 0.5, 0.4]}
    rows = pd.DataFrame({**ends, "said": [name(1), name(2), name(3)], "line": [name(4)] * 3, "step": [1, 1, 2]})
    look = System(name(5), name(6), "#0072b2", "circle")
    layers = tuple(
        Layer(look._replace(name=name(7 + place)), rows.assign(x2=rows["x"] + 1), mark)  # type: ignore[arg-type]
        for place, mark in enumerate(("curve", "line", "points", "across", "upright", "cells", "frame", "words"))
    )
    panels = tuple(Panel(name(20 + k), name(22 + k), Axis(name(24 + k)), layers) for k in range(2))
    return Figure("drawn", name(26), (name(27), name(28)), Axis(name(29)), panels, 2, steps=(1, 2), legend=name(30))


def generic_page(name: Naming) -> str:
    """Page of a study of somebody else, all of whose texts are given."""
    drawn = generic_figure(name)
    points = drawn.panels[0].layers[2]
    words = points._replace(rows=points.rows.assign(x=[name(31), name(32), name(33)]))
    worded = Figure("worded", name(34), (name(35),), Axis(name(36), scale="words"),
                    (Panel(name(37), name(38), Axis(name(39)), (words,)),), 1)  # fmt: skip
    keys = {"kind": "measured", "seed": 0, "step": 1, "measure": name(40)}
    table = make_table(
        {**keys, "system": name(41 + k), "context": name(43), "group": name(44), "n": n, "value": 0.5}
        for k in range(2)
        for n in (10, 100)
    )
    trace = Trace(name(40), suffix=name(46))
    facets = (Facet(name(47), {"context": name(43)}), Facet(name(48), {"context": "nowhere"}))
    row = Row(name(51), {"group": name(44)}, (trace,), YAxis(Axis(name(52))))
    asked = Multiples("asked", name(49), name(50), "n", (row,), lambda _: facets, note=name(53), theory=True)
    lost = replace(asked, name="lost", title=name(54), rows=(row._replace(label=name(55), where={"group": "none"}),))
    cells = TextTable((name(56), name(57)), tuple((name(58 + k), name(66 + k)) for k in range(8)))
    systems, blocks = (name(41), "absent " + name(77)), (Block(name(80), ((name(81), cells), ("", cells))),)
    page = Page(name(75), name(76), systems, (drawn, worded, asked, lost), ((name(78), name(79)),), blocks,
                verdict=(name(82), name(83)), intervals=name(84), results_title=name(85), every_row=cells)  # fmt: skip
    return write_page(page, table, {name(86): {name(87): name(88)}}, {name(89): name(90), "commit": name(91)}, name(92))
