"""Tiny language models with random weights, of many architectures, and how each of them is scored.

    python tests/llm_finetune/architectures.py

prints the table of docs/language-models.md.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from local_model import byte_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from llm_finetune.score import score_candidates
from llm_finetune.tokens import split
from llm_finetune.ways import known_way

LLAMA = {
    "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512,
}  # fmt: skip
WINDOW = {**LLAMA, "sliding_window": 8}
LOCAL = {**WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
EXPERTS = {**LLAMA, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
FALCON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = {**LLAMA, "num_key_value_heads": None, "is_decoder": True}

ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": ("gpt2", GPT),
    "GPT-J": ("gptj", {**GPT, "rotary_dim": 8}),
    "GPT-Neo, window of 8": (
        "gpt_neo",
        {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]],
         "window_size": 8, "max_position_embeddings": 128},
    ),
    "GPT-NeoX": ("gpt_neox", LLAMA),
    "GPT BigCode": ("gpt_bigcode", GPT),
    "CodeGen": ("codegen", {**GPT, "rotary_dim": 8}),
    "OPT": ("opt", {**LLAMA, "ffn_dim": 64, "word_embed_proj_dim": 32}),
    "BLOOM (ALiBi)": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 2}),
    "MPT (ALiBi)": ("mpt", {"d_model": 32, "n_layers": 2, "n_heads": 2, "max_seq_len": 128}),
    "Falcon": ("falcon", FALCON),
    "Falcon (ALiBi)": ("falcon", {**FALCON, "alibi": True}),
    "Llama": ("llama", LLAMA),
    "Mistral, window of 8": ("mistral", WINDOW),
    "Mistral": ("mistral", {**LLAMA, "sliding_window": None}),
    "Mixtral": ("mixtral", EXPERTS),
    "Qwen2": ("qwen2", LLAMA),
    "Qwen2, window of 8": ("qwen2", {**LOCAL, "use_sliding_window": True}),
    "Qwen3": ("qwen3", LLAMA),
    "Qwen3-MoE": ("qwen3_moe", EXPERTS),
    "Gemma": ("gemma", LLAMA),
    "Gemma 2, window of 8": ("gemma2", LOCAL),
    "Gemma 3, window of 8": ("gemma3_text", LOCAL),
    "Phi": ("phi", LLAMA),
    "Phi-3, window of 8": ("phi3", {**WINDOW, "pad_token_id": 0}),
    "Phi-3": ("phi3", {**LLAMA, "sliding_window": None, "pad_token_id": 0}),
    "StableLM": ("stablelm", LLAMA),
    "StarCoder 2, window of 8": ("starcoder2", WINDOW),
    "Cohere": ("cohere", LLAMA),
    "Cohere 2, window of 8": ("cohere2", LOCAL),
    "OLMo": ("olmo", LLAMA),
    "OLMo 2": ("olmo2", LLAMA),
    "OLMo 3, window of 8": ("olmo3", LOCAL),
    "OLMoE": ("olmoe", EXPERTS),
    "Granite": ("granite", LLAMA),
    "GLM": ("glm", {**LLAMA, "pad_token_id": 0}),
    "GLM-4": ("glm4", {**LLAMA, "pad_token_id": 0}),
    "gpt-oss, window of 8": ("gpt_oss", {**EXPERTS, **LOCAL}),
    "SmolLM3": ("smollm3", {**LLAMA, "pad_token_id": 0}),
    "Helium": ("helium", LLAMA),
    "Nemotron": ("nemotron", LLAMA),
    "Persimmon": ("persimmon", LLAMA),
    "BioGPT": ("biogpt", LLAMA),
    "XGLM": ("xglm", {"d_model": 32, "num_layers": 2, "attention_heads": 2, "ffn_dim": 64}),
    "DeepSeek-V3": (
        "deepseek_v3",
        {**LLAMA, "head_dim": 8, "num_key_value_heads": 2, "n_routed_experts": 4, "num_experts_per_tok": 2,
         "n_group": 1, "topk_group": 1, "moe_intermediate_size": 32, "kv_lora_rank": 16, "q_lora_rank": 16,
         "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16, "first_k_dense_replace": 1},
    ),
    "Mamba": ("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "Mamba 2": (
        "mamba2",
        {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1,
         "chunk_size": 8},
    ),
    "Falcon Mamba": ("falcon_mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "RWKV": ("rwkv", {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32, "context_length": 128}),
    "RecurrentGemma": (
        "recurrent_gemma",
        {**LLAMA, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 8, "conv1d_width": 4},
    ),
    "Jamba": (
        "jamba",
        {**EXPERTS, "mamba_d_state": 8, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
         "use_mamba_kernels": False},
    ),
    "LFM2": ("lfm2", {**LLAMA, "layer_types": ["conv", "full_attention"]}),
    "Qwen3-Next": (
        "qwen3_next",
        {**EXPERTS, "layer_types": ["linear_attention", "full_attention"], "linear_num_value_heads": 2,
         "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
         "shared_expert_intermediate_size": 32},
    ),
    "CTRL": ("ctrl", {"n_embd": 32, "dff": 64, "n_layer": 2, "n_head": 2, "n_positions": 128}),
    "GPT-1": ("openai-gpt", GPT),
    "XLNet": ("xlnet", {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64}),
    "BERT, as a decoder": ("bert", BERT),
    "BERT": ("bert", {**BERT, "is_decoder": False}),
    "RoBERTa, as a decoder": ("roberta", {**BERT, "pad_token_id": 0}),
}  # fmt: skip


def tiny_model(name: str, n_tokens: int) -> Any:
    """A model of an architecture, with weights large enough that what it attends to shows in its scores.

    Raises:
        KeyError: the installed transformers does not know the architecture.
    """
    kind, sizes = ARCHITECTURES[name]
    tokens = {"vocab_size": n_tokens, "bos_token_id": None, "eos_token_id": n_tokens - 1, "pad_token_id": None}
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each library of kernels that is not installed has its own
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**tokens, **sizes}))
        for place, parameter in model.named_parameters():
            if parameter.ndim >= 2 and "A_log" not in place:
                torch.nn.init.normal_(parameter.data, std=1.5 / parameter.shape[-1] ** 0.5)
    return model.float().eval()


PROMPTS = ["Where does Liz live?", "Who?", "Wiesa lives in Warsaw. Where?"]
CANDIDATES = ["London", "Lon", "Rome", "Londonderry"]


class Scored(NamedTuple):
    """How a model is scored: the way, how far from naive scores, and what is said; or the sentence that refuses it."""

    way: str | None
    gap: float
    said: str


def scored(name: str) -> Scored:
    """Scores a tiny model of an architecture, and compares with one unpadded pass for each pair."""
    tokenizer, said = byte_tokenizer(), list[str]()
    model = tiny_model(name, len(tokenizer))
    try:
        found = score_candidates(model, tokenizer, PROMPTS, CANDIDATES, say=said.append).log_prob
    except ValueError as error:
        return Scored(None, float("nan"), str(error))
    wanted = np.empty_like(found)
    with torch.no_grad():
        for p, own in enumerate(split(tokenizer, PROMPTS, [CANDIDATES] * len(PROMPTS))):
            for a, answer in enumerate(own.answers):
                logits = model(input_ids=torch.tensor([own.prompt + answer])).logits[0, len(own.prompt) - 1 : -1]
                wanted[p, a] = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).double().sum()
    return Scored(known_way(model), float(np.abs(found - wanted).max()), " ".join(said))


def table() -> str:
    """Architectures by the way that they are scored, as Markdown."""
    ways: dict[str | None, list[str]] = {"tree": [], "prefix": [], "naive": [], None: []}
    for name in ARCHITECTURES:
        ways[scored(name).way].append(name)
    titles = {"tree": "a tree of shared prefixes", "prefix": "a cached prefix for each prompt",
              "naive": "a pass for each prompt and answer", None: "refused, not causal"}  # fmt: skip
    lines = [f"| {titles[way]} ({len(names)}) | {'; '.join(names)} |" for way, names in ways.items()]
    return "\n".join([f"| by, in transformers {transformers.__version__} | architectures |", "| --- | --- |", *lines])


if __name__ == "__main__":
    print(table())
