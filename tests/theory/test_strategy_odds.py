"""Odds, transition times and exponents of the loss-complexity posterior: formulas, limits and bad input."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from theory import strategies
from theory.strategies import log_odds, price_of_memory, transition_exponent, transition_time

RATE = {"alpha": 0.4, "beta": 0.6, "gamma": 3.0}
VALID: dict[str, Any] = {
    "steps": [10.0, 1000.0],
    "n_tasks": [2.0, 8.0],
    "loss_gap": [0.3, 0.1],
    "complexity_m": [900.0, 3000.0],
    "complexity_g": 500.0,
    **RATE,
}


def test_limits_of_the_odds() -> None:
    price = price_of_memory(900.0, 500.0, beta=0.6)
    assert log_odds(0, 0.3, 900.0, 500.0, **RATE) == -price
    assert log_odds(1e6, 0.0, 900.0, 500.0, **RATE) == -price
    assert log_odds(7, 0.3, 800.0, 800.0, **RATE) == pytest.approx(3.0 * 7**0.6 * 0.3, rel=1e-14)
    assert log_odds(7, 0.3, 900.0, 500.0, alpha=0.0, beta=0.0, gamma=1.0) == pytest.approx(2.1, rel=1e-14)
    slow, fast = (log_odds(1e4, 0.3, 900.0, 500.0, alpha=a, beta=0.6, gamma=3.0) for a in (0.999999, 0.0))
    assert slow == pytest.approx(0.9 - price, abs=1e-4)  # alpha near 1: the steps do not count
    assert fast > 8000


def test_odds_vanish_at_the_transition() -> None:
    generator = np.random.default_rng(0)
    gap, k_g = generator.uniform(0.01, 1, 500), generator.uniform(1, 1e4, 500)
    k_m, alpha = k_g * generator.uniform(1.01, 50, 500), generator.uniform(0, 0.9, 500)
    rate = {"alpha": alpha, "beta": generator.uniform(0.1, 1.5, 500), "gamma": generator.uniform(0.1, 9, 500)}
    time = transition_time(gap, k_m, k_g, **rate)
    price = price_of_memory(k_m, k_g, beta=rate["beta"])
    inside = time < 1e100
    assert inside.mean() > 0.5
    odds = log_odds(np.where(inside, time, 1.0), gap, k_m, k_g, **rate)
    np.testing.assert_allclose(odds[inside] / price[inside], 0, atol=1e-9)


@pytest.mark.parametrize(
    ("gap", "k_m", "expected"), [(0.1, 400.0, 0.0), (0.1, 500.0, 0.0), (-0.1, 400.0, 0.0), (-0.1, 900.0, np.inf)]
)
def test_where_no_transition_is_to_be_waited_for(gap: float, k_m: float, expected: float) -> None:
    assert transition_time(gap, k_m, 500.0, **RATE) == expected


def test_units_of_time_are_absorbed_by_gamma() -> None:
    steps, batch = np.array([1.0, 50.0, 2e4]), 64
    scaled = {**RATE, "gamma": RATE["gamma"] * batch ** (RATE["alpha"] - 1)}
    by_step = log_odds(steps, 0.2, 900.0, 500.0, **RATE)
    np.testing.assert_allclose(log_odds(steps * batch, 0.2, 900.0, 500.0, **scaled), by_step, rtol=1e-12)


def test_exponent_is_the_slope_of_the_transition_time() -> None:
    d = np.array([2.0, 4.0, 32.0, 512.0])
    gap, k_m = 0.7 / np.sqrt(d + 3), 256 * d + 4000
    slopes = transition_exponent(d, gap, k_m, 3000.0, alpha=0.4, beta=0.6)
    log_time = np.log(transition_time(gap, k_m, 3000.0, **RATE))
    np.testing.assert_allclose(slopes.total, np.diff(log_time) / np.diff(np.log(d)), rtol=1e-12)
    np.testing.assert_allclose(slopes.from_price + slopes.from_gap, slopes.total, rtol=1e-14)


def complaint_of(function: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """The message of a ValueError, empty when there is none."""
    try:
        result = function(**arguments)
    except ValueError as error:
        return str(error)
    return "NaN" if np.isnan(np.asarray(result)).any() else ""


@pytest.mark.parametrize("function", [getattr(strategies, n) for n in strategies.__all__ if n[0].islower()])
def test_bad_arguments_are_named_or_harmless(function: Callable[..., Any]) -> None:
    valid = {name: VALID[name] for name in inspect.signature(function).parameters}
    assert not complaint_of(function, valid)
    for name in valid:
        bad_values = (None, "text", True, [], np.nan, np.inf, -1.0, -0.5, 0, 1, 1.5, 1e300, 1j, [0.1, np.nan])
        complaints = [complaint_of(function, {**valid, name: bad}) for bad in bad_values]
        about_the_price = ("`complexity_m minus complexity_g`", "`beta` must be such")  # depends on three arguments
        assert all(c == "" or c.startswith((f"`{name}`", *about_the_price)) for c in complaints), complaints
        assert sum(c.startswith(f"`{name}`") for c in complaints) >= 7


def test_sentences() -> None:
    with pytest.raises(ValueError, match=r"`alpha` must be in \[0, 1\); got 1"):
        log_odds(1, 0.1, 9.0, 5.0, alpha=1.0, beta=1.0, gamma=1.0)
    with pytest.raises(ValueError, match="`gamma` must be a finite number > 0; got 0"):
        transition_time(0.1, 9.0, 5.0, alpha=0.5, beta=1.0, gamma=0)
    with pytest.raises(ValueError, match="`complexity_m` must be a finite number > 0"):
        price_of_memory(0.0, 5.0, beta=1.0)
    with pytest.raises(ValueError, match="`beta` must be such that the price of memory is finite"):
        price_of_memory(1e10, 5.0, beta=99.0)
    with pytest.raises(ValueError, match="`n_tasks` must be at least two rising numbers"):
        transition_exponent([4.0, 2.0], 0.1, 9.0, 5.0, alpha=0.5, beta=1.0)
    with pytest.raises(ValueError, match="`complexity_m minus complexity_g` must be a finite number > 0"):
        transition_exponent([2.0, 4.0], 0.1, 5.0, 5.0, alpha=0.5, beta=1.0)
