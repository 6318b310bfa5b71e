"""Gradients of a group: what compilation and rounded products change, and what they leave."""

import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from small_run import BUILDERS, source, trainer

from gating.cli import main
from gating.models.activation import gelu, with_slope
from gating.models.attention import causal_attention
from gating.models.blocks import Block
from gating.models.decoder import ItemDecoder, RegressionDecoder, UrnDecoder
from gating.models.layers import LayerNorm, ReadOut, generators
from gating.models.recording import recording
from gating.predictors.in_weight import InWeightMLP
from gating.runs.ensemble import Ensemble
from gating.runs.errors import Interrupted
from gating.runs.executor import Resources, run_parts
from gating.runs.folder import RunFolder
from gating.runs.store import opened
from gating.studies.strategies.families import every_draw_log_loss, squared_error
from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.urns import Urns
from gating.training import gradients
from gating.training.gradients import Gradients, require_compiler
from gating.training.group import ReplicaGroup, target_log_loss
from gating.training.optimizer import Descent
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer
from theory.settings import SpecError

FAST = {"matmul_precision": "bfloat16", "compiled": True}
SHAPE = {"depth": 1, "width": 16, "mlp_factor": 2.0}


def _urns(seeds):
    return UrnDecoder(3, 24, rngs=generators(seeds), **SHAPE), Urns([4, 9], seeds, dim=3, length=24)


def _pairs(seeds):
    return RegressionDecoder(3, 6, rngs=generators(seeds), **SHAPE), LinearRegression([4, 9], seeds, dim=3, length=6)


def _items(seeds):
    return ItemDecoder(3, 20, rngs=generators(seeds), **SHAPE), ItemLabels([4, 9], seeds, dim=3, length=20)


def _of(name):
    return lambda seeds: (BUILDERS[name](seeds), source(seeds))


def _in_weight(seeds):
    return InWeightMLP(8, 4, hidden=8, rngs=generators(seeds)), source(seeds)


SYSTEMS = {
    "in_weight": (_in_weight, target_log_loss),
    "transformer": (_of("transformer"), target_log_loss),
    "stylized": (_of("stylized"), target_log_loss),
    "urns": (_urns, every_draw_log_loss),
    "regression": (_pairs, squared_error),
    "items": (_items, target_log_loss),
}


def _gradients(system, **settings):
    """Gradients by parameter and losses of a first batch."""
    make, loss = SYSTEMS[system]
    model, batches = make([3, 4])
    told = TrainSettings(steps=1, max_grad_norm=0.05, **settings)
    descent = Descent(dict(model.named_parameters()), told, replicas=True, flat=True)
    flat, losses = Gradients(model, descent, told, loss)(batches.batches(0, 1, 16))
    return {name: descent.piece(name, flat) for name in descent.places}, losses


MODES = [({"compiled": True}, 2e-5), ({"matmul_precision": "bfloat16"}, 0.06), (FAST, 0.06)]
QUICK = {("stylized", True), *((system, None) for system in SYSTEMS)}
"""What takes no compiler, and one that takes it for a few seconds."""


@pytest.mark.parametrize(
    ("system", "settings", "within"),
    [
        pytest.param(system, *mode, marks=[] if (system, mode[0].get("compiled")) in QUICK else pytest.mark.long)
        for system in SYSTEMS
        for mode in MODES
    ],
)
def test_every_mode_gives_the_same_gradients_within_its_rounding(system, settings, within):
    plain, losses = _gradients(system)
    fast, found = _gradients(system, **settings)
    assert found.tolist() == pytest.approx(losses.tolist(), rel=within / 3)
    whole = torch.stack([value.flatten(1).norm(dim=1) for value in plain.values()]).norm(dim=0)
    for name, value in plain.items():
        apart = (fast[name] - value).flatten(1).norm(dim=1) / whole
        assert apart.max() <= within, name
        assert found.dtype == fast[name].dtype == torch.float32
    bits_differ = any(not torch.equal(fast[name], plain[name]) for name in plain)
    assert bits_differ or "matmul_precision" not in settings


@pytest.mark.long
def test_a_mode_is_no_other_model(tmp_path):
    """Over 300 steps the losses stay those of the default."""
    ends = []
    for number, settings in enumerate([{}, {"compiled": True}, FAST]):
        group = trainer(tmp_path / str(number), steps=300, batch_size=16, **settings)
        group.start()
        ends.append(group.advance(300)[-50:].mean(0))
    assert ends[0].mean() < 1.0
    assert (ends[1] - ends[0]).abs().max() < 0.02
    assert (ends[2] - ends[0]).abs().max() < 0.1


def _contents(path):
    return {p.name: p.read_bytes() for p in path.rglob("*") if p.suffix in {".safetensors", ".parquet"}}


@pytest.mark.parametrize("settings", [{"matmul_precision": "bfloat16"}, FAST])
def test_stopping_and_going_on_changes_no_bit_in_any_mode(tmp_path, settings):
    told = {"model": "stylized", "steps": 40, "save_every": 10, "max_grad_norm": 1.0, **settings}
    trainer(tmp_path / "straight", **told).run()
    stop = threading.Event()

    class Stopping:
        def __init__(self, seeds):
            self.source = source(seeds)

        def batches(self, first_step, *size):
            if first_step >= 15:
                stop.set()
            return self.source.batches(first_step, *size)

    with pytest.raises(Interrupted):
        trainer(tmp_path / "stopped", source=Stopping, **told).run(stop=stop)
    trainer(tmp_path / "stopped", **told).run()
    assert _contents(tmp_path / "straight") == _contents(tmp_path / "stopped") != {}


class Seeded(NamedTuple):
    seed: int


def _frozen(replicas):
    model = BUILDERS["stylized"]([replica.seed for replica in replicas])
    model.g.requires_grad_(False)
    return model


def _trainer(place, resources, replicas):
    told = TrainSettings(steps=8, batch_size=8, checkpoints=1, compiled=True)
    return Trainer(place, replicas, _frozen, lambda mine: source([replica.seed for replica in mine]), told)


def test_groups_compile_beside_each_other_and_what_is_frozen_stays(tmp_path):
    """Both threads compile at once; a group's compiled step holds its own frozen values, not another's."""
    ensemble = Ensemble("e", [Seeded(seed) for seed in range(4)], _trainer, {}, per_group=1)
    folders = []
    for workers in (1, 2):
        folder = RunFolder(tmp_path / str(workers))
        with folder.locked():
            folder.begin("study", {})
            run_parts(list(ensemble.parts("cpu")), folder, Resources(workers=workers, say=lambda line: None))
        folders.append(_contents(folder.path))
    assert folders[0] == folders[1] != {}


@pytest.mark.long
def test_what_is_compiled_lies_in_a_folder_of_the_process_which_goes_with_it(tmp_path):
    """A compiler that is killed leaves half-written files: none is found by the next process."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_gradients import SYSTEMS, _gradients\n"
        "from gating.training import gradients\n"
        "_gradients('stylized', compiled=True)\n"
        "print(gradients._folder(), os.environ.get('TORCHINDUCTOR_CACHE_DIR'), len(os.listdir(gradients._folder())))"
    )
    given = {**os.environ, "TMPDIR": str(tmp_path)}
    given.pop("TORCHINDUCTOR_CACHE_DIR", None)
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    said = subprocess.run(command, env=given, capture_output=True, text=True, check=True, timeout=300).stdout.split()
    assert Path(said[0]).parent == tmp_path
    assert said[1] != said[0]
    assert int(said[2]) > 1
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".so", ".gch", ".h") or "gating" in file.name]


def test_other_threads_run_while_a_compiled_kernel_does():
    """Every function that Python calls a kernel by lets go of the interpreter first."""
    _gradients("stylized", compiled=True)
    sources = [file.read_text() for file in Path(gradients._folder()).rglob("*.cpp")]
    called = [source for source in sources if "kernel_py(PyObject" in source]
    assert called
    assert all("{ Released others_run; kernel(parsed...); }(parse_arg" in source for source in called)


def test_what_compiling_changes_is_put_back_and_nothing_else_is_touched(monkeypatch):
    """Other threads go on meanwhile; and torch's folder, in the command for the compiler, may have a space."""
    from torch._inductor.cpp_builder import CppBuilder, CppTorchOptions
    from torch.utils import cpp_extension

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    monkeypatch.delenv("SET_MEANWHILE", raising=False)
    monkeypatch.setattr(cpp_extension, "TORCH_LIB_PATH", "/a folder/lib")
    with gradients._own_folder():
        monkeypatch.setenv("SET_MEANWHILE", "1")
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == gradients._folder()
        assert " -L'/a folder/lib'" in CppBuilder("x", "x.cpp", CppTorchOptions()).get_command_line()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    assert os.environ["SET_MEANWHILE"] == "1"
    assert cpp_extension.TORCH_LIB_PATH == "/a folder/lib"


@pytest.mark.parametrize("decays", ["all", "matrices"])
def test_parameters_side_by_side_are_the_same_as_alone(decays):
    told = TrainSettings(steps=9, optimizer={"name": "adamw", "weight_decay": 0.1, "decays": decays})
    models = [BUILDERS["transformer"]([0, 1]) for _ in range(2)]
    descents = [
        Descent(dict(model.named_parameters()), told, replicas=True, flat=flat)
        for model, flat in zip(models, (False, True), strict=True)
    ]
    assert len(descents[1].leaves) == (1 if decays == "all" else 2)
    for step in range(3):
        rng = torch.Generator().manual_seed(step)
        gradients = {name: torch.randn(p.shape, generator=rng) for name, p in models[0].named_parameters()}
        for name, parameter in models[0].named_parameters():
            parameter.grad = gradients[name]
        descents[0].step(step)
        sides = [[] for _ in descents[1].leaves]
        for name, (leaf, _) in descents[1].places.items():
            sides[leaf].append(gradients[name].flatten())
        descents[1].step(step, [torch.cat(side) for side in sides])
    for (name, one), two in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(one, two, rtol=0, atol=1e-7), name
    kept = [descent.state() for descent in descents]
    assert kept[0].keys() == kept[1].keys()
    for name, value in kept[0].items():
        assert torch.allclose(value, kept[1][name], rtol=0, atol=1e-7), name
    again = Descent(dict(BUILDERS["transformer"]([0, 1]).named_parameters()), told, replicas=True, flat=True)
    again.restore(3, kept[1])
    assert all(torch.equal(value, kept[1][key]) for key, value in again.state().items())


def test_the_formula_of_gelu_is_exact_to_single_precision():
    x = torch.linspace(-12, 12, 100_001, requires_grad=True)
    value, slope = with_slope(x.detach())
    wide = x.detach().double().requires_grad_()
    exact = torch.nn.functional.gelu(wide)
    (wanted,) = torch.autograd.grad(exact.sum(), wide)
    assert (value - exact).abs().max() < 1.2e-6
    assert (slope - wanted).abs().max() < 5e-7
    with recording():
        (found,) = torch.autograd.grad(gelu(x).sum(), x)
    assert torch.equal(found, slope)


@pytest.mark.parametrize(("asked", "seen"), [(1, 1), (1, 5), (5, 5), (15, 15)])
def test_short_attention_is_attention(asked, seen):
    rng = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(6, 2, n, 4, generator=rng, dtype=torch.float64) for n in (asked, seen, seen))
    plain = causal_attention(q, k, v)
    with recording():
        assert torch.allclose(causal_attention(q, k, v), plain, atol=1e-12)


def test_answers_are_read_out_in_full_precision():
    layer, x = ReadOut(8, 3, generators([0, 1])), torch.randn(2, 5, 8)
    wanted = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), wanted)
    assert torch.allclose(wanted, x @ layer.weight + layer.bias, atol=1e-6)


@pytest.mark.parametrize("name", SYSTEMS)
def test_stream_norms_answers_and_loss_keep_their_precision(name):
    """Products alone are of fewer digits: nothing that is added up over blocks, normalised or answered."""
    build, loss = SYSTEMS[name]
    model, data = build([0, 1])
    found = []
    for part in model.modules():
        if isinstance(part, Block | LayerNorm):
            part.register_forward_hook(lambda part, inputs, out: found.extend([inputs[0].dtype, out.dtype]))
    batch = data.batches(0, 1, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(model(batch), batch).dtype == torch.float32
    assert bool(found) == (name not in ("stylized", "in_weight"))
    assert {*found} <= {torch.float32}


def test_numbers_that_bfloat16_would_not_shorten_are_refused(tmp_path):
    with (
        opened(tmp_path / "run", {}) as place,
        pytest.raises(ValueError, match=r"^`dtype` must be torch.float32 where"),
    ):
        Trainer(
            place,
            [0],
            BUILDERS["stylized"],
            source,
            TrainSettings(steps=1, matmul_precision="bfloat16"),
            dtype=torch.float64,
        )


def test_without_a_compiler_the_setting_is_named_before_anything_is_written(tmp_path, monkeypatch, capsys):
    require_compiler(training=TrainSettings(steps=1))
    require_compiler(training=TrainSettings(steps=1, compiled=True))
    for folder in ("/a folder", "/o'b"):
        monkeypatch.setattr("gating.training.gradients.gettempdir", lambda folder=folder: folder)
        said = rf"^`training.compiled` must be false where .* \(TMPDIR\) .* as {folder}; got true$"
        with pytest.raises(SpecError, match=said):
            require_compiler(training=TrainSettings(steps=1, compiled=True))
        monkeypatch.undo()
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / name))
    with pytest.raises(SpecError, match=r"^`training.compiled` must be false where Python's headers are not installed"):
        require_compiler(training=TrainSettings(steps=1, compiled=True))
    monkeypatch.undo()
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    said = r"^`training.compiled` must be false where no C\+\+ compiler runs \(.*\); got true$"
    with pytest.raises(SpecError, match=said):
        require_compiler(training=TrainSettings(steps=1, compiled=True))
    for study, setting in (("compare", "stylized_training"), ("strategies", "training"), ("predict", "training"),
                           ("crossover", "transformer_training")):  # fmt: skip
        assert main([study, "--out", str(tmp_path / "run"), f"--{setting}.compiled", "true"]) == 2
        assert f"`{setting}.compiled` must be false" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


LOCKED = """
import os, sys, time
from gating.training import gradients
print(gradients._folder(), flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_compiled_is_removed_by_the_next(tmp_path, monkeypatch):
    """Not that of one that lives, nor a folder that is being made."""
    places = {"TMPDIR": str(tmp_path)} | {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    both = [subprocess.Popen([sys.executable, "-c", LOCKED], env=places, stdout=subprocess.PIPE, text=True)
            for _ in range(2)]  # fmt: skip
    try:
        killed, alive = (Path(process.stdout.readline().strip()) for process in both)
        both[0].kill()
        both[0].wait(60)
        (tmp_path / "gating-compiled-of-before").mkdir()
        (new := tmp_path / "gating-compiled-new").mkdir()
        (new / "lock").touch()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        assert (killed / "lock").is_file()
        for folder in (killed, alive):
            os.utime(folder / "lock", (0, 0))
        mine = Path(gradients._folder.__wrapped__())
        assert {*tmp_path.iterdir()} == {mine, alive, new, tmp_path / "gating-compiled-of-before"}
    finally:
        for process in both:
            process.kill()
            process.communicate()


def test_a_group_stops_between_two_batches_of_one_draw():
    stop, steps = threading.Event(), []
    group = ReplicaGroup(1, BUILDERS["stylized"]([0]), source([0]), TrainSettings(steps=200))
    loss = group._gradients._loss

    def counted(*given):
        steps.append(group.step)
        if len(steps) == 3:
            stop.set()
        return loss(*given)

    group._gradients._loss = counted
    told = []
    assert group.advance(200, stop, told.append).shape == (3, 1)
    assert all(b == a + 1 for a, b in pairwise(steps))
    assert told == [3]
