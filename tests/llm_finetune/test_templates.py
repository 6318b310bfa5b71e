"""Prompts of chat templates: with answer and closing text they are the conversation that the template renders."""

import pytest
import templates
from local_model import byte_tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from llm_finetune.prompts import Prompter
from llm_finetune.tokens import end_tokens, split
from theory.settings import SpecError

CHATML = ["<|im_start|>", "<|im_end|>"]
QUESTION, ANSWER = "Where does Liz live?", "Rome"
CASES = {
    # template, special tokens, first and end token; prompt without a system prompt, closing text, system prompt kept
    "QWEN3": (
        [*CHATML, "<think>", "</think>"], None, "<|im_end|>",
        "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", "<|im_end|>", "",
    ),
    "GPT_OSS": (
        ["<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>"], None, "<|return|>",
        "<|start|>user<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>", "<|return|>",
        "<|start|>system<|message|>You are ChatGPT",
    ),
    "PHI_3_5": (
        ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"], None, "<|endoftext|>",
        "<|user|>\n{}<|end|>\n<|assistant|>\n", "<|end|>", "",
    ),
    "GEMMA": (
        ["<start_of_turn>", "<end_of_turn>"], "<bos>", "<eos>",
        "<bos><start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>", "",
    ),
    "GLM_4": (
        ["[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"], None, "<|endoftext|>",
        "[gMASK]<sop><|user|>\n{}<|assistant|>\n", "<|user|>", "",
    ),
    "LLAMA_3": (
        ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|begin_of_text|>", "<|end_of_text|>",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>", "",
    ),
    "LLAMA_3_1": (
        ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|begin_of_text|>", "<|eot_id|>",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date",
    ),
    "QWEN2_5": (
        CHATML, None, "<|im_end|>", "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>",
        "<|im_start|>system\nYou are Qwen",
    ),
    "COMMAND_R7B": (
        ["<|START_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|START_RESPONSE|>",
         "<|END_RESPONSE|>"], "<BOS>", "<|END_OF_TURN_TOKEN|>",
        "<BOS><|START_OF_TURN_TOKEN|><|USER_TOKEN|>{}<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"
        "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<BOS><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|># System",
    ),
    "LLAMA_2": ([], "<s>", "</s>", "<s>[INST] {} [/INST] ", " </s>", ""),
    "DEEPSEEK_R1": (
        ["<|User|>", "<|Assistant|>"], "<|bos|>", "<|eos|>", "<|bos|><|User|>{}<|Assistant|>", "<|eos|>", "",
    ),
}  # fmt: skip


def tokenizer_of(name):
    special, first, end = CASES[name][:3]
    tokenizer = byte_tokenizer(getattr(templates, name).strip())
    tokenizer.add_special_tokens({"eos_token": end} | ({"bos_token": first} if first else {}))
    tokenizer.add_tokens(special, special_tokens=True)
    return tokenizer


def conversation(tokenizer, **how):
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    return tokenizer.apply_chat_template(messages, **how)


@pytest.mark.parametrize("name", CASES)
def test_prompt_answer_and_closing_text_are_the_conversation(name):
    *_, closing, system = CASES[name]
    tokenizer = tokenizer_of(name)
    prompter = Prompter(tokenizer, chat=True, system=True)
    prompt, whole = prompter.render(QUESTION), conversation(tokenizer, tokenize=False)
    assert prompt.startswith(system)
    assert prompter.closing == closing
    if name != "GLM_4":  # whose turns end with the next one
        assert whole.startswith(prompt + ANSWER + closing)
        assert whole.removeprefix(prompt + ANSWER + closing).strip() in ("", tokenizer.eos_token)
    (tokens,) = split(tokenizer, [prompt], [[prompter.answer(text) for text in (ANSWER, "Rom", "Paris")]], closing)
    ids = conversation(tokenizer, return_dict=False)
    n_closing = 1 if name == "GLM_4" else 0
    answer = tokens.answers[0]
    assert [*tokens.prompt, *answer[: len(answer) - n_closing]] == ids[: len(tokens.prompt) + len(answer) - n_closing]
    assert prompt.startswith(tokenizer.decode(tokens.prompt))
    assert len(prompt) - len(tokenizer.decode(tokens.prompt)) <= 1  # a space may be the answer's


@pytest.mark.parametrize("name", CASES)
def test_a_system_prompt_of_the_template_is_left_out_and_what_begins_every_text_is_not(name):
    _, _, _, wanted, closing, system = CASES[name]
    dropped, kept = (Prompter(tokenizer_of(name), chat=True, system=keep) for keep in (False, True))
    assert dropped.render(QUESTION, ["Liz lives in Rome."]) == wanted.format(f"Liz lives in Rome. {QUESTION}")
    assert dropped.closing == closing
    assert (kept.render(QUESTION) == dropped.render(QUESTION)) == (system == "")
    begins = [token for token in (CASES[name][1], "[gMASK]<sop>") if token and wanted.startswith(token)]
    assert kept.render(QUESTION).endswith(dropped.render(QUESTION).removeprefix("".join(begins)))


def test_a_free_answer_ends_where_the_model_ends_its_turn():
    tokenizer = tokenizer_of("GEMMA")
    closing = Prompter(tokenizer, chat=True).closing
    assert tokenizer.decode(end_tokens(None, tokenizer, closing)) in ("<eos><end_of_turn>", "<end_of_turn><eos>")


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{ raise_exception('tools only') }}", r"renders no plain conversation \(tools only\)"),
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", "does not write an answer once"),
        ("{{ 'Be brief. ' }}{% for m in messages %}{{ m.content + loop.index|string }}{% endfor %}", "cannot be told"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_a_sentence(template, sentence):
    with pytest.raises(SpecError, match=sentence) as caught:
        Prompter(byte_tokenizer(template), chat=True)
    assert "\n" not in str(caught.value).strip()


def test_a_template_without_special_tokens_closes_answers_with_the_end_token():
    turn = "{{ ('Question: ' if m.role == 'user' else 'Answer: ') + m.content + '\n' }}"
    plain = "{% for m in messages %}" + turn + "{% endfor %}"
    prompter = Prompter(byte_tokenizer(plain), chat=True)
    assert prompter.render("Who?") == "Question: Who?\nAnswer: "
    assert prompter.closing is None


def sentencepiece_like():
    """A tokenizer that puts a space before every text, and takes a space and a word as one token."""
    words = ["[INST]", "[/INST]", "Who", "Rome", "Romeo", "Rom"]
    tokens = ["<unk>", "<s>", "</s>", "▁", *(f"▁{word}" for word in words), *sorted({*"".join(words)})]
    core = Tokenizer(models.Unigram([(token, -float(len(token) < 2)) for token in tokens], unk_id=0))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def test_the_space_before_an_answer_is_part_of_its_first_token():
    tokenizer = sentencepiece_like()
    tokenizer.chat_template = templates.LLAMA_2.strip()
    prompter = Prompter(tokenizer, chat=True)
    prompt = prompter.render("Who")
    assert prompt == "<s>[INST] Who [/INST] "
    (tokens,) = split(tokenizer, [prompt], [["Rome", "Rom"]], prompter.closing)
    assert tokenizer.convert_ids_to_tokens(tokens.prompt)[-1] == "▁[/INST]"
    assert [tokenizer.convert_ids_to_tokens(row)[0] for row in tokens.answers] == ["▁Rome", "▁Rom"]
    assert {row[-1] for row in tokens.answers} == {tokenizer.eos_token_id}
    (plain,) = split(tokenizer, ["Who"], [[" Rome", " Rom"]])
    assert [tokenizer.convert_ids_to_tokens(row) for row in plain.answers] == [["▁Rome", "</s>"], ["▁Rom", "</s>"]]


def test_a_token_across_the_border_belongs_to_the_answers(tokenizer):
    (tokens,) = split(tokenizer, ["Who? L"], [["on", "k"]])  # " Lon" is one token
    assert tokenizer.decode(tokens.prompt) == "Who?"
    assert [tokenizer.decode(row) for row in tokens.answers] == [" Lon<end>", " Lk<end>"]
    with pytest.raises(ValueError, match="a prompt must have a token of its own before its answers; got 'L'"):
        split(tokenizer, ["L"], [["on", "k"]])


def test_what_a_tokenizer_puts_before_every_text_begins_a_plain_prompt():
    from tokenizers.processors import TemplateProcessing

    tokenizer = tokenizer_of("GLM_4")
    pair = [(text, tokenizer.convert_tokens_to_ids(text)) for text in ("[gMASK]", "<sop>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="[gMASK] <sop> $A", special_tokens=pair)
    assert Prompter(tokenizer, chat=False).render("Who?") == "[gMASK]<sop>Who?\nAnswer:"
