"""The figure of crossovers: every estimate is drawn and tabulated, missing ones are said to be missing."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gating.evaluation.crossing import ONSETS, CrossingEstimate
from gating.evaluation.table import make_table, setting_text
from gating.report import short_table, write_report
from gating.report.crossover import crossing_table, draw_crossings

Q = np.array([0.01, 0.02, 0.04])


def estimate(onset, ratio, *, reached=(3, 3, 3), exponent=(-1.1, -1.4, -0.8)) -> CrossingEstimate:
    predicted, crosses = 2 / Q, np.array(reached)
    value = np.where(crosses > 0, ratio * predicted, np.nan)
    low, high = (np.where(crosses == 3, value * factor, np.nan) for factor in (0.8, 1.25))
    return CrossingEstimate(onset, 20, Q, predicted, value, low, high, crosses, 1 * (crosses == 0), 3, exponent, -1.0)


def test_the_figure_is_one_svg_and_the_same_twice():
    estimates = [estimate(onset, 10**place) for place, onset in enumerate(ONSETS)]
    svg = draw_crossings(estimates)
    assert svg == draw_crossings(estimates)
    assert ET.fromstring(svg).tag.endswith("svg")


def test_crossovers_that_are_not_reached_are_left_out_of_the_figure_and_said_in_the_table():
    nothing = (np.nan, np.nan, np.nan)
    partly = estimate(ONSETS[2], 20, reached=(0, 2, 3), exponent=nothing)
    assert draw_crossings([estimate(ONSETS[0], 1), partly]).startswith("<?xml")
    rows = crossing_table([partly]).rows
    assert [row[3] for row in rows] == ["none", "2,000", "1,000", ""]
    assert [row[4] for row in rows] == ["", "20", "20 [16, 25]", ""]
    assert [row[5] for row in rows] == ["0 of 3, 1 at every N", "2 of 3", "3 of 3", ""]


def test_the_table_gives_the_slope_beside_the_predicted_one():
    *points, slope = crossing_table([estimate(ONSETS[1], 1.5)]).rows
    assert len(points) == 3
    assert slope == (ONSETS[1].name, "slope on q", "-1.000", "-1.1 [-1.4, -0.8]", "", "")


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="`estimates` must hold at least one crossover; got none"):
        draw_crossings([])


def test_a_page_of_the_study_needs_no_transformer(tmp_path):
    """Label counts alone, as a table of the schema: figure, tables and text for a terminal."""
    rows = []
    for p_high, size in ((0.8, 40), (0.9, 80), (0.95, 160)):
        where = {"study": "crossover", "setting": setting_text({"p_high": p_high}), "context": "as_trained"}
        place = {**where, "distribution": "ibd", "group": "low"}
        theory = {**place, "system": "theory", "kind": "exact"}
        measured = {**place, "measure": "expected_error", "kind": "measured"}
        rows += [{**theory, "measure": "query_frequency", "value": (1 - p_high) / 5},
                 {**theory, "measure": "crossover_expected_error", "value": size}]  # fmt: skip
        for seed in range(3):
            rows += [{**measured, "system": "tabular", "seed": seed, "n": n, "value": size / n} for n in (32, 64, 512)]
            rows.append({**measured, "system": "in_context", "seed": seed, "n": 32, "value": 1.0})
    table = make_table(rows)
    files = write_report(tmp_path, table, {"distribution": {"n_high": 5, "n_low": 5}}, {})
    assert {file.name for file in files} == {"crossover-by-frequency.svg", "report.html"}
    assert "Label counts, 0-1 loss" in files[-1].read_text()
    assert "3 of 3" in short_table(table)
