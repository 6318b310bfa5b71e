"""The study of strategies as a whole: a tiny run, its costs, and what happens when it is killed or damaged."""

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_strategies import tiny

from gating.runs import engine
from gating.runs.catalogue import find_study
from gating.runs.errors import FolderError, Interrupted
from gating.runs.executor import Resources
from gating.runs.folder import RunFolder
from gating.studies.strategies import study
from gating.studies.strategies.config import HeldOut, StrategiesConfig
from gating.studies.strategies.ensemble import TRAINED
from gating.studies.strategies.fit import measured_in
from gating.studies.strategies.outputs import keep_outputs
from gating.studies.strategies.study import Strategies
from theory.settings import SpecError


def fewer(**fields) -> StrategiesConfig:
    """Four models, for what is run again and again."""
    return tiny(**({"n_seeds": 1, "n_tasks": (2, 8), "held_out": HeldOut(steps_after=0.7)} | fields))


def _run(config, out, workers=1, **options) -> pd.DataFrame:
    return engine.run(Strategies(), config, out, Resources("cpu", workers, say=lambda line: None), **options)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[StrategiesConfig, Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("small") / "run"
    return fewer(), out, _run(fewer(), out)


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
def test_killed_at_random_moments_the_run_ends_with_the_same_bits(small, tmp_path, killed_at_random):
    """kill -9 anywhere, training, measuring or fitting; started again until done: the files of the whole run."""
    out = tmp_path / "killed"
    begin = "import test_strategies as t; from pathlib import Path; import sys; t._run(t.fewer(), Path(sys.argv[1]))"
    killed_at_random(begin, out, seed=3)
    _run(small[0], out)
    trained = sorted((small[1] / "parts" / TRAINED).glob("*/*"))
    assert len(trained) > len(small[0].replicas)
    for file in trained:
        assert (out / file.relative_to(small[1])).read_bytes() == file.read_bytes(), file
    assert (out / "results.parquet").read_bytes() == (small[1] / "results.parquet").read_bytes()


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
