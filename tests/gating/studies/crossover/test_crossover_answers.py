"""Answers of the crossover study on curves whose N* is known: like beside like, counts of seeds, intervals, slopes."""

import numpy as np
import pandas as pd
import pytest

from gating.results.table import json_rows, make_table
from gating.studies.crossover.answers import ONSETS, answer_rows
from gating.studies.crossover.page import WORDS

SIZES = 2.0 ** np.arange(5, 13)
Q = {0.8: 0.04, 0.95: 0.01, 0.9: 0.02}  # frequency by p_high, not in order
TILT = {0.8: 0.4, 0.95: 0.2, 0.9: 0.3}  # of ln N* of a seed of counts, to either side, by p_high
PREDICTED = {"error": 2.0, "log_loss": 4.0, "error_level": 0.5}  # N* of theory, in units of 1 / q


def synthetic(factors: dict[int, float], seeds: int = 20) -> pd.DataFrame:
    """Curves with known N*: of counts where theory has it, on average; of Transformers at `factor` / q of each seed."""
    rows = []
    for p_high, q in Q.items():
        base = {"study": "crossover", "p_high": p_high, "group": "low"}
        theory = {**base, "system": "theory", "kind": "exact"}
        rows.append({**theory, "measure": "query_frequency", "value": q})
        rows += [{**theory, "measure": f"crossover_{key}", "value": n / q} for key, n in PREDICTED.items()]
        measured = {**base, "kind": "measured", "distribution": "ibd", "context": "as_trained"}
        for loss in ("error", "log_loss"):
            curve = {**measured, "measure": f"expected_{loss}"}
            for seed in range(seeds):
                tilt = TILT[p_high] * (1 if seed % 2 else -1)
                values = 1 + 0.1 * (tilt - np.log(SIZES * q / PREDICTED[loss]))
                level = 1.0 if loss == "log_loss" else 0.5
                rows += [{**curve, "system": "tabular", "seed": seed, "n": int(n), "value": value + level - 1}
                         for n, value in zip(SIZES, values, strict=True)]  # fmt: skip
                rows.append({**curve, "system": "copying", "seed": seed, "n": 32, "value": level})
        for seed, factor in factors.items():
            for step in (10, 20):
                slope = 0.04 if step == 20 else -0.04
                height = np.clip(0.5 + slope * np.log(SIZES * q / factor), 0, 1)
                for where, values in ((("oobd", "relevant", "effective_gate"), height),
                                      (("ibd", "irrelevant", "error"), 1 - height)):  # fmt: skip
                    place = dict(zip(("distribution", "context", "measure"), where, strict=True))
                    rows += [{**measured, **place, "system": "transformer", "seed": seed, "step": step, "n": int(n),
                              "value": value} for n, value in zip(SIZES, values, strict=True)]  # fmt: skip
    return make_table(rows)


def found(table: pd.DataFrame, measure: str, step: int | None = None, kind: str = "measured") -> pd.DataFrame:
    """Answers of one measure at the last step, or at `step`, by descending frequency."""
    answers = make_table(answer_rows(table))
    rows = answers[(answers["measure"] == measure) & (answers["kind"] == kind)]
    if rows["step"].notna().any():
        rows = rows[rows["step"] == (step or rows["step"].max())]
    return rows.sort_values("p_high")


@pytest.mark.parametrize("onset", ONSETS, ids=lambda onset: onset.key)
def test_every_onset_is_found_where_its_curve_crosses(onset):
    table = synthetic({0: 4.0, 1: 16.0})
    sizes = found(table, f"crossover_{onset.key}")
    expected = PREDICTED[onset.key] if onset.system == "tabular" else 8.0  # the geometric mean of 4 and 16
    np.testing.assert_allclose(sizes["value"], expected / np.array([0.04, 0.02, 0.01]), rtol=1e-6)
    assert (sizes["reached"] == sizes["seeds"]).all()
    assert (sizes["already"] == 0).all()
    assert sizes["seeds"].tolist() == [20 if onset.system == "tabular" else 2] * 3
    assert ((sizes["low"] < sizes["value"]) & (sizes["value"] < sizes["high"])).all()
    assert found(table, f"exponent_{onset.key}")["value"].tolist() == pytest.approx([-1.0])


@pytest.mark.parametrize("key", ["gate", "error_level"])
def test_stylized_models_are_a_prediction_and_ratios_are_seed_by_seed(key):
    """Transformers cross at 4 and 16, stylized models at 2 and 4 of 1 / q: ratios of 2 and 4, whose mean is sqrt 8."""
    table, twin = synthetic({0: 4.0, 1: 16.0}), synthetic({0: 2.0, 1: 4.0})
    twin = twin[twin["system"] == "transformer"].assign(system="stylized")
    both = make_table(pd.concat([table, twin], ignore_index=True))
    sizes = found(both, f"crossover_{key}", kind="predicted")
    np.testing.assert_allclose(sizes["value"], np.sqrt(8) / np.array([0.04, 0.02, 0.01]), rtol=1e-6)
    assert sizes["reached"].tolist() == [2, 2, 2]
    ratios = found(both, f"crossover_ratio_{key}", kind="predicted")
    np.testing.assert_allclose(ratios["value"], np.sqrt(8), rtol=1e-6)
    assert ((ratios["low"] < 2) & (ratios["high"] > 4)).all()
    assert found(both, f"exponent_{key}", kind="predicted")["value"].tolist() == pytest.approx([-1.0])
    measured = (found(each, f"crossover_{key}").reset_index(drop=True) for each in (both, table))
    pd.testing.assert_frame_equal(*measured)
    assert found(table, f"crossover_{key}", kind="predicted").empty
    never = make_table(pd.concat([table, twin.assign(value=twin["value"].where(twin["seed"] == 0, 0.5))]))
    assert found(never, f"crossover_ratio_{key}", kind="predicted")["low"].isna().all()


@pytest.mark.parametrize("onset", ONSETS, ids=lambda onset: onset.key)
def test_a_ratio_is_to_the_prediction_of_the_same_quantity_and_there_is_none_of_a_gate(onset):
    table = synthetic({0: 4.0, 1: 16.0})
    ratio, slopes = found(table, f"crossover_ratio_{onset.key}"), found(table, f"exponent_ratio_{onset.key}")
    if onset.key == "gate":
        assert ratio.empty
        assert slopes.empty
        assert found(table, "exponent_gate", kind="exact").empty
        return
    sizes, unit = found(table, f"crossover_{onset.key}"), PREDICTED[onset.key] / np.array([0.04, 0.02, 0.01])
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(ratio[name], sizes[name] / unit)
    assert ratio["value"].tolist() == pytest.approx([1.0 if onset.system == "tabular" else 16.0] * 3)
    assert found(table, f"exponent_{onset.key}", kind="exact")["value"].tolist() == pytest.approx([-1.0])
    assert slopes["value"].tolist() == pytest.approx([1.0])
    if onset.system == "tabular":  # slopes of the two seeds are alike, and have no interval
        assert (slopes["low"] < slopes["value"]).all()  # although the unit is negative
        assert (slopes["value"] < slopes["high"]).all()


def test_onsets_name_their_kind_and_their_level():
    answers = make_table(answer_rows(synthetic({0: 4.0, 1: 16.0})))
    levels = answers.groupby("measure")["level"].unique().map(list)
    for onset in ONSETS:
        kind = {"gate": "gate rises", "error_level": "in-weight error falls"}.get(onset.key, "risk crossing")
        assert kind in WORDS.said[onset.key]
        assert WORDS.said[onset.key].endswith("past 1/2") == (onset.level == 0.5)
        names = [name for name in levels.index if name.endswith(f"_{onset.key}")]
        assert len(names) == (2 if onset.key == "gate" else 4)
        assert all(np.array_equal(levels[name], [onset.level or np.nan], equal_nan=True) for name in names)


def test_the_bootstrap_is_over_training_sets_with_the_numbers_of_its_seed():
    """The mean of S multinomial resamples of alternating tilts, by the generator that `cluster_bootstrap` names."""
    seeds = 20
    sizes = found(synthetic({0: 4.0}, seeds), "crossover_error")
    shares = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), 2000) / seeds
    tilts = np.outer(shares @ np.where(np.arange(seeds) % 2, 1, -1), [0.4, 0.3, 0.2])
    low, high = np.quantile(np.exp(tilts), [0.025, 0.975], axis=0, method="inverted_cdf")
    np.testing.assert_allclose(sizes["low"] / sizes["value"], low, rtol=1e-6)
    np.testing.assert_allclose(sizes["high"] / sizes["value"], high, rtol=1e-6)


def test_an_interval_is_wider_for_fewer_training_sets():
    widths = [np.log(rows["high"] / rows["low"]).iloc[-1]
              for rows in (found(synthetic({0: 4.0}, seeds), "crossover_error") for seeds in (20, 4))]  # fmt: skip
    assert widths[0] < widths[1]
    assert widths[0] == pytest.approx(2 * 1.96 * 0.2 / 20**0.5, rel=0.3)


def test_seeds_without_a_crossing_are_counted_and_leave_no_interval():
    both, one = synthetic({0: 4.0, 1: 4.0, 2: 1e6}), synthetic({0: 1e-6})
    sizes = found(both, "crossover_gate")
    assert sizes["reached"].tolist() == [2, 2, 2]
    assert sizes["already"].tolist() == [0, 0, 0]
    assert sizes["seeds"].tolist() == [3, 3, 3]
    np.testing.assert_allclose(sizes["value"], 4 / np.array([0.04, 0.02, 0.01]))
    assert sizes[["low", "high"]].isna().all(axis=None)
    never = found(one, "crossover_gate")
    assert never["reached"].tolist() == [0, 0, 0]
    assert never["already"].tolist() == [1, 1, 1]
    assert never["value"].isna().all()
    assert found(one, "exponent_gate").empty
    assert found(one, "exponent_ratio_error_level").empty


def test_counts_that_are_past_the_level_everywhere_have_no_size_and_no_ends():
    table = synthetic({0: 4.0})
    tabular = (table["system"] == "tabular") & (table["measure"] == "expected_error")
    sizes = found(table.assign(value=table["value"].where(~tabular, 0.1)), "crossover_error")
    assert sizes["already"].tolist() == [20, 20, 20]
    assert sizes["reached"].tolist() == [0, 0, 0]
    assert sizes[["value", "low", "high"]].isna().all(axis=None)


def test_a_seed_whose_gate_is_not_defined_does_not_cross():
    table = synthetic({0: 4.0, 1: 4.0})
    gone = (table["measure"] == "effective_gate") & (table["seed"] == 1) & (table["p_high"] == 0.9)
    sizes = found(table[~gone], "crossover_gate")
    assert sizes["reached"].tolist() == [2, 1, 2]
    assert sizes["seeds"].tolist() == [2, 2, 2]
    assert sizes["already"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("predicted", [0.0, np.inf, np.nan])
def test_nothing_is_divided_by_what_is_no_size(predicted):
    table = synthetic({0: 4.0, 1: 16.0})
    theory = (table["measure"] == "crossover_error_level") & (table["p_high"] == 0.9)
    table = table.assign(value=table["value"].where(~theory, predicted))
    assert found(table, "crossover_ratio_error_level")["p_high"].tolist() == [0.8, 0.95]
    assert len(found(table, "crossover_error_level")) == 3
    assert found(table, "exponent_error_level", kind="exact").empty  # two frequencies are too few


def test_every_checkpoint_has_answers_and_json_gives_those_of_the_last():
    table = synthetic({0: 4.0})
    early = found(table, "crossover_gate", step=10)
    assert early["value"].isna().all()  # that curve goes the other way
    assert found(table, "crossover_gate", step=20)["value"].notna().all()
    answers = make_table(answer_rows(table))
    shown = [row for row in json_rows(answers) if row["measure"] == "crossover_gate"]
    assert len(answers[answers["measure"] == "crossover_gate"]) == 6
    assert [row["step"] for row in shown] == [20, 20, 20]
