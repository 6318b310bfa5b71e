"""Bounds for learners from noisy inputs over a plane of settings: worked out at few points, interpolated between.

Bounds change smoothly with N, the mass of frequent classes, the Zipf exponent and the input noise. Along such an axis
every eighth value is worked out, and the middle of two as long as a cubic spline misses it; the others are
interpolated. The largest miss that was small enough, of a spline on nodes farther apart than those used, is taken off
lower bounds and added to upper ones.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate

from theory.distribution import GROUPS, ClassMixture
from theory.noisy_inputs import noisy_input_bounds
from theory.validation import Floats

__all__ = ["noisy_grid"]

Places = NDArray[np.int64]
Exact = Callable[[Places, Places], Floats]
COORDINATES: dict[str, Callable[[Floats], Floats]] = {
    "n_sequences": lambda n: np.log(n + 1),
    "p_high": lambda p: np.log(p / (1 - p)),
    "zipf": lambda s: s,
    "input_noise": np.log,
}
"""What interpolation is done in."""
WIDEST, ENOUGH = 8, 0.01  # first step between values worked out, and the relative error at which it is not halved
LINES = 5  # along which the second axis is looked at
_FLOOR = 1e-6  # added to bounds before logarithms


def noisy_grid(
    specs: Sequence[Sequence[ClassMixture]],
    sizes: Floats,
    axes: Sequence[tuple[str, Sequence[Any]]],
    *,
    cover_classes: bool,
) -> dict[str, tuple[Floats, Floats]]:
    """Bounds of `theory.noisy_inputs.noisy_input_bounds` on a plane, for each group that is never empty.

    Args:
        specs: for each value of the first axis and then, where the second is not N, of the second.
        sizes: N of each column: all values of the second axis, or one.
        axes: names and values of both axes; N is the second, if any.
        cover_classes: whether K of the inputs show every class once.

    Returns:
        Lower and upper bound, (values of the first axis, values of the second).
    """
    groups = [g for g in GROUPS if all(len(spec.group(g)) for row in specs for spec in row)]

    def exact(rows: Places, columns: Places) -> Floats:
        found = np.empty((2 * len(groups), len(rows), len(columns)))
        for i, row in enumerate(rows):
            by_spec = [columns] if len(specs[row]) == 1 else columns[:, None]
            for spec_columns in by_spec:
                spec = specs[row][0 if len(specs[row]) == 1 else spec_columns[0]]
                asked = np.array([sizes[c if len(sizes) > 1 else 0] for c in spec_columns])
                ends = noisy_input_bounds(asked, spec, cover_classes=cover_classes)
                at = np.searchsorted(columns, spec_columns)
                found[:, i, at] = [side for g in groups for side in ends[g]]
        return np.log(found + _FLOOR)

    coordinates = [_coordinate(name, values) for name, values in axes]
    values, error = _filled(exact, coordinates)
    wide = np.array([-error, error] * len(groups))[:, None, None]
    bounds = np.clip(np.exp(values + wide) - _FLOOR, 0, 1)
    return {g: (bounds[2 * i], bounds[2 * i + 1]) for i, g in enumerate(groups)}


def _coordinate(name: str, values: Sequence[Any]) -> tuple[Floats, bool]:
    """Where the values are, and whether bounds change smoothly between them."""
    if name in COORDINATES and None not in values:
        with np.errstate(divide="ignore", invalid="ignore"):  # values that are refused where they are used
            place = COORDINATES[name](np.array(values, dtype=np.float64))
        if np.isfinite(place).all() and (np.diff(place) > 0).all():
            return place, True
    return np.arange(len(values), dtype=np.float64), False


def _filled(exact: Exact, coordinates: Sequence[tuple[Floats, bool]]) -> tuple[Floats, float]:
    """Values on the whole plane, and by how much they may be wrong."""
    (first, first_smooth), (second, second_smooth) = coordinates
    lines = np.unique(np.linspace(0, len(first) - 1, LINES).round().astype(int))
    columns, _, error = _worked_out(lambda at: exact(lines, at), second, second_smooth)
    rows, values, more = _worked_out(lambda at: exact(at, columns).swapaxes(1, 2), first, first_smooth)
    values = _spline(first[rows], values, first).swapaxes(1, 2)
    return _spline(second[columns], values, second), error + more


def _worked_out(exact: Callable[[Places], Floats], at: Floats, smooth: bool) -> tuple[Places, Floats, float]:
    """Places to work out, values there on the last axis, and what interpolation from fewer of them errs.

    The middle between two places is worked out where interpolation was wrong beside it, and once more.
    """
    places = np.unique([*range(0, len(at), WIDEST if smooth else 1), len(at) - 1])
    values, open_, error = exact(places), places[:-1], 0.0
    while True:
        ends = places[np.searchsorted(places, open_) + 1]
        middle = ((open_ + ends) // 2)[ends - open_ > 1]
        if not len(middle):
            return places, values, error
        found = exact(middle)
        miss = np.abs(_spline(at[places], values, at[middle]) - found).max((0, 1))
        order = np.argsort(np.concatenate([places, middle]))
        places, values = np.concatenate([places, middle])[order], np.concatenate([values, found], axis=-1)[..., order]
        error = max(error, float(miss[miss <= ENOUGH].max(initial=0)))
        wrong = middle[miss > ENOUGH]
        open_ = np.sort(np.concatenate([places[np.searchsorted(places, wrong) - 1], wrong]))


def _spline(nodes: Floats, values: Floats, at: Floats) -> Floats:
    """Along the last axis."""
    if len(nodes) == len(at):
        return values
    return np.asarray(interpolate.make_interp_spline(nodes, values, k=min(3, len(nodes) - 1), axis=-1)(at))
