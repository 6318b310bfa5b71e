r"""The effective gate: the weight of g that makes ``alpha g + (1 - alpha) h`` nearest to what a model answers.

The only solver of mixtures: the memorizing predictor in place of g and the generalizing one in place of h give the
weight that describes a checkpoint best, and what no gate can explain of it.
"""

from typing import Any, Generic, NamedTuple, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from gating.gates.outputs import as_tensors, normalised, require_log_probabilities, require_outputs
from theory.validation import require_positive, require_scalar

__all__ = ["EffectiveGate", "effective_gate", "effective_gate_squared", "nearest_mixture"]

Array = TypeVar("Array", Tensor, NDArray[Any])


class EffectiveGate(NamedTuple, Generic[Array]):
    """Result of a fit, in tensors where tensors were given and in arrays where arrays were.

    Attributes:
        alpha: weight of the in-weight predictor, in [0, 1]; NaN where g and h agree on every sequence, since then
            no weight is better than another.
        residual: what the best mixture leaves unexplained: mean KL divergence in nats, or mean squared error.
    """

    alpha: Array
    residual: Array


def effective_gate(
    model: Array, g: Array, h: Array, weights: Array | None = None, *, tolerance: float = 1e-10
) -> EffectiveGate[Array]:
    r"""Effective gate of a model that answers with probabilities.

    .. math:: \alpha^* = \arg\min_{\alpha \in [0, 1]} \sum_i w_i \,\mathrm{KL}(T_i \,\|\, \alpha g_i + (1-\alpha) h_i)

    Convex in one variable; solved by Newton steps kept inside a bracket of the derivative's sign, for all leading
    dimensions at once.

    Args:
        model: log-probabilities of the model T, shape (..., n, C), in nats; a tensor or an array of numpy, as the
            other arguments. -inf is probability 0. The logsumexp of each row must be 0 within 0.001, or within 0.05 in
            float16 and bfloat16, and no value above that.
        g: log-probabilities of the in-weight predictor, same shape.
        h: log-probabilities of the in-context predictor, same shape.
        weights: non-negative weights w of the n sequences, shape (n,) or (..., n); uniform when None. They are
            normalised to sum to 1.
        tolerance: the minimum lies within this distance of the returned weight.

    Returns:
        `EffectiveGate` with tensors, or arrays, of shape (...), float64.

    Raises:
        TypeError: when an argument is no tensor and no array of real numbers, or tensors are mixed with arrays.
        ValueError: when shapes differ, a row is none of log-probabilities, weights are not finite, negative or sum to
            zero, or `tolerance` is not > 0.
        ArithmeticError: when the search does not end.

    Example:
        >>> g = torch.tensor([[0.9, 0.1], [0.9, 0.1]]).log()
        >>> h = torch.tensor([[0.2, 0.8], [0.3, 0.7]]).log()
        >>> mixture = (0.25 * g.exp() + 0.75 * h.exp()).log()
        >>> round(effective_gate(mixture, g, h).alpha.item(), 6)
        0.25
        >>> effective_gate(mixture.exp(), g, h)
        Traceback (most recent call last):
        ...
        ValueError: `model` must hold log-probabilities, rows with a logsumexp of 0 within 0.001; got 1.201
    """
    given = {"model": model, "g": g, "h": h, "weights": weights}
    tensors = as_tensors(given)
    for name in ("model", "g", "h"):
        require_log_probabilities(name, tensors[name])
    found = nearest_mixture(**tensors, tolerance=tolerance)
    return _as_given(model, found)


def nearest_mixture(
    model: Tensor, g: Tensor, h: Tensor, weights: Tensor | None = None, *, tolerance: float = 1e-10
) -> EffectiveGate[Tensor]:
    """`effective_gate` of tensors without the check of their rows: for those just made, and for clipped predictors.

    Example:
        >>> g, h = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.2, 0.8]]).log()
        >>> nearest_mixture(h, g, h).alpha.item()
        0.0
    """
    require_outputs({"model": model, "g": g, "h": h}, Tensor.isposinf, "log-probabilities; got inf")
    tolerance = require_scalar("tolerance", require_positive("tolerance", tolerance))
    log_t, p_g, p_h = model.double(), g.double().exp(), h.double().exp()
    w = normalised(weights, log_t)
    mass = w.unsqueeze(-1) * log_t.exp()
    gap = p_g - p_h

    def slopes(alpha: Tensor) -> tuple[Tensor, Tensor]:
        ratio = gap / torch.addcmul(p_h, gap, alpha[..., None, None]).clamp_min(1e-300)
        first = mass * ratio
        return -first.sum((-2, -1)), (first * ratio).sum((-2, -1))

    low = torch.zeros(log_t.shape[:-2], dtype=torch.float64, device=log_t.device)
    high, alpha = torch.ones_like(low), torch.full_like(low, 0.5)
    at_zero, at_one = slopes(low)[0], slopes(high)[0]
    done = (at_zero >= 0) | (at_one <= 0)
    for _ in range(200):
        first, second = slopes(alpha)
        low, high = torch.where(first < 0, alpha, low), torch.where(first < 0, high, alpha)
        newton = alpha - first / second.clamp_min(1e-300)
        inside = (newton >= low) & (newton <= high)
        step = torch.where(inside, newton, (low + high) / 2)
        moved = (step - alpha).abs()
        alpha = torch.where(done, alpha, step)
        short = (moved < tolerance) & ~done
        if bool(short.any()):  # beside an edge a step can be short far from the minimum: the slope must change its sign
            beyond = torch.where(first < 0, step + tolerance, step - tolerance).clamp(0, 1)
            before = (slopes(beyond)[0] < 0) == (first < 0)
            low = torch.where(short & before & (first < 0), beyond, low)
            high = torch.where(short & before & (first >= 0), beyond, high)
            done |= short & ~before
        done |= high - low < tolerance
        if bool(done.all()):
            break
    else:
        raise ArithmeticError(f"the effective gate was not found for {int((~done).sum())} of {done.numel()} cells")
    alpha = torch.where(at_zero >= 0, 0.0, torch.where(at_one <= 0, 1.0, alpha))
    mixture = torch.addcmul(p_h, gap, alpha[..., None, None]).clamp_min(1e-300).log()
    residual = torch.where(mass > 0, mass * (log_t - mixture), 0.0).sum((-2, -1))
    agree = (gap.abs() * (w > 0).unsqueeze(-1)).amax((-2, -1)) < 1e-12
    return EffectiveGate(torch.where(agree, torch.nan, alpha), residual)


def effective_gate_squared(model: Array, g: Array, h: Array, weights: Array | None = None) -> EffectiveGate[Array]:
    r"""Effective gate of a model that answers with a number or a vector (regression).

    .. math:: \alpha^* = \mathrm{clip}_{[0,1]} \frac{\sum_i w_i \langle T_i - h_i, g_i - h_i \rangle}
        {\sum_i w_i \|g_i - h_i\|^2}

    Args:
        model: outputs T of the model, shape (..., n, m); a tensor or an array of numpy, as the other arguments.
        g: outputs of the in-weight predictor, same shape.
        h: outputs of the in-context predictor, same shape.
        weights: as in `effective_gate`.

    Returns:
        `EffectiveGate`; the residual is the weighted mean of the squared distance.

    Raises:
        TypeError: when an argument is no tensor and no array of real numbers, or tensors are mixed with arrays.
        ValueError: when shapes differ, an output is not finite, or weights are not finite, negative or sum to zero.

    Example:
        >>> g, h = torch.ones(5, 1), torch.zeros(5, 1)
        >>> effective_gate_squared(0.25 * g, g, h).alpha.item()
        0.25
    """
    tensors = as_tensors({"model": model, "g": g, "h": h, "weights": weights})
    of_model, of_g, of_h = tensors["model"], tensors["g"], tensors["h"]
    require_outputs({"model": of_model, "g": of_g, "h": of_h}, Tensor.isinf, "finite; got an infinite output")
    t, of_g, of_h = of_model.double(), of_g.double(), of_h.double()
    w = normalised(tensors["weights"], t)
    gap = of_g - of_h
    power = (w * gap.square().sum(-1)).sum(-1)
    alpha = ((w * ((t - of_h) * gap).sum(-1)).sum(-1) / power).clamp(0, 1)
    error = (w * (t - of_h - alpha[..., None, None].nan_to_num() * gap).square().sum(-1)).sum(-1)
    return _as_given(model, EffectiveGate(alpha, error))


def _as_given(model: Any, found: EffectiveGate[Tensor]) -> EffectiveGate[Any]:
    return found if isinstance(model, Tensor) else EffectiveGate(*(part.numpy() for part in found))
