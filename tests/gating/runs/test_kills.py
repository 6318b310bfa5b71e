"""Runs that are killed before their table is written, and the same command again: bit for bit.

``pytest tests/gating/runs/test_kills.py -m kill --kills 15`` kills each of the studies fifteen times.
"""

import contextlib
import random
import shutil
import time

import pytest
import yaml
from commands import ended, started
from stops import contents

from gating.runs.folder import TABLE, RunFolder
from tests.golden.settings import COMPARE, CROSSOVER, REGRET, STRATEGIES, TRAINING

SEED = 0
LONG = {**TRAINING, "steps": 400, "checkpoints": 8, "save_every": 40}
VISITOR = ["visitor", "numbers.txt", "--workers", "2"]
STUDIES = {
    "compare": {**COMPARE, "transformer_training": LONG, "stylized_training": LONG},
    "crossover": {**CROSSOVER, "transformer_training": LONG},
    "regret": {**REGRET, "n_seeds": 10},
    "strategies": {**STRATEGIES, "task": "urns", "training": {**LONG, "max_grad_norm": 1.0}},
}


class Watched:
    """A process of a command; how often its manifest or the journal of it was written."""

    def __init__(self, command, out):
        self.process, self.out, self.writes, self._last = started([*command, "--out", str(out)]), out, 0, None

    def look(self):
        """Whether it goes on."""
        now = []
        for name in ("manifest.json", ".gating/journal"):
            with contextlib.suppress(FileNotFoundError):
                now.append((self.out / name).stat().st_mtime_ns)
        if now and max(now) != self._last:
            self._last, self.writes = max(now), self.writes + 1
        time.sleep(0.001)
        return self.process.poll() is None and not (self.out / TABLE).exists()


def _killed(command, out, kills, writes, rng):
    """Kills the command, again and again, after a few of its writes, between two of them or within one."""
    done = 0
    while done < kills:
        watched, wanted = Watched(command, out), rng.randint(1, max(1, writes // kills))
        while watched.look() and watched.writes <= wanted:
            pass
        time.sleep(rng.choice([0.0, rng.uniform(0, 0.05)]))
        watched.process.kill()
        _, _, err = ended(watched.process)
        assert "Traceback" not in err
        if (out / TABLE).exists():  # too late: the table is there
            shutil.rmtree(out)
            continue
        done += 1
        if (out / "manifest.json").exists():
            folder = RunFolder(out)
            assert {*folder.damaged()} <= {*[*folder.manifest["files"]][-1:]}


def _require_the_same_bits_after_kills(command, tmp_path, kills):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    watched = Watched(command, whole)
    while watched.look():
        pass
    assert ended(watched.process)[0] == 0
    _killed(command, killed, kills, watched.writes, random.Random(SEED))
    status, out, err = ended(started([*command, "--out", str(killed)]))
    assert (status, "is made again" in out, "Traceback" in err) == (0, False, False)
    found, wanted = contents(killed), contents(whole)
    del found["manifest.json"], wanted["manifest.json"]  # which lists in the order of writing
    assert found.keys() == wanted.keys()
    for name, content in wanted.items():
        assert found[name] == content, name


@pytest.mark.long
def test_a_study_that_is_killed_goes_on_to_the_same_bits(site, numbers, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISITOR_PAUSE", "0.01")
    _require_the_same_bits_after_kills(VISITOR, tmp_path, request.config.getoption("--kills"))


@pytest.mark.kill
@pytest.mark.long
@pytest.mark.parametrize("study", STUDIES)
def test_studies_that_are_killed_go_on_to_the_same_bits(tmp_path, study, request):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"study": study, **STUDIES[study]}))
    command = [study, "--config", str(tmp_path / "config.yaml"), "--workers", "2"]
    _require_the_same_bits_after_kills(command, tmp_path, request.config.getoption("--kills"))
