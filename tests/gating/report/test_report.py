"""The page and its plots: complete, self-contained, the same twice, and able to do with less than everything."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from synthetic import ENVIRONMENT, SETTINGS, synthetic_table

from gating.evaluation.table import make_table, summarise
from gating.report import STUDIES, short_table, write_report
from gating.report.figures import by_size
from gating.report.names import SYSTEMS, in_order
from gating.report.query import at_last_step
from gating.report.tables import condition_table, number, summary_table

FIGURES = [spec.name for spec in STUDIES["compare"].figures]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic_table()


@pytest.fixture(scope="module")
def folder(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("a report")
    write_report(path, table, SETTINGS, ENVIRONMENT)
    return path


class References(HTMLParser):
    """Collects ids, and every address that the page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.addresses.append(value or "")


def references(page: str) -> References:
    parser = References()
    parser.feed(page)
    return parser


def test_writes_the_page_and_every_plot_and_no_draft(folder: Path) -> None:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"report.html", *(f"plots/{name}.svg" for name in FIGURES)}


def test_plots_are_xml_and_undated(folder: Path) -> None:
    for path in folder.glob("plots/*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")
        assert "dc:date" not in path.read_text(encoding="utf-8")


def test_page_refers_to_nothing_outside_itself(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    found = references(page)
    assert found.addresses
    assert {address for address in found.addresses if not address.startswith("#")} == set()
    assert {address[1:] for address in found.addresses} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert re.search(r"@import|url\((?!#)|<script|<link", page) is None
    outside = re.findall(r"https?://[^\"' <]+", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page))
    assert outside == []


def test_page_holds_every_figure_setting_and_system(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert [name for name in FIGURES if f'id="figure-{name}"' not in page] == []
    assert "data.input_noise" in page
    assert "2.6.0" in page
    assert [system.name for system in SYSTEMS.values() if system.name not in page] == []
    assert "Mean over 3 seeds" in page
    assert "Not in the table" not in page


def test_the_same_table_gives_the_same_files(tmp_path: Path) -> None:
    table = synthetic_table(systems=("transformer", "in_weight"), sizes=(64, 128), seeds=2)
    first, second = (write_report(tmp_path / name, table, SETTINGS, ENVIRONMENT) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_says_which_systems_are_missing(tmp_path: Path) -> None:
    table = synthetic_table(systems=("transformer", "in_weight"), theory=False)
    write_report(tmp_path, table, SETTINGS, ENVIRONMENT)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not in the table, so not drawn: Stylized model, end to end" in page
    assert "no theory rows" in page


def test_one_seed_one_size_and_no_settings(tmp_path: Path) -> None:
    table = synthetic_table(systems=("transformer", "tabular"), sizes=(100,), steps=(0, 10), seeds=1)
    write_report(tmp_path, table, {}, {})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "One seed: no interval can be given." in page
    assert "do not give the number of classes" in page
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)


def test_figures_without_rows_are_named_and_not_written(tmp_path: Path) -> None:
    table = synthetic_table(systems=("in_weight", "tabular"))
    files = write_report(tmp_path, table, SETTINGS, ENVIRONMENT)
    assert {path.stem for path in files} == {"error-by-n", "log-loss-by-n", "error-by-step", "report"}
    assert "no rows for it: The gate in use" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_system_that_is_new_is_drawn_and_text_is_escaped(tmp_path: Path) -> None:
    table = synthetic_table(systems=("transformer",), theory=False)
    table["system"] = table["system"].replace("transformer", "a<b")
    write_report(tmp_path, table, {"note": "<script>"}, ENVIRONMENT)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "A&lt;b" in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one measured row"),
        ([{"study": "nowhere", "kind": "measured", "value": 0.5}], r"one study among .*; got \['nowhere'\]"),
    ],
)
def test_refuses_a_table_without_a_page(rows: list[dict[str, object]], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "new", make_table(rows), SETTINGS, ENVIRONMENT)
    assert not (tmp_path / "new").exists()


def test_a_write_that_fails_leaves_the_former_page(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.html").write_text("former", encoding="utf-8")

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("gating.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path, table, SETTINGS, ENVIRONMENT)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "former"
    assert not list(tmp_path.rglob("*.part"))


def test_each_system_has_a_look_of_its_own() -> None:
    assert len({system.colour for system in SYSTEMS.values()}) == len(SYSTEMS)
    assert len({(system.marker, system.filled) for system in SYSTEMS.values()}) == len(SYSTEMS)


def test_last_step_is_that_of_each_system_and_size() -> None:
    rows = [("a", 8, 10), ("a", 8, 20), ("a", 16, 10), ("b", 8, 5), ("c", 8, None)]
    table = make_table([{"system": s, "n": n, "step": t, "kind": "measured", "value": 0.0} for s, n, t in rows])
    kept = at_last_step(summarise(table))[["system", "n", "step"]].astype(object)
    assert sorted(map(str, kept.itertuples(index=False, name=None))) == sorted(
        map(str, [("a", 8, 20), ("a", 16, 10), ("b", 8, 5), ("c", 8, pd.NA)])
    )


def test_columns_by_size_are_smallest_middle_and_largest() -> None:
    summary = summarise(synthetic_table(systems=("tabular",), sizes=(8, 16, 32, 64, 2048), seeds=1))
    assert [facet.label for facet in by_size(summary)] == ["N = 8", "N = 32", "N = 2,048"]


def test_tables_show_mean_and_half_width(table: pd.DataFrame) -> None:
    summary = summarise(table)
    cell = {"system": "transformer", "n": 512, "step": 2000, "distribution": "oobd", "context": "relevant"}
    wanted = summary.query(" and ".join(f"{k} == {v!r}" for k, v in cell.items()) + " and group == 'low'")
    row = wanted[wanted["measure"] == "error"].iloc[0]
    text = f"{row['value']:.3f} ± {(row['high'] - row['low']) / 2:.3f}"
    found = condition_table(summary, ["error"], 512)
    assert found.rows[0][found.header.index("OOBD, relevant, rare")] == text
    assert text.replace(" ", "") in short_table(table)
    assert any(text in line for line in summary_table(summary).rows)


@pytest.mark.parametrize(
    ("value", "text"), [(-0.0001, "0.000 ± 0.010"), (float("nan"), ""), (12.3456, "12.346 ± 0.010")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value, value - 0.01, value + 0.01) == text


def test_short_table_fits_a_terminal_and_keeps_the_order_of_systems(table: pd.DataFrame) -> None:
    lines = short_table(table).splitlines()
    assert max(map(len, lines)) <= 100
    first = [line.split()[0] for line in lines[5 : 5 + len(SYSTEMS)]]
    assert first == in_order(first, SYSTEMS) == list(SYSTEMS)


def test_report_needs_no_torch() -> None:
    code = "import sys, gating.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
