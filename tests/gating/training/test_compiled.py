"""Compiled steps: what compiling needs, what it leaves behind, and what it leaves alone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from small_run import BUILDERS, contents, source
from small_systems import gradients_of
from torch._inductor import config

from gating.cli import main
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources, run_parts
from gating.runs.folder import RunFolder
from gating.training import gradients
from gating.training.gradients import require_compiler
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer
from theory.settings import SpecError


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
        folders.append(contents(folder.path))
    assert folders[0] == folders[1] != {}


@pytest.mark.long
def test_what_is_compiled_lies_in_a_folder_of_the_process_which_goes_with_it(tmp_path):
    """A compiler that is killed leaves half-written files: none is found by the next process."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from small_systems import gradients_of\n"
        "from gating.training import gradients\n"
        "gradients_of('stylized', compiled=True)\n"
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
    gradients_of("stylized", compiled=True)
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
    said = r"^`training.compiled` must be false where no C\+\+ compiler runs \(.*\); got true$"
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
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
