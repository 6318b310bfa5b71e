r"""Scores of candidates that share a prompt, in one pass over each prompt.

The candidates form a tree: those that begin alike share their first tokens. The tree is appended to the prompt as one
packed sequence in which a token attends to the prompt and to the tokens before it in its own candidates, and stands
at the position it would have there. A prompt is computed once, and so is every beginning that candidates share:

    prompt   p1 p2 p3 | Lon don | King ston
    position  0  1  2 |   3   4 |    3    4

The end token closes every candidate, so that a candidate which begins another one is still a different answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from llm_finetune.tokens import pad_left

__all__ = ["tree_scores"]


def tree_scores(model: Any, rows: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Tensor:
    """Log-probability of each answer after each prompt.

    The model must take a four-dimensional attention mask and positions: attention by ``sdpa`` or ``eager``, full or
    with a window longer than prompt and answers.

    Args:
        model: causal language model of transformers in evaluation mode.
        rows: tokens of B prompts.
        answers: tokens of K answers, each different, with those that close them.

    Returns:
        Shape (B, K), float64, in nats.
    """
    prompt, tree = pad_left(rows, answers[0][-1], model.device), _Tree.of(answers, model.device)
    lengths = prompt.mask.sum(dim=1, keepdim=True)
    logits = model(
        input_ids=torch.cat([prompt.ids, tree.tokens.expand(len(rows), -1)], dim=1),
        attention_mask=_attention(prompt.mask, tree.attends, model.dtype),
        position_ids=torch.cat([prompt.positions, lengths + tree.depth], dim=1),
        logits_to_keep=len(tree.tokens) + 1,
        use_cache=False,
    ).logits.float()
    parts = (logits[:, tree.column, tree.target] - logits.logsumexp(dim=-1)[:, tree.column]).double()
    scores = torch.zeros(len(rows), len(answers), dtype=torch.float64, device=model.device)
    return scores.index_add_(1, tree.owner, parts)


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


def _attention(mask: Tensor, attends: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive mask, shape (B, 1, L + n, L + n): 0 where a row's token attends to a column's, -inf elsewhere."""
    (batch, length), n = mask.shape, len(attends)
    allowed = torch.ones(batch, length + n, length + n, dtype=torch.bool, device=mask.device).tril()
    allowed[:, length:, length:] = attends
    allowed[:, :, :length] &= mask.bool().unsqueeze(1)
    allowed |= torch.eye(length + n, dtype=torch.bool, device=mask.device)  # padding sees itself: no empty row
    return torch.zeros_like(allowed, dtype=dtype).masked_fill_(~allowed, float("-inf")).unsqueeze(1)
