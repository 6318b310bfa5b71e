"""ClassMixture: every field is checked, and its laws are those of enumeration."""

import tracemalloc
from dataclasses import FrozenInstanceError, replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from theory.distribution import ClassMixture
from theory.in_context import exact_linear_loss
from theory.settings import SpecError

INF, NAN = float("inf"), float("nan")

BAD_FIELDS = [
    *[("n_high", v, "an integer >= 0") for v in (-1, 2.0, True, "5", None)],
    *[("n_low", v, "an integer >= 0") for v in (-1, 2.5, False, "5", None)],
    *[("p_high", v, "in (0, 1)") for v in (0, 1, 0.0, 1.0, -0.1, 1.5, NAN, INF, "0.9", None, True)],
    *[("zipf", v, "a finite number >= 0, or null") for v in (-0.1, NAN, INF, "1", True)],
    *[("p_relevant", v, "in [0, 1]") for v in (-1e-9, 1 + 1e-9, NAN, "all", None, True)],
    *[("context_length", v, "an integer >= 1") for v in (0, -3, 1.0, True, None)],
    *[("n_relevant", v, "an integer >= 1, or null") for v in (0, -1, 1.0, True, "1")],
    *[("dim", v, "an integer >= 1") for v in (0, -64, 64.0, True, None)],
    *[("input_noise", v, "a finite number >= 0") for v in (-0.2, NAN, INF, "0", None, True)],
    *[("label_noise", v, "in [0, 1)") for v in (-0.1, 1, 1.0, NAN, "0", None, True)],
    *[("label_noise_kind", v, "one of ('uniform', 'shift')") for v in ("Shift", "", None, 0)],
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD_FIELDS)
def test_a_field_out_of_its_set_is_named_with_the_set_and_the_value(name, value, allowed):
    with pytest.raises(SpecError) as caught:
        ClassMixture(**{name: value})
    assert caught.value.problems == [f"`{name}` must be {allowed}; got {value!r}"]


def test_every_bad_field_is_reported_at_once():
    bad = {"n_high": -1, "p_high": 2, "zipf": -1, "p_relevant": 2, "context_length": 0, "n_relevant": 0}
    bad |= {"n_low": -1, "dim": 0, "input_noise": -1, "label_noise": 1, "label_noise_kind": "none"}
    with pytest.raises(SpecError) as caught:
        ClassMixture(**bad)
    assert len(caught.value.problems) == len(bad)
    for name, value in bad.items():
        assert any(p.startswith(f"`{name}` must be ") and p.endswith(f"got {value!r}") for p in caught.value.problems)
    assert str(caught.value) == "; ".join(caught.value.problems)


@pytest.mark.parametrize(("n_high", "n_low"), [(0, 0), (1, 0), (0, 1)])
def test_fewer_than_two_classes(n_high, n_low):
    with pytest.raises(SpecError) as caught:
        ClassMixture(n_high=n_high, n_low=n_low)
    assert caught.value.problems == [f"`n_high` + `n_low` must be >= 2; got {n_high + n_low}"]


BAD_FREQUENCIES = [
    (0.5, 0.5),
    (0.5, 0.3, 0.3),
    (0.5, 0.5, 0.0),
    (0.7, 0.5, -0.2),
    (NAN, 0.5, 0.5),
    (1.0, INF, 0.1),
    (True, 0.5, 0.5),
]


@pytest.mark.parametrize("q", BAD_FREQUENCIES)
def test_frequencies_must_be_a_positive_distribution_of_the_right_length(q):
    with pytest.raises(SpecError) as caught:
        ClassMixture(n_high=1, n_low=2, query_frequencies=q)
    wanted = "`n_high` + `n_low` = 3 positive numbers that sum to 1"
    if not all(0 < number < INF and number is not True for number in q):
        wanted = "a list of finite numbers > 0, or null"
    assert caught.value.problems == [f"`query_frequencies` must be {wanted}; got {list(q)!r}"]


def test_joint_problems_are_reported_at_once():
    with pytest.raises(SpecError) as caught:
        ClassMixture(n_high=2, n_low=1, zipf=1.0, query_frequencies=(0.5, 0.5), context_length=2, n_relevant=3)
    assert caught.value.problems == [
        "`n_relevant` must be at most `context_length` = 2; got 3",
        "`zipf` must be None when `query_frequencies` is given; got both",
        "`query_frequencies` must be `n_high` + `n_low` = 3 positive numbers that sum to 1; got [0.5, 0.5]",
    ]


@pytest.mark.parametrize(("name", "value"), [("zipf", 2000.0), ("p_high", 5e-324)])
def test_frequencies_that_underflow_are_refused(name, value):
    with pytest.raises(SpecError, match=rf"^`{name}` must leave every class a positive frequency; got {value}$"):
        ClassMixture(**{name: value})
    assert ClassMixture(zipf=290.0).frequencies.min() > 0


def test_more_classes_than_can_be_tabulated_are_refused_before_they_are():
    with pytest.raises(SpecError, match=r"^`n_high` \+ `n_low` must be at most 2\^20; got 1048577$"):
        ClassMixture(n_high=2**20, n_low=1)


def test_a_specification_cannot_be_changed():
    spec = ClassMixture()
    with pytest.raises(FrozenInstanceError):
        spec.p_high = 0.5
    for array in (spec.frequencies, spec.label_matrix, spec.shifted_labels, spec.n_relevant_pmf):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert ClassMixture() == spec
    assert hash(ClassMixture(query_frequencies=[0.5, 0.5], n_high=1, n_low=1)) == hash(
        ClassMixture(query_frequencies=np.array([0.5, 0.5]), n_high=1, n_low=1)
    )


@pytest.mark.parametrize(
    ("n_high", "n_low", "p_high", "wanted"),
    [
        (2, 3, 0.75, [0.375, 0.375, 1 / 12, 1 / 12, 1 / 12]),
        (0, 4, 0.75, [0.25] * 4),
        (4, 0, 0.75, [0.25] * 4),
        (1, 1, 0.9, [0.9, 0.1]),
    ],
)
def test_two_groups_share_their_masses_evenly(n_high, n_low, p_high, wanted):
    q = ClassMixture(n_high=n_high, n_low=n_low, p_high=p_high).frequencies
    np.testing.assert_allclose(q, wanted, rtol=1e-14)


@pytest.mark.parametrize("s", [0, 0.5, 1, 3.0])
def test_zipf_frequencies_are_powers_of_the_rank(s):
    q = ClassMixture(n_high=3, n_low=4, zipf=s).frequencies
    np.testing.assert_allclose(q / q[0], [(c + 1) ** -s for c in range(7)], rtol=1e-13)
    assert q.sum() == pytest.approx(1, abs=1e-15)


def test_explicit_frequencies_and_group_masses():
    spec = ClassMixture(n_high=1, n_low=2, query_frequencies=(0.2, 0.3, 0.5))
    np.testing.assert_allclose(spec.frequencies, [0.2, 0.3, 0.5], rtol=1e-15)
    masses = [spec.group_frequency(name) for name in ("high", "low", "all")]
    np.testing.assert_allclose(masses, [0.2, 0.8, 1.0], rtol=1e-14)
    assert [spec.group(name).tolist() for name in ("high", "low", "all")] == [[0], [1, 2], [0, 1, 2]]
    with pytest.raises(ValueError, match=r"`group` must be one of \('high', 'low', 'all'\); got 'rare'"):
        spec.group("rare")


def test_uniform_noise_spreads_over_the_other_labels():
    p = ClassMixture(n_high=2, n_low=2, label_noise=0.3).label_matrix
    np.testing.assert_allclose(p, [[0.7 if c == y else 0.1 for y in range(4)] for c in range(4)], rtol=1e-14)


def test_shift_noise_moves_a_class_to_the_next_label_and_the_last_to_the_first():
    p = ClassMixture(n_high=2, n_low=1, label_noise=0.3, label_noise_kind="shift").label_matrix
    np.testing.assert_allclose(p, [[0.7, 0.3, 0], [0, 0.7, 0.3], [0.3, 0, 0.7]], rtol=1e-14)


@pytest.mark.parametrize(
    ("n_high", "n_low", "wanted"),
    [(3, 2, [1, 2, 0, 4, 3]), (0, 3, [1, 2, 0]), (4, 0, [1, 2, 3, 0])],
)
def test_the_shift_stays_in_the_group_and_leaves_no_label_in_place(n_high, n_low, wanted):
    assert ClassMixture(n_high=n_high, n_low=n_low).shifted_labels.tolist() == wanted


@pytest.mark.parametrize(("n_high", "n_low", "name"), [(1, 2, "n_high"), (5, 1, "n_low")])
def test_a_class_alone_in_its_group_cannot_be_shifted(n_high, n_low, name):
    with pytest.raises(ValueError, match=f"the out-of-base shift needs `{name}` to be 0 or at least 2; got 1"):
        _ = ClassMixture(n_high=n_high, n_low=n_low).shifted_labels


@pytest.mark.parametrize("length", [1, 2, 5])
def test_law_of_the_number_of_relevant_tokens_is_that_of_enumeration(length):
    """P(r | c) = sum over the K^L contexts with r tokens of class c, divided by that over contexts with any."""
    spec = ClassMixture(n_high=1, n_low=2, query_frequencies=(0.6, 0.3, 0.1), context_length=length)
    q = spec.frequencies
    mass = np.zeros((3, length + 1))
    for context in product(range(3), repeat=length):
        for c in range(3):
            mass[c, context.count(c)] += q[list(context)].prod()
    mass[:, 0] = 0
    np.testing.assert_allclose(spec.n_relevant_pmf, mass / mass.sum(axis=1, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("r", [1, 2, 4])
def test_a_fixed_number_of_relevant_tokens_is_a_point_mass(r):
    pmf = ClassMixture(context_length=4, n_relevant=r).n_relevant_pmf
    np.testing.assert_array_equal(pmf, np.tile(np.eye(5)[r], (10, 1)))


def test_law_of_the_number_of_relevant_tokens_for_long_contexts_and_very_rare_classes():
    q, length = (1 - 1e-9, 1e-9), 1000
    spec = ClassMixture(n_high=1, n_low=1, query_frequencies=q, context_length=length)
    r = np.arange(1, length + 1)
    for c in range(2):
        exact = stats.binom.pmf(r, length, q[c]) / -np.expm1(length * np.log1p(-q[c]))
        large = exact > 1e-300
        np.testing.assert_allclose(spec.n_relevant_pmf[c, 1:][large], exact[large], rtol=1e-9)


def test_many_classes_that_are_alike_take_the_memory_of_one():
    spec = ClassMixture(n_high=50_000, n_low=50_000, context_length=1000, label_noise=0.05, input_noise=0.0)
    tracemalloc.start()
    risk = exact_linear_loss(spec, temperature=0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e8  # bytes; a row for each class would be 8e8
    few = replace(spec, n_high=50, n_low=50)
    assert risk.shape == (100_000,)
    np.testing.assert_allclose(risk[[0, -1]], exact_linear_loss(few, temperature=0.1)[[0, -1]], rtol=1e-3)
    np.testing.assert_array_equal(spec.relevant_counts(np.array([0, 99_999]))[:, 0], 0)


@pytest.mark.parametrize("p_relevant", [0.0, 0.3, 1.0])
def test_tokens_that_are_relevant_each_on_its_own_follow_the_procedure(p_relevant):
    """Drawn as the public code does: a relevant token repeats the class, another is drawn, and once more on a match."""
    spec = ClassMixture(n_high=2, n_low=2, p_high=0.7, context_length=3, p_relevant=p_relevant, relevance="token")
    rng, rows, k = np.random.default_rng(5), 200_000, 4
    query = rng.choice(k, rows, p=spec.frequencies)[:, None]
    drawn, again = rng.choice(k, (2, rows, 3), p=spec.frequencies)
    other = np.where(drawn == query, again, drawn)
    count = (np.where(rng.random((rows, 3)) < p_relevant, query, other) == query).sum(1)
    for label in range(k):
        mine = count[query[:, 0] == label]
        wanted = spec.relevant_shares[label] * spec.n_relevant_pmf[label]
        wanted[0] = 1 - spec.relevant_shares[label]
        found = np.bincount(mine, minlength=4) / len(mine)
        assert np.abs(found - wanted).max() < 5 * 0.5 / len(mine) ** 0.5
    assert spec.n_relevant_pmf.sum(1) == pytest.approx(1)


def test_the_two_kinds_of_relevance_nearly_agree_for_one_token():
    whole, each = (ClassMixture(relevance=kind) for kind in ("context", "token"))
    assert each.relevant_shares == pytest.approx(0.9 + 0.1 * each.frequencies**2)
    assert (whole.relevant_shares == 0.9).all()
    assert (whole.n_relevant_pmf == each.n_relevant_pmf).all()
    with pytest.raises(SpecError, match=r"^`n_relevant` must be None where `relevance` is 'token'; got 1$"):
        ClassMixture(n_relevant=1, relevance="token")
