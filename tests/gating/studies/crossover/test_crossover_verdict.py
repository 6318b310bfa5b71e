"""What is said of made-up runs: a claim that must be there, and one that must not."""

import pandas as pd
import pytest
from crossover_table import NAN, answered

from gating.results.table import make_table
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.verdict import crossover_verdict
from theory.distribution import ClassMixture

CLEAN = CrossoverConfig(distribution=ClassMixture(input_noise=0.0))


def said(table: pd.DataFrame, config: CrossoverConfig = CLEAN) -> str:
    return " ".join(crossover_verdict(config, table))


def with_seeds(table: pd.DataFrame, n_seeds: int) -> pd.DataFrame:
    """With rows of curves of so many seeds."""
    curve = {"study": "crossover", "system": "transformer", "kind": "measured", "distribution": "ibd", "step": 20,
             "context": "irrelevant", "group": "low", "measure": "error", "value": 0.5, "n": 32}  # fmt: skip
    rows = [{**curve, "p_high": p, "seed": seed} for p in (0.8, 0.9, 0.95) for seed in range(n_seeds)]
    return make_table(pd.concat([table, make_table(rows)]))


def ratios(table: pd.DataFrame, value: float, low: float, high: float) -> pd.DataFrame:
    there = table["measure"].str.startswith("crossover_ratio")
    return table.assign(**{name: table[name].where(~there, to) for name, to in
                           (("value", value), ("low", low), ("high", high))})  # fmt: skip


CASES = {
    "later than predicted": (
        with_seeds(answered("error_level", slope=(-0.6, -0.8, -0.4)), 3),
        ["from 1.5 [1.2, 1.9] times the predicted N*.", "All 9 curves over N cross", "more slowly than predicted"],
        ["cannot be told apart", "Caution", "noise"],
    ),
    "steeper than predicted": (
        answered("error_level", slope=(-1.4, -1.6, -1.2)),
        ["-1.40 [-1.60, -1.20]", "faster than predicted"], ["slowly"],
    ),
    "as predicted": (
        ratios(answered("error_level", "error"), 1.02, 0.9, 1.2),
        ["1.02 [0.9, 1.2] times the predicted N*, from which they cannot be told apart",
         "theory predicts -1.00, from which it cannot be told apart."],
        ["than predicted", "no growth at all"],
    ),
    "an interval that says nothing": (
        answered("error_level", slope=(-0.5, -2.0, 1.0)), ["nor from no growth at all"], ["more slowly"],
    ),
    "order reversed": (
        answered("error_level", slope=(0.5, 0.2, 0.8)),
        ["it is not seen to grow as classes get rarer"], ["than predicted"],
    ),
    "no interval": (
        answered("error_level", slope=(-0.5, NAN, NAN)),
        ["without an interval the two cannot be told apart"], ["more slowly", "nan"],
    ),
    "nothing reached": (
        answered("error_level", "gate", reached=(0, 0, 0), slope=(NAN,) * 3),
        ["At no size N measured do a Transformer's weights alone answer a rare class",
         "The gate rises past 1/2 at no N measured",
         "none of 9 curves over N crosses (3 past it at every N and 6 at none)"],
        ["times the predicted", "power", "nan", "mean of the others"],
    ),
    "some reached": (
        answered("error_level", reached=(0, 2, 3), slope=(NAN,) * 3),
        ["5 of 9 curves over N cross (1 past it at every N and 3 at none; N* is the mean of those that cross)",
         "Fewer than three frequencies have an N*"],
        ["power", "All", "nan"],
    ),
    "one seed": (
        with_seeds(answered("error_level"), 1), ["Caution: this is one seed. No interval"], ["test sequences alone"],
    ),
    "two seeds": (with_seeds(answered("error_level"), 2), ["Caution: two seeds"], ["one seed."]),
    "nothing predicted": (
        answered("error_level", predicted=False), ["from N* = 75 [60, 94] to 300 [240, 375]; none is predicted"],
        ["times the predicted"],
    ),
    "gate alone": (
        with_seeds(answered("gate"), 3), ["all 9 curves over N cross. Theory predicts nothing of a gate"],
        ["times the predicted", "weights alone", "power"],
    ),
    "label counts alone": (
        answered("error", "log_loss"),
        ["The table has no Transformer", "cross at 1.5 [1.2, 1.9] times the predicted N*."],
        ["cannot be told apart", "weights alone", "noise", "Caution"],
    ),
    "label counts that do not cross": (
        answered("error", reached=(0, 0, 0), slope=(NAN,) * 3).query("~measure.str.startswith('crossover_ratio')"),
        ["Label counts on sampled training sets have no N*"], ["times the predicted"],
    ),
    "theory alone": (
        answered("error_level").query("kind == 'exact'"),
        ["No N* was measured. Theory predicts", "N* = 50 (frequency q = 0.04) to 200 (q = 0.01)"], ["Transformer"],
    ),
    "no frequencies": (
        answered("error_level").query("measure != 'query_frequency'"), ["No N* was measured"], ["times the predicted"],
    ),
    "an empty table": (make_table([]), ["No N* was measured, and none is predicted."], ["Transformer"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_says_what_the_table_supports_and_no_more(case):
    table, there, absent = CASES[case]
    sentences = said(table)
    assert [claim for claim in there if claim not in sentences] == []
    assert [claim for claim in absent if claim in sentences] == []
    assert len(sentences.split()) <= 120


def test_noise_that_theory_does_not_see_is_named():
    assert "the Transformers' inputs have noise 0.2" in said(with_seeds(answered("error_level"), 3), CrossoverConfig())


def test_a_stylized_model_that_was_trained_is_a_prediction_beside_the_theory_s():
    table = answered("error_level")
    ratios = table[table["measure"] == "crossover_ratio_error_level"]
    twin = ratios.assign(system="stylized", kind="predicted", value=1.3, low=0.8, high=2.1)
    both = said(make_table(pd.concat([table, twin], ignore_index=True)))
    assert "N* is 1.3 [0.8, 2.1] times that of a stylized model" in both
    assert "times that of a stylized model" not in said(table)
