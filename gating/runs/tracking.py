"""What trackers of experiments are told: TensorBoard, MLflow, and Weights & Biases, behind one hook.

Each is told in a thread of its own. One that fails is named in a line and told no more: no run waits for it, or ends
with it.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from hashlib import sha256
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Protocol

from gating.settings.text import flat
from theory.settings import SpecError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FOLDER", "Log", "TrackerName", "Tracking", "measured", "require_trackers", "untold"]

TrackerName = Literal["tensorboard", "mlflow", "wandb"]
Log = Callable[[str, Mapping[str, float], int], None]
"""Takes the name of a piece of work, such as ``train/transformer/0``, named numbers, and the step that they are of."""

FOLDER = "trackers"
"""Where trackers write that have no server, in the folder of a run."""

PROJECT = "icl-gating"
PATIENCE_SECONDS = 60.0
"""How long the end of a run waits for trackers that have not heard all yet."""

MOST_PARAMETERS, MOST_METRICS = 100, 1000  # of a call of MLflow
LONGEST_NAME = 250  # of a metric of MLflow


def untold(name: str, values: Mapping[str, float], step: int) -> None:
    """A `Log` that tells nobody."""


def require_trackers(names: Sequence[str]) -> None:
    """That the packages of trackers are installed.

    Raises:
        SpecError: naming those that are not.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise SpecError(
            [f"`tracker` {name!r} needs the package '{name}'; `pip install 'icl-gating[track]'`" for name in missing]
        )


class Tracker(Protocol):
    """One run of a tracker."""

    def log(self, name: str, values: Mapping[str, float], step: int) -> None:
        """Takes numbers of a step."""

    def attach(self, file: Path) -> None:
        """Takes a file of the run."""

    def end(self, well: bool) -> None:
        """Takes note that the run has ended, well or not."""


class _TensorBoard:
    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard" / f"{datetime.now():%Y-%m-%dT%H-%M-%S.%f}"))
        lines = [f"- `{key}`: {value}" for key, value in flat(settings)]
        self._text("settings", "\n".join([f"`{run}`", "", *lines]))

    def _text(self, name: str, text: str) -> None:
        self._writer.add_text(name, text)
        self._writer.flush()

    def log(self, name: str, values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            self._writer.add_scalar(f"{name}/{key}", value, step)

    def attach(self, file: Path) -> None:  # there are no artifacts
        self._text(file.name, f"`{file.resolve()}`")

    def end(self, well: bool) -> None:
        self._text("state", "finished" if well else "not finished")
        self._writer.close()


class _MLflow:
    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # results stand there
        import mlflow
        from mlflow.entities import Metric, Param

        self._metric, own = Metric, (folder / "mlflow").resolve()
        held = mlflow.is_tracking_uri_set()
        if not held and set("?%") & set(str(own)):  # they stand for something else in the address of a database
            raise ValueError(f"its database must have a path without '?' and '%'; got {own}")
        if not held:
            own.mkdir(parents=True, exist_ok=True)
        client = self._client = mlflow.MlflowClient(None if held else f"sqlite:///{own / 'mlflow.db'}")
        found = client.get_experiment_by_name(PROJECT)
        place = None if held else (own / "artifacts").as_uri()
        experiment = found.experiment_id if found else client.create_experiment(PROJECT, place)
        self._run = client.create_run(experiment, run_name=run).info.run_id
        given = [Param(_plain(key), str(value)[:6000]) for key, value in flat(settings)]
        for first in range(0, len(given), MOST_PARAMETERS):
            client.log_batch(self._run, params=given[first : first + MOST_PARAMETERS])

    def log(self, name: str, values: Mapping[str, float], step: int) -> None:
        now = int(1000 * datetime.now().timestamp())
        given = [self._metric(_plain(f"{name}/{key}"), value, now, step) for key, value in values.items()]
        for first in range(0, len(given), MOST_METRICS):
            self._client.log_batch(self._run, metrics=given[first : first + MOST_METRICS])

    def attach(self, file: Path) -> None:
        self._client.log_artifact(self._run, str(file))

    def end(self, well: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if well else "KILLED")


class _WandB:
    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        import wandb

        if wandb.setup().settings.mode not in ("offline", "dryrun", "disabled") and not wandb.login(prompt=False):
            raise PermissionError("nobody is logged in; `wandb login` does it")  # it would ask in the midst of the run
        folder.mkdir(parents=True, exist_ok=True)
        asked = os.environ.get  # what is given to `init` wins over it
        self._run = wandb.init(project=asked("WANDB_PROJECT", PROJECT), name=asked("WANDB_NAME", run),
                               dir=asked("WANDB_DIR", str(folder)), config=dict(settings),
                               reinit="create_new")  # fmt: skip
        self._known: set[str] = set()

    def log(self, name: str, values: Mapping[str, float], step: int) -> None:
        if name not in self._known:  # pieces of work go on side by side, each with steps of its own
            self._run.define_metric(f"{name}/step", hidden=True)
            self._run.define_metric(f"{name}/*", step_metric=f"{name}/step")
            self._known.add(name)
        self._run.log({f"{name}/step": step} | {f"{name}/{key}": value for key, value in values.items()})

    def attach(self, file: Path) -> None:
        self._run.save(str(file), base_path=str(file.parent), policy="now")

    def end(self, well: bool) -> None:
        self._run.finish(exit_code=0 if well else 1)


MAKERS: dict[str, Callable[[Path, str, Mapping[str, Any]], Tracker]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MLflow,
    "wandb": _WandB,
}


class _Line(threading.Thread):
    """Tells one tracker, in the order in which it is given what to tell."""

    def __init__(self, name: str, make: Callable[[], Tracker], say: Callable[[str], None]):
        super().__init__(name=f"tracker {name}", daemon=True)
        self._tracker, self._make, self._say = name, make, say
        self._left: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        tracker = None
        try:
            tracker = self._make()
            for method, given in iter(self._left.get, None):
                getattr(tracker, method)(*given)
        except BaseException as error:  # what ends a thread without a word, too
            said = str(error).strip().split("\n")[0][:300] or type(error).__name__
            self._say(f"tracker '{self._tracker}' is told no more ({said}); the run goes on")
            with suppress(BaseException):
                if tracker:
                    tracker.end(False)

    def tell(self, method: str, *given: Any) -> None:
        if self.is_alive():
            self._left.put((method, given))

    def end(self, well: bool) -> None:
        self.tell("end", well)
        self._left.put(None)


class Tracking(AbstractContextManager["Tracking"]):
    """Trackers that are told of one run, until its end.

    Each time that a run is begun, or goes on, it is a new run of the tracker. `mlflow` goes where
    ``MLFLOW_TRACKING_URI`` says, else into a database in `folder`; `wandb` follows its own settings and environment.

    Args:
        names: trackers, such as ``("tensorboard",)``; none tells nobody.
        folder: where those write that have no server.
        run: what the run is called.
        settings: what describes it; sections may hold sections.
        say: receives a line about a tracker that fails.

    Raises:
        SpecError: the package of one is not installed.

    Example:
        >>> with Tracking((), Path("trackers"), "run", {}) as tracking:
        ...     tracking.log("train", {"loss": 0.5}, 10)
    """

    def __init__(
        self,
        names: Sequence[TrackerName],
        folder: str | Path,
        run: str,
        settings: Mapping[str, Any],
        say: Callable[[str], None] = print,
    ):
        require_trackers(names)
        place, self._say = Path(folder), say
        self._lines = [_Line(name, lambda name=name: MAKERS[name](place, run, settings), say) for name in names]  # type: ignore[misc]

    def log(self, name: str, values: Mapping[str, float], step: int) -> None:
        """Tells named numbers of a step of a piece of work; what is no finite number is left out."""
        finite = dict(_finite(values))
        for line in self._lines if finite else ():
            line.tell("log", name, finite, step)

    def attach(self, file: str | Path) -> None:
        """Gives a file of the run; TensorBoard, which takes none, is told where it is."""
        for line in self._lines:
            line.tell("attach", Path(file))

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for line in self._lines:
            line.end(well=kind is None)
        until = time.monotonic() + PATIENCE_SECONDS
        with suppress(KeyboardInterrupt):
            for line in self._lines:
                line.join(max(0.0, until - time.monotonic()))
        for line in self._lines:
            if line.is_alive():
                self._say(f"{line.name} has not taken all that it was told within {PATIENCE_SECONDS:g} s")


def measured(table: pd.DataFrame) -> Iterator[tuple[int, dict[str, float]]]:
    """What a result table has measured, as numbers of a step: means over seeds, named by what tells them apart.

    Example:
        >>> from gating.results.table import make_table
        >>> rows = [{"system": "transformer", "n": n, "seed": s, "step": 10, "measure": "error", "value": (n + s) / 64,
        ...          "kind": "measured"} for n in (16, 32) for s in (0, 2)]
        >>> list(measured(make_table(rows)))
        [(10, {'transformer/error/n=16': 0.265625, 'transformer/error/n=32': 0.515625})]
    """
    from gating.results.table import key_names, summarise

    rows = table[(table["kind"] == "measured") & ~table["answer"]]
    if rows.empty:
        return
    rows = summarise(rows)
    told = [name for name in key_names(table) if name in rows and name not in ("step", "kind", "system", "measure")]
    told = [name for name in told if rows[name].nunique(dropna=False) > 1]
    for step, each in rows.groupby(rows["step"].fillna(0)):
        ends = ("/".join(_texts(row)) for row in each[["system", "measure", *told]].to_dict("records"))
        yield int(step), dict(zip(ends, map(float, each["value"]), strict=True))


def _texts(row: Mapping[Hashable, Any]) -> Iterator[str]:
    """What tells a row of a table apart, as parts of a name."""
    from pandas import isna

    for name, value in row.items():
        if name in ("system", "measure"):
            yield str(value)
        elif not isna(value):
            yield f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def _finite(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        with suppress(TypeError, ValueError, OverflowError):
            if isfinite(value):
                yield key, float(value)


def _plain(name: str) -> str:
    """A name with the letters that MLflow takes, and of a length that it takes.

    Example:
        >>> _plain("tune/memory=1/loss"), _plain("results/model=runs//a/../loss")
        ('tune/memory:1/loss', 'results/model:runs/:/a/:/loss')
    """
    name = re.sub(r"[^\w\-. :/]", ":", name)
    name = "/".join(":" if part in ("", ".", "..") else part for part in name.split("/"))
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}:{sha256(name.encode()).hexdigest()[:8]}"
