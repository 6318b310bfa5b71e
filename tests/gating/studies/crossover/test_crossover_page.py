"""The page of crossovers: every answer is drawn and tabulated with its own numbers, missing ones are said to be."""

import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from gating.page.page import write_page
from gating.page.text_table import number, with_ends
from gating.results.table import make_table
from gating.studies.crossover.answers import ONSETS
from gating.studies.crossover.page import crossover_page, crossover_text, draw_crossovers

Q = {0.95: 0.01, 0.9: 0.02, 0.8: 0.04}
NAN = float("nan")


def answered(*keys: str, reached=(3, 3, 3), slope=(-1.1, -1.4, -0.8), predicted: bool = True) -> pd.DataFrame:
    """A table with N* of some onsets, 1.5 times the predicted ones, and the curves' rows of a single seed."""
    base, rows = {"study": "crossover", "group": "low"}, []
    for p_high, q in Q.items():
        rows.append({**base, "p_high": p_high, "system": "theory", "kind": "exact", "measure": "query_frequency",
                     "value": q})  # fmt: skip
    for onset in (onset for onset in ONSETS if onset.key in keys):
        step = 20 if onset.system == "transformer" else None
        place = {**base, "system": onset.system, "kind": "measured", "step": step, "answer": True}
        for (p_high, q), crosses in zip(Q.items(), reached, strict=True):
            here, value = {**place, "p_high": p_high}, 3 / q if crosses else NAN
            low, high = (value * factor if crosses == 3 else NAN for factor in (0.8, 1.25))
            rows.append({**here, "measure": f"crossover_{onset.key}", "value": value, "low": low, "high": high,
                         "reached": crosses, "already": int(crosses == 0), "seeds": 3})  # fmt: skip
            if predicted and onset.key != "gate":
                rows.append({**base, "p_high": p_high, "system": "theory", "kind": "exact",
                             "measure": f"crossover_{onset.key}", "value": 2 / q})  # fmt: skip
                rows.append({**here, "measure": f"crossover_ratio_{onset.key}", "value": 1.5, "low": 1.2, "high": 1.9})
        if not np.isnan(slope[0]):
            ends = dict(zip(("value", "low", "high"), slope, strict=True))
            fitted = {**place, "measure": f"exponent_{onset.key}"}
            rows += [{**fitted, **ends}, {**fitted, "kind": "exact", "step": None, "value": -1.0}]
    return make_table(rows)


def cells(table: pd.DataFrame) -> list[tuple[str, ...]]:
    ((_, found),) = crossover_page("?", table).blocks[0].tables
    return list(found.rows)


def test_the_figure_is_one_svg_and_the_same_twice():
    table = answered(*(onset.key for onset in ONSETS))
    svg = draw_crossovers(table)
    assert svg == draw_crossovers(table)
    assert ET.fromstring(svg).tag.endswith("svg")


def test_crossovers_that_are_not_reached_are_left_out_of_the_figure_and_said_in_the_table():
    table = answered("error_level", reached=(0, 2, 3), slope=(NAN, NAN, NAN))
    assert draw_crossovers(table).startswith("<?xml")
    rows = cells(table)
    assert [row[0] for row in rows] == ["0.01", "0.02", "0.04", "slope on q"]
    assert [row[1] for row in rows] == ["200", "100", "50", ""]
    assert [row[2] for row in rows] == ["none", "150", "75 [60, 94]", ""]
    assert [row[4] for row in rows] == ["0 of 3, 1 at every N", "2 of 3", "3 of 3", ""]


def test_a_gate_has_its_size_and_neither_prediction_nor_ratio():
    *points, slope = cells(answered("gate"))
    assert [row[1] for row in points] == ["", "", ""]
    assert [row[3] for row in points] == ["", "", ""]
    assert points[0][2] == "300 [240, 375]"
    assert slope[2:4] == ("-1.100 [-1.400, -0.800]", "")


def test_the_table_gives_the_slope_beside_the_predicted_one():
    *points, slope = cells(answered("log_loss"))
    assert [row[3] for row in points] == ["1.5 [1.2, 1.9]"] * 3
    assert slope == ("slope on q", "-1.000", "-1.100 [-1.400, -0.800]", "", "")


@pytest.mark.parametrize("slope", [(NAN, NAN, NAN), (-1.5, NAN, NAN), (-1.5, -2.0, -1.0)])
def test_a_legend_has_the_slope_that_there_is_and_never_nan(monkeypatch, slope):
    labels: list[str] = []
    draw = "matplotlib.figure.Figure.legend"
    monkeypatch.setattr(draw, lambda self, handles, **how: labels.extend(h.get_label() for h in handles))
    draw_crossovers(answered(*(onset.key for onset in ONSETS), slope=slope))
    assert len(labels) == 2 * len(ONSETS) - 1  # none of theory for the gate
    assert not [label for label in labels if "nan" in label]
    expected = "" if np.isnan(slope[0]) else f": slope {number(*slope, digits=2)}"
    assert f"Transformer, gate rises past 1/2{expected}" in labels
    assert "Theory, risk crossing, 0-1 loss" + (": slope -1.00" if expected else "") in labels


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="`table` must hold at least one measured crossover; got none"):
        draw_crossovers(answered())


def test_a_page_needs_no_transformer(tmp_path):
    """Label counts alone, with a curve of each `p_high`: figure, tables and text for a terminal."""
    table = answered("error")
    curve = {"study": "crossover", "system": "tabular", "kind": "measured", "distribution": "ibd", "seed": 0, "n": 32,
             "context": "as_trained", "group": "low", "measure": "expected_error", "value": 0.5}  # fmt: skip
    table = make_table(pd.concat([table, make_table([{**curve, "p_high": p_high} for p_high in Q])]))
    page = crossover_page("A question?", table)
    files = write_page(page, table, {"distribution": {"n_high": 5, "n_low": 5}}, {})
    assert set(files) == {"plots/crossover-by-frequency.svg", "report.html"}
    assert "Label counts, risk crossing, 0-1 loss" in files["report.html"]
    assert "3 of 3" in crossover_text(table)
    assert "after" not in crossover_text(table)


def test_page_and_text_print_the_numbers_of_the_answers():
    table = answered("error_level", "log_loss")
    text = crossover_text(table)
    for title, found in crossover_page("?", table).blocks[0].tables:
        assert title in text
        assert str(found) in text
    ratios = table[table["measure"].str.startswith("crossover_ratio")][["value", "low", "high"]].to_numpy()
    assert all(with_ends(*ratio) in text for ratio in ratios)
    assert "Transformer, in-weight error falls past 1/2, after 20 steps" in text
