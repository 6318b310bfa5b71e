"""A study installed from a distribution of its own, and a run to attack."""

import os
import shutil
import sys

import pytest
from folders import FOREIGN
from visiting import forget_visitor, install

from gating.runs.folder import RunFolder


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The folder where `visitor` is installed, for this process and those it starts."""
    place = install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget_visitor()
    yield place
    forget_visitor()


@pytest.fixture
def numbers(tmp_path):
    """The input of the study."""
    path = tmp_path / "numbers.txt"
    path.write_text("1 2.5 -3 8")
    return path


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that has just begun, held."""
    held = RunFolder(tmp_path / "run")
    with held.locked():
        held.begin("study", {})
        yield held


@pytest.fixture
def run(tmp_path):
    """A run with files of two parts, one of them done, and files of somebody else between them."""
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.begin("study", {"config": {"n": 1}})
        for name in ("a.txt", "c.txt", "parts/p/b.txt", "parts/q/x.txt", "parts/q/deep/y.txt"):
            folder.write_text(name, f"old {name}")
        folder.finish("q")
    for name, content in FOREIGN.items():
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_bytes(content)
    return folder.path


@pytest.fixture
def here(site, numbers, tmp_path, monkeypatch):
    """Where commands run; beside the input there is nothing."""
    (tmp_path / "here").mkdir()
    shutil.move(numbers, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"
