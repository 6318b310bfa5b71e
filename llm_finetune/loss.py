r"""What is learned from: batches of prompts and answers, and the loss on the tokens of the answers alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from llm_finetune.prompts import Example
from llm_finetune.tokens import pad_left, require_room, split
from llm_finetune.ways import known_way

__all__ = ["BatchSource", "answer_loss", "encoded", "shuffled"]

Rows = list[list[int]]

BatchSource = Callable[[int], Sequence[Example]]
"""Examples of each step, counted from 0; the same step must always give the same examples."""

IGNORED = -100


def answer_loss(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    part: slice = slice(None),
    *,
    closing: str | None = None,
) -> Tensor:
    r"""Mean negative log-probability of the answer tokens and end tokens of a batch, in nats.

    .. math:: \frac{1}{\sum_i T_i} \sum_{i \in \text{part}} \sum_{t=1}^{T_i} -\log P(a_{it} \mid p_i, a_{i,<t})

    Prompts are padded on the left, so answers end in the last column, and logits are computed only there; a model that
    is known to take padding for text (`llm_finetune.ways`) has it on the right, behind all that counts.

    Args:
        model: causal language model, possibly spread over devices.
        tokenizer: its tokenizer.
        examples: the whole batch.
        part: the examples that this process computes; the mean is over the tokens of all.
        closing: text that closes an answer, such as `Prompter.closing`; None for the tokenizer's end token.

    Raises:
        ValueError: when a prompt or answer has no token, or does not fit into the model's context.
    """
    prompts, answers = encoded(model, tokenizer, examples, closing)
    n_tokens = sum(len(answer) for answer in answers)
    left = known_way(getattr(model, "module", model)) in (None, "tree")
    logits, target = (_padded_left if left else _padded_right)(model, prompts[part], answers[part])
    total = functional.cross_entropy(
        logits.flatten(0, 1).float(), target.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / n_tokens


def _padded_left(model: Any, prompts: Rows, answers: Rows) -> tuple[Tensor, Tensor]:
    """Logits in the columns of the answers, shape (B, T, V), and the tokens that they predict, shape (B, T)."""
    device = next(model.parameters()).device
    tokens = pad_left([p + a for p, a in zip(prompts, answers, strict=True)], answers[0][-1], device)
    logits: Tensor = model(
        input_ids=tokens.ids,
        attention_mask=tokens.mask,
        position_ids=tokens.positions,
        logits_to_keep=max(map(len, answers)) + 1,
        use_cache=False,
    ).logits
    return logits[:, :-1], pad_left(answers, IGNORED, device).ids


def _padded_right(model: Any, prompts: Rows, answers: Rows) -> tuple[Tensor, Tensor]:
    """As `_padded_left`, in all columns; the model is told of tokens only."""
    device = next(model.parameters()).device
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    ids, target = [], []
    for prompt, answer in zip(prompts, answers, strict=True):
        rest = width - len(prompt) - len(answer)
        ids.append(prompt + answer + [answer[-1]] * rest)
        target.append([IGNORED] * len(prompt) + answer + [IGNORED] * rest)
    logits: Tensor = model(input_ids=torch.tensor(ids, device=device)).logits
    return logits[:, :-1], torch.tensor(target, device=device)[:, 1:]


def encoded(
    model: Any, tokenizer: Any, examples: Sequence[Example], closing: str | None
) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens of prompts and of closed answers, which are checked."""
    if not examples:
        raise ValueError("`examples` must not be empty; got none")
    asked, learned = zip(*examples, strict=True)
    bare = [prompt for prompt, answer in zip(asked, learned, strict=True) if not answer]
    if bare:
        shown = ", ".join(repr(prompt) for prompt in bare[:3])
        raise ValueError(f"every prompt must have an answer to learn; {len(bare)} have none: {shown}")
    tokens = split(tokenizer, asked, [[answer] for answer in learned], closing)
    prompts, answers = [own.prompt for own in tokens], [own.answers[0] for own in tokens]
    lengths = [len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
    require_room(getattr(model, "module", model), asked, lengths)
    return prompts, answers


def shuffled(
    model: Any, tokenizer: Any, examples: Sequence[Example], batch_size: int, seed: int, closing: str | None = None
) -> BatchSource:
    """Batches of a size from a list, each pass in an order of its own; the list is checked as a whole.

    Raises:
        ValueError: when the list is empty, a prompt or answer has no token, or does not fit into the model's context.
    """
    encoded(model, tokenizer, examples, closing)

    def batch(step: int) -> list[Example]:
        drawn = []
        for index in range(step * batch_size, (step + 1) * batch_size):
            turn, place = divmod(index, len(examples))
            order = np.random.default_rng([seed, turn]).permutation(len(examples))
            drawn.append(examples[order[place]])
        return drawn

    return batch
