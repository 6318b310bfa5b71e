"""Balls and urns: every sequence is drawn with replacement from one of D urns."""

import torch
from torch import Tensor

from gating.tasks import counter
from gating.tasks.sequences import Sequences
from gating.tasks.task_sampler import TaskSampler

__all__ = ["Urns"]


class Urns(TaskSampler):
    r"""Sequences of T coloured balls, i.i.d. from an urn; urns are Dirichlet(1) on m colours.

    In the sequences, ``y`` holds the colours, (R, B, T), and every draw is to be predicted from those before it;
    ``x`` has no features, (R, B, T, 0); ``classes`` is the urn, -1 for an unseen one.

    Args: as `TaskSampler`; `dim` is the number of colours m and `length` the number of draws T.

    Attributes:
        urns: colour frequencies of the training urns, (R, largest D, m), float64; replica r draws from its first
            ``n_tasks[r]``.

    Example:
        >>> sampler = Urns([2, 64], [0, 0], dim=8, length=16)
        >>> sampler.batches(0, 1, 4).y.shape
        torch.Size([2, 4, 16])
        >>> bool((sampler.urns[0, :2] == sampler.urns[1, :2]).all())
        True

    Source: Wurgaft et al. (2025), balls and urns.
    """

    urns: Tensor

    def _tabulate(self) -> None:
        self.urns = _dirichlet(self._task_keys, 0, self.dim)

    def table(self, replica: int) -> Tensor:
        """Training urns of a replica, (D, m)."""
        return self.urns[replica, : self.n_tasks[replica]]

    def _draw(self, keys: Tensor, *, unseen: bool) -> Sequences:
        u = counter.uniforms(keys, 0, 1 + self.length)
        task = torch.full_like(keys, -1) if unseen else self._pick(u[..., 0])
        urn = _dirichlet(keys, 1 + self.length, self.dim) if unseen else self._of_task(self.urns, task)
        below = urn.cumsum(-1)[..., :-1].contiguous()
        y = torch.searchsorted(below, u[..., 1:].contiguous(), right=True)
        return Sequences(torch.empty(*y.shape, 0, device=y.device), y, self._expanded(task))


def _dirichlet(keys: Tensor, start: int, n_colours: int) -> Tensor:
    """Dirichlet(1): exponentials over their sum, (...) -> (..., n_colours)."""
    exponentials = -torch.log1p(-counter.uniforms(keys, start, n_colours))
    return exponentials / exponentials.sum(-1, keepdim=True)
