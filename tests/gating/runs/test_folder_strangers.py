"""The folder of a run among strangers: links, and files that are not the run's."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from folders import live, whole
from stops import contents

from gating.runs.errors import FolderError
from gating.runs.folder import RunFolder


def test_a_manifest_that_names_files_elsewhere_removes_none(run, tmp_path):
    """The seal tells damage, not intent: somebody else's folder may list anything."""
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path)
    shutil.copytree(run, tmp_path / "evil")
    (tmp_path / "evil" / "up").symlink_to(tmp_path)
    folder = RunFolder(tmp_path / "evil")
    held = {name: [] for name in ("../victim.txt", str(victim), "up/victim.txt")}
    with folder.locked():
        folder.change(files=held)
        for name in held:
            with pytest.raises(FolderError, match=r"must lie in the folder"):
                folder.write_text(name, "gone")
        folder.begin("other", {})
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["", "drafts", "lock", "holder"])
@pytest.mark.parametrize("there", [True, False])
def test_links_in_the_engines_own_folder_are_refused(run, tmp_path, name, there):
    elsewhere, place = tmp_path / "elsewhere", run / ".gating" / name
    (elsewhere / "drafts").mkdir(parents=True)
    (elsewhere / "file").write_text("precious")
    target = elsewhere / "file" if name in ("lock", "holder") else elsewhere
    if name:
        place.unlink(missing_ok=True) if not place.is_dir() else shutil.rmtree(place)
    else:
        shutil.rmtree(run / ".gating")
    place.symlink_to(target if there else tmp_path / "nowhere")
    with pytest.raises(FolderError, match=r"\.gating` must be a folder of the run's own; it is, or holds, a link"):
        live(run)
    assert contents(elsewhere) == {"file": b"precious"}
    assert not (tmp_path / "nowhere").exists()
    whole(run, ("old",))


def test_a_link_that_is_laid_when_links_have_been_looked_for_is_not_followed(run, tmp_path, monkeypatch):
    """CVE-2025-68146: filelock before 3.20.1 empties the file that the link names."""
    victim, acquire = tmp_path / "victim.txt", FileLock.acquire
    victim.write_text("precious")

    def late(lock):
        place = Path(lock.lock_file)
        place.unlink()
        place.symlink_to(victim)
        return acquire(lock)

    monkeypatch.setattr(FileLock, "acquire", late)
    with pytest.raises(FolderError, match=f"^`{run}` cannot be written"):
        live(run)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["parts", "parts/p"])
def test_a_link_on_the_way_is_not_followed(run, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(run / name, elsewhere)
    (run / name).symlink_to(elsewhere)
    before, folder = contents(elsewhere), RunFolder(run)
    with folder.locked():
        with pytest.raises(FolderError, match=rf"^`{run}/parts/p/b.txt` must lie in the folder; a link on the way"):
            folder.write_text("parts/p/b.txt", "new")
        folder.forget(["p"])
        folder.begin("study", {})
    assert contents(elsewhere) == before
    assert (run / name).is_symlink()


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(run, tmp_path):
    victim = tmp_path / "victim.txt"
    for name in ("a.txt", "manifest.json"):
        shutil.move(run / name, tmp_path / "victim.txt")
        (run / name).symlink_to(victim)
        before = victim.read_bytes()
        live(run, "newer")
        assert victim.read_bytes() == before
        assert not (run / name).is_symlink()
    (run / "c.txt").symlink_to(victim)
    with pytest.raises(FolderError, match=r"c.txt` is in the way and not the run's"), RunFolder(run).locked():
        RunFolder(run).write_text("c.txt", "new")
    assert victim.read_bytes() == before


def test_a_folder_behind_a_link_is_the_folder(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    live(tmp_path / "link")
    whole(run, ("new",))
    (tmp_path / "nothing").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FolderError, match=r"must be a folder; it is a file, or a link to nothing$"):
        live(tmp_path / "nothing")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"config.yaml": b"study: compare", "models/model.bin": b"weights", "parts/p/b.txt": b"mine"},
        {"manifest.json": b'{"name": "an app of the web", "icons": []}', "index.html": b""},
        {".hidden": b""},
        {"manifest.json": b""},
        {".gating": b"a file"},
        {"results.parquet": b"PAR1"},
    ],
)
def test_a_folder_that_is_not_a_runs_is_not_touched(tmp_path, files):
    place = tmp_path / "place"
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    folder = RunFolder(place)
    assert not folder.is_run
    with pytest.raises(FolderError, match=rf"^`{place}"), folder.locked():
        folder.begin("study", {})
    with (
        pytest.raises(FolderError, match=rf"^`{place}` must be the folder of a run; it has no manifest.json")
        if ("manifest.json" not in files)
        else pytest.raises(FolderError, match=r"manifest.json` ")
    ):
        _ = folder.manifest
    assert {f.relative_to(place).as_posix(): f.read_bytes() for f in place.rglob("*") if f.is_file()} == files
    assert not (place / ".gating").is_dir()


def test_a_file_that_is_in_the_way_stays(run):
    folder = RunFolder(run)
    with folder.locked():
        for name in ("notes.txt", "parts/p/mine.txt", "plots"):
            with pytest.raises(FolderError, match=rf"^`{run}/{name}` is in the way and not the run's; move it"):
                folder.write_text(name, "run")
        with pytest.raises(FolderError, match=rf"^`{run}/notes.txt/x` cannot be written"):
            folder.write_text("notes.txt/x", "run")
        with pytest.raises(FolderError, match=r"manifest.json` is in the way"):
            folder.write_text("manifest.json", "run")
    whole(run, ("old",))


def test_a_file_where_a_folder_should_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(FolderError, match=rf"^`{place}` (must be a folder|cannot be written)"):
            live(place)
    assert contents(tmp_path) == {"file": b"mine"}
