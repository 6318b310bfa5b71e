"""What each tracker of experiments wants of its own: Weights and Biases by its terms, MLflow's folder and server."""

import json
import os
import pty
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import ClassVar

import pytest

from gating.cli import main
from gating.runs import tracking
from gating.runs.tracking import Tracking, require_trackers
from theory.settings import SpecError

pytestmark = pytest.mark.filterwarnings("ignore")  # of trackers


def test_weights_and_biases_is_told_by_its_own_terms(tmp_path, monkeypatch):
    told = []

    class Run:
        def __getattr__(self, name):
            return lambda *given, **named: told.append((name, given, named))

    def init(**given):
        told.append(("init", (), given))
        return Run()

    wandb = SimpleNamespace(init=init, login=lambda prompt: not prompt, __spec__=SimpleNamespace(),
                            setup=lambda: SimpleNamespace(settings=SimpleNamespace(mode="online")))  # fmt: skip
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.delenv("WANDB_NAME", raising=False)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "own"))
    with Tracking(["wandb"], tmp_path / "trackers", "compare run", {"n": 1}) as found:
        found.log("train/a", {"loss": 0.5}, 10)
        found.log("train/b", {"loss": 0.4}, 5)
        found.log("train/a", {"loss": 0.3}, 20)
        found.attach(tmp_path / "report.html")
    names = [name for name, _, _ in told]
    assert names == ["init", *2 * ["define_metric", "define_metric", "log"], "log", "save", "finish"]
    assert {
        "project": "icl-gating",
        "name": "compare run",
        "dir": str(tmp_path / "own"),
        "config": {"n": 1},
    }.items() <= told[0][2].items()
    assert told[2][1:] == (("train/a/*",), {"step_metric": "train/a/step"})
    assert told[-3][1] == ({"train/a/step": 20, "train/a/loss": 0.3},)
    assert told[-2][1] == (str(tmp_path / "report.html"),)
    assert told[-1][2] == {"exit_code": 0}


ASKED = """
from gating.runs.tracking import Tracking
with Tracking(["wandb"], {place!r}, "run", {{}}) as told:
    told.log("train", {{"loss": 0.5}}, 1)
"""


def test_nobody_is_asked_on_a_terminal_where_weights_and_biases_knows_no_one(tmp_path):
    """Its question would stand in the midst of the run, and take the terminal away until the process is aborted."""
    near, far = pty.openpty()
    known = {name: value for name, value in os.environ.items() if not name.startswith("WANDB") and name != "TERM"}
    held = known | {"HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc"), "TERM": "xterm"}
    command = [sys.executable, "-c", ASKED.format(place=str(tmp_path / "trackers"))]
    with subprocess.Popen(command, env=held, stdin=far, stdout=subprocess.PIPE, stderr=far, text=True) as process:
        said, _ = process.communicate(timeout=100)
    os.close(far)
    os.close(near)
    assert said.startswith("tracker 'wandb' is told no more (nobody is logged in; `wandb login` does it)")
    assert process.returncode == 0


def test_mlflow_writes_nothing_outside_of_the_folder_whatever_that_is_called(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = []
    with Tracking(["mlflow"], tmp_path / "what?" / "trackers", "run", {}, said.append):
        pass
    assert "without '?' and '%'" in said[0]
    assert list(tmp_path.iterdir()) == []


class Server(BaseHTTPRequestHandler):
    """As much of a server of MLflow as is asked here."""

    asked: ClassVar = []

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.path.partition("?")[0].rpartition("/mlflow/")[2], json.loads(body or "{}")))
        info = {"run_id": "r", "run_uuid": "r", "experiment_id": "1", "status": "RUNNING", "run_name": "run",
                "artifact_uri": "file:///none", "lifecycle_stage": "active"}  # fmt: skip
        experiment = {"experiment_id": "1", "name": "icl-gating", "lifecycle_stage": "active"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"experiment": experiment, "run": {"info": info, "data": {}}}).encode())

    def log_message(self, *given):
        pass


def test_a_server_of_mlflow_gets_names_that_it_takes_and_nothing_stands_among_the_results(
    tmp_path, monkeypatch, capsys
):
    for name in [name for name in os.environ if name.startswith("MLFLOW")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(Server, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        said = []
        with Tracking(["mlflow"], tmp_path, "run", {}, said.append) as told:
            told.log("results", {"model=./a//b/" + 300 * "c": 0.5, "model=./a//b/" + 299 * "c": 0.25}, 1)
        server.shutdown()
    assert said == []
    (metrics,) = [body["metrics"] for path, body in Server.asked if path == "runs/log-batch"]
    first, second = (each["key"] for each in metrics)
    assert first != second
    assert len(first) <= 250 >= len(second)
    assert ("runs/update", "FINISHED") in [(path, body.get("status")) for path, body in Server.asked]
    assert capsys.readouterr().out == ""


def test_trackers_that_cannot_be_are_refused_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match="`tracker` 'mlflow' needs the package 'mlflow'; `pip install"):
        require_trackers(["mlflow"])
    assert main(["bounds", "--tracker", "tensorboard", "--out", str(tmp_path / "run")]) == 2
    assert "needs the package 'tensorboard'" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["bounds", "--tracker", "tensorbord"]) == 2
    assert (
        "`tracker` must be one or more different ones of ('tensorboard', 'mlflow', 'wandb')" in capsys.readouterr().err
    )
    for more in ([], ["--dry-run"]):
        assert main(["bounds", "--tracker", "tensorboard", *more]) == 2
        sentence = "`tracker` must be left out where the run has no folder: choose one with `out`"
        assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
