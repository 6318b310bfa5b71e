"""The commands of the theory: from flags to table, page and JSON, and what they say of bad input."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from gating.cli import main
from gating.results.columns import BASE
from gating.runs.plot import figures_in

TINY = {
    "bounds": ["--n_sequences", "[10, 100]", "--distribution.label_noise", "0.05"],
    "phases": ["--x.count", "5", "--y.count=3"],
    "kinetics": ["--n_sequences", "[20, 1000]", "--steps", "10000"],
    "regret": [
        "--n_rounds",
        "60",
        "--n_seeds=2",
        "--n_records",
        "6",
        "--distribution.dim",
        "8",
        "--losses",
        "[log_loss]",
    ],
}
FIGURES = {
    "bounds": {"error-by-n", "log-loss-by-n"},
    "phases": {"phases"},
    "kinetics": {"kinetics-by-step"},
    "regret": {"regret-by-round", "gate-by-round"},
}
IN_TEXT = {"bounds": "latest", "phases": "undecided", "kinetics": "Copying emerges", "regret": "regret / bound"}


@pytest.mark.parametrize("study", TINY)
def test_a_study_from_flags_to_report_and_back(study, tmp_path, capsys):
    out = tmp_path / "a run"
    assert main([study, *TINY[study], "--out", str(out)]) == 0
    assert IN_TEXT[study] in capsys.readouterr().out
    assert {figure.name for figure in figures_in(out)} == FIGURES[study]
    table = pd.read_parquet(out / "results.parquet")
    assert list(table.columns[: len(BASE)]) == [column.name for column in BASE]
    assert table["answer"].any()
    assert set(table["study"]) == {study}
    page = (out / "report.html").read_bytes()
    assert b"nan" not in re.sub(rb"<script.*?</script>", b"", page, flags=re.DOTALL)
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes() == page
    assert main(["validate", str(out / "config.yaml")]) == 0
    capsys.readouterr()
    assert main(["ls", str(tmp_path)]) == 0
    assert f"{out}\t{study}\tfinished" in capsys.readouterr().out
    assert main([study, "--out", str(out)]) == 2
    assert "holds a run with other settings" in capsys.readouterr().err


@pytest.mark.parametrize("study", ["bounds", "phases", "kinetics"])
def test_without_a_folder_nothing_is_written(study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([study, *TINY[study]]) == 0
    assert IN_TEXT[study] in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("study", TINY)
def test_json_holds_settings_and_rows_and_nothing_else(study, tmp_path, capsys):
    """`--json` alone, before another flag, and with a value mean the same; other words go to the error stream."""
    said = []
    for flags in (["--json"], ["--json=true"], ["--json", "true"]):
        assert main([study, *flags, *TINY[study], "--out", "none"]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert said[0] == said[1] == said[2]
    assert main([study, *TINY[study], "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == said[0]
    assert said[0]["study"] == said[0]["settings"]["study"] == study
    assert {"system", "measure", "value"} <= set(said[0]["rows"][0])


def test_json_says_null_for_a_crossover_that_is_never_reached(capsys):
    flags = ["--measures", "[linear_loss]", "--contexts", "[relevant]", "--n_sequences", "[10]", "--json"]
    assert main(["bounds", *flags, "--distribution.label_noise", "0.05"]) == 0
    rows = json.loads(capsys.readouterr().out)["answers"]
    assert [row["value"] for row in rows if row["kind"] == "exact" and row["measure"] == "crossover_linear_loss"] == [
        None
    ] * 2


def test_phases_over_two_fields_of_the_data_with_words_for_values(tmp_path, capsys):
    file = tmp_path / "phases.yaml"
    axes = {"x": {"field": "label_noise_kind", "values": ["uniform", "shift"]},
            "y": {"field": "context_length", "low": 1, "high": 3, "count": 9, "scale": "linear"}}  # fmt: skip
    file.write_text(yaml.safe_dump({"study": "phases", "n_sequences": 50, **axes}))
    assert main(["phases", "--config", str(file), "--out", str(tmp_path / "out")]) == 0
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    points = table[(table["measure"] == "phase") & (table["group"] == "low")]
    assert points[["context_length", "label_noise_kind"]].values.tolist() == [
        [length, kind] for length in (1, 2, 3) for kind in ("uniform", "shift")
    ]
    shares = table[table["measure"].str.startswith("share_")].groupby("group")["value"].sum()
    assert shares.round(12).eq(1).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["bounds", "--n_sequences", "[-1]", "--measures", "[hinge]", "--beta=0", "--clip", "2", "--betta", "1"],
            ["unknown key `betta`; did you mean `beta`?", "`n_sequences` must be one or more",
             "`measures` must be one or more", "`beta` must be a finite number > 0; got 0",
             "`clip` must be in (0, 1); got 2"],
        ),
        (
            ["phases", "--x.count", "1", "--distribution.p_high=2", "--json"],
            ["`distribution.p_high` must be in (0, 1); got 2", "`x.count` must be an integer in 2 .. 1000; got 1"],
        ),
        (
            ["phases", "--y.field", "n_sequences", "--measure", "hinge"],
            ["`x.field` and `y.field` must differ; got 'n_sequences' for both",
             "`measure` must be one of ('error', 'log_loss', 'linear_loss'); got 'hinge'"],
        ),
        (
            ["phases", "--y.field", "p_high", "--y.low", "0.5", "--y.high", "1.5"],
            ["on axis `y`, `p_high` must be in (0, 1); got"],
        ),
        (
            ["regret", "--n_rounds=0", "--gates", "[hedge]", "--cells", "token", "--json", "maybe"],
            ["`cells` must be",
             "`n_rounds` must be an integer in 1 .. 2^22; got 0", "`gates` must be one or more different ones of",
             "`json` must be true or false; got 'maybe'"],
        ),
        (
            ["bounds", "--distribution.label_noise", "0.8999", "--n_sequences", "[1000000]", "--measures", "[error]"],
            ["`label_noise`"],
        ),
    ],
)  # fmt: skip
def test_every_error_is_said_at_once_and_nothing_is_written(given, said, tmp_path, capsys):
    assert main([*given, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    lines = [line.removeprefix("gating: ") for line in printed.err.splitlines()]
    assert len(lines) == len(said)
    assert [want for want in said if not any(line.startswith(want) for line in lines)] == []
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("study", TINY)
def test_printed_config_is_a_config(study, tmp_path, capsys):
    assert main([study, *TINY[study], "--json", "--print_config"]) == 0
    file = Path(tmp_path / "printed.yaml")
    file.write_text(capsys.readouterr().out)
    assert yaml.safe_load(file.read_text())["study"] == study
    assert main([study, "--config", str(file), "--out", "none"]) == 0


def test_a_study_that_was_interrupted_says_what_to_do(tmp_path, monkeypatch, capsys):
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    flags = ["regret", *TINY["regret"], "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr("gating.studies.regret.run.play_predictors", stop)
        assert main(flags) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.parquet").exists()
    assert main(flags) == 0
