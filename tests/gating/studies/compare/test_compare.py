"""The comparison as a whole: one tiny study, its table, and what happens when it is killed or started again."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar
from tiny_compare import tiny

from gating.cli import main
from gating.evaluation.conditions import draw_test_set
from gating.results.columns import BASE
from gating.results.query import select
from gating.results.table import summarise
from gating.runs import engine
from gating.runs.errors import FolderError, Interrupted
from gating.runs.executor import Resources
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.studies.compare import study
from gating.studies.compare.measure import keep_rows
from gating.studies.compare.page_tables import crossing_tables
from gating.studies.compare.study import Compare
from gating.studies.compare.systems import ENSEMBLES, REFERENCES, Systems
from gating.training.checkpoints import Checkpoints
from theory.distribution import ClassMixture
from theory.settings import SpecError

SYSTEMS = {"in_weight", "in_context", "stylized", "stylized_frozen", "tabular"} | {
    f"transformer{suffix}" for suffix in ("", "_iw", "_ic")
}


def _run(config, out, workers=1, **options) -> pd.DataFrame:
    return engine.run(Compare(), config, out, Resources("cpu", workers, say=lambda line: None), **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, _run(tiny(), out)


def test_the_table_has_every_system_condition_measure_and_step(whole):
    table = whole[1]
    assert list(table.columns) == [*(column.name for column in BASE), "level", "against", "reached", "already", "seeds"]
    measured = table[(table["kind"] == "measured") & ~table["answer"]]
    assert set(measured["system"]) == SYSTEMS
    losses = measured[measured["measure"].isin(["error", "log_loss", "expected_error", "expected_log_loss"])]
    cells = losses.groupby(["system", "n", "seed"], dropna=False).size()
    one_model = 2 * 3 * 3 * 4  # distributions, contexts, groups, measures
    assert set(cells[cells.index.get_level_values("system") == "tabular"]) == {one_model}
    assert set(cells[cells.index.get_level_values("system") != "tabular"]) == {2 * one_model}
    assert set(measured.loc[measured["system"] == "transformer", "step"]) == {20, 60}
    assert {"effective_gate", "effective_gate_residual", "effective_gate_reference", "mean_gate"} < set(
        measured["measure"]
    )
    assert {"exact", "upper", "lower"} <= set(table["kind"])
    assert np.isfinite(table.loc[~table["answer"], "value"]).all()
    assert [part.name for part in (whole[0] / "parts").iterdir()] == ["train"]  # models stay, rows of parts do not


def test_references_are_trained_where_they_are_asked_for(whole, tmp_path):
    """Without them the Transformers of the data are those that stand beside them, and nothing is told of the others."""
    table = _run(tiny(references=False), tmp_path / "run")
    kept = Checkpoints(Place(RunFolder(tmp_path / "run"), "").of("train/transformer/0")).load(60)
    beside = Checkpoints(Place(RunFolder(whole[0]), "").of("train/transformer/0")).load(60)
    for name, value in kept.items():
        assert torch.allclose(value, beside[name][: len(tiny().replicas)], atol=1e-4), name
        assert len(value) == len(tiny().replicas)
    measured = table[(table["kind"] == "measured") & ~table["answer"]]
    assert set(measured["system"]) == SYSTEMS - {"transformer_iw", "transformer_ic"}
    assert set(whole[1]["measure"]) - set(table["measure"]) == {
        "effective_gate_reference", "effective_gate_reference_residual"
    }  # fmt: skip
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Stylized model, end to end" in page
    assert "Reference Transformer," not in page  # neither as a system nor as one that is missing


def test_every_mean_over_test_sequences_says_how_many_and_how_far_it_may_be_off(whole):
    """Cells of 4 sequences. Of a group of two classes with one context kind: 8; of the query classes as often as in
    training, of which a frequent one has 0.45: 4 / 0.45."""
    measured = whole[1][(whole[1]["kind"] == "measured") & ~whole[1]["answer"]]
    means = measured[~measured["measure"].isin(["effective_gate", "effective_gate_reference"])]
    assert means[["tests", "standard_error"]].notna().all().all()
    assert set(select(means, {"group": "low", "context": "relevant"})["tests"]) == {8}
    assert set(select(means, {"group": "all", "context": "relevant"})["tests"]) == {8}
    assert set(select(means, {"group": "high", "context": "as_trained"})["tests"]) == {8}
    gates = measured[measured["measure"] == "effective_gate"]
    at_edge = gates["value"].isin([0.0, 1.0])
    assert 0 < at_edge.sum() < len(gates)
    assert (gates["standard_error"].isna() == at_edge).all()
    assert (gates["tests"].isna() == at_edge).all()


def test_summary_counts_seeds_and_keeps_intervals_in_range(whole):
    summary = summarise(whole[1][~whole[1]["answer"]])
    assert set(summary.loc[summary["kind"] == "measured", "seeds"]) <= {1, 2}
    held = summary.dropna(subset=["low"])
    assert len(held) > 500
    assert ((held["low"] <= held["value"]) & (held["value"] <= held["high"]) & (held["low"] < held["high"])).all()
    shares = held[held["measure"].isin(["error", "effective_gate"])]
    assert shares["low"].ge(0).all()
    assert shares["high"].le(1).all()


def test_each_system_is_its_own_model_at_its_own_rows(whole):
    """A system read for the replicas of one N answers as that replica of the whole ensemble does; references come after
    the Transformers of the study's data."""
    config = tiny()
    systems = Systems(config, Place(RunFolder(whole[0]), ""), torch.device("cpu"))
    base = config.replicas
    everything = systems.source([*base]).fresh(0, torch.tensor([0, 1, 2, 3]), torch.tensor([True, False, True, False]))
    for place, system in enumerate(["in_weight", "stylized_frozen", *REFERENCES]):
        ensemble = "transformer" if system in REFERENCES else system
        skipped = list(REFERENCES).index(system) * len(base) if system in REFERENCES else 0
        kept = Checkpoints(systems.place.of(f"train/{ensemble}/0")).load(60)
        assert {len(value) for value in kept.values()} == {(3 if system in REFERENCES else 1) * len(base)}, place
        for first in (0, 2):  # two seeds of each N
            mine = base[first : first + 2]
            model = systems.trained(system, 60, mine)
            for name, value in model.state_dict().items():
                assert torch.equal(value, kept[name][skipped + first : skipped + first + 2]), (system, name)
            rows = type(everything)(*(part[first : first + 2] for part in everything))
            assert model(rows).shape == (2, 4, 4)
    frozen, g = (Checkpoints(systems.place.of(f"train/{name}/0")).load(60) for name in ("stylized_frozen", "in_weight"))
    assert torch.equal(frozen["g.layers.0.weight"], g["layers.0.weight"])
    assert not torch.equal(
        Checkpoints(systems.place.of("train/stylized/0")).load(60)["g.layers.0.weight"], g["layers.0.weight"]
    )


@pytest.mark.parametrize(("asked", "tested"), [(None, [0, 1, 2, 3]), (1, [0, 2]), (9, [0, 1, 2, 3])])
def test_few_query_classes_of_each_group_may_be_asked_for(whole, asked, tested):
    """Test sequences, their conditions and the estimated memory are of these classes."""
    config = tiny(evaluation_classes=asked)
    systems = Systems(config, Place(RunFolder(whole[0]), ""), torch.device("cpu"))
    [(test_set, of)] = systems.tests(systems.source(config.replicas[:1]))
    assert config.tested == tested
    assert test_set.sequences["ibd"].target.shape == (1, len(tested) * 2 * 4)
    assert {tuple(condition.weights.shape) for condition in of} == {(len(tested), 2)}
    assert Compare().tests(config) == 2 * len(tested) * 4


def test_rows_are_what_the_kept_models_answer(whole):
    """Recounted for one replica on rare classes with a relevant context out of base; each gate is where the mixture of
    its own two predictors is nearest."""
    config, table = tiny(), whole[1]
    systems = Systems(config, Place(RunFolder(whole[0]), ""), torch.device("cpu"))
    replica = config.replicas[3]
    test_set = draw_test_set(systems.source([replica]), seed=config.evaluation_seed, evaluation_per_cell=4)
    mine = {"n": replica.n_sequences, "seed": replica.data_seed, "distribution": "oobd", "context": "relevant",
            "group": "low", "kind": "measured", "answer": False}  # fmt: skip
    sequences = test_set.sequences["oobd"]

    def rare(answer: torch.Tensor) -> np.ndarray:
        return answer.double().unflatten(1, (4, 2, 4))[0, 2:, 0].flatten(0, 1).numpy()  # classes 2 and 3, relevant

    def log_p(system: str, step: int = 60) -> np.ndarray:
        return rare(systems.trained(system, step, [replica])(sequences))

    def value(system: str, measure: str, step: int = 60) -> float:
        [found] = select(table, {**mine, "system": system, "measure": measure, "step": step})["value"]
        return found

    target = sequences.target.unflatten(1, (4, 2, 4))[0, 2:, 0].flatten().numpy()
    for system in SYSTEMS - {"tabular"}:
        for step in (20, 60):
            answers = log_p(system, step)
            assert value(system, "log_loss", step) == pytest.approx(-answers[np.arange(8), target].mean(), rel=1e-5)
            assert value(system, "error", step) == pytest.approx((answers.argmax(1) != target).mean())

    def nearest(model: np.ndarray, g: np.ndarray, h: np.ndarray) -> float:
        def divergence(alpha: float) -> float:
            return -(np.exp(model) * np.log(alpha * np.exp(g) + (1 - alpha) * np.exp(h))).sum(1).mean()

        return minimize_scalar(divergence, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x

    pair, references = (log_p("in_weight"), log_p("in_context")), (log_p("transformer_iw"), log_p("transformer_ic"))
    for system in REFERENCES:
        assert value(system, "effective_gate") == pytest.approx(nearest(log_p(system), *pair), abs=1e-5)
    found = value("transformer", "effective_gate_reference")
    assert found == pytest.approx(nearest(log_p("transformer"), *references), abs=1e-5)
    for system in ("stylized", "stylized_frozen"):
        model = systems.trained(system, 60, [replica])
        own = (rare(model.g(sequences)), rare(model.h(sequences)))
        assert value(system, "effective_gate") == pytest.approx(nearest(log_p(system), *own), abs=1e-5)
        alpha = rare(model.gate.alpha(sequences))
        assert value(system, "mean_gate") == pytest.approx(alpha.mean(), rel=1e-5)


def test_a_finished_run_is_read_not_run_again(whole):
    out, table = whole
    said: list[str] = []
    again = engine.run(Compare(), tiny(), out, Resources(say=said.append))
    pd.testing.assert_frame_equal(again, table)
    assert len(said) == 2
    assert "is finished" in said[0]


@pytest.mark.long
def test_ctrl_c_while_measuring_raises_interrupted_and_the_same_call_goes_on(whole, tmp_path, monkeypatch):
    out, measured = tmp_path / "run", []
    shutil.copytree(whole[0], out)
    RunFolder(out).discard(["results.parquet"])
    RunFolder(out).forget(["measure/n-16", "measure/n-64"])

    def interrupted(config, n, place, resources, **how):
        measured.append(n)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        keep_rows(config, n, place, resources, **how)

    with monkeypatch.context() as patch:
        patch.setattr(study, "keep_rows", interrupted)
        with pytest.raises(Interrupted, match=r"^interrupted; `"):
            _run(tiny(), out)
    assert measured == [16]
    pd.testing.assert_frame_equal(_run(tiny(), out), whole[1])


def test_other_settings_in_the_same_folder_are_refused(whole):
    with pytest.raises(FolderError, match=r"n_seeds is 2 there, 3 here"):
        _run(tiny(n_seeds=3), whole[0])


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError, match="other files"):
        _run(tiny(), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.long
def test_workers_do_not_change_the_result(whole, tmp_path):
    pd.testing.assert_frame_equal(_run(tiny(), tmp_path / "two", workers=2), whole[1])


def test_data_that_theory_refuses_are_not_trained_on(tmp_path):
    with pytest.raises(SpecError, match="label_noise"):
        _run(tiny(distribution=ClassMixture(dim=16, label_noise=0.8999), n_sequences=(16, 1_000_000)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.kill
def test_killed_at_random_moments_the_run_ends_with_the_same_bits(whole, tmp_path, killed_at_random):
    """kill -9 anywhere, training or measuring; started again until done, files equal those of the whole run."""
    out = tmp_path / "killed"
    begin = "import test_compare as t; from pathlib import Path; import sys; t._run(t.tiny(), Path(sys.argv[1]))"
    killed_at_random(begin, out, seed=2)
    _run(tiny(), out)
    for ensemble in ENSEMBLES:
        trained = sorted((whole[0] / "parts/train" / ensemble / "0").iterdir())
        for file in trained:
            assert (out / file.relative_to(whole[0])).read_bytes() == file.read_bytes(), file
    assert (out / "results.parquet").read_bytes() == (whole[0] / "results.parquet").read_bytes()


def test_text_json_and_page_print_the_same_crossings(whole, capsys):
    out, table = whole
    config = ["--config", str(out / "config.yaml"), "--out", str(out), "--workers=1", "--device", "cpu"]
    assert main(["compare", *config, "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert len(answers) == table["answer"].sum()
    assert main(["compare", *config]) == 0
    text, page = capsys.readouterr().out, (out / "report.html").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 100
    for title, found in crossing_tables(tiny(), table):
        assert f"{title}\n\n{found}" in text
        assert title in page
    predicted = [row["value"] for row in answers if (row["system"], row["kind"]) == ("theory", "upper")]
    assert [value for value in predicted if f"{value:,.0f}" not in text or f"{value:,.0f}" not in page] == []
    assert "noisy label" not in page
    assert "nan" not in text


def test_costs_are_estimated_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    """Disk is that of the whole folder, to a quarter; more models need more memory, time and disk."""
    config = tiny(n_sequences=(16, 64, 256))
    _run(config, tmp_path / "run")
    size = sum(file.stat().st_size for file in (tmp_path / "run").rglob("*") if file.is_file())
    monkeypatch.chdir(tmp_path)
    found = Compare().estimate(config, Resources(workers=1))
    assert found.disk == pytest.approx(size, rel=0.25)
    assert 0 < found.seconds < 600
    memory = Compare().memory
    assert found.memory == memory(config) < memory(replace(config, n_seeds=20)) / 5
    monkeypatch.setattr(study, "seconds_per_step", lambda ensemble, resources: 0.01)  # on any machine
    found = Compare().estimate(config, Resources(workers=1))
    more = Compare().estimate(replace(config, n_seeds=20), Resources(workers=1))
    assert more.seconds == pytest.approx(10 * found.seconds)
    assert more.disk - 2e6 > 9 * (found.disk - 2e6)
    (tmp_path / "tiny.yaml").write_text((tmp_path / "run" / "config.yaml").read_text())
    assert main(["compare", "--config", "tiny.yaml", "--dry-run", "--out", "new", "--device", "cpu"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run", "tiny.yaml"]
