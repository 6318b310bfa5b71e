"""What tests of several studies share."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest


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
