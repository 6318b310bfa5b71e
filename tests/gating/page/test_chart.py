"""Figures as charts: valid for every mark and scale, with no text of the data in code, and with ticks for people."""

import hashlib
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import altair
import pandas as pd
import pytest
from made_up import MARKS, every, figure, points, ticks

from gating.page.chart import columns_of, legend_of, specification
from gating.page.figures import Axis, Figure, Layer, Panel
from gating.page.names import SHAPES, System
from gating.page.page import svg
from tests.hostile import PLAIN, parts

FIGURES = dict(every())
NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("target", ["page", "notebook", "paper"])
def test_every_mark_and_scale_is_valid_vega_lite(name, target):
    spec = specification(FIGURES[name], target)
    json.dumps(spec, allow_nan=False)
    altair.Chart.from_dict(spec)


@pytest.mark.parametrize("name", FIGURES)
def test_every_mark_and_scale_is_drawn_inside_of_numbers(name):
    text = svg(FIGURES[name])
    assert ET.fromstring(text).tag.endswith("svg")
    assert not re.search(r"NaN|Infinity|undefined|null", text)
    assert "mark-" in text


def test_all_marks_are_tried():
    assert set(MARKS) == {"curve", "line", "points", "across", "upright", "cells", "frame", "words"}


def marked(text: str, colour: str = "#0072b2") -> Figure:
    """A figure all of whose texts hold `text`."""
    rows = points("curve").assign(said=text, line=text, step=1)
    layer = Layer(System(f"look {text}", text, colour, "circle"), rows, "curve")
    panel = Panel(f"row {text}", f"column {text}", Axis(f"y {text}"), (layer, layer._replace(mark="points")))
    return Figure("made-up", f"title {text}", (text,), Axis(f"x {text}"), (panel,), 1, steps=(1, 2), legend=text)


@pytest.mark.parametrize("target", ["page", "notebook"])
def test_no_text_of_the_data_is_in_an_expression_or_a_field(target):
    spec = specification(marked("MARK"), target)
    spec["data"].pop("values", None)
    found = [path for path, text in parts(spec) if "MARK" in text]
    assert found
    assert {path[-1] for path in found} <= PLAIN
    code = {
        text for path, text in parts(spec) if path[-1] in ("filter", "field", "expr", "signal", "calculate", "a name")
    }
    other = specification(marked("OTHER"), target)
    other["data"].pop("values", None)
    assert code == {text for path, text in parts(other)
                    if path[-1] in ("filter", "field", "expr", "signal", "calculate", "a name")}  # fmt: skip


@pytest.mark.parametrize("text", ["\\", '\\"', '"', "a\nb", '\\" + datum.x + \\"', "'", "\u2028", "`${1}`", "]"])
def test_a_text_of_an_axis_does_not_break_out_of_the_code_that_says_it(text):
    """A chart puts titles of axes and legends into expressions of its own: for who points, and who cannot see."""
    drawn = svg(marked(text))
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert drawn.count("<path") >= svg(marked("MARK")).count("<path")


def test_points_are_columns_with_five_figures_and_no_number_that_json_has_not():
    rows = pd.DataFrame(
        {"x": [1.0, 2, 3], "value": [0.1 + 0.2, INF, NAN], "low": [1 / 3, -INF, NAN], "seeds": [3, 3, 1]}
    )
    found = columns_of(figure("points", rows=rows))
    assert found["x"] == [1, 2, 3]
    assert found["y"] == [0.3, None, None]
    assert found["l"] == [0.33333, None, None]
    assert found["k"] == ["look points"] * 3
    assert "t" not in found
    assert "h" not in found


def test_a_notebook_says_values_in_words_and_a_paper_has_the_last_step_alone():
    steps = pd.concat([points("curve").assign(step=step) for step in (1, 2)])
    held = figure("curve", rows=steps, steps=(1, 2))
    assert columns_of(held, "notebook")["t"][0] == "0.2 [0.16, 0.24], 3 seeds"
    assert columns_of(held, "paper")["s"] == [2, 2, 2]
    assert columns_of(held)["s"] == [1, 1, 1, 2, 2, 2]


def test_a_legend_names_each_look_once_and_says_how_it_is_drawn():
    held = figure("curve", "points", "across", "cells", "frame", "words")
    entries = legend_of(held)
    assert [(entry["name"], entry["mark"]) for entry in entries] == [
        ("look curve", "curve"), ("look points", "points"), ("look across", "across"), ("look cells", "cells")
    ]  # fmt: skip
    assert entries[0]["shape"] == SHAPES["circle"]
    assert entries[1]["dash"] == [4.0, 2.0]
    assert not entries[1]["filled"]
    shaded = figure("cells", shades=(Axis("share", 0, 1), ("#ffffff", "#0072b2")))
    assert legend_of(shaded) == []


@pytest.mark.parametrize(("length", "across"), [(0, 4), (60, 2), (400, 1)])
def test_a_printed_legend_has_as_many_names_in_a_row_as_fit(length, across):
    held = figure("curve", "points", "across", "cells")
    panel = held.panels[0]
    named = tuple(
        layer._replace(look=layer.look._replace(name=layer.look.name.ljust(length, "x"))) for layer in panel.layers
    )
    spec = specification(replace(held, panels=(panel._replace(layers=named),), columns=4), "paper")
    rows = spec["vconcat"][1]["data"]["values"]
    assert max(row["i"] for row in rows) + 1 == across


def test_a_look_that_has_points_and_a_line_is_one_entry_with_both():
    look = System("both", "", "#0072b2", "circle")
    layers = (Layer(look, points("points"), "points"), Layer(look, points("line"), "line"))
    [entry] = legend_of(replace(figure(), panels=(Panel("", "", Axis("y"), layers),)))
    assert entry["mark"] == "curve"


def test_a_curve_of_many_points_has_no_markers():
    rows = pd.DataFrame({"x": [float(x) for x in range(200)], "value": [0.5] * 200})
    assert [entry["mark"] for entry in legend_of(figure("curve", rows=rows))] == ["smooth"]


def test_colours_of_the_page_follow_its_mode_and_those_of_a_file_do_not():
    ink = marked("a", colour="#1b1b1f")
    assert legend_of(ink)[0]["colour"] == "var(--ink)"
    assert "var(--ink)" in json.dumps(specification(ink, "page"))
    assert "var(" not in json.dumps([specification(ink, "paper"), specification(ink, "notebook")])
    assert "#1b1b1f" in svg(ink)


@pytest.mark.parametrize(("axis", "rows"), {
    "points outside": (Axis("y", 0, 1), {"x": [1, 2, 3, 4], "value": [0.5, 7, -3, 0.2], "low": [0, 6, -9, 0.1],
                                         "high": [1, 9, -1, 0.3]}),
    "infinite": (Axis("y"), {"x": [1, 2, 3], "value": [0.5, INF, -INF], "low": [0.4, 0.1, -INF],
                             "high": [INF, INF, 0.3]}),
    "missing": (Axis("y"), {"x": [1, NAN, 3], "value": [NAN, 0.5, 0.4]}),
    "nothing finite": (Axis("y"), {"x": [1, 2], "value": [NAN, INF]}),
    "zero and less on a logarithm": (Axis("y", scale="log"), {"x": [1, 2, 3, 4], "value": [0, 10, -1, 100]}),
    "one value": (Axis("y"), {"x": [3], "value": [0.25]}),
    "one value on a logarithm": (Axis("y", scale="log"), {"x": [3], "value": [0.25]}),
    "all zero": (Axis("y", scale="symlog"), {"x": [1, 2], "value": [0, 0]}),
    "none at all": (Axis("y", scale="log"), {"x": [], "value": []}),
}.values(), ids=lambda held: held.scale if isinstance(held, Axis) else "")  # fmt: skip
@pytest.mark.parametrize("mark", ["curve", "points", "line", "across"])
def test_what_no_axis_can_show_is_left_out_and_the_rest_is_drawn(axis, rows, mark):
    held = figure(mark, x=Axis("x"), y=axis, rows=pd.DataFrame(rows, dtype=float))
    json.dumps(specification(held, "page"), allow_nan=False)
    for target in ("page", "notebook", "paper"):
        altair.Chart.from_dict(specification(held, target))
    text = svg(held)
    assert not re.search(r"NaN|Infinity|undefined", text)
    assert len(ticks(text, "Y")) >= 2


def test_zero_on_a_horizontal_logarithm_is_left_out():
    text = svg(
        figure("curve", x=Axis("x", scale="log"), rows=pd.DataFrame({"x": [0.0, 10, 100], "value": [0.1, 0.2, 0.3]}))
    )
    assert not re.search(r"NaN|Infinity", text)
    assert {label for label, _ in ticks(text, "X")} >= {"10", "100"}


def test_points_outside_an_axis_do_not_stretch_it():
    spec = specification(
        figure("curve", y=Axis("y", 0, 1), rows=pd.DataFrame({"x": [1.0, 2], "value": [0.5, 70]})), "page"
    )
    [scale] = {json.dumps(layer["encoding"]["y"]["scale"]["domain"]) for layer in spec["concat"][0]["layer"]
               if "scale" in layer["encoding"].get("y", {})}  # fmt: skip
    assert json.loads(scale) == [0, 1]


def test_panels_with_axes_of_their_own_are_drawn_around_their_own_points():
    rows = pd.DataFrame({"x": [1.0, 2.0], "value": [70.0, 90.0]})
    other = Panel("row", "other", Axis("y"), (Layer(System("look", "", "#0072b2", "circle"), rows, "curve"),))
    one = figure("curve")
    ends = []
    for panel in specification(replace(one, panels=(*one.panels, other), columns=2), "page")["concat"]:
        channels = (layer["encoding"].get("y", {}) for layer in panel["layer"])
        ends.append(next(channel["scale"]["domain"] for channel in channels if "scale" in channel))
    assert ends[0][1] < 2
    assert ends[1][0] > 60


def test_an_empty_panel_says_that_nothing_was_measured():
    one = figure("curve")
    held = replace(one, panels=(*one.panels, Panel("row", "empty", Axis("y"), ())), columns=2)
    for target in ("page", "notebook", "paper"):
        altair.Chart.from_dict(specification(held, target))
        assert "not measured" in json.dumps(specification(held, target))
    assert svg(held).count(">not measured</text>") == 1
    alone = replace(one, panels=held.panels[1:])
    assert ">not measured</text>" in svg(alone)


def test_a_figure_is_the_same_text_twice_and_in_another_process(tmp_path):
    names = ("curve log", "shades", "all together")
    first = [svg(FIGURES[name]) for name in names]
    assert [svg(FIGURES[name]) for name in reversed(names)][::-1] == first
    code = (
        f"import sys, hashlib; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from made_up import every\nfrom gating.page.page import svg\nfigures = dict(every())\n"
        f"print(*(hashlib.sha256(svg(figures[name]).encode()).hexdigest() for name in {names!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [hashlib.sha256(text.encode()).hexdigest() for text in first]


READ = re.compile(r"[−-]?(\d{1,3}(,\d{3})*|\d+)(\.\d{1,5})?|[−-]?[1-9](\.\d)?e[−+-]?\d+")
RANGES = {
    "thirds": (Axis("y"), (0.1, 0.2, 0.3)),
    "tenths": (Axis("y", -0.04, 1.04), (0.0, 0.5, 1.0)),
    "quarters": (Axis("y", ticks=(0.25, 0.5, 0.75)), (0.2, 0.5, 0.8)),
    "about twenty-five": (Axis("y"), (22.0, 25.0, 31.0)),
    "shares": (Axis("y", scale="sqrt", ticks=(0.0, 2.0, 5.0, 25.0, 40.0)), (0.0, 2.0, 40.0)),
    "large": (Axis("y"), (12_000.0, 45_000.0, 98_000.0)),
    "powers of two": (Axis("y", scale="log", ticks=tuple(2.0**k for k in range(4, 17, 2))), (16.0, 4096.0, 65_536.0)),
    "decades": (Axis("y", scale="log"), (1.0, 1e3, 1e7)),
    "small": (Axis("y", scale="log"), (2e-5, 1e-4, 3e-2)),
    "a short logarithm": (Axis("y", scale="log"), (30.0, 60.0, 120.0)),
    "less than a factor of two": (Axis("y", scale="log"), (1.1, 1.3, 1.6)),
    "both sides": (Axis("y", scale="symlog", linear_below=1.0), (-40.0, 0.0, 5000.0)),
    "many decades": (Axis("y", 0, scale="symlog"), (0.0, 1e-3, 4.0)),
    "negative": (Axis("y"), (-3e-3, -1e-3, 2e-3)),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_ticks_are_numbers_that_people_read_and_stand_where_they_say(name):
    axis, values = RANGES[name]
    rows = pd.DataFrame({"x": [1.0, 2, 3], "value": values})
    turned = rows.rename(columns={"x": "value", "value": "x"})
    for direction, held in (("Y", figure("curve", y=axis, rows=rows)), ("X", figure("curve", x=axis, rows=turned))):
        found = ticks(svg(held), direction)
        labels = [label for label, _ in found]
        assert 2 <= len(labels) <= 13, labels
        assert len(set(labels)) == len(labels), labels
        assert [label for label in labels if not READ.fullmatch(label)] == []
        at = [float(label.replace(",", "").replace("−", "-")) for label in labels]
        assert at == sorted(at)
        if axis.scale in ("linear", "log"):
            turn = math.log if axis.scale == "log" else float
            scaled = [turn(value) for value in at]
            slope = (found[-1][1] - found[0][1]) / (scaled[-1] - scaled[0])
            for value, (label, place) in zip(scaled, found, strict=True):
                assert place == pytest.approx(found[0][1] + slope * (value - scaled[0]), abs=1.01), label
        assert min(axis.ticks, default=values[0]) - 1e-9 <= max(at)
