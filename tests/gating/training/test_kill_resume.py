"""A run that is killed and started again ends with the bits of a run that was not.

Three kills at random moments; ``pytest tests/gating/training/test_kill_resume.py --kills 10`` does ten.
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open
from small_run import long_run

SEED = 1


def _saved_step(path: Path) -> int:
    try:
        with safe_open(path / "parts" / "training" / "state.safetensors", "pt") as file:
            return json.loads(file.metadata()["numbers"])["step"]
    except FileNotFoundError:
        return 0


def _kill_once(path: Path, target: int, delay: float) -> int:
    """Starts the run, kills it `delay` seconds after its saved step reaches `target`; returns the saved step."""
    script = Path(__file__).with_name("small_run.py")
    process = subprocess.Popen([sys.executable, str(script), str(path)], stderr=subprocess.PIPE, start_new_session=True)
    while _saved_step(path) < target and process.poll() is None:
        time.sleep(0.002)
    time.sleep(delay)
    alive = process.poll() is None
    process.kill()
    _, errors = process.communicate(timeout=60)
    assert alive, f"the run ended before it was killed: {errors.decode()}"
    assert process.returncode == -signal.SIGKILL
    return _saved_step(path)


@pytest.mark.long
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, request):
    whole = long_run(tmp_path / "whole")
    whole.run()
    rng, path = random.Random(SEED), tmp_path / "killed"
    targets = sorted(rng.randrange(whole.settings.steps - 20) for _ in range(request.config.getoption("--kills")))
    for target in targets:
        step = _kill_once(path, target, rng.uniform(0, 0.04))
        assert target <= step < whole.settings.steps
    long_run(path).run()
    kept, wanted = path / "parts" / "training", tmp_path / "whole" / "parts" / "training"
    names = {file.name for file in wanted.iterdir()}
    assert {*(f"step-{s:08d}.safetensors" for s in whole.settings.checkpoint_steps)} < names
    assert {"state.safetensors", "metrics.parquet"} < names
    for name in names:
        assert (kept / name).read_bytes() == (wanted / name).read_bytes(), name
