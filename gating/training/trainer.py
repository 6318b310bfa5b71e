"""Trains an ensemble: groups of replicas advance on worker threads from one save to the next.

Each group runs on one thread with one core, so its arithmetic does not depend on how many workers there are: a run
that is killed and resumed ends with the same bits as one that was not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from gating.runs.errors import FolderError, Interrupted, RunFailed
from gating.runs.executor import progress
from gating.runs.store import Place
from gating.training.checkpoints import Checkpoints
from gating.training.group import BatchSource, Loss, ReplicaGroup, target_log_loss, widened
from gating.training.schedule import TrainSettings
from gating.validation import require_device, require_dtype
from theory.validation import require_instances, require_integer, require_integers

__all__ = ["Trainer", "TrainingDiverged", "n_groups"]

Replica = TypeVar("Replica")


class TrainingDiverged(RunFailed):
    """A training loss stopped being a finite number."""


def n_groups(n_replicas: int, device: torch.device) -> int:
    """How many groups an ensemble is split into: about 16 replicas each, whose work fits a core's cache, and an even
    number of groups, so that two workers finish together; one group on a GPU."""
    return 1 if device.type == "cuda" else max(1, 2 * round(n_replicas / 32))


class Trainer(Generic[Replica]):
    """Trains one ensemble, or goes on with what is kept of it.

    Args:
        place: where checkpoints, state and metrics are kept.
        replicas: description of each replica.
        build: makes the model of several replicas, with their initial values; parameters have a replica dimension.
        source: makes the batches of several replicas.
        settings: how to train.
        device: ``cpu`` or ``cuda``.
        dtype: floating type of the parameters; `source` makes inputs of the same.
        workers: worker threads on the CPU, in 1 .. 4096; they change the speed, not the result.
        loss: what is minimised; the log loss of the query's label by default.
        group_sizes: how many consecutive replicas train as one group; models of one group have one shape. About 16
            each by default, whose short sequences fit a core's cache together; 1 suits models of many tokens.

    Raises:
        ValueError: naming the argument, the allowed set and the value.
    """

    def __init__(
        self,
        place: Place,
        replicas: Sequence[Replica],
        build: Callable[[Sequence[Replica]], nn.Module],
        source: Callable[[Sequence[Replica]], BatchSource],
        settings: TrainSettings,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        workers: int = 1,
        loss: Loss = target_log_loss,
        group_sizes: Sequence[int] | None = None,
    ):
        require_instances(place=(place, Place), replicas=(replicas, Sequence), settings=(settings, TrainSettings))
        require_instances(build=(build, Callable), source=(source, Callable), loss=(loss, Callable))
        self.kept, self.settings, self._loss = Checkpoints(place), settings, loss
        self.workers = require_integer("workers", workers, least=1, most=2**12)
        self._replicas, self._build, self._source = replicas, build, source
        self._device, self._dtype = require_device(device), require_dtype(dtype)
        n = len(replicas)
        if group_sizes is None:
            self._bounds = torch.linspace(0, n, n_groups(n, self._device) + 1).round().int().tolist()
        else:
            self._bounds = [0, *accumulate(require_integers("group_sizes", group_sizes, least=1))]
        if self._bounds[-1] != n or not n:
            raise ValueError(f"`group_sizes` must add up to the number of `replicas`, {n} >= 1; got {self._bounds[-1]}")
        self._groups: list[ReplicaGroup] = []

    def run(self, label: str = "training") -> None:
        """Trains to the last step; shows progress on a terminal.

        Raises:
            Interrupted: on Ctrl-C; the run goes on from its last save when started again.
            TrainingDiverged: naming step, replica and last checkpoint, when a loss is not finite.
        """
        try:
            step, metrics = self.start()
            n = len(self._replicas)
            bar = progress(total=n * self.settings.steps, initial=n * step, desc=label, unit="replica-step",
                           unit_scale=True, smoothing=0.05)  # fmt: skip
            with bar:
                ends = {*self.settings.checkpoint_steps, *range(0, self.settings.steps, self.settings.save_every)}
                for last in sorted(end for end in ends if end > step):
                    losses = self.advance(last, bar)
                    self._check(losses, step)
                    means = losses.double().mean(0).tolist()
                    metrics.append(pd.DataFrame({"step": last, "replica": range(n), "train_loss": means}))
                    self._save(last, pd.concat(metrics, ignore_index=True))
                    step = last
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; `{self.kept.place.path}` holds step {self.kept.step}") from None

    def start(self) -> tuple[int, list[pd.DataFrame]]:
        """Builds the replicas with their initial values or the saved ones; returns the step and metrics saved.

        Raises:
            FolderError: when the folder holds another number of replicas, or a file in it is damaged.
        """
        n, saved = len(self._replicas), self.kept.load_state()
        held = {len(value) for value in saved[1].values()} if saved else {n}
        if held != {n}:
            wanted = f"{n} replicas, as many as are trained; it holds {max(held)}"
            raise FolderError(f"`{self.kept.place.path}` must hold {wanted}")
        self._groups = []
        for start, end in pairwise(self._bounds):
            mine = self._replicas[start:end]
            model = self._build(mine).to(self._device, self._dtype)
            self._groups.append(ReplicaGroup(slice(start, end), model, self._source(mine), self.settings, self._loss))
        if saved is None:
            return 0, []
        step, tensors, metrics = saved
        for group in self._groups:
            group.restore(step, tensors)
        return step, [metrics]

    def advance(self, last: int, bar: tqdm[None] | None = None) -> Tensor:
        """Trains what `start` built up to step `last` without saving; returns the losses, shape (steps, R)."""
        stop = threading.Event()
        workers = ThreadPoolExecutor(self.workers, initializer=torch.set_num_threads, initargs=(1,))
        with _matmul_precision(self.settings.matmul_precision), workers as pool:
            futures = [pool.submit(group.advance, last, stop) for group in self._groups]
            try:
                pending = set(futures)
                while pending:
                    done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()  # the first error of a group ends the wait
                    if bar is not None:
                        bar.update(sum(group.step * group.n_replicas for group in self._groups) - bar.n)
            finally:
                stop.set()
        return torch.cat([future.result() for future in futures], dim=1).cpu()

    def _check(self, losses: Tensor, first_step: int) -> None:
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            step, replica = bad[0].tolist()
            loss, step = losses[step, replica].item(), first_step + step + 1
            raise TrainingDiverged(f"the training loss of replica {replica} is {loss:g} at step {step}; {self._last}")
        for group in self._groups:
            for parameter in group.trained.values():
                bad = (~parameter.detach().flatten(1).isfinite().all(1)).nonzero()
                if len(bad):
                    replica, step = group.rows.start + int(bad[0]), first_step + len(losses)
                    said = f"the parameters of replica {replica} are not finite after step {step}"
                    raise TrainingDiverged(f"{said}; {self._last}")

    @property
    def _last(self) -> str:
        steps = self.kept.steps
        return f"last checkpoint in `{self.kept.place.path}`: {f'step {steps[-1]}' if steps else 'none'}"

    def _save(self, step: int, metrics: pd.DataFrame) -> None:
        states = [group.state() for group in self._groups]
        tensors = {key: widened([state[key] for state in states]) for key in states[0]}
        if step in self.settings.checkpoint_steps:
            prefix = "parameters."
            parameters = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            self.kept.save(step, parameters)
        self.kept.save_state(step, tensors, metrics)


@contextmanager
def _matmul_precision(precision: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
