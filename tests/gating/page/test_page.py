"""Pages and figures of any study: looks, tables of text, panels, marks, captions, and the page that holds them."""

import base64
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from gating.page.figures import Axis, Block, Figure, Layer, Page, Panel
from gating.page.multiples import Facet, Mark, Multiples, Row, Trace, YAxis, drawn, figures_of
from gating.page.names import SHAPES, System, declare_systems, in_order, known_systems, system_of
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


AXIS = YAxis(Axis("error", 0, 1))
SPEC = Multiples(
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
BY_HAND = Figure("drawn", "Drawn", ("A sentence.",), Axis("x"), (Panel("", "By hand", AXIS.axis, (
    Layer(System("Mine", "", "#0072b2", "circle"), pd.DataFrame({"x": [1.0, 2.0], "value": [0.25, 0.5]}), "curve"),
)),), 1)  # fmt: skip


def html(page: Page, rows: pd.DataFrame, settings: dict[str, Any] | None = None) -> str:
    return write_page(page, rows, settings or {}, {"python": "3"})


def figure(spec: Multiples, rows: pd.DataFrame) -> Figure:
    found = drawn(spec, ("transformer",), summarise(rows), {})
    assert found is not None
    return found


def held(text: str) -> Any:
    """What the page's script reads."""
    [packed] = re.findall(r'<script type="application/octet-stream" id="data">(.*?)</script>', text)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


class Elements(HTMLParser):
    """Collects ids, and every address that a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.addresses.append(value or "")


def test_a_page_holds_its_words_figures_blocks_settings_and_environment() -> None:
    block = Block("A block", (("A table", TextTable(("who", "value"), (("me", "0.5"),))),))
    page = replace(PAGE, figures=(SPEC, BY_HAND), blocks=(block,), every_row=TextTable(("row",), (("last",),)),
                   verdict=("It came out so.",))  # fmt: skip
    text = write_page(page, table(), {"data": {"n_high": 5}}, {"python": "3"})
    for word in ("Title", "Question?", "what it means", "A block", "A table", "0.5", "A sentence.", "data.n_high",
                 "last", SYSTEMS["transformer"].role, "It came out so."):  # fmt: skip
        assert word in text, word
    charts = held(text)["figures"]
    assert [chart["name"] for chart in charts] == ["errors", "drawn"]
    assert "By hand" in json.dumps(charts[1]["spec"])


def test_a_page_needs_no_other_file_and_runs_its_own_script_alone() -> None:
    """It asks for nothing, its policy lets through the script that it holds and no other, and no id stands twice."""
    text = html(PAGE, table())
    found = Elements(text)
    assert found.addresses == []
    assert len(found.ids) == len(set(found.ids))
    assert not re.search(r"@import|url\((?!#)|<link", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    [(policy, digest)] = re.findall(r"content=\"(default-src 'none'; script-src 'sha256-([^']+)';[^\"]*)\"", text)
    assert "unsafe-eval" not in policy
    [script] = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == digest


def test_the_table_of_a_page_is_the_summary_of_its_last_step() -> None:
    rows = pd.concat([table(step=10), table(step=20)], ignore_index=True)
    packed = held(html(PAGE, make_table(rows)))["parquet"]
    found = pd.read_parquet(io.BytesIO(base64.b64decode(packed)))
    wanted = last_step(summarise(make_table(rows)))
    assert found["value"].tolist() == wanted["value"].tolist()
    assert set(found["step"]) == {20}


def test_a_page_of_measured_systems_needs_a_measured_row() -> None:
    for rows in (make_table([]), make_table([{"measure": "error", "kind": "exact", "value": 0.5}])):
        with pytest.raises(ValueError, match="`table` must have at least one measured row"):
            html(PAGE, rows)
    assert "Title" in html(replace(PAGE, systems=(), figures=()), rows)


def test_answers_are_not_averaged_into_curves() -> None:
    rows = table()
    answers = table().assign(answer=True, value=1.0, seed=1)
    both = make_table(pd.concat([rows, answers], ignore_index=True))
    assert held(html(PAGE, both)) == held(html(PAGE, rows))


def test_figures_without_rows_are_named_and_not_drawn() -> None:
    other = replace(SPEC, name="others", title="Others", rows=(Row("", {}, (Trace("log_loss"),), AXIS),))
    shown, missing = figures_of(replace(PAGE, figures=(SPEC, BY_HAND, other)), summarise(table()), {})
    assert [each.name for each in shown] == ["errors", "drawn"]
    assert missing == ("Others",)
    assert "Not drawn, because the table has no rows for it: Others." in html(replace(PAGE, figures=(other,)), table())


def test_panels_stand_in_rows_and_columns_and_those_without_rows_are_left_out_and_said() -> None:
    found = figure(SPEC, table())
    assert [(panel.row, panel.column) for panel in found.panels] == [
        ("frequent", "Relevant"), ("frequent", "As trained"), ("rare", "Relevant"), ("rare", "As trained")
    ]  # fmt: skip
    assert found.columns == 2
    [layer] = found.panels[0].layers
    assert (layer.look.name, layer.mark, layer.rows["x"].tolist()) == ("Transformer", "curve", list(SIZES))
    rows = table()
    less = figure(SPEC, rows[(rows["group"] == "low") & (rows["context"] == "relevant")])
    assert [(panel.row, panel.column) for panel in less.panels] == [("rare", "Relevant")]
    assert "Not in the table, so not drawn: frequent; As trained." in less.sentences


def test_a_reader_chooses_among_steps_and_sees_the_last_first() -> None:
    rows = make_table(pd.concat([table(step=step, value=0.1 * step) for step in (1, 2, 3)], ignore_index=True))
    found = figure(SPEC, rows)
    assert found.steps == (1, 2, 3)
    assert sorted(found.panels[0].layers[0].rows["step"].unique()) == [1, 2, 3]
    many = make_table(pd.concat([table(step=step) for step in range(40)], ignore_index=True))
    steps = figure(SPEC, many).steps
    assert len(steps) == 16
    assert (steps[0], steps[-1]) == (0, 39)


def test_one_look_for_one_name_and_one_name_for_one_look() -> None:
    assert len({system.colour for system in SYSTEMS.values()}) == len(SYSTEMS)
    assert len({(system.shape, system.filled) for system in SYSTEMS.values()}) == len(SYSTEMS)
    assert {system.shape for system in known_systems().values()} - {""} <= set(SHAPES)
    with pytest.raises(ValueError, match="`transformer` must have one look"):
        declare_systems({"transformer": System("Other", "", "#000000", "circle")})
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


def test_lines_stand_in_the_panels_they_are_about() -> None:
    """A mark is drawn where it lies inside the range, and named in the caption where it does not."""
    where = {"context": "as_trained"}
    marks = (Mark(300.0, "N* here", {**where, "group": "low"}), Mark(9.0, "N* here", {**where, "group": "high"}),
             Mark(300.0, "N* of nobody", {"group": "nobody"}))  # fmt: skip
    found = figure(replace(SPEC, marks=marks), table())
    lines = [
        (panel.row, panel.column, layer.look.name, layer.rows["x"].tolist())
        for panel in found.panels
        for layer in panel.layers
        if layer.mark == "upright"
    ]
    assert lines == [("rare", "As trained", "N* here", [300.0])]
    assert "Vertical line: N* here: rare 300." in found.sentences
    assert "Outside the drawn range, so without a line: N* here: frequent 9." in found.sentences
    assert not [sentence for sentence in found.sentences if "nobody" in sentence]


def test_pages_need_no_torch_and_know_no_study() -> None:
    code = (
        "import sys, gating.page.page, gating.page.text_table;"
        "sys.exit('torch' in sys.modules or any(name.startswith('gating.studies') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
