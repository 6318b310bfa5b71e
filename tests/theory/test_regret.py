"""Arguments, limits and precision of the regret bounds; their mathematics is tested in tests/claims."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from theory.composition import cells_bound, composition_bound, online_to_batch_bound
from theory.mixture_regret import (
    bayes_mixture_bound,
    exact_add_beta_regret,
    exact_worst_add_beta_regret,
    kt_bound,
    laplace_bound,
    portfolio_nodes,
    portfolio_quadrature_bound,
    universal_portfolio_bound,
)
from theory.regret import (
    adahedge_bound,
    exponential_weights_bound,
    gradient_descent_bound,
    scheduled_weights_bound,
    two_expert_lower_bound,
)

GOOD: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (gradient_descent_bound, {"n_rounds": 10, "loss_range": 1.0, "horizon": 10}),
    (exponential_weights_bound, {"n_rounds": 10, "loss_range": 1.0, "n_experts": 2, "horizon": 10}),
    (scheduled_weights_bound, {"log_prior": -0.7, "last_rate": 0.1, "rate_sum": 1.0, "loss_range": 1.0}),
    (adahedge_bound, {"variance": 2.0, "loss_range": 1.0, "n_experts": 2}),
    (two_expert_lower_bound, {"n_rounds": 10, "loss_range": 1.0}),
    (cells_bound, {"n_cells": 3, "n_rounds": 10, "loss_range": 1.0}),
    (
        composition_bound,
        {
            "loss_in_weight": [1.0],
            "loss_in_context": [2.0],
            "gate_regret": [0.5],
            "in_weight_regret": 0.1,
            "in_context_regret": 0.1,
        },
    ),
    (online_to_batch_bound, {"regret": 1.0, "n_rounds": 10, "loss_range": 1.0, "delta": 0.1}),
    (bayes_mixture_bound, {"log_prior": -0.7}),
    (exact_add_beta_regret, {"counts": [3, 4], "beta": 0.5}),
    (exact_worst_add_beta_regret, {"n_rounds": 10, "n_labels": 3, "beta": 0.5}),
    (laplace_bound, {"n_rounds": 10, "n_labels": 3}),
    (kt_bound, {"n_rounds": 10, "n_labels": 3}),
    (universal_portfolio_bound, {"n_rounds": 10, "prior": "uniform"}),
    (portfolio_quadrature_bound, {"n_rounds": 10, "n_nodes": 5, "prior": "jeffreys"}),
    (portfolio_nodes, {"n_rounds": 10, "prior": "jeffreys", "tolerance": 1e-3}),
]
BAD = ["much", math.nan, math.inf, -math.inf, 1j, True, [], [[1], [1, 2]]]
MAY_BE_NEGATIVE = {"loss_in_weight", "loss_in_context", "log_prior"}


@pytest.mark.parametrize(("function", "good", "name"), [(f, good, name) for f, good in GOOD for name in good])
def test_every_argument_names_itself_when_bad(function: Callable[..., Any], good: dict[str, Any], name: str) -> None:
    assert np.isfinite(function(**good)).all()
    bad = BAD if name in MAY_BE_NEGATIVE else [*BAD, -1]
    for value in [*bad, 0.3] if name == "log_prior" else bad:
        with pytest.raises(ValueError, match=f"`{name}`"):
            function(**{**good, name: value})


@pytest.mark.parametrize(
    ("function", "good", "name", "value"),
    [
        (gradient_descent_bound, {"n_rounds": 10}, "loss_range", 0),
        (gradient_descent_bound, {"loss_range": 1}, "n_rounds", 2.5),
        (exponential_weights_bound, {"n_rounds": 10, "loss_range": 1}, "n_experts", 1),
        (kt_bound, {"n_labels": 2}, "n_rounds", 0),
        (exact_worst_add_beta_regret, {"n_rounds": 10, "n_labels": 2}, "beta", 0.49),
        (online_to_batch_bound, {"regret": 1.0, "n_rounds": 5, "loss_range": 1.0}, "delta", 1.0),
        (portfolio_nodes, {}, "n_rounds", [10, 20]),
    ],
)
def test_edges_of_the_allowed_sets(function: Callable[..., Any], good: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        function(**good, **{name: value})


def test_online_to_batch_wants_range_and_delta_together() -> None:
    with pytest.raises(ValueError, match="`loss_range` and `delta`"):
        online_to_batch_bound(1.0, 10, delta=0.1)


def test_bounds_broadcast() -> None:
    n, b = np.arange(5), np.array([[1.0], [2.0]])
    for bound in (
        gradient_descent_bound(n, b),
        gradient_descent_bound(n, b, horizon=4),
        exponential_weights_bound(n, b),
        exponential_weights_bound(n, b, horizon=4),
        two_expert_lower_bound(n, b),
    ):
        assert bound.shape == (2, 5)
        np.testing.assert_allclose(bound[1], 2 * bound[0])
        assert (bound[:, 0] == 0).all()


@pytest.mark.parametrize("n", [1, 2, 7, 19, 20, 21, 100, 10**6])
@pytest.mark.parametrize("labels", [1, 2, 3, 19, 41])
def test_log_binomial_to_the_last_digits(n: int, labels: int) -> None:
    expected = math.log(math.comb(n + labels - 1, labels - 1))
    assert laplace_bound(n, labels) == pytest.approx(expected, rel=1e-13, abs=1e-13)


def test_no_cancellation_at_large_counts() -> None:
    """At n = 1e15 each log-gamma is 3e16; the differences are a few nats."""
    n = 1e15
    assert laplace_bound(n, 2) == pytest.approx(math.log(n), rel=1e-14)
    assert laplace_bound(n, 3) == pytest.approx(2 * math.log(n) - math.log(2), rel=1e-13)
    jeffreys = exact_worst_add_beta_regret(n, 2, 0.5)
    assert jeffreys == pytest.approx(math.log(math.pi * n) / 2, rel=1e-13)
    assert laplace_bound(1, 1e6) == pytest.approx(math.log(1e6), rel=1e-12)
    assert exact_add_beta_regret([n, n], 1.0) == pytest.approx(math.log(2 * n) - math.log(n * math.pi) / 2, rel=1e-12)


def test_regret_is_zero_without_rounds_or_choice() -> None:
    assert exact_add_beta_regret([0, 0, 0], 0.5) == 0
    assert exact_add_beta_regret([17], 0.5) == 0
    assert two_expert_lower_bound(0, 1.0) == 0
