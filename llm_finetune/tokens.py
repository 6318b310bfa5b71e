"""Prompts and answers as tokens: encoded as one text, split, and padded on the left, so that all end in one column."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Split", "Tokens", "encode", "end_token", "end_tokens", "pad_left", "require_fit", "require_room", "split"]


class Split(NamedTuple):
    """Tokens of one prompt, and of each answer to it.

    Attributes:
        prompt: tokens that are the same before every answer.
        answers: tokens of each answer, with those that close it.
    """

    prompt: list[int]
    answers: list[list[int]]


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


def split(
    tokenizer: Any, prompts: Sequence[str], answers: Sequence[Sequence[str]], closing: str | None = None
) -> list[Split]:
    """Tokens of prompts and of the answers to each, from the whole texts: as a model meets them in training.

    Where the last characters of a prompt and the first ones of an answer are one token, that token is the answer's, and
    the other answers to that prompt begin as early.

    Args:
        tokenizer: the tokenizer; it adds no special token.
        prompts: P prompts.
        answers: the answers to each of them.
        closing: text that closes an answer, such as the end of a turn; None for the tokenizer's end token.

    Raises:
        ValueError: when a prompt or answer has no token, a prompt none of its own, or the tokenizer no end token.
    """
    encode(tokenizer, list(dict.fromkeys(answer for own in answers for answer in own)))
    ends = [end_token(tokenizer)] if closing is None else []
    flat = [f"{prompt}{a}{closing or ''}" for prompt, own in zip(prompts, answers, strict=True) for a in own]
    wholes = iter(encode(tokenizer, flat))
    found = []
    for prompt, alone, own in zip(prompts, encode(tokenizer, prompts), answers, strict=True):
        rows = [[*next(wholes), *ends] for _ in own]
        shared = _shared([alone, *rows])
        if not shared:
            raise ValueError(f"a prompt must have a token of its own before its answers; got {prompt!r}")
        found.append(Split(alone[:shared], [row[shared:] for row in rows]))
    return found


def _shared(rows: Sequence[Sequence[int]]) -> int:
    """Number of tokens with which all rows begin; each keeps one more but the first."""
    most = min([len(rows[0]), *(len(row) - 1 for row in rows[1:])])
    return next((k for k in range(most) if any(row[k] != rows[0][k] for row in rows)), most)


def end_token(tokenizer: Any) -> int:
    """Token with which the model ends its answer.

    Raises:
        ValueError: when the tokenizer has none.
    """
    if tokenizer.eos_token_id is None:
        raise ValueError(f"`tokenizer` must have an end token (`eos_token`); {type(tokenizer).__name__} has none")
    return int(tokenizer.eos_token_id)


def end_tokens(model: Any, tokenizer: Any, closing: str | None) -> list[int]:
    """Tokens at which a free answer ends: the last one that closes an answer, and those that the model names."""
    named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ends = {end_token(tokenizer), *(named if isinstance(named, list) else [named]), None}
    if closing is not None:
        ends.add(encode(tokenizer, [closing])[0][-1])
    return sorted(ends - {None})


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
    if lengths and longest is not None and 0 < longest < max(lengths):
        prompt = prompts[lengths.index(max(lengths))]
        shown = prompt if len(prompt) <= 80 else f"{prompt[:80]}..."
        raise ValueError(
            f"a prompt and its answer must fit into the model's context of {longest} tokens; "
            f"{max(lengths)} are needed for {shown!r}"
        )


def require_fit(
    model: Any, tokenizer: Any, prompts: Sequence[str], answers: Sequence[str], closing: str | None, *, least: int = 0
) -> str:
    """Looks whether each prompt fits into the model's context with the longest answer behind it.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        prompts: one or more.
        answers: one or more.
        closing: as in `split`.
        least: tokens for an answer, at least.

    Returns:
        The longest prompt.

    Raises:
        SpecError: one does not.
    """
    room = max(least, *map(len, split(tokenizer, prompts[:1], [answers], closing)[0].answers))
    lengths = [len(row) for row in encode(tokenizer, prompts)]
    require_room(model, prompts, [length + room for length in lengths])
    return prompts[lengths.index(max(lengths))]
