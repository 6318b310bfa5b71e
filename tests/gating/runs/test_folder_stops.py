"""The folder of a run, stopped: killed between any two operations, and on disks that refuse."""

import errno
import os
import random
import shutil

import pytest
from folders import FOREIGN, live, whole
from stops import OPERATIONS, contents, killed_before

from gating.runs.errors import FolderError
from gating.runs.folder import RunFolder


def test_a_kill_between_any_two_operations_loses_nothing(run, tmp_path, monkeypatch):
    """Nor does a second kill, anywhere in the same work, whose files are others again."""
    rng, k, killed = random.Random(0), 0, True
    while killed:
        path = tmp_path / "at" / str(k)
        shutil.copytree(run, path)
        killed = killed_before(k, monkeypatch, lambda path=path: live(path, "new"))
        whole(path, ("old", "new"))
        for second in {k, rng.randrange(40)}:
            again = tmp_path / "again"
            shutil.copytree(path, again)
            killed_before(second, monkeypatch, lambda again=again: live(again, "newer"))
            whole(again, ("old", "new", "newer"))
            live(again, "newest")
            whole(again, ("newest",))
            shutil.rmtree(again)
        k += 1
    assert k > 30


def test_a_kill_while_a_run_is_begun_again_loses_only_its_own_files(run, tmp_path, monkeypatch):
    def begin(path, study="other"):
        folder = RunFolder(path)
        with folder.locked():
            folder.begin(study, {})

    k, killed = 0, True
    while killed:
        path = tmp_path / "at" / str(k)
        shutil.copytree(run, path)
        killed = killed_before(k, monkeypatch, lambda path=path: begin(path))
        assert {name: contents(path)[name] for name in FOREIGN} == FOREIGN
        assert (RunFolder(path).manifest["study"], RunFolder(path).done) in [("study", ["q"]), ("other", [])][
            not killed :
        ]
        begin(path)
        assert contents(path).keys() - {"manifest.json"} == FOREIGN.keys()
        assert (RunFolder(path).manifest["files"], RunFolder(path).done) == ({}, [])
        k += 1
    assert k > 10


def test_a_kill_in_a_new_folder_leaves_one_that_can_be_begun(tmp_path, monkeypatch):
    k, killed = 0, True
    while killed:
        path = tmp_path / str(k) / "run"

        def begin(path=path):
            folder = RunFolder(path)
            with folder.locked():
                folder.begin("study", {})

        killed = killed_before(k, monkeypatch, begin)
        begin()
        assert contents(path).keys() == {"manifest.json"}
        k += 1
    assert k > 4


def test_half_a_file_is_no_file(run):
    def half(draft):
        draft.write_text("ha")
        raise ValueError("stop")

    folder = RunFolder(run)
    with folder.locked():
        with pytest.raises(ValueError, match=r"^stop$"):
            folder.write("a.txt", half)
        (run / ".gating" / "drafts" / "left").mkdir()
        (run / ".gating" / "drafts" / "left" / "half").write_text("ha")
        (run / ".gating" / "drafts" / "link").symlink_to(run.parent)
    whole(run, ("old",))
    with folder.locked():
        assert list((run / ".gating" / "drafts").iterdir()) == []
    whole(run, ("old",))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_disk_that_refuses_is_named_and_gone_on_from(run, monkeypatch, operation, number):
    """At the first, second ... call of each operation; the sentence names a file of the run."""
    original, seen = getattr(os, operation), set()
    for k in range(40):
        calls = []

        def refuse(*arguments, calls=calls, k=k, **named):
            calls.append(arguments)
            if len(calls) == k + 1:
                raise OSError(number, os.strerror(number), arguments[0])
            return original(*arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(os, operation, refuse)
            try:
                live(run)
            except FolderError as error:
                seen.add(str(error))
        if len(calls) <= k:
            break
        whole(run, ("old", "new"))
        with RunFolder(run).locked():
            pass
    live(run)
    whole(run, ("new",))
    assert seen or operation == "mkdir"  # of folders that are there, which is no error
    for said in seen:
        assert said.startswith(f"`{run}/")
        assert f"cannot be written ({os.strerror(number)}); what is saved stays" in said
