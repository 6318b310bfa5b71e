"""What a model's weights are held in while it is fine-tuned: float32, bfloat16, or four bits under adapters."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from llm_finetune.settings import FinetuneSettings
from theory.settings import SpecError

__all__ = ["checkpointed", "prepared", "require_enough"]


def prepared(model: Any, settings: FinetuneSettings) -> Any:
    """The model with its weights held as the settings say; it is changed in place.

    In ``bf16`` 8 of a number's 24 binary digits are left: changes below 1/512 of a weight are lost, and so are most
    steps of a small learning rate, unless adapters are trained, which stay in float32. In ``4bit`` every linear layer
    but the last is held as NF4 with doubly quantised scales, as in QLoRA; products are taken in float32.

    Args:
        model: causal language model.
        settings: what its `weights` are held in.

    Raises:
        SpecError: ``4bit`` is asked for without the package bitsandbytes, or of a model without layers that it takes.
    """
    if settings.weights == "bf16":
        return model.to(torch.bfloat16)
    if settings.weights == "4bit" and not getattr(model, "is_loaded_in_4bit", False):
        _quantise(model)
    return model


def _quantise(model: Any) -> None:
    if find_spec("bitsandbytes") is None:
        raise SpecError(
            ["`weights` can be 4bit where the package bitsandbytes is installed (`pip install 'icl-gating[qlora]'`)"]
        )
    from bitsandbytes.nn import Linear4bit, Params4bit

    last = model.get_output_embeddings()
    found = [(name, layer) for name, layer in model.named_modules() if type(layer) is nn.Linear and layer is not last]
    if not found:
        kind = type(model).__name__
        raise SpecError([f"`weights` must be float32 or bf16 for a model without linear layers; {kind} has none"])
    for name, layer in found:
        new = Linear4bit(layer.in_features, layer.out_features, layer.bias is not None, torch.float32, True, "nf4")
        new.weight = Params4bit(layer.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4")
        new.bias = layer.bias
        new.support_avx512bf16_for_cpu = False  # such kernels pack weights when they are first read, and cannot train
        model.set_submodule(name, new.to(layer.weight.device))  # moving it there quantises it
    model.is_loaded_in_4bit = True


@contextmanager
def checkpointed(model: Any, on: bool) -> Iterator[None]:
    """Activations are computed again in the backward pass instead of being kept, where that is asked for.

    Raises:
        SpecError: the model cannot.
    """
    if not on:
        yield
        return
    if not getattr(model, "supports_gradient_checkpointing", False):
        raise SpecError([f"`checkpointing` must be false for a model that has none; {type(model).__name__} has not"])
    with warnings.catch_warnings():  # transformers 5 has renamed them, and peft asks by the old names
        warnings.filterwarnings("ignore", message=".*deprecated", category=FutureWarning)
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        try:
            yield
        finally:
            model.gradient_checkpointing_disable()


def require_enough(settings: FinetuneSettings, processes: int) -> None:
    """That each pass of each process has an example.

    Raises:
        SpecError: a step has too few.
    """
    if settings.batch_size < processes * settings.accumulation:
        passes = f"the number of processes times `accumulation`, {processes * settings.accumulation}"
        raise SpecError([f"`training.batch_size` must be at least {passes}; got {settings.batch_size}"])
