"""The example of a new study is a folder of at most 150 lines, and has what the project's own studies have."""

import importlib
import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from gating import check_study, cli, find_study, read_results, study_function
from gating.runs.folder import TABLE, RunFolder
from gating.settings import read_call
from tests.gating.runs.commands import ended, started

ROOT = Path(__file__).parents[1]
EXAMPLE, DOCS = ROOT / "examples" / "new_study", ROOT / "docs" / "own-study.md"
RUN = ["temperature", "--preset", "quick", "--workers", "1", "--device", "cpu", "--out"]


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    """Puts the package, and what its installer would write about it, where this process and its children find it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path / "site"
    about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    shutil.copytree(EXAMPLE / "gate_temperature", site / "gate_temperature", ignore=shutil.ignore_patterns("*.pyc"))
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = project["entry-points"]["gating.studies"].items()
    (about / "entry_points.txt").write_text("[gating.studies]\n" + "".join(f"{k} = {v}\n" for k, v in entries))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    monkeypatch.chdir(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "gate_temperature"]:
        del sys.modules[name]


def _same(one, other):
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def _files():
    return [file for file in EXAMPLE.rglob("*") if file.is_file() and file.suffix != ".pyc"]


def test_it_is_a_folder_of_at_most_150_lines():
    lines = [line for file in _files() for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120


def test_it_keeps_the_contract_of_studies():
    study = find_study("temperature")
    check_study(study, read_call({"preset": "quick"}, study.config, None, study.presets())[0])


@pytest.mark.long
def test_it_is_killed_and_goes_on_to_the_same_table_and_page(tmp_path):
    """Killed when it has kept something of its training, and when it has measured."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert cli.main([*RUN, "whole"]) == 0
    for kept in ("state.safetensors", "rows.parquet"):
        process = started([*RUN, "killed"])
        while process.poll() is None and not list(killed.glob(f"parts/**/{kept}")):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert ended(process)[0] == -signal.SIGKILL, "it ended before it was killed"
        assert not (killed / TABLE).exists()
    status, _, err = ended(started([*RUN, "killed"]))
    assert (status, err) == (0, "")
    for name in (TABLE, "report.html"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_it_has_command_function_page_and_report(tmp_path, capsys):
    assert cli.main(["temperature", "--help"]) == 0
    help_text = capsys.readouterr().out
    assert "How sharply may an in-context predictor compare" in help_text
    assert "temperatures > 0 of the in-context predictor" in help_text
    assert cli.main([*RUN, "run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["answers"]) == 4
    table = study_function(find_study("temperature"))(preset="quick", workers=1, say=lambda line: None)
    _same(table, read_results(tmp_path / "run"))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert cli.main(["plot", "run", "gate", "gate.svg"]) == 0
    assert "Temperature 0.1" in Path("gate.svg").read_text(encoding="utf-8")
    (tmp_path / "run" / "report.html").unlink()
    assert cli.main(["report", "run"]) == 0
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == page


def test_it_is_swept_and_equals_runs_of_each_setting(tmp_path, capsys):
    """Models of all settings train together, and so do those of each alone: the same but for last bits."""
    over = "distribution.label_noise=[0.0, 0.2]"
    assert cli.main(["sweep", *RUN[:-1], "--out", "swept", "--over", over]) == 0
    assert "label_noise" in capsys.readouterr().out
    swept = read_results(tmp_path / "swept")
    run = study_function(find_study("temperature"))
    for noise in (0.0, 0.2):
        mine = swept[swept["distribution.label_noise"] == noise].drop(columns="distribution.label_noise")
        alone = run(preset="quick", distribution={"label_noise": noise}, workers=1, say=lambda line: None)
        pd.testing.assert_frame_equal(mine.reset_index(drop=True), alone[mine.columns], rtol=1e-4, atol=1e-4)
    groups = [part for part in RunFolder(tmp_path / "swept").done if part.startswith("train/")]
    assert groups == ["train/stylized/0"]


def test_the_documentation_shows_the_class_as_it_is():
    shown = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert shown.strip() in (EXAMPLE / "gate_temperature" / "study.py").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^\| `([\w./]+\.\w+)` \|", DOCS.read_text(encoding="utf-8"))
    assert {EXAMPLE / name for name in listed} == {*_files()}


def test_the_commands_of_the_documentation_run(tmp_path, capsys):
    text = re.search(r"```\n(pip .*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[1]
    commands = [shlex.split(line, comments=True) for line in text.splitlines()]
    assert commands[0] == ["pip", "install", f"./{EXAMPLE.relative_to(ROOT).as_posix()}"]
    for program, *arguments in commands[1:]:
        assert (program, cli.main(arguments)) == ("gating", 0)
    assert "is finished; its table is used as it is" in capsys.readouterr().out
