"""Trains an ensemble: groups of replicas advance on worker threads from one save to the next.

Each group runs on one thread with one core, so its arithmetic does not depend on how many workers there are: a run
that is killed and resumed ends with the same bits as one that was not.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from gating.tasks.sequences import Sequences
from gating.training.runs import RunFolder, square_root_schedule
from theory.distribution import SpecError

__all__ = ["BatchSource", "Interrupted", "TrainSettings", "Trainer", "TrainingDiverged", "n_groups", "target_log_loss"]

Replica = TypeVar("Replica")


class BatchSource(Protocol):
    """Training batches of a group of replicas."""

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> Sequences:
        """Batches of `n_steps` steps, shape (R, n_steps * batch_size, ...)."""


class Interrupted(Exception):
    """Training was interrupted; what was saved stays, and the same call goes on from it."""


class TrainingDiverged(ArithmeticError):
    """A training loss stopped being a finite number."""


@dataclass(frozen=True)
class TrainSettings:
    """How an ensemble is trained.

    Args:
        steps: number of optimizer steps, >= 1.
        batch_size: sequences per step and replica, >= 1.
        learning_rate: Adam's step size, > 0.
        checkpoints: how many checkpoints to keep, spaced evenly in the square root of the step, >= 1.
        save_every: steps between saved states, from which a killed run goes on, >= 1.
    """

    steps: int
    batch_size: int = 32
    learning_rate: float = 3e-4
    checkpoints: int = 12
    save_every: int = 500

    def __post_init__(self) -> None:
        problems = [
            f"`{name}` must be an integer >= 1; got {getattr(self, name)!r}"
            for name in ("steps", "batch_size", "checkpoints", "save_every")
            if getattr(self, name) < 1
        ]
        if not 0 < self.learning_rate < math.inf:
            problems.append(f"`learning_rate` must be a number > 0; got {self.learning_rate!r}")
        if problems:
            raise SpecError(problems)

    @property
    def checkpoint_steps(self) -> list[int]:
        """Steps of the checkpoints, ascending; the last is `steps`."""
        return square_root_schedule(self.steps, self.checkpoints)


def n_groups(n_replicas: int, device: torch.device) -> int:
    """How many groups an ensemble is split into: about 16 replicas each, whose work fits a core's cache, and an even
    number of groups, so that two workers finish together; one group on a GPU."""
    return 1 if device.type == "cuda" else max(1, 2 * round(n_replicas / 32))


def target_log_loss(log_probabilities: Tensor, sequences: Sequences) -> Tensor:
    """Log loss of the query's label in nats, mean over the batch: (R, B, C) -> (R,)."""
    return -log_probabilities.gather(-1, sequences.target.unsqueeze(-1)).squeeze(-1).mean(-1)


class _Group:
    """Replicas `rows` of the ensemble: their model, optimizer and batches."""

    def __init__(self, rows: slice, model: nn.Module, source: BatchSource, settings: TrainSettings):
        self.rows, self.model, self.source, self.settings = rows, model, source, settings
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.Adam(self.trained.values(), lr=settings.learning_rate, fused=True)
        self.step = 0

    @property
    def n_replicas(self) -> int:
        return self.rows.stop - self.rows.start

    def advance(self, last: int, stop: threading.Event) -> Tensor:
        """Trains up to step `last`; returns the losses of the steps taken, shape (steps, R)."""
        losses = []
        per_draw = max(1, 16 // self.n_replicas)
        while self.step < last and not stop.is_set():
            count = min(per_draw, last - self.step)
            block = self.source.batches(self.step, count, self.settings.batch_size)
            for k in range(count):
                losses.append(self._update(_batch(block, k, self.settings.batch_size)))
                self.step += 1
        return torch.stack(losses)

    def _update(self, batch: Sequences) -> Tensor:
        loss = target_log_loss(self.model(batch), batch)
        leaves = list(self.trained.values())
        for leaf, gradient in zip(leaves, torch.autograd.grad(loss.sum(), leaves), strict=True):
            leaf.grad = gradient
        self.optimizer.step()
        return loss.detach()

    def state(self) -> dict[str, Tensor]:
        tensors = {f"parameters.{name}": p.detach() for name, p in self.model.named_parameters()}
        for name, leaf in self.trained.items():
            moments = self.optimizer.state[leaf]
            tensors |= {f"{key}.{name}": moments[key] for key in ("exp_avg", "exp_avg_sq")}
        return tensors

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        mine = {key: value[self.rows] for key, value in tensors.items()}
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(mine[f"parameters.{name}"])
        for name, leaf in self.trained.items():
            moments = {key: mine[f"{key}.{name}"].to(leaf.device).clone() for key in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[leaf] = {"step": torch.tensor(float(step), device=leaf.device), **moments}
        self.step = step


def _batch(block: Sequences, k: int, size: int) -> Sequences:
    return Sequences(*(field[:, k * size : (k + 1) * size] for field in block))


class Trainer(Generic[Replica]):
    """Trains one ensemble into a run folder, or goes on with it.

    Args:
        folder: where checkpoints, state and metrics go.
        replicas: description of each replica.
        build: makes the model of several replicas, with their initial values; parameters have a replica dimension.
        source: makes the batches of several replicas.
        settings: how to train.
        device: ``cpu`` or ``cuda``.
        dtype: floating type of parameters and inputs.
        workers: worker threads on the CPU, >= 1; they change the speed, not the result.
    """

    def __init__(
        self,
        folder: RunFolder,
        replicas: Sequence[Replica],
        build: Callable[[Sequence[Replica]], nn.Module],
        source: Callable[[Sequence[Replica]], BatchSource],
        settings: TrainSettings,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        workers: int = 1,
    ):
        self.folder, self.settings, self.workers = folder, settings, workers
        self.n_replicas = len(replicas)
        device = torch.device(device)
        bounds = torch.linspace(0, len(replicas), n_groups(len(replicas), device) + 1).round().int().tolist()
        self._groups = []
        for start, end in pairwise(bounds):
            model = build(replicas[start:end]).to(device, dtype)
            self._groups.append(_Group(slice(start, end), model, source(replicas[start:end]), settings))

    def run(self, label: str = "training") -> None:
        """Trains to the last step; shows progress on a terminal.

        Raises:
            Interrupted: on Ctrl-C; the run goes on from its last save when started again.
            TrainingDiverged: naming step, replica and last checkpoint, when a loss is not finite.
        """
        step, metrics = self._resume()
        total = self.n_replicas * self.settings.steps
        progress = tqdm(total=total, initial=self.n_replicas * step, desc=label, unit="replica-step", unit_scale=True,
                        disable=None, smoothing=0.05)  # fmt: skip
        with progress, ThreadPoolExecutor(self.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for last in self._segments(step):
                losses = self._advance(pool, last, progress)
                self._check(losses, step)
                metrics.append(_metric_rows(last, losses))
                self._save(last, pd.concat(metrics, ignore_index=True))
                step = last

    def _segments(self, step: int) -> list[int]:
        ends = {*self.settings.checkpoint_steps, *range(0, self.settings.steps, self.settings.save_every)}
        return sorted(end for end in ends if end > step)

    def _resume(self) -> tuple[int, list[pd.DataFrame]]:
        saved = self.folder.load_state()
        if saved is None:
            return 0, []
        step, tensors, metrics = saved
        for group in self._groups:
            group.restore(step, tensors)
        return step, [metrics]

    def _advance(self, pool: ThreadPoolExecutor, last: int, progress: tqdm) -> Tensor:
        stop = threading.Event()
        futures = [pool.submit(group.advance, last, stop) for group in self._groups]
        try:
            pending = set(futures)
            while pending:
                pending = wait(pending, timeout=0.5).not_done
                done = sum(group.step * group.n_replicas for group in self._groups)
                progress.update(done - progress.n)
            losses = [future.result() for future in futures]
        except BaseException as error:
            stop.set()
            wait(futures)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(f"interrupted; `{self.folder.path}` holds step {self.folder.step}") from None
            raise
        progress.set_postfix(loss=f"{torch.cat([x[-1] for x in losses]).mean():.4f}")
        return torch.cat(losses, dim=1).cpu()

    def _check(self, losses: Tensor, first_step: int) -> None:
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            step, replica = bad[0].tolist()
            kept = [s for s in self.folder.checkpoints if s <= first_step]
            raise TrainingDiverged(
                f"the training loss of replica {replica} is {losses[step, replica]:g} at step {first_step + step + 1};"
                f" last checkpoint in `{self.folder.path}`: {f'step {kept[-1]}' if kept else 'none'}"
            )

    def _save(self, step: int, metrics: pd.DataFrame) -> None:
        states = [group.state() for group in self._groups]
        tensors = {key: torch.cat([state[key] for state in states]) for key in states[0]}
        if step in self.settings.checkpoint_steps:
            prefix = "parameters."
            parameters = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            self.folder.save_checkpoint(step, parameters)
        self.folder.save_state(step, tensors, metrics)


def _metric_rows(step: int, losses: Tensor) -> pd.DataFrame:
    means = losses.double().mean(0).tolist()
    return pd.DataFrame({"step": step, "replica": range(len(means)), "train_loss": means}).astype(
        {"step": "int64", "replica": "int64", "train_loss": "float64"}
    )
