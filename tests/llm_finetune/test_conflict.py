"""The study `conflict` on a small model with random weights: table, page and samples, and settings that are refused."""

import html
import json

import numpy as np
import pandas as pd
import pytest
from local_model import save_local_model

from gating.cli import main
from gating.page.chart import specification
from gating.page.said import in_lines
from gating.results.query import select
from gating.results.table import key_names
from gating.runs.engine import run
from gating.runs.executor import Resources
from gating.runs.options import RunOptions
from llm_finetune.asking import EXAMPLES
from llm_finetune.conflict.bench import answer_suite
from llm_finetune.conflict.config import ConflictConfig
from llm_finetune.conflict.importers import import_rows
from llm_finetune.conflict.page import conflict_page
from llm_finetune.conflict.prompts import CONTENT_FREE, draw_prompts
from llm_finetune.conflict.shares import WAYS
from llm_finetune.conflict.study import Conflict
from llm_finetune.conflict.verdict import conflict_verdict
from llm_finetune.models import load_model
from llm_finetune.prompts import Prompter
from llm_finetune.score import score_candidates
from theory.settings import SpecError, build

CONFLICT = Conflict()
SMALL = {"items_per_group": 2, "long_sentences": 1, "distractors": 1, "n_resamples": 100, "folds": 2}


def quiet(**how) -> Resources:
    return Resources(say=how.pop("say", lambda line: None), **how)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_local_model(tmp_path_factory.mktemp("models") / "tiny", n_positions=1024)


@pytest.fixture(scope="module")
def finished(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("conflict") / "run"
    config = ConflictConfig(models=str(model), **SMALL)
    return config, out, run(CONFLICT, config, out, quiet())


def test_a_table_a_page_and_every_sample(finished):
    config, out, table = finished
    assert not table.duplicated(key_names(table)).any()
    verdict = conflict_verdict(config, table)
    assert verdict[0].startswith('"tiny" ')
    assert in_lines(verdict) in CONFLICT.text(config, table)
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert [sentence for sentence in verdict if sentence not in page] == []
    samples = pd.read_parquet(out / "parts" / "samples" / "samples.parquet")
    assert not samples.duplicated(["model", "prompt_number", "candidate"]).any()
    assert len(samples) == 5 * len(config.asked)
    assert samples["said"].notna().sum() == 5 * sum(a.condition in config.said_in for a in config.asked)
    lines = [json.loads(line) for line in (out / EXAMPLES).read_text(encoding="utf-8").splitlines()]
    assert {line["way"] for line in lines} == {*WAYS}
    assert all(line["stated"] != line["own"] for line in lines)
    assert [w["chosen"] == w["own"] for w in lines] == [w["way"] == "prior_kept" for w in lines]
    assert [w["chosen"] == w["stated"] for w in lines] == [w["way"] == "context_followed" for w in lines]


def test_shares_of_the_three_ways_sum_to_one_and_are_counted_from_samples(finished):
    _, out, table = finished
    samples = pd.read_parquet(out / "parts" / "samples" / "samples.parquet")
    chosen = samples.loc[samples.groupby("prompt_number")["log_prob"].idxmax()]
    own = chosen[chosen["condition"] == "no_context"].set_index("item")["candidate"]
    here = chosen[chosen["condition"] == "contradicting"]
    prior = here["item"].map(own)
    conflict = here[(prior == here["target"]) & (here["stated"] != prior)]
    by_hand = {
        "prior_kept": (conflict["candidate"] == conflict["target"]).mean(),
        "context_followed": (conflict["candidate"] == conflict["stated"]).mean(),
    }
    where = {"judge": "score", "context": "contradicting", "case": "prior_right", "group": "all"}
    for way, value in by_hand.items():
        found = select(table, {**where, "measure": way})
        assert found["value"].item() == pytest.approx(value)
        assert not found["low"].item() > value
        assert not found["high"].item() < value
    ways = table[table["measure"].isin(WAYS) & table["case"].notna()]
    sums = ways.groupby(["judge", "context", "case", "group"])["value"].sum()
    np.testing.assert_allclose(sums, 1)
    plain = select(table, {"gate": "plain", "measure": "context_bias"})
    followed = select(table, {**where, "measure": "context_followed"})
    np.testing.assert_array_equal(*(rows[["value", "low", "high"]].to_numpy(float) for rows in (plain, followed)))


def test_bins_hold_equal_numbers_and_sizes_are_those_of_the_suite(finished):
    config, _, table = finished
    confidence = select(table, {"measure": "prior_confidence"}).sort_values("bin")
    assert confidence["bin"].tolist() == [0, 1, 2, 3, 4]
    assert confidence["value"].is_monotonic_increasing
    assert {*table["size"].dropna()} == {*config.questions.sizes}


def test_a_finished_run_is_read(finished):
    config, out, table = finished
    said: list[str] = []
    pd.testing.assert_frame_equal(run(CONFLICT, config, out, quiet(say=said.append)), table)
    assert "is finished; its table is used as it is" in said[0]


def test_samples_are_scores_of_the_model_and_content_free_prompts_are_averaged(model):
    loaded = load_model(str(model))
    suite = ConflictConfig(models=str(model)).questions
    asked = draw_prompts(suite, conditions=["no_context", "agreeing"], items_per_group=1)[:4]
    prompter = Prompter(loaded.tokenizer, chat=False)
    samples = answer_suite(loaded.model, prompter, suite.items, asked)
    for number, prompt in enumerate(asked):
        here = samples[samples["prompt_number"] == number]
        item = next(item for item in suite.items if item.id == prompt.item)
        assert here["candidate"].tolist() == [*item.candidates]
        texts = [prompter.render(prompt.question, prompt.sentences)]
        held = [prompter.answer(text) for text in item.candidates]
        wanted = score_candidates(loaded.model, loaded.tokenizer, texts, held).log_prob[0]
        np.testing.assert_allclose(here["log_prob"], wanted, atol=1e-5)
        free = score_candidates(loaded.model, loaded.tokenizer, [prompter.render(t) for t in CONTENT_FREE], held)
        np.testing.assert_allclose(np.exp(here["content_free"]), np.exp(free.log_softmax).mean(0), atol=1e-6)


def test_a_free_answer_that_names_no_candidate_competes_where_an_item_is_open(model):
    loaded = load_model(str(model))
    rows = [{"question": f"who {what} it", "org_context": "Ann did.", "org_answer": ["Ann"], "sub_context": "Cyd did.",
             "sub_answer": ["Cyd"]} for what in ("wrote", "sang")]  # fmt: skip
    suite = import_rows(rows, "nqswap")
    prompter = Prompter(loaded.tokenizer, chat=False)
    samples = answer_suite(
        loaded.model, prompter, suite.items, draw_prompts(suite, conditions=["no_context", "agreeing"])
    )
    for item in suite.items:
        here = samples[samples["item"] == item.id]
        own = here.loc[here["condition"] == "no_context", "said"].iloc[0].split("\n")[0].strip()
        assert [*dict.fromkeys(here["candidate"])] == ["Ann", "Cyd", *([own] if own else [])]


def test_every_figure_can_be_drawn_and_holds_the_table(finished):
    config, out, table = finished
    page = conflict_page("?", config, table, {EXAMPLES: (out / EXAMPLES).read_text()})
    figures = {figure.name: figure for figure in page.figures}
    assert [*figures] == ["three-ways", "by-confidence", "by-size", "gates"]
    for figure in figures.values():
        assert specification(figure, "page")["concat"]
    ways = figures["three-ways"].panels[0].layers[0].rows
    where = {"judge": "score", "context": "contradicting", "case": "prior_right", "group": "all"}
    assert ways["value"].tolist() == [
        select(table, {**where, "measure": way})["value"].item()
        for way in select(table, where)["measure"]
        if way in WAYS
    ]
    curve = figures["by-confidence"].panels[0].layers[0].rows
    assert curve["x"].is_monotonic_increasing
    assert any(block.title.startswith("Examples: ") for block in page.blocks)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"models": []}, "`models` must be one or more different texts; got []"),
        ({"models": ["a/x", "a/x/"]}, "`models` must be different models"),
        ({"conditions": ["no_context", "agreeing", "both"]}, "without ['contradicting']"),
        ({"conditions": "sure"}, "`conditions` must be"),
        ({"said_in": ["agreeing"]}, "`said_in` must be among `conditions`, 'no_context' one of them"),
        ({"suite": "none"}, "`suite` must be one of ('facts',), the folder of a suite"),
        ({"format": "other"}, "`format` must be one of"),
        ({"folds": 500}, "`folds` must be at most the number of items asked, 130; got 500"),
        ({"strength": -1.0}, "`strength` must be"),
    ],
)
def test_bad_settings_are_named(given, sentence):
    with pytest.raises(SpecError) as caught:
        build(ConflictConfig, {"models": "m", **given})
    assert sentence in str(caught.value)


def test_models_that_cannot_be_had_or_have_no_room_are_named(model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=r"`models` must be the folder of a model"):
        run(CONFLICT, ConflictConfig(models=str(tmp_path / "empty"), **SMALL), tmp_path / "run", quiet())
    small = save_local_model(tmp_path / "small")
    with pytest.raises(SpecError, match=r"must fit into the model's context of 256 tokens"):
        run(CONFLICT, ConflictConfig(models=str(small)), tmp_path / "run", quiet())
    assert not (tmp_path / "run").exists()


def test_any_number_of_models_stands_without_flags_and_a_dry_run_writes_nothing(model, tmp_path, capsys):
    config, options = CONFLICT.from_flags(["b", "x/1e3", "--chat", "plain", "--json"], RunOptions)
    assert (config.models, config.chat, options.json) == (("b", "x/1e3"), "plain", True)
    assert "usage: gating conflict [MODELS ...] [--name value ...]" in CONFLICT.help(RunOptions)
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    assert main(["conflict", str(model), *flags, "--out", str(tmp_path / "run"), "--dry-run", "--workers", "1"]) == 0
    assert "`conflict`, 2 parts, 1 worker thread(s) on cpu: about" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
    assert {*CONFLICT.presets()} == {"facts", "quick"}
