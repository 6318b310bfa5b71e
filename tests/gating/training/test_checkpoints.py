"""What is kept of an ensemble: what is saved is loaded."""

import pandas as pd
import pytest
import torch
from small_run import place_in

from gating.runs.errors import Damaged
from gating.training.checkpoints import Checkpoints

TENSORS = {"half": torch.arange(6.0).view(3, 2).half(), "whole": torch.arange(3), "leaf": torch.full((3, 1), -0.0)}


def test_checkpoints_load_equal_whole_or_by_rows(tmp_path):
    kept = Checkpoints(place_in(tmp_path))
    kept.save(70, TENSORS)
    kept.save(123_456_789, {})
    kept.place.save_records("step-notes", [])
    (kept.place.path / "step-00000071.safetensors").touch()  # not the run's
    assert Checkpoints(place_in(tmp_path)).steps == [70, 123_456_789]
    loaded, rows = kept.load(70), kept.load(70, slice(1, 3))
    assert loaded.keys() == rows.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert torch.equal(loaded[name], value)
        assert torch.equal(rows[name], value[1:3])


def test_nothing_saved_is_step_zero(tmp_path):
    kept = Checkpoints(place_in(tmp_path))
    assert (kept.load_state(), kept.step, kept.steps) == (None, 0, [])


def test_a_state_loads_equal_with_the_metrics_up_to_its_step(tmp_path):
    """A kill between the two files of a save leaves metrics that are ahead of the state: those rows are not read."""
    kept = Checkpoints(place_in(tmp_path))
    metrics = pd.DataFrame({"step": [10, 20], "replica": [0, 0], "train_loss": [0.5, 0.25]})
    kept.save_state(20, TENSORS, metrics)
    later = pd.concat([metrics, pd.DataFrame({"step": [30], "replica": [0], "train_loss": [0.1]})])
    kept.place.save_table("metrics", later)
    step, tensors, read = Checkpoints(place_in(tmp_path)).load_state()
    assert step == kept.step == 20
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    pd.testing.assert_frame_equal(read, metrics)


@pytest.mark.parametrize("name", ["state.safetensors", "metrics.parquet"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, name):
    kept = Checkpoints(place_in(tmp_path))
    kept.save_state(20, TENSORS, pd.DataFrame({"step": [20], "replica": [0], "train_loss": [0.5]}))
    file = kept.place.path / name
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(Damaged, match=rf"^`{file}` is not as the run wrote it .*; remove it, and the command"):
        kept.load_state()


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(Damaged, match=r"step-00000007.safetensors` is missing"):
        Checkpoints(place_in(tmp_path)).load(7)
