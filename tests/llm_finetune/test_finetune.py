"""Fine-tuning: what is learned, what is not, and that a run which is killed and goes on ends with the same weights."""

import io
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from peft import PeftModel
from quick_finetune import FACTS, QUICK, kept, quiet
from torch.testing import assert_close
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer

from gating.runs.errors import FolderError, Interrupted
from llm_finetune.finetune import finetune
from llm_finetune.loss import answer_loss
from llm_finetune.prompts import Example
from llm_finetune.score import score_candidates
from llm_finetune.settings import FinetuneSettings
from llm_finetune.tokens import encode, end_token


def stream(step):
    """Examples that differ from step to step."""
    rng = np.random.default_rng([7, step])
    return [Example(f"{rng.integers(100)}?", str(rng.choice(["London", "Lon", "L"]))) for _ in range(3)]


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_loss_is_that_of_answer_and_end_tokens(model, tokenizer):
    total, count = 0.0, 0
    for prompt, answer in zip(
        encode(tokenizer, [fact.prompt for fact in FACTS]),
        [[*a, end_token(tokenizer)] for a in encode(tokenizer, [fact.answer for fact in FACTS])],
        strict=True,
    ):
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        total -= logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum().item()
        count += len(answer)
    assert answer_loss(model, tokenizer, FACTS).item() == pytest.approx(total / count, rel=1e-5)


def test_the_loss_of_parts_adds_up(model, tokenizer):
    parts = [answer_loss(model, tokenizer, FACTS, slice(rank, None, 3)).item() for rank in range(3)]
    assert sum(parts) == pytest.approx(answer_loss(model, tokenizer, FACTS).item(), rel=1e-5)


def test_facts_are_learned(model, tokenizer, tmp_path):
    settings = FinetuneSettings(steps=60, batch_size=4, learning_rate=1e-2, precision="float32")
    tuned = finetune(model, tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet)
    scores = score_candidates(tuned, tokenizer, [f.prompt for f in FACTS], [f.answer for f in FACTS])
    assert scores.log_prob.argmax(axis=1).tolist() == [0, 1, 2, 3]
    losses = pd.read_parquet(kept(tmp_path) / "losses.parquet")
    assert losses["step"].tolist() == list(range(1, 61))
    assert losses["loss"].iloc[-1] < 0.1 < losses["loss"].iloc[0]


def test_a_folder_goes_on_with_the_same_settings_alone(model, make_model, tokenizer, tmp_path):
    finetune(model, tokenizer, FACTS, QUICK, seed=0, folder=tmp_path, say=quiet)
    for name, value in {"learning_rate": 0.02, "steps": 7, "batch_size": 2, "warm_up": 1}.items():
        other = FinetuneSettings(**{**vars(QUICK), name: value})
        with pytest.raises(FolderError, match=rf"its `{name}` is .*, and {value} is asked for"):
            finetune(model, tokenizer, FACTS, other, seed=0, folder=tmp_path, say=quiet)
    for name, value in {"max_grad_norm": 0.5, "annealing": "cosine", "optimizer": {"weight_decay": 0.1}}.items():
        other = FinetuneSettings(**{**vars(QUICK), name: value})
        with pytest.raises(FolderError, match=rf"its `{name}` is .* is asked for"):
            finetune(model, tokenizer, FACTS, other, seed=0, folder=tmp_path, say=quiet)
    said, oftener = [], FinetuneSettings(**{**vars(QUICK), "save_every": 1})
    finetune(model, tokenizer, FACTS, oftener, seed=0, folder=tmp_path, say=said.append)
    assert "is finished" in said[0]


@pytest.mark.parametrize(
    ("optimizer", "made"),
    [
        ({}, lambda groups: torch.optim.AdamW(groups, weight_decay=0.0)),
        ({"betas": [0.9, 0.95], "weight_decay": 0.3}, lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.95))),
        ({"name": "adam", "weight_decay": 0.3}, torch.optim.Adam),
        ({"name": "sgd", "momentum": 0.9, "weight_decay": 0.3}, lambda groups: torch.optim.SGD(groups, momentum=0.9)),
    ],
)
def test_steps_are_those_of_torch_on_clipped_gradients_with_the_schedule(
    make_model, tokenizer, tmp_path, optimizer, made
):
    """eta (s + 1) / w in a warm-up of w steps, then a cosine; matrices decay, but for embeddings."""
    rule = {"decays": "matrices", "no_decay": ["wte", "wpe"]}
    settings = FinetuneSettings(
        **{**vars(QUICK), "warm_up": 3, "annealing": "cosine", "max_grad_norm": 0.3, "optimizer": {**optimizer, **rule}}
    )
    tuned = finetune(make_model(), tokenizer, stream, settings, seed=0, folder=tmp_path, say=quiet)
    plain, clipped = make_model(), 0
    decaying = {name for name, p in plain.named_parameters() if p.dim() == 2 and not name.startswith("transformer.w")}
    assert 0 < len(decaying) < len(list(plain.parameters())) / 2
    decay = optimizer.get("weight_decay", 0.0)
    other = made([{"params": [p], "weight_decay": decay * (name in decaying)} for name, p in plain.named_parameters()])
    for step in range(6):
        other.zero_grad()
        answer_loss(plain, tokenizer, stream(step)).backward()
        clipped += torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.3) > 0.3
        falls = (1 + np.cos(np.pi * (step - 3) / 3)) / 2
        for group in other.param_groups:
            group["lr"] = 1e-2 * ((step + 1) / 3 if step < 3 else falls)
        other.step()
    assert clipped > 0
    assert_close(weights(tuned), weights(plain), rtol=1e-4, atol=1e-5)


def test_progress_tells_the_loss(model, tokenizer, tmp_path, monkeypatch):
    shown = io.StringIO()
    visible = {"disable": False, "file": shown}
    module = sys.modules["llm_finetune.finetune"]  # the function has the same name
    monkeypatch.setattr(module, "tqdm", lambda items, **how: tqdm(items, **{**how, **visible}))
    finetune(model, tokenizer, FACTS, QUICK, seed=0, folder=tmp_path, say=quiet)
    last = pd.read_parquet(kept(tmp_path) / "losses.parquet")["loss"].iloc[-1]
    assert f"loss {last:.3g}" in shown.getvalue()


@pytest.mark.parametrize(
    ("lora_rank", "optimizer"),
    [
        (None, {"weight_decay": 0.1}),
        (4, {"weight_decay": 0.1}),
        (None, {"name": "adam", "weight_decay": 0.1, "decays": "matrices"}),
        (None, {"name": "sgd"}),
        (None, {"name": "sgd", "momentum": 0.9, "nesterov": True}),
    ],
)
@pytest.mark.parametrize(("kill_at", "saved"), [(0, 0), (3, 2), (4, 2)])
def test_a_run_that_is_killed_ends_with_the_same_weights(
    make_model, tokenizer, tmp_path, lora_rank, optimizer, kill_at, saved
):
    settings = FinetuneSettings(
        **{**vars(QUICK), "lora_rank": lora_rank, "evaluate_at": (0, 3, 4), "warm_up": 3, "optimizer": optimizer}
    )
    seen = []

    def kill(step, model):
        seen.append(step)
        if step == kill_at:
            raise KeyboardInterrupt

    straight = finetune(make_model(dropout=0.1), tokenizer, stream, settings, seed=3, folder=tmp_path / "a", say=quiet)
    with pytest.raises(Interrupted, match=f"holds step {saved}"):
        finetune(
            make_model(dropout=0.1),
            tokenizer,
            stream,
            settings,
            seed=3,
            folder=tmp_path / "b",
            evaluate=kill,
            say=quiet,
        )
    seen.clear()
    kill_at = -1
    resumed = finetune(
        make_model(dropout=0.1), tokenizer, stream, settings, seed=3, folder=tmp_path / "b", evaluate=kill, say=quiet
    )
    assert seen[-1] == 6
    assert_close(weights(resumed), weights(straight), rtol=0, atol=0)
    losses = [pd.read_parquet(kept(tmp_path / name) / "losses.parquet")["loss"].tolist() for name in "ab"]
    assert losses[0] == losses[1]


def test_evaluations_come_once_each_and_in_order(model, tokenizer, tmp_path):
    seen = []
    settings = FinetuneSettings(**{**vars(QUICK), "evaluate_at": (5, 0, 2)})
    finetune(model, tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet,
             evaluate=lambda step, model: seen.append((step, answer_loss(model, tokenizer, FACTS).item())))  # fmt: skip
    assert [step for step, _ in seen] == [0, 2, 5, 6]
    assert seen[-1][1] < seen[0][1]


def test_global_random_state_is_left_alone(make_model, tokenizer, tmp_path):
    before = torch.get_rng_state()
    settings = FinetuneSettings(**{**vars(QUICK), "lora_rank": 2})
    finetune(make_model(dropout=0.5), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet)
    assert (torch.get_rng_state() == before).all()


def test_seeds_differ(make_model, tokenizer, tmp_path):
    tuned = [
        finetune(make_model(), tokenizer, FACTS, QUICK, seed=seed, folder=tmp_path / str(seed), say=quiet)
        for seed in (0, 1)
    ]
    assert not torch.equal(*(next(iter(model.parameters())) for model in tuned))


def test_from_pretrained_opens_the_model(make_model, tokenizer, tmp_path):
    tuned = finetune(make_model("llama"), tokenizer, FACTS, QUICK, seed=0, folder=tmp_path, say=quiet)
    opened = AutoModelForCausalLM.from_pretrained(kept(tmp_path) / "model")
    assert_close(weights(opened), weights(tuned), rtol=0, atol=0)
    assert encode(AutoTokenizer.from_pretrained(kept(tmp_path) / "model"), ["Liz?"]) == encode(tokenizer, ["Liz?"])
    assert not list(tmp_path.rglob("*.bin"))
    assert not (kept(tmp_path) / "state.safetensors").exists()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # new peft asks by an old name
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_from_pretrained_opens_the_adapter(make_model, tokenizer, tmp_path, kind):
    settings = FinetuneSettings(**{**vars(QUICK), "lora_rank": 2})
    base = weights(make_model(kind))
    tuned = finetune(make_model(kind), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet)
    opened = PeftModel.from_pretrained(make_model(kind), str(kept(tmp_path) / "model"))
    assert_close(weights(opened), weights(tuned), rtol=0, atol=0)
    assert answer_loss(opened, tokenizer, FACTS) < answer_loss(make_model(kind), tokenizer, FACTS)
    assert_close(weights(tuned.unload()), base, rtol=0, atol=0)


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_a_finished_run_is_opened(make_model, tokenizer, tmp_path, lora_rank):
    settings = FinetuneSettings(**{**vars(QUICK), "lora_rank": lora_rank})
    first = finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet)
    said = []
    again = finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=said.append)
    assert_close(weights(again), weights(first), rtol=0, atol=0)
    assert said == [f"`{kept(tmp_path) / 'model'}` is finished; it is used as it is"]


def test_an_adapter_goes_on_learning(make_model, tokenizer, tmp_path):
    settings = FinetuneSettings(**{**vars(QUICK), "steps": 20, "batch_size": 4, "learning_rate": 3e-2, "lora_rank": 4})
    more_of_it = FinetuneSettings(**{**vars(settings), "lora_rank": None})
    adapter = finetune(make_model(), tokenizer, FACTS, settings, seed=0, folder=tmp_path / "a", say=quiet)
    before = answer_loss(adapter, tokenizer, FACTS).item()
    base = weights(make_model())
    more = finetune(adapter, tokenizer, FACTS, more_of_it, seed=0, folder=tmp_path / "b", say=quiet)
    assert answer_loss(more, tokenizer, FACTS).item() < before
    learned = weights(more)
    again = finetune(adapter, tokenizer, FACTS, more_of_it, seed=0, folder=tmp_path / "b", say=quiet)
    assert_close(weights(again), learned, rtol=0, atol=0)
    assert_close(weights(again.unload()), base, rtol=0, atol=0)


def test_a_model_that_is_not_kept_leaves_its_losses(model, tokenizer, tmp_path):
    finetune(model, tokenizer, FACTS, QUICK, seed=0, folder=tmp_path, keep=False, say=quiet)
    assert [file.name for file in kept(tmp_path).iterdir()] == ["losses.parquet"]


def test_bf16_products_leave_the_weights_in_float32(model, tokenizer, tmp_path):
    settings = FinetuneSettings(**{**vars(QUICK), "precision": "bf16"})
    seen = []
    tuned = finetune(model.to(torch.bfloat16), tokenizer, FACTS, settings, seed=0, folder=tmp_path, say=quiet,
                     evaluate=lambda step, model: seen.append(answer_loss(model, tokenizer, FACTS).item()))  # fmt: skip
    assert {parameter.dtype for parameter in tuned.parameters()} == {torch.float32}
    assert seen[-1] < seen[0]
