"""Conditions are exact weighted means over cells; measures of known predictors have known values."""

import numpy as np
import pytest
import torch

from gating.evaluation.conditions import Condition, TestSet, conditions, draw_test_set
from gating.evaluation.measures import answer_measures, answers, by_replica, gate_rows, loss_rows, mean_gate_rows
from gating.gates.learned import MLPGate
from gating.gates.stylized import StylizedModel
from gating.models.layers import generators
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from theory.context_law import CONTEXTS
from theory.distribution import ClassMixture


def sampler(**fields) -> ClassMixtureSampler:
    return ClassMixtureSampler([ClassMixture(**fields)] * 2, [1000] * 2, [0, 1])


def of_class(sequences) -> torch.Tensor:
    """The predictor that names the true class."""
    return torch.nn.functional.one_hot(sequences.query_class, 10).double().clamp_min(1e-30).log()


def rows_of(predictor, test_set, spec) -> dict[tuple[str, str, str, str], list[float]]:
    rows = loss_rows(answers(predictor, test_set), test_set, list(conditions(spec)))
    return {(r["distribution"], r["context"], r["group"], r["measure"]): r["value"] for r in rows}


def test_cells_hold_what_they_are_named_after():
    """Each class has S relevant and S irrelevant sequences; the kinds differ exactly by showing the query's class."""
    test_set = draw_test_set(sampler(context_length=4), seed=5, evaluation_per_cell=7)
    classes = test_set.sequences["ibd"].classes.unflatten(1, (10, 2, 7))
    shown = (classes[..., :-1] == classes[..., -1:]).any(-1)
    assert (classes[..., -1] == torch.arange(10)[None, :, None, None]).all()
    assert shown[:, :, 0].all()
    assert not shown[:, :, 1].any()


def test_the_true_class_errs_never_in_base_and_always_out_of_base():
    """Without label noise: error exactly 0 on IBD and exactly 1 on OOBD, in every condition, however often drawn."""
    s = sampler()
    for seed in range(3):
        found = rows_of(of_class, draw_test_set(s, seed=seed, evaluation_per_cell=20), s.distributions[0])
        for context in CONTEXTS:
            for group in ("high", "low", "all"):
                for measure in ("error", "expected_error"):
                    np.testing.assert_allclose(found["ibd", context, group, measure], 0.0, atol=1e-12)
                    np.testing.assert_allclose(found["oobd", context, group, measure], 1.0, atol=1e-12)


def test_copying_the_context_is_right_on_both_distributions_when_it_is_relevant():
    s = sampler(input_noise=0.0)
    found = rows_of(SoftmaxSimilarity(10, 2), draw_test_set(s, seed=0, evaluation_per_cell=20), s.distributions[0])
    for distribution in ("ibd", "oobd"):
        assert found[distribution, "relevant", "low", "error"] == [0.0, 0.0]
        assert found[distribution, "irrelevant", "low", "error"] == [1.0, 1.0]
        np.testing.assert_allclose(found[distribution, "as_trained", "all", "error"], 0.1)


@pytest.mark.parametrize("kind", ["uniform", "shift"])
def test_expected_losses_are_means_over_label_noise(kind):
    """The true class errs with the noise's probability, against drawn labels on average and in expectation exactly;
    the out-of-base law is the in-base law with its labels moved."""
    s = sampler(label_noise=0.3, label_noise_kind=kind)
    test_set = draw_test_set(s, seed=0, evaluation_per_cell=400)
    found = rows_of(of_class, test_set, s.distributions[0])
    np.testing.assert_allclose(found["ibd", "relevant", "all", "expected_error"], 0.3, atol=1e-12)
    drawn = np.array(found["ibd", "relevant", "all", "error"])
    assert (np.abs(drawn - 0.3) < 5 * np.sqrt(0.21 / 400)).all()
    moved = test_set.label_distribution["oobd"]
    target = test_set.sequences["oobd"].target
    names = torch.as_tensor(s.distributions[0].shifted_labels.copy())[test_set.sequences["ibd"].query_class]
    np.testing.assert_allclose(moved.gather(-1, names.unsqueeze(-1)), 0.7)
    assert bool((moved.gather(-1, target.unsqueeze(-1)) > 0).all())


def test_groups_are_weighted_by_frequency():
    """`all` is the frequency-weighted mean of `high` and `low`, and `as_trained` mixes the contexts by p_relevant."""
    s = sampler(p_high=0.7, p_relevant=0.6)
    g = InWeightMLP(64, 10, rngs=generators([0, 1]))
    found = {
        k: np.array(v)
        for k, v in rows_of(g, draw_test_set(s, seed=0, evaluation_per_cell=30), s.distributions[0]).items()
    }
    for measure in ("error", "log_loss", "expected_log_loss"):
        high, low, both = (found["ibd", "relevant", group, measure] for group in ("high", "low", "all"))
        np.testing.assert_allclose(both, 0.7 * high + 0.3 * low)
        parts = [found["ibd", context, "low", measure] for context in CONTEXTS]
        np.testing.assert_allclose(parts[2], 0.6 * parts[0] + 0.4 * parts[1])


def test_ties_are_broken_at_random():
    log_p = torch.tensor([[[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]]).log()
    law = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])
    found = answer_measures(log_p, torch.tensor([[0, 0]]), law)
    assert found["error"].tolist() == [[0.5, 1.0]]
    assert found["expected_error"].tolist() == [[0.5, 0.75]]


def test_one_label_is_known_and_none_is_refused():
    zero, label = torch.zeros(1, 2, 1), torch.zeros(1, 2, dtype=torch.int64)
    assert {tuple(value.flatten().tolist()) for value in answer_measures(zero, label, zero + 1).values()} == {
        (0.0, 0.0)
    }
    with pytest.raises(ValueError, match=r"`log_p` must be log-probabilities of shape \(R, B, C\) without NaN"):
        answer_measures(zero[..., :0], label, zero[..., :0])


@pytest.mark.parametrize(("above", "loss"), [(1.2e-7, 0.0), (0.5, -0.5)])
def test_a_certain_answer_that_rounding_puts_above_certainty_costs_nothing_and_a_wrong_sum_still_shows(above, loss):
    log_p = torch.tensor([[[above, -20.0]]], dtype=torch.float64)
    found = answer_measures(log_p, torch.tensor([[0]]), torch.tensor([[[1.0, 0.0]]]))
    assert found["log_loss"].item() == found["expected_log_loss"].item() == loss


@pytest.mark.parametrize("logit", [-3.0, 0.0, 2.0])
def test_the_effective_gate_recovers_the_gate_of_a_stylized_model(logit):
    """A stylized model with a constant gate has that effective gate in every condition, with residual 0."""
    rngs = generators([0, 1])
    gate = MLPGate(64, 1, inputs="query", rngs=rngs)
    model = StylizedModel(InWeightMLP(64, 10, rngs=rngs), SoftmaxSimilarity(10, 2), gate).requires_grad_(False)
    gate.layers[2].weight.zero_()
    gate.layers[2].bias.fill_(logit)
    s = sampler()
    test_set, by_condition = draw_test_set(s, seed=0, evaluation_per_cell=10), list(conditions(s.distributions[0]))
    log_p, g, h, alpha = (answers(part, test_set) for part in (model, model.g, model.h, gate.alpha))
    expected = float(torch.tensor(logit).sigmoid())
    for row in gate_rows("effective_gate", log_p, g, h, test_set, by_condition):
        wanted = expected if row["measure"] == "effective_gate" else 0.0
        np.testing.assert_allclose(row["value"], wanted, atol=2e-5)
    for row in mean_gate_rows(alpha, test_set, by_condition):
        np.testing.assert_allclose(row["value"], expected, rtol=1e-6)


def test_a_group_without_classes_has_no_condition_and_a_lone_class_is_refused():
    assert {c.group for c in conditions(ClassMixture(n_high=4, n_low=0))} == {"high", "all"}
    lone = ClassMixtureSampler([ClassMixture(n_high=3, n_low=1)], [100], [0])
    with pytest.raises(ValueError, match="`n_low` to be 0 or at least 2; got 1"):
        draw_test_set(lone, seed=0, evaluation_per_cell=1)
    with pytest.raises(ValueError, match="`evaluation_per_cell` must be an integer >= 1; got 0"):
        draw_test_set(lone, seed=0, evaluation_per_cell=0)


# By hand: two classes and labels, two sequences in each cell, in the order (class 0, relevant), (class 0, irrelevant),
# (class 1, relevant), (class 1, irrelevant). The target is label 0 in base and label 1 out of base.

P = np.array([0.5, 0.25, 0.8, 0.8, 0.9, 0.5, 0.1, 0.2])  # of label 0
RELEVANT = Condition("relevant", "all", torch.tensor([[0.75, 0.0], [0.25, 0.0]], dtype=torch.float64))
IRRELEVANT = Condition("irrelevant", "low", torch.tensor([[0.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
MIXED = Condition("as_trained", "all", torch.tensor([[0.6, 0.15], [0.2, 0.05]], dtype=torch.float64))


def by_hand(laws: dict[str, list[float]], evaluation_per_cell: int = 2, replicas: int = 1) -> TestSet:
    """A test set of four cells whose inputs do not matter."""
    shape = (replicas, 4 * evaluation_per_cell, 2)
    sequences = {}
    for name, label in (("ibd", 0), ("oobd", 1)):
        y = torch.full(shape, label)
        sequences[name] = Sequences(torch.zeros(*shape, 1), y, y)
    law = {name: torch.tensor(held, dtype=torch.float64).expand(*shape) for name, held in laws.items()}
    return TestSet(sequences, law, evaluation_per_cell)


def two_labels(p: np.ndarray) -> dict[str, torch.Tensor]:
    """Log-probabilities, alike in and out of base, of label 0 with probability p, shape (R, n) or (n,)."""
    held = torch.from_numpy(np.stack([p, 1 - p], -1)).log()
    held = held if held.dim() == 3 else held[None]
    return {"ibd": held, "oobd": held}


def one(rows, **where):
    [row] = [row for row in rows if all(row[name] == value for name, value in where.items())]
    return row


def test_losses_are_those_counted_by_hand():
    """Value, standard error over the sequences of cells, and how many sequences of equal weight that is worth."""
    test_set = by_hand({"ibd": [0.75, 0.25], "oobd": [0.25, 0.75]})
    rows = list(loss_rows(two_labels(P), test_set, [RELEVANT, IRRELEVANT, MIXED]))
    row = one(rows, distribution="ibd", context="relevant", measure="log_loss")
    assert row["value"] == pytest.approx(
        [-0.75 * (np.log(0.5) + np.log(0.25)) / 2 - 0.25 * (np.log(0.9) + np.log(0.5)) / 2]
    )
    spread = [(np.log(0.5) - np.log(0.25)) ** 2 / 2, (np.log(0.9) - np.log(0.5)) ** 2 / 2]  # variance of two numbers
    assert row["standard_error"] == pytest.approx([np.sqrt((0.75**2 * spread[0] + 0.25**2 * spread[1]) / 2)])
    assert row["tests"] == [int(2 / 0.75)]
    row = one(rows, distribution="oobd", context="relevant", measure="log_loss")
    assert row["value"] == pytest.approx(
        [-0.75 * (np.log(0.5) + np.log(0.75)) / 2 - 0.25 * (np.log(0.1) + np.log(0.5)) / 2]
    )
    assert one(rows, distribution="ibd", context="irrelevant", measure="error")["value"] == [1.0]
    assert one(rows, distribution="oobd", context="irrelevant", measure="error")["value"] == [0.0]
    assert one(rows, distribution="ibd", context="irrelevant", measure="error")["tests"] == [2]
    row = one(rows, distribution="ibd", context="as_trained", measure="error")
    assert row["value"] == pytest.approx([0.6 * (0.5 + 1) / 2 + 0.15 * 0 + 0.2 * (0 + 0.5) / 2 + 0.05 * 1])
    assert row["standard_error"] == pytest.approx([np.sqrt((0.6**2 + 0.2**2) * 0.125 / 2)])
    assert (row["group"], row["kind"], row["tests"]) == ("all", "measured", [3])
    row = one(rows, distribution="oobd", context="as_trained", measure="error")
    assert row["value"] == pytest.approx([0.6 * (0.5 + 0) / 2 + 0.15 * 1 + 0.2 * (1 + 0.5) / 2 + 0.05 * 0])


def test_expected_losses_are_those_counted_by_hand():
    """Label 0 has probability 3/4 in base and 1/4 out of base."""
    test_set = by_hand({"ibd": [0.75, 0.25], "oobd": [0.25, 0.75]})
    rows = list(loss_rows(two_labels(P), test_set, [RELEVANT, IRRELEVANT, MIXED]))
    for name, share in (("ibd", 0.75), ("oobd", 0.25)):
        row = one(rows, distribution=name, context="irrelevant", measure="expected_error")
        assert row["value"] == pytest.approx([share])  # label 1 is chosen
        row = one(rows, distribution=name, context="irrelevant", measure="expected_log_loss")
        each = -share * np.log([0.1, 0.2]) - (1 - share) * np.log([0.9, 0.8])
        assert row["value"] == pytest.approx([each.mean()])
        assert row["standard_error"] == pytest.approx([abs(each[0] - each[1]) / 2])


def test_cells_of_one_sequence_have_no_standard_error():
    rows = loss_rows(
        two_labels(P[::2]), by_hand({"ibd": [1.0, 0.0], "oobd": [0.0, 1.0]}, evaluation_per_cell=1), [RELEVANT]
    )
    row = one(rows, distribution="ibd", measure="error")
    assert np.isnan(row["standard_error"]).all()
    assert row["tests"] == [1]


@pytest.mark.parametrize(
    "weights", [[[0.6, 0.15], [0.2, 0.05]], [[0.25, 0.25], [0.25, 0.25]], [[0.9, 0.0], [0.1, 0.0]]]
)
def test_no_answers_of_a_mean_vary_more_than_tests_of_equal_weight(weights):
    """Right or wrong with any probability in each cell: the variance of the mean is at most v (1 - v) over ``tests``,
    and is that where the sequences of the heaviest cell alone may be wrong, and rarely are."""
    w, n = np.array(weights).ravel(), 1000
    condition = Condition("as_trained", "all", torch.tensor(weights, dtype=torch.float64))
    test_set = by_hand({"ibd": [1.0, 0.0], "oobd": [0.0, 1.0]}, evaluation_per_cell=n)
    rows = loss_rows(two_labels(np.tile(P, n // 2)), test_set, [condition])
    [tests] = one(rows, distribution="ibd", measure="error")["tests"]
    p = np.random.default_rng(0).random((10_000, 4)) ** np.array([1, 4, 16, 1])
    p[0] = 1e-6 * (w == w.max())
    mean, variance = p @ w, (p * (1 - p)) @ w**2 / n
    assert (variance <= mean * (1 - mean) / tests * (1 + 1e-3)).all()
    assert (variance / (mean * (1 - mean) / tests)).max() > 0.99 / max(1, (w == w.max()).sum())


def test_the_gate_is_the_one_found_by_hand_and_its_error_that_of_the_mean_it_follows():
    """Between g, which answers label 0 with probability 0.9, and h, which does with 0.1, the nearest mixture answers it
    as often as the model does on average: alpha = (mean - 0.1) / 0.8. Its residual is the mean divergence from it."""
    test_set = by_hand({"ibd": [1.0, 0.0], "oobd": [0.0, 1.0]})
    g, h = two_labels(np.full(8, 0.9)), two_labels(np.full(8, 0.1))
    model = {"ibd": two_labels(P)["ibd"], "oobd": two_labels(1 - P)["oobd"]}
    rows = list(gate_rows("gate", model, g, h, test_set, [RELEVANT, MIXED]))
    for condition in (RELEVANT, MIXED):
        w = condition.weights.numpy().ravel()
        cells = P.reshape(4, 2)
        mean = w @ cells.mean(1)
        row = one(rows, distribution="ibd", context=condition.context, measure="gate")
        assert row["value"] == pytest.approx([(mean - 0.1) / 0.8], abs=1e-9)
        assert row["standard_error"] == pytest.approx([np.sqrt(w**2 @ cells.var(1, ddof=1) / 2) / 0.8])
        divergence = cells * np.log(cells / mean) + (1 - cells) * np.log((1 - cells) / (1 - mean))
        row = one(rows, distribution="ibd", context=condition.context, measure="gate_residual")
        assert row["value"] == pytest.approx([w @ divergence.mean(1)])
        assert row["standard_error"] == pytest.approx([np.sqrt(w**2 @ divergence.var(1, ddof=1) / 2)])
        assert row["tests"] == [int(2 / w.max() + 1e-9)]
        row = one(rows, distribution="oobd", context=condition.context, measure="gate")
        assert row["value"] == pytest.approx([(1 - mean - 0.1) / 0.8], abs=1e-9)


def test_a_gate_at_its_edge_or_without_a_meaning_has_no_error():
    test_set = by_hand({"ibd": [1.0, 0.0], "oobd": [0.0, 1.0]})
    g, h = two_labels(np.full(8, 0.9)), two_labels(np.full(8, 0.1))
    for model, value in ((np.full(8, 0.95), 1.0), (np.full(8, 0.05), 0.0)):
        rows = list(gate_rows("gate", two_labels(model), g, h, test_set, [MIXED]))
        row = one(rows, distribution="ibd", measure="gate")
        assert row["value"] == [value]
        assert np.isnan(row["standard_error"]).all()
        assert row["tests"] == [None]
        edge = 0.9 if value else 0.1
        t = model[0]
        wanted = t * np.log(t / edge) + (1 - t) * np.log((1 - t) / (1 - edge))
        assert one(rows, distribution="ibd", measure="gate_residual")["value"] == pytest.approx([wanted])
    rows = list(gate_rows("gate", two_labels(P), g, g, test_set, [MIXED]))
    assert np.isnan(one(rows, distribution="ibd", measure="gate")["value"]).all()
    assert {row["measure"] for row in by_replica(rows, [{"seed": 0}])} == {"gate_residual"}


def test_standard_errors_are_how_much_new_test_sequences_move_a_value():
    """400 test sets of two cells: the mean standard error of the gate is within 10% of what the gates vary by, where g,
    h and the model are not the same on every sequence."""
    rng, n = np.random.default_rng(3), 60
    shape = (400, 4 * n)
    g, h, t = (rng.beta(a, b, shape) for a, b in ((6, 2), (2, 6), (3, 2)))
    test_set = by_hand({"ibd": [1.0, 0.0], "oobd": [0.0, 1.0]}, evaluation_per_cell=n, replicas=400)
    found = list(gate_rows("gate", two_labels(t), two_labels(g), two_labels(h), test_set, [MIXED]))
    found += loss_rows(two_labels(t), test_set, [MIXED])
    for measure in ("gate", "gate_residual", "error", "log_loss"):
        row = one(found, distribution="ibd", measure=measure)
        assert np.mean(row["standard_error"]) == pytest.approx(np.std(row["value"]), rel=0.1), measure
    assert 0.1 < np.mean(one(found, distribution="ibd", measure="gate")["value"]) < 0.9


def test_the_mean_gate_is_counted_by_hand():
    alpha = {name: torch.from_numpy(P)[None] for name in ("ibd", "oobd")}
    test_set = by_hand({"ibd": [1.0, 0.0], "oobd": [0.0, 1.0]})
    row = one(mean_gate_rows(alpha, test_set, [RELEVANT]), distribution="oobd")
    assert row["measure"] == "mean_gate"
    assert row["value"] == pytest.approx([0.75 * 0.375 + 0.25 * 0.7])
    assert row["standard_error"] == pytest.approx([np.sqrt((0.75**2 * 0.25**2 + 0.25**2 * 0.4**2) / 4)])
    with pytest.raises(ValueError, match=r"`alpha` must be in \[0, 1\]"):
        list(mean_gate_rows({"ibd": torch.full((1, 8), 1.5)}, test_set, [RELEVANT]))


def test_out_of_base_the_law_of_labels_moves_with_them():
    """Three frequent classes and two rare ones, labels noisy by one step: frequent labels move 0 to 1 to 2 to 0, rare
    ones 3 to 4 to 3, and so do the noisy ones."""
    spec = ClassMixture(n_high=3, n_low=2, label_noise=0.25, label_noise_kind="shift", dim=4)
    test_set = draw_test_set(ClassMixtureSampler([spec], [10], [0]), seed=0, evaluation_per_cell=1)
    moved = {0: 1, 1: 2, 2: 0, 3: 4, 4: 3}
    for name in ("ibd", "oobd"):
        law = test_set.label_distribution[name].unflatten(1, (5, 2, 1))[0, :, 0, 0].numpy()
        wanted = np.zeros((5, 5))
        for c in range(5):
            for label, share in ((c, 0.75), ((c + 1) % 5, 0.25)):
                wanted[c, moved[label] if name == "oobd" else label] += share
        np.testing.assert_allclose(law, wanted)
    y = {name: held.y.numpy() for name, held in test_set.sequences.items()}
    np.testing.assert_array_equal(y["oobd"], np.vectorize(moved.get)(y["ibd"]))


def test_conditions_weigh_cells_as_written():
    spec = ClassMixture(n_high=2, n_low=2, p_high=0.8, p_relevant=0.7)
    found = {(c.context, c.group): c.weights.numpy() for c in conditions(spec)}
    assert len(found) == 9
    np.testing.assert_allclose(found["relevant", "low"], [[0, 0], [0, 0], [0.5, 0], [0.5, 0]])
    np.testing.assert_allclose(found["irrelevant", "high"], [[0, 0.5], [0, 0.5], [0, 0], [0, 0]])
    np.testing.assert_allclose(found["as_trained", "all"], np.outer([0.4, 0.4, 0.1, 0.1], [0.7, 0.3]))
