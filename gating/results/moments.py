"""What the interval of a mean needs of the rows of a group: sums that can be made of parts and put together.

Parts with S_i values of mean m_i and squared deviations Q_i have, together, the mean m = sum S_i m_i / sum S_i and the
squared deviations sum Q_i + sum S_i (m_i - m)^2: nothing is lost to cancellation, whatever the order of the parts.

Source: Chan, Golub and LeVeque (1983), for two parts at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import Floats, require_integer

__all__ = ["ROUNDING", "Moments", "grouped_moments", "leaves", "ranges", "reals_with_gaps"]


ROUNDING = 1e-9
"""Relative difference below which two values are the same."""


class Moments(NamedTuple):
    """Sums over the rows of each group, arrays of shape (groups,).

    Attributes:
        seeds: how many values are known.
        mean: their mean; NaN where none is known.
        spread: sum of their squared deviations from the mean; 0 or NaN where the mean is infinite.
        counted: how many values say over how many test sequences they are means.
        inverse_tests: sum of the inverse numbers of these.
        judged: how many values have a standard error.
        squares: sum of the squares of these.
        freedom: degrees of freedom of these: test sequences, less one for each value.
    """

    seeds: Floats
    mean: Floats
    spread: Floats
    counted: Floats
    inverse_tests: Floats
    judged: Floats
    squares: Floats
    freedom: Floats

    @classmethod
    def merged(cls, parts: Sequence[Moments], groups: NDArray[np.int64], n: int) -> Moments:
        """Moments of the groups that parts make up together.

        Args:
            parts: moments of the parts.
            groups: new group, from 0 to n - 1, of each group of the parts, one part after the other.
            n: number of new groups.

        Example:
            >>> parts = [grouped_moments([0], [value], 1) for value in (0.25, 0.75)]
            >>> found = Moments.merged(parts, np.array([0, 0]), 1)
            >>> found.mean.tolist(), found.spread.tolist()
            ([0.5], [0.125])
        """
        rows = cls._make(np.concatenate(column) for column in zip(*parts, strict=True))
        sums = rows._asdict()
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            seeds = _sum(groups, n, rows.seeds)
            mean = _sum(groups, n, rows.seeds * rows.mean) / seeds
            sums["spread"] = rows.spread + rows.seeds * (rows.mean - mean[groups]) ** 2
        return cls(**{name: _sum(groups, n, column) for name, column in sums.items()})._replace(mean=mean)


def grouped_moments(
    groups: ArrayLike,
    values: ArrayLike,
    n_groups: int,
    *,
    tests: ArrayLike = np.nan,
    standard_errors: ArrayLike = np.nan,
    low: ArrayLike = -np.inf,
    high: ArrayLike = np.inf,
) -> Moments:
    """Moments of the groups of rows, which may come in any order.

    Args:
        groups: group of each row, integers from 0 to n_groups - 1, shape (rows,).
        values: value of each row, NaN where it is missing, shape (rows,).
        n_groups: number of groups, >= 0.
        tests: number of test sequences of each row, NaN where unknown, broadcast to (rows,).
        standard_errors: standard error of each row over its test sequences, likewise.
        low: least value that can be measured in each group, broadcast to (groups,).
        high: largest one, likewise.

    Raises:
        ValueError: when an argument is not in its set, or a value not in the range of its group.

    Example:
        >>> found = grouped_moments([0, 1, 0], [0.25, 5.0, 0.75], 2)
        >>> found.mean.tolist(), found.spread.tolist()
        ([0.5, 5.0], [0.125, 0.0])
    """
    group, value = reals_with_gaps("groups", groups), reals_with_gaps("values", values)
    require_integer("n_groups", n_groups)
    if group.ndim != 1 or not ((group >= 0) & (group < n_groups) & (group % 1 == 0)).all():
        raise ValueError(f"`groups` must be integers from 0 to {n_groups - 1}, shape (rows,); got {groups!r}")
    if value.shape != group.shape:
        raise ValueError(f"`values` must have one number for each of {len(group)} rows; got shape {value.shape}")
    of_row = group.astype(np.int64)
    least, largest = ranges(n_groups, low, high)
    outside = leaves(value, least[of_row], largest[of_row])
    if outside.any():
        raise ValueError(f"`values` must be from `low` to `high` of their group; got {value[outside][:8].tolist()}")
    missing = np.isnan(value)
    count = np.where(missing, np.nan, reals_with_gaps("tests", tests, shape=value.shape, least=1))
    error = np.where(missing, np.nan, reals_with_gaps("standard_errors", standard_errors, shape=value.shape, least=0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        seeds = _known(of_row, n_groups, value)
        mean = _sum(of_row, n_groups, value) / seeds
        return Moments(
            seeds=seeds,
            mean=mean,
            spread=_sum(of_row, n_groups, (value - mean[of_row]) ** 2),
            counted=_known(of_row, n_groups, count),
            inverse_tests=_sum(of_row, n_groups, 1 / count),
            judged=_known(of_row, n_groups, error),
            squares=_sum(of_row, n_groups, error**2),
            freedom=_sum(of_row, n_groups, np.where(np.isnan(error), np.nan, count - 1)),
        )


def ranges(n_groups: int, low: ArrayLike, high: ArrayLike) -> tuple[Floats, Floats]:
    """Least and largest values of each group, checked; two arrays of shape (groups,).

    Raises:
        ValueError: they are not numbers, or a least value is not less than the largest.
    """
    least, largest = (reals_with_gaps(name, end, shape=(n_groups,)) for name, end in (("low", low), ("high", high)))
    if not (least < largest).all():
        raise ValueError(f"`low` must be less than `high`; got {low!r} and {high!r}")
    return least, largest


def leaves(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.bool_]:
    """Where values leave their range by more than rounding; missing values do not.

    Example:
        >>> leaves([1 + 1e-12, 1.1, np.inf, np.nan], 0.0, 1.0).tolist()
        [False, True, True, False]
    """
    value, least, largest = (np.asarray(number, np.float64) for number in (values, low, high))
    slack = ROUNDING * np.maximum(1.0, np.abs(np.clip(value, least, largest)))
    return np.asarray((value < least - slack) | (value > largest + slack))


def reals_with_gaps(
    name: str, value: ArrayLike, *, shape: tuple[int, ...] | None = None, least: float = -np.inf
) -> Floats:
    """Real numbers as a float64 array; NaN stands for a missing one, and infinity is a number.

    Args:
        name: what the argument is called in errors.
        value: the numbers.
        shape: the shape that they are broadcast to; their own when None.
        least: least number allowed.

    Raises:
        ValueError: when a number is less, or there are not numbers of this shape.

    Example:
        >>> reals_with_gaps("tests", [0, 200], least=1)
        Traceback (most recent call last):
        ...
        ValueError: `tests` must be numbers >= 1, NaN where unknown; got [0, 200]
    """
    try:
        array = np.asarray(value)
    except ValueError as ragged:
        raise ValueError(f"`{name}` must be real numbers; got {value!r}") from ragged
    if array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` must be real numbers; got {value!r}")
    if (array < least).any():
        raise ValueError(f"`{name}` must be numbers >= {least:g}, NaN where unknown; got {value!r}")
    try:
        return np.broadcast_to(array, array.shape if shape is None else shape).astype(np.float64)
    except ValueError as misfit:
        raise ValueError(f"`{name}` must be one number or have shape {shape}; got shape {array.shape}") from misfit


def _sum(groups: NDArray[np.int64], n: int, rows: Floats) -> Floats:
    return np.bincount(groups, np.where(np.isnan(rows), 0.0, rows), n).astype(np.float64)


def _known(groups: NDArray[np.int64], n: int, rows: Floats) -> Floats:
    return np.bincount(groups[~np.isnan(rows)], minlength=n).astype(np.float64)
