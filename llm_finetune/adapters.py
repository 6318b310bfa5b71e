"""Low-rank adapters: put around a model before training, kept after it, and opened again."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers.pytorch_utils import Conv1D

__all__ = ["adapted", "reopened", "written"]


@contextmanager
def _peft_asks_by_an_old_name() -> Iterator[None]:
    """Without the warning that peft draws from transformers 5, which has renamed what peft asks a model for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def adapted(model: Any, rank: int | None, alpha: float, seed: int) -> Any:
    """The model itself, or with new low-rank adapters in all its linear layers but the last.

    Args:
        model: causal language model.
        rank: rank of the adapters; None for the model itself.
        alpha: their product is multiplied by ``alpha / rank``.
        seed: seed of their initial values.
    """
    if rank is None:
        return model
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # a ratio, whatever the annotation says
        target_modules="all-linear",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng(), _peft_asks_by_an_old_name():
        torch.manual_seed(seed)
        return get_peft_model(model, lora)


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
    base = model.unload() if isinstance(model, PeftModel) else model
    with _peft_asks_by_an_old_name():
        return PeftModel.from_pretrained(base, str(path)).eval()
