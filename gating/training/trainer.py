"""Trains replicas that advance together, from one save to the next.

On a CPU they train on one core, so their arithmetic does not depend on what else the machine does: a run that is killed
and resumed ends with the same bits as one that was not.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Generic, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from gating.runs.errors import FolderError, Interrupted, RunFailed
from gating.runs.executor import progress
from gating.runs.precision import matmul_precision
from gating.runs.store import Place
from gating.training.checkpoints import Checkpoints
from gating.training.group import BatchSource, Loss, ReplicaGroup, target_log_loss
from gating.training.schedule import TrainSettings
from gating.validation import require_device, require_dtype
from theory.validation import require_instances

__all__ = ["Trainer", "TrainingDiverged"]

Replica = TypeVar("Replica")


TRIM_ABOVE, TAKE_AT_ONCE, MAP_ABOVE = -1, -2, -3
"""Names of settings in malloc.h, all in bytes."""


class TrainingDiverged(RunFailed):
    """A training loss stopped being a finite number."""


class Trainer(Generic[Replica]):
    """Trains replicas as one, or goes on with what is kept of them.

    Args:
        place: where checkpoints, state and metrics are kept.
        replicas: description of each replica.
        build: makes the model of several replicas, with their initial values; parameters have a replica dimension.
        source: makes the batches of several replicas.
        settings: how to train.
        device: ``cpu`` or ``cuda``.
        dtype: floating type of the parameters; `source` makes inputs of the same.
        loss: what is minimised; the log loss of the query's label by default.

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
        loss: Loss = target_log_loss,
    ):
        require_instances(place=(place, Place), replicas=(replicas, Sequence), settings=(settings, TrainSettings))
        require_instances(build=(build, Callable), source=(source, Callable), loss=(loss, Callable))
        if not replicas:
            raise ValueError("`replicas` must be one or more; got none")
        self.kept, self.settings, self._loss = Checkpoints(place), settings, loss
        self._replicas, self._build, self._source = replicas, build, source
        self._device, self._dtype = require_device(device), require_dtype(dtype)
        if settings.matmul_precision == "bfloat16" and dtype != torch.float32:
            raise ValueError(f"`dtype` must be torch.float32 where `matmul_precision` is bfloat16; got {dtype}")
        self._group: ReplicaGroup | None = None

    def run(
        self,
        label: str = "training",
        stop: threading.Event | None = None,
        log: Callable[[Sequence[float], int], None] = lambda losses, step: None,
    ) -> None:
        """Trains to the last step; shows progress on a terminal.

        Args:
            label: stands before the bar.
            stop: ends the training at its next step when it is set.
            log: receives the mean loss of each replica since the last save, and the step.

        Raises:
            Interrupted: on Ctrl-C or `stop`; the run goes on from its last save when started again.
            TrainingDiverged: naming step, replica and last checkpoint, when a loss is not finite.
        """
        try:
            step, metrics = self.start()
            n = len(self._replicas)
            bar = progress(total=n * self.settings.steps, initial=n * step, desc=label, unit="replica-step",
                           unit_scale=True, smoothing=0.05, leave=False)  # fmt: skip
            with bar:
                ends = {*self.settings.checkpoint_steps, *range(0, self.settings.steps, self.settings.save_every)}
                for last in sorted(end for end in ends if end > step):
                    losses = self.advance(last, bar, stop)
                    if stop and stop.is_set():
                        raise KeyboardInterrupt
                    self._check(losses, step)
                    means = losses.double().mean(0).tolist()
                    metrics.append(pd.DataFrame({"step": last, "replica": range(n), "train_loss": means}))
                    self._save(last, pd.concat(metrics, ignore_index=True))
                    log(means, last)
                    step = last
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; `{self.kept.place.path}` holds step {self.kept.step}") from None

    @property
    def left(self) -> int:
        """Steps that are left after the last save."""
        return self.settings.steps - self.kept.step

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
        model = self._build(self._replicas).to(self._device, self._dtype)
        self._group = ReplicaGroup(n, model, self._source(self._replicas), self.settings, self._loss)
        if saved is None:
            return 0, []
        step, tensors, metrics = saved
        self._group.restore(step, tensors)
        return step, [metrics]

    def advance(self, last: int, bar: tqdm[None] | None = None, stop: threading.Event | None = None) -> Tensor:
        """Trains what `start` built up to step `last` without saving; returns the losses, shape (steps, R)."""
        if self._group is None:
            self.start()
        assert self._group is not None
        precision = self.settings.matmul_precision
        alone = _one_core() if self._device.type == "cpu" else nullcontext()
        with alone, matmul_precision("highest" if precision == "bfloat16" else precision):
            return self._group.advance(last, stop or threading.Event(), bar.update if bar else None).cpu()

    def _check(self, losses: Tensor, first_step: int) -> None:
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            step, replica = bad[0].tolist()
            loss, step = losses[step, replica].item(), first_step + step + 1
            raise TrainingDiverged(f"the training loss of replica {replica} is {loss:g} at step {step}; {self._last}")
        for parameter in self._group.trained.values() if self._group else ():
            bad = (~parameter.detach().flatten(1).isfinite().all(1)).nonzero()
            if len(bad):
                said = f"the parameters of replica {int(bad[0])} are not finite after step {first_step + len(losses)}"
                raise TrainingDiverged(f"{said}; {self._last}")

    @property
    def _last(self) -> str:
        steps = self.kept.steps
        return f"last checkpoint in `{self.kept.place.path}`: {f'step {steps[-1]}' if steps else 'none'}"

    def _save(self, step: int, metrics: pd.DataFrame) -> None:
        tensors = self._group.state() if self._group else {}
        if step in self.settings.checkpoint_steps:
            prefix = "parameters."
            parameters = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            self.kept.save(step, parameters)
        self.kept.save_state(step, tensors, metrics)


@cache
def _keep_freed_memory() -> None:
    """Tells GNU's allocator not to give memory back between steps, only to take it anew, page by page, which costs
    about a twentieth of a step of urns (``benchmarks/step_parts.py``). Others are left alone."""
    allocator = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if allocator is not None:
        for setting, value in ((TRIM_ABOVE, 2**30), (MAP_ABOVE, 2**25), (TAKE_AT_ONCE, 2**26)):
            allocator(setting, value)


@contextmanager
def _one_core() -> Iterator[None]:
    _keep_freed_memory()
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)
