"""Fine-tuning and scoring on a GPU: what the CPU gives, within rounding."""

import pytest
import torch

from gating.runs.store import opened
from llm_finetune.finetune import LOSSES, finetune
from llm_finetune.prompts import Example
from llm_finetune.score import generate, score_candidates
from llm_finetune.settings import FinetuneSettings

FACTS = [Example("Liz?", "London"), Example("Who is Wiesa?", "Lon"), Example("Tom?", "Warsaw"), Example("Ann?", "L")]


def _tuned(model, tokenizer, path, **settings):
    told = FinetuneSettings(**{"steps": 5, "batch_size": 4, "learning_rate": 1e-3, "precision": "float32", **settings})
    with opened(path, {}) as place:
        tuned = finetune(model, tokenizer, FACTS, told, seed=0, folder=place, keep=False, say=lambda line: None)
        return tuned, torch.tensor(place.table(LOSSES)["loss"].to_numpy())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize(
    ("settings", "within"), [({}, 1e-3), ({"lora_rank": 2}, 1e-3), ({"precision": "bf16"}, 0.05)], ids=str
)
def test_losses_and_scores_are_those_of_the_cpu(make_model, tokenizer, tmp_path, kind, settings, within):
    plain = {**settings, "precision": "float32"}
    on_cpu, wanted = _tuned(make_model(kind), tokenizer, tmp_path / "cpu", **plain)
    on_gpu, found = _tuned(make_model(kind).cuda(), tokenizer, tmp_path / "gpu", **settings)
    assert next(on_gpu.parameters()).is_cuda
    torch.testing.assert_close(found, wanted, rtol=within, atol=within)
    asked, candidates = [fact.prompt for fact in FACTS], [fact.answer for fact in FACTS]
    scores = [score_candidates(model, tokenizer, asked, candidates, say=print).log_prob for model in (on_cpu, on_gpu)]
    assert scores[1] == pytest.approx(scores[0], rel=within, abs=within)
    assert len(generate(on_gpu, tokenizer, asked, max_new_tokens=4)) == len(asked)
