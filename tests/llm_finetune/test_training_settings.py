"""How weights are held, how a step is taken in parts, and what is told of it."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.testing import assert_close

from llm_finetune import models, weights
from llm_finetune.adapters import load_tuned
from llm_finetune.finetune import finetune
from llm_finetune.models import load_model
from llm_finetune.prompts import Example
from llm_finetune.settings import FinetuneSettings
from theory.settings import SpecError

FACTS = [Example("Liz?", "London"), Example("Who is Wiesa?", "Lon"), Example("Tom?", "Warsaw"), Example("Ann?", "L")]
QUICK = {"steps": 4, "batch_size": 4, "learning_rate": 1e-2, "precision": "float32"}
SGD = {"name": "sgd", "momentum": 0.9}


def quiet(line):
    pass


def tuned(model, tokenizer, folder, **given):
    settings = FinetuneSettings(**{**QUICK, **given})
    return finetune(model, tokenizer, FACTS, settings, seed=0, folder=folder, say=quiet)


def held(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def losses(folder):
    return pd.read_parquet(folder / "parts" / "training" / "losses.parquet")["loss"].tolist()


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("given", [{"accumulation": 4}, {"accumulation": 3}, {"checkpointing": True}])
@pytest.mark.parametrize("lora_rank", [None, 2])
def test_steps_in_parts_or_with_checkpoints_are_the_same_steps(make_model, tokenizer, tmp_path, kind, given, lora_rank):
    same = {"optimizer": SGD, "lora_rank": lora_rank}
    plain = held(tuned(make_model(kind), tokenizer, tmp_path / "a", **same))
    other = tuned(make_model(kind), tokenizer, tmp_path / "b", **same, **given)
    assert_close(held(other), plain, rtol=1e-4, atol=1e-6)
    assert losses(tmp_path / "b") == pytest.approx(losses(tmp_path / "a"), rel=1e-5)
    assert not any(getattr(module, "gradient_checkpointing", False) for module in other.modules())


def test_each_part_of_a_step_is_smaller_and_checkpoints_are_in_use(make_model, tokenizer, tmp_path, monkeypatch):
    model, sizes = make_model(), []
    model.register_forward_pre_hook(
        lambda module, given, named: sizes.append((len(named["input_ids"]), model.transformer.gradient_checkpointing)),
        with_kwargs=True,
    )
    tuned(model, tokenizer, tmp_path, accumulation=4, steps=1, checkpointing=True)
    assert sizes[-4:] == [(1, True)] * 4


def test_bf16_weights_are_held_trained_and_resumed_as_such(make_model, tokenizer, tmp_path):
    model = tuned(make_model("llama"), tokenizer, tmp_path / "a", weights="bf16")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert losses(tmp_path / "a")[-1] < losses(tmp_path / "a")[0]
    adapter = tuned(make_model("llama"), tokenizer, tmp_path / "b", weights="bf16", lora_rank=2)
    assert {p.dtype for p in adapter.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in adapter.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_small_steps_are_lost_in_bf16_as_the_setting_says(make_model, tokenizer, tmp_path):
    small = {"optimizer": {"name": "sgd"}, "learning_rate": 1e-6}
    before = held(make_model().to(torch.bfloat16))
    after = held(tuned(make_model(), tokenizer, tmp_path / "a", weights="bf16", **small))
    assert all(torch.equal(before[name], after[name]) for name in before if name.endswith("attn.weight"))
    whole, start = held(tuned(make_model(), tokenizer, tmp_path / "b", **small)), held(make_model())
    assert any(not torch.equal(whole[name], start[name]) for name in start if name.endswith("attn.weight"))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")  # of bitsandbytes about kernels that it does not find
def test_four_bit_weights_carry_adapters(make_model, tokenizer, tmp_path):
    given = {"weights": "4bit", "lora_rank": 2, "steps": 30, "learning_rate": 5e-2}
    model = tuned(make_model("llama"), tokenizer, tmp_path / "a", **given)
    base = model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    assert base.dtype == torch.uint8
    assert losses(tmp_path / "a")[-1] < 0.96 * losses(tmp_path / "a")[0]
    again = tuned(make_model("llama"), tokenizer, tmp_path / "a", **given)
    assert_close(dict(again.named_parameters()), dict(model.named_parameters()), rtol=0, atol=0)
    with pytest.raises(SpecError, match="without linear layers; GPT2LMHeadModel has none"):
        tuned(make_model("gpt2"), tokenizer, tmp_path / "b", **given)


def test_without_bitsandbytes_four_bits_are_refused(make_model, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match="4bit where the package bitsandbytes is installed"):
        tuned(make_model("llama"), tokenizer, tmp_path, weights="4bit", lora_rank=2)


def test_adapters_go_where_they_are_told_and_drop_inputs(make_model, tokenizer, tmp_path):
    given = {"lora_rank": 2, "lora_targets": ["q_proj", "v_proj"]}
    plain = tuned(make_model("llama"), tokenizer, tmp_path / "a", **given)
    names = {name.split(".lora_")[0].rpartition(".")[2] for name, p in plain.named_parameters() if p.requires_grad}
    assert names == {"q_proj", "v_proj"}
    other = tuned(make_model("llama"), tokenizer, tmp_path / "b", **given, lora_dropout=0.5)
    assert losses(tmp_path / "a")[1:] != losses(tmp_path / "b")[1:]
    assert other.peft_config["default"].lora_dropout == 0.5
    with pytest.raises(SpecError, match=r"`lora_targets` must name layers of the model, such as \[.*'q_proj'"):
        tuned(make_model("llama"), tokenizer, tmp_path / "c", lora_rank=2, lora_targets=["qproj"])


def test_an_adapter_names_its_base_as_it_was_given(make_model, tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_model("llama").save_pretrained("base")
    tokenizer.save_pretrained("base")
    monkeypatch.setattr(models, "model_folder", lambda source, **how: Path(source.replace("pypi:tiny", "base")))
    loaded = load_model("pypi:tiny", say=quiet)  # as one that is kept in a cache
    adapter = tuned(*loaded, tmp_path / "run", lora_rank=2)
    folder = tmp_path / "run" / "parts" / "training" / "model"
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "pypi:tiny"
    again = load_tuned(str(folder), say=quiet)
    assert_close(dict(again.model.named_parameters()), dict(adapter.named_parameters()), rtol=0, atol=0)
    (folder / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": None}))
    with pytest.raises(SpecError, match="`base` must be given for an adapter that names none"):
        load_tuned(str(folder), say=quiet)


def test_losses_step_sizes_and_measurements_are_told(make_model, tokenizer, tmp_path):
    told = []
    settings = FinetuneSettings(**{**QUICK, "warm_up": 2, "annealing": "linear"})
    finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet,
             evaluate=lambda step, model: {"no_context/accuracy": step / 10},
             log=lambda values, step: told.append((step, values)))  # fmt: skip
    assert told[0] == (0, {"no_context/accuracy": 0.0})
    assert told[-1] == (4, {"no_context/accuracy": 0.4})
    rows = [(step, values["loss"], values["learning_rate"]) for step, values in told[1:-1]]
    assert [row[0] for row in rows] == [1, 2, 3, 4]
    assert [row[1] for row in rows] == losses(tmp_path)
    assert [row[2] for row in rows] == pytest.approx([0.005, 0.01, 0.01, 0.005])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"accumulation": 0}, "`accumulation` must be an integer >= 1; got 0"),
        ({"accumulation": 5}, "`accumulation` must be at most `batch_size`, 4; got 5"),
        ({"weights": "8bit"}, "`weights` must be one of ('float32', 'bf16', '4bit'); got '8bit'"),
        ({"weights": "4bit"}, "`lora_rank` must be given where `weights` is '4bit'"),
        ({"lora_dropout": 0.1}, "`lora_dropout` must be left out where `lora_rank` is null; got 0.1"),
        ({"lora_rank": 2, "lora_dropout": 1.0}, "`lora_dropout` must be in [0, 1); got 1.0"),
        ({"lora_targets": ["q_proj"]}, "`lora_targets` must be left out where `lora_rank` is null"),
        ({"checkpointing": "yes"}, "`checkpointing` must be"),
    ],
)
def test_bad_settings_are_named(given, sentence):
    with pytest.raises(SpecError) as caught:
        FinetuneSettings(**{**QUICK, **given})
    assert sentence in str(caught.value)
