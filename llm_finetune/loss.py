r"""What is learned from: batches of prompts and answers, and the loss on the tokens of the answers alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from llm_finetune.prompts import IGNORED, Example, Row
from llm_finetune.tokens import pad_left, require_room, split
from llm_finetune.ways import known_way

__all__ = ["BatchSource", "answer_loss", "encoded", "shuffled"]

BatchSource = Callable[[int], Sequence[Example | Row]]
"""Examples of each step, counted from 0; the same step must always give the same examples."""


def answer_loss(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example | Row],
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
        examples: the whole batch; of rows of tokens those are learned that their labels hold.
        part: the examples that this process computes; the mean is over the tokens of all.
        closing: text that closes an answer, such as `Prompter.closing`; None for the tokenizer's end token.

    Raises:
        ValueError: when a prompt or answer has no token, or does not fit into the model's context.
    """
    rows = encoded(model, tokenizer, examples, closing)
    n_tokens = sum(row.learned for row in rows)
    left = known_way(getattr(model, "module", model)) in (None, "tree")
    logits, target = (_padded_left if left else _padded_right)(model, rows[part])
    total = functional.cross_entropy(
        logits.flatten(0, 1).float(), target.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / n_tokens


def _padded_left(model: Any, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Logits in the columns of the answers, shape (B, T, V), and the tokens that they predict, shape (B, T)."""
    device = next(model.parameters()).device
    tokens = pad_left([row.prompt + row.answer for row in rows], rows[0].answer[-1], device)
    logits: Tensor = model(
        input_ids=tokens.ids,
        attention_mask=tokens.mask,
        position_ids=tokens.positions,
        logits_to_keep=max(len(row.answer) for row in rows) + 1,
        use_cache=False,
    ).logits
    return logits[:, :-1], pad_left([row.labels for row in rows], IGNORED, device).ids


def _padded_right(model: Any, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """As `_padded_left`, in all columns; the model is told of tokens only."""
    device = next(model.parameters()).device
    width = max(len(row.prompt) + len(row.answer) for row in rows)
    ids, target = [], []
    for prompt, answer, labels in rows:
        rest = width - len(prompt) - len(answer)
        ids.append(prompt + answer + [answer[-1]] * rest)
        target.append([IGNORED] * len(prompt) + labels + [IGNORED] * rest)
    logits: Tensor = model(input_ids=torch.tensor(ids, device=device)).logits
    return logits[:, :-1], torch.tensor(target, device=device)[:, 1:]


def encoded(model: Any, tokenizer: Any, examples: Sequence[Example | Row], closing: str | None) -> list[Row]:
    """Tokens of prompts and of closed answers, which are checked; rows of tokens are taken as they are."""
    if not examples:
        raise ValueError("`examples` must not be empty; got none")
    texts = [example for example in examples if isinstance(example, Example)]
    bare = [prompt for prompt, answer in texts if not answer]
    if bare:
        shown = ", ".join(repr(prompt) for prompt in bare[:3])
        raise ValueError(f"every prompt must have an answer to learn; {len(bare)} have none: {shown}")
    found = iter(split(tokenizer, [e.prompt for e in texts], [[e.answer] for e in texts], closing))
    rows = [e if isinstance(e, Row) else _row(*next(found)) for e in examples]
    names = [e.prompt if isinstance(e, Example) else "a row of data" for e in examples]
    require_room(getattr(model, "module", model), names, [len(row.prompt) + len(row.answer) for row in rows])
    return rows


def _row(prompt: list[int], answers: list[list[int]]) -> Row:
    return Row(prompt, answers[0], answers[0])


def shuffled(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example | Row],
    batch_size: int,
    seed: int,
    closing: str | None = None,
) -> BatchSource:
    """Batches of a size from a list, each pass in an order of its own; the list is checked as a whole.

    Raises:
        ValueError: when the list is empty, a prompt or answer has no token, or does not fit into the model's context.
    """
    encoded(model, tokenizer, examples, closing)

    def batch(step: int) -> list[Example | Row]:
        drawn = []
        for index in range(step * batch_size, (step + 1) * batch_size):
            turn, place = divmod(index, len(examples))
            order = np.random.default_rng([seed, turn]).permutation(len(examples))
            drawn.append(examples[order[place]])
        return drawn

    return batch
