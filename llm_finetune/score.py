r"""Log-probability of every candidate answer to every prompt, in one pass over each prompt.

The candidates form a tree: those that begin alike share their first tokens. The tree is appended to the prompt as one
packed sequence in which a token attends to the prompt and to the tokens before it in its own candidates, and stands
at the position it would have there. A prompt is computed once, and so is every beginning that candidates share:

    prompt   p1 p2 p3 | Lon don | King ston
    position  0  1  2 |   3   4 |    3    4

The end token closes every candidate, so that a candidate which begins another one is still a different answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor
from transformers import GenerationConfig

from llm_finetune.tokens import encode, encode_answers, end_token, pad_left, require_room
from theory.validation import require_integer

__all__ = ["CandidateScores", "generate", "score_candidates"]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """The model without dropout and gradients; afterwards it is in the mode it was in."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


class CandidateScores(NamedTuple):
    """Scores of K candidate answers to P prompts.

    Attributes:
        log_prob: total log-probability of the candidate's tokens and the end token, shape (P, K), in nats.
        n_tokens: tokens of each candidate, with the end token, shape (K,).
    """

    log_prob: NDArray[np.float64]
    n_tokens: NDArray[np.int64]

    @property
    def normalised(self) -> NDArray[np.float64]:
        """Log-probability per token, shape (P, K), in nats: long candidates are not at a disadvantage."""
        return self.log_prob / self.n_tokens

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
    model: Any, tokenizer: Any, prompts: Sequence[str], candidates: Sequence[str], *, batch_size: int = 16
) -> CandidateScores:
    r"""Log-probability of every candidate as the answer to every prompt.

    .. math:: \log P(a \mid p) = \sum_{t=1}^{T+1} \log P(a_t \mid p, a_1, \dots, a_{t-1}), \quad a_{T+1} = \text{end}

    Prompt and candidate are encoded apart and joined, so a candidate's tokens are the same after every prompt. The
    model must accept a four-dimensional attention mask: attention by ``sdpa`` or ``eager``, full or with a window
    longer than prompt and candidates.

    Args:
        model: causal language model of transformers, or a peft adapter around one; left in the mode it was in.
        tokenizer: its tokenizer, with an end token.
        prompts: texts as the model reads them, special tokens written out, ending where the answer begins.
        candidates: answers without end token; no two of them with the same tokens.
        batch_size: prompts per pass, >= 1; changes the speed only.

    Raises:
        ValueError: when there is no prompt or candidate, one has no token, two candidates have the same tokens, or a
            prompt and its answers are longer than the model's context.
    """
    require_integer("batch_size", batch_size, least=1)
    if not prompts or not candidates:
        raise ValueError(f"`prompts` and `candidates` must not be empty; got {len(prompts)} and {len(candidates)}")
    rows = encode(tokenizer, prompts)
    answers = encode_answers(tokenizer, candidates)
    seen: dict[tuple[int, ...], str] = {}
    for candidate, answer in zip(candidates, answers, strict=True):
        if tuple(answer) in seen:
            pair = f"{seen[tuple(answer)]!r} and {candidate!r}"
            raise ValueError(f"no two `candidates` may have the same tokens; got {pair}")
        seen[tuple(answer)] = candidate
    longest = max(len(answer) for answer in answers)
    require_room(model, prompts, [len(row) + longest for row in rows])
    tree = _Tree.of(answers, model.device)
    scores = np.empty((len(rows), len(answers)))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # prompts of one length together: little padding
    with _evaluating(model):
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            scores[batch] = _score(model, [rows[i] for i in batch], tree, end_token(tokenizer)).cpu().numpy()
    return CandidateScores(scores, np.array([len(answer) for answer in answers]))


def generate(
    model: Any, tokenizer: Any, prompts: Sequence[str], *, max_new_tokens: int = 16, batch_size: int = 16
) -> list[str]:
    """What the model answers when it may say anything: the likeliest token at each step, up to the end token.

    Args:
        model: causal language model of transformers, or a peft adapter around one; left in the mode it was in.
        tokenizer: its tokenizer, with an end token.
        prompts: texts as the model reads them, ending where the answer begins.
        max_new_tokens: length at which an answer is cut off, >= 1.
        batch_size: prompts per pass, >= 1; changes the speed only.

    Returns:
        The answer to each prompt, without special tokens and without space at either end.

    Raises:
        ValueError: when a prompt has no token, or there is no room after it in the model's context.
    """
    require_integer("max_new_tokens", max_new_tokens, least=1)
    require_integer("batch_size", batch_size, least=1)
    rows, end = encode(tokenizer, prompts), end_token(tokenizer)
    require_room(model, prompts, [len(row) + max_new_tokens for row in rows])
    greedy = GenerationConfig(do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end, pad_token_id=end)
    said: list[str] = []
    with _evaluating(model):
        for start in range(0, len(rows), batch_size):
            batch = pad_left(rows[start : start + batch_size], end, model.device)
            tokens = model.generate(input_ids=batch.ids, attention_mask=batch.mask, generation_config=greedy)
            said += tokenizer.batch_decode(tokens[:, batch.ids.shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in said]


class _Tree(NamedTuple):
    """Beginnings of the candidates, each once; column 0 is the end of the prompt, column n + 1 is node n.

    `tokens` and `depth` have one entry for each node; `attends[n]` says which nodes node n attends to, itself among
    them. `column[s]` and `target[s]` say where each scored token is predicted and which it is, and `owner[s]` whose it
    is: a candidate's score is the sum over its own. The end token is predicted, and predicts nothing.
    """

    tokens: Tensor
    depth: Tensor
    attends: Tensor
    column: Tensor
    target: Tensor
    owner: Tensor

    @classmethod
    def of(cls, answers: Sequence[Sequence[int]], device: torch.device) -> _Tree:
        starts = dict.fromkeys(tuple(answer[:length]) for answer in answers for length in range(len(answer)))
        place = {start: column for column, start in enumerate(starts)}  # the empty one, the prompt's end, comes first
        nodes = list(starts)[1:]
        attends = torch.eye(len(nodes), dtype=torch.bool)
        for node, start in enumerate(nodes):
            if len(start) > 1:
                attends[node] |= attends[place[start[:-1]] - 1]
        scored = [
            (place[tuple(answer[:length])], token, candidate)
            for candidate, answer in enumerate(answers)
            for length, token in enumerate(answer)
        ]
        tokens, depth = torch.tensor([(start[-1], len(start) - 1) for start in nodes], device=device).T
        column, target, owner = torch.tensor(scored, device=device).T
        return cls(tokens, depth, attends.to(device), column, target, owner)


def _score(model: Any, rows: list[list[int]], tree: _Tree, fill: int) -> Tensor:
    """Scores of a batch, shape (B, K), float64."""
    prompt = pad_left(rows, fill, model.device)
    lengths = prompt.mask.sum(dim=1, keepdim=True)
    logits = model(
        input_ids=torch.cat([prompt.ids, tree.tokens.expand(len(rows), -1)], dim=1),
        attention_mask=_attention(prompt.mask, tree.attends, model.dtype),
        position_ids=torch.cat([prompt.positions, lengths + tree.depth], dim=1),
        logits_to_keep=len(tree.tokens) + 1,
        use_cache=False,
    ).logits.float()
    parts = (logits[:, tree.column, tree.target] - logits.logsumexp(dim=-1)[:, tree.column]).double()
    scores = torch.zeros(len(rows), int(tree.owner[-1]) + 1, dtype=torch.float64, device=model.device)
    return scores.index_add_(1, tree.owner, parts)


def _attention(mask: Tensor, attends: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive mask, shape (B, 1, L + n, L + n): 0 where a row's token attends to a column's, -inf elsewhere."""
    (batch, length), n = mask.shape, len(attends)
    allowed = torch.ones(batch, length + n, length + n, dtype=torch.bool, device=mask.device).tril()
    allowed[:, length:, length:] = attends
    allowed[:, :, :length] &= mask.bool().unsqueeze(1)
    allowed |= torch.eye(length + n, dtype=torch.bool, device=mask.device)  # padding sees itself: no empty row
    return torch.zeros_like(allowed, dtype=dtype).masked_fill_(~allowed, float("-inf")).unsqueeze(1)
