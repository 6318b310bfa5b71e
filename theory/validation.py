"""Checks of numerical arguments: each names the argument, the allowed set and the value got."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "LARGEST_COUNT",
    "is_integer",
    "require_choice",
    "require_count",
    "require_distribution",
    "require_integer",
    "require_nonnegative",
    "require_positive",
    "require_probability",
    "require_reals",
    "require_scalar",
]

LARGEST_COUNT = 2.0**53  # integers up to here are exact in float64


def is_integer(value: Any) -> bool:
    """Whether a value is an integer of Python or numpy; booleans and whole floats are not.

    Example:
        >>> is_integer(3), is_integer(3.0), is_integer(True)
        (True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def require_integer(name: str, value: Any, *, least: int = 0) -> int:
    """The value as a Python integer from ``least`` on; unlike :func:`require_count`, whole floats are refused.

    Example:
        >>> require_integer("width", 64.0, least=1)
        Traceback (most recent call last):
        ...
        ValueError: `width` must be an integer >= 1; got 64.0
    """
    if not is_integer(value) or value < least:
        raise ValueError(f"`{name}` must be an integer >= {least}; got {value!r}")
    return int(value)


def _fail(name: str, allowed: str, value: Any) -> ValueError:
    return ValueError(f"`{name}` must be {allowed}; got {np.array2string(np.asarray(value), threshold=8)}")


def require_reals(name: str, value: ArrayLike, *, allowed: str = "finite real numbers") -> NDArray[np.float64]:
    """The value as a float64 array (0-d for a scalar); no booleans, text, NaN or infinity.

    Raises:
        ValueError: "`name` must be <allowed>; got <value>".

    Example:
        >>> require_reals("step", [1, 2.5]).tolist()
        [1.0, 2.5]
    """
    try:
        array = np.asarray(value)
    except ValueError as ragged:
        raise ValueError(f"`{name}` must be {allowed}; got {value!r}") from ragged
    if array.dtype.kind not in "iuf" or array.size == 0 or not np.isfinite(array).all():
        raise _fail(name, allowed, value)
    return array.astype(np.float64)


def require_probability(
    name: str, value: ArrayLike, *, above_zero: bool = False, below_one: bool = False
) -> NDArray[np.float64]:
    """The value as an array of numbers in [0, 1]; 0 or 1 can be left out.

    Example:
        >>> require_probability("p_high", 1.5, below_one=True)
        Traceback (most recent call last):
        ...
        ValueError: `p_high` must be in [0, 1); got 1.5
    """
    allowed = f"in {'(' if above_zero else '['}0, 1{')' if below_one else ']'}"
    array = require_reals(name, value, allowed=allowed)
    low = array > 0 if above_zero else array >= 0
    high = array < 1 if below_one else array <= 1
    if not (low & high).all():
        raise _fail(name, allowed, value)
    return array


def require_count(name: str, value: ArrayLike, *, least: int = 0) -> NDArray[np.float64]:
    """The value as a float64 array of whole numbers from ``least`` to 2^53 (``1e12`` counts as whole).

    Example:
        >>> require_count("n_sequences", 2.5)
        Traceback (most recent call last):
        ...
        ValueError: `n_sequences` must be an integer >= 0; got 2.5
    """
    allowed = f"an integer >= {least}"
    array = require_reals(name, value, allowed=allowed)
    if not ((array >= least) & (array == np.floor(array))).all():
        raise _fail(name, allowed, value)
    if (array > LARGEST_COUNT).any():
        raise _fail(name, f"{allowed} and at most 2^53", value)
    return array


def require_positive(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """The value as an array of finite numbers > 0."""
    array = require_reals(name, value, allowed="a finite number > 0")
    if not (array > 0).all():
        raise _fail(name, "a finite number > 0", value)
    return array


def require_nonnegative(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """The value as an array of finite numbers >= 0."""
    array = require_reals(name, value, allowed="a finite number >= 0")
    if not (array >= 0).all():
        raise _fail(name, "a finite number >= 0", value)
    return array


def require_distribution(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """The value as a vector of probabilities that sums to 1 (within 1e-9) along its last axis."""
    array = require_probability(name, value)
    if array.ndim == 0 or (np.abs(array.sum(axis=-1) - 1) > 1e-9).any():
        raise _fail(name, "probabilities that sum to 1", value)
    return array


def require_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """The value, which must be one of the choices.

    Example:
        >>> require_choice("loss", "hinge", ("log", "linear"))
        Traceback (most recent call last):
        ...
        ValueError: `loss` must be one of ('log', 'linear'); got 'hinge'
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"`{name}` must be one of {tuple(choices)}; got {value!r}")
    return value


def require_scalar(name: str, value: NDArray[np.float64]) -> float:
    """The number in a checked array of shape (); any other shape is an error.

    Example:
        >>> require_scalar("memory", require_nonnegative("memory", [1, 2]))
        Traceback (most recent call last):
        ...
        ValueError: `memory` must be one number; got [1. 2.]
    """
    if value.ndim:
        raise _fail(name, "one number", value)
    return float(value)
