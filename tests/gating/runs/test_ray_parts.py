"""Parts as tasks of Ray: their order, errors as the same sentences as in threads, stops, and nodes that are refused."""

import os
import re
import signal
import threading
import time
from dataclasses import replace

import pytest
from ray_nodes import MARKS

from gating.runs.errors import Damaged, FolderError, Interrupted, RunFailed
from gating.runs.executor import Part, Resources, run_parts
from gating.runs.folder import RunFolder
from gating.training.trainer import TrainingDiverged
from theory.settings import SpecError

ray = pytest.importorskip("ray", reason="the package ray cannot be imported", exc_type=ImportError)
from gating.runs import ray_executor  # noqa: E402

pytestmark = MARKS


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

    def press():
        while len(folder.done) < 5:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
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
