"""Figures of finished runs and of tables: as charts in a notebook, and as files, from Python and by the command."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import altair
import nbclient
import nbformat
import pandas as pd
import pytest
from visiting import refused

from gating import Axis, Figure, FolderError, Layer, Panel, System, bounds, plot, read_results, save_plot
from gating.cli import main
from gating.page.page import svg
from gating.runs.folder import TABLE, RunFolder
from gating.runs.plot import figures_in

PNG = b"\x89PNG\r\n\x1a\n"
FIGURES = ["error-by-n", "log-loss-by-n"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, and the table that its function returned."""
    folder = tmp_path_factory.mktemp("plot") / "run"
    return folder, bounds(n_sequences=[16, 64], out=folder, say=lambda line: None)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """A run that has just begun."""
    folder = RunFolder(tmp_path_factory.mktemp("plot") / "begun")
    with folder.locked():
        folder.begin("bounds", {"config": {"study": "bounds"}})
    return folder.path


def test_a_folder_and_its_table_give_the_same_chart(run):
    folder, table = run
    for name in FIGURES:
        chart = plot(folder, name)
        assert isinstance(chart, altair.ConcatChart)
        assert chart.to_dict() == plot(table, name).to_dict() == plot(str(folder), name).to_dict()
    assert plot(table).to_dict() == plot(table, FIGURES[0]).to_dict()


def test_a_chart_holds_the_numbers_of_the_table(run):
    _, table = run
    spec = plot(table, "error-by-n").to_dict()
    [points] = spec["datasets"].values() if "datasets" in spec else [spec["data"]["values"]]
    shown = {(point["x"], point["y"]) for point in points if point["m"] == "line"}
    risks = table[(table["measure"] == "error") & ~table["answer"] & (table["distribution"] == "ibd")]
    assert shown == {(int(n), float(f"{value:.5g}")) for n, value in zip(risks["n"], risks["value"], strict=True)}
    assert '"bind": "scales"' in json.dumps(spec)
    assert '"bind": "legend"' in json.dumps(spec)


@pytest.mark.parametrize("ending", ["svg", "png", "json"])
def test_a_file_is_written_as_its_ending_says(run, tmp_path, ending):
    folder, table = run
    file = tmp_path / f"figure.{ending}"
    assert save_plot(folder, "error-by-n", file) == file
    content = file.read_bytes()
    if ending == "svg":
        assert ET.fromstring(content).tag.endswith("svg")
        assert content == svg(figures_in(folder)[0]).encode()
    elif ending == "png":
        assert content.startswith(PNG)
    else:
        altair.Chart.from_dict(json.loads(content))
    assert save_plot(table, "error-by-n", str(file)).read_bytes() == content


def test_a_figure_of_one_s_own_is_drawn_too(tmp_path):
    rows = pd.DataFrame({"x": [1.0, 2.0], "value": [0.25, 0.5]})
    look = System("mine", "", "#0072b2", "circle")
    own = Figure("own", "Own", (), Axis("x"), (Panel("", "", Axis("y"), (Layer(look, rows, "curve"),)),), 1)
    assert plot(own).to_dict()["title"]["text"] == "Own"
    assert b"Own" in save_plot(own, "", tmp_path / "own.svg").read_bytes()
    with pytest.raises(ValueError, match=r"`name` must be one of \['own'\]; got 'other'"):
        plot(own, "other")


def test_what_cannot_be_drawn_is_said_and_nothing_is_written(run, unfinished, tmp_path):
    folder, table = run
    for results in (folder, table):
        with pytest.raises(ValueError, match=r"`name` must be one of \['error-by-n', 'log-loss-by-n'\]; got 'error'"):
            plot(results, "error")
        with pytest.raises(
            ValueError, match=r"`file` must end in one of \['.svg', '.png', '.json'\]; got '.*figure.pdf'"
        ):
            save_plot(results, "error-by-n", tmp_path / "figure.pdf")
    with pytest.raises(ValueError, match="or a table as a study's function returns it; got another table"):
        plot(pd.read_parquet(folder / TABLE))
    with pytest.raises(FolderError, match=f"must be a finished run; it has no {TABLE} yet"):
        plot(unfinished)
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FolderError, match="must be"):
            plot(place)
    with pytest.raises(FolderError, match="cannot be written"):
        save_plot(folder, "error-by-n", folder / TABLE / "figure.svg")
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_was_read_from_its_folder_can_be_drawn(run):
    folder, table = run
    assert plot(read_results(folder)).to_dict() == plot(table).to_dict()


def test_the_command_writes_a_file_and_names_it(run, tmp_path, capsys):
    folder, _ = run
    for ending in ("svg", "png", "json"):
        file = tmp_path / f"figure.{ending}"
        assert main(["plot", str(folder), "log-loss-by-n", str(file)]) == 0
        assert capsys.readouterr().out == f"{file}\n"
        assert file.stat().st_size > 1000
    assert main(["plot", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: gating plot DIR FIGURE FILE\n")


def test_the_command_refuses_in_a_sentence(run, unfinished, tmp_path, capsys):
    folder, file = str(run[0]), str(tmp_path / "figure.svg")
    for arguments, said in (
        ([folder, "error", file], "`name` must be one of ['error-by-n', 'log-loss-by-n']; got 'error'"),
        ([folder, "error-by-n", f"{file}.pdf"], "`file` must end in one of ['.svg', '.png', '.json']"),
        ([str(unfinished), "error-by-n", file], "must be a finished run; it has no results.parquet yet"),
        ([str(tmp_path), "error-by-n", file], "must be"),
        ([folder, "error-by-n"], "`plot` must have 3 arguments, DIR FIGURE FILE"),
    ):
        assert said in refused(["plot", *arguments], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_table_is_not_drawn(run, tmp_path, capsys):
    folder, _ = run
    whole = (folder / TABLE).read_bytes()
    try:
        (folder / TABLE).write_bytes(whole[:-9] + bytes(9))
        assert TABLE in refused(["plot", str(folder), "error-by-n", str(tmp_path / "figure.svg")], capsys)
    finally:
        (folder / TABLE).write_bytes(whole)


@pytest.mark.long
def test_a_notebook_shows_a_chart(tmp_path, monkeypatch):
    """A cell that ends in a chart has it as Vega-Lite, which Jupyter draws without a network."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import gating\ngating.plot(gating.bounds(n_sequences=[16, 64]))")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}},
    )
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    [shown] = [output for output in notebook.cells[0].outputs if output.output_type == "execute_result"]
    [spec] = [held for kind, held in shown.data.items() if kind.startswith("application/vnd.vegalite.v")]
    altair.ConcatChart.from_dict(spec)
    assert spec["title"]["text"] == "Error (0-1 loss) against the number of training sequences N"
    assert "text/html" in shown.data
