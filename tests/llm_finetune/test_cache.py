"""Folders of the cache: whole, as they were written, and nothing beside them, whoever was killed on the way."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from llm_finetune.cache import CHECKSUMS, LOCK, kept_folder


class Maker:
    """Makes a folder of two files, and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self, new: Path, room: Path) -> None:
        self.times += 1
        (room / "on-the-way").write_text("large")
        (new / "weights").write_text("1 2 3")
        (new / "config").write_text("{}")


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_made_once_and_nothing_is_left_beside(tmp_path):
    make, place = Maker(), tmp_path / "cache" / "model"
    for _ in range(3):
        assert kept_folder(place, make, pytest.fail) == place
    assert make.times == 1
    assert names(place) == {"weights", "config", CHECKSUMS}
    assert names(place.parent) == {"model", LOCK}


@pytest.mark.parametrize("damage", ["flip", "missing", "no checksums", "torn checksums"])
def test_what_is_not_as_it_was_written_is_made_again(tmp_path, damage):
    make, place, said = Maker(), tmp_path / "model", []
    kept_folder(place, make, pytest.fail)
    if damage == "flip":
        (place / "weights").write_text("1 2 4")
    elif damage == "missing":
        (place / "weights").unlink()
    elif damage == "no checksums":
        (place / CHECKSUMS).unlink()
    else:
        (place / CHECKSUMS).write_text("{")
    kept_folder(place, make, said.append)
    assert make.times == 2
    assert (place / "weights").read_text() == "1 2 3"
    (line,) = said
    assert line.endswith("the model is made again")
    assert names(tmp_path) == {"model", LOCK}


def test_a_failure_leaves_the_cache_as_it_was(tmp_path):
    def fails(new: Path, room: Path) -> None:
        (new / "weights").write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        kept_folder(tmp_path / "model", fails, pytest.fail)
    assert names(tmp_path) == {LOCK}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom llm_finetune.cache import kept_folder\n"
        "def make(new, room):\n    (room / 'wheel').touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "kept_folder(Path(sys.argv[1]), make, print)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    assert len([name for name in names(tmp_path) if name.endswith(".part")]) == 1
    (tmp_path / ".model-2.abc.part").mkdir()  # of another folder, whose turn it is not
    kept_folder(tmp_path / "model", Maker(), pytest.fail)
    assert names(tmp_path) == {"model", LOCK, ".model-2.abc.part"}


def test_one_process_makes_a_folder_and_the_others_wait(tmp_path):
    make, said, place = Maker(), [], tmp_path / "model"
    held = FileLock(tmp_path / LOCK)
    held.acquire()
    waiting = threading.Thread(target=kept_folder, args=(place, Maker(), said.append))
    waiting.start()
    try:
        while not said:
            assert waiting.is_alive()
        make_directly(place, make)
    finally:
        held.release()
    waiting.join()
    assert said == [f"another process is making a model in {tmp_path}; waiting for it"]
    assert (place / "config").read_text() == "{}"


def make_directly(place: Path, make: Maker) -> None:
    """Another cache makes the folder, which is moved here."""
    other = place.parent / "elsewhere" / "model"
    kept_folder(other, make, pytest.fail)
    os.replace(other, place)
