"""Predictions: what crosses where in made-up curves, what is said of it, and a small run from end to end."""

import numpy as np
import pandas as pd
import pytest

from gating.results.parquet import read_table
from gating.results.query import select
from gating.results.table import make_table
from gating.studies.predict.answers import MODEL_FACTOR, answer_rows
from gating.studies.predict.config import PredictConfig
from gating.studies.predict.measure import theory_rows
from gating.studies.predict.page import predict_text, predict_verdict
from gating.training.schedule import TrainSettings
from tests.golden.settings import CASES, run
from theory.distribution import ClassMixture
from theory.settings import SpecError, build

CONFIG = PredictConfig(n_sequences=(10, 100, 1000), n_seeds=3, training=TrainSettings(steps=100, checkpoints=2))
STEPS = CONFIG.training.checkpoint_steps
IN_WEIGHT, IN_CONTEXT = ("ibd", "irrelevant", "error"), ("oobd", "relevant", "error")
GATE = ("oobd", "relevant", "effective_gate")


def curves(weights, context, miss=0.2) -> pd.DataFrame:
    """Rows of rare and of frequent classes from errors by (step, N, seed) of rare ones; frequent ones are always known,
    and never read."""
    rows = []
    for k, step in enumerate(STEPS):
        for j, n in enumerate(CONFIG.sizes):
            for seed in range(CONFIG.n_seeds):
                place = {
                    "study": "predict",
                    "system": "stylized",
                    "kind": "measured",
                    "step": step,
                    "n": n,
                    "seed": seed,
                }
                low, read = float(weights(k, j, seed)), float(context(k, j, seed))
                for group, error, lost in (("low", low, read), ("high", 0.0, 1.0)):
                    for where, value in ((IN_WEIGHT, error), (IN_CONTEXT, lost), (GATE, lost)):
                        names = dict(zip(("distribution", "context", "measure"), where, strict=True))
                        rows.append({**place, "group": group, **names, "value": value})
                    own = {"system": "in_weight", "measure": "linear_loss", "distribution": "ibd"}
                    rows.append({**place, **own, "context": "irrelevant", "group": group, "value": miss})
    return make_table(rows)


def answered(*errors, **how) -> pd.DataFrame:
    table = curves(*errors, **how)
    return pd.concat([table, make_table(answer_rows(CONFIG, table)).assign(answer=True)])


def found(table: pd.DataFrame, measure: str, **where) -> pd.Series:
    rows = select(table[table["answer"]], {"measure": measure, "group": "low", **where})
    assert len(rows) == 1
    return rows.iloc[0]


HANDED_OVER = answered(lambda k, j, seed: [0.9, 0.7, 0.3][j], lambda k, j, seed: [0.0, 0.2, 0.6 if k else 0.1][j])


def test_a_crossing_lies_where_the_curve_passes_its_level_in_ln_n():
    weights = found(HANDED_OVER, "crossover_error_level", step=STEPS[-1])
    assert weights["value"] == pytest.approx(100 * 10**0.5)
    assert (weights["reached"], weights["already"], weights["seeds"]) == (3, 0, 3)
    lost = found(HANDED_OVER, "crossover_reading_lost", step=STEPS[-1])
    assert lost["value"] == pytest.approx(100 * 10**0.75)
    assert found(HANDED_OVER, "crossover_reading_lost", step=STEPS[0])["reached"] == 0


def test_seeds_that_agree_leave_the_factor_between_models_in_the_interval():
    n = found(HANDED_OVER, "crossover_error_level", step=STEPS[-1])
    assert (n["high"] / n["value"], n["value"] / n["low"]) == pytest.approx((MODEL_FACTOR, MODEL_FACTOR))


def test_seeds_that_differ_widen_it():
    table = answered(lambda k, j, seed: [0.9, 0.7, 0.1 + 0.15 * seed][j], lambda k, j, seed: 0.0)
    n = found(table, "crossover_error_level", step=STEPS[-1])
    assert n["high"] / n["value"] > 1.05 * MODEL_FACTOR
    assert (n["high"] / n["value"]) == pytest.approx(n["value"] / n["low"])


def test_reading_that_is_lost_during_training_has_a_step_and_only_at_that_n():
    assert STEPS[0] < found(HANDED_OVER, "crossover_step_reading_lost", n=1000)["value"] < STEPS[1]
    assert found(HANDED_OVER, "crossover_step_reading_lost", n=100)["reached"] == 0


def test_the_share_that_keeps_reading_is_that_of_the_handover():
    """(1 - 0.2) / (1 - 0.1)."""
    assert found(HANDED_OVER, "keeping_share", n=1000)["value"] == pytest.approx(8 / 9)


CASES_SAID = {
    "handed over": (
        HANDED_OVER,
        ["Rare classes: weights take over at N* = 316 [158, 632]; reading the context is lost from N = 562",
         "Rare classes, N of 1,000: reading emerges and is lost during training",
         "Frequent classes: weights answer at every N looked at; the context is read at no N looked at.",
         "by a share of relevant contexts of 0.89 for frequent classes and 0.89 for rare"],
        ["kept up to", "Caution", "nan"],
    ),
    "kept": (
        answered(lambda k, j, seed: 0.9, lambda k, j, seed: 0.1),
        ["weights take over at no N up to the largest looked at (0 of 3 models cross)",
         "reading the context is kept up to N = 1,000", "Reading, once there, is lost during training at no N"],
        ["is lost from", "nan"],
    ),
    "some seeds": (
        answered(lambda k, j, seed: [0.9, 0.7, 0.3 if seed else 0.9][j], lambda k, j, seed: 0.1 if seed else 0.9),
        ["N* = 316 (2 of 3 models cross)", "1 of 3 models read the context at no N looked at"], ["nan"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES_SAID)
def test_what_is_said(case):
    table, there, absent = CASES_SAID[case]
    said = " ".join(predict_verdict(CONFIG, table))
    for sentence in there:
        assert sentence in said
    for sentence in absent:
        assert sentence not in said


def test_a_small_run_has_theory_curves_and_answers(small_runs):
    folder = run("predict", next(iter(CASES["predict"])), small_runs)
    table = read_table(folder / "results.parquet")
    config = build(PredictConfig, {"study": "predict", **next(iter(CASES["predict"].values()))})
    measured = table[table["kind"] == "measured"]
    assert set(measured["system"]) == {"stylized", "in_weight"}
    assert set(measured["n"]) == {*config.sizes}
    assert set(measured["group"]) == {"high", "low"}
    theory = select(table, {"kind": "exact", "group": "low", "level": 0.5}).set_index("system")["value"]
    assert theory["tabular"] <= theory["bayes"] <= theory["nearest_mean"]
    again = make_table(answer_rows(config, table[~table["answer"]]))
    assert len(again) == table["answer"].sum()
    text = predict_text(config, table)
    assert "Predicted N*" in text
    assert "Best learner from noisy inputs" in text


def test_theory_has_what_holds_of_the_data():
    def systems(**data):
        return {row["system"] for row in theory_rows(PredictConfig(distribution=ClassMixture(**data)))}

    assert systems() == {"tabular", "bayes", "nearest_mean"}
    assert systems(input_noise=0.0) == systems(label_noise=0.1) == {"tabular"}
    assert systems(zipf=1.0, n_high=9, n_low=9) == {"tabular"}


def test_label_noise_moves_the_level_to_half_of_what_can_be_learnt():
    assert PredictConfig(distribution=ClassMixture(label_noise=0.2)).level == 0.6


def test_sizes_are_chosen_by_the_frequencies_where_none_are_given():
    config = PredictConfig(distribution=ClassMixture(p_high=0.5, n_high=2, n_low=50))
    assert config.sizes[0] == 4 / 0.25
    assert config.sizes[-1] == 512 / 0.01
    ratios = np.array(config.sizes[1:]) / config.sizes[:-1]
    assert ratios.max() / ratios.min() < 1.05


@pytest.mark.parametrize(("given", "said"), [
    ({"n_sequences": (100, 10)}, "`n_sequences`"),
    ({"n_sequences": (10,)}, "`n_sequences`"),
    ({"distribution": ClassMixture(n_high=1)}, "`distribution.n_high` must be 0 or at least 2"),
    ({"distribution": ClassMixture(n_low=2, p_high=1 - 1e-12)}, "`n_sequences` must be given"),
    ({"hidden": 0}, "`hidden`"),
    ({"distribution": ClassMixture(label_noise=0.85)}, "`distribution.label_noise` must be below 1 - 2 / 10 = 0.8"),
    ({"distribution": ClassMixture(n_low=0, n_high=2)}, "`distribution.label_noise` must be below 1 - 2 / 2 = 0"),
])  # fmt: skip
def test_settings_that_are_none_are_refused(given, said):
    with pytest.raises(SpecError, match=said):
        PredictConfig(**given)
