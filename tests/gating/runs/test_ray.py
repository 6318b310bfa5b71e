"""Commands on a cluster of Ray: the same bits as threads, whatever is killed, and addresses that are refused."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
import yaml
from commands import ended, started
from ray_nodes import MARKS, NODE
from stops import contents
from visiting import refused

from gating import cli
from tests.golden.settings import COMPARE

ray = pytest.importorskip("ray", reason="the package ray cannot be imported", exc_type=ImportError)

pytestmark = MARKS
SIDES = ("left", "right")
VISITOR = ["visitor", "numbers.txt", "--workers", "1", "--steps", "100"]


@pytest.fixture(scope="module")
def threads(cluster, tmp_path_factory):
    """What a run in threads writes, undisturbed."""
    with pytest.MonkeyPatch.context() as patch:
        where = tmp_path_factory.mktemp("threads")
        (where / "numbers.txt").write_text("1 2.5 -3 8")
        patch.chdir(where)
        patch.setenv("VISITOR_PAUSE", "0")
        assert cli.main([*VISITOR, "--out", "run"]) == 0
        return written(where / "run")


@pytest.fixture
def here(cluster, threads, tmp_path, monkeypatch):
    (tmp_path / "numbers.txt").write_text("1 2.5 -3 8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(path):
    """All files of a run but the manifest, which lists in the order of writing."""
    found = contents(path)
    del found["manifest.json"]
    return found


def by_ray(cluster):
    return ["--executor", "ray", "--address", cluster.address]


def wait_for_saves(run):
    """Until each walk has a checkpoint and a state after it: before its second checkpoint it saves three states."""
    end = time.monotonic() + 60
    while not all((run / "parts" / "train" / side / "step-00000020.safetensors").exists() for side in SIDES):
        assert time.monotonic() < end, f"no part has begun: {sorted(run.rglob('*'))}"
        time.sleep(0.005)


def struck(strike, run):
    """Strikes in the middle of the run, from a thread; `when` is the time of the strike."""
    found = SimpleNamespace(when=None, error=None)

    def act():
        try:
            wait_for_saves(run)
            strike()
            found.when = time.time()
        except BaseException as error:
            found.error = error

    found.thread = threading.Thread(target=act)
    found.thread.start()
    return found


def require_gone_on(run, found):
    """A part was begun again, and what it had saved before was not written again."""
    found.thread.join()
    assert found.error is None
    for side in SIDES:
        first, last = (run / "parts" / "train" / side / f"step-{step:08d}.safetensors" for step in (10, 100))
        assert first.stat().st_mtime < found.when < last.stat().st_mtime


def workers_of(node):
    """Processes of a node that do parts."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [child for child in raylet.children(recursive=True) if "_do_in_worker" in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A small `compare` in threads."""
    where = tmp_path_factory.mktemp("compared")
    (where / "config.yaml").write_text(yaml.safe_dump({"study": "compare", **COMPARE}))
    command = ["compare", "--config", str(where / "config.yaml"), "--workers", "2", "--device", "cpu"]
    assert cli.main([*command, "--out", str(where / "run")]) == 0
    return command, written(where / "run")


@pytest.mark.long
def test_table_checkpoints_and_page_are_those_of_threads(cluster, compared, tmp_path, capfd):
    command, wanted = compared
    assert cli.main([*command, *by_ray(cluster), "--keep", "--out", str(tmp_path / "run")]) == 0
    found = written(tmp_path / "run")
    assert {name: content for name, content in found.items() if name in wanted} == wanted
    assert {"results.parquet", "report.html"} < wanted.keys()
    assert any("safetensors" in name for name in wanted)
    out, err = capfd.readouterr()
    assert "train/transformer/0: " in out, "what parts say is told"
    assert err == ""


@pytest.mark.long
def test_the_run_goes_on_from_its_last_save_when_a_node_dies(cluster, here, threads, capfd):
    def strike():
        own = ray._private.worker.global_worker.node  # this process dies with the node that it has joined
        node = next(each for each in cluster.worker_nodes if each._raylet_socket_name != own._raylet_socket_name)
        pids = [worker.pid for worker in workers_of(node)]
        cluster.remove_node(node, allow_graceful=False)
        for pid in pids:  # a machine takes them with it
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)

    found = struck(strike, here / "run")
    assert cli.main([*VISITOR, *by_ray(cluster), "--out", "run"]) == 0
    require_gone_on(here / "run", found)
    assert len(cluster.worker_nodes) == 1, "the other node has done it"
    out, err = capfd.readouterr()
    cluster.add_node(**NODE)
    assert written(here / "run") == threads
    assert out.count(": begun again, from its last save\n") == 1
    assert err == ""


@pytest.mark.long
def test_a_worker_that_is_killed_is_replaced(cluster, here, threads, capfd):
    def strike():
        (worker, *_) = [each for node in cluster.worker_nodes for each in workers_of(node)]
        worker.kill()

    found = struck(strike, here / "run")
    assert cli.main([*VISITOR, *by_ray(cluster), "--out", "run"]) == 0
    require_gone_on(here / "run", found)
    assert written(here / "run") == threads
    out, err = capfd.readouterr()
    assert out.count(": begun again, from its last save\n") == 1
    assert ("Traceback" in out + err, "raylet" in out + err) == (False, False)


@pytest.mark.parametrize(
    ("sent", "then"),
    [
        pytest.param(signal.SIGKILL, "ray", marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, "threads", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, "ray", marks=pytest.mark.long),
    ],
)
def test_the_same_command_goes_on_after_the_driver_has_ended(cluster, here, threads, monkeypatch, capfd, sent, then):
    process = started([*VISITOR, *by_ray(cluster), "--out", "run"])
    try:
        wait_for_saves(here / "run")
    except AssertionError as error:
        process.kill()
        raise AssertionError(ended(process)) from error
    found = SimpleNamespace(when=time.time(), thread=threading.Thread(), error=None)
    process.send_signal(sent)
    status, out, err = ended(process)
    found.thread.start()
    if sent is signal.SIGINT:
        wanted = "gating: interrupted; `run` holds what is done; the same command goes on from there\n"
        assert (status, err) == (130, wanted)
    assert "Traceback" not in out + err
    journals = list((here / "run" / ".gating" / "journals").glob("*.part"))
    assert {file.name for file in journals} == {"train%2Fleft.part", "train%2Fright.part"}
    capfd.readouterr()
    assert cli.main([*VISITOR, *(by_ray(cluster) if then == "ray" else []), "--out", "run"]) == 0
    require_gone_on(here / "run", found)
    assert not list((here / "run" / ".gating" / "journals").iterdir())
    assert written(here / "run") == threads
    assert "made again" not in capfd.readouterr().out


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "nonsense"])
def test_an_address_where_no_cluster_is_is_refused(here, capsys, address):
    said = refused([*VISITOR, "--executor", "ray", "--address", address, "--out", "run"], capsys)
    assert said.startswith(
        f"gating: `address` must be the address of a running cluster of Ray, 'auto' or 'local'; got '{address}' ("
    )
    assert said.count("\n") == 1


def test_an_address_is_for_ray_alone(here, capsys):
    said = refused([*VISITOR, "--address", "auto", "--out", "run"], capsys)
    assert said == "gating: `address` must be left out where `executor` is 'threads'; got 'auto'\n"
    assert not (here / "run").exists()
