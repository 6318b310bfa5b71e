"""Runs laid over theory: what is measured is drawn with its interval, beside the theory of the setting."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from gating.explore.laid import laid_over, nearest, read_run, read_runs, texts_of_run
from gating.explore.setting import Setting, read_setting
from gating.results.table import make_table
from gating.runs.errors import FolderError
from tests.golden.settings import CASES, run
from theory.distribution import ClassMixture

pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries that load models


@pytest.fixture(scope="module")
def folder(small_runs):
    return lambda study: str(run(study, next(iter(CASES[study])), small_runs))


def points(figure):
    decoded = {name: [held["of"][at] for at in held["at"]] if isinstance(held, dict) else held
               for name, held in figure["points"].items()}  # fmt: skip
    return pd.DataFrame(decoded)


def test_errors_and_gates_have_the_values_of_the_runs_and_theory_those_of_the_setting(folder):
    paths = (folder("compare"), folder("finetune"))
    small = read_run(paths[0])
    setting = read_setting({**texts_of_run(small), "measure": "error"})
    assert setting.distribution == small.distribution
    found = json.loads(laid_over(paths, setting))
    errors, gates, steps = (points(figure) for figure in found["figures"])
    rows = small.rows[(small.rows["system"] == "transformer") & (small.rows["measure"] == "error")]
    last = rows[(rows["step"] == rows["step"].max()) & rows["context"].isin(["relevant", "irrelevant"])]
    drawn = errors[(errors["k"] == "Transformer") & (errors["s"] == errors["s"].max())]
    wanted = last[last["group"].isin(["high", "low"])]
    kept = wanted[
        [(d, c) != ("oobd", "irrelevant") for d, c in zip(wanted["distribution"], wanted["context"], strict=True)]
    ]
    for shown, column in (("y", "value"), ("l", "low"), ("h", "high")):
        held = drawn[shown].dropna().to_numpy(float)
        assert all(abs(held - value).min() < 1e-5 for value in kept[column])
    assert any(name.startswith("Theory, copying (exact)") for name in errors["k"])
    assert "Transformer" in set(gates["k"])
    named = set(steps["k"])
    assert {"Language model, memory=1", "Transformer, N = 16", "Transformer, N = 64"} <= named
    assert found["said"][0].endswith("those of this setting.")
    moved = json.loads(laid_over(paths, Setting(distribution=ClassMixture(label_noise=0.2))))
    assert "label_noise is 0.1 there, 0.2 here" in moved["said"][0]
    theory = [points(each["figures"][0]) for each in (found, moved)]
    exact = [tuple(each.loc[each["k"].str.startswith("Theory, label counts (exact)"), "y"]) for each in theory]
    assert exact[0] != exact[1]
    measured = [tuple(each.loc[each["k"] == "Transformer", "y"]) for each in theory]
    assert measured[0] == measured[1]


def test_of_several_data_those_nearest_to_the_setting_are_shown(folder):
    crossover = read_run(folder("crossover"))
    values = sorted(crossover.rows["p_high"].dropna().unique())
    assert len(values) > 2
    for value in values:
        near = nearest(crossover.rows, Setting(distribution=ClassMixture(p_high=value + 0.001)))
        assert set(near["p_high"].dropna()) == {value}
    assert json.loads(laid_over((folder("crossover"),), Setting()))["figures"]


def test_gradient_flow_and_unlike_systems_of_two_runs_are_told_apart(folder):
    found = json.loads(laid_over((folder("compare"), folder("crossover"), folder("kinetics")), Setting()))
    names = {name for figure in found["figures"] for name in points(figure)["k"]}
    assert any(name.endswith("(compare 0)") and name.startswith("Transformer") for name in names)
    assert any(name.endswith("(crossover 0)") for name in names)
    assert any(name.startswith("Kinetics (gradient flow), N = ") for name in names)


def test_runs_of_one_name_are_told_apart_and_one_that_is_given_twice_is_one(folder, tmp_path):
    name = Path(folder("kinetics")).name
    paths = [str(shutil.copytree(folder("kinetics"), tmp_path / place / name)) for place in ("old", "new")]
    assert [run.name for run in read_runs([*paths, f"{paths[0]}/../{name}"])] == [f"old/{name}", f"new/{name}"]
    found = json.loads(laid_over(tuple(paths), Setting()))
    names = {each for figure in found["figures"] for each in points(figure)["k"]}
    assert len(names) > 1
    assert all((f"(old/{name})" in each) != (f"(new/{name})" in each) for each in names)


def test_a_folder_without_gates_and_errors_is_refused(folder, tmp_path):
    with pytest.raises(FolderError, match="must be the folder of a run"):
        read_run(str(tmp_path))
    make_table([{"measure": "phase", "value": 1.0}]).to_parquet(tmp_path / "results.parquet")
    with pytest.raises((FolderError, ValueError)):
        read_run(str(tmp_path))
