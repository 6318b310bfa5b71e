"""Statements of Chan et al. (2025) as printed: what holds of them, and what the project's own say beside them."""

import numpy as np
import pytest

from theory import ClassMixture, in_context_risk, in_weight
from theory.in_weight_lower_bounds import log_loss_lower_bound
from theory.labels import label_law
from theory.published import corollary_1, proposition_1


def test_1_16_proposition_1_is_the_mean_over_rounds_and_above_the_last() -> None:
    """Label noise 0.5 over 4 labels, all of which occur: the last round pays (C - 1) / 2n, not ln n times that."""
    law, sizes = label_law(4, 0.5), np.array([30, 100, 1000, 10_000])
    entropy = -sum(share.asked * np.log(share.trained) for share in law.shares)
    last = in_weight.exact_log_loss(sizes, 1.0, law) - entropy
    np.testing.assert_allclose(last[2:] * sizes[2:], 1.5, rtol=0.05)
    printed = proposition_1(sizes, 4, entropy=entropy) - entropy
    assert (printed > last).all()
    rounds = in_weight.exact_log_loss(np.arange(10_000), 1.0, law) - entropy
    means = np.cumsum(rounds)[sizes - 1] / sizes
    assert (np.abs(means - printed) < 4 / sizes).all()


def test_1_16_and_2_13_of_the_paper_s_figure() -> None:
    """`examples/published_bounds.py`: values read off the figure, and exact risks between the bounds drawn there."""
    law = label_law(10, 0.001)
    sizes = 2 ** np.arange(4, 15)
    least = log_loss_lower_bound([*sizes, 10**9], 1.0, 10, label_noise=0.001, label_noise_kind="uniform")
    printed, exact = proposition_1(sizes, 10, entropy=least[-1]), in_weight.exact_log_loss(sizes, 1.0, law)
    assert (least[:-1] <= exact).all()
    assert (exact < printed).all()
    assert printed[8] == pytest.approx(0.02, abs=0.002)
    wrong = np.arange(8)
    low, high = corollary_1(8, wrong, 10, similarity=1.0, floor=0.001)
    tight, _ = corollary_1(8, wrong, 10, similarity=1.0, floor=0.001, tightened=True)
    spec = [ClassMixture(context_length=8, n_relevant=8 - int(k)) for k in wrong]
    share = 1 - np.array([in_context_risk(each, "linear_loss", temperature=2.0)[0] for each in spec])
    copies = -np.log(0.99 * share + 0.001)
    assert (tight <= copies + 1e-12).all()
    assert (copies <= high + 1e-12).all()
    np.testing.assert_allclose([low[7], high[1]], [0.48, 0.15], atol=0.03)


def random_softmax(generator: np.random.Generator) -> tuple[int, int, int, float, float, float]:
    """L, k, C, B, the floor, and the cross-entropy of a softmax whose relevant tokens are at least as similar."""
    length, n_labels = int(generator.integers(1, 9)), int(generator.integers(2, 12))
    k, root = int(generator.integers(0, length + 1)), float(generator.exponential(1.0))
    floor = float(generator.uniform(1e-6, 1 / n_labels))
    middle = generator.uniform(-root, root)
    exponents = np.concatenate([generator.uniform(-root, middle, k), generator.uniform(middle, root, length - k)])
    if generator.random() < 0.2:
        exponents = np.where(np.arange(length) < k, -root, root)
    share = float(np.exp(exponents[k:]).sum() / np.exp(exponents).sum())
    return length, k, n_labels, root**2, floor, -np.log((1 - floor * n_labels) * share + floor)


def test_2_13_corollary_1_holds_on_ten_thousand_softmaxes_and_its_tightened_ends_are_attained() -> None:
    generator, nearest = np.random.default_rng(0), np.inf
    for _ in range(10_000):
        length, k, n_labels, similarity, floor, loss = random_softmax(generator)
        bounds = {"similarity": similarity, "floor": floor}
        low, high = corollary_1(length, k, n_labels, **bounds)
        tight, same = corollary_1(length, k, n_labels, **bounds, tightened=True)
        assert low <= tight + 1e-12
        assert tight <= loss + 1e-9
        assert loss <= high + 1e-9
        assert same == high
        nearest = min(nearest, loss - float(tight) if 0 < k < length else np.inf)
    assert nearest < 1e-9


def test_2_13_ends() -> None:
    """A context of other classes alone; the term that a program leaves out; a context that cannot mislead."""
    low, high = corollary_1(3, 3, 10, similarity=2.0, floor=0.01)
    assert low == pytest.approx(0.99)
    assert high == pytest.approx(-np.log(0.01))
    low, high = corollary_1(3, 0, 10, similarity=2.0, floor=0.01)
    assert low == pytest.approx(0.09)
    assert high == pytest.approx(-np.log(0.91))
    assert corollary_1(3, [0, 1, 2], 10, similarity=2.0, floor=[[0.0], [0.1]])[0].shape == (2, 3)


@pytest.mark.parametrize(("changed", "said"), [
    ({"length": 0}, "`length` must be"), ({"irrelevant": 5}, "`irrelevant` must be at most `length`; got 5 and 4"),
    ({"floor": 0.2}, r"`floor` must be in \[0, 1 / n_labels\]; got 0.2 with 10 labels"),
    ({"similarity": -1.0}, "`similarity` must be"),
])  # fmt: skip
def test_bad_input_is_named(changed: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        corollary_1(**{"length": 4, "irrelevant": 2, "n_labels": 10, "similarity": 1.0, "floor": 0.01, **changed})  # type: ignore[arg-type]
