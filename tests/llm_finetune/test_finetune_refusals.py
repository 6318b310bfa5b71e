"""What fine-tuning refuses: losses that are no numbers, examples, folders and files that it cannot go on with."""

import pytest
import torch
from quick_finetune import FACTS, QUICK, kept, quiet

from gating.runs.errors import Damaged, FolderError, Interrupted
from gating.training.trainer import TrainingDiverged
from llm_finetune.finetune import finetune
from llm_finetune.prompts import Example
from llm_finetune.settings import FinetuneSettings
from theory.settings import SpecError


def test_divergence_stops_the_run_and_names_the_step(model, tokenizer, tmp_path):
    def break_it(step, model):
        if step == 3:
            with torch.no_grad():
                next(iter(model.parameters())).fill_(float("nan"))

    settings = FinetuneSettings(**{**vars(QUICK), "evaluate_at": (3,)})
    with pytest.raises(TrainingDiverged, match=r"loss is nan at step 4; last saved state in `.*`: step 2"):
        finetune(model, tokenizer, FACTS, settings, seed=0, folder=tmp_path, evaluate=break_it, say=quiet)
    assert not (kept(tmp_path) / "model").exists()


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "`examples` must not be empty; got none"),
        ([FACTS[0], Example("Tom?", "")], r"every prompt must have an answer to learn; 1 have none: 'Tom\?'"),
        ([Example("", "L")], "at least one token; got ''"),
        ([Example("Tom? " * 60, "L")], r"context of 128 tokens; \d+ are needed for 'Tom\? "),
    ],
)
@pytest.mark.parametrize("as_source", [False, True])
def test_bad_examples_are_named(model, tokenizer, tmp_path, examples, message, as_source):
    given = (lambda step: examples) if as_source else examples
    with pytest.raises(ValueError, match=message):
        finetune(model, tokenizer, given, QUICK, seed=0, folder=tmp_path, say=quiet)
    assert not (kept(tmp_path) / "model").exists()


def test_other_work_in_a_folder_is_refused(make_model, tokenizer, tmp_path):
    finetune(make_model(), tokenizer, FACTS, QUICK, seed=0, folder=tmp_path, say=quiet)
    with pytest.raises(FolderError, match=r"its `seed` is 0, and 1 is asked for"):
        finetune(make_model(), tokenizer, FACTS, QUICK, seed=1, folder=tmp_path, say=quiet)
    with pytest.raises(FolderError, match=r"its `examples` is "):
        finetune(make_model(), tokenizer, FACTS[1:], QUICK, seed=0, folder=tmp_path, say=quiet)
    with pytest.raises(FolderError, match=r"its `parameters` is "):
        finetune(make_model("llama"), tokenizer, FACTS, QUICK, seed=0, folder=tmp_path, say=quiet)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    with pytest.raises(FolderError, match="must be new, empty or the folder of a run"):
        finetune(make_model(), tokenizer, FACTS, QUICK, seed=0, folder=tmp_path / "own", say=quiet)


def flipped(content: bytes) -> bytes:
    return content[:-7] + bytes([content[-7] ^ 4]) + content[-6:]


@pytest.mark.parametrize("damage", [flipped, lambda content: content[:20], lambda content: b""])
@pytest.mark.parametrize("name", ["state.safetensors", "model/model.safetensors"])
def test_a_damaged_file_is_refused_and_named_with_the_remedy(make_model, tokenizer, tmp_path, name, damage):
    def kill(step, model):
        raise KeyboardInterrupt

    settings = FinetuneSettings(**{**vars(QUICK), "evaluate_at": (5,)})
    with pytest.raises(Interrupted):
        finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path, evaluate=kill, say=quiet)
    if not name.startswith("state"):
        finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet)
    damaged = kept(tmp_path) / name
    damaged.write_bytes(damage(damaged.read_bytes()))
    with pytest.raises(Damaged, match=r"is not as the run wrote it .*; remove the folder '.*' to fine-tune this model"):
        finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet)


def test_nothing_is_read_by_pickle(make_model, tokenizer, tmp_path, monkeypatch):
    def refuse(*arguments, **how):
        raise AssertionError("torch.load or torch.save was called")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(torch, "save", refuse)
    for lora_rank in (None, 2):
        settings = FinetuneSettings(**{**vars(QUICK), "lora_rank": lora_rank})
        for _ in range(2):
            finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path / str(lora_rank), say=quiet)
    assert (kept(tmp_path / "2") / "model" / "adapter_model.safetensors").is_file()


def test_all_bad_settings_are_named_at_once():
    with pytest.raises(SpecError) as caught:
        FinetuneSettings(steps=0, batch_size=2.5, learning_rate=-1, optimizer={"weight_decay": -0.1}, warm_up=-1,
                         max_grad_norm=0, precision="half", lora_rank=0, lora_alpha=0, evaluate_at=(-7,),
                         save_every=0)  # fmt: skip
    assert len(caught.value.problems) == 11
    assert "`precision` must be one of ('auto', 'bf16', 'float32'); got 'half'" in caught.value.problems
    assert "`lora_rank` must be an integer >= 1, or null; got 0" in caught.value.problems
