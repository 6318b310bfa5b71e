"""The page of the study `strategies`: what its figures average, what its tables say, and what it leaves unsaid."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from strategies_table import CONFIG, DRIFT, STEPS, strategies_table, transition_step, weight_of

from gating.page.chart import legend_of
from gating.page.figures import Figure
from gating.page.page import write_page
from gating.page.said import in_lines
from gating.results.query import select
from gating.results.table import json_rows, summarise
from gating.runs.engine import as_json
from gating.settings.text import as_plain
from gating.studies.strategies.page import strategies_page, strategy_cells
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


def written(table) -> str:
    return write_page(Strategies().page(CONFIG, table, {}), table, as_plain(CONFIG), {"python": "3"})


@pytest.fixture(scope="module")
def page(table) -> str:
    return written(table)


def figures(table) -> dict[str, Figure]:
    return {figure.name: figure for figure in strategies_page("", CONFIG, table).figures}


def layers(figure: Figure, mark: str, place: int = 0) -> dict[str, pd.DataFrame]:
    return {layer.look.name: layer.rows for layer in figure.panels[place].layers if layer.mark == mark}


def test_every_figure_is_drawn_with_its_title_on_the_page(page):
    assert re.findall(r'id="figure-([^"]*)"', page) == list(NAMES)
    assert "Task urns, dimension 8, length 128; seeds 0, 1." in page
    assert Strategies().question() in page


def test_every_gate_is_on_the_page_and_none_is_missed(page):
    assert all(f">{gate.name}</th>" in page for gate in GATES.values())
    assert "Not in the table" not in page


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


def test_maps_show_described_cells_measured_beside_predicted(table):
    figure = figures(table)["strategy-maps"]
    assert [panel.column for panel in figure.panels] == ["measured", "predicted"]
    cells = strategy_cells(table, "ibd").dropna(subset="weight")
    for place, column in enumerate(("value", "weight")):
        (shown,) = layers(figure, "cells", place).values()
        assert shown["value"].tolist() == cells[column].tolist()
        inside = (shown["x"] < cells["step"]) & (cells["step"] < shown["x2"])
        assert inside.all()
        assert ((shown["low"] < cells["n_tasks"]) & (cells["n_tasks"] < shown["high"])).all()
    assert shown["said"].iloc[-1].startswith("D = 256, step 20,000: ")


def test_neighbouring_cells_share_their_border(table):
    (shown,) = layers(figures(table)["strategy-maps"], "cells").values()
    first = shown[shown["n_tasks"] == 4]
    assert first["x2"].tolist()[:-1] == first["x"].tolist()[1:]
    assert sorted(set(shown["high"]))[:-1] == sorted(set(shown["low"]))[1:] == [8, 32, 128]


def test_frames_are_round_held_out_cells_and_one_round_neighbours_with_the_same_steps(table):
    cells = strategy_cells(table, "ibd")
    assert cells.loc[cells["n_tasks"] == 16, "held"].all()
    assert cells.loc[cells["held"] & (cells["n_tasks"] != 16), "step"].min() > 0.8 * STEPS
    (frames,) = layers(figures(table)["strategy-maps"], "frame").values()
    assert frames[["low", "high"]].to_numpy().tolist() == [[2, 8], [8, 32], [32, 512]]
    assert frames["x"].tolist()[1] < frames["x"].tolist()[0] == frames["x"].tolist()[2]
    seen = figures(table.assign(group=table["group"].replace({"held_out_steps": "in_fit", "held_out_tasks": "in_fit"})))
    assert all(rows.empty for rows in layers(seen["strategy-maps"], "frame").values())


def test_each_width_has_a_row_of_maps_and_a_panel_of_paths():
    found = figures(strategies_table(factors=(2.0, 4.0, 8.0)))
    headings = [f"MLP factor {factor}" for factor in (2, 4, 8)]
    assert [panel.row for panel in found["strategy-maps"].panels] == [name for name in headings for _ in range(2)]
    assert [panel.row for panel in found["strategy-paths-ibd"].panels] == headings


def test_paths_have_one_entry_for_each_d_with_points_measured_and_a_line_predicted(table):
    figure = figures(table)["strategy-paths-ibd"]
    names = ["D = 4", "D = 16, held out", "D = 64", "D = 256"]
    assert list(layers(figure, "points")) == list(layers(figure, "line")) == names
    looks = {layer.look.name: layer.look for layer in figure.panels[0].layers if layer.mark == "points"}
    assert [look.filled for look in looks.values()] == [True, False, True, True]
    assert len({look.colour for look in looks.values()}) == len({look.shape for look in looks.values()}) == 4
    cells = strategy_cells(table, "ibd").query("n_tasks == 64").dropna(subset="weight")
    assert layers(figure, "line")["D = 64"]["value"].tolist() == cells["weight"].tolist()
    assert layers(figure, "points")["D = 64"]["value"].tolist() == cells["value"].tolist()
    assert layers(figure, "upright")["from here on not seen by the fit"]["x"].iloc[0] > 0.8 * STEPS
    entries = {entry["name"]: entry["mark"] for entry in legend_of(figure)}
    assert {entries[name] for name in names} == {"curve"}


def test_times_that_are_not_seen_have_no_point_and_endless_intervals_are_said(table):
    figure = figures(table)["transition-times"]
    assert layers(figure, "points")["Transformer, measured"]["x"].tolist() == [16, 64]
    predicted = layers(figure, "curve")["Posterior, predicted"]
    assert predicted["x"].tolist() == [4, 16, 64, 256]
    assert predicted["said"].iloc[-1].endswith("never]")
    assert np.isfinite(predicted["high"]).all()
    assert layers(figure, "across")["end of training"]["value"].tolist() == [STEPS]


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
        assert printed in page
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
    verdict = strategies_page("", CONFIG, table).verdict
    assert text.startswith(in_lines(verdict))
    assert max(map(len, text.splitlines()[len(verdict) :])) <= 130
    assert len(text.splitlines()) < 35
    assert len(json.dumps(json_rows(table))) < 100_000


def test_a_run_without_a_described_transition_still_has_a_page(table):
    """Few checkpoints: no transition, no predicted time that is finite."""
    times = table["measure"] == "transition_time"
    bare = table.assign(value=table["value"].mask(times, np.nan), low=table["low"].mask(times, np.nan))
    assert "transition-times" in written(bare)


def test_numbers_without_the_query_s_item_have_a_figure_and_a_block(table):
    """A table as of item labels and of regression: a further kind of test sequences, and R² in place of overlap."""
    other = table.replace({"distribution": {"oobd": "absent"}, "measure": {"total_variation": "r_squared"}})
    text = written(other)
    assert 'id="figure-strategy-paths-absent"' in text
    assert "context leaves the query&#39;s item out" in text
    assert "Agreement on query&#39;s item not in the context" in text
    assert '<th scope="col">R²</th>' in text
