"""How well predicted outputs or weights agree with actual ones."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import logsigmoid

from gating.gates.discrepancy import DISTANCES
from theory.validation import require_choice

__all__ = ["argmax_agreement", "blend", "correlation", "r_squared", "rank_correlation", "total_variation"]


def blend(log_odds: Tensor, memorizer: Tensor, generalizer: Tensor, *, distance: str) -> Tensor:
    r"""Outputs of the mixture :math:`w M + (1 - w) G` with :math:`w = \sigma(\text{log odds})`.

    Args:
        log_odds: log odds of M, of a shape that broadcasts to (..., n).
        memorizer: outputs of M, shape (..., n, C): log-probabilities for the distance ``kl``, numbers for ``squared``.
        generalizer: outputs of G, same shape.
        distance: ``kl`` or ``squared``.

    Returns:
        float64 tensor of log-probabilities or numbers, shape (..., n, C).

    Raises:
        ValueError: another `distance`.

    Example:
        >>> m, g = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
        >>> blend(torch.zeros(1), m, g, distance="kl").exp().round(decimals=6).tolist()
        [[0.7, 0.3]]
    """
    odds = log_odds.double().unsqueeze(-1)
    if require_choice("distance", distance, DISTANCES) == "kl":
        return torch.logaddexp(logsigmoid(odds) + memorizer, logsigmoid(-odds) + generalizer)
    return torch.sigmoid(odds) * memorizer + torch.sigmoid(-odds) * generalizer


def total_variation(predicted: Tensor, actual: Tensor) -> Tensor:
    r"""Total variation :math:`\frac12 \sum_y |p_y - q_y|`, mean over rows.

    Args:
        predicted: log-probabilities, shape (..., n, C), in nats.
        actual: log-probabilities, same shape.

    Returns:
        float64 tensor (...), in [0, 1].

    Raises:
        ValueError: when shapes differ, or a log-probability is NaN or above 0 (by more than rounding).

    Example:
        >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
        >>> total_variation(p, q).round(decimals=6).item()
        0.4
    """
    p, q = _log_probabilities(predicted, actual)
    return (p.exp() - q.exp()).abs().sum(-1).mean(-1) / 2


def argmax_agreement(predicted: Tensor, actual: Tensor) -> Tensor:
    """Probability that both name the same label, ties broken at random and independently; mean over rows.

    Args, returns and errors are those of :func:`total_variation`.

    Example:
        >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
        >>> argmax_agreement(p, q).item()
        0.5
    """
    choices = []
    for log_p in _log_probabilities(predicted, actual):
        best = (log_p == log_p.amax(-1, keepdim=True)).double()
        choices.append(best / best.sum(-1, keepdim=True))
    return (choices[0] * choices[1]).sum(-1).mean(-1)


def rank_correlation(predicted: Tensor, actual: Tensor) -> Tensor:
    """Spearman's correlation of the C outputs of each row, mean over rows; ties share their mean rank.

    Rows in which either side has all outputs equal have no ranking and are left out; NaN where no row is left.

    Args:
        predicted: outputs, shape (..., n, C) with C >= 2; log-probabilities and probabilities have the same ranks.
        actual: outputs, same shape.

    Returns:
        float64 tensor (...), in [-1, 1].

    Raises:
        ValueError: when shapes differ or an output is NaN.

    Example:
        >>> rank_correlation(torch.tensor([[0.1, 0.2, 0.7]]), torch.tensor([[1.0, 5.0, 3.0]])).item()
        0.5
    """
    ranks = [torch.from_numpy(rankdata(part.cpu().numpy(), axis=-1)) for part in _pair(predicted, actual, least=2)]
    return _pearson(*ranks).nanmean(-1)


def correlation(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Pearson's correlation of two lists of numbers, such as predicted weights and relative distances of cells.

    Pairs with a NaN (a relative distance where M and G agree) are left out.

    Args:
        predicted: shape (c,).
        actual: shape (c,).

    Returns:
        In [-1, 1]; NaN when fewer than two pairs are left or either list is constant.

    Raises:
        ValueError: when shapes differ.

    Example:
        >>> round(correlation([0.0, 0.5, 1.0, 0.3], [0.1, 0.4, 0.9, float("nan")]), 4)
        0.9897
    """
    x, y = (torch.from_numpy(np.asarray(part, dtype=np.float64)) for part in (predicted, actual))
    if x.shape != y.shape or x.dim() != 1:
        raise ValueError(
            f"`predicted` and `actual` must have one shape (c,); got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    known = x.isfinite() & y.isfinite()
    return _pearson(x[known], y[known]).item() if int(known.sum()) > 1 else float("nan")


def r_squared(predicted: Tensor, actual: Tensor) -> Tensor:
    r"""Share of the outputs' variance that the prediction explains.

    .. math:: R^2 = 1 - \sum_i \|T_i - \hat T_i\|^2 \Big/ \sum_i \|T_i - \bar T\|^2

    Args:
        predicted: outputs, shape (..., n, C).
        actual: outputs T of the model, same shape.

    Returns:
        float64 tensor (...), at most 1, and negative for a prediction worse than the mean output; NaN where the
        actual outputs are all equal.

    Raises:
        ValueError: when shapes differ or an output is NaN.

    Example:
        >>> r_squared(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [4.0]])).item()
        0.5
    """
    p, q = _pair(predicted, actual)
    missed = (q - p).square().sum((-2, -1))
    spread = (q - q.mean(-2, keepdim=True)).square().sum((-2, -1))
    return torch.where(spread > 0, 1 - missed / spread, torch.nan)


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    """Correlation along the last axis; NaN where either side is constant up to rounding."""
    (x, x_spread), (y, y_spread) = _centred(x), _centred(y)
    scale = (x_spread * y_spread).sqrt()
    return torch.where(scale > 0, (x * y).sum(-1) / scale, torch.nan).clamp(-1, 1)


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """Distances from the mean, and the sum of their squares, which is 0 where they are roundings of the mean."""
    away = x - x.mean(-1, keepdim=True)
    flat = away.abs().amax(-1) <= 1e-12 * x.abs().amax(-1)
    return away, torch.where(flat, 0.0, away.square().sum(-1))


def _pair(predicted: Tensor, actual: Tensor, *, least: int = 1) -> tuple[Tensor, Tensor]:
    if predicted.shape != actual.shape or predicted.dim() < 2 or predicted.shape[-1] < least or not predicted.numel():
        wanted = f"one shape (..., n, C) with n >= 1 and C >= {least}"
        got = f"{tuple(predicted.shape)} and {tuple(actual.shape)}"
        raise ValueError(f"`predicted` and `actual` must have {wanted}; got {got}")
    for name, part in (("predicted", predicted), ("actual", actual)):
        if bool(part.isnan().any()):
            raise ValueError(f"`{name}` must have no NaN; got {int(part.isnan().sum())} of them")
    return predicted.double(), actual.double()


def _log_probabilities(predicted: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
    pair = _pair(predicted, actual)
    for name, part in zip(("predicted", "actual"), pair, strict=True):
        if bool((part > 1e-3).any()):
            raise ValueError(f"`{name}` must be log-probabilities; got {part.max().item()}")
    return pair
