"""A group of replicas that trains as one."""

import threading
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gating.tasks.sequences import Sequences
from gating.training.gradients import Gradients
from gating.training.optimizer import Descent
from gating.training.schedule import TrainSettings
from theory.validation import require_instances, require_integer

__all__ = ["BatchSource", "Loss", "ReplicaGroup", "target_log_loss"]

DRAWN_AT_ONCE = 64
"""Batches that are drawn together, over all replicas of a group."""

Loss = Callable[[Tensor, Sequences], Tensor]
"""From a model's answers to a batch, and the batch, to one loss per replica, (R,)."""


@runtime_checkable
class BatchSource(Protocol):
    """Training batches of a group of replicas: what training needs of a :class:`gating.tasks.task.Task`."""

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> Sequences:
        """As of a task."""


def target_log_loss(log_probabilities: Tensor, sequences: Sequences) -> Tensor:
    """Log loss of the query's label in nats, mean over the batch: (R, B, C) -> (R,)."""
    return -log_probabilities.gather(-1, sequences.target.unsqueeze(-1)).squeeze(-1).mean(-1)


class ReplicaGroup:
    """Replicas that advance together: their model, optimizer and batches.

    Args:
        n_replicas: how many they are.
        model: their model, whose parameters have a leading replica dimension.
        source: their training batches.
        settings: how to train.
        loss: what is minimised.

    Attributes:
        n_replicas: how many replicas there are.
        step: how many steps they have taken.

    Raises:
        ValueError: naming the argument that is of another class, or `model` where it has nothing to train.
    """

    def __init__(
        self,
        n_replicas: int,
        model: nn.Module,
        source: BatchSource,
        settings: TrainSettings,
        loss: Loss = target_log_loss,
    ):
        require_integer("n_replicas", n_replicas, least=1)
        require_instances(model=(model, nn.Module), source=(source, BatchSource))
        require_instances(settings=(settings, TrainSettings), loss=(loss, Callable))
        self.n_replicas, self.model, self.source, self.settings, self.loss = n_replicas, model, source, settings, loss
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not self.trained:
            raise ValueError(f"`model` must have parameters that are trained; got {model!r}")
        self.descent = Descent(self.trained, settings, replicas=True, flat=True)
        self.step = 0
        self._gradients = Gradients(model, self.descent, settings, loss)

    def advance(self, last: int, stop: threading.Event, tick: Callable[[int], Any] | None = None) -> Tensor:
        """Trains up to step `last`, or to the one at which `stop` is set; tells `tick` of the replica-steps taken.

        Returns:
            Losses of the steps taken, shape (steps, R).
        """
        losses: list[Tensor] = []
        per_draw, size = max(1, DRAWN_AT_ONCE // self.n_replicas), self.settings.batch_size
        while self.step < last and not stop.is_set():
            first = self.step
            block = self.source.batches(first, min(per_draw, last - first), size)
            for batch in zip(*(field.split(size, dim=1) for field in block), strict=True):
                if stop.is_set():
                    break
                gradients, loss = self._gradients(Sequences(*(field.contiguous() for field in batch)))
                self.descent.step(self.step, gradients)
                losses.append(loss)
                self.step += 1
            if tick:
                tick((self.step - first) * self.n_replicas)
        return torch.stack(losses) if losses else torch.zeros(0, self.n_replicas)

    def state(self) -> dict[str, Tensor]:
        """Parameters and what the optimizer keeps of them, by prefixed name."""
        return {f"parameters.{name}": p.detach() for name, p in self.model.named_parameters()} | self.descent.state()

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Takes up the state of `step`."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"parameters.{name}"])
        self.descent.restore(step, {key: value for key, value in tensors.items() if not key.startswith("parameters.")})
        self.step = step
