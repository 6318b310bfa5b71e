"""The script that compares a GPU with the CPU: it runs on the CPU alone, and tells a difference."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "gpu.py"


def _run(*arguments):
    told = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, env=told)


@pytest.mark.long
def test_every_path_of_the_cpu_agrees_with_itself():
    done = _run("--device", "cpu", "--quick")
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][2:]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows) > 35
    assert {line[-1] for line in rows} == {"yes |"}
    assert {"compiled", "bfloat16", "high", "medium", "float32", "adapters"} <= {line[1] for line in rows}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which would be measured")
def test_without_a_gpu_it_says_so_in_a_sentence():
    done = _run()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "No GPU that torch can use is here, so nothing was compared.\n"


def test_a_difference_is_told(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import gpu
    from gpu_paths import Check, Made

    a, nan = torch.tensor([1.0, 20.0]), torch.tensor([1.0, torch.nan])
    assert gpu.difference([a + 0.2], [a]) == pytest.approx(0.01, rel=1e-4)
    assert gpu.difference([nan], [nan]) == 0.0
    infinite = torch.tensor([float("inf"), 1.0])
    assert gpu.difference([infinite], [infinite]) == 0.0
    assert gpu.difference([infinite], [-infinite]) == gpu.difference([infinite * 0], [infinite]) == float("inf")
    assert gpu.difference([a], [nan]) == gpu.difference([a.long() + 1], [a.long()]) == float("inf")
    assert gpu.difference([a], [a.double()]) == gpu.difference([a[:1]], [a]) == float("inf")

    def made(value):
        return lambda device: Made([torch.tensor([value])], lambda: None)

    def broken(device):
        raise RuntimeError("no kernel")

    assert gpu.row(Check("p", "", 0.1, made(1.05), made(1.0)), "cpu", 1)[1]
    assert not gpu.row(Check("p", "", 0.1, made(1.2), made(1.0)), "cpu", 1)[1]
    line, good = gpu.row(Check("p", "", 0.1, broken, made(1.0)), "cpu", 1)
    assert "RuntimeError: no kernel" in line
    assert not good
