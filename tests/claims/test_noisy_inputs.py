"""One test for each statement of docs/theory.md on learners that see noisy inputs: 1.13 to 1.15."""

import numpy as np
import pytest
from numpy.typing import NDArray

from theory.distribution import ClassMixture
from theory.noisy_inputs import LEARNERS, noisy_input_crossover, noisy_input_error

Floats = NDArray[np.float64]
TESTS = 20  # queries of each class for each draw of centres


class Draw:
    """Centres, labelled inputs and queries of one data set."""

    def __init__(self, size: int, spec: ClassMixture, generator: np.random.Generator):
        self.noise, self.q, k, d = spec.input_noise, spec.frequencies, spec.n_classes, spec.dim
        centres = generator.normal(size=(k, d)) / np.sqrt(d)
        self.counts = generator.binomial(size, self.q)
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


def bayes(draw: Draw) -> Floats:
    """Log posterior, written from the law of centres and not from the module."""
    d, noise = draw.inputs.shape[1], draw.noise**2
    precision = d + draw.counts / noise  # of each centre given its inputs
    mean = draw.means() * (draw.counts / noise / precision)[:, None]
    variance = noise + 1 / precision
    return np.asarray(np.log(draw.q) - d / 2 * np.log(variance) - squared(draw.queries, mean) / (2 * variance))


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


CASES = [
    (ClassMixture(dim=2, input_noise=0.1), 60),
    (ClassMixture(dim=3, input_noise=0.3), 40),
    (ClassMixture(dim=4, input_noise=0.2), 100),
    (ClassMixture(dim=16, input_noise=0.5, n_high=3, n_low=4), 150),
    (ClassMixture(dim=64, input_noise=0.2), 20),
    (ClassMixture(dim=64, input_noise=0.2, p_high=0.6), 100),
    (ClassMixture(dim=128, input_noise=0.3, n_high=2, n_low=2), 30),
    (ClassMixture(dim=64, input_noise=0.01), 50),
]


@pytest.mark.parametrize(("spec", "size"), CASES)
def test_1_13_and_1_14_exact_risks_agree_with_simulation(spec: ClassMixture, size: int) -> None:
    """Both learners, frequent and rare classes, within five standard errors and the error of the integration."""
    generator, found = np.random.default_rng(1), {"bayes": bayes, "nearest_mean": nearest_mean}
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
    """Weighed by frequencies, as the posterior is; nearest means, neighbours, least squares and softmax regression."""
    generator = np.random.default_rng(2)
    draws = [Draw(size, spec, generator) for _ in range(150)]
    least = float(noisy_input_error(size, spec) @ spec.frequencies)
    for scores in (nearest_mean, five_neighbours, ridge, logistic):
        wrong = np.array([draw.wrong(scores(draw)) @ spec.frequencies for draw in draws])
        assert wrong.mean() + 4 * wrong.std() / np.sqrt(len(wrong)) >= least, scores.__name__
    assert float(noisy_input_error(size, spec, "nearest_mean") @ spec.frequencies) >= least - 1e-3


def test_1_14_the_bound_is_near_the_best_learner() -> None:
    """At ten points, frequent and rare classes alike, at least 70% of what nearest means or least squares pay."""
    generator = np.random.default_rng(3)
    for d, noise, size in ((16, 0.2, 50), (16, 0.5, 300), (64, 0.1, 50), (64, 0.2, 30), (64, 0.2, 60), (64, 0.3, 100),
                           (64, 0.5, 1000), (128, 0.2, 50), (128, 0.3, 100), (256, 0.2, 100)):  # fmt: skip
        spec = ClassMixture(dim=d, input_noise=noise, p_high=0.7)
        draws = [Draw(size, spec, generator) for _ in range(60)]
        best = min(
            np.mean([draw.wrong(scores(draw)) @ spec.frequencies for draw in draws])
            for scores in (nearest_mean, ridge, bayes)
        )
        assert float(noisy_input_error(size, spec) @ spec.frequencies) >= 0.7 * best, (d, noise, size)


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
@pytest.mark.parametrize(("spec", "size", "within"), [
    (ClassMixture(dim=2, input_noise=0.2), 30, 5e-3), (ClassMixture(dim=4, input_noise=0.2), 100, 1e-4),
    (ClassMixture(dim=64, input_noise=0.2), 300, 1e-4), (ClassMixture(dim=16, input_noise=0.5), 200, 1e-4),
])  # fmt: skip
def test_1_13_more_nodes_change_less_than_is_stated(
    monkeypatch: pytest.MonkeyPatch, spec: ClassMixture, size: int, within: float, learner: str
) -> None:
    few = noisy_input_error(size, spec, learner)
    for name, value in {"NORMS": 12, "SCORES": 600, "RATIO": 1.01}.items():
        monkeypatch.setattr(f"theory.noisy_inputs.{name}", value)
    np.testing.assert_allclose(few, noisy_input_error(size, spec, learner), atol=within)


def test_1_13_far_distances_are_as_scipy_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the squared distance on at which they count as normal, and ten times nearer."""
    for spec in (ClassMixture(dim=64, input_noise=2.0), ClassMixture(dim=512, input_noise=0.2)):
        series = noisy_input_error(100, spec)
        with monkeypatch.context() as patch:
            patch.setattr("theory.noisy_inputs.FAR", 1e3)
            np.testing.assert_allclose(noisy_input_error(100, spec), series, atol=2e-5)


@pytest.mark.parametrize(("arguments", "said"), [
    ((-1, ClassMixture(), "bayes"), "`n_inputs` must be"),
    ((10, ClassMixture(), "svm"), "`learner` must be one of"),
    ((10, ClassMixture(input_noise=0.0), "bayes"), "`spec.input_noise` must be > 0; got 0.0"),
    ((10, ClassMixture(dim=1), "bayes"), "`spec.dim` must be >= 2; got 1"),
])  # fmt: skip
def test_bad_input_is_named(arguments: tuple[int, ClassMixture, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        noisy_input_error(*arguments)
