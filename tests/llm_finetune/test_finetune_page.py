"""The page of made-up runs: which figures there are, in which order, and what they hold."""

import pandas as pd
from finetune_table import AFTER, MEMORY, MIXED, measured

from gating.page.chart import specification
from gating.page.figures import Figure
from gating.page.multiples import figures_of
from gating.page.said import in_lines
from gating.results.table import summarise
from llm_finetune.page import finetune_page, finetune_text

SHARES = {f"memory={1 - x:g} reading={x:g}" if x else MEMORY: {**AFTER[MIXED], "reads": 0.5 + x}
          for x in (0, 0.02, 0.05, 0.25, 0.4)}  # fmt: skip


def figures(config, table) -> dict[str, Figure]:
    found, _ = figures_of(finetune_page("?", config, table, {}), summarise(table[~table["answer"]]), {})
    return {figure.name: figure for figure in found}


def test_accuracy_over_steps_stands_first_and_accuracy_by_share_where_mixtures_are_many():
    assert next(iter(figures(*measured()))) == "accuracy-by-step"
    assert next(iter(figures(*measured(SHARES)))) == "accuracy-by-share"
    assert "accuracy-by-share" not in figures(*measured({MEMORY: AFTER[MEMORY]}))


def test_accuracy_by_share_has_what_was_measured_and_what_is_advised():
    figure = figures(*measured(SHARES, n_seeds=3))["accuracy-by-share"]
    layers = {layer.look.name: layer.rows for layer in figure.panels[0].layers}
    after = layers["Language model, after training"]
    assert after["x"].tolist() == list(figure.x.ticks) == [0, 2, 5, 25, 40]
    assert after["value"].round(6).tolist() == [0.5, 0.52, 0.55, 0.75, 0.9]
    assert layers["Before training"]["value"].round(6).tolist() == [0.46]
    assert layers["Largest, less the margin of 0.05"]["value"].round(6).tolist() == [0.85]
    assert layers["Advised share"][["x", "said"]].values.tolist() == [[40.0, "40%"]]
    assert specification(figure, "page")["concat"]


def test_no_line_stands_where_no_share_is_advised():
    config, table = measured(SHARES)
    advised = table["measure"] == "advised_share"
    for others in (table[~advised], table.assign(value=table["value"].mask(advised, float("inf")))):
        names = [layer.look.name for layer in figures(config, others)["accuracy-by-share"].panels[0].layers]
        assert "Advised share" not in names


def test_columns_of_panels_are_ways_of_training_and_conditions_differ_by_shape_or_fill():
    figure = figures(*measured())["accuracy-by-step"]
    assert figure.columns == 3
    assert [panel.column for panel in figure.panels[:3]] == ["memory only", "memory 50%, reading 50%", "reading only"]
    looks = {layer.look for panel in figure.panels for layer in panel.layers}
    assert len({(look.shape, look.filled) for look in looks}) == len({look.name for look in looks}) == 9


def test_a_terminal_reads_the_verdict_first():
    config, table = measured()
    page = finetune_page("?", config, table, {})
    assert finetune_text(config, table).startswith(in_lines(page.verdict) + "\n\nAfter ")
    assert isinstance(table, pd.DataFrame)
