"""Gradients of a group of replicas, step by step, or compiled once for all steps."""

import atexit
import os
import shlex
import shutil
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from unittest.mock import patch

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.func import functional_call

from gating.models.recording import recording
from gating.tasks.sequences import Sequences
from gating.training.optimizer import Descent, clip_norms
from gating.training.schedule import TrainSettings
from theory.settings import SpecError
from theory.validation import require_instances

__all__ = ["Gradients", "require_compiler"]

Step = Callable[..., tuple[Tensor, ...]]
CALL = """
    struct Released {{ PyThreadState* kept = PyEval_SaveThread(); ~Released() {{ PyEval_RestoreThread(kept); }} }};
    [](auto... parsed) {{ Released others_run; kernel(parsed...); }}({});
    Py_RETURN_NONE;
"""
"""How Python calls a compiled kernel: other threads run meanwhile, which torch does not let them."""

FOLDERS, LOCK, NEW_SECONDS = "gating-compiled-", "lock", 60
"""Names of the folders for what is compiled and of the lock in each, and for how long one may not be locked yet."""

_compiling = threading.Lock()
"""Torch's compiler keeps its state for the process."""


def require_compiler(device: torch.device | str = "cpu", /, **settings: TrainSettings) -> None:
    """Looks for what compiled training needs, where one of these settings asks for it.

    Args:
        device: where models train: on a CPU a C++ compiler is needed, on a GPU the package triton, which comes with
            torch for CUDA, a GPU that it computes on, and a C compiler, which it calls.
        settings: by their names.

    Raises:
        SpecError: it is not there, naming the settings that ask for it.
    """
    asking = [name for name, told in settings.items() if told.compiled]
    if not asking:
        return
    if torch.device(device).type == "cuda":
        if not _has_triton():
            allowed = "must be false on a GPU where Triton does not run (its package, and gcc, clang or what CC names)"
            raise SpecError([f"`{name}.compiled` {allowed}; got true" for name in asking])
        return
    if shlex.quote(gettempdir()) != gettempdir():  # torch does not quote it in the command for the compiler
        allowed = "must be false where the folder for temporary files (TMPDIR) has a space or a quote in its name, as"
        raise SpecError([f"`{name}.compiled` {allowed} {gettempdir()}; got true" for name in asking])
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        allowed = (
            "must be false where Python's headers are not installed (on Debian and Ubuntu the package python3-dev)"
        )
        raise SpecError([f"`{name}.compiled` {allowed}; got true" for name in asking])
    with _compiling, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, at import
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        allowed = "must be false where no C++ compiler runs (g++, clang++, or what CXX names)"
        raise SpecError([f"`{name}.compiled` {allowed}; got true" for name in asking]) from error


def _has_triton() -> bool:
    """Whether Triton is installed, knows the GPU, and has the C compiler that makes what starts its kernels."""
    with _compiling, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, at import
        from torch.utils._triton import has_triton

        found = has_triton()
    return bool(found) and any(map(shutil.which, (os.environ.get("CC") or "gcc", "clang")))


class Gradients:
    """Losses of the replicas in a batch, and the gradient of their sum, each replica's clipped by its own norm.

    Args:
        model: R models.
        descent: their optimizer, on flat leaves.
        settings: precision of products, clipping, and whether to compile.
        loss: what is minimised.

    Raises:
        ValueError: naming the argument that is of another class.
    """

    def __init__(
        self,
        model: nn.Module,
        descent: Descent,
        settings: TrainSettings,
        loss: Callable[[Tensor, Sequences], Tensor],
    ):
        require_instances(model=(model, nn.Module), descent=(descent, Descent))
        require_instances(settings=(settings, TrainSettings), loss=(loss, Callable))
        self._model, self._descent, self._settings, self._loss = model, descent, settings, loss
        self._compiled: Step | None = None

    def __call__(self, batch: Sequences) -> tuple[tuple[Tensor, ...], Tensor]:
        """Gradients of the optimizer's leaves, and losses (R,)."""
        inputs = [*(leaf.detach() for leaf in self._descent.leaves), *batch]
        if self._settings.compiled and self._compiled is None:
            require_compiler(batch.y.device, training=self._settings)
            self._compiled = _compiled(self._step, inputs)
        *gradients, losses = (self._compiled or self._step)(*inputs)
        return tuple(gradients), losses

    def _step(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        descent = self._descent
        n, names = len(descent.leaves), list(descent.places)
        leaves, batch = inputs[:n], Sequences(*inputs[n:])
        parameters = {name: descent.piece(name, leaves).detach().requires_grad_() for name in names}
        short = self._settings.matmul_precision == "bfloat16"
        with torch.autocast(batch.y.device.type, torch.bfloat16, enabled=short, cache_enabled=False):
            losses = self._loss(functional_call(self._model, parameters, (batch,)), batch)
        gradients = list(torch.autograd.grad(losses.sum(), list(parameters.values())))
        if self._settings.max_grad_norm is not None:
            gradients, _ = clip_norms(gradients, self._settings.max_grad_norm)
        sides: list[list[Tensor]] = [[] for _ in leaves]
        for name, gradient in zip(names, gradients, strict=True):
            sides[descent.places[name][0]].append(gradient.flatten())
        return (*(torch.cat(side) for side in sides), losses.detach())


@contextmanager
def _own_folder() -> Iterator[None]:
    """Keeps what is compiled in C++, headers too, in a folder of this process: a compiler that is killed leaves
    half-written files, which torch would take for whole. Torch does not quote its own folder, which a space breaks."""
    from torch._inductor import codecache
    from torch.utils import cpp_extension

    name, headers = "TORCHINDUCTOR_CACHE_DIR", f"{_folder()}/headers"
    before = os.environ.get(name)  # this one alone: other threads read the others meanwhile
    os.environ[name] = _folder()
    try:
        with (
            patch.multiple(codecache, create=True, _HEADER_DIR=headers, _HEADER_LOCK_DIR=f"{headers}/locks"),
            patch.multiple(codecache.CppPythonBindingsCodeCache, create=True, call_entry_function=CALL),
            patch.object(cpp_extension, "TORCH_LIB_PATH", shlex.quote(cpp_extension.TORCH_LIB_PATH)),
        ):
            yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


@cache
def _folder() -> str:
    """Made with a lock in it, and removed when this process ends; those of processes that were killed go here."""
    for left in Path(gettempdir()).glob(f"{FOLDERS}*/{LOCK}"):
        with suppress(OSError, Timeout):
            if time.time() - left.stat().st_mtime > NEW_SECONDS:
                with FileLock(left, timeout=0):
                    shutil.rmtree(left.parent, ignore_errors=True)
    made = TemporaryDirectory(prefix=FOLDERS, ignore_cleanup_errors=True)
    held = FileLock(Path(made.name) / LOCK)
    held.acquire()
    atexit.register(made.cleanup)
    atexit.register(held.release)  # which goes first
    return made.name


def _compiled(step: Step, inputs: list[Tensor]) -> Step:
    """The step as one graph, compiled for inputs of these shapes."""
    with _compiling, recording(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, at import
        warnings.filterwarnings("ignore", "TensorFloat32 tensor cores")  # the settings say in which precision
        from torch._inductor import compile as compile_graph
        from torch.fx.experimental.proxy_tensor import make_fx

        with _own_folder():
            found: Step = compile_graph(make_fx(step)(*inputs), [*inputs])
    return found
