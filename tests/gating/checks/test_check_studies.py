"""Studies with one fault each: the check meant for it sees it, and says what it saw; the project's own have none."""

import re
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_coins import FAULTS, CoinConfig, Sound, toss

from gating import check_study, find_study
from gating.checks import STUDY_CONTRACT, ContractBroken
from gating.runs.catalogue import study_names
from gating.runs.grid import SweepConfig
from gating.runs.sweep import Sweep
from gating.settings.text import as_plain
from tests.golden.settings import CASES, save_model
from tests.llm_finetune.local_model import save_local_model
from theory.settings import build


@pytest.fixture
def numbers(tmp_path):
    file = tmp_path / "numbers.txt"
    file.write_text("1 2\n")
    return str(file)


def test_the_study_without_a_fault_is_sound(numbers):
    check_study(Sound)
    check_study(Sound(), CoinConfig(tosses=7, numbers=numbers))
    assert Path(numbers).read_text() == "1 2\n"


@pytest.mark.parametrize(("study", "check", "seen"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_seen_by_the_check_meant_for_it(study, check, seen, numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ContractBroken) as caught:
        check_study(study, study.config(numbers=numbers))
    sentence = STUDY_CONTRACT.sentences[check]
    assert re.search(f"(?m)^{check}: {re.escape(sentence)} Seen: .*{seen}", str(caught.value)), caught.value


def test_every_check_has_a_fault_that_it_sees():
    assert {check for _, check, _ in FAULTS.values()} == set(STUDY_CONTRACT.sentences)


@pytest.mark.parametrize(("given", "said"), [
    ((CoinConfig,), "`study` must be a Study, or a class of them; got "),
    ((Sound, find_study("bounds").config()), "`config` must be a CoinConfig; got BoundsConfig"),
    ((Sound, {"tosses": 3}), "`config` must be a CoinConfig; got {'tosses': 3}"),
])  # fmt: skip
def test_what_is_no_study_and_no_config_is_refused(given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check_study(*given)


SMALL = {
    "bounds": {"n_sequences": [0, 100], "measures": ["error"]},
    "phases": {"x": {"field": "n_sequences", "low": 10, "high": 1000, "count": 3, "scale": "log"}},
    "kinetics": {"n_sequences": [20]},
    "regret": {"n_rounds": 40, "n_seeds": 2, "n_records": 3, "gates": ["adahedge", "bayes_mixture"]},
}
LONG = ("compare", "crossover", "predict", "strategies")


def small(name):
    study = find_study(name)
    return study, build(study.config, {"study": name, **next(iter(CASES[name].values())), **SMALL.get(name, {})})


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_the_project_s_own_studies_keep_the_contract(name):
    check_study(*small(name))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of libraries that load models
def test_the_study_of_language_models_keeps_it(tmp_path):
    study = find_study("finetune")
    few = {"mixtures": ["memory=0.5 reading=0.5"], "n_seeds": 1}
    given = {"study": "finetune", **next(iter(CASES["finetune"].values())), **few}
    check_study(study, build(study.config, given | {"model": str(save_model(tmp_path / "model"))}))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_the_study_of_any_fine_tune_keeps_it(tmp_path):
    study = find_study("probe")
    for name in ("base", "tuned"):
        save_model(tmp_path / name)
    given = {"base": str(tmp_path / "base"), "tuned": str(tmp_path / "tuned")}
    check_study(study, build(study.config, {**given, "prompts_per_fact": 1, "facts_per_group": 2}))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_the_study_of_demonstrations_keeps_it(tmp_path):
    study = find_study("demonstrations")
    few = {"tasks": ["sentiment"], "shots": [1, 2], "queries": 2, "draws": 2}
    model = save_local_model(tmp_path / "model", n_positions=512)
    check_study(study, build(study.config, {"models": str(model), **few}))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_the_study_of_conflicts_keeps_it(tmp_path):
    study = find_study("conflict")
    save_local_model(tmp_path / "model", n_positions=1024)
    given = {"models": [str(tmp_path / "model")], "items_per_group": 1, "long_sentences": 1, "n_resamples": 20}
    check_study(study, build(study.config, given))


@pytest.mark.parametrize(("share", "kept"), [(1e-5, True), (1e-3, False)])
def test_a_wide_part_may_round_by_the_number_of_workers_and_no_more(share, kept):
    class Rounds(Sound):
        """How fair is a coin?"""

        @staticmethod
        def work(config, seed, place, resources):
            toss(config, seed, place, resources)
            rows = place.table("rows")
            place.save_table("rows", rows.assign(value=rows["value"] * (1 - share * (resources.workers - 1) / 2)))

        def parts(self, config):
            return (replace(part, wide=True) for part in super().parts(config))

    class Narrow(Rounds):
        """How fair is a coin?"""

        def parts(self, config):
            return (replace(part, wide=False) for part in super().parts(config))

    with nullcontext() if kept else pytest.raises(ContractBroken, match="with three workers, `value`"):
        check_study(Rounds)
    with pytest.raises(ContractBroken, match="with three workers, `value`"):
        check_study(Narrow)


def test_a_sweep_keeps_it():
    _, config = small("bounds")
    check_study(Sweep, SweepConfig(of="bounds", base=as_plain(config), over={"distribution.label_noise": [0.0, 0.2]}))


def test_every_study_that_comes_with_the_project_is_checked():
    assert {*SMALL, *LONG, "finetune", "probe", "demonstrations", "conflict", "handover", "images", "sweep"} <= {
        *study_names()
    }
    assert {*CASES} == {*SMALL, *LONG, "finetune"}
