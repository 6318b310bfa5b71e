"""A study installed from a distribution of its own, a run to attack, and a cluster of Ray."""

import os
import shutil
import sys
import warnings

import pytest
from folders import FOREIGN
from ray_nodes import NODE, PAUSE
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes of one core, whose processes find `visitor`; it takes its time, so that it can be killed."""
    import ray
    from ray.cluster_utils import Cluster

    site = install(tmp_path_factory.mktemp("site"))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        patch.setenv("VISITOR_PAUSE", str(PAUSE))
        forget_visitor()
        held = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
        try:
            for _ in range(2):
                held.add_node(**NODE)
            yield held
        finally:
            ray.shutdown()
            held.shutdown()
            forget_visitor()
