"""What is refused before anything is written, and what the machine refuses: a sentence each, and nothing is lost."""

import re
import resource
import shutil
import subprocess

import pytest
from stops import contents
from visiting import RUN, edit_source, forget_visitor, refused

from gating import cli
from gating.runs import catalogue


def test_more_memory_than_the_machine_has_is_refused_unless_forced(here, monkeypatch, capsys):
    study = __import__("visitor.study").study
    monkeypatch.setattr(study.Visitor, "memory", lambda self, config: 2.0**60)
    said = refused(RUN, capsys)
    assert said.startswith("gating: the settings must fit into 80% of the machine's ")
    assert "the run is estimated to need 1073741824.0 GiB: choose smaller ones, or --force" in said
    assert {file.name for file in here.iterdir()} == {"numbers.txt"}
    assert cli.main([*RUN, "--force"]) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("import nothing_of_this_name\n", "`visitor` needs the package 'nothing_of_this_name', which is not installed"),
        (
            "raise ZeroDivisionError('early')\n",
            "cannot be loaded from visitor.study:Visitor (ZeroDivisionError: early)",
        ),
        ("def f(:\n", "cannot be loaded from visitor.study:Visitor (SyntaxError: "),
        ("del Visitor\n", "cannot be loaded from visitor.study:Visitor (AttributeError: "),
        ("Visitor.name = classmethod(lambda cls: 'guest')\n", "`study` must be 'visitor', as the entry point of"),
    ],
)
def test_a_study_that_cannot_be_loaded_is_named_and_the_others_work(here, site, capsys, change, said):
    edit_source(site, text=f"\n{change}")
    assert said in refused(RUN, capsys)
    assert cli.main(["--help"]) == 0
    assert "  visitor " in capsys.readouterr().out
    (site / "visitor" / "__init__.py").write_text("1 / 0\n")
    forget_visitor()
    assert cli.main(["--help"]) == 0
    assert re.search("  visitor +cannot be read\n", capsys.readouterr().out)
    assert "bounds" in catalogue.study_names()


def test_the_extra_that_installs_what_a_study_lacks_is_named(here, monkeypatch, capsys):
    def load(entry):
        raise ModuleNotFoundError(f"No module named {entry.name}", name="transformers")

    kind = type(catalogue.entry_points(group=catalogue.ENTRY_POINTS)["bounds"])  # MLflow brings another with it
    monkeypatch.setattr(kind, "load", load)
    said = refused(["finetune"], capsys)
    assert said.endswith("'transformers', which is not installed; `pip install 'icl-gating[llm]'` installs it\n")
    assert refused(["bounds"], capsys).endswith("'transformers', which is not installed\n")


def test_a_name_that_is_none_is_refused_with_a_near_one(here, capsys):
    assert "; did you mean `visitor`?" in refused(["vistor"], capsys)


def test_a_file_that_may_not_grow_is_named_and_the_rerun_is_bit_for_bit(here, capsys):
    """Under every limit of a file's size from nothing to enough."""
    assert cli.main([*RUN[:-1], "whole"]) == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    failed = set()
    for size in [0, 40, *range(300, 16_000, 700)]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            status = cli.main(RUN)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        err = capsys.readouterr().err
        if status:
            assert status == 2
            assert err.startswith("gating: `run")
            assert "cannot be written (" in err
            assert err.endswith("what is saved stays, and the same command goes on from it\n")
            failed.add(err.split("`")[1])
    assert failed - {"run/results.parquet", "run/.gating/journal"} == {  # which are larger, or not, by the versions
        *("run/.gating", "run/manifest.json", "run/parts/train/left/metrics.parquet"),
        *("run/parts/measure/64/rows.parquet", "run/report.html"),
    }
    assert cli.main(RUN) == 0
    whole, run = contents(here / "whole"), contents(here / "run")
    del whole["manifest.json"], run["manifest.json"]
    assert run == whole


@pytest.fixture
def disk(here):
    """A file system of its own that can be filled and locked."""
    (here / "disk").mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", here / "disk"], capture_output=True)
    if made.returncode:
        pytest.skip("only root can mount a small disk")
    yield here / "disk"
    subprocess.run(["umount", here / "disk"], check=True)


def test_a_full_disk_is_named_and_the_rerun_is_bit_for_bit(here, disk, capsys):
    assert cli.main([*RUN[:-1], "whole"]) == 0
    capsys.readouterr()
    failed = 0
    for free in range(0, 120_000, 6_000):
        (disk / "filler").write_bytes(b"")
        space = shutil.disk_usage(disk).free
        (disk / "filler").write_bytes(bytes(max(0, space - free)))
        status = cli.main([*RUN[:-1], "disk/run"])
        err = capsys.readouterr().err
        if status:
            assert status == 2
            assert err.startswith("gating: `disk/run")
            assert "No space left on device" in err
            failed += 1
    assert failed > 2
    (disk / "filler").unlink()
    assert cli.main([*RUN[:-1], "disk/run"]) == 0
    whole, run = contents(here / "whole"), contents(disk / "run")
    del whole["manifest.json"], run["manifest.json"]
    assert run == whole


def test_a_folder_that_may_only_be_read_is_named(here, disk, capsys):
    assert cli.main([*RUN[:-1], "disk/run"]) == 0
    before = contents(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for command in (
        [*RUN[:-1], "disk/run"],
        [*RUN[:-1], "disk/run", "--again"],
        ["report", "disk/run"],
        [*RUN[:-1], "disk/new"],
    ):
        said = refused(command, capsys)
        assert said.startswith("gating: `disk/")
        assert "Read-only file system" in said
        goes_on = "the same command without `--again`" if "--again" in command else "the same command"
        assert said.endswith(f"; what is saved stays, and {goes_on} goes on from it\n")
    assert cli.main(["ls", "disk"]) == 0
    assert contents(disk) == before


def test_paths_of_any_kind_are_taken(here, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    for out in ("ä ö/ünï", "two  words", "new\nline", "~/home", "[1, 2]", "a" * 255):
        assert cli.main([*RUN[:-1], out]) == 0
        assert cli.main(["report", out]) == 0
    assert (here / "home" / "report.html").is_file()
    for out in ("a" * 256, "b/" * 3000, "numbers.txt", "numbers.txt/run"):
        assert refused([*RUN[:-1], out], capsys).startswith(("gating: `", "gating: '"))
