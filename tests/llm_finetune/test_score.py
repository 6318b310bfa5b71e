"""Scores of candidates: equal to one forward pass for each pair of prompt and candidate."""

import numpy as np
import pytest
import torch
from architectures import tiny_model
from numpy.testing import assert_allclose
from transformers import GPT2Model, MistralConfig, MistralForCausalLM

from llm_finetune.adapters import adapted
from llm_finetune.score import CandidateScores, generate, score_candidates
from llm_finetune.tokens import encode, end_token
from llm_finetune.ways import known_way

PROMPTS = ["Where does Liz live?", "Who?", "Wiesa lives in the city of Warsaw. Where does Wiesa live?", "Who?"]
CANDIDATES = ["London", "Lon", "L", "Londonderry", " London", "Warsaw", "Lkkl"]  # beginnings of one another


def naive(model, tokenizer, prompts, candidates):
    """One unpadded pass for each pair."""
    scores = np.empty((len(prompts), len(candidates)))
    for i, prompt in enumerate(encode(tokenizer, prompts)):
        for j, answer in enumerate([*a, end_token(tokenizer)] for a in encode(tokenizer, candidates)):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
            scores[i, j] = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).double().sum()
    return scores


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_equal_to_the_naive_score(model, tokenizer, attention):
    model.set_attn_implementation(attention)
    scores = score_candidates(model, tokenizer, PROMPTS, CANDIDATES, batch_size=3)
    assert_allclose(scores.log_prob, naive(model, tokenizer, PROMPTS, CANDIDATES), atol=1e-5, rtol=0)


def test_batches_and_other_candidates_change_nothing(model, tokenizer):
    together = score_candidates(model, tokenizer, PROMPTS, CANDIDATES, batch_size=16).log_prob
    for i, prompt in enumerate(PROMPTS):
        alone = score_candidates(model, tokenizer, [prompt], CANDIDATES[::-1], batch_size=1).log_prob
        assert_allclose(alone[0, ::-1], together[i], atol=1e-5, rtol=0)
    assert_allclose(score_candidates(model, tokenizer, PROMPTS, ["Lon"]).log_prob[:, 0], together[:, 1], atol=1e-5)


def test_probabilities_of_all_short_answers_sum_to_at_most_one(model, tokenizer):
    letters = [chr(code) for code in range(33, 127)]
    total = np.exp(score_candidates(model, tokenizer, PROMPTS, letters).log_prob).sum(axis=1)
    assert (total > 0).all()
    assert (total < 1).all()


def test_counts_normalises_and_compares():
    scores = CandidateScores(np.log([[0.2, 0.1, 0.1]]), np.array([1, 2, 4]))
    assert_allclose(np.exp(scores.log_softmax), [[0.5, 0.25, 0.25]])
    assert_allclose(np.exp(scores.normalised), [[0.2, 0.1**0.5, 0.1**0.25]])
    assert_allclose(np.exp(scores.margin(np.array([0]), np.array([2]))), [2.0])


def test_tokens_of_a_candidate_count_the_end_token(model, tokenizer):
    assert score_candidates(model, tokenizer, ["Who?"], ["Lon", "London"]).n_tokens.tolist() == [[2, 3]]


def test_the_mode_of_the_model_is_kept(make_model, tokenizer):
    model = make_model(dropout=0.5).train()
    twice = [score_candidates(model, tokenizer, PROMPTS, CANDIDATES).log_prob for _ in range(2)]
    assert (twice[0] == twice[1]).all()
    assert model.training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scores_are_in_float32_whatever_the_model_is_trained_in(make_model, tokenizer, dtype):
    exact, small = make_model(), make_model().to(dtype)
    for parameter, rounded in zip(exact.parameters(), small.parameters(), strict=True):
        parameter.data.copy_(rounded)
    wanted = score_candidates(exact, tokenizer, PROMPTS, CANDIDATES).log_prob
    assert (score_candidates(small, tokenizer, PROMPTS, CANDIDATES).log_prob == wanted).all()
    assert {p.dtype for p in small.parameters()} == {dtype}
    with torch.autocast("cpu", torch.bfloat16):
        assert (score_candidates(exact, tokenizer, PROMPTS, CANDIDATES).log_prob == wanted).all()
    assert generate(small, tokenizer, PROMPTS) == generate(exact, tokenizer, PROMPTS)


def test_a_way_is_chosen_once_and_again_at_a_longer_prompt(tokenizer):
    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, intermediate_size=64, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=16, initializer_range=0.3,
    )  # fmt: skip
    model, said = MistralForCausalLM(config).eval(), []
    for prompts, way in ((["Who?"], "tree"), (PROMPTS, "prefix"), (["Who?"], "prefix")):
        found = score_candidates(model, tokenizer, prompts, CANDIDATES, say=said.append).log_prob
        assert_allclose(found, naive(model, tokenizer, prompts, CANDIDATES), atol=1e-5, rtol=0)
        assert known_way(model) == way
    (line,) = said
    assert line.startswith("MistralForCausalLM is scored from one cached prefix for each prompt: by a tree of shared")
    assert line.endswith("nats off")


def test_a_single_candidate_does_not_hide_that_the_tree_is_wrong(tokenizer):
    model = tiny_model("Mamba 2", len(tokenizer))
    for candidates in (["Lon"], CANDIDATES):
        found = score_candidates(model, tokenizer, PROMPTS, candidates, say=lambda line: None).log_prob
        assert_allclose(found, naive(model, tokenizer, PROMPTS, candidates), atol=1e-5, rtol=0)


def test_an_answer_is_closed_by_what_closes_it(model, tokenizer):
    found = score_candidates(model, tokenizer, PROMPTS, ["Lon", "Rome"], closing="!")
    assert found.n_tokens.tolist() == [[2, 5]] * 4
    longer = score_candidates(model, tokenizer, PROMPTS, ["Lon!", "Rome!"])
    assert (found.log_prob > longer.log_prob).all()  # which has an end token more


def test_a_model_that_predicts_nothing_is_refused_in_a_sentence(make_model, tokenizer):
    model = make_model()
    model.lm_head.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="`model` must predict finite log-probabilities; GPT2LMHeadModel gives nan"):
        score_candidates(model, tokenizer, PROMPTS, CANDIDATES)
    with pytest.raises(ValueError, match="`model` must predict tokens; GPT2Model does not"):
        score_candidates(GPT2Model(make_model().config).eval(), tokenizer, PROMPTS, CANDIDATES)


def test_greedy_answers_do_not_depend_on_the_batch(model, tokenizer):
    together = generate(model, tokenizer, PROMPTS, max_new_tokens=6)
    assert together == [generate(model, tokenizer, [prompt], max_new_tokens=6)[0] for prompt in PROMPTS]
    assert len(set(together)) > 1


def test_the_greedy_answer_begins_with_the_likeliest_token(model, tokenizer):
    first = generate(model, tokenizer, PROMPTS, max_new_tokens=1)
    for prompt, answer in zip(encode(tokenizer, PROMPTS), first, strict=True):
        assert tokenizer.decode(model(input_ids=torch.tensor([prompt])).logits[0, -1].argmax()).strip() == answer


@pytest.mark.parametrize("own", [{"repetition_penalty": 3.0}, {"num_beams": 3}, {"suppress_tokens": [*range(100)]}])
@pytest.mark.parametrize("adapter", [False, True])
def test_the_generation_settings_that_a_model_comes_with_do_not_count(make_model, tokenizer, own, adapter):
    model = adapted(make_model("llama"), 2 if adapter else None, 4.0, 0)
    plain = generate(model, tokenizer, PROMPTS)
    base = model.get_base_model() if adapter else model
    base.generation_config.update(**own)
    held = base.generation_config
    assert generate(model, tokenizer, PROMPTS) == plain
    assert base.generation_config is held


@pytest.mark.parametrize(
    ("prompts", "candidates", "message"),
    [
        ([], ["L"], r"`prompts` and `candidates` must not be empty; got 0 and 1"),
        (["Who?"], [], r"`prompts` and `candidates` must not be empty; got 1 and 0"),
        (["Who?"], ["L", ""], r"at least one token; got ''"),
        ([""], ["L"], r"at least one token; got ''"),
        (["Who?"], ["L", "Lon", "L"], r"no two `candidates` may have the same tokens; got 'L' and 'L'"),
        (["Who? " * 60], ["L"], r"context of 128 tokens; \d+ are needed for 'Who\? Who"),
    ],
)
def test_bad_prompts_and_candidates_are_named(model, tokenizer, prompts, candidates, message):
    with pytest.raises(ValueError, match=message):
        score_candidates(model, tokenizer, prompts, candidates)


@pytest.mark.parametrize("function", [score_candidates, generate])
def test_bad_batch_size(model, tokenizer, function):
    candidates = (["L"],) if function is score_candidates else ()
    with pytest.raises(ValueError, match="`batch_size` must be an integer >= 1; got 0"):
        function(model, tokenizer, ["Who?"], *candidates, batch_size=0)


def test_a_tokenizer_without_end_token_is_named(model, tokenizer):
    class Endless:
        eos_token_id = None

        def __call__(self, texts, add_special_tokens):
            return tokenizer(texts, add_special_tokens=add_special_tokens)

    with pytest.raises(ValueError, match="`tokenizer` must have an end token"):
        score_candidates(model, Endless(), ["Who?"], ["L"])
