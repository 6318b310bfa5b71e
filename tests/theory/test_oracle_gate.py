"""Arguments, shapes and limits of the best gate in hindsight; its mathematics is tested in tests/claims."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from theory.gate_cells import GateCells
from theory.oracle import oracle_gate

TABLE = [[0.25, 0.25], [0.25, 0.25]]


@pytest.fixture
def cells() -> GateCells:
    return GateCells(TABLE, [[0.9, 0.1], [0.3, 0.7]], [[0.5, 0.5], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("probability", [[0.5, 0.5], [0.5, 0.5]]),
        ("probability", [[0.5, 0.5], [0.0, 0.0]]),
        ("probability", [0.5, 0.5]),
        ("probability", [[np.nan, 0.5], [0.25, 0.25]]),
        ("p_in_weight", [[0.5, 0.5]]),
        ("p_in_weight", [[1.5, 0.5], [0.25, 0.25]]),
        ("p_in_context", [[-0.1, 0.5], [0.25, 0.25]]),
        ("p_in_context", "much"),
        ("query", [0, 2]),
        ("query", [0.5, 1]),
        ("query", [0, 1, 2]),
        ("query", [0, 0]),
        ("context", [0, -1]),
        ("context", [np.inf, 0]),
    ],
)
def test_cells_name_the_bad_argument(field: str, value: Any) -> None:
    good: dict[str, Any] = {"probability": TABLE, "p_in_weight": TABLE, "p_in_context": TABLE}
    with pytest.raises(ValueError, match=f"`{field}`"):
        GateCells(**{**good, field: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "hinge"),
        ("loss", None),
        ("query_only", 1),
        ("monotone", "yes"),
        ("memory", -1.0),
        ("memory", np.nan),
        ("memory", [1.0, 2.0]),
        ("lipschitz", -0.1),
        ("lipschitz", np.inf),
        ("lipschitz", "steep"),
        ("distances", [[0.0, 1.0]]),
        ("distances", [[0.0, 1.0], [2.0, 0.0]]),
        ("distances", [[0.0, -1.0], [-1.0, 0.0]]),
        ("distances", [[0.0, np.nan], [np.nan, 0.0]]),
        ("distances", sparse.coo_array([[0.0, -1.0], [0.0, 0.0]])),
        ("distances", sparse.coo_array([[0.0, 1.0], [2.0, 0.0]])),
        ("distances", sparse.coo_array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])),
        ("distances", sparse.coo_array((2, 2))),
    ],
)
def test_options_name_the_bad_argument(cells: GateCells, name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    if name in ("lipschitz", "distances"):
        options = {"lipschitz": 0.5, "distances": [[0.0, 1.0], [1.0, 0.0]], name: value}
    with pytest.raises(ValueError, match=f"`{name}`"):
        oracle_gate(cells, **options)


def test_lipschitz_needs_distances(cells: GateCells) -> None:
    with pytest.raises(ValueError, match="`lipschitz` and `distances`"):
        oracle_gate(cells, lipschitz=1.0)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan, "half"])
def test_losses_and_slopes_want_weights(cells: GateCells, alpha: Any) -> None:
    with pytest.raises(ValueError, match="`alpha`"):
        cells.losses(alpha)
    with pytest.raises(ValueError, match="`alpha`"):
        cells.slopes(alpha)


def test_an_outcome_that_both_exclude_is_an_error_under_log_loss_only() -> None:
    cells = GateCells([[0.5, 0.5]], [[0.5, 0.0]], [[0.5, 0.0]])
    with pytest.raises(ValueError, match=r"must not both be 0 .* cells \[0\]"):
        oracle_gate(cells)
    assert oracle_gate(cells, loss="linear_loss").value == pytest.approx(0.75)


def test_an_outcome_of_probability_zero_does_not_count() -> None:
    cells = GateCells([[1.0, 0.0]], [[0.9, 0.0]], [[0.5, 0.0]])
    gate = oracle_gate(cells)
    assert gate.alpha == pytest.approx([1.0], abs=1e-8)
    assert gate.value == pytest.approx(-np.log(0.9), abs=1e-9)


def test_slopes_are_the_derivative_of_losses(cells: GateCells) -> None:
    step = 1e-5
    for loss in ("log_loss", "linear_loss"):
        numeric = (cells.losses(0.4 + step, loss=loss) - cells.losses(0.4 - step, loss=loss)) / (2 * step)
        np.testing.assert_allclose(cells.slopes(0.4, loss=loss), numeric, rtol=1e-7, atol=1e-9)


def test_order_and_labels_of_cells_do_not_matter() -> None:
    generator = np.random.default_rng(3)
    p = generator.dirichlet(np.ones(12)).reshape(6, 2)
    g, h = generator.random((2, 6, 2))
    query, context = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1])
    order = generator.permutation(6)
    one = oracle_gate(GateCells(p, g, h, query=query, context=context), memory=1.3, monotone=True)
    two = oracle_gate(
        GateCells(p[order], g[order], h[order], query=query[order], context=context[order]), memory=1.3, monotone=True
    )
    assert one.value == pytest.approx(two.value, abs=1e-8)
    np.testing.assert_allclose(one.alpha[order], two.alpha, atol=1e-5)


def test_rare_cells_are_as_accurate_as_frequent_ones() -> None:
    """Masses from 1 to 1e-12 with the same problem in each: the same weight comes out."""
    mass = np.array([1.0, 1e-3, 1e-6, 1e-9, 1e-12])
    p = np.array([0.7, 0.3]) * (mass / mass.sum())[:, None]
    gate = oracle_gate(GateCells(p, np.tile([0.9, 0.1], (5, 1)), np.tile([0.4, 0.6], (5, 1))))
    np.testing.assert_allclose(gate.alpha, gate.alpha[0], atol=1e-7)
    assert gate.alpha[0] == pytest.approx(0.6, abs=1e-7)


def test_all_constraints_with_one_cell() -> None:
    cells = GateCells([[1.0]], [[0.9]], [[0.5]])
    gate = oracle_gate(cells, query_only=True, lipschitz=1.0, distances=[[0.0]], monotone=True, memory=0.25)
    assert gate.alpha == pytest.approx([0.25], abs=1e-7)
    assert gate.memory_price == pytest.approx(0.4 / (0.25 * 0.9 + 0.75 * 0.5), abs=1e-6)
    assert set(gate.duals) == {"lower", "upper", "memory"}
