"""Settings of the whole suite."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy and scipy are imported, also by child processes

import signal
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="how often the test of resuming kills its run")
