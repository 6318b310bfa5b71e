"""Training on a GPU: the losses of the CPU in every mode, the same bits after a stop, and what compilation needs."""

import os
import threading

import pytest
import torch
from small_run import BUILDERS, place_in, source

from gating.runs.errors import Interrupted
from gating.training import gradients
from gating.training.gradients import require_compiler
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer
from theory.settings import SpecError

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
SEEDS = list(range(6))


def _moved(seeds, device):
    """Batches of the CPU, so that sampling makes no difference."""
    drawn = source(seeds)

    class Moved:
        def batches(self, *where):
            found = drawn.batches(*where)
            return type(found)(*(part.to(device) for part in found))

    return Moved()


def _trainer(path, device, model="transformer", make=None, **settings):
    told = TrainSettings(**{"steps": 20, "batch_size": 8, "learning_rate": 3e-3, "checkpoints": 2, **settings})
    batches = make or (lambda seeds: _moved(seeds, device))
    return Trainer(place_in(path), SEEDS, BUILDERS[model], batches, told, device=device)


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("model", BUILDERS)
@pytest.mark.parametrize(
    ("settings", "within"),
    [
        ({}, 1e-4),
        ({"matmul_precision": "high"}, 0.01),
        ({"matmul_precision": "medium"}, 0.02),
        ({"matmul_precision": "bfloat16"}, 0.03),
        ({"compiled": True}, 1e-4),
    ],
    ids=str,
)
def test_losses_of_five_steps_are_those_of_the_cpu(tmp_path, model, settings, within):
    told = {"model": model, "max_grad_norm": 1.0}
    wanted = _trainer(tmp_path / "cpu", "cpu", **told).advance(5)
    found = _trainer(tmp_path / "gpu", "cuda", **told, **settings).advance(5)
    torch.testing.assert_close(found, wanted, rtol=within, atol=within)


@pytest.mark.gpu
@on_gpu
def test_a_run_that_stops_on_a_gpu_goes_on_to_the_same_bits(tmp_path):
    told = {"steps": 20, "save_every": 5}
    _trainer(tmp_path / "straight", "cuda", **told).run()
    stop = threading.Event()

    class Stopping:
        def __init__(self, seeds):
            self.source = _moved(seeds, "cuda")

        def batches(self, first_step, *size):
            if first_step >= 10:
                stop.set()
            return self.source.batches(first_step, *size)

    with pytest.raises(Interrupted):
        _trainer(tmp_path / "stopped", "cuda", make=Stopping, **told).run(stop=stop)
    assert 0 < _trainer(tmp_path / "stopped", "cuda", **told).left < 20
    _trainer(tmp_path / "stopped", "cuda", **told).run()
    kept = [{p.name: p.read_bytes() for p in place_in(tmp_path / name).path.iterdir()} for name in
            ("straight", "stopped")]  # fmt: skip
    assert kept[0] == kept[1] != {}


@pytest.mark.parametrize(("has_triton", "there"), [(True, ["gcc"]), (True, ["clang"]), (True, []), (False, ["gcc"])])
def test_compiling_for_a_gpu_needs_triton_and_a_c_compiler(monkeypatch, has_triton, there):
    """A C++ compiler is not asked for; what does not compile needs nothing."""
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: has_triton)
    monkeypatch.setattr(gradients.shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setitem(os.environ, "CXX", "no-such-compiler")
    monkeypatch.delitem(os.environ, "CC", raising=False)
    require_compiler("cuda", training=TrainSettings(1))
    if has_triton and there:
        require_compiler(torch.device("cuda", 0), training=TrainSettings(1, compiled=True))
    else:
        with pytest.raises(SpecError, match=r"^`training\.compiled` must be false on a GPU where Triton does not run"):
            require_compiler("cuda", training=TrainSettings(1, compiled=True))
