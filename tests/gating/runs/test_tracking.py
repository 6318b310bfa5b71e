"""What trackers of experiments are told: the files of TensorBoard and MLflow, and that no run depends on them."""

import threading
import time
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

import gating
from gating.results.parquet import read_table
from gating.runs import tracking
from gating.runs.ensemble import Ensemble
from gating.runs.errors import Interrupted
from gating.runs.executor import Resources
from gating.runs.store import Place, opened
from gating.runs.tracking import Tracking, measured

pytestmark = pytest.mark.filterwarnings("ignore")  # of trackers

SMALL = {"n_sequences": [16, 64], "n_seeds": 2, "evaluation_per_cell": 8, "hidden": 8,
         "transformer": {"width": 8, "heads": 2}, "distribution": {"n_high": 2, "n_low": 2, "dim": 8},
         "transformer_training": {"steps": 12, "batch_size": 4, "checkpoints": 2},
         "stylized_training": {"steps": 12, "batch_size": 4, "checkpoints": 2}}  # fmt: skip


def quiet(line):
    pass


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A run that TensorBoard and MLflow were told of, and the same run without them."""
    place = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        said = []
        gating.compare(**SMALL, out=place / "told", workers=1, tracker=["tensorboard", "mlflow"], say=said.append)
        gating.compare(**SMALL, out=place / "untold", workers=1, say=quiet)
    assert not any("tracker" in line for line in said)
    return place


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own reader finds in a run's folder, by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (run / "trackers" / "tensorboard").iterdir()
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_has_losses_results_settings_and_where_the_page_is(told):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = scalars(told / "told")
    losses = {tag: held for tag, held in found.items() if tag.startswith("train/transformer/0/train_loss/")}
    assert "data_seed=1/distribution.p_relevant=0.9/n_sequences=64" in {tag.split("train_loss/")[1] for tag in losses}
    assert len(losses) == 12  # with the references that stand in place of g and h
    assert all([step for step, _ in held][-1] == 12 for held in losses.values())
    results = read_table(told / "told" / "results.parquet")
    wanted = [(step, name, value) for step, values in measured(results) for name, value in values.items()]
    assert len(wanted) > 100
    for step, name, value in wanted:
        assert (step, pytest.approx(value, rel=1e-6)) in found[f"results/{name}"]
    (folder,) = (told / "told" / "trackers" / "tensorboard").iterdir()
    reader = EventAccumulator(str(folder))
    reader.Reload()
    text = {tag: str(reader.Tensors(tag)[-1].tensor_proto.string_val[0]) for tag in reader.Tags()["tensors"]}
    assert "`distribution.dim`: 8" in text["settings/text_summary"]
    assert str((told / "told" / "report.html").resolve()) in text["report.html/text_summary"]
    assert "finished" in text["state/text_summary"]


def test_mlflow_has_them_too_and_the_page_as_an_artifact(told):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{told / 'told' / 'trackers' / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("icl-gating")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("compare told", "FINISHED")
    assert run.data.params["distribution.dim"] == "8"
    beside = scalars(told / "told")
    assert set(run.data.metrics) == {name.replace("=", ":") for name in beside}
    one = next(name for name in beside if name.startswith("train/stylized/"))
    history = client.get_metric_history(run.info.run_id, one.replace("=", ":"))
    assert [(each.step, pytest.approx(each.value, rel=1e-6)) for each in history] == beside[one]
    held = {file.path: client.download_artifacts(run.info.run_id, file.path)
            for file in client.list_artifacts(run.info.run_id)}  # fmt: skip
    assert sorted(held) == ["report.html", "results.parquet"]
    for name, file in held.items():
        assert Path(file).read_bytes() == (told / "told" / name).read_bytes()


def test_the_run_is_the_same_with_and_without(told):
    assert (told / "told" / "results.parquet").read_bytes() == (told / "untold" / "results.parquet").read_bytes()
    assert not (told / "untold" / "trackers").exists()
    again = gating.compare(**SMALL, out=told / "told", say=quiet)  # it is no other run for having been told of
    assert again.equals(read_table(told / "told" / "results.parquet"))


class Keeper:
    """A tracker that keeps what it is told."""

    def __init__(self, folder, run, settings):
        self.told = []
        if type(self) is Keeper:
            Keeper.of[run] = self

    def log(self, name, values, step):
        self.told.append((name, values, step))

    def attach(self, file):
        self.told.append(file.name)

    def end(self, well):
        self.told.append(well)


@pytest.fixture
def keeper(monkeypatch):
    monkeypatch.setattr(Keeper, "of", {}, raising=False)
    monkeypatch.setitem(tracking.MAKERS, "tensorboard", Keeper)
    return Keeper.of


def test_a_finished_run_can_be_told_of_later(told, keeper, tmp_path):
    gating.compare(**SMALL, out=told / "untold", tracker="tensorboard", say=quiet)
    *results, table, page, well = keeper["compare untold"].told
    assert {name for name, _, _ in results} == {"results"}
    assert (table, page, well) == ("results.parquet", "report.html", True)


def test_an_interrupted_run_is_said_to_have_ended_so(keeper, tmp_path, monkeypatch):
    from gating.training.group import ReplicaGroup

    advance, begun = ReplicaGroup.advance, []

    def stopped(self, *given):
        if begun:
            raise KeyboardInterrupt
        begun.append(self)
        return advance(self, *given)

    monkeypatch.setattr(ReplicaGroup, "advance", stopped)
    with pytest.raises(Interrupted):
        gating.compare(**SMALL, out=tmp_path / "run", workers=1, tracker="tensorboard", say=quiet)
    (name, _losses, _step), end = keeper["compare run"].told
    assert (name, end) == ("train/in_weight/0", False)


def test_mlflow_says_of_a_run_that_did_not_finish_that_it_was_killed(tmp_path, monkeypatch):
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("gating.training.group.ReplicaGroup.advance", _stopped)
    with pytest.raises(Interrupted):
        gating.compare(**SMALL, out=tmp_path / "run", workers=1, tracker="mlflow", say=quiet)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'run' / 'trackers' / 'mlflow' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("icl-gating").experiment_id])
    assert run.info.status == "KILLED"


def _stopped(*given):
    raise KeyboardInterrupt


def test_the_loss_of_each_model_is_told_under_its_name(tmp_path):
    class Replica(NamedTuple):
        n: int

    class Done:
        left = 0

        def run(self, label, stop, log):
            log([0.25, 0.5, 0.75], 10)

    heard = []
    resources = Resources(say=quiet, log=lambda name, values, step: heard.append((name, values, step)))
    with opened(tmp_path, {}) as place:
        for part in Ensemble("e", [Replica(n) for n in (3, 1, 2)], lambda *given: Done(), {}).parts("cpu"):
            part.work(Place(place.folder, part.name), resources)
    assert heard == [("train/e/0", {"train_loss/n=3": 0.25, "train_loss/n=1": 0.5, "train_loss/n=2": 0.75}, 10)]


@pytest.mark.ray
@pytest.mark.long
def test_what_tasks_of_ray_have_to_tell_is_told(keeper, tmp_path, told):
    gating.compare(**SMALL, out=tmp_path / "run", workers=1, executor="ray", tracker="tensorboard", say=quiet)
    found = scalars(told / "told")
    heard = {f"{name}/{key}" for name, values, _ in keeper["compare run"].told[:-3] for key in values}
    assert heard == set(found)


class Broken(Keeper):
    ended: ClassVar = []

    def log(self, name, values, step):
        raise ConnectionError("nobody answers\nat all")

    def end(self, well):
        self.ended.append(well)


class Leaving(Keeper):
    def log(self, name, values, step):
        raise SystemExit  # as a package does that asks somebody who goes


class Slow(Keeper):
    release = threading.Event()

    def log(self, name, values, step):
        assert self.release.wait(60)


def test_a_tracker_that_fails_or_hangs_stops_no_run(keeper, tmp_path, monkeypatch):
    monkeypatch.setitem(tracking.MAKERS, "mlflow", Broken)
    monkeypatch.setitem(tracking.MAKERS, "wandb", Slow)
    monkeypatch.setattr(tracking, "find_spec", lambda name: True)
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 0.2)
    said = []
    names = ["tensorboard", "mlflow", "wandb"]
    with Tracking(names, tmp_path, "run", {}, said.append) as told:
        for step in range(3):
            told.log("train", {"loss": 0.5, "bad": float("nan"), "no": None, "text": "x", "large": 10**999}, step)
    assert said == [
        "tracker 'mlflow' is told no more (nobody answers); the run goes on",
        "tracker wandb has not taken all that it was told within 0.2 s",
    ]
    Slow.release.set()
    assert keeper["run"].told == [*(("train", {"loss": 0.5}, step) for step in range(3)), True]
    assert Broken.ended == [False]  # it is not left as one that goes on


def test_trackers_that_hang_are_waited_for_once_and_one_that_leaves_is_named(keeper, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: True)
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 1.0)
    Slow.release.clear()
    monkeypatch.setitem(tracking.MAKERS, "wandb", Leaving)
    for name in ("tensorboard", "mlflow"):
        monkeypatch.setitem(tracking.MAKERS, name, Slow)
    said, start = [], time.monotonic()
    with Tracking(["tensorboard", "mlflow", "wandb"], tmp_path, "run", {}, said.append) as told:
        told.log("train", {"loss": 0.5}, 1)
    assert time.monotonic() - start < 1.9
    Slow.release.set()
    assert "tracker 'wandb' is told no more (SystemExit); the run goes on" in said
    assert sum("has not taken all" in line for line in said) == 2
