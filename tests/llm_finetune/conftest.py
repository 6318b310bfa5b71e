"""Tiny language models with random weights, and a tokenizer made on the spot: no test needs a network."""

from pathlib import Path

import pytest
import torch
from local_model import save_local_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@pytest.fixture(scope="session")
def tokenizer():
    """Bytes and a few pairs of them, so that answers share first tokens and one is the beginning of another."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("L", "o"), ("Lo", "n"), ("d", "o"), ("do", "n"), ("Ġ", "Lon")]
    tokens = [*alphabet, *("".join(pair) for pair in merges), "<end>"]
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")


def tiny(kind: str, n_tokens: int, dropout: float = 0.0):
    """A model of two layers with weights that a seed fixes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "gpt2":
            config = GPT2Config(vocab_size=n_tokens, n_positions=128, n_embd=32, n_layer=2, n_head=2,
                                embd_pdrop=dropout, attn_pdrop=dropout, resid_pdrop=dropout, bos_token_id=None,
                                eos_token_id=n_tokens - 1)  # fmt: skip
            return GPT2LMHeadModel(config).eval()
        config = LlamaConfig(vocab_size=n_tokens, max_position_embeddings=128, hidden_size=32, num_hidden_layers=2,
                             intermediate_size=64, num_attention_heads=2, num_key_value_heads=1, bos_token_id=None,
                             eos_token_id=n_tokens - 1)  # fmt: skip
        return LlamaForCausalLM(config).eval()


@pytest.fixture(params=["gpt2", "llama"])
def model(request, tokenizer):
    return tiny(request.param, len(tokenizer))


@pytest.fixture
def make_model(tokenizer):
    """Makes the same model anew each time it is called."""
    return lambda kind="gpt2", dropout=0.0: tiny(kind, len(tokenizer), dropout)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """The folder of a tiny model."""
    return save_local_model(tmp_path_factory.mktemp("model") / "gpt2")
