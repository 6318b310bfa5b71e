"""Parts as tasks of Ray: the same bits as threads, whatever is killed, and errors as the same sentences.

A cluster of two nodes runs on this machine: its head has no core, and a raylet of its own stands for each machine.
"""

import os
import re
import signal
import threading
import time
import warnings
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
import yaml
from commands import ended, started
from stops import contents
from visiting import forget_visitor, install, refused

from gating import cli
from gating.runs.errors import Damaged, FolderError, Interrupted, RunFailed
from gating.runs.executor import Part, Resources, run_parts
from gating.runs.folder import RunFolder
from gating.training.trainer import TrainingDiverged
from tests.golden.settings import COMPARE
from theory.settings import SpecError

ray = pytest.importorskip("ray", reason="the package ray cannot be imported", exc_type=ImportError)
from gating.runs import ray_executor  # noqa: E402

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # sockets and logs of Ray's processes
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
PAUSE = 0.05
SIDES = ("left", "right")
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
VISITOR = ["visitor", "numbers.txt", "--workers", "1", "--steps", "100"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes of one core, whose processes find `visitor`; it takes its time, so that it can be killed."""
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


@pytest.fixture
def connected(cluster):
    """How parts are run by a cluster that this process has joined already."""
    if not ray.is_initialized():
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    ray._private.worker._worker_logs_enabled = False
    yield Resources(workers=2, executor="ray", address=cluster.address, say=lambda line: None)
    ray.shutdown()


def failing(error):
    """Work that saves something and fails; nested, so that other processes need not import this module."""

    def work(place, resources):
        place.save_records("tries", [*(place.records("tries") if place.has_records("tries") else []), {}])
        raise error

    return work


def ending_well(seconds):
    def work(place, resources):
        time.sleep(seconds)
        place.save_records("r", [{"part": place.part}])

    return work


ERRORS = [
    SpecError(["`a` must be 1; got 2", "`b` must be 3; got 4"]),
    RunFailed("no result"),
    TrainingDiverged("the training loss of replica 0 is nan at step 3; last checkpoint in `x`: none"),
    Damaged("`x` is missing; remove it"),
    KeyError("bad"),
]


@pytest.mark.long
def test_errors_are_those_of_threads(connected, tmp_path, capfd):
    """Those of the disk are tried again first; parts that ended well stay, and so does what others saved."""
    for number, error in enumerate(ERRORS):
        for executor in ("ray", "threads"):
            folder = RunFolder(tmp_path / f"{executor} {number}")
            with folder.locked():
                folder.begin("study", {})
                parts = [Part("good", ending_well(0)), Part("bad", failing(error), ("good",))]
                with pytest.raises(type(error)) as found:
                    run_parts(parts, folder, replace(connected, executor=executor))
            assert (str(found.value), getattr(found.value, "problems", None)) == (
                str(error),
                getattr(error, "problems", None),
            )
            with folder.locked():
                assert folder.done == ["good"]
                tries = len(folder.read("parts/bad/tries.jsonl", lambda path: path.read_text()).split())
            again = executor == "ray" and isinstance(error, FolderError)
            assert tries == (ray_executor.MOST_RETRIES + 1 if again else 1)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_part_whose_process_always_ends_is_a_sentence(connected, folder, monkeypatch):
    monkeypatch.setattr(ray_executor, "_do", ray.remote(max_retries=1)(ray_executor._do_in_worker))
    end = Part("a", lambda place, resources: os._exit(3))
    with pytest.raises(RunFailed, match=r"^no process could do part `a`, begun up to 11 times \(.+\)$"):
        run_parts([end], folder, connected)


def test_parts_run_after_those_that_they_read_and_find_their_files(connected, folder):
    def sums(place, resources):
        place.save_records("r", [{"sum": sum(place.of(f"m/{k}").records("r")[0]["n"] for k in range(5))}])

    def number(k):
        return lambda place, resources: place.save_records("r", [{"n": k}])

    parts = [Part("end", sums, ("m",)), *(Part(f"m/{k}", number(k)) for k in range(5))]
    parts += [Part("in/end", sums, ("m",), scope="in/"), *(Part(f"in/m/{k}", number(2 * k)) for k in range(5))]
    parts[6:7] = [Part("in/end", sums, tuple(f"in/m/{k}" for k in range(5)), scope="in/")]
    run_parts(parts, folder, connected)
    assert {*folder.done} == {part.name for part in parts}
    assert [folder.path.joinpath("parts", name, "r.jsonl").read_text() for name in ("end", "in/end")] == [
        '{"sum": 10}\n',
        '{"sum": 20}\n',
    ]
    assert folder.damaged() == {}


@pytest.mark.long
def test_ctrl_c_ends_parts_that_wait_and_keeps_those_that_ended(connected, folder):
    run_parts([Part(f"first{k}", ending_well(0.1)) for k in range(2)], folder, connected)  # starts processes
    parts = [Part(f"p{k}", ending_well(0.1)) for k in range(40)]
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Interrupted, match=rf"^interrupted; `{folder.path}` holds what is done$"):
        run_parts(parts, folder, connected)
    assert 2 < len(folder.done) < 40
    run_parts(parts, folder, connected)
    assert {*folder.done} == {"first0", "first1", *(part.name for part in parts)}


def test_parts_stop_at_their_next_step_when_another_fails(connected, folder):
    def steps(place, resources):
        place.save_records("begun", [{}])
        assert resources.stop.wait(20), "it was not told"
        raise Interrupted("stopped")

    def fail(place, resources):
        while not (place.folder.path / "parts" / "long" / "begun.jsonl").exists():
            time.sleep(0.01)
        raise RunFailed("no result")

    start = time.monotonic()
    with pytest.raises(RunFailed, match=r"^no result$"):
        run_parts([Part("long", steps), Part("bad", fail), Part("queued", ending_well(0))], folder, connected)
    assert time.monotonic() - start < 20
    with folder.path.joinpath(".gating", "journals", "long.part").open() as stream:
        assert "begun.jsonl" in stream.read()


def test_a_node_with_other_software_is_refused(connected, folder, monkeypatch):
    here = ray_executor._computes()
    monkeypatch.setattr(ray_executor, "_computes", lambda: {**here, "torch": "1.0"})
    differ = rf"\{{'torch': \('1.0', '{re.escape(here['torch'])}'\)\}}"
    wanted = rf"^every node must have the same software and processor; there and here differ: {differ}$"
    with pytest.raises(RunFailed, match=wanted):
        run_parts([Part("a", ending_well(0))], folder, connected)


@pytest.mark.parametrize(("field", "named"), [("path", "out"), ("here", "the folder where the command is run")])
def test_a_node_that_does_not_see_a_folder_is_refused(connected, tmp_path, field, named):
    task = ray_executor._Task(
        str(tmp_path), str(tmp_path), ray_executor._computes(), "cpu", 1, False, str(tmp_path / "stop")
    )
    done = ray_executor._do.remote(Part("a", ending_well(0)), {}, replace(task, **{field: "/nowhere"}))
    with pytest.raises(
        RunFailed, match=rf"^`{named}` must be a folder that every node sees; a node has no `/nowhere`$"
    ):
        ray_executor._result(done, "a")


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
