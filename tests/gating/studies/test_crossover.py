"""The crossover study: its table, agreement of label counts with the theory, and starting again."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gating.evaluation.crossing import estimate_crossings
from gating.evaluation.table import COLUMNS
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import tabular_table, theory_table
from gating.studies.crossover.run import run_crossover
from gating.studies.folder import FolderError
from gating.studies.replicas import TransformerShape
from gating.training.schedule import TrainSettings
from theory.curves import in_weight_risk
from theory.distribution import ClassMixture, SpecError


def tiny(**fields) -> CrossoverConfig:
    given = {
        "distribution": ClassMixture(dim=16, n_high=2, n_low=2),
        "p_high": (0.5, 0.8, 0.9),
        "rare_queries": (2.0, 8.0),
        "n_seeds": 2,
        "evaluation_per_cell": 3,
        "tabular_seeds": 300,
        "transformer": TransformerShape(width=16, depth=1, mlp_factor=1.0),
        "transformer_training": TrainSettings(steps=30, batch_size=8, learning_rate=0.01, checkpoints=2, save_every=10),
    }
    return CrossoverConfig(**(given | fields))


def silent(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, run_crossover(tiny(), out, say=silent)


def test_the_table_has_predictions_and_every_measured_curve(whole):
    table = whole[1]
    assert list(table.columns) == list(COLUMNS)
    assert set(table["setting"]) == {"p_high=0.5", "p_high=0.8", "p_high=0.9"}
    assert set(table["group"]) == {"low"}
    transformer = table[table["system"] == "transformer"]
    assert set(transformer["step"]) == {20, 30}
    assert {"error", "effective_gate", "effective_gate_residual"} == set(transformer["measure"])
    sizes = transformer.groupby("setting")["n"].unique()
    assert {name: sorted(found) for name, found in sizes.items()} == {
        "p_high=0.5": [8, 32], "p_high=0.8": [20, 80], "p_high=0.9": [40, 160],
    }  # fmt: skip
    keys = [name for name in COLUMNS if name not in ("value", "low", "high")]
    assert not table.duplicated(keys).any()
    assert len(estimate_crossings(table)) == 4


@pytest.mark.parametrize("spec", [{}, {"label_noise": 0.1}, {"context_length": 3, "input_noise": 0.0}], ids=str)
def test_counted_crossovers_agree_with_the_theory_within_a_tenth(spec):
    """Three frequencies, with noisy labels and longer contexts too; 800 training sets."""
    data = ClassMixture(dim=16, n_high=5, n_low=3, **spec)
    config = tiny(distribution=data, p_high=(0.7, 0.85, 0.95), tabular_seeds=800, tabular_octaves=1)
    theory = theory_table(config)
    predicted = theory[theory["measure"].str.startswith("crossover") & (theory["kind"] == "exact")]
    tables = [
        tabular_table(config, point, predicted.loc[predicted["setting"] == f"p_high={point.p_high}", "value"])
        for point in config.settings
    ]
    estimates = estimate_crossings(pd.concat([theory, *tables], ignore_index=True))
    assert [e.onset.system for e in estimates] == ["tabular", "tabular"]
    for estimate in estimates:
        if estimate.onset.name == "Label counts, log loss" and (estimate.predicted == 0).all():
            assert (estimate.reached == 0).all()  # a uniform guess already costs less than an irrelevant context
            continue
        ratio = estimate.value / np.maximum(estimate.predicted - 0.5, 0.5)  # the theory's is the next whole number
        np.testing.assert_allclose(ratio, 1, atol=0.1)
        assert estimate.exponent[0] == pytest.approx(estimate.predicted_exponent, abs=0.06)


def test_counted_risks_are_the_exact_ones():
    """Mean over training sets within 4.5 standard errors of the exact risk, at every N with enough errors to count."""
    config, data = tiny(), tiny().settings[1]
    table = tabular_table(config, data, [20.0])
    for measure, loss in (("expected_error", "error"), ("expected_log_loss", "log_loss")):
        rows = table[(table["system"] == "tabular") & (table["measure"] == measure)]
        found = rows.groupby("n")["value"].agg(["mean", "sem"])
        exact = in_weight_risk(data, found.index.to_numpy(), loss, "ibd", covered=False)[:, -1]
        counted = exact > 0.02
        assert counted.sum() >= 8
        assert (np.abs(found["mean"] - exact) <= 4.5 * found["sem"])[counted].all()


def test_a_finished_run_is_read_and_other_settings_are_refused(whole):
    out, table = whole
    said: list[str] = []
    pd.testing.assert_frame_equal(run_crossover(tiny(), out, say=said.append), table)
    assert len(said) == 1
    with pytest.raises(FolderError, match="n_seeds is 2 there, 3 here"):
        run_crossover(tiny(n_seeds=3), out, say=silent)


def test_a_run_that_lost_its_table_ends_with_the_same_rows_whatever_the_workers(whole, tmp_path):
    out = tmp_path / "again"
    shutil.copytree(whole[0], out)
    (out / "results.parquet").unlink()
    pd.testing.assert_frame_equal(run_crossover(tiny(), out, workers=2, say=silent), whole[1])
    assert not (out / "parts").exists()


def test_every_problem_of_a_config_is_named_at_once():
    with pytest.raises(SpecError) as caught:
        tiny(p_high=(0.5, 0.5), rare_queries=(4.0, 2.0), n_seeds=0, tabular_octaves=9, beta=0.0,
             distribution=ClassMixture(dim=8, n_high=2, n_low=1, zipf=1.0))  # fmt: skip
    assert len(caught.value.problems) == 8
    assert "`p_high` must be two or more different numbers in (0, 1); got [0.5, 0.5]" in caught.value.problems
    with pytest.raises(SpecError, match="`rare_queries` must give different sizes N"):
        tiny(rare_queries=(0.01, 8.0))
