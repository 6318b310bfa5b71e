"""Pages and figures of any study: looks, tables of text, panels, marks and captions."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from gating.page.draw import draw, panels
from matplotlib.axes import Axes

from gating.page.captions import caption
from gating.page.figures import Block, Drawing, Facet, FigureSpec, Mark, Page, Row, Trace, YAxis
from gating.page.names import System, declare_systems, in_order, known_systems, system_of
from gating.page.page import write_page
from gating.page.text_table import TextTable, number
from gating.results.query import last_step
from gating.results.table import make_table, summarise
from gating.studies.vocabulary import SYSTEMS

SIZES = (64, 512, 4096)
GROUPS = {"high": "frequent", "low": "rare"}


def table(measures: tuple[str, ...] = ("error",), **fixed: Any) -> pd.DataFrame:
    key = {"system": "transformer", "step": 10, "seed": 0, "kind": "measured", **fixed}
    return make_table(
        {**key, "n": n, "context": context, "group": group, "measure": measure, "value": 0.25}
        for n in SIZES
        for context in ("relevant", "as_trained")
        for group in GROUPS
        for measure in measures
    )


AXIS = YAxis("error", 0, 1)
SPEC = FigureSpec(
    name="errors",
    title="Errors",
    look="Look here.",
    x="n",
    rows=tuple(Row(words, {"group": group}, (Trace("error"),), AXIS) for group, words in GROUPS.items()),
    columns=lambda summary: (
        Facet("Relevant", {"context": "relevant"}),
        Facet("As trained", {"context": "as_trained"}),
    ),
)
PAGE = Page("Title", "Question?", ("transformer",), (SPEC,), (("Term", "what it means"),), ())


def html(page: Page, rows: pd.DataFrame, settings: dict[str, Any] | None = None) -> str:
    return write_page(page, rows, settings or {}, {"python": "3"})["report.html"]


def test_a_page_holds_its_words_figures_blocks_settings_and_environment() -> None:
    block = Block("A block", (("A table", TextTable(("who", "value"), (("me", "0.5"),))),))
    drawing = Drawing("drawn", "Drawn", '<svg width="72pt"><text>by hand</text></svg>', ["A sentence."])
    page = replace(PAGE, figures=(SPEC, drawing), blocks=(block,), every_row=TextTable(("row",), (("last",),)))
    files = write_page(page, table(), {"data": {"n_high": 5}}, {"python": "3"})
    assert set(files) == {"report.html", "plots/errors.svg", "plots/drawn.svg"}
    for word in ("Title", "Question?", "what it means", "A block", "A table", "0.5", "by hand", "A sentence.",
                 "data.n_high", "last", SYSTEMS["transformer"].role):  # fmt: skip
        assert word in files["report.html"], word


def test_a_page_of_measured_systems_needs_a_measured_row() -> None:
    for rows in (make_table([]), make_table([{"measure": "error", "kind": "exact", "value": 0.5}])):
        with pytest.raises(ValueError, match="`table` must have at least one measured row"):
            html(PAGE, rows)
    assert "Title" in html(replace(PAGE, systems=(), figures=()), rows)


def test_answers_are_not_averaged_into_curves() -> None:
    rows = table()
    shown = panels(SPEC, summarise(rows))
    drawn = draw(SPEC, shown, {}) if shown else ""
    answers = table().assign(answer=True, value=1.0, seed=1)
    files = write_page(PAGE, make_table(pd.concat([rows, answers], ignore_index=True)), {}, {})
    assert files["plots/errors.svg"] == drawn


def test_one_look_for_one_name_and_one_name_for_one_look() -> None:
    assert len({system.colour for system in SYSTEMS.values()}) == len(SYSTEMS)
    assert len({(system.marker, system.filled) for system in SYSTEMS.values()}) == len(SYSTEMS)
    with pytest.raises(ValueError, match="`transformer` must have one look"):
        declare_systems({"transformer": System("Other", "", "#000000", "o")})
    assert known_systems()["transformer"] == SYSTEMS["transformer"] == system_of("transformer")
    assert system_of("a_new_one").name == "A new one"
    assert in_order(["b", "transformer", "a", "b"], SYSTEMS) == ["transformer", "a", "b"]


def test_last_step_is_that_of_each_system_and_size() -> None:
    rows = [("a", 8, 10), ("a", 8, 20), ("a", 16, 10), ("b", 8, 5), ("c", 8, None)]
    found = make_table([{"system": s, "n": n, "step": t, "kind": "measured", "value": 0.0} for s, n, t in rows])
    kept = last_step(summarise(found))[["system", "n", "step"]].astype(object)
    assert sorted(map(str, kept.itertuples(index=False, name=None))) == sorted(
        map(str, [("a", 8, 20), ("a", 16, 10), ("b", 8, 5), ("c", 8, pd.NA)])
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.0001, "0.000 [-0.010, 0.010]"), (float("nan"), ""), (12.3456, "12.346 [12.336, 12.356]")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value, value - 0.01, value + 0.01) == text


def test_text_tables_line_up_with_headings_of_several_lines() -> None:
    found = TextTable(("N", "a long\nheading", "x"), (("one", "1", "22"), ("fourteen", "2", "")))
    assert str(found).splitlines() == [
        "N          a long   x",
        "          heading",
        "one             1  22",
        "fourteen        2",
    ]
    flat = replace(found, header=("N", "a", "x"))
    assert flat.markdown.splitlines() == [
        "| N | a | x |",
        "| --- | ---: | ---: |",
        "| one | 1 | 22 |",
        "| fourteen | 2 |  |",
    ]


def test_lines_stand_in_the_panels_they_are_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark is drawn where it lies inside the range, and named in the caption where it does not."""
    where = {"context": "as_trained"}
    marks = (Mark(300.0, "N* here", {**where, "group": "low"}), Mark(9.0, "N* here", {**where, "group": "high"}),
             Mark(300.0, "N* of nobody", {"group": "nobody"}))  # fmt: skip
    places: list[tuple[float, str, int, int]] = []
    drawn = Axes.axvline

    def axvline(axes: Axes, at: float, **look: Any) -> Any:
        place = axes.get_subplotspec()
        assert place is not None
        places.append((at, str(look["linestyle"]), place.rowspan.start, place.colspan.start))
        return drawn(axes, at, **look)

    monkeypatch.setattr(Axes, "axvline", axvline)
    spec = replace(SPEC, marks=marks)
    shown = panels(spec, summarise(table()))
    assert shown is not None
    assert ET.fromstring(draw(spec, shown, {})).tag.endswith("svg")
    assert places == [(300.0, "-.", 1, 1)]
    text = caption(spec, (), shown, {})
    assert "Vertical line: N* here: rare 300." in text
    assert "Outside the drawn range, so without a line: N* here: frequent 9." in text
    assert not [sentence for sentence in text if "nobody" in sentence]


def test_pages_need_no_torch_and_know_no_study() -> None:
    code = (
        "import sys, gating.page.page, gating.page.text_table;"
        "sys.exit('torch' in sys.modules or any(name.startswith('gating.studies') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
