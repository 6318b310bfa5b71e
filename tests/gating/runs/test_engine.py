"""A study of somebody else, run by the engine: what a run gives, how it goes on, and how it begins anew."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from stops import contents, killed_before
from visiting import RUN, edit_source, forget_visitor, refused, stop_at

from gating import cli
from gating.runs import engine
from gating.runs.catalogue import find_study
from gating.runs.errors import RunFailed
from gating.runs.folder import RunFolder
from gating.runs.identity import identity_of


def test_a_study_of_its_own_distribution_has_a_run(here, capsys):
    assert cli.main(RUN) == 0
    out = capsys.readouterr().out
    files = contents(here / "run")
    assert {"results.parquet", "report.html", "lines.jsonl"} < files.keys()
    assert {name.split("/")[1] for name in files if name.startswith("parts/")} == {"train"}
    page = files["report.html"].decode()
    for text in (
        "How far does a walk go from where it began?",
        'id="figure-walks"',
        'id="figure-rows"',
        "left 0",
        "steps",
        "10",
    ):
        assert text in page
    table = pd.read_parquet(here / "run" / "results.parquet")
    answers = table[table["answer"]]
    assert len(answers) == 2
    assert (answers["low"] < answers["value"]).all()
    assert (answers["value"] < answers["high"]).all()
    assert f"{answers['value'].iloc[0]:.6f}" in out
    assert out.startswith("report: run/report.html\n")


def test_json_page_and_table_hold_the_same_numbers(here, capsys):
    assert cli.main([*RUN, "--json"]) == 0
    out, err = capsys.readouterr()
    held, table = json.loads(out), pd.read_parquet("run/results.parquet")
    assert err.startswith("report: ")
    assert held["study"] == "visitor"
    assert held["settings"] == {"study": "visitor", "numbers": "numbers.txt", "sizes": [64], "steps": 10}
    for key, answer in (("rows", False), ("answers", True)):
        wanted = table[table["answer"] == answer]
        assert [row["value"] for row in held[key]] == wanted["value"].tolist()
        assert [row.get("pull") for row in held[key]] == wanted["pull"].tolist()
    assert [row["low"] for row in held["answers"]] == table.loc[table["answer"], "low"].tolist()
    assert cli.main([*RUN, "--json"]) == 0
    again, err = capsys.readouterr()
    assert again == out
    assert "`run` is finished; its table is used as it is" in err


def test_lists_validation_and_report_come_with_it(here, capsys):
    assert cli.main(["--help"]) == 0
    assert re.search("  visitor +How far does a walk go from where it began\\?\n", capsys.readouterr().out)
    assert cli.main(["visitor", "--help"]) == 0
    out = capsys.readouterr().out
    assert "usage: gating visitor [NUMBERS]" in out
    assert "settings that come with the study: short" in out
    assert "lengths that distances are measured over" in out
    assert cli.main([*RUN, "--print_config"]) == 0
    Path("mine.yaml").write_text(capsys.readouterr().out)
    assert {file.name for file in here.iterdir()} == {"numbers.txt", "mine.yaml"}
    assert cli.main(["validate", "mine.yaml"]) == 0
    assert capsys.readouterr().out == "mine.yaml: valid settings of `visitor`\n"
    assert cli.main(["visitor", "--config", "mine.yaml", "--workers", "2", "--out", "run"]) == 0
    assert cli.main(["visitor", "--config", "run/config.yaml", "--out", "run"]) == 0
    capsys.readouterr()
    assert cli.main(["ls"]) == 2
    assert cli.main(["ls", "."]) == 0
    assert capsys.readouterr().out == "run\tvisitor\tfinished\n"
    before = contents(here / "run")
    for name in ("report.html", "config.yaml"):
        Path("run", name).unlink()
    assert cli.main(["report", "run"]) == 0
    assert {**contents(here / "run"), "manifest.json": b""} == {**before, "manifest.json": b""}


def test_a_run_without_a_folder_writes_nothing_and_finds_the_same(here, capsys):
    assert cli.main([*RUN[:-1], "none", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert {file.name for file in here.iterdir()} == {"numbers.txt"}
    assert cli.main([*RUN, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == alone


def test_a_dry_run_estimates_checks_and_writes_nothing(here, capsys):
    assert cli.main([*RUN, "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("`visitor`, 3 parts, 1 worker thread(s) on cpu: about 0 s, 0 MiB of memory and 0 MiB of disk")
    Path("numbers.txt").write_text("one")
    said = "gating: `numbers` must be a file of numbers; got 'numbers.txt' (could not convert string to float: 'one')\n"
    assert refused([*RUN, "--dry_run"], capsys) == said == refused(RUN, capsys)
    Path("numbers.txt").unlink()
    said = "gating: `numbers` must be a file; got 'numbers.txt'\n"
    assert refused([*RUN, "--dry_run"], capsys) == said == refused(RUN, capsys)
    assert list(here.iterdir()) == []


def test_times_and_sizes_have_a_unit():
    times = {
        0: "0 s",
        59: "59 s",
        60: "1.0 min",
        3599: "60.0 min",
        3600: "1.0 h",
        5400: "1.5 h",
        float("nan"): "an unknown time",
    }
    sizes = {0: "0 MiB", 2**29: "512 MiB", 1.5 * 2**30: "1.5 GiB", float("nan"): "an unknown amount"}
    assert [engine._time(time) for time in times] == [*times.values()]
    assert [engine._size(size) for size in sizes] == [*sizes.values()]


def test_workers_do_not_change_a_bit(here):
    for workers in ("1", "3"):
        assert cli.main(["visitor", "numbers.txt", "--steps", "10", "--workers", workers, "--out", workers]) == 0
    one, three = contents(here / "1"), contents(here / "3")
    del one["manifest.json"], three["manifest.json"]  # in which parts stand in the order in which they ended
    assert one == three


@pytest.mark.parametrize(("function", "call"), [("walk", 1), ("walk", 2), ("measure", 1), ("measure", 2)])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupted_run_goes_on_to_the_same_bits(here, monkeypatch, capsys, function, call, workers):
    command = ["visitor", "numbers.txt", "--steps", "10", "--workers", workers, "--out"]
    assert cli.main([*command, "whole"]) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, function, call, KeyboardInterrupt())
        said = refused([*command, "run"], capsys, status=130)
    assert said == "gating: interrupted; `run` holds what is done; the same command goes on from there\n"
    assert cli.main(["ls", "."]) == 0
    assert "run\tvisitor\tnot finished, " in capsys.readouterr().out
    assert refused(["report", "run"], capsys) == (
        "gating: `run` must be a finished run; it has no results.parquet yet\n"
    )
    assert cli.main([*command, "run"]) == 0
    whole, run = contents(here / "whole"), contents(here / "run")
    del whole["manifest.json"], run["manifest.json"]
    assert run == whole


def test_a_computation_without_a_result_is_a_sentence(here, monkeypatch, capsys):
    stop_at(monkeypatch, "measure", 1, RunFailed("the walk went nowhere"))
    assert refused(RUN, capsys, status=1) == "gating: the walk went nowhere\n"


def test_an_error_of_a_study_is_not_taken_for_one_of_the_folder(here, monkeypatch):
    for error in (ConnectionError("no network"), TimeoutError("too slow")):
        with monkeypatch.context() as patch:
            stop_at(patch, "measure", 1, error)
            with pytest.raises(type(error)) as found:
                cli.main(RUN)
            assert found.value is error


def test_a_kill_after_the_table_leaves_no_work_that_is_not_kept(here, monkeypatch):
    assert cli.main([*RUN[:-1], "whole"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "forget", lambda folder, parts: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli.main(RUN) == 130
    assert Path("run/parts/measure").is_dir()
    assert cli.main(RUN) == 0
    assert contents(here / "run").keys() == contents(here / "whole").keys()


def test_what_is_kept_on_request_stays(here):
    assert cli.main([*RUN, "--keep"]) == 0
    assert cli.main(RUN) == 0
    assert Path("run/parts/measure/64/rows.parquet").is_file()


def test_a_finished_run_that_dropped_its_parts_says_that_nothing_more_can_be_kept(here, capsys):
    assert cli.main(RUN) == 0
    assert "nothing more can be kept" not in "".join(capsys.readouterr())
    assert cli.main([*RUN, "--keep"]) == 0
    said = "".join(capsys.readouterr())
    assert re.search(r"nothing more can be kept of `run`: \d+ parts, such as `.*`, were dropped when it ended", said)
    assert cli.main([*RUN, "--again", "--keep"]) == 0
    assert Path("run/parts/measure/64/rows.parquet").is_file()
    assert cli.main([*RUN, "--keep"]) == 0
    assert "nothing more can be kept" not in "".join(capsys.readouterr())


def test_again_removes_what_the_manifest_lists_and_only_after_everything_was_checked(here, capsys):
    assert cli.main(RUN) == 0
    foreign = {"run/notes.txt": b"mine", "run/parts/train/mine.bin": b"mine"}
    for name, content in foreign.items():
        Path(name).write_bytes(content)
    before = contents(here)
    assert "`steps` must be an integer >= 1" in refused([*RUN, "--again", "--steps", "0"], capsys)
    assert "`numbers` must be a file; got 'no.txt'" in refused(["visitor", "no.txt", *RUN[2:], "--again"], capsys)
    Path("bad.txt").write_text("one")
    assert "must be a file of numbers" in refused(["visitor", "bad.txt", *RUN[2:], "--again"], capsys)
    assert "`again` must be left out where `out` is none" in refused([*RUN[:-1], "none", "--again"], capsys)
    Path("bad.txt").unlink()
    assert contents(here) == before
    assert cli.main([*RUN, "--again", "--sizes", "[32]", "--steps", "20"]) == 0
    after = contents(here)
    assert {name: after[name] for name in foreign} == foreign
    assert json.loads(after["run/manifest.json"])["identity"]["config"]["steps"] == 20
    assert json.loads(after["run/manifest.json"])["files"].keys() == {
        name.removeprefix("run/") for name in after.keys() - foreign.keys() - {"numbers.txt", "run/manifest.json"}
    }


@pytest.mark.parametrize("flags", [[], ["--keep"]])
def test_what_a_run_trained_is_measured_anew_as_a_new_run_measures_it(here, monkeypatch, capsys, flags):
    assert cli.main([*RUN, *flags]) == 0
    Path("run/notes.txt").write_text("mine")
    before = contents(here / "run")
    wider = ["visitor", "numbers.txt", "--steps", "10", "--sizes", "[16, 32]", "--workers", "1", "--out"]
    asked = "`run` holds a run with other settings (sizes is [64] there, [16, 32] here); choose another folder"
    remedy = "measure what it trained anew with --reevaluate, or remove that run with --again"
    assert refused([*wider, "run"], capsys) == f"gating: {asked}, {remedy}\n"
    said = refused([*wider, "run", "--steps", "20", "--reevaluate"], capsys)
    asked = (
        "`run` holds a run with other settings (steps is 10 there, 20 here); only sizes may be others with --reevaluate"
    )
    assert said == f"gating: {asked}; choose another folder, or remove that run with --again\n"
    assert contents(here / "run") == before
    with monkeypatch.context() as patch:
        stop_at(patch, "walk", 1, AssertionError("trained again"))
        stop_at(patch, "measure", 2, KeyboardInterrupt())
        said = refused([*wider, "run", *flags, "--reevaluate"], capsys, status=130)
    kept = "`run` holds what is done; the same command without `--reevaluate` goes on from there"
    assert said == f"gating: interrupted; {kept}\n"
    with monkeypatch.context() as patch:
        stop_at(patch, "walk", 1, AssertionError("trained again"))
        assert cli.main([*wider, "run", *flags]) == 0
    assert cli.main([*wider, "new", *flags]) == 0
    run, new = contents(here / "run"), contents(here / "new")
    assert run.pop("notes.txt") == b"mine"
    del run["manifest.json"], new["manifest.json"]
    assert run == new
    assert RunFolder("run").done == RunFolder("new").done


def test_nothing_is_measured_anew_where_nothing_was_trained(here, monkeypatch, capsys):
    said = "gating: `run` must hold a run whose trained models are measured anew; it holds none\n"
    assert refused([*RUN, "--reevaluate"], capsys) == said
    assert "`reevaluate` must be left out where `out` is none" in refused([*RUN[:-1], "none", "--reevaluate"], capsys)
    assert "`reevaluate` must be left out with `again`" in refused([*RUN, "--again", "--reevaluate"], capsys)
    for flag in ("again", "reevaluate"):
        said = f"gating: `{flag}` must be left out where the run has no folder: choose one with `out`\n"
        assert refused(["bounds", f"--{flag}"], capsys) == said
    assert {file.name for file in here.iterdir()} == {"numbers.txt"}
    assert cli.main(RUN) == 0
    before = contents(here)
    monkeypatch.setattr(sys.modules["visitor.study"].Visitor, "of_evaluation", ())
    said = "gating: `reevaluate` must be left out for `visitor`: it has no settings of measuring alone"
    assert refused([*RUN, "--reevaluate"], capsys).startswith(said)
    assert contents(here) == before


def test_models_that_other_code_trained_are_measured_anew_by_force_alone(here, site, capsys):
    assert cli.main(RUN) == 0
    edit_source(site)
    forget_visitor()
    said = refused([*RUN, "--reevaluate"], capsys)
    assert "`run` holds a run that something else computed (the source of visitor has changed)" in said
    assert cli.main([*RUN, "--reevaluate", "--force"]) == 0


def test_models_of_other_groups_are_not_gone_on_with_even_by_force(here, monkeypatch, capsys):
    """As on a GPU, where all models of one shape train together."""
    with monkeypatch.context() as patch:
        stop_at(patch, "measure", 1, KeyboardInterrupt())
        refused(RUN, capsys, status=130)
    folder = RunFolder("run")
    with folder.locked():
        identity = folder.manifest["identity"]
        folder.change(identity={**identity, "environment": {**identity["environment"], "device": "cuda"}})
    assert "(device is cuda there, cpu here)" in refused(RUN, capsys)
    parts = engine.parts_of
    with monkeypatch.context() as patch:
        patch.setattr(
            engine, "parts_of", lambda study, config, device: parts(study, config, device)[device == "cuda" :]
        )
        before = contents(here)
        said = refused([*RUN, "--force"], capsys)
        assert contents(here) == before
    why = "`run` holds models that were trained in other groups, as `device` cuda has them"
    assert said == f"gating: {why}; go on with that device, or begin anew with --again\n"
    assert cli.main([*RUN, "--force"]) == 0


@pytest.mark.parametrize("call", range(8))
def test_a_kill_while_models_are_kept_leaves_a_run_that_goes_on(here, monkeypatch, call):
    wider = [*RUN, "--sizes", "[16]"]
    assert cli.main([*RUN[:-1], "whole", "--sizes", "[16]"]) == 0
    assert cli.main(RUN) == 0
    study, config = find_study("visitor"), find_study("visitor").config("visitor", "numbers.txt", (16,), 10)
    folder, identity = RunFolder("run"), identity_of("visitor", config, study.inputs(config, print), "cpu")
    with folder.locked():
        killed_before(call, monkeypatch, lambda: engine._keep_trained(folder, identity))
        finished = folder.finished
    assert call or finished
    assert cli.main([*wider, "--reevaluate"]) == 0
    whole, run = contents(here / "whole"), contents(here / "run")
    del whole["manifest.json"], run["manifest.json"]
    assert run == whole


def test_again_does_not_touch_a_folder_that_is_not_a_runs(here, capsys):
    """A project with files of the same names."""
    files = {"config.yaml": b"mine", "models/m.bin": b"mine", "parts/train/left/state.safetensors": b"mine",
             "results.parquet": b"mine", "manifest.json": b'{"name": "an app"}'}  # fmt: skip
    for name, content in files.items():
        Path("project", name).parent.mkdir(parents=True, exist_ok=True)
        Path("project", name).write_bytes(content)
    said = refused([*RUN[:-1], "project", "--again"], capsys)
    assert said.startswith(
        "gating: `project` must be new, empty or the folder of a run; it has other files, and a config"
    )
    assert contents(here / "project") == files
    assert not Path("project/.gating").exists()


def test_again_leaves_a_folder_whose_manifest_is_damaged(here, capsys):
    assert cli.main(RUN) == 0
    Path("run/manifest.json").write_bytes(b"{}")
    before = contents(here)
    for more in ([], ["--again"], ["--force"]):
        assert "`run/manifest.json` cannot be read (KeyError: 'seal'); put it back" in refused([*RUN, *more], capsys)
    assert refused(["report", "run"], capsys).startswith("gating: `run/manifest.json` cannot be read")
    assert cli.main(["ls", "."]) == 0
    assert capsys.readouterr().out == "run\t?\tdamaged\n"
    assert contents(here) == before
