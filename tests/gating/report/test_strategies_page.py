"""The page of the study `strategies`: what its figures average, what its tables say, and what it leaves unsaid."""

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from strategies_table import DRIFT, SETTINGS, STEPS, strategies_table, transition_step, weight_of

from gating.evaluation.table import json_rows, summarise
from gating.report import short_table, write_report
from gating.report.names import STRATEGY_GATES
from gating.report.strategies_cells import predictor_means, strategy_cells, transition_means
from gating.report.strategies_drawings import draw_maps, draw_paths
from gating.report.strategies_tables import agreement_table, parameter_table, transition_table

NAMES = ("strategy-maps", "strategy-paths-ibd", "strategy-paths-oobd", "transition-times", "losses-and-lengths")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return strategies_table()


@pytest.fixture(scope="module")
def page(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    return write_report(folder, table, SETTINGS, {"python": "3"})


def test_every_figure_is_an_svg_with_its_title_on_the_page(page):
    assert [file.name for file in page] == [*(f"{name}.svg" for name in NAMES), "report.html"]
    assert all(ET.parse(file).getroot().tag.endswith("svg") for file in page[:-1])
    text = page[-1].read_text()
    assert all(f'id="figure-{name}"' in text for name in NAMES)
    assert "Task urns, dimension 8, length 128; seeds 0, 1." in text


def test_the_same_table_gives_the_same_page(page, table, tmp_path):
    again = write_report(tmp_path, table, SETTINGS, {"python": "3"})
    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in page]


def test_cells_are_means_over_seeds_and_blank_where_not_described(table):
    cells = strategy_cells(table, "ibd")
    row = cells[(cells["n_tasks"] == 64) & (cells["step"] == STEPS)].iloc[0]
    whens = [transition_step(64, seed) for seed in (0, 1)]
    assert row["weight"] == pytest.approx(np.mean([weight_of(STEPS, DRIFT * when) for when in whens]))
    assert row["value"] == pytest.approx(np.mean([weight_of(STEPS, when) for when in whens]), abs=0.03)
    assert row["seeds"] == 2
    assert row["low"] < row["value"] < row["high"]
    blank = cells.groupby("n_tasks").head(3)
    assert blank["value"].isna().all()
    assert blank["weight"].isna().all()
    assert cells["value"].notna().sum() == 4 * 9


def test_a_seed_that_is_not_described_is_not_averaged(table):
    gone = (table["measure"] == "weight") & (table["seed"] == 1) & (table["step"] == STEPS)
    cells = strategy_cells(table[~gone], "ibd").query("step == @STEPS")
    assert cells["seeds"].tolist() == [1] * 4
    assert cells["low"].isna().all()


def test_held_out_tasks_and_steps_are_marked(table):
    cells = strategy_cells(table, "ibd")
    held = cells[cells["held"]]
    assert set(held["n_tasks"]) == {4, 16, 64, 256}
    assert held.loc[held["n_tasks"] != 16, "step"].min() > 0.8 * STEPS
    assert cells.loc[cells["n_tasks"] == 16, "held"].all()
    assert "not seen by the fit" not in draw_maps("t", cells.assign(held=False))
    with_marks, without = (draw_maps("t", cells.assign(held=held)).count("<pattern") for held in (True, False))
    assert with_marks > without == 0


def test_each_width_has_a_row_of_maps_and_a_panel_of_paths():
    cells = strategy_cells(strategies_table(factors=(2.0, 4.0, 8.0)), "ibd")
    maps, paths = (ET.fromstring(draw("t", cells)) for draw in (draw_maps, draw_paths))
    groups = [[g.get("id") for g in svg.iter() if (g.get("id") or "").startswith("axes_")] for svg in (maps, paths)]
    assert [len(ids) for ids in groups] == [3 * 2 + 1, 3]


def test_transition_times_are_geometric_means_where_a_seed_goes_over(table):
    times = transition_means(table).set_index(["kind", "n_tasks"])
    first, last = times.loc[("measured", 4)], times.loc[("measured", 256)]
    assert (first["reached"], first["already"], last["reached"], last["already"]) == (0, 2, 0, 0)
    assert math.isnan(first["value"])
    assert math.isnan(last["value"])
    seen, geometric = times.loc[("measured", 64)], math.sqrt(transition_step(64, 0) * transition_step(64, 1))
    assert seen["value"] == pytest.approx(geometric)
    assert seen["low"] * seen["high"] == pytest.approx(geometric**2)
    assert times.loc[("predicted", 64), "value"] == pytest.approx(DRIFT * geometric)
    assert math.isinf(times.loc[("predicted", 256), "high"])


def test_the_table_of_transitions_says_who_goes_over(table):
    rows = {row[0]: row for row in transition_table(table).rows}
    assert rows["4"][2:4] == ("none", "0 of 2, 2 from the start")
    assert rows["64"][3] == "2 of 2"
    assert rows["256"][4].endswith("never]")


def test_agreement_has_a_row_for_every_gate_and_its_own_interval(table):
    found = agreement_table(table, "oobd", "held_out_tasks")
    assert found.header == ("gate", "correlation", "total variation", "discrepancy")
    assert [row[0] for row in found.rows] == [gate.name for gate in STRATEGY_GATES.values()]
    assert found.rows[0][1] == "0.97 [0.873, 0.989]"
    assert {row[0]: row[1] for row in found.rows}["Memorizing M"] == ""


def test_parameters_of_a_seed_alone_stand_beside_those_of_all(table):
    rows = {row[0]: row[1:] for row in parameter_table(table).rows}
    assert rows["Posterior"][0] == "0.75 [0.65, 0.85]"
    assert rows["Posterior, seed alone: 0"][0] == rows["Posterior, beta = 1"][0] == "0.75"


def test_losses_and_lengths_are_means_by_system(table):
    lengths = predictor_means(table, "description_bits").set_index(["system", "n_tasks"])["value"]
    assert lengths["memorizing", 256] == 8000 + 256 * 256
    assert lengths["generalizing", 4] == 5600


def test_agreement_over_runs_keeps_its_interval_and_counts_no_seed(table):
    rows = summarise(table[table["measure"] == "correlation"])
    assert (rows["seeds"] == 0).all()
    assert rows["low"].notna().sum() == 4 * (len(STRATEGY_GATES) - 1)


def test_the_terminal_gets_the_posterior_and_json_no_cells(table):
    text = short_table(table)
    assert "held-out D" in text
    assert "1.21 [1.11, 1.41]" in text
    assert "too few" in text
    assert max(map(len, text.splitlines())) <= 130
    assert len(text.splitlines()) < 30
    assert len(json.dumps(json_rows(table))) < 100_000


def test_a_run_without_a_described_transition_still_has_a_page(table, tmp_path):
    """Few checkpoints: no transition, no predicted time that is finite."""
    times = table["measure"] == "transition_time"
    bare = table.assign(value=table["value"].mask(times, np.nan), low=table["low"].mask(times, np.nan))
    assert write_report(tmp_path, bare, SETTINGS, {})[-1].exists()


def test_numbers_without_the_query_s_item_have_a_figure_and_a_block(table, tmp_path):
    """A table as of item labels and of regression: a further kind of test sequences, and R² in place of overlap."""
    other = table.replace({"distribution": {"oobd": "absent"}, "measure": {"total_variation": "r_squared"}})
    files = write_report(tmp_path, other, SETTINGS, {})
    assert "strategy-paths-absent.svg" in {file.name for file in files}
    text = files[-1].read_text()
    assert "context leaves the query&#39;s item out" in text
    assert "Agreement on query&#39;s item not in the context" in text
    assert '<th scope="col">R²</th>' in text
