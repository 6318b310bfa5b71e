"""The study `probe` on small models with random weights, and its intervals on outcomes that are made by hand."""

import html
import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from small_suite import small_suite
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from gating.cli import main
from gating.page.said import in_lines
from gating.results.parquet import read_table
from gating.results.query import select
from gating.results.table import key_names
from gating.runs.catalogue import find_study
from gating.runs.engine import run
from gating.runs.executor import Resources
from gating.runs.options import RunOptions
from llm_finetune.abilities import ABILITIES, prompt_values
from llm_finetune.adapters import adapted, load_tuned, written
from llm_finetune.asking import EXAMPLES, names_of
from llm_finetune.collection import load_collection
from llm_finetune.conditions import CHANGES
from llm_finetune.config import FinetuneConfig
from llm_finetune.measure import answer_records
from llm_finetune.models import load_model
from llm_finetune.probe.bench import ask
from llm_finetune.probe.config import ProbeConfig
from llm_finetune.probe.page import HEADINGS
from llm_finetune.probe.study import Probe
from llm_finetune.probe.verdict import probe_verdict
from llm_finetune.prompts import prompter_of
from llm_finetune.samples import answers_of, sample_table
from tests.golden.settings import save_model
from theory.settings import SpecError, build

PROBE = Probe()
SMALL = {"prompts_per_fact": 1, "facts_per_group": 3}


def quiet(**how) -> Resources:
    return Resources(say=how.pop("say", lambda line: None), **how)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model, two others with its weights disturbed, and an adapter on it."""
    root = tmp_path_factory.mktemp("models")
    save_model(root / "base")
    for seed in (1, 2):
        model = AutoModelForCausalLM.from_pretrained(root / "base")
        tuned(model, seed).save_pretrained(root / f"tuned-{seed}")
        AutoTokenizer.from_pretrained(root / "base").save_pretrained(root / f"tuned-{seed}")
    written(tuned(adapted(AutoModelForCausalLM.from_pretrained(root / "base"), 2, 4.0, 0), 3), root / "adapter")
    return root


def tuned(model, seed):
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def finished(models, tmp_path_factory):
    """A finished run on a collection with groups of facts and on a suite in three languages."""
    out = tmp_path_factory.mktemp("probe") / "run"
    names = [str(models / name) for name in ("base", "tuned-1", "adapter")]
    config = ProbeConfig(base=names[0], tuned=names[1:], suites=["frequency", str(small_suite(out.parent / "mine"))],
                         judge="score", **SMALL)  # fmt: skip
    return config, out, run(PROBE, config, out, quiet())


def test_a_table_a_page_and_every_sample(finished):
    config, out, table = finished
    assert not table.duplicated(key_names(table)).any()
    answers = table[table["answer"]]
    abilities = {*ABILITIES} - {"reversal", "reading_backward"}  # neither suite asks backward
    assert set(answers["measure"]) == {*abilities, *(f"{name}_change" for name in abilities), *CHANGES}
    assert set(answers["model"]) == {"base", "tuned-1", "adapter"}
    assert {"all", "high", "low"} == set(select(table, {"suite": "frequency"})["group"])
    verdict = probe_verdict(config, table)
    assert verdict[0].startswith('On frequency: "tuned-1" ')
    assert '"adapter" ' in verdict[0]
    assert in_lines(verdict) in PROBE.text(config, table)
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert [sentence for sentence in verdict if sentence not in page] == []
    lines = [json.loads(line) for line in (out / EXAMPLES).read_text(encoding="utf-8").splitlines()]
    shown = {line["change"] for line in lines}
    assert len(shown) > 1
    assert all(f'<th scope="row">{change}</th>' in page for change in shown)
    samples = pd.read_parquet(out / "parts" / "samples" / "samples.parquet")
    keys = ["model", "suite", "collection", "candidates", "prompt_number"]
    assert not samples.duplicated([*keys, "candidate"]).any()
    assert samples.groupby(keys)["chosen"].sum().eq(1).all()
    assert samples["said"].notna().all()
    by_model = samples.drop_duplicates(keys).groupby("model").size()
    assert by_model.nunique() == 1
    base = select(samples, {"model": "base", "suite": "frequency"})
    asked = {"condition": "no_context", "chosen": True}
    right = (select(base, asked)["candidate"] == select(base, asked)["target"]).mean()
    found = select(answers, {"model": "base", "suite": "frequency", "measure": "recall", "group": "all"})
    assert found["value"].item() == pytest.approx(right)


@pytest.mark.parametrize(("low", "known"), [(0.0, False), (0.3, True)])
def test_facts_that_the_base_knows_are_told(low, known):
    config = ProbeConfig(base="base", tuned="tuned", suites="relations")
    row = {"answer": True, "suite": "relations", "group": "all", "relation": "all", "language": "all", "model": "base"}
    of = [{**row, "measure": name, "value": 0.4, "low": low, "high": 0.6} for name in ("recall", "in_context_accuracy")]
    verdict = probe_verdict(config, pd.DataFrame(of))
    assert any(sentence.startswith("The base knows some of the facts (recall 0.40") for sentence in verdict) == known
    assert any("no better than a uniform guess, 0.116," in sentence for sentence in verdict) != known
    assert not any("Caution: intervals are over" in sentence for sentence in verdict)


def test_each_relation_and_language_of_a_suite_has_rows(finished):
    config, out, table = finished
    of = {"model": "base", "measure": "in_context_accuracy", "group": "all"}
    assert select(table, {**of, "suite": "frequency"})[["relation", "language"]].to_numpy().tolist() == [["all", "all"]]
    rows = select(table, {**of, "suite": "mine"}).set_index(["relation", "language"])["value"]
    assert [*rows.index] == [("all", "all"), ("cities", "all"), ("colours", "all"), ("all", "en"), ("all", "zh")]
    assert rows["all", "all"] == pytest.approx((rows["cities", "all"] + rows["colours", "all"]) / 2)
    samples = select(pd.read_parquet(out / "parts" / "samples" / "samples.parquet"), {"suite": "mine", "model": "base"})
    asked = select(samples, {"chosen": True, "collection": ("cities.zh", "colours.zh"), "condition": "no_context"})
    assert len(asked) == 6
    recall = select(table, {**of, "suite": "mine", "measure": "recall", "relation": "all", "language": "zh"})
    assert recall["value"].item() == pytest.approx((asked["candidate"] == asked["target"]).mean())
    changes = select(table, {"model": "adapter", "suite": "mine", "measure": "recall_change"})
    assert len(changes) == 5
    assert "In-context accuracy by relation and language\n" in PROBE.text(config, table)
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert "mine by relation and language: tuned-1" in page
    lines = [json.loads(line) for line in (out / EXAMPLES).read_text(encoding="utf-8").splitlines()]
    assert {"cities.zh", "colours.en", "frequency"} <= {line["collection"] for line in lines}


@pytest.mark.long
def test_a_finished_run_is_read_and_a_changed_model_is_refused(finished, models, tmp_path, capsys):
    config, out, table = finished
    said: list[str] = []
    pd.testing.assert_frame_equal(run(PROBE, config, out, quiet(say=said.append)), table)
    assert "is finished; its table is used as it is" in said[0]
    page = (out / "report.html").read_text(encoding="utf-8")
    subprocess.run([sys.executable, "-m", "gating", "report", str(out)], check=True, stdout=subprocess.DEVNULL)
    assert (out / "report.html").read_text(encoding="utf-8") == page
    assert read_table(out / "results.parquet")["model"].nunique() == 3
    copy = tmp_path / "copy"
    shutil.copytree(models / "tuned-1", copy)
    other = build(ProbeConfig, {"base": config.base, "tuned": str(copy), **SMALL})
    run(PROBE, other, tmp_path / "run", quiet())
    shutil.copy(models / "tuned-2" / "model.safetensors", copy / "model.safetensors")
    capsys.readouterr()
    assert main(["probe", config.base, str(copy), "--prompts_per_fact=1", "--facts_per_group=3",
                 "--out", str(tmp_path / "run")]) == 2  # fmt: skip
    assert "`tuned` copy (model.safetensors)" in capsys.readouterr().err


def test_its_numbers_are_those_of_the_study_that_trained_the_model(models, tmp_path):
    """At the end of training and before it: every measure in every condition."""
    finetune = find_study("finetune")
    training = {"steps": 3, "batch_size": 4, "learning_rate": 0.02, "precision": "float32"}
    given = {"model": str(models / "base"), "mixtures": "memory=1", "seed": 4, "evaluation_seed": 7, **SMALL}
    of = build(FinetuneConfig, {**given, "training": training})
    trained = run(finetune, of, tmp_path / "tuned", quiet(keep=True))
    kept = tmp_path / "tuned" / "parts" / "tune" / "memory=1-given-seed-4" / "model"
    config = ProbeConfig(base=given["model"], tuned=str(kept), pairing_seed=4, evaluation_seed=7, **SMALL)
    table = run(PROBE, config, None, quiet())
    for model, step in zip(config.sources, (0, 3), strict=True):
        measured = select(trained, {"system": "llm", "step": step, "kind": "measured", "answer": False})
        where = ["context", "group", "measure"]
        wanted = measured.set_index(where)["value"].drop("effective_gate_residual", level="measure").sort_index()
        found = table[~table["answer"] & (table["model"] == model)].set_index(where)["value"].sort_index()
        pd.testing.assert_series_equal(found, wanted, rtol=1e-5, atol=1e-5)


def test_answers_are_read_back_from_their_rows(models):
    model, tokenizer = load_model(str(models / "base"))
    config = ProbeConfig(base="base", tuned="tuned", **SMALL)
    answers = ask(model, prompter_of(tokenizer, "plain"), config.questions["people"])["people"]
    for found, wanted in zip(answers_of(sample_table(answers, model="base")), answers, strict=True):
        assert (found.records, found.candidates, found.said) == (wanted.records, wanted.candidates, wanted.said)
        assert (found.scores.log_prob == wanted.scores.log_prob).all()
        assert (found.scores.n_tokens == wanted.scores.n_tokens).all()
    assert all(len(part.said) == len(part.records) for part in answers)
    people = load_collection("people")
    records = [record for part in answers for record in part.records]
    prompter = prompter_of(tokenizer, "plain")
    assert not any(part.said for part in answer_records(model, prompter, records, people, freely=False))


def test_an_adapter_answers_as_its_merged_model_does(models, tmp_path):
    held = load_tuned(str(models / "adapter"), str(models / "base"))
    merged = load_tuned(str(models / "adapter"), str(models / "base")).model.merge_and_unload()
    questions = ProbeConfig(base="base", tuned="tuned", **SMALL).questions["people"]
    prompter = prompter_of(held.tokenizer, "plain")
    one, other = (ask(model, prompter, questions, freely=False)["people"] for model in (held.model, merged))
    for found, wanted in zip(one, other, strict=True):
        np.testing.assert_allclose(found.scores.log_prob, wanted.scores.log_prob, atol=1e-4)
    folder = tmp_path / "adapter"
    shutil.copytree(models / "adapter", folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"megatron_config": {"a": 1}}))
    with pytest.raises(SpecError, match="must be an adapter of settings without `megatron_config`"):
        load_tuned(str(folder), str(models / "base"))
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(SpecError, match="must be an adapter that can be read"):
        load_tuned(str(folder), str(models / "base"))
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"r": 3}))
    with pytest.raises(SpecError, match="must be an adapter that fits its base"):
        load_tuned(str(folder), str(models / "base"))
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(SpecError, match="must have its weights in safetensors"):
        load_tuned(str(folder), str(models / "base"))
    shutil.copy(models / "base" / "config.json", folder)
    with pytest.raises(SpecError, match="must have weights of its own"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"tuned": []}, "`tuned` must be one or more different texts; got []"),
        ({"tuned": ["a/x", "a/x/"]}, "`tuned` must be different models, none of them called 'base'; got ['x', 'x']"),
        ({"tuned": ["other/base"]}, "none of them called 'base'; got ['base']"),
        (
            {"suites": "peeple"},
            "`suites` must be one of ('relations', 'people', 'frequency', 'frequency-steep'), the folder",
        ),
        ({"suites": ["people", "people"]}, "`suites` must be one or more different texts; got ['people', 'people']"),
        ({"most_prompts": 8}, "`most_prompts` must be an integer in 9 .. 2^32 - 1; got 8"),
        ({"most_prompts": 14, "suites": "frequency"}, "`most_prompts` must be at least 15, one in each condition"),
        ({"prompts_per_fact": 0}, "`prompts_per_fact` must be an integer in 1 .. 2^32 - 1; got 0"),
        ({"base": None}, "`base` must be"),
    ],
)
def test_bad_settings_are_named(given, sentence):
    with pytest.raises(SpecError) as caught:
        build(ProbeConfig, {"base": "b", "tuned": ["t"], **given})
    assert sentence in str(caught.value)


def test_models_that_cannot_be_had_are_named_by_their_setting(models, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for given, setting in (({"base": str(empty)}, "base"), ({"tuned": [str(empty)]}, "tuned")):
        config = build(ProbeConfig, {"base": str(models / "base"), "tuned": [str(models / "tuned-1")], **given})
        with pytest.raises(SpecError, match=f"`{setting}` must be the folder of a model"):
            run(PROBE, config, tmp_path / "run", quiet())
    small = tmp_path / "small"
    shutil.copytree(models / "tuned-1", small)
    (small / "model.safetensors").write_bytes(b"no weights")
    config = ProbeConfig(base=str(models / "base"), tuned=str(small), **SMALL)
    with pytest.raises(SpecError, match="`tuned` must be a model that can be read"):
        run(PROBE, config, tmp_path / "run", quiet())
    assert not (tmp_path / "run").exists()


def test_a_dry_run_tells_time_and_writes_nothing(models, tmp_path, capsys):
    arguments = ["probe", str(models / "base"), str(models / "adapter"), "--out", str(tmp_path / "run"), "--dry-run"]
    assert main([*arguments, "--workers", "1"]) == 0
    assert "`probe`, 3 parts, 1 worker thread(s) on cpu: about" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_any_number_of_models_stands_without_flags():
    config, options = PROBE.from_flags(["b", "x/1e3", "x/no", "--chat", "plain", "--json"], RunOptions)
    assert (config.base, config.tuned, config.chat, options.json) == ("b", ("x/1e3", "x/no"), "plain", True)
    assert PROBE.from_flags(["--base", "b", "--tuned", "t"], RunOptions)[0] == ProbeConfig(base="b", tuned="t")
    assert list(config.sources) == ["base", "1e3", "no"]
    with pytest.raises(SpecError, match="`tuned` must be given, one or more different texts; got nothing"):
        PROBE.from_flags(["b"], RunOptions)
    assert "usage: gating probe [BASE] [TUNED ...] [--name value ...]" in PROBE.help(RunOptions)
    assert names_of(["hub/a", "pypi:b", "c.gguf"]) == ["hub/a", "pypi:b", "c.gguf"]


def test_the_gate_of_prompts_is_the_gate_of_their_mean(models):
    model, tokenizer = load_model(str(models / "tuned-1"))
    questions = ProbeConfig(base="base", tuned="tuned", **SMALL).questions["people"]
    answers = ask(model, prompter_of(tokenizer, "plain"), questions, freely=False)["people"]
    values = select(prompt_values({"people": answers}), {"condition": "contradicting"})
    places = [k for k, record in enumerate(answers[0].records) if record.condition == "contradicting"]
    gate = answers[0].at(places).gate()
    assert values["effective_gate"].mean() == pytest.approx(gate["effective_gate"], abs=1e-6)
    assert values["effective_gate_remainder"].mean() == pytest.approx(gate["effective_gate_remainder"], abs=1e-9)
    assert set(HEADINGS) == set(ABILITIES)


@pytest.mark.parametrize("study", ["probe", "finetune", "conflict"])
def test_answers_that_a_tokenizer_cannot_tell_apart_are_refused_before_anything_is_written(models, tmp_path, study):
    """One token for all words that it lacks, as tokenizers of words have."""
    path = str(shutil.copytree(models / "base", tmp_path / "words"))
    core = Tokenizer(WordLevel({"?": 0, "<end>": 256}, unk_token="?"))
    core.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=core, unk_token="?", eos_token="<end>").save_pretrained(path)
    (tmp_path / "words" / "chat_template.jinja").unlink(missing_ok=True)
    given = {"probe": {"base": path, "tuned": str(models / "tuned-1")}, "finetune": {"model": path},
             "conflict": {"models": path}}[study]  # fmt: skip
    found = find_study(study)
    with pytest.raises(SpecError, match="no two `candidates` may have the same tokens"):
        run(found, build(found.config, given), tmp_path / "run", quiet())
    assert not (tmp_path / "run").exists()
