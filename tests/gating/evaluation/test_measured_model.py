"""Anybody's own model is measured as it should be: known gates are found, and what does not fit is named."""

import pytest
import torch

from gating.evaluation.measure import COPYING_TEMPERATURE, measure
from gating.predictors.in_context import SoftmaxSimilarity
from gating.predictors.in_weight import TabularInWeight
from gating.results.table import summarise
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture

SPEC, N, SEEDS = ClassMixture(dim=8, context_length=2, label_noise=0.1), 300, [4, 7]
G = TabularInWeight.fit(ClassMixtureSampler([SPEC] * 2, [N] * 2, SEEDS, cover_classes=False))
H = SoftmaxSimilarity(SPEC.n_classes, 1, temperature=COPYING_TEMPERATURE)


def mixed(alpha):
    return lambda sequences: (alpha * G(sequences).exp() + (1 - alpha) * H(sequences).exp()).log()


def measured(model, **how):
    return measure(model, SPEC, n=N, seeds=SEEDS, evaluation_per_cell=20, **how)


def gates(table):
    return table[table["measure"] == "effective_gate"]["value"].to_numpy()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_weight_of_a_mixture_of_label_counts_and_copying_is_found_in_every_condition(alpha):
    table = measured(mixed(alpha), system="mixed")
    assert gates(table) == pytest.approx(alpha, abs=1e-5)
    assert (table["measure"] == "effective_gate").sum() == 3 * 2 * 9  # two seeds and their mean, in 2 x 3 x 3 places
    residual = table[table["measure"] == "effective_gate_residual"]["value"]
    assert residual.abs().max() < 1e-6
    assert set(table["system"]) == {"mixed"}
    assert set(table["seed"].dropna()) == set(SEEDS)


def test_other_predictors_take_the_place_of_g_and_h():
    assert gates(measured(mixed(0.3), g=H, h=G)) == pytest.approx(0.7, abs=1e-5)
    assert gates(measured(mixed(0.3), h=mixed(0.2))) == pytest.approx(0.125, abs=1e-4)  # 0.2 + 0.8 a = 0.3


def test_rows_of_seeds_are_followed_by_their_means_with_intervals():
    table = measured(mixed(0.5))
    found, seeds = table[table["answer"]].reset_index(drop=True), table[~table["answer"]]
    assert found["seed"].isna().all()
    wanted = summarise(seeds)
    for end in ("value", "low", "high"):
        assert found[end].tolist() == pytest.approx(wanted[end].tolist(), nan_ok=True)
    error = found[found["measure"] == "error"]
    assert (error["low"] <= error["value"]).all()
    assert (error["value"] <= error["high"]).all()


def test_a_seed_is_measured_on_its_own_training_set():
    alone = measure(H, SPEC, n=N, seeds=SEEDS[1:], evaluation_per_cell=20)
    both = measured(H)
    mine = [table[(table["seed"] == 7) & (table["measure"] == "error")]["value"].tolist() for table in (alone, both)]
    assert mine[0] == mine[1]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"model": lambda sequences: H(sequences)[..., :4]}, r"`model` must answer with shape \(2, 400, 10\); got "),
        ({"model": lambda sequences: H(sequences)[:1]}, r"`model` must answer with shape \(2, 400, 10\); got \(1, "),
        ({"model": lambda sequences: H(sequences) * torch.nan}, "`log_p` must be log-probabilities .* without NaN"),
        ({"n": 2**22 + 1}, r"`n` must be an integer in 1 \.\. 2\^22; got 4194305"),
        ({"n": 0}, "`n` must be an integer"),
        ({"spec": "mixture"}, "`spec` must be a ClassMixture"),
        ({"system": 3}, "`system` must be a str"),
        ({"evaluation_per_cell": 0}, "`evaluation_per_cell` must be an integer >= 1"),
    ],
)
def test_what_does_not_fit_is_named(how, sentence):
    with pytest.raises(ValueError, match=sentence):
        measure(**{"model": H, "spec": SPEC, "n": N, "seeds": SEEDS, "evaluation_per_cell": 20} | how)


def test_a_training_set_too_large_to_count_needs_a_predictor():
    table = measure(H, SPEC, n=2**30, seeds=SEEDS, evaluation_per_cell=2, g=G)
    assert set(table["n"]) == {2**30}
