"""Gates of a `gating compare` run and of a language model on one axis: how often training asked."""

import pandas as pd
import pytest

from gating.results.parquet import write_table
from gating.results.table import make_table, summarise
from gating.runs.errors import Damaged, FolderError
from gating.runs.folder import TABLE, RunFolder
from gating.settings.text import as_plain
from llm_finetune.config import FinetuneConfig
from llm_finetune.figures import gate_figure, gates_by_exposure
from llm_finetune.matched import exposure_rows, gates_beside
from llm_finetune.page import WORDS, labels_of
from theory.distribution import ClassMixture
from theory.settings import SpecError


def finished_run(folder, measure="effective_gate", **settings):
    """A finished run whose gates are 0.9 for frequent and 0.2 for rare classes, in two seeds and at two steps."""
    rows = [
        {"study": "compare", "system": system, "n": 1000, "step": step, "seed": seed, "distribution": "oobd",
         "context": "relevant", "group": group, "measure": measure, "kind": "measured",
         "value": value if step == 20 else 0.5}
        for system in ("transformer", "stylized", "transformer_ic")
        for step in (10, 20) for seed in (0, 1) for group, value in (("high", 0.9), ("low", 0.2))
    ]  # fmt: skip
    found = {**rows[-1], "answer": True, "seed": None, "system": "transformer", "value": 1.0}
    run = RunFolder(folder)
    with run.locked():
        run.begin("compare", {"config": {"study": "compare", **settings}})
        run.write(TABLE, lambda draft: write_table(make_table([*rows, found]), draft))
    return folder


@pytest.fixture
def compared(tmp_path):
    return finished_run(tmp_path / "run", distribution=as_plain(ClassMixture()))


def beside_a_model(compared):
    """Rows of a language model that was asked for every fact equally often, and those of a run beside."""
    config = FinetuneConfig(mixtures=["memory=1"])
    gate = {"study": "finetune", "system": "llm", "seed": 0, "step": 40, "group": "all", "context": "contradicting",
            "measure": "effective_gate", "kind": "measured", "value": 0.7, **config.runs[0].columns}  # fmt: skip
    return pd.concat([make_table([gate, *exposure_rows(config)]), gates_beside(compared)], ignore_index=True)


def test_a_class_is_asked_for_n_times_its_frequency(compared):
    found = gates_by_exposure(summarise(beside_a_model(compared)))
    found = found[found["system"] != "llm"]
    assert set(found["system"]) == {"transformer", "stylized"}
    assert set(found["step"]) == {20}
    by_group = {row.group: (row.exposures, row.value) for row in found.itertuples()}
    assert by_group["high"] == pytest.approx((1000 * 0.9 / 5, 0.9))
    assert by_group["low"] == pytest.approx((1000 * 0.1 / 5, 0.2))


def test_a_fact_is_asked_for_by_every_prompt_with_its_own_answer():
    config = FinetuneConfig(
        collection="frequency",
        mixtures=["memory=0.5 reading=0.5", "memory=1"],
        exposures=["given", "equal"],
        training={"steps": 120, "batch_size": 8},
    )
    rows = list(exposure_rows(config))
    found = {(row["mixture"], row["exposure"], row["step"], row["group"]): row["value"] for row in rows}
    assert len(found) == len(rows) == 2 * 2 * 2 * 3
    mixed = ("memory=0.5 reading=0.5", "given", 120)
    assert found[*mixed, "high"] == pytest.approx(480 * 0.9 / 16)
    assert found[*mixed, "low"] == pytest.approx(480 * 0.1 / 48)
    assert found[*mixed, "all"] == pytest.approx(480 / 64)
    assert found["memory=1", "equal", 120, "high"] == pytest.approx(960 / 64)
    assert {value for (_, _, step, _), value in found.items() if step == 0} == {0.0}
    run = config.runs[0]
    place = {"study": "finetune", "system": "llm", "step": 120, "seed": 0, "group": "high", **run.columns}
    gate = {**place, "context": "contradicting", "measure": "effective_gate", "kind": "measured", "value": 0.7}
    (joined,) = gates_by_exposure(summarise(make_table([gate, *rows]))).itertuples()
    assert (joined.exposures, joined.value) == pytest.approx((27.0, 0.7))


def test_gates_of_a_model_are_those_of_contradicting_contexts_after_the_first_step():
    config = FinetuneConfig(mixtures=["memory=1"])
    place = {"study": "finetune", "system": "llm", "seed": 0, "step": 40, "group": "all", "context": "contradicting",
             "measure": "effective_gate", "kind": "measured", "value": 0.7, **config.runs[0].columns}  # fmt: skip
    others = [{**place, "step": 0, "value": 0.1}, {**place, "context": "unseen", "value": 0.2}]
    found = gates_by_exposure(summarise(make_table([place, *others, *exposure_rows(config)])))
    assert found["value"].tolist() == [0.7]


def test_both_are_drawn_together(compared):
    labels, words = labels_of(FinetuneConfig(mixtures=["memory=1"])), WORDS.figures["gate-by-exposure"]
    figure = gate_figure(words, gates_by_exposure(summarise(beside_a_model(compared))), labels, "Alone.")
    layers = {layer.look.name: layer for layer in figure.panels[0].layers}
    assert sorted(layers) == [
        "Language model, memory only", "Stylized model, end to end: frequent classes",
        "Stylized model, end to end: rare classes", "Transformer: frequent classes", "Transformer: rare classes",
    ]  # fmt: skip
    assert layers["Transformer: frequent classes"].rows[["x", "value"]].values.tolist() == [[180.0, 0.9]]
    rare, frequent = layers["Transformer: rare classes"].look, layers["Transformer: frequent classes"].look
    assert (rare.colour, rare.shape) == (frequent.colour, frequent.shape)
    assert (rare.filled, bool(rare.dash)) == (False, True) != (frequent.filled, bool(frequent.dash))
    assert "Alone." not in figure.sentences


def test_models_of_several_mixtures_differ_by_shape_and_an_only_one_says_so():
    config = FinetuneConfig(mixtures=["memory=1", "memory=0.5 reading=0.5"])
    gates = [{"study": "finetune", "system": "llm", "seed": 0, "step": 40, "group": "all", "context": "contradicting",
              "measure": "effective_gate", "kind": "measured", "value": 0.7, **run.columns}
             for run in config.runs]  # fmt: skip
    found = gates_by_exposure(summarise(make_table([*gates, *exposure_rows(config)])))
    figure = gate_figure(WORDS.figures["gate-by-exposure"], found, labels_of(config), "Alone.")
    looks = [layer.look for layer in figure.panels[0].layers]
    assert len({look.shape for look in looks}) == len(looks) == 2
    assert len({look.colour for look in looks}) == 1
    assert figure.sentences[-1] == "Alone."


def test_a_run_without_gates_of_classes_is_refused(tmp_path, compared):
    for run in (
        finished_run(tmp_path / "other measure", "error", distribution=as_plain(ClassMixture())),
        finished_run(tmp_path / "other settings"),
    ):
        with pytest.raises(
            SpecError, match=r"`gates` must be the folder of a `gating compare` run; '.*' holds no gates"
        ):
            gates_beside(run)
    with pytest.raises(FolderError, match="must be the folder of a run"):
        gates_beside(tmp_path)
    table = compared / TABLE
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match="is not as the run wrote it"):
        gates_beside(compared)
