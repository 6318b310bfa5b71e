"""A run with files of somebody else between its own: how it goes on, and what must be true of it at any time."""

import hashlib

from stops import contents

from gating.runs.folder import TABLE, RunFolder

FOREIGN = {"notes.txt": b"mine", "parts/p/mine.txt": b"mine too", "plots/photo.svg": b"<svg/>"}


def live(path, text="new"):
    """Writes again, writes anew, forgets and ends."""
    folder = RunFolder(path)
    with folder.locked():
        folder.write_text("a.txt", f"{text} a.txt")
        folder.write_text("parts/p/b.txt", f"{text} parts/p/b.txt")
        folder.write_text("parts/r/new.txt", f"{text} parts/r/new.txt")
        if "p" not in folder.done:
            folder.finish("p")
        folder.discard(["c.txt"])
        folder.forget(["q"])
        folder.write_text(TABLE, "table")


def whole(path, texts):
    """Every file is foreign or listed; listed ones are as one of the texts has them; the last may be missing."""
    folder, found = RunFolder(path), contents(path)
    assert {name: found.pop(name) for name in FOREIGN} == FOREIGN
    del found["manifest.json"]
    listed = folder.manifest["files"]
    assert found.keys() <= listed.keys()
    for name, content in found.items():
        assert content.decode() in {f"{text} {name}" for text in texts} | {"table"}, name
        assert hashlib.sha256(content).hexdigest() in listed[name], name
    explained = {
        [*listed][-1],
        "c.txt",
        "parts/q/x.txt",
        "parts/q/deep/y.txt",
    }  # not in its place yet, or being removed
    assert {*folder.damaged()} == {*listed} - {*found} <= explained
