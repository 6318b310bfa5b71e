r"""Where a model lies between two predictors: 1 at the memorizing one, 0 at the generalizing one."""

import torch
from torch import Tensor

from gating.gates.discrepancy import DISTANCES, LEAST_LOG
from theory.validation import require_choice

__all__ = ["relative_distance"]

ALIKE = 1e-12
"""Distance of M and G at and below which they are the same predictor."""


def relative_distance(model: Tensor, memorizer: Tensor, generalizer: Tensor, *, distance: str) -> Tensor:
    r"""Relative distance of a model to M and G.

    .. math:: r = \mathrm{clip}_{[0,1]} \frac{d(T, G) - d(T, M) + d(M, G)}{2\, d(M, G)}

    For squared error this is the place, along the line from G to M, of the point nearest to T.

    Args:
        model: outputs of T, shape (..., n, C): log-probabilities in nats for ``kl``, numbers for ``squared``.
        memorizer: outputs of M, the memorizing predictor, of a shape that broadcasts to that of `model`.
        generalizer: outputs of G, the generalizing predictor, likewise.
        distance: ``kl``: d is the symmetrised divergence :math:`\frac12 [KL(p\|q) + KL(q\|p)]`; ``squared``: the
            squared distance. Both are means over the n rows; log-probabilities below -300 count as -300, as in
            :mod:`gating.gates.discrepancy`.

    Returns:
        float64 tensor (...), in [0, 1]; NaN where M and G agree.

    Raises:
        TypeError: an output that is no tensor of real numbers.
        ValueError: another `distance`, shapes that do not fit, no row, or an output that is NaN or (except a
            log-probability of -inf) infinite.

    Example:
        >>> m, g = torch.tensor([[1.0]]), torch.tensor([[0.0]])
        >>> relative_distance(torch.tensor([[0.25]]), m, g, distance="squared").item()
        0.25

    Source: Wurgaft et al. (2025), relative distance.
    """
    require_choice("distance", distance, DISTANCES)
    named = {"model": model, "memorizer": memorizer, "generalizer": generalizer}
    parts = [_checked(name, part, distance) for name, part in named.items()]
    try:
        t, m, g = torch.broadcast_tensors(*parts)
    except RuntimeError as misfit:
        shapes = " and ".join(str(tuple(part.shape)) for part in parts)
        raise ValueError(
            f"`model`, `memorizer` and `generalizer` must broadcast to one shape; got {shapes}"
        ) from misfit
    if t.dim() < 2 or not t.numel():
        raise ValueError(f"`model` must have shape (..., n, C), none of them 0; got {tuple(t.shape)}")
    to_g, to_m, apart = (_distance(p, q, distance) for p, q in ((t, g), (t, m), (m, g)))
    place = ((to_g - to_m + apart) / (2 * apart)).clamp(0, 1)
    return torch.where(apart > ALIKE, place, torch.nan)


def _checked(name: str, value: Tensor, distance: str) -> Tensor:
    if not isinstance(value, Tensor) or value.is_complex():
        raise TypeError(f"`{name}` must be a tensor of real numbers; got {value!r}")
    value = value.detach().double()
    if distance == "kl":
        value = value.clamp_min(LEAST_LOG)  # NaN stays NaN
    if not bool(value.isfinite().all()):
        bad = int((~value.isfinite()).sum())
        allowed = "log-probabilities" if distance == "kl" else "finite numbers"
        raise ValueError(f"`{name}` must be {allowed}; got {bad} of {value.numel()} that are not")
    return value


def _distance(p: Tensor, q: Tensor, distance: str) -> Tensor:
    if distance == "squared":
        return (p - q).square().sum(-1).mean(-1)
    return ((p.exp() - q.exp()) * (p - q)).sum(-1).mean(-1) / 2
