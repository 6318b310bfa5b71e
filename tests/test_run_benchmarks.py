"""The scripts that read finished runs: two modes of training beside each other, and other cells of a fit."""

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gating.runs import engine
from gating.studies.strategies.config import DecoderShape, HeldOut, StrategiesConfig
from gating.studies.strategies.study import Strategies
from gating.training.schedule import TrainSettings

SIZES, SEEDS = (64, 128), (0, 1, 2)


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))


def _table(study, values, **others):
    """Errors of four sizes and seeds at the last step; the step before is to be left out."""
    rows = [
        {"study": study, "system": "transformer", "measure": "error", "kind": "measured", "distribution": "ibd",
         "context": "relevant", "group": "low", "n": n, "n_tasks": 4, "seed": seed, "step": step, "value": value}
        | others
        for (n, seed), last in values.items() for step, value in ((10, last), (5, 0.9))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_two_modes_are_compared_by_the_last_step_of_each_pair():
    from modes import differences, summaries

    before = _table("compare", {(n, seed): 0.5 for n in SIZES for seed in SEEDS})
    shifts = {(64, 0): 0.1, (64, 1): 0.2, (64, 2): 0.3, (128, 0): -0.1, (128, 1): -0.2, (128, 2): -0.3}
    after = _table("compare", {place: 0.5 + shift for place, shift in shifts.items()})
    bounds = _table("compare", {(64, 0): 0.7}, kind="bound")
    apart = differences(before, pd.concat([after, bounds]))
    assert apart.index.get_level_values("n").tolist() == [64, 128]
    assert apart.columns.tolist() == [0, 1, 2]
    assert np.allclose(apart, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    ((name, mean, covered, largest),) = summaries(apart)
    assert name == "error, transformer, in base"
    assert mean.startswith("+0.0000 [-0.0000, +0.0000]")
    assert (covered, largest) == ("2 of 2", "0.200")
    alone = next(iter(summaries(apart + 0.3)))
    assert alone[1].startswith("+0.3000")
    assert alone[2:] == ("1 of 2", "0.500")


def test_every_task_diversity_is_a_pair_of_its_own_in_strategies():
    from modes import differences

    before = _table("strategies", {(None, 0): 0.5}, measure="relative_distance", context=None)
    other = before.assign(n_tasks=8, value=0.25)
    both = pd.concat([before, other])
    assert differences(both, both.assign(value=both["value"] + 0.1)).columns.tolist() == [(4, 0), (8, 0)]


def test_runs_that_have_nothing_in_common_are_refused():
    from modes import differences

    before = _table("compare", {(64, 0): 0.5})
    with pytest.raises(SystemExit, match=r"^the two runs must have the same systems, sizes, steps and seeds$"):
        differences(before, before.assign(step=before["step"] * 2))


def test_the_published_checkpoints_begin_where_the_last_model_is_near_to_a_mixture():
    """From the step on at which the second model comes within a share of its range, 1 to 5 nats, of its least."""
    from cells_of_fit import published

    left, steps = [1.0, 0.1, 0.1, 0.0, 5.0, 1.9, 1.7, 1.0], np.tile([1, 2, 3, 4], 2)
    cells = SimpleNamespace(residual={"ibd": np.array(left)}, run=np.repeat([0, 1], 4), distance="kl")
    cells.trained = SimpleNamespace(steps=steps)
    assert published(cells).tolist() == [False, False, True, True] * 2
    cells.distance = "squared"
    assert published(cells).tolist() == [False, False, False, True] * 2


@pytest.mark.long
def test_a_fit_is_judged_on_other_cells_without_a_model_and_with_longer_descriptions(tmp_path, monkeypatch, capsys):
    import cells_of_fit

    training = TrainSettings(steps=60, batch_size=16, learning_rate=0.01, checkpoints=8)
    config = StrategiesConfig(
        task="urns", dim=4, length=8, n_tasks=(2, 4, 8), mlp_factors=(1.0,), n_seeds=1, evaluation_sequences=16,
        evaluation_rows=32, loss_sequences=32, loss_groups=4, described_within=1.0, n_resamples=2,
        held_out=HeldOut(n_tasks=(4,), steps_after=0.7), transformer=DecoderShape(width=8), training=training,
    )  # fmt: skip
    engine.run(Strategies(), config, tmp_path / "run")
    capsys.readouterr()
    monkeypatch.setattr(cells_of_fit, "DRAWS", 2)
    monkeypatch.setattr(sys, "argv", ["cells_of_fit", str(tmp_path / "run")])
    cells_of_fit.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    gaps, fits = rows[2:5], rows[7:]
    assert [int(row[0]) for row in gaps] == [2, 4, 8]
    assert all(float(row[2]) <= float(row[3]) <= float(row[4]) for row in gaps)
    changes = ["", *(f"without D = {n}" for n in (2, 4, 8)), *(f"{bits:,} bits more" for bits in cells_of_fit.BITS)]
    rules = ("of this project", "published")
    assert [row[:2] for row in fits] == [[rule, change] for rule in rules for change in changes]
    assert all(0 <= float(row[4]) <= 1 and 0 <= float(row[5]) <= 1 for row in fits)
    engine.run(Strategies(), dataclasses.replace(config, n_seeds=2), tmp_path / "two")
    with pytest.raises(SystemExit, match=r"^`run` must be of one seed and one MLP factor; got"):
        cells_of_fit.measured(tmp_path / "two")
