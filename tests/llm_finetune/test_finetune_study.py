"""The study from settings to report, on a small model with random weights: every preset, going on, and bad input."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
from local_model import save_local_model

from gating.cli import main
from gating.evaluation.table import COLUMNS
from gating.settings import load_settings, read_yaml
from gating.studies import catalogue
from gating.studies.folder import FolderError
from llm_finetune.conditions import CONDITIONS
from llm_finetune.config import FinetuneConfig
from llm_finetune.study import run_finetune
from theory.distribution import SpecError

CONFIGS = Path(__file__).parents[2] / "configs" / "finetune"
KEYS = [name for name in COLUMNS if name not in ("value", "low", "high")]


def silent(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    return save_local_model(tmp_path_factory.mktemp("model") / "gpt2")


def scaled_down(name: str, local: Path, **given) -> FinetuneConfig:
    """The settings of a preset with a small model, one step, and few test prompts."""
    small = {
        "model": str(local), "prompts_per_fact": 1, "facts_per_group": 2, "training.steps": 1,
        "training.evaluate_at": [0], "training.batch_size": 4, "n_seeds": 1,
    }  # fmt: skip
    return load_settings(FinetuneConfig, [*read_yaml(CONFIGS / f"{name}.yaml"), *small.items(), *given.items()])


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_every_preset_runs_and_is_drawn(name, local, tmp_path, capsys):
    preset = load_settings(FinetuneConfig, read_yaml(CONFIGS / f"{name}.yaml"))
    config = scaled_down(name, local)
    table = run_finetune(config, tmp_path / "run", say=silent)
    assert table["setting"].nunique() == len(preset.mixtures) * len(preset.exposures)
    measured = table[table["kind"] == "measured"]
    assert set(measured["step"]) == {0, 1}
    assert set(measured["context"]) == set(CONDITIONS)
    assert not table.duplicated(KEYS).any()
    shares = measured[measured["measure"].str.endswith(("accuracy", "wins", "softmax", "gate", "remainder"))]
    assert shares["value"].dropna().between(0, 1).all()
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert 'id="figure-accuracy-by-step"' in page
    assert ('id="figure-groups-by-step"' in page) == (name == "frequency")
    assert "Sample answers before and after" in page


def test_a_run_goes_on_where_it_was_stopped_with_the_same_result(local, tmp_path):
    config = scaled_down("people", local)
    whole = run_finetune(config, tmp_path / "whole", say=silent)
    seen = []

    def stop(line: str) -> None:
        seen.append(line)
        if len([s for s in seen if s.startswith("fine-tuning on")]) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_finetune(config, tmp_path / "run", say=stop)
    assert not (tmp_path / "run" / "results.parquet").exists()
    again: list[str] = []
    table = run_finetune(config, tmp_path / "run", say=again.append)
    assert len([line for line in again if line.startswith("fine-tuning on")]) == 2
    pd.testing.assert_frame_equal(table, whole)
    samples = [(tmp_path / name / "samples.jsonl").read_text(encoding="utf-8") for name in ("run", "whole")]
    assert samples[0] == samples[1]
    assert {json.loads(line)["step"] for line in samples[0].splitlines()} == {0, 1}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "config.yaml", "environment.json", "results.parquet", "samples.jsonl",
    ]  # fmt: skip
    with pytest.raises(FolderError, match="holds a run with other settings"):
        run_finetune(scaled_down("people", local, seed=5), tmp_path / "run", say=silent)


def test_models_are_kept_where_that_is_asked_for(local, tmp_path):
    from transformers import AutoModelForCausalLM

    config = scaled_down("people", local, mixtures=["memory=1"])
    run_finetune(config, tmp_path / "run", keep_models=True, say=silent)
    (kept,) = (tmp_path / "run" / "models").glob("*/model")
    assert AutoModelForCausalLM.from_pretrained(kept).config.n_layer == 2


def test_the_command_trains_and_prints(local, tmp_path, capsys):
    flags = ["--model", str(local), "--training.steps", "1", "--facts_per_group", "2", "--mixtures", "[memory=1]"]
    out = ["--out", str(tmp_path / "run"), "--workers", "1"]
    assert (
        main(["finetune", "--config", str(CONFIGS / "people.yaml"), *flags, *out, "--training.evaluate_at", "[0]"]) == 0
    )
    text = capsys.readouterr().out
    assert "memory only" in text
    assert "One seed: intervals are over prompts." in text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mixtures": []}, "`mixtures` must hold one or more different texts; got []"),
        ({"mixtures": ["memory=1", "memory=0.4"]}, "must sum to 1; got memory=0.4"),
        (
            {"collection": "peeple"},
            "`collection` must be one of ('people', 'frequency', 'frequency-steep') or an existing file",
        ),
        ({"n_seeds": 0}, "`n_seeds` must be an integer in 1 .. 2^32 - 1; got 0"),
        ({"margin": 1.5}, "`margin` must be in (0, 1); got 1.5"),
        ({"gates": "nowhere"}, "`gates` must be the folder of a finished `gating compare` run, or null; got 'nowhere'"),
        ({"training.evaluate_at": [1]}, "`training.evaluate_at` must hold 0, before training; got [1]"),
        ({"training.steps": 0}, "`training.steps` must be an integer >= 1; got 0"),
    ],
)
def test_bad_settings_are_named(given, sentence, local):
    with pytest.raises(SpecError) as caught:
        scaled_down("people", local, **given)
    assert sentence in str(caught.value)


def test_what_does_not_suit_the_model_is_refused_before_anything_is_written(local, tmp_path):
    small = save_local_model(tmp_path / "small", n_positions=64)
    with pytest.raises(SpecError, match="a prompt and its answer must fit into the model's context of 64 tokens"):
        run_finetune(scaled_down("people", small), tmp_path / "run", say=silent)
    rows = (Path(catalogue.__file__).parents[2] / "llm_finetune" / "data" / "people.jsonl").read_text(encoding="utf-8")
    own = tmp_path / "own.jsonl"
    own.write_text(rows.replace("Where does {subject} live?", "{subject} " * 30), encoding="utf-8")
    with pytest.raises(SpecError, match="must fit into the model's context of 256 tokens"):
        run_finetune(scaled_down("people", local, collection=str(own)), tmp_path / "run", say=silent)
    assert not (tmp_path / "run").exists()


def test_an_answer_that_tokenizes_to_nothing_is_refused(local, tmp_path):
    from tokenizers import normalizers
    from transformers import AutoTokenizer

    folder = tmp_path / "deaf"
    shutil.copytree(local, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("London", "")
    tokenizer.save_pretrained(folder)
    with pytest.raises(SpecError, match="must have at least one token; got 'London'"):
        run_finetune(scaled_down("people", folder), tmp_path / "run", say=silent)
    assert not (tmp_path / "run").exists()


def test_without_its_packages_the_command_says_how_to_install_them(monkeypatch, capsys):
    class Missing(metadata.EntryPoint):
        def load(self):
            raise ModuleNotFoundError("No module named 'peft'", name="peft")

    found = metadata.EntryPoints([Missing("finetune", "llm_finetune.catalogue:FINETUNE", "gating.studies")])
    monkeypatch.setattr(catalogue, "entry_points", lambda **named: found.select(**named))
    assert main(["finetune", "--model", "x"]) == 2
    said = capsys.readouterr().err
    assert "`finetune` needs the package 'peft', which is not installed; `make llm`" in said
