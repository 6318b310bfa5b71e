"""Settings of the whole suite."""

import pytest
import torch

torch.set_num_threads(1)  # the arithmetic of every test is that of one core, however many the machine has


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="how often the test of resuming kills its run")
