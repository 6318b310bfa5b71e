"""The command: exit statuses, sentences about bad input, and a study from flags to report."""

from pathlib import Path

import pytest
import yaml

from gating.cli import main

CONFIGS = sorted(Path(__file__).parents[2].joinpath("configs").rglob("*.yaml"))
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


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_preset_is_valid(file, capsys):
    assert main(["validate", str(file)]) == 0
    assert "valid settings" in capsys.readouterr().out


def test_a_study_from_file_and_flags_to_report_and_back(config, tmp_path, capsys):
    """Flags win over the file; the run writes config, table, page and plots; `report` draws them again."""
    out = tmp_path / "a run"
    flags = ["--config", str(config), "--out", str(out), "--workers=1", "--device", "cpu"]
    assert main(["compare", *flags, "--stylized_training.steps", "5"]) == 0
    printed = capsys.readouterr().out
    assert "1 worker thread(s), as asked" in printed
    assert "transformer" in printed
    settings = yaml.safe_load((out / "config.yaml").read_text())
    assert settings["stylized_training"]["steps"] == 5
    assert settings["transformer_training"]["steps"] == 4
    assert (out / "results.parquet").exists()
    plots = sorted(file.name for file in (out / "plots").iterdir())
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes() == page
    assert sorted(file.name for file in (out / "plots").iterdir()) == plots
    assert main(["ls", str(tmp_path)]) == 0
    assert f"{out}\tcompare\tfinished" in capsys.readouterr().out
    assert main(["validate", str(out / "config.yaml")]) == 0
    assert main(["compare", *flags]) == 2
    assert "stylized_training.steps is 5 there, 4 here" in capsys.readouterr().err
    (out / "notes.txt").write_text("mine")
    assert main(["compare", *flags, "--again"]) == 2
    assert "it holds other files" in capsys.readouterr().err
    assert [file.name for file in out.iterdir()] == ["notes.txt"]
    (out / "notes.txt").unlink()
    assert main(["compare", *flags, "--again"]) == 0
    assert yaml.safe_load((out / "config.yaml").read_text())["stylized_training"]["steps"] == 4


def test_every_error_is_said_at_once_and_nothing_is_written(tmp_path, capsys):
    out = tmp_path / "out"
    given = ["--config", str(tmp_path / "missing.yaml"), "--n_sedes", "3", "--distribution.p_high=1.5", "--n_seeds=0",
             "--hidden", "many", "--p_low", "1", "--workers=-1", "--out", str(out), "stray", "--seed"]  # fmt: skip
    assert main(["compare", *given]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.removeprefix("gating: ") for line in said] == [
        f"`config` must be an existing file; got '{tmp_path / 'missing.yaml'}'",
        "flags must look like `--name value`; got 'stray'",
        "`seed` must have a value; got none",
        "unknown key `n_sedes`; did you mean `n_seeds`?",
        "`hidden` must be int; got 'many'",
        "unknown key `p_low`",
        "`distribution.p_high` must be in (0, 1); got 1.5",
        "`n_seeds` must be an integer >= 1; got 0",
        "`workers` must be an integer >= 0; got -1",
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
        ("study: compare\nn_sequences: !!python/object/apply:os.getcwd []", "must be a YAML file"),
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
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2


def test_a_damaged_run_is_listed_beside_the_others(tmp_path, capsys):
    for name, text in (("a", "study: compare"), ("b", "study: [")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(text)
        (tmp_path / name / "environment.json").write_text("{}")
    assert main(["ls", str(tmp_path)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in listed] == ["compare", "unreadable"]


def test_folders_without_a_run_are_named(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "must be the folder of a run; it has no config.yaml" in capsys.readouterr().err
    assert main(["ls", str(tmp_path / "none")]) == 2
    assert "must be an existing folder" in capsys.readouterr().err


def test_printed_config_is_a_config(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", "--n_seeds", "7", "--print_config"])
    assert stop.value.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    settings = yaml.safe_load(file.read_text())
    assert settings["n_seeds"] == 7
    assert settings["distribution"]["p_high"] == 0.9
