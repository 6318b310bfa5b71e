"""Every architecture is scored as one pass for each prompt and answer scores it, or refused in a sentence."""

from collections import Counter
from pathlib import Path

import pytest
import transformers
from architectures import ARCHITECTURES, scored, table, tiny_model
from local_model import byte_tokenizer

from llm_finetune.score import generate

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


@pytest.mark.parametrize("name", ["Mamba", "BLOOM (ALiBi)", "Mistral, window of 8", "GPT-2"])
def test_greedy_answers_do_not_depend_on_the_batch(name):
    tokenizer = byte_tokenizer()
    model = tiny_model(name, len(tokenizer))
    prompts = ["Where does Liz live?", "Who?", "Wiesa lives in Warsaw. Where?", "Why?"]
    together = generate(model, tokenizer, prompts, max_new_tokens=6)
    assert together == [generate(model, tokenizer, [prompt], max_new_tokens=6)[0] for prompt in prompts]
