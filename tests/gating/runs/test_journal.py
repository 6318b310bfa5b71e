"""The journal of a folder and of its parts: torn, flipped, of before, refused by the disk, and left by kills."""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from stops import contents, killed_before

from gating.runs import part_folder
from gating.runs.errors import Damaged, FolderError
from gating.runs.folder import RunFolder
from gating.runs.journal import Journal, change_by
from gating.runs.listing import Listing
from gating.runs.part_folder import PartFolder

NOTES = [{"files": {"parts/p/é": ["1"]}}, {"done": ["p"]}, {"gone": ["parts/p/é"], "undone": ["p"]}]
HOLD = "import sys, time; sys.stdout.write('ready'); sys.stdout.flush(); time.sleep(60)"


@pytest.fixture
def file(tmp_path):
    journal = Journal(tmp_path / "journal", "seal")
    for note in NOTES:
        journal.append(note)
    return journal.file


def process(code, *arguments):
    """A process that runs the code and then holds on; returns once it does."""
    started = subprocess.Popen([sys.executable, "-c", f"{code}\n{HOLD}", *map(str, arguments)], stdout=subprocess.PIPE)
    assert started.stdout.read(5) == b"ready"
    return started


def killed(holder):
    holder.send_signal(signal.SIGKILL)
    holder.communicate()


def test_a_line_that_was_cut_short_is_no_change_and_the_next_takes_its_place(file):
    whole, found = file.read_bytes(), set()
    for size in range(len(whole) + 1):
        file.write_bytes(whole[:size])
        notes = Journal(file, "seal").notes
        assert notes == NOTES[: len(notes)]
        found.add(len(notes))
        Journal(file, "seal").append({"done": ["next"]})
        assert Journal(file, "seal").notes == [*notes, {"done": ["next"]}]
    assert found == {0, 1, 2, 3}


def test_a_flipped_bit_is_named(file):
    """But for one in the end of the last line, which is then cut short."""
    whole, rng = file.read_bytes(), random.Random(0)
    for place in range(len(whole) - 1):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        file.write_bytes(flipped)
        with pytest.raises(
            Damaged, match=rf"^`{file}` (is not as the run wrote it|cannot be read \(.*\)); put it back"
        ):
            Journal(file, "seal")
    file.write_bytes(whole[:-1] + b"\x0b")
    assert Journal(file, "seal").notes == NOTES[:-1]


def test_lines_that_are_missing_doubled_or_exchanged_are_named(file):
    first, *lines = file.read_bytes().splitlines(keepends=True)
    for bad in (lines[1:], [lines[0], lines[0], *lines[1:]], [lines[1], lines[0], lines[2]]):
        file.write_bytes(first + b"".join(bad))
        with pytest.raises(Damaged, match=r"is not as the run wrote it"):
            Journal(file, "seal")


def test_a_journal_of_before_is_not_read_and_gives_way(file):
    journal = Journal(file, "another")
    assert journal.notes == []
    journal.append({"done": ["q"]})
    assert Journal(file, "another").notes == [{"done": ["q"]}]
    assert Journal(file, "seal").notes == []


@pytest.mark.parametrize("also", [[], ["truncate"]])
def test_a_change_that_the_disk_refuses_is_not_there_and_a_later_one_is(file, monkeypatch, also):
    journal = Journal(file, "seal")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        for name in ["fsync", *also]:
            patch.setattr(os, name, refuse)
        with pytest.raises(OSError, match="full"):
            journal.append({"done": ["lost" * 50]})
    journal.append({"done": ["kept"]})
    assert Journal(file, "seal").notes == [*NOTES, {"done": ["kept"]}]


def test_a_change_that_the_disk_takes_in_part_is_not_there_when_there_is_space_again(file, monkeypatch):
    """Nothing is kept back that closing the file would write."""
    whole, journal = file.read_bytes(), Journal(file, "seal")
    room = len(whole) + 40
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    truncate = os.truncate

    def freed(*given):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        truncate(*given)

    monkeypatch.setattr(os, "truncate", freed)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            journal.append({"done": ["lost" * 50]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == whole
    assert Journal(file, "seal").notes == NOTES


def test_a_part_whose_journal_is_damaged_is_let_go(begun):
    with PartFolder(begun.path, "p", {}) as part:
        part.write_text("parts/p/a.txt", "a")
        part.write_text("parts/p/b.txt", "b")
        file = part._file
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], lines[1].replace(b"a.txt", b"c.txt"), *lines[2:]]))
    held = PartFolder(begun.path, "p", {})
    with pytest.raises(Damaged, match="is not as the run wrote it"):
        held.__enter__()
    assert not held._lock.is_locked


def test_changes_of_a_manifest():
    held = {"files": {"a": ["1"], "b": ["2"]}, "done": ["p"]}
    for note in ({"files": {"a": ["3", "1"]}}, {"done": ["q", "r"]}, {"gone": ["b", "none"], "undone": ["p", "r"]}):
        change_by(note, held)
    assert held == {"files": {"a": ["3", "1"]}, "done": ["q"]}
    change_by({"files": {"c": ["4"], "a": ["3"]}}, held)
    assert [*held["files"]] == ["c", "a"]


def test_a_listing_follows_every_change_of_the_files():
    rng, held = random.Random(0), {"files": {}, "done": []}
    listing, names = Listing(held["files"]), [f"parts/{a}/{b}/{c}" for a in "pq" for b in "12" for c in "xyz"]
    folders = {"parts", *(f"parts/{a}" for a in "pq"), *(f"parts/{a}/{b}" for a in "pq" for b in "12")}
    for _ in range(300):
        changed, gone = rng.sample(names, 3), rng.sample(names, 3)
        note = {"files": {name: [] for name in changed}, "gone": [name for name in gone if name not in changed]}
        change_by(note, held)
        listing.change(note)
        for folder in folders | {"parts/pq", "part"}:
            assert [*listing.inside(folder)] == [name for name in held["files"] if name.startswith(f"{folder}/")]
        assert set(listing._inside) == {folder for folder in folders if [*listing.inside(folder)]}


KILLED_RUN = """
import sys; from gating.runs.folder import RunFolder
held = RunFolder(sys.argv[1]); lock = held.locked(); lock.__enter__()
held.begin("study", {})
for part in "pqr":
    held.write_text(f"parts/{part}/a.txt", part); held.finish(part)
held.forget(["q"])
held.write_text("parts/p/a.txt", "anew")
"""


def test_a_run_that_was_killed_is_read_with_its_journal(tmp_path):
    killed(process(KILLED_RUN, tmp_path / "run"))
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "manifest.json").write_bytes((tmp_path / "run" / "manifest.json").read_bytes())
    assert RunFolder(alone).manifest["files"] == {}, "what was done stands in the journal alone"
    for _ in range(2):
        folder = RunFolder(tmp_path / "run")
        assert folder.done == ["p", "r"]
        assert [*folder.manifest["files"]] == ["parts/r/a.txt", "parts/p/a.txt"]
        assert folder.read("parts/p/a.txt", lambda path: path.read_text()) == "anew"
        assert folder.state == ("study", "not finished, 2 parts done")
        with folder.locked():
            assert not (folder.path / ".gating" / "journal").exists()
    (alone / "manifest.json").write_bytes((tmp_path / "run" / "manifest.json").read_bytes())
    assert RunFolder(alone).done == ["p", "r"]


def test_a_damaged_journal_is_named_and_nothing_is_removed(tmp_path):
    killed(process(KILLED_RUN, tmp_path / "run"))
    journal = tmp_path / "run" / ".gating" / "journal"
    journal.write_bytes(journal.read_bytes().replace(b'"done"', b'"gone"', 1))
    before, folder = contents(tmp_path / "run"), RunFolder(tmp_path / "run")
    assert folder.state == ("?", "damaged")
    with pytest.raises(Damaged, match=rf"^`{journal}` is not as the run wrote it; put it back"), folder.locked():
        pass
    assert contents(tmp_path / "run") == before


PART = """
import sys; from gating.runs.part_folder import PartFolder
held = PartFolder(sys.argv[1], "p/q", {}).__enter__()
held.write_text("parts/p/q/a.txt", "saved")
"""


@pytest.fixture
def begun(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.begin("study", {})
        folder.write_text("parts/r/b.txt", "beside")
        yield folder


def test_a_part_is_of_one_process_and_the_next_goes_on_from_what_it_saved(begun, monkeypatch):
    first = process(PART, begun.path)
    monkeypatch.setattr(part_folder, "LOCK_SECONDS", 0.1)
    with (
        pytest.raises(FolderError, match=rf"^part `p/q` of `{begun.path}` is being done by another process$"),
        PartFolder(begun.path, "p/q", {}),
    ):
        pass
    with PartFolder(begun.path, "p", {}) as other:
        assert not other.goes_on
    monkeypatch.setattr(part_folder, "LOCK_SECONDS", 30.0)
    start = time.monotonic()
    threading.Timer(0.2, killed, [first]).start()
    with PartFolder(begun.path, "p/q", {}) as second:  # waits for the kill
        assert time.monotonic() - start > 0.1
        assert second.goes_on
        assert second.read("parts/p/q/a.txt", lambda path: path.read_text()) == "saved"
        second.write_text("parts/p/q/b.txt", "more")
        found = second.files_of(["p/q"])
    assert [*begun.manifest["files"]] == ["parts/r/b.txt"]
    begun.adopt({"p/q": found}, done=True)
    assert begun.done == ["p/q"]
    assert begun.damaged() == {}
    assert [*begun.files_of(["p"])] == ["parts/p/q/a.txt", "parts/p/q/b.txt"]
    assert [file.name for file in (begun.path / ".gating" / "journals").iterdir()] == ["p.lock"]


@pytest.mark.parametrize("at", ["open", "fsync", "append"])
def test_ctrl_c_waits_until_a_change_is_on_disk_and_here(folder, monkeypatch, at):
    """An open file, too, would stay open if it came between its opening and the block that closes it."""
    place = {"open": Path, "fsync": os, "append": Journal}[at]
    act = getattr(place, at)

    def interrupted(*arguments, **named):
        found = act(*arguments, **named)
        signal.raise_signal(signal.SIGINT)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(place, at, interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.finish("p")
    assert folder.done == ["p"]
    assert RunFolder(folder.path).done == ["p"]


def test_ctrl_c_waits_until_a_manifest_is_written_anew(folder, monkeypatch):
    act = os.replace

    def interrupted(*arguments):
        act(*arguments)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.change(identity={"config": "other"})
    folder.finish("p")
    assert RunFolder(folder.path).manifest == folder.manifest
    assert folder.manifest["identity"] == {"config": "other"}
    assert folder.done == ["p"]


def test_what_parts_saved_is_taken_up_when_the_folder_is_held_again(tmp_path):
    run = process(KILLED_RUN, tmp_path / "run")
    killed(process(PART, tmp_path / "run"))
    killed(run)
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        assert folder.damaged() == {}
        assert [*folder.files_of(["p/q"])] == ["parts/p/q/a.txt"]
        assert folder.done == ["p", "r"]
        assert list((folder.path / ".gating" / "journals").iterdir()) == []


def _live_part(path):
    """Writes, writes again, drops, and is taken up by the holder."""
    holder = RunFolder(path)
    with holder.locked():
        with PartFolder(path, "p", holder.files_of(["p"])) as part:
            part.write_text("parts/p/a.txt", "new")
            part.write_text("parts/p/b.txt", "new")
            part.write_text("parts/p/a.txt", "newer")
            part.discard(["parts/p/old.txt"])
            found = part.files_of(["p"])
        if "p" not in holder.done:
            holder.adopt({"p": found}, done=True)


def test_a_part_that_is_killed_between_any_two_operations_loses_nothing(tmp_path, monkeypatch):
    k, stopped = 0, True
    while stopped:
        path = tmp_path / str(k)
        with RunFolder(path).locked():
            folder = RunFolder(path)
            folder.begin("study", {})
            folder.write_text("parts/p/old.txt", "old")
        stopped = killed_before(k, monkeypatch, lambda path=path: _live_part(path))
        fresh = RunFolder(path)
        with fresh.locked():
            listed, there = {*fresh.manifest["files"]}, contents(path).keys() - {"manifest.json"}
            assert there <= listed
            assert {*fresh.damaged()} == listed - there <= {"parts/p/old.txt"}  # killed while it was dropped
            assert list((path / ".gating" / "journals").glob("*.part")) == []
        _live_part(path)
        assert {name: contents(path)[name] for name in sorted(contents(path)) if name != "manifest.json"} == {
            "parts/p/a.txt": b"newer",
            "parts/p/b.txt": b"new",
        }
        assert RunFolder(path).done == ["p"]
        k += 1
    assert k > 15
