"""Data of people's own: rows as a chat template renders them, what is learned, what is refused, and the study."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from architectures import tiny_model
from local_model import byte_tokenizer, save_local_model
from test_templates import CASES, tokenizer_of

from gating.cli import main
from gating.results.parquet import read_table
from gating.runs.folder import TABLE
from llm_finetune.collection import load_collection
from llm_finetune.config import FinetuneConfig
from llm_finetune.conversations import passages
from llm_finetune.finetune import finetune
from llm_finetune.loss import answer_loss
from llm_finetune.mixtures import Mixture, PromptStream
from llm_finetune.own_data import data_rows
from llm_finetune.prompts import IGNORED, Example, Prompter, Row
from llm_finetune.settings import FinetuneSettings
from theory.settings import SpecError

TALK = [
    {"role": "user", "content": "Where does Liz live?"},
    {"role": "assistant", "content": "In Rome."},
    {"role": "user", "content": "And Tom?"},
    {"role": "assistant", "content": "In Oslo, I think."},
]
SYSTEM = {"role": "system", "content": "Answer in few words."}
APART = ("QWEN3", "GPT_OSS")
"""Templates that write an earlier turn otherwise than the last one."""


def silent(line):
    raise AssertionError(line)


def learned(tokenizer, row):
    """Texts of the spans that are learned."""
    spans, before = [], IGNORED
    for label in row.labels:
        if label != IGNORED:
            spans = [*spans, [label]] if before == IGNORED else [*spans[:-1], [*spans[-1], label]]
        before = label
    return [tokenizer.decode(span) for span in spans]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_conversations_are_as_the_template_renders_them(name, keep):
    tokenizer = tokenizer_of(name)
    prompter = Prompter(tokenizer, chat=True, system=keep)
    found = passages(prompter.template, TALK, "every")
    assert len(found) == (2 if name in APART else 1)
    rows = data_rows([{"messages": TALK}], prompter, say=silent)
    closing = prompter.closing
    assert [text.strip() for row in rows for text in learned(tokenizer, row)] in (
        [f"In Rome.{closing}", f"In Oslo, I think.{closing}"],
        ["In Rome. </s>", "In Oslo, I think. </s>"],
    )
    for passage, row in zip(found, rows, strict=True):
        turns = 2 if name in APART and passage is found[0] else 4
        whole = tokenizer.apply_chat_template(TALK[:turns], tokenize=False)
        assert not passage.ends
        said = passage.text.removesuffix(closing)
        assert whole.startswith(said) if keep else whole.endswith(whole[whole.index(TALK[0]["content"]) :])
        assert said[said.index("Where") :] == whole[whole.index("Where") :][: len(said) - said.index("Where")]
        assert row.prompt + row.answer == tokenizer(passage.text, add_special_tokens=False)["input_ids"]
    last = data_rows([{"messages": TALK}], prompter, learn="last", say=silent)
    assert [text.strip() for row in last for text in learned(tokenizer, row)] == [
        text.strip() for text in learned(tokenizer, rows[-1])[-1:]
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_question_and_its_answer_are_tokens_of_the_study(name):
    tokenizer = tokenizer_of(name)
    prompter = Prompter(tokenizer, chat=True)
    (row,) = data_rows([{"prompt": "Who?", "completion": "Rome"}], prompter, say=silent)
    torch.manual_seed(0)
    model = tiny_model("Llama", len(tokenizer))
    wanted = answer_loss(model, tokenizer, [Example(prompter.render("Who?"), "Rome")], closing=prompter.closing)
    assert answer_loss(model, tokenizer, [row]).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_a_system_turn_is_kept_and_one_that_a_template_refuses_is_named():
    tokenizer = tokenizer_of("LLAMA_3")
    (row,) = data_rows([{"messages": [SYSTEM, *TALK]}], Prompter(tokenizer, chat=True), say=silent)
    assert SYSTEM["content"] in tokenizer.decode(row.prompt)
    with pytest.raises(SpecError, match=r"row 1: the chat template does not take .* \(System role not supported\)"):
        data_rows([{"messages": [SYSTEM, *TALK]}], Prompter(tokenizer_of("GEMMA"), chat=True))


THINKING = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}{% else %}"
    "{% set parts = m.content.split('</think>') %}{{ '<|im_start|>assistant\n' }}"
    "{% if loop.last %}{{ '<think>\n' + (parts[0].replace('<think>', '').strip() if parts|length > 1 else '') }}"
    "{{ '\n</think>\n\n' }}{% endif %}{{ parts[-1].strip() + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_reasoning_is_learned_where_the_template_keeps_it_and_refused_where_it_is_lost():
    said = "<think>She moved.</think>In Rome."
    talk = [TALK[0], {"role": "assistant", "content": said}, *TALK[2:]]
    tokenizer = byte_tokenizer(THINKING)
    rows = data_rows([{"messages": talk}], Prompter(tokenizer, chat=True), say=silent)
    assert [text for row in rows for text in learned(tokenizer, row)] == [
        "<think>\nShe moved.\n</think>\n\nIn Rome.<|im_end|>",
        "In Oslo, I think.<|im_end|>",
    ]
    assert "She moved" not in tokenizer.decode(rows[1].prompt)
    with pytest.raises(SpecError, match="row 1: the chat template does not render all of message 2, the assistant's"):
        data_rows([{"messages": talk}], Prompter(tokenizer_of("QWEN3"), chat=True))


def test_plain_text_stands_as_it_is_and_messages_need_a_template(tokenizer):
    prompter = Prompter(tokenizer, chat=False)
    (row,) = data_rows([{"prompt": "Once upon a", "completion": " time Lon"}], prompter, say=silent)
    assert tokenizer.decode(row.prompt) == "Once upon a"
    assert learned(tokenizer, row) == [" time Lon<end>"]
    with pytest.raises(SpecError, match="row 1: messages need a chat template, and `chat` is plain"):
        data_rows([{"messages": TALK}], prompter)


def test_of_a_completion_in_messages_only_that_is_learned():
    tokenizer = tokenizer_of("QWEN2_5")
    (row,) = data_rows([{"prompt": TALK[:3], "completion": TALK[3:]}], Prompter(tokenizer, chat=True), say=silent)
    assert learned(tokenizer, row) == ["In Oslo, I think.<|im_end|>"]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_loss_of_a_conversation_is_the_mean_over_its_learned_tokens(make_model, tokenizer, kind):
    model = make_model(kind)
    rows = [
        Row([5, 6, 7], [8, 9, 10, 11, 12], [8, 9, IGNORED, IGNORED, 12]),
        Row([20], [21, 22], [21, 22]),
    ]
    total = 0.0
    for row in rows:
        logits = model(input_ids=torch.tensor([row.prompt + row.answer])).logits[0].log_softmax(-1)
        for k, label in enumerate(row.labels):
            total -= logits[len(row.prompt) + k - 1, label].item() if label != IGNORED else 0.0
    assert answer_loss(model, tokenizer, rows).item() == pytest.approx(total / 5, rel=1e-5)
    parts = [answer_loss(model, tokenizer, rows, slice(k, None, 2)).item() for k in range(2)]
    assert sum(parts) == pytest.approx(total / 5, rel=1e-5)


BAD = [
    ('{"prompt": "Hi"}', "must have `prompt` and `completion`, or `messages`; it has ['prompt']"),
    ('{"prompt": " ", "completion": "Ho"}', "`prompt` must be a text that is not blank; got ' '"),
    ('{"prompt": "Hi", "completion": [{"role": "assistant", "content": "Ho"}]}', "must both be texts, or both lists"),
    ('{"messages": []}', "`messages` must be a list of messages; got []"),
    ('{"messages": [{"role": "tool", "content": "x"}]}', "`role` of message 1 in `messages` must be one of"),
    ('{"messages": [{"role": "user", "content": "x"}]}', "must end with a message of the assistant; got 'user'"),
    ('{"messages": [{"role": "assistant", "content": ""}]}', "`content` of message 1 in `messages` must be a text"),
    (json.dumps({"messages": [TALK[0], SYSTEM, TALK[1]]}), "`role` of message 2 in `messages` must not be 'system'"),
    ("[1]", "must be a JSON object; got [1]"),
    ("{", "must be a JSON object; Expecting property name enclosed in double quotes at column 2"),
]


@pytest.mark.parametrize(("line", "sentence"), BAD)
def test_a_malformed_line_is_named_with_its_number(tmp_path, line, sentence):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "Hi", "completion": "Ho"}\n\n' + line + "\n")
    with pytest.raises(SpecError) as caught:
        data_rows(file, Prompter(tokenizer_of("LLAMA_3"), chat=True))
    assert all(problem.startswith(f"{file}, line 3: ") for problem in caught.value.problems)
    assert sentence in str(caught.value)


def test_of_many_problems_the_first_are_told(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "Hi"}\n' * 30)
    with pytest.raises(SpecError) as caught:
        data_rows(file, Prompter(tokenizer_of("LLAMA_3"), chat=True))
    assert caught.value.problems[-1] == "and 10 more problems of the data"


def test_a_file_of_lines_parquet_and_a_datasets_table_give_the_same_rows(tmp_path):
    datasets = pytest.importorskip("datasets")
    held = [{"messages": TALK, "id": 1}, {"messages": TALK[:2], "id": 2}]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    pd.DataFrame(held).to_parquet(tmp_path / "mine.parquet")
    prompter = Prompter(tokenizer_of("LLAMA_3"), chat=True)
    wanted = data_rows(held, prompter, say=silent)
    assert len(wanted) == 2
    for given in (tmp_path / "mine.jsonl", str(tmp_path / "mine.parquet"), datasets.Dataset.from_list(held)):
        assert data_rows(given, prompter, say=silent) == wanted
    (tmp_path / "broken.parquet").write_bytes(b"no table")
    for file in ("broken.parquet", "nowhere.jsonl"):
        with pytest.raises(SpecError, match=r"`data\.file` must be"):
            data_rows(tmp_path / file, prompter)


def test_long_rows_are_cut_where_that_is_asked_for_and_refused_otherwise(tokenizer):
    prompter, said = Prompter(tokenizer, chat=False), []
    pairs = (("abc", "def"), ("a", "b" * 20), ("a" * 20, "b"))
    rows = [{"prompt": prompt, "completion": completion} for prompt, completion in pairs]
    found = data_rows(rows, prompter, max_length=10, say=said.append)
    assert [len(row.prompt) + len(row.answer) for row in found] == [7, 10]
    assert learned(tokenizer, found[1]) == ["b" * 9]
    what = (
        "2 of 3 rows are longer than 10 tokens, and are cut; 1 of them had nothing to learn before that, and are left"
    )
    assert said == [f"{what} out"]
    with pytest.raises(SpecError) as caught:
        data_rows(rows, prompter, context=10)
    assert caught.value.problems == [
        f"row {k}: 22 tokens do not fit into the model's context of 10; `max_length` cuts rows" for k in (2, 3)
    ]
    with pytest.raises(SpecError, match="must hold one or more rows with something to learn; got none"):
        data_rows(rows[2:], prompter, max_length=10, say=said.append)


def test_the_function_learns_rows(make_model, tokenizer, tmp_path):
    rows = data_rows([{"prompt": "Liz?", "completion": "London"}], Prompter(tokenizer, chat=False), say=silent)
    settings = FinetuneSettings(steps=30, batch_size=1, learning_rate=1e-2, precision="float32")
    tuned = finetune(make_model(), tokenizer, rows, settings, seed=0, folder=tmp_path, say=lambda line: None)
    assert answer_loss(tuned, tokenizer, rows).item() < 0.5


def test_a_stream_goes_through_all_rows_in_each_pass_and_mixes_reading_in(tokenizer):
    rows = [Row([k], [k], [k]) for k in range(10)]
    people, prompter = load_collection("people"), Prompter(None, chat=False)
    only = PromptStream(people, Mixture.parse("data=1"), prompter, seed=0, data=rows)
    passes = [only.batch(step, 10) for step in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == rows
    assert passes[0] != passes[1]
    mixed = PromptStream(people, Mixture.parse("data=0.75 reading=0.25"), prompter, seed=0, data=rows)
    drawn = mixed.batch(0, 1000)
    assert sum(isinstance(example, Row) for example in drawn) == pytest.approx(750, abs=3)
    assert all(isinstance(example, (Row, Example)) for example in drawn)
    with pytest.raises(SpecError, match="`data` must hold rows where a mixture has a share of them"):
        PromptStream(people, Mixture.parse("data=1"), prompter, seed=0)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    return save_local_model(tmp_path_factory.mktemp("model") / "gpt2")


def test_the_study_measures_what_ones_own_data_cost_with_and_without_prompts_to_be_read(local, tmp_path, capsys):
    mine, model = tmp_path / "mine.jsonl", shutil.copytree(local, tmp_path / "model")
    mine.write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in (TALK, TALK[:2], [SYSTEM, *TALK])))
    asked = ["finetune", "--model", str(model), "--data.file", str(mine), "--facts_per_group", "2", "--workers", "1",
             "--mixtures", "[data=1, data=0.5 reading=0.5]", "--training.steps", "3", "--training.batch_size", "4",
             "--out", str(tmp_path / "run")]  # fmt: skip
    assert main(asked) == 0
    table = read_table(tmp_path / "run" / TABLE)
    last = table[(table["step"] == 3) & (table["kind"] == "measured") & ~table["answer"]]
    assert set(last["mixture"]) == {"data=1", "data=0.5 reading=0.5"}
    assert set(last["share"]) == {0.0, 0.5}
    asked_for = table[table["measure"] == "exposures"].dropna(subset="mixture")
    assert set(asked_for["value"]) == {0.0}
    assert "data 50%, reading 50%" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    mine.write_text(mine.read_text().replace("Oslo", "Bern"))
    assert main(asked) == 2
    assert f"the content of `data.file` {mine}" in capsys.readouterr().err
    mine.write_text(mine.read_text() + '{"prompt": "Hi"}\n')
    assert main([*asked[:-1], str(tmp_path / "other")]) == 2
    assert f"{mine}, line 4: must have `prompt` and `completion`" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"data": {"file": "here"}}, "`mixtures` must have a share of 'data', as in 'data=0.98 reading=0.02', where"),
        ({"mixtures": ["data=1"]}, "and there alone; got ['data=1'] and no file"),
        ({"data": {"file": "nowhere.jsonl"}, "mixtures": ["data=1"]}, "`data.file` must be an existing file"),
        ({"data": {"learn": "first"}}, "`data.learn` must be one of ('every', 'last'); got 'first'"),
        ({"data": {"max_length": 1}}, "`data.max_length` must be an integer >= 2, or null; got 1"),
    ],
)
def test_bad_settings_are_named(given, sentence, tmp_path):
    (tmp_path / "here").write_text("")
    if given.get("data", {}).get("file") == "here":
        given = {"data": {"file": str(tmp_path / "here")}}
    with pytest.raises(SpecError) as caught:
        FinetuneConfig(**given)
    assert sentence in str(caught.value)
