"""What tests on a cluster of Ray have in common; `cluster` in conftest.py starts it.

It runs on this machine: its head has no core, and a raylet of its own stands for each machine.
"""

import pytest

MARKS = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # sockets and logs of Ray's processes
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
PAUSE = 0.05
