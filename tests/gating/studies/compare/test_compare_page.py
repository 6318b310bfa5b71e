"""The page: complete, self-contained, the same twice, and able to do with less than everything."""

import re

import pandas as pd
import pytest
from compare_table import CONFIG, ENVIRONMENT, SETTINGS, SYSTEMS, synthetic_table

from gating.page.names import in_order
from gating.page.page import write_page
from gating.page.text_table import number
from gating.results.query import select
from gating.results.table import summarise
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.page import compare_page
from gating.studies.compare.page_tables import condition_table, error_text, summary_table
from gating.studies.vocabulary import SYSTEMS as LOOKS
from gating.studies.vocabulary import by_size
from theory.distribution import ClassMixture

FIGURES = ["error-by-n", "log-loss-by-n", "error-by-step", "gate-by-n", "gate-by-step"]
QUESTION = "Weights or context?"


def written(table: pd.DataFrame, settings=SETTINGS, config: CompareConfig = CONFIG) -> str:
    return write_page(compare_page(QUESTION, config, table), table, settings, ENVIRONMENT)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic_table()


@pytest.fixture(scope="module")
def page(table: pd.DataFrame) -> str:
    return written(table)


def test_page_holds_every_figure_setting_and_system(page: str) -> None:
    assert re.findall(r'id="figure-([^"]*)"', page) == FIGURES
    assert "data.input_noise" in page
    assert "2.6.0" in page
    assert [LOOKS[system].name for system in SYSTEMS if LOOKS[system].name not in page] == []
    assert "Mean over 3 seeds" in page
    assert QUESTION in page
    assert "Not in the table" not in page


def test_the_same_table_gives_the_same_page() -> None:
    table = synthetic_table(systems=("transformer", "in_weight"), sizes=(64, 128), seeds=2)
    assert written(table) == written(table)


def test_says_which_systems_are_missing() -> None:
    page = written(synthetic_table(systems=("transformer", "in_weight"), theory=False))
    assert "Not in the table, so not drawn: Stylized model, end to end" in page
    assert "no theory rows" in page


def test_one_seed_one_size_and_no_settings() -> None:
    table = synthetic_table(systems=("transformer", "tabular"), sizes=(100,), steps=(0, 10), seeds=1)
    page = written(table, settings={})
    assert "One seed: an interval, where there is one, is over its test sequences alone." in page
    assert "do not give the number of classes" in page
    assert "nan" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_figures_without_rows_are_named_and_not_drawn() -> None:
    page = written(synthetic_table(systems=("in_weight", "tabular")))
    assert re.findall(r'id="figure-([^"]*)"', page) == FIGURES[:3]
    assert "Not drawn, because the table has no rows for it: The gate in use" in page


def test_a_system_that_is_new_is_drawn_and_text_is_escaped() -> None:
    table = synthetic_table(systems=("transformer",), theory=False)
    table["system"] = table["system"].replace("transformer", "a<b")
    page = written(table, settings={"note": "<script>"})
    assert "A&lt;b" in page
    assert "<script>" not in page


def test_labels_are_called_noisy_where_they_are(table: pd.DataFrame) -> None:
    noisy = CompareConfig(distribution=ClassMixture(label_noise=0.1), n_sequences=CONFIG.n_sequences)
    titles = {
        config: [title for block in compare_page("", config, table).blocks for title, _ in block.tables][-3:]
        for config in (CONFIG, noisy)
    }
    assert titles[CONFIG][:2] == ["Error (0-1)", "Log loss (nats)"]
    assert titles[noisy] == [
        "Error (0-1), against the noisy label",
        "Log loss (nats), against the noisy label",
        titles[CONFIG][2],
    ]


def test_theory_is_named_after_the_predictors_it_is_about(table: pd.DataFrame) -> None:
    names = [row[0] for row in condition_table(summarise(table), ["error"], 512).rows]
    assert names[: len(SYSTEMS)] == [LOOKS[system].name for system in in_order(SYSTEMS, LOOKS)]
    assert names[len(SYSTEMS) :] == [
        "Theory, label counts (exact)",
        "Theory, copying (exact)",
        "Theory, label counts (upper bound)",
        "Theory, any in-weight predictor (lower bound)",
    ]


def test_columns_by_size_are_smallest_middle_and_largest() -> None:
    summary = summarise(synthetic_table(systems=("tabular",), sizes=(8, 16, 32, 64, 2048), seeds=1))
    assert [facet.label for facet in by_size(summary)] == ["N = 8", "N = 32", "N = 2,048"]


def test_tables_show_mean_and_interval(table: pd.DataFrame) -> None:
    """A cell of every table is the mean of its row: in the column of its condition and group, in the line of its
    system."""
    summary = summarise(table)
    for system, condition, group in (
        ("transformer", ("oobd", "relevant"), "low"),
        ("in_context", ("ibd", "irrelevant"), "high"),
    ):
        where = {"system": system, "n": 512, "distribution": condition[0], "context": condition[1], "group": group}
        [row] = select(summary, {**where, "step": 2000, "measure": "error"}).to_dict("records")
        text = number(row["value"], row["low"], row["high"])
        column = f"{'out of base' if condition[0] == 'oobd' else 'in base'}, {condition[1]}"
        found = condition_table(summary, ["error"], 512)
        words = {"high": "frequent", "low": "rare"}
        [line] = [line for line in found.rows if line[0] == LOOKS[system].name]
        assert line[found.header.index(f"{column}, {words[group]}")] == text
        [block] = [block for block in error_text(table).split("\n\n") if block.startswith("N = 512")]
        [line] = [line for line in block.splitlines() if line.startswith(f"{group}, {system} ")]
        place = block.splitlines()[0].index(column) + len(column)
        assert line[:place].endswith(text)
        full = summary_table(summary)
        lines = [line for line in full.rows if line[:3] == (system, "measured", "512")]
        [line] = [line for line in lines if line[3:6] == (*condition, group)]
        assert line[full.header.index("error (0-1)")] == text


def test_short_text_fits_a_terminal_and_keeps_the_order_of_systems(table: pd.DataFrame) -> None:
    lines = error_text(table).splitlines()
    assert max(map(len, lines)) <= 100
    found = [line.split()[1] for line in lines[3 : 3 + len(SYSTEMS)]]
    assert found == in_order(found, LOOKS) == list(LOOKS)
