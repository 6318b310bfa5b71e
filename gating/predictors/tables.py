"""What the Bayesian predictors share: checked tables of tasks, checked sequences, and work in blocks of rows."""

from collections.abc import Iterator

from torch import Tensor

from gating.tasks.sequences import Sequences
from gating.validation import holds_numbers
from theory.fields import shown
from theory.validation import require_integer

__all__ = ["finite_table", "require_finite", "require_labels", "require_pairs", "row_blocks"]


def require_finite(name: str, value: Tensor, shape: str, *, dims: int) -> None:
    """Checks that the value is a tensor of finite numbers, of `dims` dimensions and, in words, a shape.

    Raises:
        ValueError: naming the argument, the allowed set and the value.
    """
    allowed = f"`{name}` must be a tensor of finite numbers {shape}"
    if not holds_numbers(value):
        raise ValueError(f"{allowed}; got {shown(value)}")
    if value.dim() != dims or not value.numel():
        raise ValueError(f"{allowed}; got shape {tuple(value.shape)}")
    if not bool(value.isfinite().all()):
        raise ValueError(f"{allowed}; got {int((~value.isfinite()).sum())} that are not finite")


def finite_table(name: str, value: Tensor) -> Tensor:
    """The value as a float64 table of finite numbers, shape (D, m), D and m >= 1.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> import torch
        >>> finite_table("items", torch.tensor([[0.0, torch.nan]]))
        Traceback (most recent call last):
        ...
        ValueError: `items` must be a tensor of finite numbers of shape (D, m), D and m >= 1; got 1 that are not finite
    """
    require_finite(name, value, "of shape (D, m), D and m >= 1", dims=2)
    return value.detach().double()


def require_labels(name: str, value: Tensor, n_labels: int) -> Tensor:
    """The value as int64 labels in 0 .. n_labels - 1, any shape.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> import torch
        >>> require_labels("labels", torch.tensor([0, 2]), 2)
        Traceback (most recent call last):
        ...
        ValueError: `labels` must be integers in 0 .. 1; got values from 0 to 2
    """
    allowed = f"`{name}` must be integers in 0 .. {n_labels - 1}"
    if not holds_numbers(value, integers=True):
        raise ValueError(f"{allowed}; got {shown(value)}")
    if value.numel() and bool(((value < 0) | (value >= n_labels)).any()):
        raise ValueError(f"{allowed}; got values from {int(value.min())} to {int(value.max())}")
    return value.long()


def require_pairs(sequences: Sequences, dim: int) -> Tensor:
    """Inputs of the sequences, finite, shape (..., T, dim), one for each of their answers.

    Raises:
        ValueError: naming the field, the allowed set and the value.
    """
    x, shape = sequences.x, (*sequences.y.shape, dim)
    if x.shape != shape or not sequences.y.dim() or not sequences.y.shape[-1]:
        shapes = f"{tuple(x.shape)} and {tuple(sequences.y.shape)}"
        raise ValueError(f"`sequences.x` must have shape (..., T, {dim}), y (..., T), T >= 1; got {shapes}")
    if not bool(x.isfinite().all()):
        raise ValueError(f"`sequences.x` must be finite; got {int((~x.isfinite()).sum())} of {x.numel()} that are not")
    return x


def row_blocks(n_rows: int, row_size: int, chunk: int) -> Iterator[slice]:
    """Slices that cover ``n_rows`` rows, with at most ``chunk`` numbers (or one row) in each.

    Example:
        >>> list(row_blocks(5, 10, 25))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    rows = max(1, require_integer("chunk", chunk, least=1) // max(1, row_size))
    return (slice(start, start + rows) for start in range(0, n_rows, rows))
