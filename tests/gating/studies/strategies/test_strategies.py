"""The study of strategies as a whole: one tiny run of each task family, and what happens when it is killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gating.results.columns import BASE
from gating.results.intervals import geometric_mean_interval
from gating.results.query import select
from gating.results.table import summarise
from gating.runs import engine
from gating.runs.catalogue import find_study
from gating.runs.errors import FolderError, Interrupted
from gating.runs.executor import Resources
from gating.runs.folder import RunFolder
from gating.runs.store import Place
from gating.studies.replicas import combined_seed
from gating.studies.strategies import study
from gating.studies.strategies.cells import GROUPS, group_of
from gating.studies.strategies.config import DecoderShape, HeldOut, StrategiesConfig
from gating.studies.strategies.ensemble import TRAINED, checkpoints, sampler_of
from gating.studies.strategies.families import FAMILIES
from gating.studies.strategies.fit import measured_in
from gating.studies.strategies.outputs import keep_outputs, measure_run
from gating.studies.strategies.study import Strategies
from gating.training.schedule import TrainSettings
from theory.settings import SpecError

TASKS = ("urns", "linear_regression", "item_labels")
STEPS = [20, 26, 32, 39, 47, 56]


def tiny(task="urns", **fields) -> StrategiesConfig:
    """Two seeds, one D and one width held out, the last third of training held out; all checkpoints described."""
    training = TrainSettings(
        steps=56, batch_size=8, learning_rate=0.01, checkpoints=6, save_every=14, warm_up=5, max_grad_norm=1.0
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
        "n_resamples": 3,
        "transformer": DecoderShape(width=8),
        "training": training,
    }
    return StrategiesConfig(**(given | fields))


def fewer(**fields) -> StrategiesConfig:
    """Four models, for what is run again and again."""
    return tiny(**({"n_seeds": 1, "n_tasks": (2, 8), "held_out": HeldOut(steps_after=0.7)} | fields))


def _run(config, out, workers=1, **options) -> pd.DataFrame:
    return engine.run(Strategies(), config, out, Resources("cpu", workers, say=lambda line: None), **options)


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
    assert list(table.columns) == [*(column.name for column in BASE), "n_tasks", "mlp_factor", "fitted_to"]
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
    assert [part.name for part in (out / "parts").iterdir()] == ["train"]  # outputs are dropped, models are kept


def test_what_is_of_one_seed_is_a_row_and_what_is_of_all_is_an_answer(family):
    """Fits to one seed are answers too: they are found, not measured."""
    table = family[2]
    of_all = table["seed"].isna() | (table["kind"] == "fitted")
    assert (table["answer"] == of_all).all()
    found = set(table.loc[table["answer"], "measure"])
    assert {"correlation", "discrepancy", "alpha", "fit_loss", "transition_time", "transition_exponent",
            "diversity_threshold", "seeds_over"} <= found  # fmt: skip
    intervals = select(table, {"answer": True, "group": "held_out_widths", "system": "posterior"})
    assert len(intervals) > 1
    assert intervals[["low", "high"]].notna().all().all()  # six runs


def test_two_settings_are_not_averaged_as_seeds(family):
    config, _, table = family
    summary = summarise(table[~table["answer"]])
    last = summary[(summary["measure"] == "relative_distance") & (summary["step"] == 56)]
    assert set(last["seeds"]) <= {0, 2}
    per_kind = last.groupby("distribution")[["n_tasks", "mlp_factor"]].value_counts()
    assert set(per_kind) == {1}
    assert len(per_kind) == 6 * len(FAMILIES[config.task].kinds)
    alone = table[(table["fitted_to"] == "one seed") & (table["measure"] == "alpha")]
    assert sorted(alone["seed"]) == [0, 1]


def test_transition_times_over_seeds_follow_from_those_of_each(family):
    table = family[2]
    times = table[table["measure"] == "transition_time"]
    for (factor, n_tasks, kind), rows in times.groupby(["mlp_factor", "n_tasks", "kind"]):
        [answer], seeds = rows[rows["answer"]].to_dict("records"), rows.loc[~rows["answer"], "value"].to_numpy()
        assert len(seeds) == 2
        if kind == "measured":
            wanted = geometric_mean_interval(seeds)
            np.testing.assert_array_equal([answer[name] for name in ("value", "low", "high")], wanted[:3])
            counts = table[(table["mlp_factor"] == factor) & (table["n_tasks"] == n_tasks)].set_index("measure")[
                "value"
            ]
            assert counts["seeds_over"] == wanted.seeds
            assert counts["seeds_over_at_once"] == (seeds == 0).sum()
        elif np.isfinite(seeds).all():
            assert answer["value"] == pytest.approx(np.sqrt(seeds.prod()))


def test_values_are_in_their_ranges_and_inside_their_intervals(family):
    table = family[2]
    for measure in ("effective_gate", "weight", "total_variation", "argmax_agreement"):
        assert table.loc[table["measure"] == measure, "value"].dropna().between(0, 1).all(), measure
    for measure in ("description_bits", "discrepancy", "residual", "log_loss"):
        assert np.isfinite(table.loc[table["measure"] == measure, "value"]).all(), measure
    held = table.dropna(subset=["low", "high"])
    assert len(held) > 50
    assert (held["low"] <= held["high"]).all()
    losses = table[(table["measure"] == "log_loss") & (table["system"] == "transformer")]
    assert set(losses["tests"]) == {16}
    assert (losses["standard_error"] > 0).all()


def test_the_best_mixture_is_undefined_only_where_m_and_g_agree(family):
    """And there what they leave is what each of them leaves alone."""
    config, _, table = family
    cells = table[~table["answer"] & (table["system"] == "transformer") & (table["distribution"] == "ibd")]
    by_cell = cells.pivot_table(index=["mlp_factor", "n_tasks", "seed", "step"], columns="measure", values="value")
    undefined = by_cell["effective_gate"].isna()
    assert undefined.sum() < len(by_cell)
    assert by_cell.loc[undefined, "relative_distance"].isna().all()
    if config.task != "item_labels":
        assert not undefined.any()


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
    fitted = table[table["fitted_to"] == "all"].set_index(["system", "measure"])
    for system, held in {"posterior": "kappa", "posterior, beta = 1": "beta", "posterior, gamma = 1": "gamma"}.items():
        for name in ("alpha", "beta", "gamma", "kappa"):
            row = fitted.loc[(system, name)]
            assert np.isnan(row["low"]) == np.isnan(row["high"]) == (name in {held, "kappa"}), (system, name)


def test_groups_follow_from_the_settings(family):
    config, _, table = family
    rows = table[(table["measure"] == "relative_distance") & (table["distribution"] == "ibd")]
    wide, late, four = rows["mlp_factor"] == 2, rows["step"] > 0.7 * 56, rows["n_tasks"] == 4
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
    folder = RunFolder(out)
    index = next(k for k, replica in enumerate(config.replicas) if replica.mlp_factor == 2.0)
    held_of, again = (measure_run(config, Place(folder, ""), index).answers for _ in range(2))
    replica, family_of = config.replicas[index], FAMILIES[config.task]
    sampler, model = sampler_of(config, [replica]), checkpoints(config, Place(folder, ""), replica)[-1]
    predictors = [family_of.memorizer(sampler, 0)[0], family_of.generalizer(sampler)]
    seed = combined_seed(config.evaluation_seed, replica.seed)
    for number, (kind, arguments) in enumerate(family_of.kinds.items()):
        fresh = sampler.fresh(combined_seed(seed, number), 16, **arguments)
        alone = type(fresh)(*(part[0] for part in fresh))
        answer = model(fresh)[0]
        held = held_of[kind]
        losses = family_of.losses(sampler, answer, alone).double()
        assert held.losses[-1].item() == pytest.approx(losses.mean().item(), rel=1e-5)
        error = losses.mean(-1).numpy().std(ddof=1) / 16**0.5
        assert held.errors[-1].item() == pytest.approx(error, rel=1e-5)
        n_all = answer[..., 0].numel() if family_of.distance == "kl" else answer.numel()
        assert held.transformer.shape[:2] == (len(STEPS), min(32, n_all))
        for mine, predictor in zip((held.m, held.g), predictors, strict=True):
            every = predictor(alone).reshape(n_all, -1)
            assert ((mine.unsqueeze(1) - every).abs().amax(-1).amin(1) < 1e-9).all()
        for a, b in zip(held, again[kind], strict=True):
            assert torch.equal(a, b)


def test_a_finished_run_is_read_not_run_again_and_other_settings_are_refused(small):
    config, out, table = small
    said: list[str] = []
    again = engine.run(Strategies(), config, out, Resources(say=said.append))
    pd.testing.assert_frame_equal(again, table)
    assert len(said) == 2
    assert "is finished" in said[0]
    with pytest.raises(FolderError, match=r"n_resamples is 3 there, 4 here"):
        _run(fewer(n_resamples=4), out)


@pytest.mark.long
def test_neither_workers_nor_threads_change_the_result(small, tmp_path):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        _run(small[0], tmp_path / "two", workers=2)
    finally:
        torch.set_num_threads(before)
    assert (tmp_path / "two" / "results.parquet").read_bytes() == (small[1] / "results.parquet").read_bytes()


@pytest.mark.kill
def test_killed_at_random_moments_the_run_ends_with_the_same_bits(small, tmp_path, request):
    """kill -9 anywhere, training, measuring or fitting; started again until done: the files of the whole run."""
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
    trained = sorted((small[1] / "parts" / TRAINED).glob("*/*"))
    assert len(trained) > len(small[0].replicas)
    for file in trained:
        assert (out / file.relative_to(small[1])).read_bytes() == file.read_bytes(), file
    assert (out / "results.parquet").read_bytes() == (small[1] / "results.parquet").read_bytes()


def _progress(out: Path) -> list[tuple[str, int]]:
    found = []
    for path in sorted(out.rglob("*.*")):
        with suppress(FileNotFoundError):  # a draft that has moved into its place
            found.append((str(path), path.stat().st_mtime_ns))
    return found


@pytest.fixture
def unmeasured(small, tmp_path) -> Path:
    """The small run, trained, without its table."""
    out = tmp_path / "run"
    shutil.copytree(small[1], out)
    folder = RunFolder(out)
    config = small[0]
    folder.forget([part.name for part in Strategies().parts(config)])
    folder.discard(["results.parquet"])
    return out


@pytest.mark.long
def test_ctrl_c_while_measuring_keeps_what_is_done_and_the_same_call_goes_on(small, unmeasured, monkeypatch):
    calls = []

    def interrupted(config, index, place, resources):
        calls.append(index)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        keep_outputs(config, index, place, resources)

    with monkeypatch.context() as patch:
        patch.setattr(study, "keep_outputs", interrupted)
        with pytest.raises(Interrupted, match=r"^interrupted; `"):
            _run(small[0], unmeasured)
    assert len(calls) < len(small[0].replicas)
    assert measured_in(0) in RunFolder(unmeasured).done
    assert "fit" not in RunFolder(unmeasured).done
    pd.testing.assert_frame_equal(_run(small[0], unmeasured), small[2])


@pytest.mark.parametrize(
    "damaged", ["parts/measure/replica-1/outputs.safetensors", f"parts/{TRAINED}/1/step-00000032.safetensors"]
)
@pytest.mark.long
def test_what_is_damaged_is_named_and_made_again(small, unmeasured, monkeypatch, damaged):
    def stop(*_):
        raise RuntimeError("stop")

    with monkeypatch.context() as patch:
        patch.setattr(study, "keep_fit", stop)
        with pytest.raises(RuntimeError, match=r"^stop$"):
            _run(small[0], unmeasured)
    part = unmeasured / damaged
    part.write_bytes(part.read_bytes()[:-7])
    said: list[str] = []
    table = engine.run(Strategies(), small[0], unmeasured, Resources(say=said.append))
    assert damaged in said[0]
    assert "is made again" in said[0]
    pd.testing.assert_frame_equal(table, small[2])


def test_a_checkpoint_that_goes_in_the_middle_is_named(small, unmeasured, monkeypatch):
    file = unmeasured / "parts" / TRAINED / "0" / "step-00000032.safetensors"

    def removing(config, index, place, resources):
        file.unlink(missing_ok=True)
        keep_outputs(config, index, place, resources)

    monkeypatch.setattr(study, "keep_outputs", removing)
    with pytest.raises(FolderError, match=rf"^`{file}` is missing"):
        _run(small[0], unmeasured)


def test_a_fit_that_may_see_nothing_says_what_to_do(tmp_path):
    with pytest.raises(SpecError, match=r"`described_within` must let the fit see .* it lets it see those of 0"):
        _run(fewer(mlp_factors=(1.0,), described_within=1e-9), tmp_path / "none")


def test_the_study_is_found_by_its_name_and_every_preset_is_valid():
    found = find_study("strategies")
    assert isinstance(found, Strategies)
    assert found.question().startswith("Does a Transformer memorize")
    assert len(found.presets()) == 9


def test_what_a_run_will_take_is_estimated_before_it_starts(small):
    """About the time and disk of the small run, whatever its settings hold; too large ones are not tried out."""
    config, out, _ = small
    found = Strategies().estimate(config, Resources(say=lambda line: None))
    assert 0.1 < found.seconds < 1000
    on_disk = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    assert on_disk / 2 < found.disk < 2 * on_disk
    assert 1e5 < found.memory < 2**30
    huge = StrategiesConfig(evaluation_sequences=2**32, evaluation_rows=2**20)
    assert Strategies().memory(huge) > 2**40
    assert np.isnan(Strategies().estimate(huge, Resources()).seconds)
    more = StrategiesConfig(n_tasks=(4, 2**20), dim=2**16)
    assert Strategies().memory(more) > 2**40
