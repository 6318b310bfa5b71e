"""Predicted crossovers and certified phases beside measured curves: the numbers, the words, and the lines."""

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from synthetic import ENVIRONMENT, synthetic_table

from gating.evaluation.table import make_table, summarise
from gating.report import STUDIES, write_report
from gating.report.captions import caption
from gating.report.draw import draw, panels
from gating.report.figures import FigureSpec, Mark
from gating.report.predicted import compare_blocks, crossover_marks
from gating.report.tables import Block
from theory.crossover import crossover
from theory.distribution import ClassMixture
from theory.phases import Comparison, risk_bounds

DATA = {"n_high": 5, "n_low": 5, "p_high": 0.9, "label_noise": 0.05}
SETTINGS: dict[str, Any] = {"distribution": DATA, "cover_classes": False}
REFUSED = {**SETTINGS, "distribution": {**DATA, "p_high": 1.5}}
SIZES = (100, 1000, 10_000)


def curve(
    system: str, measure: str, values: tuple[float, ...], group: str = "low", **where: str
) -> list[dict[str, Any]]:
    key = {"study": "compare", "system": system, "measure": measure, "group": group, "kind": "measured", "seed": 0}
    key |= {"distribution": "ibd", "context": "as_trained", **where}
    return [{**key, "n": n, "value": value} for n, value in zip(SIZES, values, strict=True)]


def blocks_of(rows: list[dict[str, Any]], settings: dict[str, Any] = SETTINGS) -> dict[str, Block]:
    return {block.title: block for block in compare_blocks(summarise(make_table(rows)), settings)}


def risk_rows(tabular: tuple[float, ...], mlp: tuple[float, ...]) -> list[dict[str, Any]]:
    rows = curve("in_context", "expected_error", (0.1, 0.1, 0.1))
    return rows + curve("tabular", "expected_error", tabular) + curve("in_weight", "expected_error", mlp)


def row_of(rows: list[dict[str, Any]], start: tuple[str, ...]) -> tuple[str, ...]:
    table = blocks_of(rows)["Crossovers N*, predicted and measured"].tables[0][1]
    (found,) = [row for row in table.rows if row[: len(start)] == start]
    return found


def test_measured_crossovers_are_interpolated_on_the_logarithm_of_n() -> None:
    rows = risk_rows((0.3, 0.2, 0.0), (0.2, 0.0, 0.0))
    predicted = crossover(ClassMixture(**DATA), "low", Comparison("error", "as_trained")).exact
    found = row_of(rows, ("error (0-1)", "rare classes"))
    assert found[2:] == (f"{predicted:,.0f}", f"{1000 * math.sqrt(10):,.0f}", f"{100 * math.sqrt(10):,.0f}")


def test_crossovers_outside_the_sizes_are_words() -> None:
    rows = risk_rows((0.3, 0.2, 0.15), (0.1, 0.05, 0.0))
    assert row_of(rows, ("error (0-1)", "rare classes"))[3:] == ("not reached", "before 100")
    assert row_of(rows, ("error (0-1)", "frequent classes"))[3:] == ("not measured", "not measured")


def test_gate_crossover_is_where_the_gate_stays_above_one_half() -> None:
    where = {"distribution": "oobd", "context": "relevant"}
    rows = curve("transformer", "effective_gate", (0.0, 0.25, 0.75), **where)
    rows += curve("transformer", "effective_gate", (0.6, 0.4, 0.3), group="high", **where)
    table = blocks_of(rows)["Crossovers N*, predicted and measured"].tables[1][1]
    assert table.rows == (("Transformer", "not reached", "3,162"),)


@pytest.mark.parametrize("covered", [False, True])
@pytest.mark.parametrize("length", [1, 4])
def test_phases_are_those_of_theory(covered: bool, length: int) -> None:
    data = {**DATA, "context_length": length}
    settings = {"distribution": data, "cover_classes": covered}
    rows = risk_rows((0.3, 0.2, 0.0), (0.2, 0.0, 0.0))
    ((_, table),) = blocks_of(rows, settings)["Certified phases"].tables
    assert table.header[1:] == ("N = 100", "N = 1,000", "N = 10,000")
    words = {1: "context", -1: "weights", 0: "undecided"}
    expected = []
    for measure, loss in (("error", "error (0-1)"), ("log_loss", "log loss (nats)")):
        bounds = risk_bounds([ClassMixture(**data)], SIZES, Comparison(measure, "as_trained", covered=covered))
        for group, name in (("high", "frequent"), ("low", "rare")):
            phases = np.where(bounds[group].in_context_upper < bounds[group].in_weight_lower, 1, 0)
            phases -= np.where(bounds[group].in_weight_upper < bounds[group].in_context_lower, 1, 0)
            expected.append((f"{loss}, {name} classes", *(words[int(phase)] for phase in phases[0])))
    assert table.rows == tuple(expected)


def test_phases_hold_both_certificates() -> None:
    settings = {"distribution": {**DATA, "context_length": 4, "p_high": 0.98}, "cover_classes": False}
    rows = risk_rows((0.3, 0.2, 0.0), (0.2, 0.0, 0.0))
    ((_, table),) = blocks_of(rows, settings)["Certified phases"].tables
    assert {"context", "weights"} <= {cell for row in table.rows for cell in row[1:]}


def test_settings_that_theory_refuses_leave_predictions_out_and_say_why(tmp_path: Path) -> None:
    blocks = blocks_of(risk_rows((0.3, 0.2, 0.0), (0.2, 0.0, 0.0)), REFUSED)
    assert "Certified phases" not in blocks
    (title,) = [title for title in blocks if "left out" in title]
    assert "`p_high` must be in (0, 1); got 1.5" in title
    assert crossover_marks("error")(REFUSED) == ()
    write_report(tmp_path, synthetic_table(("in_weight",), (64, 512), (20,), seeds=1), REFUSED, ENVIRONMENT)
    assert "`p_high` must be in (0, 1)" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_marks_stand_at_the_crossover_of_each_group() -> None:
    marks = crossover_marks("log_loss")(SETTINGS)
    compare = Comparison("log_loss", "as_trained")
    assert {mark.where["group"]: mark.at for mark in marks} == {
        group: crossover(ClassMixture(**DATA), group, compare).exact for group in ("high", "low")
    }
    assert crossover_marks("error")({}) == ()


def test_a_crossover_that_is_not_exact_is_marked_by_its_bounds() -> None:
    settings = {"distribution": {**DATA, "context_length": 4, "input_noise": 0.5}, "cover_classes": False}
    found = crossover(ClassMixture(**settings["distribution"]), "low", Comparison("error", "as_trained"))
    assert math.isnan(found.exact)
    marks = [mark for mark in crossover_marks("error")(settings) if mark.where["group"] == "low"]
    assert [(mark.at, mark.line) for mark in marks] == [(found.earliest, ":"), (found.latest, ":")]


def figure_of(name: str) -> FigureSpec:
    (spec,) = [spec for spec in STUDIES["compare"].figures if spec.name == name]
    assert isinstance(spec, FigureSpec)
    return spec


@pytest.mark.parametrize(("name", "rows"), [("error-by-n", 1), ("log-loss-by-n", 1), ("gate-by-n", 2)])
def test_figures_have_the_line_in_the_panels_of_its_group_as_trained(
    name: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def marks(settings: object) -> tuple[Mark, ...]:
        where = {"distribution": "ibd", "context": "as_trained"}
        return (Mark(300.0, "N* here", {**where, "group": "low"}), Mark(9.0, "N* here", {**where, "group": "high"}))

    lines: list[tuple[str, float]] = []
    drawn = Axes.axvline
    places = {}

    def axvline(axes: Axes, at: float, **look: Any) -> Any:
        place = axes.get_subplotspec()
        assert place is not None
        places[at] = (place.rowspan.start, place.colspan.start)
        lines.append((str(look["linestyle"]), at))
        return drawn(axes, at, **look)

    monkeypatch.setattr(Axes, "axvline", axvline)
    spec = replace(figure_of(name), marks=marks)
    shown = panels(spec, summarise(synthetic_table(seeds=1)))
    assert shown is not None
    column = [facet.label for facet in shown.columns].index("IBD, as trained")
    assert ET.fromstring(draw(spec, shown, {})).tag.endswith("svg")
    assert lines == [("-.", 300.0)] * rows
    assert places[300.0][1] == column
    assert "rare" in shown.rows[places[300.0][0]].label
    text = caption(spec, (), shown, {})
    assert "Vertical line: N* here: rare classes 300." in text
    assert "Outside the drawn range, so without a line: N* here: frequent classes 9." in text


def test_marks_outside_every_panel_say_nothing() -> None:
    spec = replace(figure_of("error-by-n"), marks=lambda settings: (Mark(300.0, "N*", {"group": "nobody"}),))
    shown = panels(spec, summarise(synthetic_table(seeds=1)))
    assert shown is not None
    assert not [sentence for sentence in caption(spec, (), shown, {}) if "N*:" in sentence]
