"""The study of strategies as a whole: one tiny run of each task family, and what happens when it is killed."""

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
import torch

from gating.evaluation.table import COLUMNS
from gating.files import FolderError
from gating.studies.replicas import combined_seed
from gating.studies.strategies import run
from gating.studies.strategies.cells import GROUPS, group_of
from gating.studies.strategies.config import DecoderShape, HeldOut, StrategiesConfig
from gating.studies.strategies.ensemble import Ensemble
from gating.studies.strategies.outputs import kept_outputs
from gating.studies.strategies.run import run_strategies
from gating.training.schedule import TrainSettings
from gating.training.trainer import Interrupted
from theory.distribution import SpecError

TASKS = ("urns", "linear_regression", "item_labels")
STEPS = [20, 26, 32, 39, 47, 56]


def tiny(task="urns", **fields) -> StrategiesConfig:
    """Two seeds, one D and one width held out, the last third of training held out; all checkpoints described."""
    training = TrainSettings(
        steps=56, batch_size=8, learning_rate=0.01, checkpoints=6, save_every=14, warm_up=5, clip=1.0
    )
    given = {
        "task": task,
        "dim": 4,
        "length": 8,
        "n_tasks": (2, 4, 8),
        "mlp_factors": (1.0, 2.0),
        "n_seeds": 2,
        "evaluation_sequences": 16,
        "evaluation_rows": 32,
        "loss_sequences": 32,
        "loss_groups": 4,
        "described_within": 1.0,
        "held_out": HeldOut(n_tasks=(4,), mlp_factors=(2.0,), steps_after=0.7),
        "bootstrap": 3,
        "transformer": DecoderShape(width=8),
        "training": training,
    }
    return StrategiesConfig(**(given | fields))


def fewer(**fields) -> StrategiesConfig:
    """Four models, for what is run again and again."""
    return tiny(**({"n_seeds": 1, "n_tasks": (2, 8), "held_out": HeldOut(steps_after=0.7)} | fields))


def _run(config, out, **options) -> pd.DataFrame:
    return run_strategies(config, out, say=lambda line: None, **options)


@pytest.fixture(scope="module", params=TASKS)
def family(request, tmp_path_factory) -> tuple[StrategiesConfig, Path, pd.DataFrame]:
    config, out = tiny(request.param), tmp_path_factory.mktemp(request.param) / "run"
    return config, out, _run(config, out)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[StrategiesConfig, Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("small") / "run"
    return fewer(), out, _run(fewer(), out)


def test_the_table_has_every_model_checkpoint_kind_and_group(family):
    config, out, table = family
    assert list(table.columns) == list(COLUMNS)
    assert table[["seed", "step"]].dropna().drop_duplicates().shape[0] >= 2 * len(STEPS)
    kinds = {"ibd", "oobd", "absent"} if config.task == "item_labels" else {"ibd", "oobd"}
    relative = table[table["measure"] == "relative_distance"]
    assert len(relative) == 12 * len(STEPS) * len(kinds)
    assert set(relative["distribution"]) == kinds
    assert sorted(set(relative["step"])) == STEPS == config.training.checkpoint_steps
    assert relative["value"].dropna().between(0, 1).all()
    assert set(relative["group"]) == set(GROUPS)
    agreement = table[(table["system"] == "posterior") & (table["measure"] == "discrepancy")]
    assert set(zip(agreement["distribution"], agreement["group"], strict=True)) == {
        (k, g) for k in kinds for g in GROUPS
    }
    assert not (out / "parts").exists()


def test_values_are_in_their_ranges_and_inside_their_intervals(family):
    table = family[2]
    for measure in ("effective_gate", "weight", "total_variation", "argmax_agreement"):
        assert table.loc[table["measure"] == measure, "value"].between(0, 1).all(), measure
    for measure in ("description_bits", "discrepancy", "residual", "log_loss"):
        assert np.isfinite(table.loc[table["measure"] == measure, "value"]).all(), measure
    held = table.dropna(subset=["low", "high"])
    assert len(held) > 50
    assert (held["low"] <= held["high"]).all()


def test_the_free_gate_is_the_floor_and_fixed_parameters_do_not_fit_better(family):
    """On training sequences, among gates that treat all rows of a cell alike; beta = 1 and gamma = 1 are inside the set
    that the whole posterior is searched in."""
    table = family[2]
    on_training = table[(table["distribution"] == "ibd") & (table["measure"] == "discrepancy")]
    by_gate = on_training.pivot_table(index="group", columns="system", values="value")
    by_gate = by_gate.drop(columns="posterior with context")
    assert (by_gate["free in every cell"].to_numpy()[:, None] <= by_gate.to_numpy() + 1e-6).all()
    fits = table[table["measure"] == "fit_loss"].set_index("system")["value"]
    assert len(fits) == 6
    assert (fits["posterior"] <= fits[["posterior, beta = 1", "posterior, gamma = 1"]] + 1e-6).all()
    found = table.loc[table["measure"] == "searches_agreeing", "value"]
    assert len(found) == 6
    assert found.between(0, 1, inclusive="right").all()


def test_parameters_that_are_fitted_have_intervals_and_held_ones_have_none(family):
    table = family[2]
    fitted = table[(table["kind"] == "fitted") & table["setting"].isna()].set_index(["system", "measure"])
    for system, held in {"posterior": "kappa", "posterior, beta = 1": "beta", "posterior, gamma = 1": "gamma"}.items():
        for name in ("alpha", "beta", "gamma", "kappa"):
            row = fitted.loc[(system, name)]
            assert np.isnan(row["low"]) == np.isnan(row["high"]) == (name in {held, "kappa"}), (system, name)


def test_groups_follow_from_the_settings(family):
    config, _, table = family
    rows = table[(table["measure"] == "relative_distance") & (table["distribution"] == "ibd")]
    wide, late = rows["setting"].str.contains("mlp_factor=2"), rows["step"] > 0.7 * 56
    four = rows["setting"].str.contains("n_tasks=4")
    assert 0 < wide.sum() < len(rows) > four.sum() > 0
    wanted = np.select([wide, late, four], GROUPS[:0:-1], GROUPS[0])
    assert (rows["group"] == wanted).all()
    for replica in config.replicas:
        for step in STEPS:
            found = group_of(config, replica, step)
            assert (found == "held_out_widths") == (replica.mlp_factor == 2.0)


def test_losses_and_answers_are_those_of_the_trained_model_on_fresh_sequences(family, tmp_path):
    """The last checkpoint answers for itself; M and G are evaluated on the same rows, and lose on fresh sequences."""
    config, out, _ = family
    device = torch.device("cpu")
    ensemble = Ensemble(config, out / "ensembles" / "transformer", device)
    index = next(k for k, replica in enumerate(config.replicas) if replica.mlp_factor == 2.0)
    outputs = kept_outputs(tmp_path / "part.safetensors", ensemble, index, STEPS)
    again = kept_outputs(tmp_path / "part.safetensors", ensemble, index, STEPS)
    replica, family_of = config.replicas[index], ensemble.family
    sampler, model = ensemble.sampler([replica]), ensemble.at(56, index)
    predictors = [family_of.memorizer(sampler, 0)[0], family_of.generalizer(sampler)]
    seed = combined_seed(config.evaluation_seed, replica.seed)
    for number, (kind, arguments) in enumerate(family_of.kinds.items()):
        fresh = sampler.fresh(combined_seed(seed, number), 16, **arguments)
        alone = type(fresh)(*(part[0] for part in fresh))
        answer = model(fresh)[0]
        held = outputs.answers[kind]
        wanted = family_of.losses(sampler, answer, alone).mean().item()
        assert held.losses[-1].item() == pytest.approx(wanted, rel=1e-5)
        n_all = answer[..., 0].numel() if family_of.distance == "kl" else answer.numel()
        assert held.transformer.shape[:2] == (len(STEPS), min(32, n_all))
        for mine, predictor in zip((held.m, held.g), predictors, strict=True):
            every = predictor(alone).reshape(n_all, -1)
            assert ((mine.unsqueeze(1) - every).abs().amax(-1).amin(1) < 1e-9).all()
        for a, b in zip(held, again.answers[kind], strict=True):
            assert torch.equal(a, b)


def test_a_finished_run_is_read_not_run_again_and_other_settings_are_refused(small):
    config, out, table = small
    said: list[str] = []
    pd.testing.assert_frame_equal(run_strategies(config, out, say=said.append), table)
    assert len(said) == 1
    assert "is finished" in said[0]
    with pytest.raises(FolderError, match=r"bootstrap is 3 there, 4 here"):
        _run(fewer(bootstrap=4), out)


def test_workers_do_not_change_the_result(small, tmp_path):
    _run(small[0], tmp_path / "two", workers=2)
    assert (tmp_path / "two" / "results.parquet").read_bytes() == (small[1] / "results.parquet").read_bytes()


def test_killed_at_random_moments_the_run_ends_with_the_same_bits(small, tmp_path, request):
    """kill -9 anywhere, training or measuring; started again until done, files equal those of the whole run."""
    out, rng = tmp_path / "killed", random.Random(3)
    start = [sys.executable, "-c", "import test_strategies as t; from pathlib import Path; import sys;"
             "t._run(t.fewer(), Path(sys.argv[1]))", str(out)]  # fmt: skip
    for _ in range(request.config.getoption("--kills")):
        process = subprocess.Popen(start, cwd=Path(__file__).parent)
        before = _progress(out)
        while _progress(out) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.wait(timeout=60)
    _run(small[0], out)
    for file in sorted((small[1] / "ensembles" / "transformer").iterdir()):
        assert (out / "ensembles" / "transformer" / file.name).read_bytes() == file.read_bytes(), file
    assert (out / "results.parquet").read_bytes() == (small[1] / "results.parquet").read_bytes()


def _progress(out: Path) -> list[tuple[str, int]]:
    return [(str(p), p.stat().st_mtime_ns) for p in sorted(out.rglob("*.*")) if not p.name.endswith(".part")]


@pytest.fixture
def unmeasured(small, tmp_path) -> Path:
    """The small run, trained, without its table."""
    out = tmp_path / "run"
    shutil.copytree(small[1], out)
    (out / "results.parquet").unlink()
    return out


def test_ctrl_c_while_measuring_keeps_what_is_done_and_the_same_call_goes_on(small, unmeasured, monkeypatch):
    calls = []

    def interrupted(*arguments):
        calls.append(arguments[0])
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        return kept_outputs(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(run, "kept_outputs", interrupted)
        with pytest.raises(Interrupted, match=r"^interrupted while measuring; `"):
            _run(small[0], unmeasured)
    assert len(calls) < len(small[0].replicas)
    assert (unmeasured / "parts" / "replica-0.safetensors").exists()
    pd.testing.assert_frame_equal(_run(small[0], unmeasured), small[2])


def test_a_damaged_part_is_named_and_measured_again_once_removed(small, unmeasured, monkeypatch):
    def stop(_):
        raise RuntimeError("stop")

    with monkeypatch.context() as patch:
        patch.setattr(run, "make_table", stop)
        with pytest.raises(RuntimeError, match=r"^stop$"):
            _run(small[0], unmeasured)
    part = unmeasured / "parts" / "replica-1.safetensors"
    part.write_bytes(part.read_bytes()[:-7])
    with pytest.raises(FolderError, match=rf"^`{part}` cannot be read .*; remove it to measure this model again$"):
        _run(small[0], unmeasured)
    part.unlink()
    pd.testing.assert_frame_equal(_run(small[0], unmeasured), small[2])


def test_a_missing_checkpoint_is_named(small, unmeasured):
    file = unmeasured / "ensembles" / "transformer" / "step-00000032.safetensors"
    file.unlink()
    with pytest.raises(FolderError, match=rf"^`{file}` cannot be read"):
        _run(small[0], unmeasured)


def test_a_fit_that_may_see_nothing_says_what_to_do(tmp_path):
    with pytest.raises(SpecError, match=r"`described_within` must let the fit see .* it lets it see those of 0"):
        _run(fewer(mlp_factors=(1.0,), described_within=1e-9), tmp_path / "none")
