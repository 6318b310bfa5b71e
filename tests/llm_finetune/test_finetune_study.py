"""The study from settings to report on a small model with random weights: presets, kills and changed inputs."""

import html
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from local_model import save_local_model
from small_finetune import FINETUNE, PRESETS, command, people, quiet, scaled_down

from gating.cli import main
from gating.page.said import in_lines
from gating.results.parquet import read_table
from gating.results.table import key_names
from gating.runs.engine import as_json, run
from gating.runs.errors import FolderError
from gating.runs.folder import TABLE
from llm_finetune import bench
from llm_finetune.adapters import reopened
from llm_finetune.collection import collection_text
from llm_finetune.config import FinetuneConfig
from llm_finetune.verdict import finetune_verdict

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def flip(file: Path) -> None:
    """Flips a bit of a file."""
    content = file.read_bytes()
    file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest, which lists them in the order of writing, and the engine's own."""
    files = [file for file in folder.rglob("*") if file.is_file() and ".gating" not in file.parts]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.name != "manifest.json"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "people" else pytest.mark.long) for name in PRESETS]
)
def test_every_preset_runs_and_is_drawn(name, local, tmp_path):
    config = scaled_down(name, local)
    table = run(FINETUNE, config, tmp_path / "run", quiet())
    measured = table[(table["kind"] == "measured") & ~table["answer"]]
    settings = measured[["mixture", "exposure", "share"]].drop_duplicates()
    assert len(settings) == len(config.mixtures) * len(config.exposures)
    assert all(("reading" in text) == (share > 0) for text, share in settings[["mixture", "share"]].values)
    assert set(measured["step"]) == {0, 1}
    assert set(measured["context"]) == set(config.conditions)
    assert not table.duplicated(key_names(table)).any()
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert 'id="figure-accuracy-by-step"' in page
    assert ('id="figure-groups-by-step"' in page) == (name in ("frequency", "handover"))
    assert ('id="figure-accuracy-by-share"' in page) == (name not in ("frequency", "handover"))
    assert "Sample answers before and after" in page


def test_before_training_all_models_of_a_seed_are_one_and_seeds_differ(local, tmp_path):
    table = run(FINETUNE, people(local, n_seeds=2, seed=3), tmp_path / "run", quiet())
    rows = (
        table[(table["step"] == 0) & (table["kind"] == "measured")].set_index(["seed", "mixture"]).sort_index()["value"]
    )
    assert rows[3, "memory=1"].tolist() == rows[3, "reading=1"].tolist()
    assert rows[3, "memory=1"].tolist() != rows[4, "memory=1"].tolist()
    last = (
        table[(table["step"] == 4) & (table["kind"] == "measured")].set_index(["seed", "mixture"]).sort_index()["value"]
    )
    assert last[3, "memory=1"].tolist() != last[3, "reading=1"].tolist()


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("lora_rank", [None, 2])
@pytest.mark.long
def test_a_run_that_is_killed_anywhere_ends_with_the_same_bits(local, tmp_path, monkeypatch, lora_rank):
    config = people(local, training={**people(local).training.__dict__, "lora_rank": lora_rank})
    run(FINETUNE, config, tmp_path / "whole", quiet(keep=True))
    move, moves = os.replace, []

    def killed(*arguments):
        moves.append(arguments)
        if len(moves) % 13 == 0:
            raise Killed
        move(*arguments)

    monkeypatch.setattr(os, "replace", killed)
    said: list[str] = []
    while True:
        try:
            run(FINETUNE, config, tmp_path / "run", quiet(keep=True, say=said.append))
            break
        except Killed:
            continue
    assert len(moves) > 40
    assert len([line for line in said if "goes on from step 2" in line]) >= 1
    assert not [line for line in said if "made again" in line]
    found, wanted = contents(tmp_path / "run"), contents(tmp_path / "whole")
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if found[name] != wanted[name]] == []


@pytest.mark.kill
def test_a_process_that_is_killed_goes_on_with_the_same_result(local, tmp_path, request):
    config = people(local, training={**people(local).training.__dict__, "steps": 60, "save_every": 5})
    run(FINETUNE, config, tmp_path / "whole", quiet())
    arguments = command(config, tmp_path / "run")
    for kill in range(request.config.getoption("--kills")):
        process = subprocess.Popen([sys.executable, "-m", "gating", *arguments], stdout=subprocess.DEVNULL)
        wanted = ["base/0/step-0.parquet", "*/memory=1-given-seed-0/state*", "*/reading=1-given-seed-0/step-*.parquet"]
        while process.poll() is None and not list(tmp_path.glob(f"run/parts/{wanted[kill % 3]}")):
            time.sleep(0.002)
        time.sleep(0.01 * kill)
        process.send_signal(KILL)
        process.wait()
        assert not (tmp_path / "run" / TABLE).exists()
    assert main(arguments) == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def stopped(config: FinetuneConfig, out: Path) -> None:
    """Stops a run at the start of its second training."""
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if sum(line.startswith("fine-tuning on") for line in said) == 2:
            raise KeyboardInterrupt

    assert not out.exists()
    with pytest.raises(BaseException, match=f"interrupted; `{out}` holds what is done"):
        run(FINETUNE, config, out, quiet(say=say))
    assert not (out / TABLE).exists()


def test_a_stopped_run_does_not_repeat_what_is_done(local, tmp_path, monkeypatch):
    loads = []
    load = bench.load_model
    monkeypatch.setattr(bench, "load_model", lambda *given, **how: loads.append(given) or load(*given, **how))
    config = people(local)
    stopped(config, tmp_path / "run")
    assert len(loads) == 2  # the first is looked at, measured and trained; the second was to be trained
    said: list[str] = []
    run(FINETUNE, config, tmp_path / "run", quiet(say=said.append))
    assert len(loads) == 3
    assert [line for line in said if line.startswith("fine-tuning on")] == [
        "fine-tuning on reading=1, exposure given, pairing seed 0"
    ]
    assert sorted(file.name for file in (tmp_path / "run").iterdir() if file.name != ".gating") == [
        "config.yaml", "environment.json", "manifest.json", "parts", "report.html", "results.parquet", "samples.jsonl",
    ]  # fmt: skip
    with pytest.raises(FolderError, match="holds a run with other settings"):
        run(FINETUNE, people(local, seed=5), tmp_path / "run", quiet())


@pytest.mark.parametrize("finished", [False, True])
def test_a_changed_input_is_refused_and_named(local, tmp_path, capsys, finished):
    model, own = tmp_path / "model", tmp_path / "own.jsonl"
    shutil.copytree(local, model)
    own.write_text(collection_text("people"))
    config, out = people(model, collection=str(own)), tmp_path / "run"
    run(FINETUNE, config, out, quiet()) if finished else stopped(config, out)
    before, arguments = contents(out), command(config, out)
    for file, change, named in (
        (own, lambda file: file.write_text(file.read_text().replace("London", "Lisbon")), f"`collection` {own}"),
        (model / "model.safetensors", flip, "`model` (model.safetensors)"),
        (model / "chat_template.jinja", lambda file: file.write_text(file.read_text() + " "), "`model` (chat_template"),
        (model / "special_tokens_map.json", lambda file: file.write_text("{}"), "`model` (special_tokens_map.json)"),
    ):
        held = file.read_bytes() if file.exists() else None
        change(file)
        assert main(arguments) == 2
        assert f"the content of {named}" in capsys.readouterr().err
        assert contents(out) == before
        file.unlink() if held is None else file.write_bytes(held)
    assert main(arguments) == 0


def test_weights_that_change_during_a_run_are_refused_at_its_end(local, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(local, model)
    config, file = people(model), model / "model.safetensors"

    def say(line: str) -> None:
        if line.startswith("fine-tuning on reading"):
            flip(file)

    with pytest.raises(FolderError, match=r"the content of `model` \(model.safetensors\) changed during the run"):
        run(FINETUNE, config, tmp_path / "run", quiet(say=say))
    assert not (tmp_path / "run" / TABLE).exists()


@pytest.mark.long
def test_again_leaves_a_run_whole_until_the_new_one_is_known_to_start(local, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(command(people(local), out)) == 0
    before = contents(out)
    assert main(command(people(tmp_path / "nowhere"), out, "--again")) == 2
    assert "`model` must be a hub id, a folder" in capsys.readouterr().err
    small = save_local_model(tmp_path / "small", n_positions=64)
    assert main(command(people(small), out, "--again")) == 2
    assert "must fit into the model's context of 64 tokens" in capsys.readouterr().err
    broken = shutil.copytree(local, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    assert main(command(people(broken), out, "--again")) == 2
    assert "`model` must be a model that can be read" in capsys.readouterr().err
    assert contents(out) == before
    assert main(command(people(local, seed=1), out, "--again")) == 0
    assert set(read_table(out / TABLE)["seed"].dropna()) == {1}


def test_a_flipped_bit_in_kept_work_is_named_and_its_part_made_again(local, tmp_path):
    config = people(local)
    run(FINETUNE, config, tmp_path / "whole", quiet())
    stopped(config, tmp_path / "run")
    for name in ("base/0/step-0.jsonl", "tune/memory=1-given-seed-0/step-3.parquet"):
        flip(tmp_path / "run" / "parts" / name)
    said: list[str] = []
    run(FINETUNE, config, tmp_path / "run", quiet(say=said.append))
    assert len([line for line in said if line.endswith("is made again")]) == 2
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_models_are_kept_where_that_is_asked_for(local, tmp_path, capsys, lora_rank):
    from transformers import AutoModelForCausalLM

    config = people(local, mixtures=["memory=1"], training={"steps": 2, "lora_rank": lora_rank})
    assert main(command(config, tmp_path / "run", "--keep")) == 0
    (kept,) = (tmp_path / "run" / "parts" / "tune").glob("*/model")
    before = (tmp_path / "run" / "report.html").read_bytes()
    assert main(["report", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "report.html").read_bytes() == before
    base = AutoModelForCausalLM.from_pretrained(local)
    layer = base.transformer.h[0].attn.c_attn.weight.clone()
    tuned = reopened(base, kept, lora_rank) if lora_rank else AutoModelForCausalLM.from_pretrained(kept)
    merged = tuned.merge_and_unload() if lora_rank else tuned
    assert merged.config.n_layer == 2
    assert 0 < (merged.transformer.h[0].attn.c_attn.weight - layer).abs().max() < 0.1


@pytest.mark.parametrize("n_seeds", [pytest.param(1, marks=pytest.mark.long), 2])
def test_page_json_and_text_show_the_same_answers(local, tmp_path, capsys, n_seeds):
    config, out = people(local, n_seeds=n_seeds, margin=0.5), tmp_path / "run"
    assert main(command(config, out)) == 0
    text = capsys.readouterr().out
    over = "over its test sequences alone" if n_seeds == 1 else "Mean over 2 seeds, with its 95% interval"
    assert over in text
    assert "memory only" in text
    assert main(command(config, out, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    table = read_table(out / TABLE)
    assert found == json.loads(json.dumps(as_json("finetune", config, table)))
    answers = {(row["measure"], row.get("share")): row["value"] for row in found["answers"] if not row.get("judge")}
    assert answers["chance_accuracy", None] == 1 / 16
    assert answers["largest_in_context_accuracy", None] == max(
        v for (name, _), v in answers.items() if name.startswith("in_context_accuracy")
    )
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    verdict = finetune_verdict(config, table)
    assert in_lines(verdict) in text
    assert [sentence for sentence in verdict if sentence not in page] == []
    assert verdict[0].startswith("What was gained and lost, by what the model says: with")
    samples = [json.loads(line) for line in (out / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {(line["mixture"], line["seed"], line["step"]) for line in samples} == {
        (mixture, seed, step) for mixture in config.mixtures for seed in range(n_seeds) for step in (0, 4)
    }
