"""The page of the study `strategies`: what its figures average, what its tables say, and what it leaves unsaid."""

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from strategies_table import CONFIG, DRIFT, STEPS, strategies_table, transition_step, weight_of

from gating.page.page import write_page
from gating.results.query import select
from gating.results.table import json_rows, summarise
from gating.runs.engine import as_json
from gating.settings.text import as_plain
from gating.studies.strategies.drawings import draw_maps, draw_paths
from gating.studies.strategies.page import strategy_cells
from gating.studies.strategies.page_tables import (
    GATES,
    agreement_table,
    exponent_table,
    parameter_table,
    predictor_table,
    transition_table,
)
from gating.studies.strategies.study import Strategies

NAMES = ("strategy-maps", "strategy-paths-ibd", "strategy-paths-oobd", "transition-times", "losses-and-lengths")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return strategies_table()


def written(table) -> dict[str, str]:
    return write_page(Strategies().page(CONFIG, table, {}), table, as_plain(CONFIG), {"python": "3"})


@pytest.fixture(scope="module")
def page(table) -> dict[str, str]:
    return written(table)


def test_every_figure_is_an_svg_with_its_title_on_the_page(page):
    assert list(page) == [*(f"plots/{name}.svg" for name in NAMES), "report.html"]
    assert all(ET.fromstring(page[f"plots/{name}.svg"]).tag.endswith("svg") for name in NAMES)
    text = page["report.html"]
    assert all(f'id="figure-{name}"' in text for name in NAMES)
    assert "Task urns, dimension 8, length 128; seeds 0, 1." in text
    assert Strategies().question() in text


def test_every_gate_is_on_the_page_and_none_is_missed(page):
    assert all(f"</span>{gate.name}</th>" in page["report.html"] for gate in GATES.values())
    assert "Not in the table" not in page["report.html"]


def test_the_same_table_gives_the_same_page(page, table):
    assert written(table) == page


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
    answers = select(table, {"answer": True, "measure": ("transition_time", "seeds_over", "seeds_over_at_once")})
    found = answers.set_index(["measure", "kind", "n_tasks"])[["value", "low", "high"]]
    counts = found["value"].unstack("measure").loc["measured"]
    assert counts[["seeds_over", "seeds_over_at_once"]].to_numpy().tolist() == [[0, 2], [2, 0], [2, 0], [0, 0]]
    times = found.loc["transition_time"]
    assert math.isnan(times.loc[("measured", 4), "value"])
    assert math.isnan(times.loc[("measured", 256), "value"])
    seen, geometric = times.loc[("measured", 64)], math.sqrt(transition_step(64, 0) * transition_step(64, 1))
    assert seen["value"] == pytest.approx(geometric)
    assert seen["low"] * seen["high"] == pytest.approx(geometric**2)
    assert times.loc[("predicted", 64), "value"] == pytest.approx(DRIFT * geometric)
    assert math.isinf(times.loc[("predicted", 256), "high"])


def test_the_table_of_transitions_says_who_goes_over(table):
    rows = {row[0]: row for row in transition_table(table).rows}
    assert rows["4"][2:5] == ("0", "2", "none")
    assert rows["64"][2:4] == ("2", "0")
    assert rows["256"][5].endswith("never]")


def test_page_text_and_json_print_the_same_exponents(table, page):
    """They are rows, and rounded in the same way."""
    answers = as_json("strategies", CONFIG, table)["answers"]
    found = [row for row in answers if row["measure"] == "transition_exponent" and "value" in row]
    assert [row["value"] for row in found] == [1.21, 1.15]
    text = Strategies().text(CONFIG, table)
    for row in found:
        printed = f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"
        assert printed in text
        assert f"{row['kind']}: {printed}." in page["report.html"]
        assert printed in {line[-1] for line in exponent_table(table).rows}


def test_agreement_has_a_row_for_every_gate_and_its_own_interval(table):
    found = agreement_table(table, "oobd", "held_out_tasks")
    assert found.header == ("gate", "correlation", "total variation", "discrepancy")
    assert [row[0] for row in found.rows] == [gate.name for gate in GATES.values()]
    assert found.rows[0][1] == "0.97 [0.873, 0.989]"
    assert {row[0]: row[1] for row in found.rows}["Memorizing M"] == ""


def test_parameters_of_a_seed_or_a_width_alone_stand_beside_those_of_all(table):
    rows = {row[0]: row[1:] for row in parameter_table(table).rows}
    assert rows["Posterior"][0] == "0.75 [0.65, 0.85]"
    for alone in ("Posterior, seed 0 alone", "Posterior, MLP factor 4 alone", "Posterior, beta = 1"):
        assert rows[alone][0] == "0.75"


def test_parameters_at_the_edge_of_their_range_say_so(table):
    edge = select(table, {"measure": "alpha", "fitted_to": "all", "system": "posterior"})
    more = pd.concat([table, edge.assign(measure="alpha_at_edge")], ignore_index=True)
    assert dict(row[:2] for row in parameter_table(more).rows)["Posterior"] == "0.75 [0.65, 0.85] (edge)"


def test_losses_and_lengths_are_means_by_system(table):
    rows = {row[0]: row[1:] for row in predictor_table(table).rows}
    assert list(rows) == ["4", "16", "64", "256"]
    assert rows["256"][2:] == ("73,536", "5,600")  # 8,000 + 256 * 256 bits
    assert rows["4"][0] == "1.6250"
    assert rows["4"][1].startswith("1.7550 [1.69")  # seeds of 1.75 and 1.76


def test_agreement_over_runs_keeps_its_interval_and_counts_no_seed(table):
    rows = summarise(table[table["measure"] == "correlation"])
    assert (rows["seeds"] == 0).all()
    assert rows["low"].notna().sum() == 4 * (len(GATES) - 1)


def test_the_terminal_gets_the_posterior_and_json_no_cells(table):
    text = Strategies().text(CONFIG, table)
    assert "held-out D" in text
    assert "1.21 [1.11, 1.41]" in text
    assert "too few" in text
    assert max(map(len, text.splitlines())) <= 130
    assert len(text.splitlines()) < 30
    assert len(json.dumps(json_rows(table))) < 100_000


def test_a_run_without_a_described_transition_still_has_a_page(table):
    """Few checkpoints: no transition, no predicted time that is finite."""
    times = table["measure"] == "transition_time"
    bare = table.assign(value=table["value"].mask(times, np.nan), low=table["low"].mask(times, np.nan))
    assert "report.html" in written(bare)


def test_numbers_without_the_query_s_item_have_a_figure_and_a_block(table):
    """A table as of item labels and of regression: a further kind of test sequences, and R² in place of overlap."""
    other = table.replace({"distribution": {"oobd": "absent"}, "measure": {"total_variation": "r_squared"}})
    files = written(other)
    assert "plots/strategy-paths-absent.svg" in files
    text = files["report.html"]
    assert "context leaves the query&#39;s item out" in text
    assert "Agreement on query&#39;s item not in the context" in text
    assert '<th scope="col">R²</th>' in text
