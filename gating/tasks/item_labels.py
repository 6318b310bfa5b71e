"""Classification of noisy items, whose labels are fixed in training and shown in the context."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gating.tasks import counter
from gating.tasks.sequences import Sequences
from gating.tasks.task_sampler import TaskSampler
from theory.validation import require_instances, require_nonnegative, require_scalar

__all__ = ["ItemLabels"]


class ItemLabels(TaskSampler):
    r"""L context pairs of shown items with binary labels, and a query that shows one of the context's items again.

    Items are :math:`N(0, I/m)`, each with a fair binary label; an item a is shown as
    :math:`(a + \sqrt{v}\, e) / \sqrt{1 + v}`, :math:`e \sim N(0, I/m)`, with new e at every token. Context items are
    uniform over the D training items, and the query's is that of a uniform context pair.

    In the sequences, ``x`` is (R, B, L + 1, m), ``y`` the labels and ``classes`` the items, (R, B, L + 1), the query
    last. In sequences of unseen tasks every context item is new, with a new label, and its class is -1.

    Args: as `TaskSampler`; `dim` is the number of features m and `length` the number of pairs with the query, L + 1.
        within_variance: v >= 0.

    Attributes:
        items: (R, largest D, m); replica r draws from its first ``n_tasks[r]``.
        labels: 0 or 1, (R, largest D).

    Example:
        >>> sampler = ItemLabels([32], [0], dim=8, length=128)
        >>> batch = sampler.batches(0, 1, 4)
        >>> bool((batch.classes[..., :-1] == batch.query_class.unsqueeze(-1)).any(-1).all())
        True

    Source: Wurgaft et al. (2025), binary classification, after A. Nguyen and G. Reddy (2024).
    """

    items: Tensor
    labels: Tensor

    def __init__(
        self,
        n_tasks: Sequence[int],
        data_seeds: Sequence[int],
        *,
        dim: int,
        length: int,
        within_variance: float = 0.5,
        device: torch.device | str = "cpu",
    ):
        super().__init__(n_tasks, data_seeds, dim=dim, length=length, device=device)
        if length < 2:
            raise ValueError(f"`length` must be an integer >= 2, a context pair and the query; got {length!r}")
        self.within_variance = require_scalar(
            "within_variance", require_nonnegative("within_variance", within_variance)
        )

    def _tabulate(self) -> None:
        self.labels = (counter.hashes(self._task_keys, 0, 1)[..., 0] >> 20) & 1
        self.items = counter.normals(self._task_keys, 1, self.dim) / self.dim**0.5

    def table(self, replica: int) -> tuple[Tensor, Tensor]:
        """Training items of a replica, (D, m), and their labels, (D,)."""
        return self.items[replica, : self.n_tasks[replica]], self.labels[replica, : self.n_tasks[replica]]

    def fresh(self, seed: int, count: int, *, unseen: bool = False, absent: bool = False) -> Sequences:
        """As in `TaskSampler`; `absent` leaves the query's item out of the context, which then cannot answer.

        Raises:
            ValueError: naming the argument, the allowed set and the value; `absent` with `unseen` or with one item.
        """
        require_instances(unseen=(unseen, bool), absent=(absent, bool))
        if absent and (unseen or min(self.n_tasks) < 2):
            raise ValueError(
                "`absent` must come with training items (not `unseen`), two or more of them;"
                f" got unseen = {unseen}, n_tasks = {self.n_tasks}"
            )
        return self._draw(self._fresh_keys(seed, count), unseen=unseen, absent=absent)

    def _draw(self, keys: Tensor, *, unseen: bool, absent: bool = False) -> Sequences:
        length, size = self.length - 1, self.length * self.dim
        u = counter.uniforms(keys, 0, self.length)
        place = (u[..., -1:] * length).long()
        if unseen:
            shown = counter.normals(keys, self.length + size, length * self.dim) / self.dim**0.5
            context = shown.unflatten(-1, (length, self.dim))
            query = context.gather(-2, place.unsqueeze(-1).expand(*place.shape, self.dim))
            y = (u[..., :length] < 0.5).long()
            y = torch.cat([y, y.gather(-1, place)], dim=-1)
            items, classes = torch.cat([context, query], dim=-2), torch.full_like(y, -1)
        else:
            classes = self._absent(u) if absent else self._present(u, place)
            items, y = self._of_task(self.items, classes), self._of_task(self.labels, classes)
        noise = counter.normals(keys, self.length, size).unflatten(-1, (self.length, self.dim))
        v = self.within_variance
        x = torch.add(items * (1 + v) ** -0.5, noise, alpha=(v / (1 + v) / self.dim) ** 0.5)
        return Sequences(x, y, classes)

    def _present(self, u: Tensor, place: Tensor) -> Tensor:
        context = self._pick(u[..., :-1])
        return torch.cat([context, context.gather(-1, place)], dim=-1)

    def _absent(self, u: Tensor) -> Tensor:
        """A uniform query item, and context items uniform over the others."""
        query = self._pick(u[..., -1:])
        others = (u[..., :-1] * (self._sizes.unsqueeze(-1) - 1)).long()
        return torch.cat([others + (others >= query), query], dim=-1)
