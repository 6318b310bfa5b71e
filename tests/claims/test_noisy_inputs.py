"""One test for each statement of docs/theory.md on learners that see noisy inputs: 1.13 to 1.15, 1.17 to 1.20."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from theory.distribution import ClassMixture
from theory.noisy_inputs import LEARNERS, _held, noisy_input_bounds, noisy_input_crossover, noisy_input_error
from theory.noisy_scores import COUNTS, cubic, score_tables

Floats = NDArray[np.float64]
TESTS = 20  # queries of each class for each draw of centres


class Draw:
    """Centres, labelled inputs and queries of one data set."""

    def __init__(self, size: int, spec: ClassMixture, generator: np.random.Generator):
        self.noise, self.q, k, d = spec.input_noise, spec.frequencies, spec.n_classes, spec.dim
        centres = generator.normal(size=(k, d))
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        self.counts = generator.multinomial(size, self.q)
        self.labels = np.repeat(np.arange(k), self.counts)
        self.inputs = centres[self.labels] + self.noise * generator.normal(size=(len(self.labels), d))
        self.queries = centres[:, None] + self.noise * generator.normal(size=(k, TESTS, d))

    def wrong(self, scores: Floats) -> Floats:
        """Share of wrong answers of each class; a class never seen is answered uniformly."""
        scores = np.where(self.counts > 0, scores, -np.inf)
        k = len(self.counts)
        missed = (scores.argmax(-1) != np.arange(k)[:, None]).mean(1)
        return np.where(self.counts > 0, missed, 1 - 1 / k)

    def means(self) -> Floats:
        sums = np.zeros((len(self.counts), self.inputs.shape[1]))
        np.add.at(sums, self.labels, self.inputs)
        return sums / np.maximum(self.counts, 1)[:, None]


def squared(queries: Floats, points: Floats) -> Floats:
    return ((queries[:, :, None] - points) ** 2).sum(-1)


def nearest_mean(draw: Draw) -> Floats:
    return -squared(draw.queries, draw.means())


def nearest_direction(draw: Draw) -> Floats:
    """The mean at the smallest angle: knows that centres are of one length, and nothing of the noise."""
    means = draw.means()
    length = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(draw.queries @ (means / np.maximum(length, 1e-9)).T)


def lda(draw: Draw) -> Floats:
    """Linear discriminants with estimated means and frequencies and the true variance."""
    return np.log(np.maximum(draw.counts, 1)) - squared(draw.queries, draw.means()) / (2 * draw.noise**2)


def log_mean_exponential(kappa: Floats, d: int) -> Floats:
    """Of kappa times the first coordinate of a uniform unit vector."""
    order = d / 2 - 1
    kappa = np.maximum(kappa, order / 50 + 1e-9)
    scaled = np.log(special.ive(order, kappa)) + kappa
    return np.asarray(special.gammaln(order + 1) + order * np.log(2 / kappa) + scaled)


def bayes(draw: Draw) -> Floats:
    """Log posterior, written from the law of centres and not from the module."""
    d, noise = draw.inputs.shape[1], draw.noise**2
    total = draw.means() * draw.counts[:, None]
    with_query = np.linalg.norm(total + draw.queries[:, :, None], axis=-1)
    alone = log_mean_exponential(np.linalg.norm(total, axis=-1) / noise, d)
    return np.asarray(np.log(draw.q) + log_mean_exponential(with_query / noise, d) - alone)


def five_neighbours(draw: Draw) -> Floats:
    distances = squared(draw.queries, draw.inputs)
    chosen = draw.labels[np.argsort(distances, axis=-1)[..., :5]]
    return np.asarray((chosen[..., None] == np.arange(len(draw.counts))).sum(-2) + 0.01 * nearest_mean(draw))


def ridge(draw: Draw) -> Floats:
    """Least squares on indicators of classes, as linear discriminants with a shrunk covariance are."""
    rows = np.hstack([draw.inputs, np.ones((len(draw.inputs), 1))])
    targets = np.eye(len(draw.counts))[draw.labels]
    weights = np.linalg.solve(rows.T @ rows + 1.0 * np.eye(rows.shape[1]), rows.T @ targets)
    return np.asarray(draw.queries @ weights[:-1] + weights[-1])


def logistic(draw: Draw) -> Floats:
    """Softmax regression by gradient descent."""
    k = len(draw.counts)
    weights, targets = np.zeros((draw.inputs.shape[1], k)), np.eye(k)[draw.labels]
    for _ in range(60):
        scores = draw.inputs @ weights
        shares = np.exp(scores - scores.max(1, keepdims=True))
        weights -= 3.0 / len(targets) * draw.inputs.T @ (shares / shares.sum(1, keepdims=True) - targets)
    return np.asarray(draw.queries @ weights)


def perceptron(draw: Draw) -> Floats:
    """A network with one hidden layer of 32 rectified units, by Adam on the log loss."""
    generator, d, k = np.random.default_rng(0), draw.inputs.shape[1], len(draw.counts)
    weights = [generator.normal(size=(d, 32)) / np.sqrt(d), generator.normal(size=(32, k)) / np.sqrt(32)]
    first, second, targets = [0.0 * w for w in weights], [0.0 * w for w in weights], np.eye(k)[draw.labels]
    for step in range(1, 61):
        hidden = np.maximum(draw.inputs @ weights[0], 0)
        rest = (special.softmax(hidden @ weights[1], axis=1) - targets) / len(targets)
        slopes = [draw.inputs.T @ (rest @ weights[1].T * (hidden > 0)), hidden.T @ rest]
        for i, slope in enumerate(slopes):
            first[i] = 0.9 * first[i] + 0.1 * slope
            second[i] = 0.99 * second[i] + 0.01 * slope**2
            size = np.sqrt(second[i] / (1 - 0.99**step)) + 1e-8
            weights[i] = weights[i] - 0.02 * first[i] / (1 - 0.9**step) / size
    return np.asarray(np.maximum(draw.queries @ weights[0], 0) @ weights[1])


CASES = [
    (ClassMixture(dim=2, input_noise=0.1), 60),
    (ClassMixture(dim=3, input_noise=0.3), 40),
    (ClassMixture(dim=4, input_noise=0.2), 100),
    (ClassMixture(dim=16, input_noise=0.5, n_high=3, n_low=4), 150),
    (ClassMixture(dim=64, input_noise=0.2), 20),
    (ClassMixture(dim=64, input_noise=0.2, p_high=0.6), 100),
    (ClassMixture(dim=128, input_noise=0.3, n_high=2, n_low=2), 30),
    (ClassMixture(dim=64, input_noise=0.05), 50),
    (ClassMixture(dim=8, input_noise=0.4, n_high=1, n_low=2), 12),
]


@pytest.mark.parametrize(("spec", "size"), CASES)
def test_1_13_and_1_14_and_1_20_exact_risks_agree_with_simulation(spec: ClassMixture, size: int) -> None:
    """All learners, frequent and rare classes, within five standard errors and the error of the integration."""
    generator, found = np.random.default_rng(1), {"bayes": bayes, "nearest_mean": nearest_mean, "lda": lda}
    draws = [Draw(size, spec, generator) for _ in range(400)]
    for learner, scores in found.items():
        wrong = np.array([draw.wrong(scores(draw)) for draw in draws])
        exact = noisy_input_error(size, spec, learner)
        for group in ("high", "low"):
            members = spec.group(group)
            means = wrong[:, members].mean(1)
            error = 5 * means.std() / np.sqrt(len(means)) + (5e-3 if spec.dim < 4 else 1e-3)
            assert abs(means.mean() - exact[members[0]]) < error, (learner, group, means.mean(), exact[members[0]])


@pytest.mark.parametrize(("spec", "size"), CASES)
def test_1_14_no_learner_errs_less_than_bayes(spec: ClassMixture, size: int) -> None:
    """Weighed by frequencies, as the posterior is; nearest means and directions, linear discriminants, neighbours,
    least squares, softmax regression and a network of one hidden layer."""
    generator = np.random.default_rng(2)
    draws = [Draw(size, spec, generator) for _ in range(150)]
    least = float(noisy_input_error(size, spec) @ spec.frequencies)
    for scores in (nearest_mean, nearest_direction, lda, five_neighbours, ridge, logistic, perceptron):
        some = draws[:40] if scores is perceptron else draws
        wrong = np.array([draw.wrong(scores(draw)) @ spec.frequencies for draw in some])
        assert wrong.mean() + 4 * wrong.std() / np.sqrt(len(wrong)) >= least, scores.__name__
    for learner in ("nearest_mean", "lda"):
        assert float(noisy_input_error(size, spec, learner) @ spec.frequencies) >= least - 1e-3


def test_1_14_the_bound_is_near_the_best_learner() -> None:
    """At ten points, at least 80% of what the best of six learners pays that know nothing of the laws."""
    generator = np.random.default_rng(3)
    for d, noise, size in ((16, 0.2, 50), (16, 0.5, 300), (64, 0.1, 50), (64, 0.2, 30), (64, 0.2, 60), (64, 0.3, 100),
                           (64, 0.5, 1000), (128, 0.2, 50), (128, 0.3, 100), (256, 0.2, 100)):  # fmt: skip
        spec = ClassMixture(dim=d, input_noise=noise, p_high=0.7)
        draws = [Draw(size, spec, generator) for _ in range(60)]
        best = min(
            np.mean([draw.wrong(scores(draw)) @ spec.frequencies for draw in draws])
            for scores in (nearest_mean, nearest_direction, lda, five_neighbours, ridge, logistic)
        )
        assert float(noisy_input_error(size, spec) @ spec.frequencies) >= 0.8 * best, (d, noise, size)


def test_1_15_crossovers_are_where_the_risk_passes_its_level() -> None:
    """And N* times the frequency of a rare class hardly depends on the frequency, for the best learner."""
    for learner in LEARNERS:
        found = {}
        for p_high in (0.6, 0.95):
            spec = ClassMixture(dim=64, input_noise=0.2, p_high=p_high)
            size = noisy_input_crossover(spec, "low", 0.5, learner)
            before, at = spec.group_mean(noisy_input_error([np.floor(size * 0.99) - 1, size], spec, learner), "low")
            assert before > 0.5 >= at
            found[p_high] = size * spec.frequencies[-1]
        spread = max(found.values()) / min(found.values())
        assert spread < 1.1 if learner == "bayes" else 1.3 < spread < 1.8
    assert noisy_input_crossover(ClassMixture(dim=2, input_noise=5.0), "low", 0.2) == np.inf


@pytest.mark.parametrize("learner", LEARNERS)
def test_1_14_ends_and_extremes(learner: str) -> None:
    """Nothing seen; noise that says nothing, where the best guess is a frequent class; hardly any noise; many
    dimensions."""
    spec = ClassMixture(dim=64, input_noise=0.2)
    assert noisy_input_error(0, spec, learner).tolist() == [0.9] * 10
    lost = noisy_input_error(1000, ClassMixture(dim=64, input_noise=50.0), learner)
    assert lost @ spec.frequencies >= 1 - spec.frequencies.max() - 0.01
    assert learner != "bayes" or lost @ spec.frequencies == pytest.approx(1 - spec.frequencies.max(), abs=0.01)
    seen = 1 - (1 - spec.frequencies) ** 50
    clear = noisy_input_error(50, ClassMixture(dim=64, input_noise=1e-5), learner)
    np.testing.assert_allclose(clear, (1 - seen) * 0.9, atol=1e-6)
    wide = noisy_input_error(50, ClassMixture(dim=2000, input_noise=0.2), learner)
    assert ((wide > noisy_input_error(50, spec, learner)) & (wide < 1)).all()


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("spec", [
    ClassMixture(dim=2, input_noise=0.2), ClassMixture(dim=3, input_noise=0.05), ClassMixture(dim=4, input_noise=0.2),
    ClassMixture(dim=64, input_noise=0.005), ClassMixture(dim=64, input_noise=0.2),
    ClassMixture(dim=16, input_noise=0.5), ClassMixture(dim=128, input_noise=0.5),
])  # fmt: skip
def test_1_13_more_nodes_change_less_than_is_stated(
    monkeypatch: pytest.MonkeyPatch, spec: ClassMixture, learner: str
) -> None:
    sizes = [3, 30, 100, 300, 1000, 10000]
    score_tables.cache_clear()
    few = noisy_input_error(sizes, spec, learner)
    for name, value in {"NORMS": 12, "LENGTHS": 10, "ANGLES": 64, "SCORES": 500}.items():
        monkeypatch.setattr(f"theory.noisy_scores.{name}", value)
    score_tables.cache_clear()
    more = noisy_input_error(sizes, spec, learner)
    score_tables.cache_clear()
    part, least = (1 / 300, 1e-6) if spec.dim >= 4 else (1 / 50, 2e-5)
    assert (abs(few - more) <= part * more + least).all(), (abs(few - more) / (more + 1e-3)).max()


def by_enumeration(size: int, spec: ClassMixture, learner: str) -> Floats:
    """Risk of each class from the same tables, but summed over all the counts that N inputs can have."""
    tables, q, k = score_tables(spec.dim, spec.input_noise, learner), spec.frequencies, spec.n_classes
    hits = np.zeros(k)
    for counts in product(range(size + 1), repeat=k):
        if sum(counts) != size:
            continue
        log_mass = special.gammaln(size + 1) - special.gammaln(np.array(counts) + 1.0).sum() + counts @ np.log(q)
        laws = np.zeros((k, len(COUNTS), 1))
        for law, n in zip(laws, counts, strict=True):
            if n:
                places, parts = cubic(np.log(COUNTS), np.log([n]))
                law[places[:, 0], 0] = parts[:, 0]
        for c in range(k):
            survive = np.ones(1)
            for j in range(k):
                gap = float(np.log(q[c] / q[j])) if learner == "bayes" else 0.0
                survive = survive * (1 if j == c else 1 - _held(tables, tables.rival @ laws[j], gap))
            hit = (tables.own @ laws[c] * survive).sum() if counts[c] else 1 / k
            hits[c] += np.exp(log_mass) * hit
    return 1 - hits


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(("n_low", "size"), [(1, 2), (1, 5), (1, 20), (2, 3), (2, 8), (2, 15)])
def test_1_17_counts_that_depend_on_each_other_cost_at_most_one_part_in_2n(n_low: int, size: int, learner: str) -> None:
    for p_high, d, noise in product((0.5, 0.8, 0.95), (8, 64), (0.2, 0.4)):
        spec = ClassMixture(n_high=1, n_low=n_low, p_high=p_high, dim=d, input_noise=noise)
        exact, found = by_enumeration(size, spec, learner), noisy_input_error(size, spec, learner)
        assert (abs(found - exact) <= exact / (2 * size) + 0.15 / size**2).all(), (p_high, d, noise, found, exact)


@pytest.mark.parametrize(("spec", "size"), CASES)
def test_1_18_no_learner_that_cares_for_one_group_errs_less(spec: ClassMixture, size: int) -> None:
    """Even one that never names a class of the other group; Bayes' choice among a group attains the bound."""
    generator = np.random.default_rng(4)
    draws = [Draw(size, spec, generator) for _ in range(200)]
    bounds = noisy_input_bounds(size, spec)
    for group in ("high", "low"):
        members = spec.group(group)
        outside = np.where(np.isin(np.arange(spec.n_classes), members), 0.0, -np.inf)
        lower, upper = (float(end) for end in bounds[group])
        for scores in (bayes, nearest_mean, ridge):
            wrong = np.array([draw.wrong(scores(draw) + outside)[members].mean() for draw in draws])
            error = 5 * wrong.std() / np.sqrt(len(wrong)) + 5e-3
            assert wrong.mean() + error >= lower
            if scores is bayes:
                assert wrong.mean() - error <= lower * (1 + 1 / size) + (0.02 if spec.dim < 4 else 0.005)
        means = np.array([draw.wrong(nearest_mean(draw))[members].mean() for draw in draws])
        assert means.mean() - 5 * means.std() / np.sqrt(len(means)) <= upper


def test_1_18_groups_of_all_classes_and_nothing_seen() -> None:
    spec = ClassMixture(dim=16, input_noise=0.3)
    lower, _ = noisy_input_bounds([10, 100, 1000], spec)["all"]
    exact = spec.group_mean(noisy_input_error([10, 100, 1000], spec), "all")
    assert (lower <= exact).all()
    np.testing.assert_allclose(lower, exact, rtol=0.06)
    for ends in noisy_input_bounds(0, spec).values():
        np.testing.assert_allclose(ends, 0.9, rtol=4e-3)


def test_1_18_every_class_covered_once() -> None:
    """As many inputs of each class as were drawn, and one more."""
    spec, generator = ClassMixture(dim=16, input_noise=0.2, n_high=2, n_low=2), np.random.default_rng(5)
    bounds = noisy_input_bounds([4, 20], spec, cover_classes=True)
    for place, size in enumerate((4, 20)):
        wrong = []
        for _ in range(400):
            draw = Draw(size - 4, spec, generator)
            draw.counts, draw.labels = draw.counts + 1, np.concatenate([draw.labels, np.arange(4)])
            draw.inputs = np.concatenate([draw.inputs, draw.queries[:, 0]])
            draw.queries = draw.queries[:, 1:]
            wrong.append(draw.wrong(nearest_mean(draw)))
        means = np.array(wrong)[:, spec.group("low")].mean(1)
        error = 5 * means.std() / 20
        assert bounds["low"][0][place] - error <= means.mean() <= bounds["low"][1][place] + error
        assert abs(means.mean() - bounds["low"][1][place]) < error + 0.6 * means.mean() / max(size - 4, 1) + 1e-3


@pytest.mark.parametrize("noise", [0.1, 0.4, 0.85])
def test_1_19_noisy_labels_cost_every_learner(noise: float) -> None:
    """Labels noisy in training and at the test; nothing is known from above."""
    spec = ClassMixture(dim=16, input_noise=0.2, label_noise=noise, n_high=2, n_low=3)
    lower, upper = noisy_input_bounds(60, spec)["all"]
    assert upper == 1.0
    generator, wrong = np.random.default_rng(6), []
    for _ in range(400):
        draw = Draw(60, spec, generator)
        flips = generator.random(len(draw.labels)) < noise
        draw.labels = np.where(flips, (draw.labels + generator.integers(1, 5, len(flips))) % 5, draw.labels)
        draw.counts = np.bincount(draw.labels, minlength=5)
        missed = draw.wrong(nearest_mean(draw))
        wrong.append(noise + (1 - noise * 5 / 4) * (missed @ spec.frequencies))
    assert np.mean(wrong) + 5 * np.std(wrong) / 20 >= lower >= min(noise, 1 - noise / 4)


@pytest.mark.parametrize(("arguments", "said"), [
    ((-1, ClassMixture(), "bayes"), "`n_inputs` must be"),
    ((10, ClassMixture(), "svm"), "`learner` must be one of"),
    ((10, ClassMixture(input_noise=0.0), "bayes"), "`spec.input_noise` must be > 0; got 0.0"),
    ((10, ClassMixture(dim=1), "bayes"), "`spec.dim` must be >= 2; got 1"),
])  # fmt: skip
def test_bad_input_is_named(arguments: tuple[int, ClassMixture, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        noisy_input_error(*arguments)


def test_bounds_refuse_what_they_are_not_known_for() -> None:
    with pytest.raises(ValueError, match=r"`spec.label_noise_kind` must be uniform for noisy inputs; got 'shift'"):
        noisy_input_bounds(10, ClassMixture(label_noise=0.1, label_noise_kind="shift"))
    with pytest.raises(ValueError, match=r"`n_inputs` must be an integer >= 10"):
        noisy_input_bounds(5, ClassMixture(), cover_classes=True)
