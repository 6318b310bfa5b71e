"""Prompts and answers as tokens: encoded apart, joined, and padded on the left, so that answers end in one column."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Tokens", "encode", "encode_answers", "end_token", "pad_left", "require_room"]


class Tokens(NamedTuple):
    """Token sequences of a batch, padded on the left to one length L.

    Attributes:
        ids: shape (B, L), int64; what stands in the padding is masked.
        mask: shape (B, L), int64; 1 for a token, 0 for padding.
        positions: shape (B, L), int64; 0 for the first token of a sequence.
    """

    ids: Tensor
    mask: Tensor
    positions: Tensor


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of texts as they stand: the tokenizer adds nothing, so a prompt holds its special tokens as text.

    Raises:
        ValueError: when a text has no token.
    """
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    empty = [text for text, row in zip(texts, rows, strict=True) if not row]
    if empty:
        raise ValueError(f"every prompt and answer must have at least one token; got {empty[0]!r}")
    return rows


def encode_answers(tokenizer: Any, answers: Sequence[str]) -> list[list[int]]:
    """Tokens of answers, each closed by the end token, so that no answer is the beginning of another.

    An answer is encoded apart from its prompt and appended to it: its tokens are the same after every prompt.

    Raises:
        ValueError: when an answer has no token, or the tokenizer no end token.
    """
    end = end_token(tokenizer)
    return [[*row, end] for row in encode(tokenizer, answers)]


def end_token(tokenizer: Any) -> int:
    """Token with which the model ends its answer.

    Raises:
        ValueError: when the tokenizer has none.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(f"`tokenizer` must have an end token (`eos_token`); {type(tokenizer).__name__} has none")
    return int(tokenizer.eos_token_id)


def pad_left(rows: Sequence[Sequence[int]], fill: int, device: torch.device | str = "cpu") -> Tokens:
    """Token sequences as one batch.

    Args:
        rows: tokens of each sequence, at least one in each.
        fill: any token; it stands in the padding.
        device: where the batch goes.

    Example:
        >>> tokens = pad_left([[5, 6, 7], [8]], fill=0)
        >>> tokens.ids.tolist(), tokens.positions.tolist()
        ([[5, 6, 7], [0, 0, 8]], [[0, 1, 2], [0, 0, 0]])
    """
    length = max(len(row) for row in rows)
    ids = torch.tensor([[fill] * (length - len(row)) + [*row] for row in rows], device=device)
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=device)
    return Tokens(ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0))


def require_room(model: Any, prompts: Sequence[str], lengths: list[int]) -> None:
    """Checks that prompts and what follows them fit into the model's context.

    Args:
        model: the model; one whose configuration names no longest context takes any length.
        prompts: the prompts, for the message.
        lengths: tokens of each prompt and its longest answer together.

    Raises:
        ValueError: naming the longest prompt, its tokens and the model's context.
    """
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if lengths and longest is not None and max(lengths) > longest:
        prompt = prompts[lengths.index(max(lengths))]
        shown = prompt if len(prompt) <= 80 else f"{prompt[:80]}..."
        raise ValueError(
            f"a prompt and its answer must fit into the model's context of {longest} tokens; "
            f"{max(lengths)} are needed for {shown!r}"
        )
