"""Log-probability of every candidate answer to every prompt, and what a model answers when it may say anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from transformers import GenerationConfig

from llm_finetune.tokens import encode, end_tokens, pad_left, require_room, split
from llm_finetune.ways import WAYS, evaluating, known_way, way_of
from theory.validation import require_integer

__all__ = ["CandidateScores", "generate", "require_different", "score_candidates"]


class CandidateScores(NamedTuple):
    """Scores of K candidate answers to P prompts.

    Attributes:
        log_prob: total log-probability of the candidate's tokens and the end token, shape (P, K), in nats.
        n_tokens: tokens of each candidate after each prompt, with those that close it, shape (P, K); or (K,) where they
            are the same after every prompt.
    """

    log_prob: NDArray[np.float64]
    n_tokens: NDArray[np.int64]

    @property
    def normalised(self) -> NDArray[np.float64]:
        """Log-probability per token, shape (P, K), in nats: long candidates are not at a disadvantage."""
        return np.asarray(self.log_prob / self.n_tokens)

    @property
    def log_softmax(self) -> NDArray[np.float64]:
        """Log-probability of each candidate, given that the answer is one of them, shape (P, K), in nats."""
        return np.asarray(log_softmax(self.log_prob, axis=1))

    def margin(self, chosen: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
        r"""``log P(chosen) - log P(other)`` of each prompt, shape (P,), in nats.

        Args:
            chosen: column of one candidate for each prompt, such as the context's answer; shape (P,).
            other: column of another one, such as the memorised answer; shape (P,).

        Example:
            >>> scores = CandidateScores(np.log([[0.5, 0.25], [0.1, 0.4]]), np.array([2, 3]))
            >>> np.exp(scores.margin(np.array([0, 0]), np.array([1, 1]))).round(2).tolist()
            [2.0, 0.25]
        """
        rows = np.arange(len(self.log_prob))
        return self.log_prob[rows, chosen] - self.log_prob[rows, other]


def score_candidates(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    candidates: Sequence[str],
    *,
    closing: str | None = None,
    batch_size: int = 16,
    say: Callable[[str], None] = print,
) -> CandidateScores:
    r"""Log-probability of every candidate as the answer to every prompt, in float32 whatever the model trains in.

    .. math:: \log P(a \mid p) = \sum_{t=1}^{T+1} \log P(a_t \mid p, a_1, \dots, a_{t-1}), \quad a_{T+1} = \text{end}

    Prompt, candidate and what closes it are encoded as one text and split where the candidates begin. Candidates share
    what they have in common (`llm_finetune.tree`) where the model computes the same from that as from each of them
    alone; otherwise they are scored more slowly, and `say` is told (`llm_finetune.ways`).

    Args:
        model: causal language model of transformers, or a peft adapter around one; left in the mode it was in.
        tokenizer: its tokenizer, with an end token.
        prompts: texts as the model reads them, special tokens written out, ending where the answer begins.
        candidates: answers without end token; no two of them with the same tokens.
        closing: text that closes an answer, such as `Prompter.closing`; None for the tokenizer's end token.
        batch_size: prompts per pass, >= 1; changes the speed only.
        say: receives a line about a model that is not scored the fastest way, once.

    Raises:
        ValueError: when there is no prompt or candidate, one has no token, two candidates have the same tokens, a
            prompt and its answers are longer than the model's context, or the model is not causal or gives no numbers.
    """
    require_integer("batch_size", batch_size, least=1)
    if not prompts or not candidates:
        raise ValueError(f"`prompts` and `candidates` must not be empty; got {len(prompts)} and {len(candidates)}")
    encode(tokenizer, prompts)
    tokens = split(tokenizer, prompts, [candidates] * len(prompts), closing)
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}  # prompts after which the candidates have the same tokens
    for place, own in enumerate(tokens):
        groups.setdefault(tuple(map(tuple, own.answers)), []).append(place)
    for answers in groups:
        require_different(candidates, answers)
    require_room(model, prompts, [len(own.prompt) + max(map(len, own.answers)) for own in tokens])
    scores = np.empty((len(prompts), len(candidates)))
    with evaluating(model):
        for answers, places in groups.items():
            rows = {place: tokens[place].prompt for place in sorted(places, key=lambda i: len(tokens[i].prompt))}
            way = WAYS[way_of(model, list(rows.values()), answers, say)]
            for start in range(0, len(rows), batch_size):  # prompts of one length together: little padding
                batch = list(rows)[start : start + batch_size]
                scores[batch] = way(model, [rows[i] for i in batch], answers).cpu().numpy()
    return CandidateScores(scores, np.array([[len(answer) for answer in own.answers] for own in tokens]))


def require_different(candidates: Sequence[str], answers: Sequence[tuple[int, ...]]) -> None:
    """Looks whether a model can tell candidates apart: some tokenizers have one unknown token for all that they lack.

    Args:
        candidates: texts.
        answers: tokens of each.

    Raises:
        ValueError: two have the same tokens.
    """
    seen: dict[tuple[int, ...], str] = {}
    for candidate, answer in zip(candidates, answers, strict=True):
        if answer in seen:
            pair = f"{seen[answer]!r} and {candidate!r}"
            raise ValueError(f"no two `candidates` may have the same tokens; got {pair}")
        seen[answer] = candidate


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    closing: str | None = None,
    max_new_tokens: int = 16,
    batch_size: int = 64,
) -> list[str]:
    """What the model answers when it may say anything: the likeliest token at each step, up to the end token.

    Nothing else of the model's generation settings counts than where it ends: with Qwen2.5's own penalty for repetition
    a model would read less than it does.

    Args:
        model: causal language model of transformers, or a peft adapter around one; left in the mode it was in.
        tokenizer: its tokenizer, with an end token.
        prompts: texts as the model reads them, ending where the answer begins.
        closing: text that closes an answer, at whose last token it ends, as at those that the model names.
        max_new_tokens: length at which an answer is cut off, >= 1.
        batch_size: prompts per pass, >= 1; changes the speed only.

    Returns:
        The answer to each prompt, without special tokens and without space at either end.

    Raises:
        ValueError: when a prompt has no token, or there is no room after it in the model's context.
    """
    require_integer("max_new_tokens", max_new_tokens, least=1)
    require_integer("batch_size", batch_size, least=1)
    rows, ends = encode(tokenizer, prompts), end_tokens(model, tokenizer, closing)
    require_room(model, prompts, [len(row) + max_new_tokens for row in rows])
    greedy = GenerationConfig(do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=ends, pad_token_id=ends[0])
    said = [""] * len(rows)
    with evaluating(model), _only(model, greedy):
        for some in _batches(rows, batch_size, padded=known_way(model) == "tree"):
            batch = pad_left([rows[i] for i in some], ends[0], model.device)
            tokens = model.generate(input_ids=batch.ids, attention_mask=batch.mask, generation_config=greedy)
            texts = tokenizer.batch_decode(tokens[:, batch.ids.shape[1] :], skip_special_tokens=True)
            for place, text in zip(some, texts, strict=True):
                said[place] = text.strip()
    return said


@contextmanager
def _only(model: Any, settings: GenerationConfig) -> Iterator[None]:
    """Without the model's own settings, which `transformers` takes for all that a call leaves open."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    own, base.generation_config = base.generation_config, settings
    try:
        yield
    finally:
        base.generation_config = own


def _batches(rows: Sequence[Sequence[int]], batch_size: int, *, padded: bool) -> list[list[int]]:
    """Places of rows in batches, the shortest first; of one length each, unless a model makes nothing of padding."""
    alike: dict[int, list[int]] = {}
    for place in sorted(range(len(rows)), key=lambda place: len(rows[place])):
        alike.setdefault(0 if padded else len(rows[place]), []).append(place)
    return [group[start : start + batch_size] for group in alike.values() for start in range(0, len(group), batch_size)]
