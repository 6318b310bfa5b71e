"""One test for each statement of docs/theory.md, section 5."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.claims.monte_carlo import N_ERRORS, standard_error
from tests.claims.test_in_context import losses, sampled_tokens
from theory.crossovers import crossover, largest_label_noise, smallest_context, smallest_sample
from theory.curves import in_weight_risk
from theory.distribution import ClassMixture
from theory.in_context import exact_error, exact_log_loss
from theory.phases import ICL, IWL, UNDECIDED, Comparison, phase_diagram, risk_bounds

Floats = NDArray[np.float64]
BASE = ClassMixture(label_noise=0.05, input_noise=0.0)
MEASURES = ("error", "log_loss")


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("covered", [False, True])
@pytest.mark.parametrize("group", ["high", "low", "all"])
def test_5_1_crossover_is_the_smallest_n_whose_risk_is_no_larger(measure: str, covered: bool, group: str) -> None:
    spec = replace(BASE, context_length=2)
    compare = Comparison(measure=measure, cover_classes=covered, temperature=0.2)
    found = crossover(spec, group, compare)
    copying = {"error": exact_error, "log_loss": exact_log_loss}[measure](spec, temperature=0.2)
    target = float(spec.group_mean(copying, group))
    sizes = np.array([found.exact - 1, found.exact])
    before, after = spec.group_mean(in_weight_risk(spec, sizes, measure, "ibd", cover_classes=covered), group)
    assert before > target >= after
    assert found.earliest <= found.exact <= found.latest


@pytest.mark.parametrize("measure", [*MEASURES, "linear_loss"])
@pytest.mark.parametrize("context", ["relevant", "irrelevant", "as_trained"])
def test_5_1_equal_distances_have_an_exact_crossover_under_shift_noise(measure: str, context: str) -> None:
    spec = replace(BASE, context_length=3, label_noise=0.3, label_noise_kind="shift")
    found = crossover(spec, "low", Comparison(measure=measure, context=context, temperature=0.7))
    assert found.earliest <= found.exact == found.latest


@pytest.mark.parametrize("measure", MEASURES)
def test_5_2_rare_classes_cross_later_in_proportion_to_one_over_q(measure: str) -> None:
    p_rare = np.geomspace(1e-5, 1e-2, 7)
    sizes = [crossover(replace(BASE, p_high=1 - p), "low", Comparison(measure=measure)).exact for p in p_rare]
    exponent = np.polyfit(np.log(p_rare), np.log(sizes), 1)[0]
    assert exponent == pytest.approx(-1, abs=0.005)


def test_5_3_bounds_order_the_crossovers() -> None:
    for measure in MEASURES:
        simple, tight = (crossover(BASE, "low", Comparison(measure=measure, bounds=b)) for b in ("simple", "tight"))
        assert simple.earliest <= tight.earliest <= tight.exact <= tight.latest <= simple.latest


def simulated_gap(
    spec: ClassMixture, n: int, group: str, compare: Comparison, generator: np.random.Generator
) -> Floats:
    """In-context minus in-weight loss on independent sequences and training sets, equidistant centres."""
    size, members, measure = 3_000, spec.group(group), compare.measure
    shares = generator.multinomial(size, spec.frequencies[members] / spec.group_frequency(group))
    centres = np.eye(spec.n_classes, spec.dim)
    gaps = []
    for label, share in zip(members, shares, strict=True):
        if share == 0:
            continue
        classes, y = sampled_tokens(spec, int(label), "relevant", generator, share)
        x = centres[classes] + spec.input_noise * generator.standard_normal((*classes.shape, spec.dim))
        copied = losses(((x[:, :-1] - x[:, -1:]) ** 2).sum(-1), y, spec.n_classes, 0.1)[measure]
        counts = generator.multinomial(
            generator.binomial(n, spec.frequencies[label], share), spec.label_matrix[label]
        ).astype(float)
        answer = y[:, -1]
        if measure == "error":
            top = counts == counts.max(axis=1, keepdims=True)
            learned = 1 - top[np.arange(share), answer] / top.sum(axis=1)
        else:
            beta = compare.beta
            learned = -np.log((counts[np.arange(share), answer] + beta) / (counts.sum(axis=1) + beta * spec.n_classes))
        gaps.append(copied - learned)
    return np.concatenate(gaps)


@pytest.mark.long
def test_5_4_simulation_contradicts_no_certificate_at_200_random_points() -> None:
    generator = np.random.default_rng(54)
    seen = {ICL: 0, IWL: 0}
    while sum(seen.values()) < 200:
        measure, group = str(generator.choice(MEASURES)), str(generator.choice(["high", "low"]))
        n = int(10 ** generator.uniform(0.5, 4))
        spec = replace(
            BASE,
            p_high=generator.uniform(0.5, 0.99),
            context_length=int(generator.choice([1, 4])),
            input_noise=float(generator.choice([0.0, 0.2])),
        )
        compare = Comparison(measure=measure, beta=float(generator.choice([1.0, 0.02])))
        phase = int(risk_bounds([spec], [n], compare)[group].phases[0, 0])
        if phase == UNDECIDED or seen[phase] >= 100:
            continue
        seen[phase] += 1
        gap = simulated_gap(spec, n, group, compare, generator)
        assert -phase * gap.mean() > -N_ERRORS * standard_error(gap)


@pytest.mark.parametrize("measure", ["error", "log_loss", "linear_loss"])
def test_5_5_tight_bounds_decide_all_that_simple_ones_do_and_more(measure: str) -> None:
    sizes, p_high = np.unique(np.logspace(1, 6, 20).round()).tolist(), np.linspace(0.5, 0.99, 8).tolist()
    simple, tight = (
        phase_diagram(BASE, "n_sequences", sizes, "p_high", p_high, compare=Comparison(measure=measure, bounds=b))[
            "low"
        ]
        for b in ("simple", "tight")
    )
    decided = simple.phases != UNDECIDED
    assert (tight.phases[decided] == simple.phases[decided]).all()
    assert tight.shares["undecided"] <= simple.shares["undecided"]
    if measure != "linear_loss":
        assert tight.shares["undecided"] < simple.shares["undecided"]


def test_5_6_a_diagram_is_its_points_whatever_the_axes() -> None:
    compare, noises, lengths = Comparison(measure="log_loss"), [0.0, 0.1, 0.3], [1, 2, 5]
    diagrams = phase_diagram(BASE, "context_length", lengths, "label_noise", noises, compare=compare, n_sequences=200)
    turned = phase_diagram(BASE, "label_noise", noises, "context_length", lengths, compare=compare, n_sequences=200)
    for group, diagram in diagrams.items():
        assert (diagram.phases == turned[group].phases.T).all()
        assert diagram.phases.shape == (3, 3)
        for i, noise in enumerate(noises):
            for j, length in enumerate(lengths):
                point = replace(BASE, label_noise=noise, context_length=length)
                assert diagram.phases[i, j] == risk_bounds([point], [200], compare)[group].phases[0, 0]
    by_size = phase_diagram(BASE, "p_high", [0.6, 0.9], "n_sequences", [10, 100, 1000], compare=compare)["low"]
    assert by_size.phases.shape == (3, 2)
    assert by_size.phases[2, 1] == risk_bounds([replace(BASE, p_high=0.9)], [1000], compare)["low"].phases[0, 0]


@pytest.mark.parametrize("n_classes", [3, 6, 10])
@pytest.mark.parametrize("measure", ["error", "log_loss", "linear_loss"])
def test_5_6_critical_label_noise_is_a_point_like_others(n_classes: int, measure: str) -> None:
    spec = replace(BASE, n_high=n_classes // 2, n_low=n_classes - n_classes // 2)
    critical, sizes = 1 - 1 / n_classes, [0, 10, 10**6, 2**53]
    compare = Comparison(measure=measure)
    diagram = phase_diagram(spec, "n_sequences", sizes, "label_noise", [0.05, critical], compare=compare)["low"]
    guessing = np.log(n_classes) if measure == "log_loss" else critical
    assert diagram.bounds.in_weight_lower[1] == pytest.approx(guessing, rel=1e-12)
    if measure == "error":
        assert diagram.bounds.in_weight_upper[1] == pytest.approx(critical, rel=1e-12)
    assert (diagram.phases[1] != ICL).all()
    assert measure == "log_loss" or (diagram.phases[1] == UNDECIDED).all()


def test_5_7_inverse_questions_stop_at_the_edge_of_a_phase() -> None:
    compare = Comparison()
    n = smallest_sample(BASE, "low", IWL, compare)
    phases = risk_bounds([BASE], [n - 1, n], compare)["low"].phases[0]
    assert phases[0] != IWL
    assert phases[1] == IWL
    noise = largest_label_noise(BASE, "low", ICL, compare, n_sequences=150, largest=0.3)
    edge = [replace(BASE, label_noise=noise + step) for step in (0.0, 2e-6)]
    inside, outside = risk_bounds(edge, [150], compare)["low"].phases[:, 0]
    assert inside == ICL
    assert outside != ICL
    noisier = replace(BASE, label_noise=0.1)
    log_loss = Comparison(measure="log_loss")
    length = smallest_context(noisier, "high", ICL, log_loss, n_sequences=0, longest=40)
    shorter = replace(noisier, context_length=int(length) - 1)
    assert length > 1
    assert risk_bounds([shorter], [0], log_loss)["high"].phases[0, 0] != ICL
