"""What the task families share: D training tasks per replica, fresh sequences at every step, unseen tasks for tests."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gating.tasks import counter
from gating.tasks.sequences import Sequences
from gating.validation import require_device
from theory.validation import require_instances, require_integer, require_integers, require_sizes

__all__ = ["MAX_TASKS", "TaskSampler", "batch_places", "evaluation_keys", "require_seeds"]

MAX_TASKS = 2**20


def batch_places(first_step: int, n_steps: int, batch_size: int, device: torch.device) -> Tensor:
    """Places in training of the sequences of several steps, int64, shape (n_steps * batch_size,).

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> batch_places(2, 1, 3, torch.device("cpu")).tolist()
        [6, 7, 8]
    """
    first = require_integer("first_step", first_step, most=2**32)
    require_sizes(n_steps=n_steps, batch_size=batch_size)
    return torch.arange(first * batch_size, (first + n_steps) * batch_size, device=device)


def require_seeds(seeds: Sequence[int], **others: Sequence[Any]) -> list[int]:
    """The data seeds, integers in -2^63 .. 2^64 - 1, as many as there are entries in each of the other lists."""
    checked = require_integers("data_seeds", seeds, least=-(2**63), most=2**64 - 1)
    lists = {**others, "data_seeds": checked}
    if len({len(held) for held in lists.values()}) > 1:
        names = " and ".join(f"`{name}`" for name in lists)
        counts = " and ".join(f"{len(held)}" for held in lists.values())
        raise ValueError(f"{names} must have one entry per replica; got {counts}")
    return checked


def evaluation_keys(keys: Tensor, seed: int, count: int) -> Tensor:
    """Keys of sequences that are not met in training, from keys of the stream ``evaluation``: (R,) -> (R, count).

    Raises:
        ValueError: `seed` is no integer in -2^63 .. 2^63 - 1.
    """
    seed = require_integer("seed", seed, least=-(2**63), most=2**63 - 1)
    seeded = counter.row_keys(keys, torch.full((len(keys), 1), seed, device=keys.device))[:, 0]
    return counter.row_keys(seeded, torch.arange(count, device=keys.device).expand(len(keys), -1))


class TaskSampler(ABC):
    """Draws sequences of R replicas, each with its own D training tasks.

    Task k of a data seed is a hash of (data seed, k), so the tasks of a small D are the first of a larger one. A
    training sequence is a hash of (data seed, its place in training): every step sees new ones, and none is stored.

    Args:
        n_tasks: number D of training tasks of each replica, integers in 1 .. 2^20.
        data_seeds: one integer per replica; sets the tasks and the training sequences.
        dim: m, the number of colours or of features, an integer >= 2.
        length: number of draws or pairs whose outcome a model may be asked for, an integer >= 1; see the family.
        device: where tensors live.

    Attributes:
        n_replicas: R, the number of replicas sampled at once.

    Raises:
        ValueError: naming the argument, the allowed set and the value.
    """

    def __init__(
        self,
        n_tasks: Sequence[int],
        data_seeds: Sequence[int],
        *,
        dim: int,
        length: int,
        device: torch.device | str = "cpu",
    ):
        self.dim, self.length = require_integer("dim", dim, least=2), require_integer("length", length, least=1)
        self.n_tasks = require_integers("n_tasks", n_tasks, least=1, most=MAX_TASKS)
        self.n_replicas = len(self.n_tasks)
        require_sizes(n_tasks=max(self.n_tasks), dim=dim)
        seeds, self.device = require_seeds(data_seeds, n_tasks=self.n_tasks), require_device(device)
        self._sizes = torch.tensor(self.n_tasks, dtype=torch.float64, device=self.device).view(-1, 1)
        self._training_keys, self._evaluation_keys, task_keys = (
            counter.seed_keys(seeds, stream).to(self.device) for stream in ("training", "evaluation", "tasks")
        )
        index = torch.arange(max(self.n_tasks), device=self.device).expand(len(seeds), -1)
        self._task_keys = counter.row_keys(task_keys, index)
        self._tabulate()

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> Sequences:
        """Training sequences of several steps, all new: shape (R, n_steps * batch_size, ...)."""
        places = batch_places(first_step, n_steps, batch_size, self.device)
        keys = counter.row_keys(self._training_keys, places.expand(self.n_replicas, -1))
        return self._draw(keys, unseen=False)

    def fresh(self, seed: int, count: int, *, unseen: bool = False) -> Sequences:
        """Sequences that are not met in training: of the training tasks, or of tasks that are new in each sequence.

        Args:
            seed: evaluation seed, an integer in -2^63 .. 2^63 - 1.
            count: number of sequences of each replica, B.
            unseen: draw from unseen tasks (out of distribution) in place of the training tasks.

        Returns:
            Sequences of leading shape (R, B).

        Raises:
            ValueError: naming the argument, the allowed set and the value.
        """
        require_instances(unseen=(unseen, bool))
        return self._draw(self._fresh_keys(seed, count), unseen=unseen)

    def _fresh_keys(self, seed: int, count: int) -> Tensor:
        require_sizes(count=count)
        return evaluation_keys(self._evaluation_keys, seed, count)

    def _pick(self, u: Tensor) -> Tensor:
        """Training tasks, uniform: uniforms (R, ...) -> indices (R, ...)."""
        return (u * self._sizes.view(-1, *[1] * (u.dim() - 1))).long()

    def _of_task(self, table: Tensor, task: Tensor) -> Tensor:
        """Entries of the replicas' tables: (R, D, ...) at (R, B, ...)."""
        replica = torch.arange(self.n_replicas, device=self.device).view(-1, *[1] * (task.dim() - 1))
        return table[replica, task]

    def _expanded(self, task: Tensor) -> Tensor:
        """The sequence's task at every token, (R, B) -> (R, B, length)."""
        return task.unsqueeze(-1).expand(*task.shape, self.length)

    @abstractmethod
    def _tabulate(self) -> None:
        """Makes the tables of training tasks from `_task_keys`, (R, largest D)."""

    @abstractmethod
    def _draw(self, keys: Tensor, *, unseen: bool) -> Sequences:
        """One sequence for each key, (R, B); the classes of tokens of unseen tasks are -1."""
