"""What a run is known by: settings, the content of inputs, and what computes it; a change is refused and named."""

import json
import shutil
from pathlib import Path

import pytest
from stops import contents
from visiting import RUN, edit_source, forget_visitor, install, refused, stop_at

from gating import cli
from gating.runs import catalogue, engine, identity
from gating.runs.errors import FolderError, RunFailed


def _left_unfinished(monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, "walk", 2, KeyboardInterrupt())
        assert cli.main(RUN) == 130


@pytest.mark.parametrize("finished", [True, False])
def test_a_changed_input_is_refused(here, monkeypatch, capsys, finished):
    """After a kill it would give a mixed table, after the end the old one."""
    if finished:
        assert cli.main(RUN) == 0
    else:
        _left_unfinished(monkeypatch)
    Path("numbers.txt").write_text("1 2.5 -3 9")
    before = contents(here)
    for more in ([], ["--force"]):
        assert refused([*RUN, *more], capsys) == (
            "gating: `run` holds a run with other settings (the content of the numbers is not the one that the run"
            " began with); choose another folder, or remove that run with --again\n"
        )
    assert contents(here) == before
    shutil.copytree("run", "again")
    assert cli.main([*RUN[:-1], "again", "--again"]) == 0
    assert cli.main([*RUN[:-1], "new"]) == 0
    assert contents(here / "again")["results.parquet"] == contents(here / "new")["results.parquet"]
    Path("numbers.txt").write_text("1 2.5 -3 8")
    assert cli.main(RUN) == 0


def test_an_input_that_changes_during_the_run_spoils_it_for_good(here, monkeypatch, capsys):
    study = __import__("visitor.study").study
    original = study.measure

    def changing(*arguments):
        Path("numbers.txt").write_text("1 2.5 -3 9")
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(study, "measure", changing)
        said = refused(RUN, capsys)
    assert said == "gating: the content of the numbers changed during the run; begin anew with --again\n"
    assert not Path("run/results.parquet").exists()
    for text in ("1 2.5 -3 9", "1 2.5 -3 8"):
        Path("numbers.txt").write_text(text)
        assert "the content of the numbers is not the one that the run began with" in refused(RUN, capsys)
    assert cli.main([*RUN, "--again"]) == 0


def test_other_settings_are_refused_and_named(here, capsys):
    assert cli.main(RUN) == 0
    before = contents(here)
    said = refused([*RUN, "--steps", "11", "--sizes", "[64, 65]"], capsys)
    assert "(sizes is [64] there, [64, 65] here; steps is 10 there, 11 here); choose another folder, or remove" in said
    said = refused(["bounds", "--n_sequences", "[64]", "--out", "run"], capsys)
    assert said == "gating: `run` holds a run of `visitor`; choose another folder\n"
    assert contents(here) == before


def test_changed_source_is_refused_for_an_unfinished_run_unless_forced(here, site, monkeypatch, capsys):
    _left_unfinished(monkeypatch)
    edit_source(site, "page.py")  # draws, so it changes no number
    before = contents(here)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_table", lambda *arguments: (_ for _ in ()).throw(RunFailed("reached")))
        assert refused(RUN, capsys, status=1) == "gating: reached\n"
    edit_source(site)
    assert refused(RUN, capsys) == (
        "gating: `run` holds a run that something else computed (the source of visitor has changed); begin anew with"
        " --again, or go on with --force; `gating report` draws a finished one as it is\n"
    )
    assert contents(here) == before
    assert cli.main([*RUN, "--force"]) == 0
    assert cli.main(RUN) == 0


def test_declared_columns_are_source_since_intervals_depend_on_their_ranges(here, site, monkeypatch, capsys):
    _left_unfinished(monkeypatch)
    edit_source(site, "columns.yaml", "measures: {walked: {meaning: distance (steps), low: -1}}")
    assert "(the source of visitor has changed)" in refused(RUN, capsys)


def test_changed_source_does_not_touch_a_finished_run_but_one_whose_table_is_damaged(here, site, capsys):
    """Otherwise new measurements would be laid beside old training."""
    assert cli.main(RUN) == 0
    edit_source(site)
    assert cli.main(RUN) == 0
    Path("run/results.parquet").write_bytes(b"PAR1")
    before = contents(here)
    assert "(the source of visitor has changed)" in refused(RUN, capsys)
    assert contents(here) == before


def test_another_version_is_refused_unless_forced(here, site, capsys):
    assert cli.main(RUN) == 0
    shutil.rmtree(site / "visitor-1.0.dist-info")
    shutil.rmtree(site / "visitor")
    install(site, "2.0")
    forget_visitor()
    said = refused(RUN, capsys)
    assert "something else computed (visitor is 1.0 there, 2.0 here); begin anew with --again, or go on" in said
    assert cli.main(["report", "run"]) == 0
    assert cli.main([*RUN, "--force"]) == 0
    assert cli.main([*RUN, "--again"]) == 0
    assert cli.main(RUN) == 0


def test_another_library_is_refused_for_an_unfinished_run(here, monkeypatch, capsys):
    _left_unfinished(monkeypatch)
    monkeypatch.setattr(identity, "version", lambda name: "0.1" if name == "numpy" else "9.9")
    said = refused(RUN, capsys)
    assert "numpy is " in said
    assert " there, 0.1 here" in said
    assert cli.main([*RUN, "--force"]) == 0
    assert json.loads(Path("run/environment.json").read_text())["numpy"] == "0.1"


def test_the_environment_is_that_of_the_run_when_it_is_drawn_elsewhere(here, monkeypatch):
    assert cli.main(RUN) == 0
    before = contents(here / "run")
    Path("run/environment.json").unlink()
    monkeypatch.setattr(identity.platform, "platform", lambda: "another machine")
    assert cli.main(RUN) == 0
    assert contents(here / "run")["environment.json"] == before["environment.json"]
    assert b"another machine" not in contents(here / "run")["report.html"]


def test_the_content_of_a_folder_is_names_and_contents(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_text("1")
    (tmp_path / "a" / "y").write_text("2")
    seen = {identity.content(tmp_path / "a")}
    (tmp_path / "a" / "y").write_text("3")
    seen.add(identity.content(tmp_path / "a"))
    (tmp_path / "a" / "y").rename(tmp_path / "a" / "z")
    seen.add(identity.content(tmp_path / "a"))
    (tmp_path / "a" / "z").rename(tmp_path / "a" / "b" / "z")
    seen.add(identity.content(tmp_path / "a"))
    assert len(seen) == 4
    assert identity.content(tmp_path / "a" / "b" / "x") == identity.content(b"1")
    with pytest.raises(FolderError, match=rf"^`{tmp_path}/none` cannot be read \(No such file or directory\)$"):
        identity.content(tmp_path / "none")


LONELY = """
from typing import Literal
import pandas as pd
from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.executor import Part
from gating.runs.study import Study
from theory.settings import settings

@settings
class LonelyConfig:
    study: Literal["lonely"] = "lonely"

class Lonely(Study):
    \"""Is a single module enough?\"""
    config = LonelyConfig

    def parts(self, config):
        yield Part("only", lambda place, resources: place.save_table("t", pd.DataFrame({"value": [0.5]})))

    def rows(self, config, work):
        return make_table(work.of("only").table("t").assign(study="lonely", measure="error", kind="exact"))

    def page(self, config, table, beside):
        return Page("Lonely", self.question(), (), (), (), ())
"""


def test_a_study_may_be_a_single_module_whose_source_counts(here, site, monkeypatch, capsys):
    """Without package there are no presets; it needs neither answers, text, inputs nor estimates."""
    (site / "lonely.py").write_text(LONELY)
    about = site / "lonely-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lonely\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[gating.studies]\nlonely = lonely:Lonely\n")
    for command in (["lonely", "--help"], ["lonely", "--dry_run"], ["lonely"], ["report", "runs/lonely"], ["ls"]):
        assert cli.main(command) == 0
    out = capsys.readouterr().out
    for text in ("an unknown time", "lonely   error exact   False    0.5", "lonely\tfinished"):
        assert text in out
    assert "Is a single module enough?" in Path("runs/lonely/report.html").read_text()
    assert catalogue.find_study("lonely").memory(None) == 0
    Path("runs/lonely/results.parquet").unlink()
    (site / "lonely.py").write_text(LONELY + "# changed\n")
    assert "(the source of lonely has changed)" in refused(["lonely"], capsys)
