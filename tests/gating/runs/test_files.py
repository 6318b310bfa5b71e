"""Files appear whole or not at all, and Ctrl-C parts nothing that belongs together."""

import os
import signal
import threading
from pathlib import Path

import pytest
from stops import killed_before

from gating.runs.errors import Damaged, FolderError
from gating.runs.files import ctrl_c_waits, reading, write_text


@pytest.mark.parametrize("name", ["a.txt", "☃" * 80, "a" * 255])
def test_a_file_is_written_with_its_folder_and_as_the_user_wants_files(tmp_path, name):
    path, umask = tmp_path / "deep" / name, os.umask(0o027)
    try:
        write_text(path, "old")
        write_text(path, "new é")
    finally:
        os.umask(umask)
    assert path.read_text(encoding="utf-8") == "new é"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "victim.txt").write_text("precious")
    (tmp_path / "a.txt").symlink_to(tmp_path / "victim.txt")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "victim.txt").read_text() == "precious"
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    k, killed, seen = 0, True, set()
    while killed:
        path = tmp_path / str(k) / "a.txt"
        write_text(path, "old")
        killed = killed_before(k, monkeypatch, lambda path=path: write_text(path, "new"))
        seen.add(path.read_text())
        k += 1
    assert seen == {"old", "new"}


def test_a_disk_that_refuses_is_named_and_leaves_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def refuse(*arguments, **named):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(FolderError, match=rf"^`{path}` cannot be written \(No space left on device\)$"):
            write_text(path, "new")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_folder_in_the_way_is_named(tmp_path):
    with pytest.raises(FolderError, match=rf"^`{tmp_path}` cannot be written \(Is a directory\)$"):
        write_text(tmp_path, "new")
    assert list(tmp_path.parent.glob(".*.part")) == []


def _read(error):
    with reading(Path("a.txt"), "do this"):
        raise error


def test_what_cannot_be_read_is_named_with_what_to_do(tmp_path):
    for error in (ValueError("odd\nmore"), OSError(5, "Input/output error"), KeyError("x"), FolderError("no")):
        with pytest.raises(Damaged, match=r"^`a.txt` cannot be read \(\w+: .*\); do this$") as found:
            _read(error)
        assert "more" not in str(found.value)
    for error in (MemoryError(), Damaged("`b` is missing; do that"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as found:
            _read(error)
        assert found.value is error


@pytest.mark.parametrize("error", [None, ValueError("bad")])
def test_ctrl_c_waits_for_the_end_of_the_block_and_counts_once(error):
    done = []

    def work():
        with ctrl_c_waits():
            for k in range(3):
                signal.raise_signal(signal.SIGINT)
                done.append(k)
            if error:
                raise error

    with pytest.raises(KeyboardInterrupt) as found:
        work()
    assert done == [0, 1, 2]
    assert found.value.__context__ is error
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_handler_of_ctrl_c_is_left_as_it_is_where_it_does_not_reach():
    found = []

    def look():
        with ctrl_c_waits():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
