"""Linear regression in context: every sequence has the weights of one of D tasks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gating.tasks import counter
from gating.tasks.sequences import Sequences
from gating.tasks.task_sampler import TaskSampler
from theory.validation import require_positive, require_scalar

__all__ = ["LinearRegression"]


class LinearRegression(TaskSampler):
    r"""T pairs :math:`x \sim N(0, I_m)`, :math:`y = w \cdot x + \varepsilon`; weights are :math:`N(0, I_m)`.

    In the sequences, ``x`` is (R, B, T, m) and ``y`` is (R, B, T), floating; every y is to be predicted from its x
    and the pairs before it; ``classes`` is the task, -1 for an unseen one.

    Args: as `TaskSampler`; `dim` is the number of features m and `length` the number of pairs T.
        noise_variance: variance > 0 of the noise; m / 256 when None.

    Attributes:
        weights: of the training tasks, (R, largest D, m); replica r draws from its first ``n_tasks[r]``.

    Example:
        >>> batch = LinearRegression([4], [0], dim=8, length=16).batches(0, 2, 3)
        >>> batch.x.shape, batch.y.shape
        (torch.Size([1, 6, 16, 8]), torch.Size([1, 6, 16]))

    Source: Wurgaft et al. (2025), linear regression, after A. Raventós et al. (NeurIPS 2023).
    """

    weights: Tensor

    def __init__(
        self,
        n_tasks: Sequence[int],
        data_seeds: Sequence[int],
        *,
        dim: int,
        length: int,
        noise_variance: float | None = None,
        device: torch.device | str = "cpu",
    ):
        super().__init__(n_tasks, data_seeds, dim=dim, length=length, device=device)
        variance = dim / 256 if noise_variance is None else noise_variance
        self.noise_variance = require_scalar("noise_variance", require_positive("noise_variance", variance))

    def _tabulate(self) -> None:
        self.weights = counter.normals(self._task_keys, 0, self.dim)

    def table(self, replica: int) -> Tensor:
        """Weights of a replica's training tasks, (D, m)."""
        return self.weights[replica, : self.n_tasks[replica]]

    def _draw(self, keys: Tensor, *, unseen: bool) -> Sequences:
        size = self.length * self.dim
        drawn = counter.normals(keys, 1, size + self.length)
        x = drawn[..., :size].unflatten(-1, (self.length, self.dim))
        task = torch.full_like(keys, -1) if unseen else self._pick(counter.uniforms(keys, 0, 1)[..., 0])
        w = counter.normals(keys, 1 + size + self.length, self.dim) if unseen else self._of_task(self.weights, task)
        y = (x @ w.unsqueeze(-1)).squeeze(-1) + self.noise_variance**0.5 * drawn[..., size:]
        return Sequences(x, y, self._expanded(task))
