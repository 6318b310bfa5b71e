"""Studies as functions: what the command does, with Python's values, and what it refuses in the same words."""

import inspect
from dataclasses import fields, replace
from importlib.metadata import entry_points
from pathlib import Path

import pandas as pd
import pytest

import gating
from gating.cli import main
from gating.runs import calls
from gating.runs.catalogue import ENTRY_POINTS, find_study, study_names
from gating.runs.errors import FolderError
from gating.runs.folder import RunFolder
from gating.settings import read_call
from gating.studies.bounds.config import BoundsConfig
from theory.distribution import ClassMixture
from theory.settings import SpecError

FEW = {"n_sequences": [10, 100], "measures": "error", "distribution": {"label_noise": 0.05}}
FLAGS = ["--n_sequences", "[10, 100]", "--measures", "[error]", "--distribution.label_noise", "0.05"]


def quiet(line: str) -> None:
    """Says nothing."""


def files(folder: Path) -> dict[str, bytes]:
    """What the manifest lists, and the bytes of it."""
    return {name: (folder / name).read_bytes() for name in RunFolder(folder).manifest["files"]}


def test_the_call_and_the_command_write_one_folder_with_one_report(tmp_path, capsys):
    table = gating.bounds(**FEW, out=tmp_path / "call", say=quiet)
    assert main(["bounds", *FLAGS, "--out", str(tmp_path / "command")]) == 0
    called, commanded = files(tmp_path / "call"), files(tmp_path / "command")
    assert called.keys() == commanded.keys()
    assert "report.html" in called
    assert [name for name in called if called[name] != commanded[name]] == []
    pd.testing.assert_frame_equal(table, gating.read_results(tmp_path / "command"))
    pd.testing.assert_frame_equal(table, gating.read_results(tmp_path / "call" / "results.parquet"))


def test_the_command_goes_on_from_the_folder_of_a_call_and_a_call_from_the_command_s(tmp_path, capsys):
    out, said = tmp_path / "run", []
    gating.bounds(**FEW, out=str(out), say=said.append)
    assert [line for line in said if "report.html" in line]
    assert main(["bounds", *FLAGS, "--out", str(out)]) == 0
    assert "is finished; its table is used as it is" in capsys.readouterr().out
    said.clear()
    gating.bounds(**FEW, out=out, say=said.append)
    assert "is finished" in said[0]
    with pytest.raises(FolderError, match="with other settings"):
        gating.bounds(**{**FEW, "beta": 2.0}, out=out, say=quiet)
    assert gating.bounds(**{**FEW, "beta": 2.0}, out=out, again=True, say=quiet)["value"].notna().all()


def test_nothing_is_written_unless_a_folder_or_the_usual_one_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual = calls.study_function(type("Kept", (type(find_study("bounds")),), {"in_folder": True})())
    assert len(gating.bounds(**FEW, out="auto"))  # a study of seconds has no usual folder
    assert len(usual(**FEW))
    assert list(tmp_path.iterdir()) == []
    usual(**FEW, out="auto", say=quiet)
    assert gating.read_results("runs/bounds")["value"].notna().all()


@pytest.mark.parametrize(
    "given",
    [
        {**FEW},
        {"config": FEW},
        {
            "config": BoundsConfig(
                n_sequences=(10, 100), measures=("error",), distribution=ClassMixture(label_noise=0.05)
            )
        },
        {**FEW, "distribution": ClassMixture(label_noise=0.05)},
        {"n_sequences": (10, 100), "measures": ["error"], "distribution.label_noise": 0.05},
        {"config": {**FEW, "n_sequences": 7}, "n_sequences": [10, 100]},
    ],
    ids=["keywords", "dictionary", "settings", "section", "dots", "keyword over config"],
)
def test_settings_may_be_given_in_many_forms(given):
    pd.testing.assert_frame_equal(gating.bounds(**given), gating.bounds(**FEW))


def test_keywords_win_over_config_and_config_over_the_preset(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("study: bounds\nn_sequences: [10, 100]\nbeta: 2.0\n")
    presets = find_study("bounds").presets()
    preset = read_call({"preset": "long-context"}, BoundsConfig, None, presets)[0]
    found = read_call({"preset": "long-context", "config": file, "n_sequences": 64}, BoundsConfig, None, presets)[0]
    assert found == replace(preset, beta=2.0, n_sequences=(64,))
    assert preset.distribution != ClassMixture()
    rows = gating.bounds(file, preset="long-context", n_sequences=64)
    assert rows["n"].dropna().unique().tolist() == [64]
    pd.testing.assert_frame_equal(rows, gating.bounds(found))


@pytest.mark.parametrize(
    ("call", "flags"),
    [
        ({"betta": 1}, ["--betta", "1"]),
        ({"beta": 0, "measures": ["hinge"], "n_sequences": -1}, ["--beta=0", "--measures=[hinge]", "--n_sequences=-1"]),
        ({"distribution": {"dimm": 3, "n_low": "many"}}, ["--distribution.dimm=3", "--distribution.n_low=many"]),
        ({"preset": "shrt"}, ["--preset", "shrt"]),
        ({"config": "none.yaml"}, ["--config", "none.yaml"]),
        ({"workers": -1, "device": "tpu"}, ["--workers=-1", "--device=tpu"]),
    ],
)
def test_a_call_is_refused_in_the_words_of_the_command(call, flags, tmp_path, capsys):
    with pytest.raises(SpecError) as refused:
        gating.bounds(**call, out=tmp_path / "out")
    assert main(["bounds", *flags, "--out", str(tmp_path / "out")]) == 2
    said = [line.removeprefix("gating: ") for line in capsys.readouterr().err.splitlines()]
    assert refused.value.problems == said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["json", "dry_run"])
def test_what_the_command_alone_knows_is_unknown(name):
    with pytest.raises(SpecError, match=f"unknown key `{name}`"):
        gating.bounds(**FEW, **{name: True})


@pytest.mark.parametrize("name", study_names())
def test_every_study_is_a_function_that_describes_its_settings(name):
    function, study = getattr(calls, name), find_study(name)
    assert function is getattr(calls, name)
    assert function.__name__ == name
    described = inspect.getdoc(function)
    assert study.question() in described
    named = inspect.signature(function).parameters
    for field in fields(study.config):
        if field.name != "study":
            assert f"    {field.name}: " in described
            assert named[field.name].kind is inspect.Parameter.KEYWORD_ONLY


def test_the_functions_of_gating_are_those_of_its_studies():
    own = {entry.name for entry in entry_points(group=ENTRY_POINTS) if entry.module.startswith("gating.studies")}
    assert {"bounds", "compare"} < own <= set(gating.__all__)
    assert all(getattr(gating, name) is getattr(calls, name) for name in own)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        calls.nothing  # noqa: B018


def test_home_is_known_to_what_reads_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    table = gating.bounds(n_sequences=[64], out="~/run")
    for place in ("~/run", "~/run/results.parquet"):
        assert gating.read_results(place)["value"].equals(table["value"])
    assert gating.save_plot(table, "", "~/figure.json").is_file()
    assert {file.name for file in tmp_path.iterdir()} == {"run", "figure.json"}


def test_results_are_of_a_finished_run(tmp_path):
    with pytest.raises(FolderError, match="must be the folder of a run"):
        gating.read_results(tmp_path)
    folder = RunFolder(tmp_path / "begun")
    with folder.locked():
        folder.begin("bounds", {})
    with pytest.raises(FolderError, match=r"must be a finished run; it has no results\.parquet"):
        gating.read_results(folder.path)
