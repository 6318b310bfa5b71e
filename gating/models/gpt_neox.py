"""Decoders of urns as GPT-NeoX folders, which `transformers` opens, and back."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gating.models.decoder import INITIAL_STD, UrnDecoder
from gating.models.layers import generators
from gating.runs.errors import FolderError
from gating.runs.files import reading
from theory.validation import require_integer

__all__ = ["load_gpt_neox", "save_gpt_neox"]

NAMES = {
    "embed": "gpt_neox.embed_in",
    "blocks": "gpt_neox.layers",
    "norm_attention": "input_layernorm",
    "out": "dense",
    "norm_mlp": "post_attention_layernorm",
    "up": "mlp.dense_h_to_4h",
    "down": "mlp.dense_4h_to_h",
    "norm": "gpt_neox.final_layer_norm",
    "read_out": "embed_out",
    "scale": "weight",
    "shift": "bias",
}
"""From the parts of our names of parameters to GPT-NeoX's, where they differ."""
FORM = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "use_parallel_residual": False,
    "attention_bias": False,
    "rotary_pct": 0.25,
    "tie_word_embeddings": False,
}
"""What GPT-NeoX leaves open and these decoders do not."""
REMEDY = "give the folder that `save_gpt_neox` wrote, or one of the same form"


def save_gpt_neox(model: UrnDecoder, replica: int, folder: str | os.PathLike[str]) -> None:
    """Writes one model as a folder that ``AutoModelForCausalLM.from_pretrained`` opens.

    Token k is colour k, in 0 .. m - 1, and token m the start. The folder appears in one step, whole or not at all.

    Args:
        model: R models.
        replica: which of them, in 0 .. R - 1.
        folder: a new or empty folder.

    Raises:
        ValueError: `replica` out of its range.
        FolderError: `folder` holds something.
        ImportError: `transformers` is not installed.

    Example:
        >>> from tempfile import mkdtemp
        >>> model = UrnDecoder(8, 16, width=16, rngs=generators([0, 1]))
        >>> folder = Path(mkdtemp()) / "urns"
        >>> save_gpt_neox(model, 1, folder)
        >>> bool((load_gpt_neox(folder).embed.weight[0] == model.embed.weight[1]).all())
        True
    """
    config, path = _config(model), Path(folder)
    require_integer("replica", replica, most=len(model.embed.weight) - 1)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FolderError(f"`folder` must be new or empty; '{path}' is not")
    tensors = {
        _theirs(name): _exported(name, parameter.detach()[replica].cpu(), config.num_attention_heads)
        for name, parameter in model.named_parameters()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as drafts:
        draft = Path(drafts) / path.name
        config.save_pretrained(draft)
        save_file(tensors, draft / "model.safetensors", {"format": "pt"})
        os.replace(draft, path)


def load_gpt_neox(folder: str | os.PathLike[str]) -> UrnDecoder:
    """The model of a GPT-NeoX folder, as one replica.

    Args:
        folder: holds ``config.json`` and ``model.safetensors``, of the form that `save_gpt_neox` writes.

    Raises:
        FolderError: a file is missing or damaged, or is of another architecture, form or shape, naming it.
        ImportError: `transformers` is not installed.
    """
    path = Path(folder)
    with reading(path / "config.json", REMEDY):
        settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
        model = _built(settings)
    with reading(path / "model.safetensors", REMEDY):
        held = load_file(path / "model.safetensors")
        _copy(held, model, settings["num_attention_heads"])
    return model


def _config(model: UrnDecoder) -> Any:
    block: Any = model.blocks[0]
    return _neox_config(
        vocab_size=model.n_colours + 1,
        hidden_size=model.embed.weight.shape[-1],
        num_hidden_layers=len(model.blocks),
        num_attention_heads=block.attention.heads,
        intermediate_size=block.up.weight.shape[-1],
        max_position_embeddings=len(block.attention.rotary.cos),
        bos_token_id=model.n_colours,
        eos_token_id=None,
        initializer_range=INITIAL_STD,
        architectures=["GPTNeoXForCausalLM"],
        dtype=str(model.embed.weight.dtype).removeprefix("torch."),
        **FORM,
    )


def _neox_config(**settings: Any) -> Any:
    try:
        from transformers import GPTNeoXConfig
    except ImportError as error:
        raise ImportError("GPT-NeoX folders need `transformers`: pip install 'icl-gating[llm]'") from error
    return GPTNeoXConfig(**settings)


def _built(settings: dict[str, Any]) -> UrnDecoder:
    """A model of the shape that a ``config.json`` tells."""
    if settings.get("model_type") != "gpt_neox":
        raise ValueError(f"`model_type` must be 'gpt_neox'; got {settings.get('model_type')!r}")
    shape = _neox_config(**settings)
    wanted = _neox_config(**FORM, max_position_embeddings=shape.max_position_embeddings)
    for name in (*FORM, "rotary_emb_base", "rope_parameters", "rope_scaling"):  # their names differ between versions
        allowed, value = getattr(wanted, name, None), getattr(shape, name, None)
        if value != allowed:
            raise ValueError(f"`{name}` must be {allowed!r}; got {value!r}")
    return UrnDecoder(
        shape.vocab_size - 1,
        shape.max_position_embeddings,
        depth=shape.num_hidden_layers,
        heads=shape.num_attention_heads,
        width=shape.hidden_size,
        mlp_factor=shape.intermediate_size / shape.hidden_size,
        rngs=generators([0]),
    )


def _copy(held: dict[str, Tensor], model: UrnDecoder, heads: int) -> None:
    names = {_theirs(name): name for name, _ in model.named_parameters()}
    strange = held.keys() ^ names.keys()
    if strange:
        raise ValueError(f"its tensors must be those of `config.json`; they differ in {sorted(strange)}")
    model.to(held["embed_out.weight"].dtype)  # before values are copied, which float32 would round
    for theirs, name in names.items():
        parameter = model.get_parameter(name)
        value, place = held[theirs], _exported(name, torch.arange(parameter.numel()).view(parameter.shape[1:]), heads)
        if value.shape != place.shape:
            raise ValueError(f"`{theirs}` must have shape {tuple(place.shape)}; got {tuple(value.shape)}")
        with torch.no_grad():
            parameter.view(-1)[place.flatten()] = value.flatten()


def _theirs(name: str) -> str:
    """GPT-NeoX's name of a parameter."""
    return ".".join(NAMES.get(part, part) for part in name.split("."))


def _exported(name: str, value: Tensor, heads: int) -> Tensor:
    """GPT-NeoX's form of a parameter: weights (out, in), vectors (n,), and query, key and value head by head."""
    if name == "embed.weight":
        return value.contiguous()
    if name.endswith("query_key_value.weight"):
        return value.T.unflatten(0, (3, heads, -1)).transpose(0, 1).flatten(0, 2).contiguous()
    return value.T.contiguous() if name.endswith("weight") else value.flatten()
