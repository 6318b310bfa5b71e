"""Conditions are exact weighted means over cells; measures of known predictors have known values."""

import numpy as np
import pytest
import torch

from gating.evaluation.conditions import CONTEXTS, conditions, draw_test_set
from gating.evaluation.measures import answer_measures, answers, gate_rows, loss_rows, mean_gate_rows
from gating.gates.learned import MLPGate
from gating.models.layers import generators
from gating.models.stylized import StylizedModel
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP
from gating.tasks.class_mixture import ClassMixtureSampler
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
    test_set = draw_test_set(sampler(context_length=4), seed=5, per_cell=7)
    classes = test_set.sequences["ibd"].classes.unflatten(1, (10, 2, 7))
    shown = (classes[..., :-1] == classes[..., -1:]).any(-1)
    assert (classes[..., -1] == torch.arange(10)[None, :, None, None]).all()
    assert shown[:, :, 0].all()
    assert not shown[:, :, 1].any()


def test_the_true_class_errs_never_in_base_and_always_out_of_base():
    """Without label noise: error exactly 0 on IBD and exactly 1 on OOBD, in every condition, however often drawn."""
    s = sampler()
    for seed in range(3):
        found = rows_of(of_class, draw_test_set(s, seed=seed, per_cell=20), s.distributions[0])
        for context in CONTEXTS:
            for group in ("high", "low", "all"):
                for measure in ("error", "expected_error"):
                    np.testing.assert_allclose(found["ibd", context, group, measure], 0.0, atol=1e-12)
                    np.testing.assert_allclose(found["oobd", context, group, measure], 1.0, atol=1e-12)


def test_copying_the_context_is_right_on_both_distributions_when_it_is_relevant():
    s = sampler(input_noise=0.0)
    found = rows_of(SoftmaxSimilarity(10, 2), draw_test_set(s, seed=0, per_cell=20), s.distributions[0])
    for distribution in ("ibd", "oobd"):
        assert found[distribution, "relevant", "low", "error"] == [0.0, 0.0]
        assert found[distribution, "irrelevant", "low", "error"] == [1.0, 1.0]
        np.testing.assert_allclose(found[distribution, "as_trained", "all", "error"], 0.1)


@pytest.mark.parametrize("kind", ["uniform", "shift"])
def test_expected_losses_are_means_over_label_noise(kind):
    """The true class errs with the noise's probability, against drawn labels on average and in expectation exactly;
    the out-of-base law is the in-base law with its labels moved."""
    s = sampler(label_noise=0.3, label_noise_kind=kind)
    test_set = draw_test_set(s, seed=0, per_cell=400)
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
    found = {k: np.array(v) for k, v in rows_of(g, draw_test_set(s, seed=0, per_cell=30), s.distributions[0]).items()}
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


@pytest.mark.parametrize("logit", [-3.0, 0.0, 2.0])
def test_the_effective_gate_recovers_the_gate_of_a_stylized_model(logit):
    """A stylized model with a constant gate has that effective gate in every condition, with residual 0."""
    rngs = generators([0, 1])
    gate = MLPGate(64, 1, inputs="query", rngs=rngs)
    model = StylizedModel(InWeightMLP(64, 10, rngs=rngs), SoftmaxSimilarity(10, 2), gate).requires_grad_(False)
    gate.layers[2].weight.zero_()
    gate.layers[2].bias.fill_(logit)
    s = sampler()
    test_set, by_condition = draw_test_set(s, seed=0, per_cell=10), list(conditions(s.distributions[0]))
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
        draw_test_set(lone, seed=0, per_cell=1)
    with pytest.raises(ValueError, match="`per_cell` must be an integer >= 1; got 0"):
        draw_test_set(lone, seed=0, per_cell=0)
