"""One test for each statement of docs/theory.md, section 10: kinetics on class mixtures."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from theory.distribution import ClassMixture
from theory.handover import optimal_handover
from theory.kinetics import Kinetics, class_mixture_kinetics
from theory.noisy_inputs import noisy_input_error

SMALL = ClassMixture(n_high=1, n_low=3, p_high=0.5, p_relevant=0.7, context_length=3, input_noise=0.0)


def softmax(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(x) / np.exp(x).sum())


def context_answer(spec: ClassMixture, label: int, tokens: list[int], w: float, v: float) -> np.ndarray:
    """h of a query of class `label`, from the classes of the context's tokens, over all labels."""
    attention = softmax(w * (np.array(tokens) == label))
    return np.asarray(sum(share * softmax(v * np.eye(spec.n_classes)[token])
                          for share, token in zip(attention, tokens, strict=True)))  # fmt: skip


def answers(spec: ClassMixture, n: int, theta: np.ndarray, label: int, tokens: list[int]) -> tuple[np.ndarray, ...]:
    """g, h and f of one query and context, over all labels: margins and gates per class, then w and v."""
    k = spec.n_classes
    never = (1 - spec.frequencies[label]) ** n * (1 - 1 / k)
    channel = np.full((k, k), never / (k - 1))
    np.fill_diagonal(channel, 1 - never)
    g = channel @ softmax(theta[label] * np.eye(k)[label])
    h = context_answer(spec, label, tokens, theta[-2], theta[-1])
    alpha = 1 / (1 + np.exp(-theta[k + label]))
    return g, h, alpha * g + (1 - alpha) * h


def mean_loss(spec: ClassMixture, n: int, theta: np.ndarray) -> float:
    """Of rows; which other classes a context shows does not matter to it."""
    total = 0.0
    for label, q in enumerate(spec.frequencies):
        others = [(label + 1 + i) % spec.n_classes for i in (0, 0, 1)]
        for r, chance in enumerate(spec.n_relevant_pmf[label]):
            tokens = [label] * r + others[r:]
            weight = 1 - spec.p_relevant if r == 0 else spec.p_relevant * chance
            f = answers(spec, n, theta, label, tokens)[2]
            assert f.sum() == pytest.approx(1)
            total -= q * weight * np.log(f[label])
    return total


def descent(spec: ClassMixture, n: int, size: float, steps: int, shared: bool) -> np.ndarray:
    """Parameters after descent along differences of the loss."""
    k, theta = spec.n_classes, np.zeros(2 * spec.n_classes + 2)
    moves = [*np.eye(2 * k + 2)[:k], *([np.eye(2 * k + 2)[k : 2 * k].sum(0)] if shared else np.eye(2 * k + 2)[k:-2]),
             *np.eye(2 * k + 2)[-2:]]  # fmt: skip
    for _ in range(steps):
        slopes = [(mean_loss(spec, n, theta + 1e-5 * e) - mean_loss(spec, n, theta - 1e-5 * e)) / 2e-5 for e in moves]
        theta = theta - size * sum(slope * e for slope, e in zip(slopes, moves, strict=True))
    return np.asarray(theta)


def last(spec: ClassMixture, n: int, theta: np.ndarray) -> np.ndarray:
    """Irrelevant accuracy, accuracy on new labels with one relevant token, and g, of the first and the last class."""
    found = []
    for label in (0, spec.n_classes - 1):
        others = [(label + 1 + i) % spec.n_classes for i in (0, 0, 1)]
        g, _, f = answers(spec, n, theta, label, others)
        alpha = 1 / (1 + np.exp(-theta[spec.n_classes + label]))
        found.append([f[label], g[label], alpha])
    return np.array(found)


@pytest.mark.parametrize("shared", [False, True])
def test_10_1_the_flow_is_the_limit_of_gradient_descent(shared: bool) -> None:
    """On full tables of labels and contexts, by differences of the loss; the error falls in proportion to the step."""
    found = class_mixture_kinetics(SMALL, 4, steps=24, shared_gate=shared)
    wanted = np.stack([curve[-1][[0, -1]] for curve in (found.irrelevant, found.in_weight, found.gate)], axis=1)
    errors = [abs(last(SMALL, 4, descent(SMALL, 4, size, round(24 / size), shared)) - wanted).max()
              for size in (0.4, 0.2)]  # fmt: skip
    assert errors[0] < 4e-3
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.05)
    assert wanted.max() - wanted.min() > 0.3, "the parts have learnt something"


def test_10_1_copying_along_the_course_is_that_of_the_tables() -> None:
    theta = descent(SMALL, 4, 0.2, 120, False)
    found = class_mixture_kinetics(SMALL, 4, steps=24)
    for label in (0, 3):
        others = [(label + 1 + i) % 4 for i in (0, 0, 1)]
        copied = [context_answer(SMALL, label, [label] * r + others[r:], *theta[-2:])[label] for r in range(4)]
        mean = SMALL.n_relevant_pmf[label] @ copied
        alpha, g = found.gate[-1, label], found.in_weight[-1, label]
        assert found.copier[-1, label] == pytest.approx(mean, abs=4e-3)
        assert found.relevant[-1, label] == pytest.approx(alpha * g + (1 - alpha) * mean, abs=4e-3)
        assert found.new_labels[-1, label] == pytest.approx(alpha * (1 - g) / 3 + (1 - alpha) * mean, abs=4e-3)


def test_10_1_rates_set_the_unit_of_time() -> None:
    one = class_mixture_kinetics(ClassMixture(), 100)
    ten = class_mixture_kinetics(ClassMixture(), 100, steps=1e4, weight_rate=10, gate_rate=10, copier_rate=10)
    np.testing.assert_allclose(one.new_labels, ten.new_labels, atol=1e-5)
    assert one.emergence("low") == pytest.approx(10 * ten.emergence("low"), rel=1e-4)


def test_10_1_learnt_by_heart_n_limits_new_queries_alone() -> None:
    few, many = (class_mixture_kinetics(ClassMixture(), n, by_heart=True) for n in (20, 2000))
    np.testing.assert_allclose(few.gate, many.gate, atol=1e-9)
    np.testing.assert_allclose(few.copier, many.copier, atol=1e-9)
    assert (many.in_weight[-1] > few.in_weight[-1] + 0.01).all()
    assert np.isfinite(few.lost("low"))
    assert np.isinf(few.handover("low")), "rare classes end with neither"


def test_10_2_copying_starts_where_the_context_says_more_than_chance() -> None:
    """p R C / L above 1, or below, at the first steps of 60 random settings."""
    generator = np.random.default_rng(0)
    sides = []
    for _ in range(60):
        length, n_low = int(generator.integers(1, 7)), int(generator.integers(1, 5))
        spec = ClassMixture(n_high=2, n_low=n_low, p_relevant=float(generator.uniform()), input_noise=0.0,
                            context_length=length, n_relevant=int(generator.integers(1, length + 1)))  # fmt: skip
        share = (spec.n_relevant or 0) / length
        edge = spec.p_relevant * share * spec.n_classes
        if abs(edge - 1) < 0.02 or abs(share * spec.n_classes - 1) < 0.02:
            continue
        early = class_mixture_kinetics(spec, 100, steps=0.1).copier[-1] - 1 / spec.n_classes
        assert (early * (share * spec.n_classes - 1) * (edge - 1) > 0).all()
        sides.append(edge > 1)
    assert 10 < sum(sides) < len(sides) - 10


@pytest.mark.parametrize("p", [0.6, 0.9, 0.97])
def test_10_3_the_gate_comes_to_rest_at_the_best_one(p: float) -> None:
    """Of statement 3.12: for weights that hardly move, and for weights at the end of their course."""
    spec = ClassMixture(p_relevant=p)
    frozen = class_mixture_kinetics(spec, 1000, steps=1e6, weight_rate=1e-12, copier_rate=1e3)
    assert frozen.gate[-1] == pytest.approx(np.full(10, optimal_handover(p, 0.9).alpha), abs=2e-3)
    free = class_mixture_kinetics(spec, 20, steps=1e7)
    assert free.gate[-1] == pytest.approx(optimal_handover(p, 1 - free.in_weight[-1]).alpha, abs=4e-3)


def test_10_3_a_fast_copier_that_is_seldom_right_stays_blunt_instead() -> None:
    """Beside weights that say nothing: with the gate at 1/2, f is p where the context answers."""
    for p, blunt in ((0.3, True), (0.5, True), (0.6, False)):
        spec = ClassMixture(p_relevant=p)
        found = class_mixture_kinetics(spec, 1000, steps=1e4, weight_rate=1e-12, gate_rate=1e-6, copier_rate=1e3)
        assert found.relevant[-1] == pytest.approx(np.full(10, p if blunt else 0.55), abs=1e-3)


def test_10_4_copying_is_lost_in_the_end_where_weights_get_good_enough() -> None:
    """Where the final gate of 3.12 leaves new labels less than 1/2: over N and p, both groups, but for near ties."""
    lost = []
    for p in (0.5, 0.8, 0.9):
        spec = ClassMixture(p_relevant=p)
        for n in (5, 40, 2000):
            found = class_mixture_kinetics(spec, n, steps=1e7)
            missed = noisy_input_error(n, spec)[[0, -1]]
            alpha = optimal_handover(p, missed).alpha
            left = 1 - alpha + alpha * missed / 9
            for group, share in zip(("high", "low"), left, strict=True):
                if abs(share - 0.5) > 0.05 and np.isfinite(found.emergence(group)):
                    assert np.isfinite(found.lost(group)) == (share < 0.5), (p, n, group, share)
                    lost.append(share < 0.5)
            assert found.new_labels[-1, [0, -1]] == pytest.approx(left, abs=0.02)
    assert 3 < sum(lost) < len(lost) - 3


def test_10_5_ends_of_p() -> None:
    never = class_mixture_kinetics(ClassMixture(p_relevant=0.0), 1000)
    assert never.new_labels.max() <= 0.1 + 1e-9
    assert np.isinf(never.emergence())
    assert np.isinf(never.lost())
    always = class_mixture_kinetics(ClassMixture(p_relevant=1.0), 1000)
    assert always.emergence() < 100
    assert np.isinf(always.handover())
    assert np.isinf(always.lost())


@pytest.mark.parametrize("change", [{}, {"input_noise": 0.0}, {"context_length": 4}])
def test_10_5_more_data_hand_over_earlier_and_better(change: dict[str, float]) -> None:
    spec = replace(ClassMixture(), **change)
    found = [class_mixture_kinetics(spec, n) for n in (10, 30, 100, 300, 1000, 10_000)]
    times: list[Callable[[Kinetics], float]] = [lambda one: one.handover("low"), lambda one: one.lost("low"),
                                                lambda one: one.handover("high", of="gate")]  # fmt: skip
    for time in times:
        course = np.array([time(one) for one in found])
        assert (course[1:] <= course[:-1] * 1.001).all()
        assert np.isfinite(course[-1])
    assert np.isinf(found[0].handover("low"))
    assert (np.diff([one.irrelevant[-1] for one in found], axis=0) > -1e-3).all()
    begun = np.array([one.emergence("low") for one in found])
    assert begun.max() < 1.5 * begun.min(), "copying begins before N matters much"


def test_10_6_after_the_copier_a_class_s_course_depends_on_q_t_alone() -> None:
    """Four frequencies, inputs without noise; with a slow copier it does not."""
    spec = ClassMixture(n_high=2, n_low=2, query_frequencies=(0.6, 0.25, 0.1, 0.05), input_noise=0.0)
    for copier_rate, exact in ((1e4, True), (0.1, False)):
        found = class_mixture_kinetics(spec, 10**9, copier_rate=copier_rate)
        passed = [np.interp(0.5, found.in_weight[:, c], found.times) for c in range(4)]
        spread = np.ptp(np.log(passed * spec.frequencies))
        assert spread < 0.01 if exact else spread > 0.1, (copier_rate, spread)


@pytest.mark.parametrize(("arguments", "said"), [
    ({"n_sequences": 2.5}, "`n_sequences` must be"), ({"steps": 0}, "`steps` must be"),
    ({"weight_rate": -1}, "`weight_rate` must be"), ({"gate_rate": np.nan}, "`gate_rate` must be"),
    ({"copier_rate": [1, 2]}, "`copier_rate` must be one number"), ({"shared_gate": 1}, "`shared_gate` must be a bool"),
    ({"spec": ClassMixture(label_noise=0.1)}, "`spec.label_noise` must be 0; got 0.1"),
    ({"spec": ClassMixture(dim=1)}, "`spec.dim` must be >= 2"),
])  # fmt: skip
def test_bad_input_is_named(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        class_mixture_kinetics(**{"spec": ClassMixture(), "n_sequences": 10, **arguments})


def test_bad_questions_are_named() -> None:
    found = class_mixture_kinetics(ClassMixture(n_low=0), 10)
    with pytest.raises(ValueError, match="`group` must be one of"):
        found.emergence("low")
    with pytest.raises(ValueError, match="`level` must be in"):
        found.lost(level=1.0)
    with pytest.raises(ValueError, match="`of` must be one of"):
        found.handover(of="g")
