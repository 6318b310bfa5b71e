"""Online gates by name: one meaning a name, and those of installed packages."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest
import torch

from gating.gates import AdaHedgeGate, OnlineGate, Tuning, find_gate, gate_names, registry
from gating.studies.regret.config import GATES, RegretConfig
from gating.studies.regret.study import Regret
from theory.settings import SpecError


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.setattr(registry, "_GATES", dict(registry._GATES))


def declare(module="elsewhere"):
    class Declared(AdaHedgeGate, key="declared"):
        __module__ = module

    return Declared


def test_a_gate_is_found_by_its_name_and_its_subclasses_have_none():
    gate = declare()
    assert find_gate("declared") is gate
    type("Heir", (gate,), {})
    assert find_gate("declared") is gate
    assert {*GATES, "declared"} <= set(gate_names())


def test_a_name_is_of_one_gate_and_a_module_may_be_run_again():
    declare()
    again = declare()
    assert find_gate("declared") is again
    with pytest.raises(ValueError, match=r"^`key` must be of one gate; 'declared' is of .*elsewhere.*otherwise"):
        declare("otherwise")
    assert find_gate("declared") is again


@pytest.mark.parametrize("name", GATES)
def test_every_gate_of_the_study_is_tuned_to_what_is_known(name):
    gate = find_gate(name).tuned((2, 3), Tuning(loss_range=2.0, horizon=5.0, rounds=7))
    assert isinstance(gate, OnlineGate)
    assert gate.shape == (2, 3)
    assert getattr(gate, "loss_range", 2.0) in (2.0, torch.inf)
    horizon = torch.as_tensor(getattr(gate, "horizon", 7))
    assert torch.isin(horizon, torch.tensor([5.0, 7.0])).all()


def test_an_installed_gate_is_imported_when_it_is_asked_for(monkeypatch, tmp_path):
    code = "from gating.gates import AdaHedgeGate\n\n\nclass Installed(AdaHedgeGate, key='installed'):\n    pass\n"
    (tmp_path / "package_with_a_gate.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    there = EntryPoints([EntryPoint("installed", "package_with_a_gate", registry.ENTRY_POINTS)])
    monkeypatch.setattr(registry, "entry_points", lambda group: there)
    config = RegretConfig(gates=("installed", "bayes_mixture", "adahedge"), losses=("linear_loss",))
    assert config.gates_of("linear_loss") == ["installed", "adahedge"]
    assert find_gate("installed").__module__ == "package_with_a_gate"
    inputs = Regret().inputs(config, print)  # a gate that changes is another run
    assert inputs == {"the file of gate `installed`": tmp_path / "package_with_a_gate.py"}


def test_a_name_of_no_gate_is_refused():
    with pytest.raises(ValueError, match=r"^`key` must be one of \['adahedge', .*; got 'hedge'$"):
        find_gate("hedge")
    with pytest.raises(SpecError, match=r"`gates` must be .* or another gate that is declared; got \['hedge'\]"):
        RegretConfig(gates=("hedge",))
