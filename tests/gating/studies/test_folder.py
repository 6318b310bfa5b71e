"""The folder of a study: stops between its files, and files that are damaged or cannot be written."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gating.evaluation.table import make_table
from gating.studies import folder as folder_module
from gating.studies.folder import FolderError, StudyFolder, find_studies, tabulate


@dataclass(frozen=True)
class Settings:
    study: str = "compare"
    n_seeds: int = 3


TABLE = make_table([{"study": "compare", "measure": "error", "kind": "exact", "value": 0.5}])


@pytest.fixture
def finished(tmp_path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "run")
    folder.prepare(Settings())
    folder.write_table(TABLE)
    return folder


def test_a_folder_holds_settings_environment_and_table(finished):
    assert finished.settings() == {"study": "compare", "n_seeds": 3}
    assert "python" in finished.environment()
    assert finished.read_table().equals(TABLE)
    assert [found.path for found in find_studies(finished.path.parent)] == [finished.path]


def test_numbers_of_numpy_are_kept_as_plain_ones(tmp_path):
    folder = StudyFolder(tmp_path / "run")
    folder.prepare(Settings(n_seeds=np.int64(3)))
    assert folder.settings() == {"study": "compare", "n_seeds": 3}
    folder.check(Settings())


@pytest.mark.parametrize("stopped_at", [0, 1])
def test_a_stop_between_the_first_files_is_gone_on_from(tmp_path, monkeypatch, stopped_at):
    """With the draft that a killed process leaves behind."""
    folder, written = StudyFolder(tmp_path / "run"), []

    def stopping(path: Path, text: str) -> None:
        if len(written) == stopped_at:
            path.parent.mkdir(exist_ok=True)
            path.with_name(f".{path.name}.1.part").write_text(text[:5])
            raise RuntimeError("stop")
        written.append(path)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "write_text", stopping)
        with pytest.raises(RuntimeError, match=r"^stop$"):
            folder.prepare(Settings())
    folder.prepare(Settings())
    assert folder.settings() == {"study": "compare", "n_seeds": 3}
    assert "python" in folder.environment()


@pytest.mark.parametrize(
    ("name", "content", "read"),
    [
        ("config.yaml", b"study: [1", StudyFolder.settings),
        ("config.yaml", b"- 1", StudyFolder.settings),
        ("config.yaml", b"", StudyFolder.settings),
        ("config.yaml", b"\xff", StudyFolder.settings),
        ("environment.json", b"{", StudyFolder.environment),
        ("environment.json", b"3", StudyFolder.environment),
        ("results.parquet", b"PAR1", StudyFolder.read_table),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(finished, name, content, read):
    (finished.path / name).write_bytes(content)
    with pytest.raises(FolderError, match=rf"^`{finished.path / name}` cannot be read \(.*\); "):
        read(finished)


def test_a_missing_environment_is_named_and_made_again(finished):
    finished.environment_path.unlink()
    with pytest.raises(FolderError, match=r"environment.json` cannot be read"):
        finished.environment()
    finished.prepare(Settings())
    assert "python" in finished.environment()


def test_a_place_that_cannot_be_written_is_known_before_anything_is_computed(tmp_path):
    def fail():
        raise AssertionError("computed")

    (tmp_path / "file").touch()
    places = [tmp_path / "file" / "run", tmp_path / "file"]
    if os.getuid():  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        places.append(tmp_path / "locked" / "run")
    for place in places:
        with pytest.raises(FolderError, match=rf"^`{place}` must be a folder that can be written; '.*' is not$"):
            tabulate(Settings(), place, fail)


def test_a_disk_that_refuses_is_named(tmp_path, monkeypatch):
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "write_text", full)
    with pytest.raises(FolderError, match=r"can be written; No space left on device$"):
        StudyFolder(tmp_path / "run").prepare(Settings())
