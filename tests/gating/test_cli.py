"""The command: exit statuses, sentences about bad input, and a study from flags to report."""

import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from gating.cli import main
from gating.runs.catalogue import find_study, study_names
from gating.runs.options import RunOptions
from theory.settings import field_types

PRESETS = [file for name in study_names() for file in find_study(name).presets().values()]
TINY = {
    "study": "compare",
    "distribution": {"dim": 16, "n_high": 2, "n_low": 2},
    "n_sequences": [16],
    "n_seeds": 2,
    "evaluation_per_cell": 2,
    "hidden": 8,
    "transformer": {"width": 16, "depth": 1, "mlp_factor": 1.0},
    "transformer_training": {"steps": 4, "checkpoints": 1},
    "stylized_training": {"steps": 4, "checkpoints": 1},
}


@pytest.fixture
def config(tmp_path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return file


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: f"{file.parents[1].name}/{file.name}")
def test_every_preset_is_valid(file, capsys):
    assert main(["validate", str(file)]) == 0
    assert "valid settings" in capsys.readouterr().out


def test_a_study_from_file_and_flags_to_report_and_back(config, tmp_path, capsys):
    """Flags win over the file; the run writes config, table and page; `report` draws it again."""
    out = tmp_path / "a run"
    flags = ["--config", str(config), "--out", str(out), "--workers=1", "--device", "cpu"]
    assert main(["compare", *flags, "--stylized_training.steps", "5"]) == 0
    printed = capsys.readouterr().out
    assert "transformer" in printed
    settings = yaml.safe_load((out / "config.yaml").read_text())
    assert settings["stylized_training"]["steps"] == 5
    assert settings["transformer_training"]["steps"] == 4
    assert (out / "results.parquet").exists()
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes() == page
    assert main(["ls", str(tmp_path)]) == 0
    assert f"{out}\tcompare\tfinished" in capsys.readouterr().out
    assert main(["validate", str(out / "config.yaml")]) == 0
    assert main(["compare", *flags]) == 2
    assert "stylized_training.steps is 5 there, 4 here" in capsys.readouterr().err
    (out / "notes.txt").write_text("mine")
    assert main(["compare", *flags, "--again"]) == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert yaml.safe_load((out / "config.yaml").read_text())["stylized_training"]["steps"] == 4


def test_every_error_is_said_at_once_and_nothing_is_written(tmp_path, capsys):
    out = tmp_path / "out"
    given = ["--config", str(tmp_path / "missing.yaml"), "--n_sedes", "3", "--distribution.p_high=1.5", "--n_seeds=0",
             "--hidden", "many", "--p_low", "1", "--workers=-1", "--out", str(out), "stray", "--seed"]  # fmt: skip
    assert main(["compare", *given]) == 2
    said = capsys.readouterr().err.splitlines()
    assert sorted(line.removeprefix("gating: ") for line in said) == [
        "`config` must be an existing file; got '" + str(tmp_path / "missing.yaml") + "'",
        "`distribution.p_high` must be in (0, 1); got 1.5",
        "`hidden` must be an integer >= 1; got 'many'",
        "`n_seeds` must be an integer >= 1; got 0",
        "`seed` must have a value; got none",
        "`workers` must be an integer in 0 .. 4096; got -1",
        "flags must look like `--name value`; got 'stray'",
        "unknown key `n_sedes`; did you mean `n_seeds`?",
        "unknown key `p_low`",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n_seeds: [1", "must be a YAML file"),
        ("- 1\n- 2", "must hold `key: value` lines"),
        ("study: comparison", "`study` must be one of"),
        ("study: compare\nn_seed: 2", "unknown key `n_seed`; did you mean `n_seeds`?"),
        ("study: compare\ndistribution:\n  n_low: 1", "`distribution.n_low` must be 0 or at least 2"),
        (
            "study: compare\nn_sequences: !!python/object/apply:os.getcwd []",
            "line 2: `n_sequences` must be a plain value",
        ),
    ],
)
def test_a_bad_file_is_named(tmp_path, capsys, text, said):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    assert main(["validate", str(file)]) == 2
    assert said in capsys.readouterr().err


def test_flags_that_are_no_yaml_and_folders_named_by_numbers(tmp_path, monkeypatch, capsys):
    """Text options are taken as they are; a value that is no YAML is one more problem, not a traceback."""
    monkeypatch.chdir(tmp_path)
    assert main(["bounds", "--n_sequences", "[16", "--out", "2026", "--distribution.dim=0"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "gating: `n_sequences` must be a YAML value; got '[16'"
    assert len(said) == 2
    assert list(tmp_path.iterdir()) == []


def test_folders_without_a_run_are_named(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "must be the folder of a run; it has no manifest.json" in capsys.readouterr().err
    assert main(["ls", str(tmp_path / "none")]) == 2
    assert "must be an existing folder" in capsys.readouterr().err


def test_a_run_of_a_former_version_is_refused(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("study: compare\n")
    (tmp_path / "environment.json").write_text("{}")
    for command in (
        ["report", str(tmp_path)],
        ["bounds", "--out", str(tmp_path)],
        ["bounds", "--again", "--out", str(tmp_path)],
    ):
        assert main(command) == 2
        assert "a run of a former version" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.yaml", "environment.json"]


def test_printed_config_is_a_config(tmp_path, capsys):
    assert main(["compare", "--n_seeds", "7", "--print_config"]) == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    settings = yaml.safe_load(file.read_text())
    assert settings["n_seeds"] == 7
    assert settings["distribution"]["p_high"] == 0.9


def test_help_names_every_study_with_its_question_without_importing_it(capsys):
    code = "import sys; from gating.cli import main; main(['--help']); sys.exit('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for name in study_names():
        said = next(line for line in lines if line.strip().startswith(f"{name} "))
        assert said.endswith("?"), said
        assert find_study(name).question() in said


@pytest.mark.parametrize("name", study_names())
def test_help_of_a_study_tells_every_setting(name, capsys):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    for key in (*field_types(find_study(name).config), *field_types(RunOptions)):
        assert f"{key}:" in said, key
    assert max(map(len, said.splitlines())) <= 100


def test_a_reader_that_goes_away_gets_no_traceback():
    flags = "bounds --n_sequences [10,100,1000]"
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m gating {flags} | head -n 1", shell=True, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(("given", "said"), [
    (["compere"], "did you mean `compare`?"),
    (["ls", "a", "b"], "`ls` must have one argument"),
    (["report"], "`report` must have one argument, DIR; got none"),
])  # fmt: skip
def test_a_wrong_command_is_named(given, said, capsys):
    assert main(given) == 2
    assert said in capsys.readouterr().err


def test_the_version_is_that_of_the_distribution(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gating {version('icl-gating')}\n"
