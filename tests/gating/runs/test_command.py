"""The command as real processes: two in one folder, Ctrl-C, readers that leave, names that are no text."""

import os
import signal
import subprocess
import sys
import time

import pytest
from commands import COMMAND, ended, started
from stops import contents

from gating import cli
from gating.runs.folder import RunFolder

RUN = ["visitor", "numbers.txt", "--preset", "short", "--workers", "1"]


@pytest.fixture(autouse=True)
def _here(site, numbers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_two_processes_in_one_folder_lose_nothing(tmp_path):
    """Pairs of the same settings, and of others: one of them has the run, the other waits or says who has it."""
    pairs = [("same", RUN, RUN), ("other", RUN, [*RUN, "--steps", "20"])]
    running = [[started([*one, "--out", name]) for one in both] for name, *both in pairs]
    for (name, *_), both in zip(pairs, running, strict=True):
        found = [ended(process) for process in both]
        assert 0 in {status for status, _, _ in found}
        for status, _, err in found:
            assert (status, "Traceback" in err) in [(0, False), (2, False)]
            if status:
                assert "is in use by process " in err or (name == "other" and "holds a run with other settings" in err)
        assert RunFolder(tmp_path / name).damaged() == {}
        assert RunFolder(tmp_path / name).finished
    assert cli.main([*RUN, "--out", "same"]) == 0


def test_ctrl_c_is_a_sentence_and_a_holder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("VISITOR_PAUSE", "10")
    process = started([*RUN, "--out", "run"])
    while not (tmp_path / "run" / "environment.json").exists() and process.poll() is None:
        time.sleep(0.01)
    status, _, err = ended(started([*RUN, "--out", "run"]))
    assert status == 2
    assert f"`run` is in use by process {process.pid} on " in err
    process.send_signal(signal.SIGINT)
    status, _, err = ended(process)
    assert (status, err) == (
        130,
        "gating: interrupted; `run` holds what is done; the same command goes on from there\n",
    )


@pytest.mark.parametrize(
    "command", [["--help"], ["visitor", "--help"], ["ls", "many"], [*RUN, "--out", "none", "--json"]]
)
def test_a_reader_that_leaves_is_no_error(tmp_path, command):
    """Before the first line is written: the pipe has no reader any more."""
    for name in ("a", "b"):
        folder = RunFolder(tmp_path / "many" / name)
        with folder.locked():
            folder.begin("study", {})
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, *command], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=100)
    os.close(writing)
    assert (done.returncode, done.stderr.removeprefix("report: ")) == (0, "")


def test_a_reader_that_leaves_in_the_middle_leaves_a_run_that_can_be_gone_on_with(tmp_path):
    """What is said before the end goes to the same pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *RUN, "--out", "run"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=100
    )
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "cannot be written" not in done.stderr
    assert cli.main([*RUN, "--out", "run"]) == 0
    assert "report.html" in contents(tmp_path / "run")


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_names_that_are_no_text_are_shown_somehow_or_refused(tmp_path, capsys):
    numbers, other = os.fsdecode(b"numbers-\xff"), os.fsdecode(b"run-\xff")
    (tmp_path / "numbers.txt").rename(numbers)
    status, out, err = ended(started(["visitor", numbers, *RUN[2:], "--out", "run"]))
    assert (status, err) == (0, "")
    assert "numbers-\\udcff" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert cli.main(["visitor", numbers, *RUN[2:], "--out", other]) == 2
    assert capsys.readouterr().err == "gating: `out` must be a path in UTF-8; got 'run-\\udcff'\n"
    (tmp_path / "run").rename(other)
    status, out, err = ended(started(["ls", "."]))
    assert (status, out, err) == (0, "run-\\udcff\tvisitor\tfinished\n", "")
