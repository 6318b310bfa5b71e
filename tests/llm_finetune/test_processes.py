"""Several processes that do one run together: the table of one, resumed after a kill, ended together, said once."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from local_model import save_local_model
from processes import command, diverging_command, failing_command, fine_tuned, together

from gating.cli import main
from gating.results.parquet import read_table
from gating.runs.folder import TABLE

SETTINGS = {
    "study": "finetune",
    "collection": "people",
    "chat": "auto",
    "mixtures": ["memory=0.5 reading=0.5"],
    "facts_per_group": 2,
    "training": {
        "steps": 4,
        "batch_size": 5,
        "learning_rate": 0.01,
        "precision": "float32",
        "evaluate_at": [0, 3],
        "save_every": 2,
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a model without dropout, settings, and the run of one process."""
    place = tmp_path_factory.mktemp("processes")
    save_local_model(place / "gpt2", dropout=0.0)
    (place / "run.yaml").write_text(yaml.safe_dump({**SETTINGS, "model": str(place / "gpt2")}))
    assert main(asked(place, place / "one")) == 0
    return place


def asked(home: Path, out: Path, *flags: str) -> list[str]:
    return ["finetune", "--config", str(home / "run.yaml"), "--out", str(out), "--workers", "1", *flags]


def assert_same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Values within 1e-5, and everything else the same but for the ends of intervals."""
    numbers = ["value", "low", "high", "standard_error"]
    pd.testing.assert_frame_equal(found.drop(columns=numbers), wanted.drop(columns=numbers))
    np.testing.assert_allclose(found["value"], wanted["value"], rtol=0, atol=1e-5, equal_nan=True)
    np.testing.assert_allclose(found["standard_error"], wanted["standard_error"], rtol=0, atol=1e-4, equal_nan=True)


def test_two_processes_of_torchrun_give_the_table_of_one(home, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "gating"]
    done = subprocess.run([*launch, *asked(home, tmp_path / "two")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_same(read_table(tmp_path / "two" / TABLE), read_table(home / "one" / TABLE))
    assert (tmp_path / "two" / "samples.jsonl").read_text() == (home / "one" / "samples.jsonl").read_text()
    assert done.stdout.count("report: ") == done.stdout.count("fine-tuning on") == 1


@pytest.mark.long
@pytest.mark.parametrize("who", [pytest.param(0, marks=pytest.mark.long), 1])
def test_a_run_of_two_whose_process_is_killed_goes_on_with_the_same_result(home, tmp_path, who):
    """The kill comes at the measurement after step 3, and step 2 is saved; two go on from it, or one."""
    codes, said = together(tmp_path, failing_command, asked(home, tmp_path / "two"), who, "killed", 1)
    assert codes == ([9, 1] if who == 0 else [1, 9])
    assert "another process of the run has ended; what is saved stays" in said[1 - who]
    assert not (tmp_path / "two" / TABLE).exists()
    codes, said = together(tmp_path, command, asked(home, tmp_path / "two"), n=2 - who)
    assert set(codes) == {0}
    assert "goes on from step 2" in said[0]
    assert_same(read_table(tmp_path / "two" / TABLE), read_table(home / "one" / TABLE))


@pytest.mark.parametrize("who", [0, 1])
def test_a_process_that_fails_ends_all_with_its_words(home, tmp_path, who):
    start = time.monotonic()
    codes, said = together(tmp_path, failing_command, asked(home, tmp_path / "two"), who, "raises", 0)
    assert time.monotonic() - start < 30
    assert codes == [1, 1]
    words = "the disk of this process is on fire"
    if who == 1:
        assert f"gating: process 1 of 2 has failed: {words}" in said[0]
        assert f"gating: process 1 of 2: {words}" in said[1]
    else:
        assert words not in said[1]


def test_a_loss_that_is_not_finite_in_one_process_stops_both_and_is_said_once(home, tmp_path):
    codes, said = together(tmp_path, diverging_command, asked(home, tmp_path / "two"))
    assert codes == [1, 1]
    assert "the loss is nan at step 1; last saved state" in said[0]
    assert "nan" not in said[1]


def test_what_is_refused_or_asked_for_is_said_once(home, tmp_path):
    for arguments, code, words in (
        (asked(home, tmp_path / "two", "--n_seeds", "0"), 2, "`n_seeds` must be an integer"),
        (asked(home, tmp_path / "two", "--collection", "nowhere"), 2, "`collection` must be one of"),
        (asked(home, tmp_path / "two", "--training.batch_size", "1"), 2, "`training.batch_size` must be at least"),
        (asked(home, tmp_path / "none", "--dry-run"), 0, "`finetune`, 3 parts, 1 worker thread(s) on cpu"),
        (["bounds", "--n_sequences", "[64]"], 2, "`bounds` runs in one process; 2 were started: leave out torchrun"),
        (["finetune", "--help"], 0, "settings"),
    ):
        codes, said = together(tmp_path, command, arguments)
        assert codes[0] == code, said
        assert bool(codes[1]) == bool(code)
        assert words in said[0]
        assert words not in said[1]
    assert not (tmp_path / "none").exists()


def test_the_function_joins_processes_too_and_a_folder_is_refused_in_all(home, tmp_path):
    alone = together(tmp_path, fine_tuned, tmp_path / "one", 0, str(home / "gpt2"), n=1)[1][0]
    codes, said = together(tmp_path, fine_tuned, tmp_path / "two", 0, str(home / "gpt2"))
    assert codes == [0, 0]
    sums = [float(text.split("sum ")[1]) for text in (alone, *said)]
    assert sums[1] == sums[2]
    assert sums[1] == pytest.approx(sums[0], abs=1e-3)
    codes, said = together(tmp_path, fine_tuned, tmp_path / "two", 1, str(home / "gpt2"))
    assert codes == [3, 3]
    assert all("its `seed` is 0, and 1 is asked for" in text for text in said)
