r"""Effective weights: the mixture of m predictors that is nearest to what a model answers, and how well it is known.

With two predictors these are the effective gate and its complement. With more of them rivals are laid beside the two
that a theory names: a predictor that explains nothing gets no weight, and predictors that cannot be told apart are
shown by a curvature of 0.
"""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gating.gates.effective import nearest_mixture
from gating.gates.outputs import as_tensors, normalised, require_log_probabilities, require_outputs
from theory.fields import shown
from theory.simplex import certified, simplex_weights
from theory.validation import Floats

__all__ = ["EffectiveWeights", "effective_weights"]

Array = TypeVar("Array", Tensor, NDArray[Any])


class EffectiveWeights(NamedTuple, Generic[Array]):
    """Result of a fit, in tensors where tensors were given and in arrays where arrays were.

    Attributes:
        weights: weight of each predictor, shape (..., m), on the simplex; NaN where all predictors agree on every
            sequence, or exclude all that the model answers, since then no weights are better than others.
        residual: mean KL divergence in nats that the best mixture leaves, shape (...).
        violation: largest violation of the optimality conditions, shape (...), >= 0: no mixture has a residual that is
            smaller by more than this.
        curvature: smallest eigenvalue of the Hessian on directions that keep the sum of the weights, shape (...), in
            nats; near 0 some predictors are (nearly) mixtures of others, and the weights are one answer of many.
    """

    weights: Array
    residual: Array
    violation: Array
    curvature: Array


def effective_weights(
    model: Array, predictors: Sequence[Array], weights: Array | None = None, *, tolerance: float = 1e-10
) -> EffectiveWeights[Array]:
    r"""Weights of m >= 2 predictors whose mixture is nearest to the answers of a model.

    .. math:: \arg\min_{w \in \Delta_m} \sum_i v_i \,\mathrm{KL}(T_i \,\|\, \sum_j w_j p_{ij})

    Convex. Optimal exactly where :math:`E[T p_j / \mathrm{mix}] \le 1` for every j; the largest violation of this is
    returned with the weights. Two predictors are solved by `effective_gate`, more by interior-point steps on all
    leading dimensions side by side, on the processor wherever the tensors are.

    Args:
        model: log-probabilities of the model T, shape (..., n, C), in nats, as in `effective_gate`.
        predictors: log-probabilities of m >= 2 predictors p_j, a list of arrays or tensors of the shape of `model`.
        weights: non-negative weights v of the n sequences, shape (n,) or (..., n); uniform when None. They are
            normalised to sum to 1.
        tolerance: largest violation, > 0; with two predictors the distance of `effective_gate`.

    Returns:
        `EffectiveWeights` in float64.

    Raises:
        TypeError: when an argument is no tensor and no array of real numbers, or tensors are mixed with arrays.
        ValueError: when there are fewer than two predictors, shapes differ, a row is none of log-probabilities, or
            weights are not finite, negative or sum to zero.
        ArithmeticError: when the search does not end.

    Example:
        >>> known = [torch.tensor([p]).log() for p in ([0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8])]
        >>> model = (0.3 * known[0].exp() + 0.7 * known[1].exp()).log()
        >>> found = effective_weights(model, known)
        >>> found.weights.round(decimals=4).tolist(), found.violation.item() < 1e-6
        ([0.3, 0.7, 0.0], True)

    Source: docs/theory.md, statements 7.1 to 7.3.
    """
    held = predictors if isinstance(predictors, (list, tuple)) else []
    if len(held) < 2 or not all(isinstance(part, (Tensor, np.ndarray)) for part in held):
        raise ValueError(f"`predictors` must be a list of two or more arrays or tensors; got {shown(predictors)}")
    named = {"model": model, **{f"predictors[{j}]": part for j, part in enumerate(predictors)}}
    tensors = as_tensors({**named, "weights": weights})
    v = tensors.pop("weights")
    for name, value in tensors.items():
        require_log_probabilities(name, value)
    require_outputs(tensors, Tensor.isposinf, "log-probabilities; got inf")
    log_t, *log_p = [value.detach().double() for value in tensors.values()]
    mass = (normalised(v, log_t).unsqueeze(-1) * log_t.exp()).cpu().numpy()
    shape = tuple(log_t.shape[:-2])
    cells = (int(np.prod(shape)), -1)
    alpha = None
    if len(log_p) == 2:
        alpha = nearest_mixture(log_t, log_p[0], log_p[1], v, tolerance=tolerance).alpha.cpu().numpy().reshape(-1)
    logs = np.stack([part.cpu().numpy().reshape(cells) for part in log_p], axis=1)
    parts = _fit(mass.reshape(cells), log_t.cpu().numpy().reshape(cells), logs, alpha, tolerance)
    found: list[Any] = [part.reshape(shape + part.shape[1:]) for part in parts]
    if not isinstance(model, Tensor):
        return EffectiveWeights(*found)
    return EffectiveWeights(*(torch.from_numpy(part).to(model.device) for part in found))


def _fit(mass: Floats, log_t: Floats, logs: Floats, alpha: Floats | None, tolerance: float) -> tuple[Floats, ...]:
    """The fields of `EffectiveWeights`, of cells (cells, K) and predictors (cells, m, K)."""
    top = logs.max(axis=1)
    top[np.isneginf(top)] = 0.0  # outcomes that all exclude
    p = np.exp(logs - top[:, None])
    there = (mass > 0)[:, None]
    agree = (np.abs(np.exp(logs) - np.exp(logs[:, :1])) * there).max(axis=(1, 2)) < 1e-12
    defined = ~agree & (p * there).any(axis=(1, 2))
    w = np.full(p.shape[:2], np.nan)
    violation, curvature = np.zeros(len(p)), np.zeros(len(p))
    if alpha is None:
        solved = simplex_weights(mass[defined], p[defined], tolerance=tolerance) if defined.any() else None
    else:
        defined |= ~np.isnan(alpha)
        solved = certified(mass[defined], p[defined], np.stack([alpha, 1 - alpha], axis=1)[defined])
    if solved is not None:
        w[defined], violation[defined], curvature[defined] = solved
    known = np.where(np.isnan(w), 1 / w.shape[1], w)
    log_mix = np.log(np.maximum((known[:, None] @ p)[:, 0], 1e-300)) + top
    gaps = np.where(mass > 0, mass * (np.where(mass > 0, log_t, 0.0) - log_mix), 0.0)
    return w, np.asarray(gaps.sum(axis=1)), violation, curvature
