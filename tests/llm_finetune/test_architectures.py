"""Every architecture is scored as one pass for each prompt and answer scores it, or refused in a sentence."""

from collections import Counter
from pathlib import Path

import pytest
import transformers
from architectures import ARCHITECTURES, scored, table, tiny_model
from local_model import byte_tokenizer

from llm_finetune.finetune import finetune
from llm_finetune.loss import answer_loss
from llm_finetune.prompts import Example
from llm_finetune.score import generate, score_candidates
from llm_finetune.settings import FinetuneSettings
from llm_finetune.tokens import split
from llm_finetune.ways import evaluating, naive_scores

QUICK = {
    "GPT-2": "tree",
    "Qwen3": "tree",
    "Mistral, window of 8": "prefix",
    "BLOOM (ALiBi)": "prefix",
    "RWKV": "naive",
    "BERT": None,
}
DOCS = Path(__file__).parents[2] / "docs" / "language-models.md"

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers, about what these architectures do


@pytest.mark.parametrize(("name", "way"), QUICK.items())
def test_scored_as_naively_or_refused(name, way):
    found = scored(name)
    assert found.way == way
    if way is None:
        assert found.said.startswith("`model` must be causal; in BertLMHeadModel what follows a token changes")
    else:
        assert found.gap < 1e-5
        assert (found.said == "") == (way == "tree")
        assert "\n" not in found.said


@pytest.mark.long
def test_most_architectures_are_scored_and_many_by_the_tree():
    found = {name: scored(name) for name in ARCHITECTURES}
    assert len(found) >= 30
    ways = Counter(result.way for result in found.values())
    assert ways["tree"] >= 8
    assert ways["tree"] + ways["prefix"] + ways["naive"] >= 24
    assert {name: result for name, result in found.items() if result.way and not result.gap < 1e-5} == {}
    for name, result in found.items():
        assert result.way or result.said.startswith("`model` must"), name
        assert "\n" not in result.said


@pytest.mark.long
def test_the_docs_list_what_is_measured():
    text = DOCS.read_text(encoding="utf-8")
    if f"in transformers {transformers.__version__} |" not in text:
        pytest.skip("the list in docs was measured with another version of transformers")
    assert table() in text


@pytest.mark.parametrize("name", ["GPT-2", "RWKV", "Mamba", "BLOOM (ALiBi)", "RoBERTa, as a decoder"])
def test_what_is_learned_is_the_mean_of_naive_scores(name):
    tokenizer = byte_tokenizer()
    model = tiny_model(name, len(tokenizer))
    examples = [Example("Where does Liz live?", "London"), Example("Who?", "Rome"), Example("Why so?", "L")]
    score_candidates(model, tokenizer, [prompt for prompt, _ in examples], ["Rome", "Lo"], say=lambda line: None)
    pairs = split(tokenizer, [prompt for prompt, _ in examples], [[answer] for _, answer in examples])
    with evaluating(model):
        total = sum(float(naive_scores(model, [own.prompt], own.answers)) for own in pairs)
        loss = float(answer_loss(model, tokenizer, examples))
    assert loss == pytest.approx(-total / sum(len(own.answers[0]) for own in pairs), abs=1e-5)


def test_fine_tuning_finds_out_what_a_model_makes_of_padding(tmp_path):
    tokenizer, said = byte_tokenizer(), []
    model = tiny_model("RWKV", len(tokenizer))
    examples = [Example("Where does Liz live?", "London"), Example("Who?", "Rome")]
    settings = FinetuneSettings(steps=1, batch_size=2, precision="float32")
    finetune(model, tokenizer, examples, settings, seed=0, folder=tmp_path / "rwkv", say=said.append)
    assert said[0].startswith("RwkvForCausalLM is scored by one pass for each prompt and answer")
    encoder = tiny_model("BERT", len(tokenizer))
    with pytest.raises(ValueError, match="`model` must be causal; in BertLMHeadModel"):
        finetune(encoder, tokenizer, examples, settings, seed=0, folder=tmp_path / "bert")


@pytest.mark.parametrize("name", ["Mamba", "BLOOM (ALiBi)", "Mistral, window of 8", "GPT-2"])
def test_greedy_answers_do_not_depend_on_the_batch(name):
    tokenizer = byte_tokenizer()
    model = tiny_model(name, len(tokenizer))
    prompts = ["Where does Liz live?", "Who?", "Wiesa lives in Warsaw. Where?", "Why?"]
    together = generate(model, tokenizer, prompts, max_new_tokens=6)
    assert together == [generate(model, tokenizer, [prompt], max_new_tokens=6)[0] for prompt in prompts]
