"""The perceptrons' activation, exact or, where a step is recorded as a graph, with its slope kept for the way back."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gating.models.recording import is_recorded

__all__ = ["gelu"]

TAIL = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
"""From the highest power on."""
SCALE = 0.3275911


def gelu(x: Tensor) -> Tensor:
    r"""Gaussian error linear unit, :math:`x \Phi(x)`, of any shape.

    Where a step is recorded as a graph, :math:`\Phi` is a formula whose error is at most 1e-7, and the slope
    :math:`\Phi(x) + x \phi(x)`, which shares its exponential, is kept in place of x.

    Example:
        >>> gelu(torch.tensor([0.0, 10.0])).tolist()
        [0.0, 10.0]

    Source: D. Hendrycks and K. Gimpel. Gaussian Error Linear Units. 2016; M. Abramowitz and I. A. Stegun. Handbook of
    Mathematical Functions. 1964, 7.1.26, for the formula.
    """
    if not is_recorded():
        return functional.gelu(x)
    answer: Tensor = _KeptSlope.apply(x)
    return answer


class _KeptSlope(torch.autograd.Function):
    """GELU whose way back is one product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x Phi(x)."""
        answer, slope = with_slope(x)
        ctx.save_for_backward(slope)
        return answer

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        """The gradient of x."""
        (slope,) = ctx.saved_tensors
        product: Tensor = gradients[0] * slope
        return product


def with_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    """GELU by the formula, and its derivative, computed in single precision or better."""
    z = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    far = z.abs() * math.sqrt(0.5)
    density, t = torch.exp(-far * far), 1 / (1 + SCALE * far)
    tail = torch.full_like(t, TAIL[0])
    for coefficient in TAIL[1:]:
        tail = tail * t + coefficient
    beyond = 0.5 * tail * t * density
    below = torch.where(z > 0, 1 - beyond, beyond)
    slope = (below + z * density / math.sqrt(2 * math.pi)).to(x.dtype)
    return (z * below).to(x.dtype), slope.as_strided(slope.shape, slope.stride())  # a compiler keeps it so
