"""A group of replicas that trains as one."""

from __future__ import annotations

import threading
from typing import Protocol

import torch
from torch import Tensor, nn

from gating.tasks.sequences import Sequences
from gating.training.schedule import TrainSettings

__all__ = ["BatchSource", "ReplicaGroup", "target_log_loss"]


class BatchSource(Protocol):
    """Training batches of a group of replicas."""

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> Sequences:
        """Batches of `n_steps` steps, shape (R, n_steps * batch_size, ...)."""


def target_log_loss(log_probabilities: Tensor, sequences: Sequences) -> Tensor:
    """Log loss of the query's label in nats, mean over the batch: (R, B, C) -> (R,)."""
    return -log_probabilities.gather(-1, sequences.target.unsqueeze(-1)).squeeze(-1).mean(-1)


class ReplicaGroup:
    """Some replicas of an ensemble: their model, optimizer and batches.

    Args:
        rows: which replicas of the ensemble these are.
        model: their model, whose parameters have a leading replica dimension.
        source: their training batches.
        settings: how to train.
    """

    def __init__(self, rows: slice, model: nn.Module, source: BatchSource, settings: TrainSettings):
        self.rows, self.model, self.source, self.settings = rows, model, source, settings
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.Adam(self.trained.values(), lr=settings.learning_rate, fused=True)
        self.step = 0

    @property
    def n_replicas(self) -> int:
        """How many replicas the group has."""
        return self.rows.stop - self.rows.start

    def advance(self, last: int, stop: threading.Event) -> Tensor:
        """Trains up to step `last`; returns the losses of the steps taken, shape (steps, R)."""
        losses: list[Tensor] = []
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
            leaf.grad = gradient.contiguous()  # fused Adam on the CPU reads memory as if gradients were dense
        self.optimizer.step()
        return loss.detach()

    def state(self) -> dict[str, Tensor]:
        """Parameters and optimizer moments, by prefixed name."""
        tensors = {f"parameters.{name}": p.detach() for name, p in self.model.named_parameters()}
        for name, leaf in self.trained.items():
            moments = self.optimizer.state[leaf]
            tensors |= {f"{key}.{name}": moments[key] for key in ("exp_avg", "exp_avg_sq")}
        return tensors

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Takes up the state of `step`: this group's rows of the whole ensemble's tensors."""
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
