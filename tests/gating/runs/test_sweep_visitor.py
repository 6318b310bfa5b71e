"""Sweeps of a study of somebody else: its files, its inputs, and values that would be markup."""

import json
from pathlib import Path

from stops import contents
from swept import equal, rows_at
from visiting import refused, stop_at

from gating import cli, read_results

VISIT = ["sweep", "visitor", "numbers.txt", "--preset", "short", "--workers", "1", "--over"]


def test_a_plug_in_is_swept_with_files_beside(here, capsys):
    assert cli.main([*VISIT, "steps=[10, 15]", "--out", "run"]) == 0
    table = read_results("run")
    assert table["visitor.steps"].unique().tolist() == [10, 15]
    for steps in (10, 15):
        assert cli.main([*VISIT[1:-1], "--steps", str(steps), "--out", str(steps)]) == 0
        equal(rows_at(table, visitor__steps=steps), read_results(str(steps)))
    for number, steps in enumerate(("10", "15")):
        beside = Path("run", f"setting-{number}-lines.jsonl").read_text()
        assert beside == Path(steps, "lines.jsonl").read_text()
    files = {name.split("/")[1] for name in contents(here / "run") if name.startswith("parts/")}
    assert files == {"setting-0", "setting-1"}
    capsys.readouterr()
    assert cli.main(["report", "run"]) == 0


def test_its_inputs_decide_the_sweep(here, capsys):
    assert cli.main([*VISIT, "steps=[10, 15]", "--out", "run"]) == 0
    inputs = json.loads(Path("run/manifest.json").read_text())["identity"]["inputs"]
    assert [*inputs] == ["the numbers"]
    Path("other.txt").write_text("7 8")
    assert cli.main([*VISIT, "numbers=[numbers.txt, other.txt]", "--out", "files"]) == 0
    inputs = json.loads(Path("files/manifest.json").read_text())["identity"]["inputs"]
    assert len({*inputs.values()}) == 2
    assert [*inputs] == ["the numbers", "the numbers of visitor.numbers other.txt"]
    Path("other.txt").write_text("9")
    said = refused([*VISIT, "numbers=[numbers.txt, other.txt]", "--out", "files"], capsys)
    assert "the content of the numbers of visitor.numbers other.txt is not the one that the run began with" in said
    said = refused([*VISIT, "numbers=[numbers.txt, none.txt]", "--out", "new"], capsys)
    assert "`numbers` must be a file; got 'none.txt'" in said
    assert not Path("new").exists()


def test_a_plug_in_s_sweep_that_is_interrupted_goes_on(here, monkeypatch, capsys):
    assert cli.main([*VISIT, "steps=[10, 15]", "--out", "whole"]) == 0
    for function, call in (("walk", 3), ("measure", 2)):
        with monkeypatch.context() as patch:
            stop_at(patch, function, call, KeyboardInterrupt())
            refused([*VISIT, "steps=[10, 15]", "--out", "run"], capsys, status=130)
    assert cli.main([*VISIT, "steps=[10, 15]", "--out", "run"]) == 0
    whole, found = contents(here / "whole"), contents(here / "run")
    del whole["manifest.json"], found["manifest.json"]
    assert found == whole


def test_values_are_no_markup_and_a_study_without_answers_is_shown(here, monkeypatch, capsys):
    monkeypatch.setattr(__import__("visitor.study").study.Visitor, "answers", lambda self, config, table: None)
    for name in ("<b>.txt", "numbers.txt"):
        Path(name).write_text("1 2")
    command = ["sweep", "visitor", "--preset", "short", "--workers", "1", "--out", "run", "--over"]
    assert cli.main([*command, "numbers=['<b>.txt', numbers.txt]"]) == 0
    out = capsys.readouterr().out
    assert "visitor.numbers <b>.txt\n" in out
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert "<b>.txt" not in page
    assert "&lt;b&gt;.txt" in page
