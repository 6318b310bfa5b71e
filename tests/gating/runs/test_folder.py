"""The folder of a run: its manifest, its files, who holds it, and where it may lie."""

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from folders import live, whole
from stops import contents

from gating.runs import folder as folder_module
from gating.runs.errors import Damaged, FolderError
from gating.runs.folder import TABLE, RunFolder, find_runs
from gating.runs.listed_files import digest


def test_every_file_of_the_manifest_has_its_checksum(run):
    folder = RunFolder(run)
    for name, known in folder.manifest["files"].items():
        assert known == [hashlib.sha256((run / name).read_bytes()).hexdigest()]
    with folder.locked():
        folder.write_text("a.txt", "é")
        folder.write_text("a.txt", "é")
    assert folder.manifest["files"]["a.txt"] == [hashlib.sha256("é".encode()).hexdigest()]
    assert folder.read("a.txt", Path.read_text) == "é"
    assert [*folder.manifest["files"]][-1] == "a.txt"


def test_a_file_that_is_not_as_it_was_written_is_not_read(run):
    folder = RunFolder(run)
    for content in (b"old a.txT", b"", b"old a.txt ", bytes(9)):
        (run / "a.txt").write_bytes(content)
        with pytest.raises(Damaged, match=rf"^`{run}/a.txt` is not as the run wrote it .*; remove it, and"):
            folder.read("a.txt", Path.read_text)
    (run / "a.txt").unlink()
    with pytest.raises(Damaged, match=rf"^`{run}/a.txt` is missing; throw it away$"):
        folder.read("a.txt", Path.read_text, "throw it away")
    (run / "a.txt").mkdir()
    with pytest.raises(Damaged, match=rf"^`{run}/a.txt` is missing"):
        folder.read("a.txt", Path.read_text)
    with pytest.raises(Damaged, match=r"notes.txt` is missing"):
        folder.read("notes.txt", Path.read_text)
    assert {*folder.damaged()} == {"a.txt"}
    with pytest.raises(FolderError, match=rf"^`{run}/a.txt` cannot be written"), folder.locked():
        folder.discard(["a.txt"])
    with pytest.raises(Damaged, match=rf"^`{run}/c.txt` cannot be read \(ValueError: odd\); remove it"):
        folder.read("c.txt", lambda path: (_ for _ in ()).throw(ValueError("odd\nmore")))


def test_what_is_not_listed_is_not_discarded(run):
    (run / TABLE).write_bytes(b"mine")
    folder = RunFolder(run)
    with folder.locked():
        folder.discard([TABLE, "a.txt"])
    assert (run / TABLE).read_bytes() == b"mine"
    assert not (run / "a.txt").exists()


def test_a_file_that_was_discarded_leaves_no_checksum_to_the_next_of_its_name(run):
    folder = RunFolder(run)
    with folder.locked():
        folder.write_text("a.txt", "one")
        folder.discard(["a.txt"])
        folder.write_text("a.txt", "two")
        assert folder.manifest["files"]["a.txt"] == [digest(run / "a.txt")]


def test_a_flipped_bit_anywhere_in_the_manifest_is_refused_and_touches_nothing(run):
    file, rng = run / "manifest.json", random.Random(1)
    held, good = RunFolder(run).manifest, file.read_bytes()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        try:
            assert RunFolder(run).manifest == held
        except FolderError as error:
            assert str(run) in str(error)  # noqa: PT017
    file.write_bytes(good)
    whole(run, ("old",))


@pytest.mark.parametrize(
    "bad", [b"", b"{", b"null", b"[]", b'{"seal": 1}', b"\xff\xfe", b"[" * 100_000, b"1" * 5000, bytes(2000), b'{"a":']
)
def test_a_damaged_manifest_is_named_and_nothing_is_removed(run, bad):
    (run / "manifest.json").write_bytes(bad)
    before, folder = contents(run), RunFolder(run)
    assert folder.is_run
    assert folder.state == ("?", "damaged")
    acts = (folder.damaged, lambda: folder.begin("other", {}), lambda: folder.write_text("a.txt", "x"))
    for act in (*acts, lambda: live(run)):
        with pytest.raises(
            Damaged, match=r"manifest.json` (is not as the run wrote it|cannot be read \(.*\)); put it back"
        ):
            act()
    assert contents(run) == before


def test_a_manifest_of_another_format_is_refused(run):
    held = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**held, "format": 7}))
    with pytest.raises(FolderError, match=r"must hold a run of format 1; it holds one of format 7$"):
        _ = RunFolder(run).manifest


def test_two_threads_do_not_hold_one_folder(run, monkeypatch):
    monkeypatch.setattr(folder_module, "LOCK_SECONDS", 0.1)
    with RunFolder(run).locked():
        found = []

        def other():
            try:
                live(run)
            except FolderError as error:
                found.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(found) == 1
    assert found[0].startswith(f"`{run}` is in use by process {os.getpid()} on ")
    whole(run, ("old",))
    live(run)


HOLD = """
import sys, time
from gating.runs.folder import RunFolder
with RunFolder(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_named_and_one_that_was_killed_holds_nothing(run, monkeypatch):
    monkeypatch.setattr(folder_module, "LOCK_SECONDS", 0.1)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FolderError, match=rf"is in use by process {holder.pid} on .*; wait for it, or choose"):
            live(run)
        for text in (b"", b"\xff"):
            (run / ".gating" / "holder").write_bytes(text)
            with pytest.raises(FolderError, match=r"is in use by another process; wait"):
                live(run)
        whole(run, ("old",))
    finally:
        holder.kill()
        holder.communicate()
    live(run)
    whole(run, ("new",))


def test_threads_of_one_run_lose_nothing_of_each_other(run):
    folder, threads = RunFolder(run), []
    with folder.locked():
        for number in range(8):

            def work(number=number):
                for file in range(12):
                    folder.write_text(f"parts/t{number}/{file % 5}.txt", f"{number} {file}")
                folder.finish(f"t{number}")

            threads.append(threading.Thread(target=work))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert RunFolder(run).damaged() == {}
    assert {f"t{number}" for number in range(8)} <= {*RunFolder(run).done}
    assert {name for name in RunFolder(run).manifest["files"] if name.startswith("parts/t")} == {
        f"parts/t{number}/{file}.txt" for number in range(8) for file in range(5)
    }
    assert (run / "parts/t3/1.txt").read_text() == "3 11"


@pytest.mark.parametrize(
    "name",
    ["ä ö/ünï", "two words", "-flag", "new\nline", "*?[x]", "'\"`$(x)", "a" * 255, "☃" * 80, ".hidden"],
    ids=lambda name: ascii(name)[:20],
)
def test_odd_paths_are_paths(tmp_path, name):
    for _ in range(2):
        folder = RunFolder(tmp_path / name)
        with folder.locked():
            if not folder.is_run:
                folder.begin(name, {"config": name})
            folder.write_text(f"parts/{name}/{'b' * 255}", "x")
        assert (folder.manifest["study"], folder.damaged()) == (name, {})
    assert [found.path for found in find_runs(tmp_path)] == [tmp_path / name]


@pytest.mark.parametrize("name", ["a" * 256, "/".join(["b" * 250] * 20), "nul\0byte", "no text \udcff"], ids=range(4))
def test_paths_that_cannot_be_are_named(tmp_path, name):
    folder = RunFolder(tmp_path / name)
    assert not folder.is_run
    with pytest.raises(FolderError, match=r"^`.* cannot be written \(File name too long\); |must be a path in UTF-8"):
        live(tmp_path / name)
    with pytest.raises(FolderError, match=r"must be the folder of a run; it has no manifest.json"):
        _ = folder.manifest
    with pytest.raises(FolderError, match=r"^`dir` must be an existing folder"):
        find_runs(tmp_path / name)


def test_home_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = RunFolder("~/run")
    with made.locked():
        made.begin("study", {})
    assert [found.path for found in find_runs("~")] == [tmp_path / "run"]


def test_runs_are_found_with_their_state(run, tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text("{}")
    (tmp_path / "a loop").symlink_to(tmp_path)
    [found] = find_runs(tmp_path)
    assert (found.path, *found.state) == (run, "study", "not finished, 1 parts done")
    live(run)
    assert find_runs(tmp_path)[0].state[1] == "finished"
    (run / TABLE).write_text("another")
    assert find_runs(tmp_path)[0].state[1] == "damaged table"
    assert not RunFolder(run).finished
    (run / TABLE).unlink()
    assert find_runs(tmp_path)[0].state[1] == "not finished, 1 parts done"
