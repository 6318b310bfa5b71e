"""One test for each statement of docs/theory.md, section 11: memory against attention on many items."""

import numpy as np
import pytest
from scipy import integrate, stats

from theory.item_kinetics import acquisition_time, critical_items, final_attention

INFINITY = float("inf")
SPREAD = 0.3
GENERATOR = np.random.default_rng(0)
STARTS = GENERATOR.normal(0, SPREAD, (2, 64))


def loss(w: float, beta: float, phi: float, size: int) -> float:
    """Mean log loss over contexts, by the number of other items that share the target's label."""
    alike = np.arange(size)
    scores = np.exp(beta) + 2 * alike - (size - 1)
    logits = phi + w * scores / (np.exp(beta) + size - 1)
    return float(stats.binom.pmf(alike, size - 1, 0.5) @ np.logaddexp(0, -logits))


def descent(end: float, size: int, w: float, beta: float, step: float, most: float) -> float:
    """Time at which attention passes 1/2 under gradient descent by differences, memory's error decaying in time."""
    time = 0.0
    while np.exp(beta) < size - 1 and time < most:
        error = 0.5 * np.exp(-time / (2 * end))
        phi = np.log((1 - error) / error)
        slopes = [(loss(w + a, beta + b, phi, size) - loss(w - a, beta - b, phi, size)) / 2e-5
                  for a, b in ((1e-5, 0), (0, 1e-5))]  # fmt: skip
        w, beta, time = w - step * slopes[0], beta - step * slopes[1], time + step
    return time if time < most else INFINITY


@pytest.mark.parametrize(("items", "start"), [
    (INFINITY, (0.01, 0.0)), (INFINITY, (-1.0, 0.5)), (INFINITY, (1.0, -0.5)), (200, (0.01, 0.0)), (60, (0.5, 0.5)),
    (5, (0.01, 0.0)),
])  # fmt: skip
def test_11_1_the_flow_is_the_limit_of_gradient_descent(items: float, start: tuple[float, float]) -> None:
    """Of the enumerated loss: two lengths of step, extrapolated to none."""
    end = items**0.7
    found = float(acquisition_time(items, 8, w=start[0], beta=start[1]))
    coarse, fine = (descent(end, 8, *start, step, 300) for step in (0.1, 0.05))
    if items == 5:
        assert found == coarse == fine == INFINITY
    else:
        assert found == pytest.approx(2 * fine - coarse, rel=5e-3)


def test_11_1_the_logit_is_that_of_attention_over_items() -> None:
    """Mean log loss of 200,000 random contexts of orthogonal items, labels drawn alike, by softmax over scores."""
    generator = np.random.default_rng(3)
    size, w, beta, phi = 12, 1.7, 1.4, 0.3
    labels = generator.choice([-1, 1], size=(200_000, size))
    target = generator.integers(size, size=len(labels))
    scores = np.where(np.arange(size) == target[:, None], beta, 0.0)
    attention = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    right = labels[np.arange(len(labels)), target]
    logits = phi + w * right * (attention * labels).sum(1)
    assert np.logaddexp(0, -logits).mean() == pytest.approx(loss(w, beta, phi, size), abs=2e-3)


def limit(w: float, beta: float, right: float = 0.5) -> float:
    """Clock over N at which w and beta of the limit of many tokens are infinite, for memory that does not learn."""

    def slopes(_: float, state: np.ndarray) -> np.ndarray:
        rise = np.array([np.exp(state[2]) - right * state[1], state[1] * np.exp(state[2])])
        return np.append(1.0, rise) / (np.exp(-abs(state[2])) / 4 + abs(rise).sum())

    return float(integrate.solve_ivp(slopes, (0, 400), [0, w, beta], "LSODA", rtol=1e-10, atol=1e-12).y[0, -1])


@pytest.mark.parametrize("start", [(0.01, 0.0), (-1.0, 0.5), (1.0, -1.0), (0.0, 2.0), (0.3, -2.0)])
def test_11_2_time_per_token_tends_to_that_of_the_limit(start: tuple[float, float]) -> None:
    wanted = 2 * limit(*start)
    gaps = [float(acquisition_time(INFINITY, n, w=start[0], beta=start[1])) / n / wanted - 1 for n in (1e2, 1e4, 1e6)]
    assert abs(gaps[2]) < 2e-3
    assert abs(gaps[1]) < 0.02
    assert abs(gaps[0]) > 2 * abs(gaps[1]) or abs(gaps[0]) < 1e-2


def test_11_2_median_time_is_linear_in_n() -> None:
    sizes = np.array([50, 100, 150, 200, 250])
    medians = [np.median(acquisition_time(INFINITY, n, w=STARTS[0], beta=STARTS[1])) for n in sizes]
    assert stats.linregress(sizes, medians).rvalue ** 2 > 0.9999


@pytest.mark.parametrize("exponent", [0.5, 0.7, 1.0])
def test_11_3_critical_items_grow_as_n_to_the_one_over_the_exponent(exponent: float) -> None:
    low, high = (float(critical_items(n, exponent=exponent)) for n in (10**5, 10**6))
    assert np.log10(high / low) == pytest.approx(1 / exponent, abs=2e-3)
    assert float(critical_items(100, exponent=exponent, scale=4)) == pytest.approx(
        float(critical_items(100, exponent=exponent)) / 4 ** (1 / exponent), rel=0.01
    )


def test_11_3_measured_over_initial_values_the_slope_is_the_published_one_and_not_its_inverse() -> None:
    """N of the paper's figure, exponent 0.7: 1.36 on average, within 0.2 of 1/0.7 = 1.43 for 19 starts in 20."""
    sizes = np.array([50, 100, 150, 200, 250])
    items = np.stack([critical_items(n, w=STARTS[0], beta=STARTS[1]) for n in sizes])
    slopes = np.polyfit(np.log(sizes), np.log(items), 1)[0]
    low, high = np.quantile(slopes, [0.025, 0.975])
    assert 1 / 0.7 - 0.2 < low < high < 1 / 0.7
    assert high - low < 0.12
    assert slopes.mean() == pytest.approx(1.36, abs=0.01)


@pytest.mark.parametrize("shape", [1.0, 1.5, 3.0])
def test_11_3_items_separate_those_that_acquire(shape: float) -> None:
    edge = critical_items(100, w=STARTS[0, :16], beta=STARTS[1, :16], shape=shape)
    how = {"w": STARTS[0, :16], "beta": STARTS[1, :16], "shape": shape}
    for factor in (1.02, 2, 30):
        assert np.isfinite(acquisition_time(edge * factor, 100, **how)).all()
        assert np.isinf(acquisition_time(edge / factor, 100, **how)).all()
    assert (abs(np.log(edge / critical_items(100, w=STARTS[0, :16], beta=STARTS[1, :16]))) < 0.1).all()


def test_11_4_time_is_exponential_in_the_start_at_a_rate_from_two_to_one() -> None:
    beta = np.linspace(-3.5, 4, 16)
    time = acquisition_time(INFINITY, 10**6, w=0.0, beta=beta) / 1e6
    rates = -np.diff(np.log(time)) / np.diff(beta)
    assert rates[0] == pytest.approx(2, abs=0.08)
    assert rates[-1] == pytest.approx(1, abs=0.03)
    assert (np.diff(rates) < 0).all()
    assert time[0] == pytest.approx(np.exp(7) / 2, rel=0.04)


def test_11_4_no_time_is_below_mills_ratio() -> None:
    w, beta = np.meshgrid([0.0, 0.5, 1.0, 2.0, 4.0], np.linspace(-3, 4, 8))
    time = acquisition_time(INFINITY, 10**6, w=w, beta=beta) / 2e6
    least = np.exp(-beta) * stats.norm.sf(w) / stats.norm.pdf(w)
    assert (time > least).all()
    assert (time[-1] < 1.02 * least[-1]).all()


def test_11_4_times_have_a_long_tail() -> None:
    time = acquisition_time(INFINITY, 100, w=STARTS[0], beta=STARTS[1])
    assert time.mean() > 1.04 * np.median(time)
    assert stats.skew(time) > 2 * abs(stats.skew(np.log(time)))


def test_11_5_near_the_critical_number_runs_end_with_attention_or_without() -> None:
    """1,000 starting points: two modes there, one a factor of 10 away."""
    w, beta = np.random.default_rng(1).normal(0, SPREAD, (2, 1000))
    middle = np.median(critical_items(100, w=w[:100], beta=beta[:100]))
    ends = {factor: final_attention(factor * middle, 100, w=w, beta=beta) for factor in (0.1, 1, 10)}
    low, high = (ends[1] < 0.2).mean(), (ends[1] > 0.7).mean()
    assert min(low, high) > 0.35
    assert low + high > 0.85
    assert (ends[0.1] < 0.2).all()
    assert (ends[10] > 0.7).all()
    acquired = np.isfinite(acquisition_time(middle, 100, w=w, beta=beta))
    assert (acquired == (ends[1] > 0.5)).mean() > 0.999


def test_what_begins_with_attention_has_no_threshold() -> None:
    assert critical_items(2) == 0
    assert critical_items(3, beta=[4.0, 0.0])[0] == 0
    assert acquisition_time([1, 5, INFINITY], 3, beta=4.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("arguments", "said"), [
    ({"n_items": 0}, "`n_items` must be a number > 0, infinity allowed; got 0"), ({"n_items": "5"}, "`n_items` must"),
    ({"n_items": np.nan}, "`n_items` must"), ({"n_context": 1}, "`n_context` must be a whole number in 2"),
    ({"n_context": 2.5}, "`n_context` must be"), ({"w": -5}, r"`w` must be in \[-4, 4\]; got -5"),
    ({"beta": 9}, "`beta` must be in"), ({"exponent": 0}, "`exponent` must be"), ({"scale": -1}, "`scale` must be"),
    ({"shape": 0.5}, r"`shape` must be in \[1, 100\]; got 0.5"),
])  # fmt: skip
def test_bad_input_is_named(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        acquisition_time(**{"n_items": 10, "n_context": 10, **arguments})
