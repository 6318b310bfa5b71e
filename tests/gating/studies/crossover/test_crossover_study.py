"""The crossover study: its table, agreement of label counts with the theory, and starting again."""

import json

import numpy as np
import pandas as pd
import pytest

from gating.cli import main
from gating.results.table import key_names, make_table
from gating.runs import engine
from gating.runs.errors import FolderError
from gating.runs.executor import Resources
from gating.runs.folder import RunFolder
from gating.studies.crossover import study as crossover_study
from gating.studies.crossover.answers import answer_rows
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.crossover.measure import LEVEL, count_rows, counted_sizes, theory_rows
from gating.studies.crossover.page import crossover_tables
from gating.studies.crossover.study import Crossover
from gating.studies.replicas import TransformerShape
from gating.training.schedule import TrainSettings
from theory.crossovers import error_crossover
from theory.curves import in_weight_risk
from theory.distribution import ClassMixture
from theory.settings import SpecError


def tiny(**fields) -> CrossoverConfig:
    given = {
        "distribution": ClassMixture(dim=16, n_high=2, n_low=2),
        "p_high": (0.5, 0.8, 0.9),
        "low_queries": (2.0, 8.0),
        "n_seeds": 2,
        "evaluation_per_cell": 3,
        "tabular_seeds": 300,
        "transformer": TransformerShape(width=16, depth=1, mlp_factor=1.0),
        "transformer_training": TrainSettings(steps=30, batch_size=8, learning_rate=0.01, checkpoints=2, save_every=10),
    }
    return CrossoverConfig(**(given | fields))


def run(config: CrossoverConfig, out, workers: int = 1, **how) -> pd.DataFrame:
    return engine.run(Crossover(), config, out, Resources(workers=workers, say=lambda line: None), **how)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, run(tiny(), out)


def test_the_table_has_predictions_every_measured_curve_and_answers(whole):
    table = whole[1]
    assert set(table["p_high"].dropna()) == {0.5, 0.8, 0.9}
    assert set(table["group"]) == {"low"}
    measured = table[~table["answer"]]
    transformer = measured[measured["system"] == "transformer"]
    assert set(transformer["step"]) == {20, 30}
    assert set(transformer["measure"]) == {"error", "effective_gate", "effective_gate_residual"}
    assert set(transformer.loc[transformer["measure"] == "effective_gate", "distribution"]) == {"oobd"}
    sizes = transformer.groupby("p_high")["n"].unique()
    assert {p_high: sorted(found) for p_high, found in sizes.items()} == {0.5: [8, 32], 0.8: [20, 80], 0.9: [40, 160]}
    assert set(measured.loc[measured["kind"] == "measured", "system"]) == {
        "transformer", "stylized", "tabular", "copying"
    }  # fmt: skip
    assert not table.duplicated(key_names(table)).any()
    predicted = table[table["answer"] & (table["kind"] == "predicted")]
    assert set(predicted["system"]) == {"stylized"}
    assert {"crossover_gate", "crossover_error_level"} <= set(predicted["measure"])
    found = table[table["answer"] & table["seeds"].notna() & (table["kind"] == "measured")]
    assert set(found["measure"]) == {f"crossover_{key}" for key in ("error", "log_loss", "gate", "error_level")}
    assert (found.groupby(["measure", "p_high"]).size() == found["measure"].map(
        lambda name: 1 if name in ("crossover_error", "crossover_log_loss") else 2).groupby(
            [found["measure"], found["p_high"]]).first()).all()  # fmt: skip


def test_errors_carry_how_many_sequences_they_are_of(whole):
    table = whole[1]
    errors = table[(table["system"] == "transformer") & (table["measure"] == "error")]
    assert (errors["tests"] == 2 * 3).all()  # rare classes, sequences in each cell
    assert errors["standard_error"].between(0, 0.5).all()


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"label_noise": 0.1},
        pytest.param({"context_length": 3, "input_noise": 0.0}, marks=pytest.mark.long),
        {"context_length": 2, "input_noise": 0.2},
    ],
    ids=str,
)
def test_counted_crossovers_agree_with_the_theory_within_a_tenth(spec):
    """Three frequencies, with noisy labels and longer contexts too; inputs of counts are clean whatever the settings'
    noise; 800 training sets."""
    data = ClassMixture(dim=16, n_high=5, n_low=3, **spec)
    config = tiny(distribution=data, p_high=(0.7, 0.85, 0.95), tabular_seeds=800, tabular_octaves=1)
    counted = [row for point in config.settings for row in count_rows(config, point)]
    answers = make_table(answer_rows(make_table([*theory_rows(config), *counted])))
    assert set(answers["system"]) == {"tabular", "theory"}
    exact = {(row["measure"], row["p_high"]): row["value"] for row in theory_rows(config) if row["kind"] == "exact"}
    for loss in ("error", "log_loss"):
        found = answers[(answers["measure"] == f"crossover_{loss}") & (answers["kind"] == "measured")]
        predicted = np.array([exact[f"crossover_{loss}", p_high] for p_high in found["p_high"]])
        if loss == "log_loss" and (predicted == 0).all():
            assert (found["reached"] == 0).all()  # a uniform guess already costs less than an irrelevant context
            assert (found["already"] == 800).all()
            continue
        ratio = found["value"] / np.maximum(predicted - 0.5, 0.5)  # the theory's is the next whole number
        np.testing.assert_allclose(ratio, 1, atol=0.1)
        slopes = answers[answers["measure"] == f"exponent_{loss}"].set_index("kind")["value"]
        assert slopes["measured"] == pytest.approx(slopes["exact"], abs=0.06)


def test_counted_risks_are_the_exact_ones():
    """Mean over training sets within 4.5 standard errors of the exact risk, at every N with enough errors to count."""
    config, data = tiny(), tiny().settings[1]
    table = make_table(count_rows(config, data))
    for loss in ("error", "log_loss"):
        rows = table[(table["system"] == "tabular") & (table["measure"] == f"expected_{loss}")]
        found = rows.groupby("n")["value"].agg(["mean", "sem"])
        exact = in_weight_risk(data, found.index.to_numpy(), loss, "ibd", cover_classes=False)[:, -1]
        counted = exact > 0.02
        assert counted.sum() >= 8
        assert (np.abs(found["mean"] - exact) <= 4.5 * found["sem"])[counted].all()


@pytest.mark.parametrize("noise", [0.0, 0.2, {"label_noise": 0.3, "label_noise_kind": "shift"}], ids=str)
@pytest.mark.parametrize("p_high", [0.3, 0.95, 0.99999])
def test_the_error_of_counts_is_above_its_level_before_the_predicted_size_and_not_at_it(noise, p_high):
    data = ClassMixture(p_high=p_high, **(noise if isinstance(noise, dict) else {"label_noise": noise}))
    n = error_crossover(data, "low", LEVEL)
    before, at = in_weight_risk(data, np.array([n - 1, n]), "error", "ibd", cover_classes=False)[:, -1]
    assert at <= LEVEL < before
    if noise == 0.0:  # a class is unknown until it is seen: (1 - q)^N (1 - 1 / K) <= 1/2
        assert n == np.ceil(np.log(LEVEL / (1 - 1 / data.n_classes)) / np.log1p(-data.frequencies[-1]))


def test_an_error_that_stays_above_its_level_never_falls_to_it():
    assert error_crossover(ClassMixture(label_noise=0.6, label_noise_kind="uniform"), "low", LEVEL) == np.inf


def test_sizes_of_counts_surround_the_predicted_ones_and_none_are_too_many():
    config = tiny(tabular_octaves=1, tabular_per_octave=1)
    upper = {row["value"] for row in theory_rows(config) if row["p_high"] == 0.8 and row["kind"] == "upper"}
    sizes = counted_sizes(config, config.settings[1])
    assert set(sizes) == {int(np.round(n * factor)) for n in upper for factor in (0.5, 1, 2)} - {0}
    rare = tiny(p_high=(0.9999, 0.99999999), low_queries=(1.0, 2.0))
    assert counted_sizes(rare, rare.settings[1]) == []
    assert list(count_rows(rare, rare.settings[1])) == []


def test_a_finished_run_is_read_and_other_settings_are_refused(whole):
    out, table = whole
    pd.testing.assert_frame_equal(run(tiny(), out), table)
    with pytest.raises(FolderError, match="n_seeds is 2 there, 3 here"):
        run(tiny(n_seeds=3), out)


def test_a_run_that_was_stopped_anywhere_ends_with_the_same_rows_whatever_the_workers(whole, tmp_path, monkeypatch):
    out, table = tmp_path / "again", whole[1]
    finish, seen = RunFolder.finish, []

    def stop_at(count):
        def finished(folder, part):
            if part in folder.done:  # it is listed, before the run learns that it must end
                return
            finish(folder, part)
            seen.append(part)
            if len(seen) == count:
                raise MemoryError("stopped")

        return finished

    for more in (1, 1, 3, 1):  # after training, counts, and measures
        monkeypatch.setattr(RunFolder, "finish", stop_at(len(seen) + more))
        with pytest.raises(MemoryError):
            run(tiny(), out)
    monkeypatch.setattr(RunFolder, "finish", finish)
    pd.testing.assert_frame_equal(run(tiny(), out, workers=2), table)
    assert len(seen) == len(set(seen))  # no part is done again
    assert [path.name for path in (out / "parts").iterdir()] == ["train"]


def test_json_page_and_text_say_what_the_answers_of_the_table_say(whole, capsys):
    out, table = whole
    assert main(["crossover", "--config", str(out / "config.yaml"), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    shown = {(row["measure"], row["kind"], row.get("p_high")): row for row in said["answers"]}
    last = table[table["answer"] & (table["step"].isna() | (table["step"] == 30))]
    assert len(shown) == len(said["answers"]) == len(last)
    for row in last.to_dict("records"):
        given = shown[row["measure"], row["kind"], None if np.isnan(row["p_high"]) else row["p_high"]]
        assert given.get("value", np.nan) == pytest.approx(row["value"], nan_ok=True)
    assert main(["report", str(out)]) == 0
    page, text = (out / "report.html").read_text(), Crossover().text(tiny(), table)
    for row in last[last["measure"] == "crossover_error"].to_dict("records"):
        assert f"{row['value']:,.0f} [{row['low']:,.0f}, {row['high']:,.0f}]" in text
        assert f"{row['value']:,.0f} [{row['low']:,.0f}, {row['high']:,.0f}]" in page


def test_a_dry_run_estimates_and_writes_nothing(tmp_path, capsys):
    flags = ["--preset", "quick", "--low_queries", "[8, 16]", "--p_high", "[0.6, 0.9]", "--n_seeds", "2"]
    assert main(["crossover", *flags, "--out", str(tmp_path / "run"), "--workers", "1", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "12 parts" in said
    assert "nan" not in said
    assert not (tmp_path / "run").exists()


def test_estimates_grow_with_what_is_asked_for(monkeypatch):
    monkeypatch.setattr(crossover_study, "seconds_per_step", lambda ensemble, resources: 0.01)  # on any machine
    small, study = tiny(), Crossover()
    assert study.memory(small) < study.memory(tiny(n_seeds=200)) < study.memory(tiny(n_seeds=2000))
    assert study.memory(small) < study.memory(tiny(tabular_seeds=100_000))
    disks = [study.estimate(tiny(transformer_training=TrainSettings(steps=steps, batch_size=8, checkpoints=2)),
                            Resources()) for steps in (100, 100_000)]  # fmt: skip
    assert disks[0].disk == disks[1].disk
    assert disks[0].seconds < disks[1].seconds


def test_settings_that_theory_refuses_are_refused_before_anything_is_written(tmp_path):
    near = ClassMixture(dim=16, n_high=2, n_low=2, label_noise=0.7499, label_noise_kind="uniform")
    with pytest.raises(SpecError, match="`label_noise` must keep the true label and its rivals apart"):
        run(tiny(distribution=near), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_problem_of_a_config_is_named_at_once():
    with pytest.raises(SpecError) as caught:
        tiny(p_high=(0.5, 0.5), low_queries=(4.0, 2.0), n_seeds=0, tabular_octaves=9, beta=0.0,
             distribution=ClassMixture(dim=8, n_high=2, n_low=1, zipf=1.0))  # fmt: skip
    assert len(caught.value.problems) == 8
    with pytest.raises(SpecError, match="`low_queries` must give different sizes N"):
        tiny(low_queries=(0.01, 8.0))


def test_learners_from_noisy_inputs_stand_beside_counts_and_no_ratio_is_to_them(whole):
    table = whole[1]
    exact = table[(table["measure"] == "crossover_error_level") & (table["kind"] == "exact")]
    sizes = exact.pivot(index="p_high", columns="system", values="value")
    assert (sizes["tabular"] <= sizes["bayes"]).all()
    assert (sizes["bayes"] <= sizes["nearest_mean"]).all()
    shown = crossover_tables(table)["Transformer, in-weight error falls past 1/2, after 30 steps"]
    place = [heading.split("\n")[0] for heading in shown.header].index("best learner's")
    assert [row[place] for row in shown.rows[:3]] == [f"{n:,.0f}" for n in sizes["bayes"][::-1]]
    without = table[~table["system"].isin(["bayes", "nearest_mean"])]
    pd.testing.assert_frame_equal(make_table(answer_rows(without)), make_table(answer_rows(table)))
