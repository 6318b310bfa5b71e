"""A group of replicas that trains as one."""

import threading
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gating.tasks.sequences import Sequences
from gating.training.schedule import TrainSettings
from theory.validation import require_instances, require_integer

__all__ = ["BatchSource", "Loss", "ReplicaGroup", "clip_norms", "target_log_loss"]

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam keeps of each parameter beside the step."""

Loss = Callable[[Tensor, Sequences], Tensor]
"""From a model's answers to a batch, and the batch, to one loss per replica, (R,)."""


@runtime_checkable
class BatchSource(Protocol):
    """Training batches of a group of replicas."""

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> Sequences:
        """Batches of `n_steps` steps, shape (R, n_steps * batch_size, ...)."""


def target_log_loss(log_probabilities: Tensor, sequences: Sequences) -> Tensor:
    """Log loss of the query's label in nats, mean over the batch: (R, B, C) -> (R,)."""
    return -log_probabilities.gather(-1, sequences.target.unsqueeze(-1)).squeeze(-1).mean(-1)


def clip_norms(gradients: list[Tensor], largest: float) -> list[Tensor]:
    """Gradients of R replicas, each replica's scaled down to the norm `largest` where it is longer.

    Example:
        >>> [clipped] = clip_norms([torch.tensor([[3.0, 4.0], [0.3, 0.4]])], 1.0)
        >>> clipped.norm(dim=1).tolist()
        [1.0, 0.5]
    """
    norm = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
    scale = (largest / norm.clamp_min(1e-30)).clamp_max(1.0)
    return [gradient * scale.view(-1, *[1] * (gradient.dim() - 1)) for gradient in gradients]


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
        self.optimizer = torch.optim.Adam(self.trained.values(), lr=settings.learning_rate, fused=True)
        self.step = 0

    def advance(self, last: int, stop: threading.Event, tick: Callable[[int], Any] | None = None) -> Tensor:
        """Trains up to step `last`, or to the one at which `stop` is set; tells `tick` of the replica-steps taken.

        Returns:
            Losses of the steps taken, shape (steps, R).
        """
        losses: list[Tensor] = []
        per_draw, size = max(1, 16 // self.n_replicas), self.settings.batch_size
        while self.step < last and not stop.is_set():
            count = min(per_draw, last - self.step)
            block = self.source.batches(self.step, count, size)
            for batch in zip(*(field.split(size, dim=1) for field in block), strict=True):
                losses.append(self._update(Sequences(*batch)))
                self.step += 1
            if tick:
                tick(count * self.n_replicas)
        return torch.stack(losses) if losses else torch.zeros(0, self.n_replicas)

    def _update(self, batch: Sequences) -> Tensor:
        loss = self.loss(self.model(batch), batch)
        leaves = list(self.trained.values())
        gradients = list(torch.autograd.grad(loss.sum(), leaves))
        if self.settings.max_grad_norm is not None:
            gradients = clip_norms(gradients, self.settings.max_grad_norm)
        self.optimizer.param_groups[0]["lr"] = self.settings.rate(self.step)
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient.contiguous()  # fused Adam on the CPU reads memory as if gradients were dense
        self.optimizer.step()
        return loss.detach()

    def state(self) -> dict[str, Tensor]:
        """Parameters and optimizer moments, by prefixed name."""
        tensors = {f"parameters.{name}": p.detach() for name, p in self.model.named_parameters()}
        for name, leaf in self.trained.items():
            moments = self.optimizer.state[leaf]
            tensors |= {f"{key}.{name}": moments[key] for key in MOMENTS}
        return tensors

    def restore(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Takes up the state of `step`."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"parameters.{name}"])
        for name, leaf in self.trained.items():
            moments = {key: tensors[f"{key}.{name}"].to(leaf.device).clone() for key in MOMENTS}
            self.optimizer.state[leaf] = {"step": torch.tensor(float(step), device=leaf.device), **moments}
        self.step = step
