"""Checks of arguments: each names the argument, the allowed set and the value got."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.fields import LARGEST_WHOLE, figure, plain, shown

__all__ = [
    "LARGEST_TABLE",
    "Floats",
    "is_integer",
    "require_choice",
    "require_count",
    "require_instances",
    "require_integer",
    "require_integers",
    "require_nonnegative",
    "require_positive",
    "require_probability",
    "require_reals",
    "require_scalar",
    "require_sizes",
    "require_within",
]

Floats = NDArray[np.float64]
LARGEST_TABLE = 2**28
"""Most numbers of one table, 1 GiB in float32: what would need more is a slip rather than a model."""


def is_integer(value: Any) -> bool:
    """Whether a value is an integer of Python or numpy; booleans and whole floats are not.

    Example:
        >>> is_integer(3), is_integer(3.0), is_integer(True)
        (True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def require_integer(name: str, value: Any, *, least: int = 0, most: float = math.inf) -> int:
    """The value as a Python integer in a range; unlike :func:`require_count`, whole floats are refused.

    Example:
        >>> require_integer("width", 64.0, least=1)
        Traceback (most recent call last):
        ...
        ValueError: `width` must be an integer >= 1; got 64.0
    """
    if not is_integer(value) or not least <= value <= most:
        raise ValueError(f"`{name}` must be an integer {_range(least, most)}; got {shown(value)}")
    return int(value)


def require_integers(name: str, values: Any, *, least: int = 0, most: float = math.inf) -> list[int]:
    """The values of a list, a tuple or an array of numpy as Python integers in a range, at least one of them.

    Example:
        >>> require_integers("n_tasks", [4, 0], least=1, most=2**20)
        Traceback (most recent call last):
        ...
        ValueError: `n_tasks` must be one or more integers in 1 .. 2^20; got 0
    """
    held, wrong = plain(values), [values]
    if isinstance(held, (tuple, range)) and held:
        wrong = [value for value in held if not is_integer(value) or not least <= value <= most]
    if wrong:
        raise ValueError(f"`{name}` must be one or more integers {_range(least, most)}; got {shown(wrong[0])}")
    return list(held)


def _range(least: int, most: float) -> str:
    return f">= {least}" if most == math.inf else f"in {figure(least)} .. {figure(most)}"


def require_sizes(**sizes: Any) -> None:
    """Checks the sizes of one table: integers >= 1 whose product is at most `LARGEST_TABLE`.

    Example:
        >>> require_sizes(width=2**20, hidden=2**20)
        Traceback (most recent call last):
        ...
        ValueError: `width` x `hidden` must be at most 2^28; got 1048576 x 1048576
    """
    numbers = math.prod(require_integer(name, size, least=1) for name, size in sizes.items())
    if numbers > LARGEST_TABLE:
        names = " x ".join(f"`{name}`" for name in sizes)
        raise ValueError(f"{names} must be at most 2^28; got {' x '.join(map(shown, sizes.values()))}")


def require_instances(**arguments: tuple[Any, Any]) -> None:
    """Checks that each argument, given as ``name=(value, class)``, is of its class.

    Example:
        >>> require_instances(cover_classes=(1, bool))
        Traceback (most recent call last):
        ...
        ValueError: `cover_classes` must be a bool; got 1
    """
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind):
            raise ValueError(f"`{name}` must be a {getattr(kind, '__name__', kind)}; got {shown(value)}")


def _fail(name: str, allowed: str, value: Any) -> ValueError:
    try:
        got = np.array2string(np.asarray(value), threshold=8)
    except Exception:  # a ragged list, a number of too many digits, a tensor that numpy cannot read
        got = shown(value)
    return ValueError(f"`{name}` must be {allowed}; got {got}")


def require_reals(name: str, value: ArrayLike, *, allowed: str = "finite real numbers") -> Floats:
    """The value as a float64 array (0-d for a scalar); no booleans, text, NaN or infinity.

    Raises:
        ValueError: "`name` must be <allowed>; got <value>".

    Example:
        >>> require_reals("step", [1, 2.5]).tolist()
        [1.0, 2.5]
    """
    try:
        array = np.asarray(value)
    except Exception as unreadable:
        raise _fail(name, allowed, value) from unreadable
    if array.dtype.kind not in "iuf" or array.size == 0 or not np.isfinite(array).all():
        raise _fail(name, allowed, value)
    return array.astype(np.float64)


def require_within(name: str, value: ArrayLike, allowed: str, holds: Callable[[Floats], Any]) -> Floats:
    """The value as by `require_reals`, if a condition holds for each of its numbers.

    Example:
        >>> require_within("log_prior", [-1, 2], "finite numbers <= 0", lambda x: x <= 0)
        Traceback (most recent call last):
        ...
        ValueError: `log_prior` must be finite numbers <= 0; got [-1  2]
    """
    array = require_reals(name, value, allowed=allowed)
    if not np.all(holds(array)):
        raise _fail(name, allowed, value)
    return array


def require_probability(name: str, value: ArrayLike, *, above_zero: bool = False, below_one: bool = False) -> Floats:
    """The value as an array of numbers in [0, 1]; 0 or 1 can be left out.

    Example:
        >>> require_probability("p_high", 1.5, below_one=True)
        Traceback (most recent call last):
        ...
        ValueError: `p_high` must be in [0, 1); got 1.5
    """
    allowed = f"in {'(' if above_zero else '['}0, 1{')' if below_one else ']'}"
    low, high = operator.gt if above_zero else operator.ge, operator.lt if below_one else operator.le
    return require_within(name, value, allowed, lambda p: low(p, 0) & high(p, 1))


def require_count(name: str, value: ArrayLike, *, least: int = 0) -> Floats:
    """The value as a float64 array of whole numbers from ``least`` to 2^53 (``1e12`` counts as whole).

    Example:
        >>> require_count("n_sequences", 2.5)
        Traceback (most recent call last):
        ...
        ValueError: `n_sequences` must be an integer >= 0; got 2.5
    """
    allowed = f"an integer >= {least}"
    require_within(name, value, allowed, lambda n: (n >= least) & (n == np.floor(n)))
    return require_within(name, value, f"{allowed} and at most 2^53", lambda n: n <= LARGEST_WHOLE)


def require_positive(name: str, value: ArrayLike, *, infinite: bool = False) -> Floats:
    """The value as an array of numbers > 0, finite unless infinity is allowed.

    Example:
        >>> require_positive("n_items", [1, np.inf], infinite=True).tolist()
        [1.0, inf]
        >>> require_positive("n_items", -np.inf, infinite=True)
        Traceback (most recent call last):
        ...
        ValueError: `n_items` must be a number > 0, infinity allowed; got -inf
    """
    if not infinite:
        return require_within(name, value, "a finite number > 0", lambda x: x > 0)
    allowed = "a number > 0, infinity allowed"
    try:
        endless = np.asarray(np.isposinf(np.asarray(value)))
    except (TypeError, ValueError):  # no numbers, which is said below
        endless = np.zeros((), np.bool_)
    found = require_within(name, np.where(endless, 1.0, value) if endless.any() else value, allowed, lambda x: x > 0)
    return np.where(endless, np.inf, found)


def require_nonnegative(name: str, value: ArrayLike) -> Floats:
    """The value as an array of finite numbers >= 0."""
    return require_within(name, value, "a finite number >= 0", lambda x: x >= 0)


def require_choice(name: str, value: str, choices: Sequence[str]) -> str:
    """The value, which must be one of the choices.

    Example:
        >>> require_choice("loss", "hinge", ("log_loss", "linear_loss"))
        Traceback (most recent call last):
        ...
        ValueError: `loss` must be one of ('log_loss', 'linear_loss'); got 'hinge'
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"`{name}` must be one of {tuple(choices)}; got {shown(value)}")
    return value


def require_scalar(name: str, value: Floats) -> float:
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
