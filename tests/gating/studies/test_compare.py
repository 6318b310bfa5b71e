"""The comparison as a whole: one tiny study, its table, and what happens when it is killed or started again."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gating.evaluation.table import COLUMNS, summarise
from gating.studies.compare import run
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.run import run_compare
from gating.studies.compare.systems import ENSEMBLES
from gating.studies.folder import FolderError
from gating.studies.replicas import TransformerShape
from gating.training.schedule import TrainSettings
from gating.training.trainer import Interrupted
from theory.distribution import ClassMixture, SpecError

SYSTEMS = {"in_weight", "in_context", "stylized", "stylized_frozen", "tabular"} | {
    f"transformer{suffix}" for suffix in ("", "_iw", "_ic")
}


def tiny(**fields) -> CompareConfig:
    training = TrainSettings(steps=60, batch_size=8, learning_rate=0.01, checkpoints=2, save_every=10)
    given = {
        "distribution": ClassMixture(dim=16, n_high=2, n_low=2),
        "n_sequences": (16, 64),
        "n_seeds": 2,
        "transformer": TransformerShape(width=16, depth=1, mlp_factor=1.0),
        "evaluation_per_cell": 4,
        "hidden": 8,
        "transformer_training": training,
        "stylized_training": training,
    }
    return CompareConfig(**(given | fields))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, run_compare(tiny(), out, say=lambda line: None)


def test_the_table_has_every_system_condition_measure_and_step(whole):
    table = whole[1]
    assert list(table.columns) == list(COLUMNS)
    measured = table[table["kind"] == "measured"]
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
    assert np.isfinite(table["value"]).all()


def test_summary_counts_seeds(whole):
    summary = summarise(whole[1])
    assert set(summary.loc[summary["kind"] == "measured", "seeds"]) <= {1, 2}
    assert (summary["low"].dropna() <= summary["value"][summary["low"].notna()]).all()


def test_a_finished_run_is_read_not_run_again(whole):
    out, table = whole
    said: list[str] = []
    again = run_compare(tiny(), out, say=said.append)
    pd.testing.assert_frame_equal(again, table)
    assert len(said) == 1
    assert "is finished" in said[0]


def test_ctrl_c_while_measuring_raises_interrupted_and_the_same_call_goes_on(whole, tmp_path, monkeypatch):
    out, measured = tmp_path / "run", []
    shutil.copytree(whole[0], out)
    (out / "results.parquet").unlink()

    def interrupted(*_):
        measured.append(len(measured))
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        raise RuntimeError("not asked for any more")

    with monkeypatch.context() as patch:
        patch.setattr(run, "measure_replicas", interrupted)
        with pytest.raises(Interrupted, match="interrupted while measuring"):
            run_compare(tiny(), out, say=lambda line: None)
    assert measured == [0]
    pd.testing.assert_frame_equal(run_compare(tiny(), out, say=lambda line: None), whole[1])


def test_other_settings_in_the_same_folder_are_refused(whole):
    with pytest.raises(FolderError, match=r"n_seeds is 2 there, 3 here"):
        run_compare(tiny(n_seeds=3), whole[0], say=lambda line: None)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderError, match="it holds other files"):
        run_compare(tiny(), tmp_path, say=lambda line: None)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_workers_do_not_change_the_result(whole, tmp_path):
    pd.testing.assert_frame_equal(run_compare(tiny(), tmp_path / "two", workers=2, say=lambda line: None), whole[1])


def test_killed_at_random_moments_the_run_ends_with_the_same_bits(whole, tmp_path, request):
    """kill -9 anywhere, training or measuring; started again until done, files equal those of the whole run."""
    out, rng = tmp_path / "killed", random.Random(2)
    start = [sys.executable, "-c", "import test_compare as t; from pathlib import Path; import sys;"
             "t.run_compare(t.tiny(), Path(sys.argv[1]), say=lambda line: None)", str(out)]  # fmt: skip
    kills = request.config.getoption("--kills")
    for _ in range(kills):
        process = subprocess.Popen(start, cwd=Path(__file__).parent)
        before = _progress(out)
        while _progress(out) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.wait(timeout=60)
    run_compare(tiny(), out, say=lambda line: None)
    for ensemble in ENSEMBLES:
        for file in sorted((whole[0] / "ensembles" / ensemble).iterdir()):
            assert (out / "ensembles" / ensemble / file.name).read_bytes() == file.read_bytes(), file
    assert (out / "results.parquet").read_bytes() == (whole[0] / "results.parquet").read_bytes()


def _progress(out: Path) -> list[tuple[str, int]]:
    return [(str(p), p.stat().st_mtime_ns) for p in sorted(out.rglob("*.*")) if not p.name.endswith(".part")]


def test_every_problem_of_a_config_is_named_at_once():
    with pytest.raises(SpecError) as caught:
        tiny(n_seeds=0, n_sequences=(2, 64), gate_inputs="labels", hidden=0, transformer=TransformerShape(width=32))
    assert len(caught.value.problems) == 5
    assert "`n_sequences` must be one or more integers in 4 .. 2^40; got [2, 64]" in caught.value.problems
    assert "`transformer.width` must equal `distribution.dim` = 16; got 32" in caught.value.problems


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"n_sequences": (64.0,)}, r"`n_sequences` must be one or more integers in 4 \.\. 2\^40; got \[64.0\]"),
        ({"n_seeds": True}, "`n_seeds` must be an integer >= 1; got True"),
        ({"seed": 0.5}, r"`seed` must be an integer in 0 \.\. 2\^32 - 1; got 0.5"),
        (
            {"transformer": TransformerShape(width=16, mlp_factor=float("inf"))},
            "`transformer.mlp_factor` must be a fin",
        ),
        ({"transformer": TransformerShape(width=16, heads=3)}, "`transformer.heads` must divide the width 16; got 3"),
        (
            {"distribution": ClassMixture(dim=15), "transformer": TransformerShape(width=15)},
            "`distribution.dim` must be even, as it is the width of the Transformer; got 15",
        ),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(fields, sentence):
    with pytest.raises(SpecError, match=f"^{sentence}"):
        tiny(**fields)


def test_as_many_heads_as_columns_are_allowed():
    assert tiny(transformer=TransformerShape(width=16, heads=16)).transformer.heads == 16


def test_replicas_have_their_own_seeds_and_share_initial_values_over_n():
    replicas = tiny(seed=7).replicas
    assert [(r.n_sequences, r.data_seed) for r in replicas] == [(16, 7), (16, 8), (64, 7), (64, 8)]
    assert replicas[0].init_seed == replicas[2].init_seed != replicas[1].init_seed
    assert tiny(init_seed=1).replicas[0].init_seed != tiny().replicas[0].init_seed
