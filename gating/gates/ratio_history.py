r"""What rounds have said of two predictors, for every fixed mixture of them, in a bounded number of numbers.

A round gives the mixture a g + (1 - a) h the log-probability :math:`\ln h + f(u)`, :math:`u = \ln(g/h)`,
:math:`f(u) = \ln(a e^u + 1 - a)`. Whatever a is, f is analytic for :math:`|\Im u| < \pi` and flat or straight far out.
So a sum over rounds is a sum over points of a grid, with weights that interpolate each u: the weights are added up
once, for all a.
"""

import torch
from torch import Tensor

__all__ = ["INTERPOLATION_ERROR", "RATIOS", "deposit", "summed_logs"]

SPACING, FARTHEST = 1 / 16, 60
STENCIL = torch.arange(-5, 7)  # 12 grid points about a ratio
_FIRST = -int(FARTHEST / SPACING) - 5
RATIOS = 2 * int(FARTHEST / SPACING) + 12
"""Grid points, numbers for each learner."""

INTERPOLATION_ERROR = 3e-16
r"""Most that one round's f is off, in nats, besides rounding.

Twelve points err by :math:`h^{12} \max|f^{(12)}| (\prod_{i<6} (i + \frac12))^2 / 12!`. Cauchy's formula on circles
of radius 2.9, where the logistic function is at most 4.2, bounds the derivative by :math:`4.2 \cdot 11! / 2.9^{11}`.
Ratios beyond :math:`e^{\pm 60}` count as :math:`e^{\pm 60}`, a change of :math:`e^{-60}/a`, below 1e-17 for a > 1e-9.
"""


def deposit(history: Tensor, rows: Tensor, log_ratio: Tensor) -> None:
    """Adds a round of some learners to their histories.

    Args:
        history: (n, RATIOS), written to.
        rows: (k,) learners, each at most once.
        log_ratio: (k,) ln(g/h), which may be infinite.
    """
    place = log_ratio.clamp(-FARTHEST, FARTHEST) / SPACING
    below = place.floor()
    stencil = STENCIL.to(history.device)
    away = (place - below).unsqueeze(-1) - stencil  # exact: no digits of a small ratio are lost
    one = torch.ones_like(away[:, :1])
    before = torch.cat([one, away[:, :-1]], 1).cumprod(1)
    behind = torch.cat([one, away[:, 1:].flip(1)], 1).cumprod(1).flip(1)
    between = (stencil[:, None] - stencil).double().fill_diagonal_(1.0).prod(1)
    at = (rows * RATIOS + below.long() - _FIRST).unsqueeze(-1) + stencil
    history.view(-1).index_add_(0, at.view(-1), (before * behind / between).view(-1))


def summed_logs(history: Tensor, nodes: Tensor, mirrored: Tensor) -> Tensor:
    """Sum over a learner's rounds of ln(a g + (1 - a) h) at each node a, up to a constant that all nodes share.

    Args:
        history: (RATIOS,) of one learner.
        nodes: (k,) the a; `mirrored` the 1 - a.
        mirrored: see `nodes`.

    Example:
        >>> history, rows = torch.zeros(1, RATIOS, dtype=torch.float64), torch.tensor([0])
        >>> for ratio in (0.25, 3.0):
        ...     deposit(history, rows, torch.tensor([ratio], dtype=torch.float64).log())
        >>> a = torch.tensor([0.2, 0.6], dtype=torch.float64)
        >>> logs = summed_logs(history[0], a, 1 - a)
        >>> float((logs[1] - logs[0]).exp()), 0.55 * 2.2 / (0.85 * 1.4)
        (1.0168..., 1.0168...)
    """
    used = history.nonzero().squeeze(-1)
    ratio = (used + _FIRST).double() * SPACING
    mixed = torch.outer(nodes, ratio.clamp(max=0).exp()).addr_(mirrored, (-ratio).clamp(max=0).exp())
    return mixed.log_() @ history[used]
