"""The page of crossovers: every answer is drawn and tabulated with its own numbers, missing ones are said to be."""

import re

import pandas as pd
from crossover_table import NAN, Q, answered

from gating.page.page import write_page
from gating.page.text_table import with_ends
from gating.results.table import make_table
from gating.studies.crossover.answers import ONSETS
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.page import crossover_figure, crossover_page, crossover_text

CONFIG = CrossoverConfig()
EVERY = tuple(onset.key for onset in ONSETS)


def cells(table: pd.DataFrame) -> list[tuple[str, ...]]:
    ((_, found),) = crossover_page("?", CONFIG, table).blocks[0].tables
    return list(found.rows)


def layers(panel, mark):
    return {layer.look.name: layer.rows for layer in panel.layers if layer.mark == mark}


def test_the_figure_shows_every_size_beside_its_prediction_and_their_ratio():
    figure = crossover_figure(answered(*EVERY))
    sizes, counts, trained = figure.panels
    assert len(layers(sizes, "points")) == 4
    assert [name.partition(",")[0] for name in layers(sizes, "line")] == ["Theory"] * 3  # none of a gate
    gate = layers(sizes, "points")["Transformer, gate rises past 1/2"]
    assert gate[["x", "value", "low", "high", "seeds"]].values.tolist()[0] == [0.01, 300, 240, 375, 3]
    assert figure.x.ticks == (0.01, 0.02, 0.04)
    assert len(layers(counts, "points")) == 2
    (ratio,) = layers(trained, "points").values()
    assert ratio["value"].tolist() == [1.5] * 3
    (one,) = layers(trained, "across").values()
    assert one[["value", "low", "high"]].values.tolist() == [[1.0, 0.9, 1.1]]


def test_entries_of_the_legend_differ_by_shape_fill_or_dash():
    looks = {layer.look for panel in crossover_figure(answered(*EVERY)).panels for layer in panel.layers}
    assert len({look._replace(name="", colour="") for look in looks}) == len({look.name for look in looks}) - 1
    # the dotted lines of a prediction and of a ratio of 1 never stand in one panel


def test_an_interval_without_end_does_not_stretch_an_axis():
    table = answered("gate", "error")
    wide = table["measure"].eq("crossover_gate") & table["answer"]
    figure = crossover_figure(table.assign(high=table["high"].where(~wide, 1e9)))
    assert 375 <= figure.panels[0].y.high < 4000


def test_crossovers_that_are_not_reached_are_left_out_of_the_figure_and_said_in_the_table():
    table = answered("error_level", reached=(0, 2, 3), slope=(NAN, NAN, NAN))
    panel = crossover_figure(table).panels[0]
    (points,), (words,) = layers(panel, "points").values(), layers(panel, "words").values()
    assert points["x"].tolist() == [0.02, 0.04]
    assert words[["x", "said"]].values.tolist() == [[0.02, "2/3"]]
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


def test_theory_alone_has_no_figure_of_crossovers_and_says_so():
    page = crossover_page("?", CONFIG, answered())
    assert crossover_figure(answered()) is None
    assert page.verdict == ("No N* was measured, and none is predicted.",)
    assert len(page.figures) == 1


def test_a_page_needs_no_transformer(tmp_path):
    """Label counts alone, with a curve of each `p_high`: figure, tables and text for a terminal."""
    table = answered("error")
    curve = {"study": "crossover", "system": "tabular", "kind": "measured", "distribution": "ibd", "seed": 0, "n": 32,
             "context": "as_trained", "group": "low", "measure": "expected_error", "value": 0.5}  # fmt: skip
    table = make_table(pd.concat([table, make_table([{**curve, "p_high": p_high} for p_high in Q])]))
    page = crossover_page("A question?", CONFIG, table)
    text = write_page(page, table, {"distribution": {"n_high": 5, "n_low": 5}}, {})
    assert re.findall(r'id="figure-([^"]*)"', text) == ["crossover-by-frequency"]
    assert "Label counts, risk crossing, 0-1 loss" in text
    assert "3 of 3" in crossover_text(CONFIG, table)
    assert "after" not in crossover_text(CONFIG, table)


def test_page_and_text_print_the_numbers_of_the_answers():
    table = answered("error_level", "log_loss")
    text = crossover_text(CONFIG, table)
    for title, found in crossover_page("?", CONFIG, table).blocks[0].tables:
        assert title in text
        assert str(found) in text
    ratios = table[table["measure"].str.startswith("crossover_ratio")][["value", "low", "high"]].to_numpy()
    assert all(with_ends(*ratio) in text for ratio in ratios)
    assert "Transformer, in-weight error falls past 1/2, after 20 steps" in text
