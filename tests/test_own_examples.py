"""Examples of a gate, a task and a model of one's own do what they are there to show."""

import contextlib
import io
import runpy
from pathlib import Path

import pytest
import torch

from gating.gates import find_gate
from gating.runs.engine import run
from gating.studies.regret.config import RegretConfig
from gating.studies.regret.study import Regret

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def new_gate():
    """The class of the example, and what it says as a program."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        held = runpy.run_path(str(EXAMPLES / "new_gate.py"), run_name="__main__")
    return held["FixedShareGate"], told.getvalue()


def said(name, capsys):
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_a_new_gate_is_played_by_name(new_gate, tmp_path):
    """Its one file is all that knows it: settings, table, page and text of the study take it like the others."""
    assert find_gate("fixed_share") is new_gate[0]
    assert "\nFixed share " in new_gate[1]
    config = RegretConfig(n_rounds=200, n_seeds=2, n_records=4, gates=("adahedge", "fixed_share"))
    assert config.gates_of("linear_loss") == ["adahedge"]
    table = run(Regret(), config, tmp_path / "run")
    regret = table[(table["measure"] == "regret_log_loss") & (table["system"] == "fixed_share") & ~table["answer"]]
    wide = regret.pivot_table(index=["step", "seed", "group"], columns="kind", values="value")
    assert (wide["measured"] <= wide["upper"]).all()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert page.count("Fixed share") > 4


def test_the_new_gate_follows_a_change_that_no_posterior_does(new_gate):
    wrong, right = torch.tensor(0.1).log().neg(), torch.tensor(0.9).log().neg()
    shared, bayes = new_gate[0]((1,), share=0.05), find_gate("bayes_mixture")((1,))
    for gate in (shared, bayes):
        for t in range(80):
            gate.update(*((right, wrong) if t < 40 else (wrong, right)))
    assert shared.alpha().item() < 0.1
    assert bayes.alpha().item() == pytest.approx(0.5)
    assert shared.loss.item() < bayes.loss.item() / 2


def test_the_example_of_a_task_trains_on_it(capsys):
    lines = said("new_task.py", capsys).splitlines()
    assert lines[0].split() == ["step", "replica", "train_loss"]
    first, last = (float(lines[place].split()[2]) for place in (1, -1))
    assert last < first - 0.3


def test_the_example_of_a_model_measures_it_and_gives_the_same_numbers_again(capsys):
    first = said("measure_own_model.py", capsys)
    assert first == said("measure_own_model.py", capsys)
    rows = [line.split() for line in first.splitlines()[1:]]
    assert {tuple(row[:4]) for row in rows} == {
        (base, context, group, measure)
        for base in ("ibd", "oobd")
        for context in ("relevant", "irrelevant", "as_trained")
        for group in ("high", "low")
        for measure in ("error", "effective_gate")
    }
    error = {tuple(row[:3]): [float(number) for number in row[4:]] for row in rows if row[3] == "error"}
    assert all(low <= value <= high for value, low, high in error.values())
    assert error["ibd", "as_trained", "high"][0] < 0.5 < error["oobd", "irrelevant", "high"][0]
