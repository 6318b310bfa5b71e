"""Checks of outputs that a model and its predictors gave: of one kind, one shape, log-probabilities where asked for."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_tensors", "normalised", "require_log_probabilities", "require_outputs"]

TOLERANCE = {torch.float16: 0.05, torch.bfloat16: 0.05}
ROUNDED = 1e-3
"""How far from 0 the logsumexp of a row may be, in float32 and float64: in `TOLERANCE`, in shorter formats. Float32
rounding over 100,000 labels stays within it, and so does clipping 1,000 labels at 1e-7."""


def as_tensors(given: dict[str, Any]) -> dict[str, Any]:
    """Arrays as tensors, tensors and None as they are; all must be of one kind.

    Example:
        >>> as_tensors({"g": np.ones(2), "weights": None})
        {'g': tensor([1., 1.], dtype=torch.float64), 'weights': None}
    """
    arrays = [name for name, value in given.items() if isinstance(value, np.ndarray)]
    tensors = [name for name, value in given.items() if isinstance(value, Tensor)]
    if arrays and tensors:
        raise TypeError(f"`{arrays[0]}` must be a tensor, as `{tensors[0]}` is, or both arrays; got an array")
    odd = [name for name in arrays if given[name].dtype.kind not in "fiu"]
    if odd:
        raise TypeError(f"`{odd[0]}` must be an array of real numbers; got one of {given[odd[0]].dtype}")
    made = {name: torch.from_numpy(np.array(given[name], dtype=_plain(given[name].dtype))) for name in arrays}
    return {**given, **made}


def _plain(dtype: np.dtype[Any]) -> Any:
    """What torch has of a type of numpy's: 16, 32 and 64 bits of floats, anything else as 64."""
    return dtype.newbyteorder("=") if dtype.kind == "f" and dtype.itemsize <= 8 else np.float64


def require_log_probabilities(name: str, value: Any) -> None:
    """That every row is one of log-probabilities; shapes and NaN are looked at by `require_outputs`, which follows.

    Example:
        >>> require_log_probabilities("g", torch.zeros(1, 2))
        Traceback (most recent call last):
        ...
        ValueError: `g` must hold log-probabilities, rows with a logsumexp of 0 within 0.001; got 0.6931
    """
    if not isinstance(value, Tensor) or value.is_complex() or not value.numel() or not value.dim():
        return
    tolerance = TOLERANCE.get(value.dtype, ROUNDED)
    sums = value.double().logsumexp(-1)
    worst = sums.flatten()[sums.abs().argmax()].item()  # NaN counts as the largest
    if abs(worst) > tolerance:
        wanted = f"log-probabilities, rows with a logsumexp of 0 within {tolerance:g}"
        raise ValueError(f"`{name}` must hold {wanted}; got {worst:.4g}")


def require_outputs(named: Mapping[str, Any], refused: Callable[[Tensor], Tensor], instead: str) -> None:
    """Checks that the values are real tensors of one shape (..., n, C) without NaN or a value that is refused.

    Example:
        >>> require_outputs({"model": torch.ones(2)}, Tensor.isinf, "finite")
        Traceback (most recent call last):
        ...
        ValueError: `model` must have one shape (..., n, C), n and C >= 1; got (2,)
    """
    for name, value in named.items():
        if not isinstance(value, Tensor) or value.is_complex():
            raise TypeError(f"`{name}` must be a tensor of real numbers; got {value!r}")
    shapes = [tuple(value.shape) for value in named.values()]
    if len(set(shapes)) > 1 or len(shapes[0]) < 2 or 0 in shapes[0][-2:]:
        names = _listed([f"`{name}`" for name in named])
        raise ValueError(f"{names} must have one shape (..., n, C), n and C >= 1; got {_listed(map(str, shapes))}")
    for name, value in named.items():
        if bool(value.isnan().any()):
            raise ValueError(f"`{name}` must have no NaN; got {int(value.isnan().sum())} of {value.numel()}")
        if bool(refused(value).any()):
            raise ValueError(f"`{name}` must be {instead}")


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def normalised(weights: Tensor | None, like: Tensor) -> Tensor:
    """Weights of the n sequences, or of each cell's, that sum to 1, in the shape (..., n) of the outputs `like`.

    Example:
        >>> normalised(torch.tensor([1.0, 3.0]), torch.zeros(2, 5)).tolist()
        [0.25, 0.75]
    """
    shape = like.shape[:-1]
    if weights is not None and (not isinstance(weights, Tensor) or weights.is_complex()):
        raise TypeError(f"`weights` must be a tensor of real numbers or None; got {weights!r}")
    w = torch.ones(shape[-1:], device=like.device) if weights is None else weights.to(like.device)
    fits = 1 <= w.dim() <= len(shape) and all(a in (1, b) for a, b in zip(w.shape[::-1], shape[::-1], strict=False))
    if not fits:
        raise ValueError(f"`weights` must broadcast to {tuple(shape)}; got shape {tuple(w.shape)}")
    if not bool(w.isfinite().all()):
        raise ValueError("`weights` must be finite; got NaN or an infinite weight")
    if bool((w < 0).any()) or not bool((w.sum(-1) > 0).all()):
        raise ValueError("`weights` must be >= 0 with a positive sum; got a negative weight or a zero sum")
    w = w.double().expand(*w.shape[:-1], shape[-1])
    return (w / w.sum(-1, keepdim=True)).expand(shape)
