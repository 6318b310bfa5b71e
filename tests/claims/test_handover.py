"""Statement 3.12 of docs/theory.md: the best gate between a copier that is mostly right and weights still learning."""

import numpy as np
import pytest

from theory.gate_cells import GateCells
from theory.handover import handover_error, keeping_share, optimal_handover, teaching_share
from theory.oracle import oracle_gate


def test_3_12_the_best_gate_is_the_oracle_s() -> None:
    """Two kinds of rows that the gate cannot tell apart: copying right, and copying wrong."""
    generator = np.random.default_rng(0)
    for p, delta in generator.uniform(0.02, 0.98, (40, 2)):
        rows = np.diag([p, 1 - p])  # outcomes: the true label, where copying is right, and where it is wrong
        g, h = np.full((2, 2), 1 - delta), np.array([[1.0, 1.0], [1e-300, 1e-300]])
        cells = GateCells(rows, g, h, query=np.zeros(2, int), context=np.arange(2))
        found = oracle_gate(cells, query_only=True)
        wanted = optimal_handover(p, delta)
        assert found.alpha[0] == pytest.approx(float(wanted.alpha), abs=1e-5)
        assert found.value == pytest.approx(float(wanted.log_loss), abs=1e-9)


def test_3_12_no_other_gate_loses_less_and_weights_win_below_the_stated_error() -> None:
    """On 10,000 random problems, against every gate of a grid."""
    generator = np.random.default_rng(1)
    p, delta = generator.uniform(0, 1, (2, 10_000))
    best, alpha = optimal_handover(p, delta), np.linspace(1e-3, 1, 1000)[:, None]
    with np.errstate(divide="ignore"):
        others = -p * np.log(1 - alpha * delta) - (1 - p) * np.log(alpha * (1 - delta))
    assert (others.min(0) >= best.log_loss - 1e-12).all()
    near = np.isclose(delta, handover_error(p), atol=1e-9)
    assert (best.weights_win == (delta < handover_error(p)))[~near].all()
    assert 0.2 < best.weights_win.mean() < 0.8


def test_3_12_a_copied_label_that_g_believes_too_is_harder_to_beat() -> None:
    p, delta = np.full(99, 0.9), np.linspace(0.01, 0.99, 99)
    free, spread = optimal_handover(p, delta), optimal_handover(p, delta, copied=delta / 9)
    assert spread.weights_win.sum() <= free.weights_win.sum()
    assert (spread.alpha == free.alpha).all()


def test_3_12_the_share_that_keeps_copying_is_where_weights_stop_to_win() -> None:
    missed = np.linspace(0.01, 0.99, 50)
    share = keeping_share(missed)
    np.testing.assert_allclose(handover_error(share), missed, atol=1e-12)
    assert optimal_handover(share - 1e-6, missed).weights_win.all()
    assert not optimal_handover(share + 1e-6, missed).weights_win.any()


def test_3_12_ends() -> None:
    assert optimal_handover(1.0, 0.3).alpha == 0
    assert optimal_handover(1.0, 0.0).alpha == 1
    assert optimal_handover(0.0, 0.4) == pytest.approx((1.0, -np.log(0.6), True))
    assert optimal_handover(0.5, 1.0).log_loss == np.inf


def test_3_12_the_share_is_that_of_the_gradient() -> None:
    """Against differences of the log loss in a parameter of g."""
    generator = np.random.default_rng(2)
    alpha, g, h = generator.uniform(0.05, 0.95, (3, 1000))
    step = 1e-6
    moved = -np.log(alpha * g * np.exp(step) + (1 - alpha) * h) + np.log(alpha * g * np.exp(-step) + (1 - alpha) * h)
    np.testing.assert_allclose(-moved / (2 * step), teaching_share(alpha, g, h), rtol=1e-6)


@pytest.mark.parametrize(("arguments", "said"), [
    ((1.2, 0.1), "`p` must be"), ((0.5, -0.1), "`delta` must be"),
])  # fmt: skip
def test_bad_input_is_named(arguments: tuple[float, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        optimal_handover(*arguments)
    with pytest.raises(ValueError, match=r"`copied` must be at most `delta`; got 0\.3 and 0\.2"):
        optimal_handover(0.5, 0.2, copied=0.3)
