"""Gates of a `gating compare` run and of a language model on one axis: how often training asked."""

import pytest

from gating.evaluation.table import make_table, setting_text, summarise
from gating.report.finetune_drawings import draw_gates, gates_by_exposure
from gating.studies.compare.config import CompareConfig
from gating.studies.crossover.config import CrossoverConfig
from gating.studies.folder import FolderError, StudyFolder
from llm_finetune.collection import load_collection
from llm_finetune.matched import exposure_rows, gates_beside
from llm_finetune.mixtures import Mixture

SETTING = setting_text({"mixture": "memory=0.5 reading=0.5", "exposure": "given"})


def compare_run(folder, config):
    """A finished run whose gates are 0.9 for frequent and 0.2 for rare classes, in two seeds and at two steps."""
    rows = [
        {"study": "compare", "system": system, "n": 1000, "step": step, "seed": seed, "distribution": "oobd",
         "context": "relevant", "group": group, "measure": "effective_gate", "kind": "measured",
         "value": value if step == 20 else 0.5}
        for system in ("transformer", "stylized", "transformer_ic")
        for step in (10, 20) for seed in (0, 1) for group, value in (("high", 0.9), ("low", 0.2))
    ]  # fmt: skip
    held = StudyFolder(folder)
    held.prepare(config)
    held.write_table(make_table(rows))
    return folder


def test_a_class_is_asked_for_n_times_its_frequency(tmp_path):
    table = gates_beside(compare_run(tmp_path / "run", CompareConfig()))
    found = gates_by_exposure(summarise(table))
    assert set(found["system"]) == {"transformer", "stylized"}
    by_group = {row.group: (row.exposures, row.value) for row in found.itertuples()}
    assert by_group["high"] == pytest.approx((1000 * 0.9 / 5, 0.9))
    assert by_group["low"] == pytest.approx((1000 * 0.1 / 5, 0.2))


def test_a_fact_is_asked_for_by_every_prompt_with_its_own_answer(tmp_path):
    facts, mixture = load_collection("frequency"), Mixture.parse("memory=0.5 reading=0.5")
    rows = list(exposure_rows(facts, mixture, SETTING, [0, 120], 8))
    found = {(row["step"], row["group"]): row["value"] for row in rows}
    assert found[120, "high"] == pytest.approx(480 * 0.9 / 16)
    assert found[120, "low"] == pytest.approx(480 * 0.1 / 48)
    assert found[120, "all"] == pytest.approx(480 / 64)
    assert {value for (step, _), value in found.items() if step == 0} == {0.0}
    place = {"study": "finetune", "system": "llm", "step": 120, "seed": 0, "setting": SETTING, "group": "high"}
    gate = {**place, "context": "contradicting", "measure": "effective_gate", "kind": "measured", "value": 0.7}
    (joined,) = gates_by_exposure(summarise(make_table([gate, *rows]))).itertuples()
    assert (joined.exposures, joined.value) == pytest.approx((27.0, 0.7))


def test_both_are_drawn_together(tmp_path):
    table = gates_beside(compare_run(tmp_path / "run", CompareConfig()))
    svg = draw_gates(gates_by_exposure(summarise(table)))
    assert "Transformer: rare classes" in svg
    assert "Stylized model, end to end: frequent classes" in svg


def test_a_run_of_another_study_is_refused(tmp_path):
    folder = compare_run(tmp_path / "run", CrossoverConfig())
    with pytest.raises(FolderError, match="`gates` must be the folder of a `gating compare` run"):
        gates_beside(folder)
