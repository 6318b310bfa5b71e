"""What the explorer shows: figures are of the numbers, and what is exported gives the same ones to the last digit."""

import csv
import io
import json
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from gating.cli import main
from gating.explore.parts import exported, shown
from gating.explore.setting import Setting, map_of
from gating.page.cells import map_axis, map_cells
from gating.studies.phases.config import Axis
from gating.studies.phases.study import diagrams_of
from theory.crossovers import crossover
from theory.distribution import ClassMixture

SMALL = Setting(
    distribution=ClassMixture(n_high=2, n_low=3, label_noise=0.07, dim=8),
    x=Axis("n_sequences", 10, 10_000, 13), y=Axis("p_high", 0.5, 0.99, 13, "linear"),
)  # fmt: skip
CLEAN = Setting(distribution=ClassMixture(n_high=2, n_low=2, dim=8), n_sequences=300, steps=10_000, level=0.4)


def columns(figure):
    decoded = {name: [held["of"][at] for at in held["at"]] if isinstance(held, dict) else held
               for name, held in figure["points"].items()}  # fmt: skip
    return pd.DataFrame(decoded)


@pytest.mark.parametrize("coarse", [False, True])
def test_a_map_has_the_phases_of_theory(coarse):
    found = json.loads(shown("map", SMALL, coarse=coarse))
    config = map_of(SMALL)
    assert len(found["x"]) == (3 if coarse else len(config.x.points))
    assert set(found["x"]) <= set(config.x.points)
    assert set(found["y"]) <= set(config.y.points)
    diagrams = diagrams_of(config, tuple(found["x"]), tuple(found["y"]))
    points = columns(found["figure"])
    for panel, group in enumerate(("high", "low")):
        grid = pd.DataFrame(diagrams[group].phases, found["y"], found["x"])
        wanted = map_cells(grid, map_axis("x", found["x"]), map_axis("y", found["y"]))
        drawn = points[(points["p"] == panel) & (points["m"] == "cells")]
        cells = wanted.sort_values(["value", "low", "x"], kind="stable")
        mine = drawn.sort_values(["y", "l", "x"], kind="stable")
        for name, column in (("y", "value"), ("x", "x"), ("x2", "x2"), ("l", "low"), ("h", "high")):
            np.testing.assert_allclose(mine[name].astype(float), cells[column].astype(float), rtol=1e-4)
    assert found["coarse"] is coarse
    assert len(found["said"]) == 3


def test_curves_say_the_crossover_of_theory():
    found = json.loads(shown("curves", CLEAN))
    n = crossover(CLEAN.distribution, "low", map_of(CLEAN).compare).exact
    assert (
        f"Rare classes: answers from weights are at least as good as copying from the context from N = {n:.0f} on"
        in (" ".join(found["said"]))
    )
    marks = columns(found["figure"])
    assert n in marks.loc[marks["m"] == "upright", "x"].tolist()


def test_what_theory_refuses_is_a_sentence():
    found = json.loads(shown("kinetics", SMALL))
    assert found["refused"] == ["`distribution.label_noise` must be 0; got 0.07: the flow is that of clean labels"]


CASES = [("map", SMALL), ("curves", SMALL), ("kinetics", CLEAN)]


def rows_of(text):
    """Rows of a CSV as `--json` has them; Python reads the digits of a float as they are."""
    return [{name: value_of(held) for name, held in row.items() if held} for row in csv.DictReader(io.StringIO(text))]


def value_of(text):
    try:
        return float(text)
    except ValueError:
        return {"True": 1.0, "False": 0.0}.get(text, text)


@pytest.mark.parametrize(("part", "setting"), CASES, ids=[part for part, _ in CASES])
def test_command_yaml_and_python_give_the_numbers_of_the_csv_to_the_last_digit(part, setting, tmp_path, capsys):
    wanted = rows_of(exported(part, "csv", setting))
    assert len(wanted) > 20
    config = tmp_path / "settings.yaml"
    config.write_text(exported(part, "yaml", setting), encoding="utf-8")
    command = shlex.split(exported(part, "command", setting))
    assert command[0] == "gating"
    for arguments in (command[1:], [command[1], "--config", str(config)]):
        assert main([*arguments, "--json", "--out", "none"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert same(found["rows"], wanted)
        assert same(found["answers"] * 3, wanted)
    space: dict = {}
    exec(exported(part, "python", setting), space)
    again = space["table"].dropna(axis=1, how="all").to_csv(index=False, lineterminator="\r\n")
    assert again == exported(part, "csv", setting)


def test_a_table_is_made_without_what_would_not_fit_into_the_memory_of_a_process():
    code = "import sys; from gating.explore.session import export; from gating.explore.setting import Setting\n"
    code += "assert export('curves', 'csv', Setting()); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def same(rows, wanted):
    """Whether rows of `--json` are among those of the CSV, which has every step, and writes infinity out."""
    of = set(map(key, wanted))
    return len(rows) > 5 and all(key(row) in of for row in rows)


def key(row):
    numbers = {name: float(held) if isinstance(held, (int, float)) else held for name, held in row.items()}
    return json.dumps(
        {name: held for name, held in numbers.items() if held is not None and held != np.inf}, sort_keys=True
    )
