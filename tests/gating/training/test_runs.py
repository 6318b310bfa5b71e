"""Run folders: what is saved is loaded."""

from importlib.metadata import version

import pandas as pd
import pytest
import torch

from gating.files import FolderError
from gating.training.runs import RunFolder, environment


def _tensors():
    return {
        "half": torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).half(),
        "turned": torch.arange(6.0, dtype=torch.float64).view(2, 3).T,
        "leaf": torch.nn.Parameter(torch.tensor([float("inf"), -0.0, 1e-45])),
    }


def test_a_checkpoint_loads_equal(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.save_checkpoint(70, _tensors())
    folder.save_checkpoint(123_456_789, {})
    loaded = folder.load_checkpoint(70)
    assert loaded.keys() == _tensors().keys()
    for name, value in _tensors().items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)
        assert not loaded[name].requires_grad
    (folder.path / ".step-00000071.safetensors.1.part").touch()
    (folder.path / "step-notes.txt").touch()
    assert folder.checkpoints == [70, 123_456_789]


def test_a_folder_without_a_state_is_at_step_zero(tmp_path):
    folder = RunFolder(tmp_path / "none")
    assert folder.load_state() is None
    assert (folder.step, folder.checkpoints) == (0, [])


def test_a_state_loads_equal_with_the_metrics_up_to_its_step(tmp_path):
    """A kill between the two files of a save leaves metrics that are ahead of the state: those rows are not read."""
    folder = RunFolder(tmp_path)
    metrics = pd.DataFrame({"step": [10, 20], "replica": [0, 0], "train_loss": [0.5, 0.25]})
    folder.save_state(20, _tensors(), metrics)
    later = pd.concat([metrics, pd.DataFrame({"step": [30], "replica": [0], "train_loss": [0.1]})])
    later.to_parquet(tmp_path / "metrics.parquet", index=False)
    step, tensors, kept = folder.load_state()
    assert step == folder.step == 20
    assert all(torch.equal(tensors[name], value) for name, value in _tensors().items())
    pd.testing.assert_frame_equal(kept, metrics)


def test_the_environment_names_versions():
    assert environment()["torch"] == torch.__version__
    assert environment()["icl-gating"] == version("icl-gating")
    assert (environment()["gpu"] == "none") == (not torch.cuda.is_available())
    assert all(isinstance(value, str) and value for value in environment().values())


@pytest.mark.parametrize("name", ["state.safetensors", "metrics.parquet"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, name):
    folder = RunFolder(tmp_path)
    folder.save_state(20, _tensors(), pd.DataFrame({"step": [20], "replica": [0], "train_loss": [0.5]}))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:40])
    with pytest.raises(FolderError, match=rf"^`{tmp_path / name}` cannot be read \(.*\); remove the folder "):
        folder.load_state()


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FolderError, match=r"step-00000007.safetensors` cannot be read"):
        RunFolder(tmp_path).load_checkpoint(7)
