"""What the study says before it trains: time, memory and disk, bad settings, and models that do not suit it."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from architectures import tiny_model
from local_model import byte_tokenizer, save_local_model
from small_finetune import FINETUNE, command, people, quiet, scaled_down

from gating.cli import main
from gating.runs.engine import run
from llm_finetune import bench, study
from llm_finetune.collection import collection_text
from llm_finetune.models import load_model, model_shape
from theory.settings import SpecError


@pytest.mark.parametrize("facts_per_group", [2, 64])  # 72 test prompts, of which every ninth is timed
def test_a_dry_run_tells_time_and_writes_nothing(local, tmp_path, capsys, facts_per_group):
    assert main(command(people(local, facts_per_group=facts_per_group), tmp_path / "run", "--dry-run")) == 0
    assert "`finetune`, 4 parts, 1 worker thread(s) on cpu: about" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_estimates_are_made_from_the_models_shape_and_a_step(local, monkeypatch):
    model = load_model(str(local)).model
    size, width = sum(p.numel() for p in model.parameters()), model.config.n_embd
    assert model_shape(local) == (size, width)
    config = people(local, n_seeds=2, training={"steps": 10, "evaluate_at": [0, 4], "batch_size": 4})
    assert FINETUNE.memory(config) == 28 * size + 12 * size / width * 100 * 4
    assert (
        FINETUNE.memory(people(local, training={"batch_size": 4, "lora_rank": 2}))
        == FINETUNE.memory(config) - 24 * size
    )
    records = len(bench.Bench(config, quiet()).records(0))
    clock = iter([0.0, 2.0, 5.0])  # the step takes 2 s, every `records // 8`-th test prompt together 3 s
    monkeypatch.setattr(bench, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    few = len(range(0, records, records // 8))
    found = FINETUNE.estimate(config, quiet(keep=True))
    assert found.seconds == pytest.approx(4 * 10 * 2 * 1.3 + 3 / few * records * (4 * 2 + 2))
    assert found.disk == pytest.approx(4 * 4 * size + 1e6)  # four models that are kept, and the tables


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mixtures": []}, "`mixtures` must be one or more different texts; got []"),
        ({"mixtures": ["memory=1", "memory=0.4"]}, "must sum to 1; got memory=0.4"),
        ({"mixtures": ["memory=1", "memory=1.0"]}, "must differ in their first six digits; got 'memory=1' and"),
        ({"mixtures": ["memory=2 reading=-1"]}, "`memory` must be in [0, 1]; got 2.0; `reading` must be in [0, 1]"),
        (
            {"collection": "peeple"},
            "`collection` must be one of ('people', 'frequency', 'frequency-steep') or an existing file",
        ),
        ({"n_seeds": 0}, "`n_seeds` must be an integer in 1 .. 2^32 - 1; got 0"),
        ({"margin": 1.5}, "`margin` must be in (0, 1); got 1.5"),
        ({"training": {"evaluate_at": [1]}}, "`training.evaluate_at` must hold 0, before training; got [1]"),
        ({"training": {"steps": 0}}, "`training.steps` must be an integer >= 1; got 0"),
    ],
)
def test_bad_settings_are_named(given, sentence, local):
    with pytest.raises(SpecError) as caught:
        scaled_down("people", local, **given)
    assert sentence in str(caught.value)


def test_what_does_not_suit_the_model_is_refused_before_anything_is_written(local, tmp_path):
    small = save_local_model(tmp_path / "small", n_positions=64)
    with pytest.raises(SpecError, match="a prompt and its answer must fit into the model's context of 64 tokens"):
        run(FINETUNE, scaled_down("people", small), tmp_path / "run", quiet())
    own = tmp_path / "own.jsonl"
    own.write_text(collection_text("people").replace("Where does {subject} live?", "{subject} " * 30))
    with pytest.raises(SpecError, match="must fit into the model's context of 256 tokens"):
        run(FINETUNE, scaled_down("people", local, collection=str(own)), tmp_path / "run", quiet())
    assert not (tmp_path / "run").exists()


def saved(name: str, folder: Path) -> Path:
    """The folder of a tiny model of another architecture."""
    tokenizer = byte_tokenizer()
    tiny_model(name, len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore")  # of transformers, about a model of another kind
def test_a_model_that_is_not_causal_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SpecError, match="`model` must be causal; in BertLMHeadModel what follows a token changes"):
        run(FINETUNE, scaled_down("people", saved("BERT", tmp_path / "bert")), tmp_path / "run", quiet())
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_a_model_with_a_short_window_is_studied_and_said_to_be_scored_more_slowly(tmp_path):
    config = scaled_down("people", saved("Mistral, window of 8", tmp_path / "mistral"))
    said: list[str] = []
    table = run(FINETUNE, config, tmp_path / "run", quiet(say=said.append))
    assert table["value"][table["measure"] == "log_prob"].notna().all()
    (line,) = (line for line in said if "is scored" in line)
    assert line.startswith("MistralForCausalLM is scored from one cached prefix for each prompt: by a tree of shared")


@pytest.mark.parametrize(
    ("setting", "begins"), [("drop", "<|im_start|>user"), ("keep", "<|im_start|>system\nBe brief")]
)
def test_the_templates_system_prompt_is_dropped_or_kept(local, setting, begins):
    found = bench.Bench(scaled_down("people", local, system_prompt=setting), quiet())
    assert {record.prompt.startswith(begins) for record in found.records(0)} == {True}


def test_an_answer_that_tokenizes_to_nothing_is_refused(local, tmp_path):
    from tokenizers import normalizers
    from transformers import AutoTokenizer

    folder = tmp_path / "deaf"
    shutil.copytree(local, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("London", "")
    tokenizer.save_pretrained(folder)
    with pytest.raises(SpecError, match="must have at least one token; got 'London'"):
        run(FINETUNE, scaled_down("people", folder), tmp_path / "run", quiet())
    assert not (tmp_path / "run").exists()


def test_without_its_packages_the_command_says_how_to_install_them(local, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "find_spec", lambda name: None if name == "peft" else name)
    assert main(command(people(local), tmp_path / "run")) == 2
    said = capsys.readouterr().err
    assert "`finetune` needs the packages ['peft']; `pip install 'icl-gating[llm]'` installs them" in said


def test_help_checks_and_reports_need_neither_torch_nor_transformers():
    code = (
        "import sys; from gating.runs.catalogue import find_study; study = find_study('finetune'); study.config();"
        " print([name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
