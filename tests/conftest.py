"""Settings of the whole suite."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy and scipy are imported, also by child processes

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("shared cores", deadline=None)  # a machine that does other work may halt in any example
settings.load_profile("shared cores")
torch.set_num_threads(1)  # the arithmetic of every test is that of one core, however many the machine has

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts its background jobs so; some tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def small_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the runs of `tests.golden.settings`: the first test that needs one, on any worker, runs it."""
    if "SMALL" in os.environ:
        return Path(os.environ["SMALL"])
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "small_runs"


@pytest.fixture
def killed_at_random(request: pytest.FixtureRequest) -> Callable[[str, Path, int], None]:
    """Starts a program that runs into a folder again and again, and kills it some time after its files have changed."""

    def killed(code: str, out: Path, seed: int) -> None:
        rng, alive, start = random.Random(seed), 0, [sys.executable, "-c", code, str(out)]
        for _ in range(request.config.getoption("--kills")):
            process = subprocess.Popen(start, cwd=request.path.parent)
            before = _progress(out)
            while _progress(out) == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
            alive += process.poll() is None
            process.kill()
            process.wait(timeout=60)
        assert alive, "no run was killed before it ended"

    return killed


def _progress(out: Path) -> list[tuple[str, int]]:
    found = []
    for path in sorted(out.rglob("*.*")):
        with suppress(FileNotFoundError):  # a draft that has moved into its place
            found.append((str(path), path.stat().st_mtime_ns))
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="how often the test of resuming kills its run")
