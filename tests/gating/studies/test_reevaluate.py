"""Settings of evaluation are read by no ensemble: models measured anew give the table of a new run."""

import re
from pathlib import Path

import pandas as pd
import pytest

from gating.runs import engine
from gating.runs.catalogue import find_study, study_names
from gating.runs.executor import Resources
from tests.golden.settings import CASES, TRAINING
from theory.settings import build

OTHER = {
    "evaluation_seed": 5, "evaluation_per_cell": 2, "evaluation_classes": 1, "evaluation_sequences": 24,
    "evaluation_rows": 16, "loss_sequences": 40, "loss_groups": 2, "described_within": 0.9, "n_resamples": 4,
    "held_out": {"steps_after": 0.8}, "tabular_seeds": 50, "tabular_octaves": 1,
    "tabular_per_octave": 3, "beta": 0.5, "temperature": 0.2,
}  # fmt: skip
"""Another value of each setting of evaluation that a study has."""
SHORT = TRAINING | {"steps": 12, "checkpoints": 3}
SHORTER = {
    "compare": {"n_sequences": 16, "n_seeds": 2, "transformer_training": SHORT, "stylized_training": SHORT},
    "crossover": {"p_high": [0.5, 0.8], "low_queries": [2.0, 8.0], "transformer_training": SHORT},
    "predict": {"n_sequences": [8, 32], "training": SHORT},
    "strategies": {"n_tasks": [2, 4], "mlp_factors": [1.0], "held_out": {}},
}
STUDIES = {name: study for name in study_names() if (study := find_study(name)).of_evaluation}
QUIET = Resources(workers=1, say=lambda line: None)


def test_studies_that_train_ensembles_can_measure_anew():
    assert {*STUDIES} == {"compare", "crossover", "images", "predict", "strategies"}
    assert OTHER.keys() == {name for study in STUDIES.values() for name in study.of_evaluation}
    told = (Path(__file__).parents[3] / "docs" / "how-to.md").read_text(encoding="utf-8")
    for name, study in STUDIES.items():
        allowed = ", ".join(f"`{each}`" for each in study.of_evaluation)
        assert re.search(rf"\n\|[^|]*`{name}`[^|]*\| {allowed} \|\n", told), name


@pytest.mark.parametrize("name", sorted(STUDIES.keys() - {"images"}))  # `images` measures as `compare` does
def test_models_measured_anew_give_the_table_of_a_new_run(name, tmp_path, monkeypatch):
    study, settings = STUDIES[name], next(iter(CASES[name].values())) | SHORTER[name]
    other = {each: OTHER[each] for each in study.of_evaluation}
    former, config = (build(study.config, settings | fields) for fields in ({}, other))

    def refuse(*_):
        raise AssertionError("trained again")

    wanted = engine.run(study, config, tmp_path / "new", QUIET)
    first = engine.run(study, former, tmp_path / "run", QUIET)
    trained = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*.safetensors")}
    assert trained
    with monkeypatch.context() as patch:
        patch.setattr("gating.runs.ensemble._train", refuse)
        found = engine.run(study, config, tmp_path / "run", QUIET, reevaluate=True)
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    assert not found.equals(first)
    assert trained == {file: file.read_bytes() for file in (tmp_path / "run").rglob("*.safetensors")}
