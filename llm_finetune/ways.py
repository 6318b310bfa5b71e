"""Which way a model's candidates are scored: the fastest one that gives what one pass for each answer gives.

By a tree of shared prefixes; where a model computes something else from that, such as one with a sliding window, a
recurrent state or positions that are distances, by one cached prefix for each prompt; and else by one pass for each
prompt and answer, which is right for every causal model.
"""

from __future__ import annotations

import copy
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from llm_finetune.tree import tree_scores

__all__ = ["WAYS", "evaluating", "known_way", "naive_scores", "prefix_scores", "way_of"]

Rows = Sequence[Sequence[int]]

ROUNDING = 64 * torch.finfo(torch.float32).eps
"""Largest difference that is rounding in float32, per token and per nat of the largest logit."""

PAIRS_PER_PASS = 32


class _Known(NamedTuple):
    """A way that was compared with naive scores, and the longest prompt with an answer that it was compared at."""

    way: str
    length: int


_known: WeakKeyDictionary[Any, dict[str, _Known]] = WeakKeyDictionary()
"""By model, and by the kernel of its attention."""


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model in float32 without dropout and gradients; afterwards it is in the mode and the type it was in."""
    training = model.training
    small = (torch.bfloat16, torch.float16)
    held = [(t, t.data) for part in (model.parameters(), model.buffers()) for t in part if t.dtype in small]
    model.eval()
    try:
        for tensor, data in held:
            tensor.data = data.float()
        with torch.no_grad(), torch.autocast(torch.device(model.device).type, enabled=False):
            yield
    finally:
        for tensor, data in held:
            tensor.data = data
        model.train(training)


def naive_scores(model: Any, rows: Rows, answers: Rows) -> Tensor:
    """As `tree_scores`, by a pass over each prompt with each answer; those of one length go together, unpadded."""
    scores = torch.empty(len(rows), len(answers), dtype=torch.float64)
    alike: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for r, row in enumerate(rows):
        for a, answer in enumerate(answers):
            alike[len(row), len(answer)].append((r, a))
    for (_, length), pairs in alike.items():
        for start in range(0, len(pairs), PAIRS_PER_PASS):
            some = pairs[start : start + PAIRS_PER_PASS]
            ids = torch.tensor([[*rows[r], *answers[a]] for r, a in some], device=model.device)
            found = _log_probs(_last_logits(model, length + 1, input_ids=ids)[:, :-1], ids[:, -length:]).sum(1)
            for pair, value in zip(some, found.tolist(), strict=True):
                scores[pair] = value
    return scores


def prefix_scores(model: Any, rows: Rows, answers: Rows) -> Tensor:
    """As `tree_scores`, by a pass over each prompt alone, whose state every answer goes on from."""
    lengths = torch.tensor([len(answer) for answer in answers], device=model.device)
    width = int(lengths.max())
    ids = torch.tensor([[*a, *[a[-1]] * (width - len(a))] for a in answers], device=model.device)
    name = _name_of_cache(model)
    inside = torch.arange(width, device=model.device) < lengths[:, None]
    scores = torch.empty(len(rows), len(answers), dtype=torch.float64)
    for r, row in enumerate(rows):
        read = model(input_ids=torch.tensor([list(row)], device=model.device), use_cache=True)
        state, first = read[name], read.logits[:, -1:].float()
        for start in range(0, len(answers), PAIRS_PER_PASS):
            part = slice(start, start + PAIRS_PER_PASS)
            own = copy.deepcopy(state)
            own.reorder_cache(torch.zeros(len(ids[part]), dtype=torch.long, device=model.device))  # one copy for each
            rest = model(input_ids=ids[part, :-1], use_cache=True, **{name: own}).logits.float()
            logits = torch.cat([first.expand(len(rest), -1, -1), rest], dim=1)
            scores[r, part] = (_log_probs(logits, ids[part]) * inside[part]).sum(1).cpu()
    return scores


WAYS: dict[str, Callable[[Any, Rows, Rows], Tensor]] = {
    "tree": tree_scores,
    "prefix": prefix_scores,
    "naive": naive_scores,
}
"""Ways to score, the fastest first."""

NAMES = {
    "tree": "by a tree of shared prefixes",
    "prefix": "from one cached prefix for each prompt",
    "naive": "by one pass for each prompt and answer",
}


def known_way(model: Any) -> str | None:
    """The way that a model was last found to be scored rightly; None for a model that was not scored yet."""
    known = _known.get(model, {}).get(_attention_of(model))
    return known.way if known else None


def way_of(model: Any, rows: Rows, answers: Rows, say: Callable[[str], None]) -> str:
    """The fastest way that gives what naive scores are, one of `WAYS`.

    Compared are two answers to the longest prompt, and one to a prompt of half its length beside it, which is padded. A
    model is compared once, and again when a longer prompt comes. Call it within `evaluating`.

    Args:
        model: causal language model of transformers.
        rows: tokens of prompts.
        answers: tokens of answers.
        say: receives a line where the way is not the fastest one.

    Raises:
        ValueError: where the model computes no numbers, or what follows a token changes what the model predicts there.
    """
    row, longest = max(rows, key=len), max(answers, key=len)
    length, kind = len(row) + len(longest), _attention_of(model)
    known = _known.setdefault(model, {}).get(kind)
    if known and known.length >= length:
        return known.way
    if len(answers) < 2:  # a tree without branches would hide what a model makes of branches
        answers = [*answers, [*reversed(longest[:-1]), *longest]]
    other = next(k for k in reversed(range(len(answers))) if answers[k] is not longest)
    pairs = [(0, answers.index(longest)), (0, other), (1, answers.index(longest))]
    checked = [row, row[: (len(row) + 1) // 2]]
    wanted, rounding = _reference(model, checked, answers, pairs)
    names, reasons = list(WAYS), []
    for way in names[names.index(known.way) if known else 0 :]:
        reason = None if way == "naive" else _difference(model, way, checked, answers, pairs, wanted, rounding)
        if reason is None:
            break
        reasons.append(f"{NAMES[way]} {reason}")
    if way != (known.way if known else names[0]):
        say(f"{type(_base(model)).__name__} is scored {NAMES[way]}: {'; '.join(reasons)}")
    _known[model][kind] = _Known(way, length)
    return way


def _difference(
    model: Any,
    way: str,
    rows: Rows,
    answers: Rows,
    pairs: list[tuple[int, int]],
    wanted: list[float],
    rounding: float,
) -> str | None:
    """How a way departs from naive scores by more than rounding, per token; None where it does not."""
    try:
        found = WAYS[way](model, rows, answers)
    except Exception as error:  # whatever a model does not take: masks of four dimensions, positions, a cache
        return f"it cannot be ({type(error).__name__})"
    gaps = [abs(float(found[pair]) - value) for pair, value in zip(pairs, wanted, strict=True)]
    allowed = [rounding * len(answers[a]) for _, a in pairs]
    if all(gap <= most for gap, most in zip(gaps, allowed, strict=True)):
        return None
    return f"it is {max(gaps):.2g} nats off"


def _reference(model: Any, rows: Rows, answers: Rows, pairs: list[tuple[int, int]]) -> tuple[list[float], float]:
    """Naive scores of pairs, one at a time, and how far rounding may take others from them, per token.

    Raises:
        ValueError: see `way_of`.
    """
    name = type(_base(model)).__name__
    try:
        wanted = [float(naive_scores(model, [rows[r]], [answers[a]])) for r, a in pairs]
        whole, row = [*rows[0], *answers[pairs[0][1]]], list(rows[0])
        alone, within = (
            _last_logits(model, keep, input_ids=torch.tensor([ids], device=model.device))[0, 0]
            for keep, ids in ((1, row), (len(whole) - len(row) + 1, whole))
        )
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"`model` must predict tokens; {name} does not ({type(error).__name__}: {reason})") from error
    if not torch.tensor(wanted).isfinite().all():
        raise ValueError(f"`model` must predict finite log-probabilities; {name} gives {wanted[0]:g}")
    rounding = ROUNDING * max(1.0, float(alone.max().abs()), float(alone.logsumexp(0).abs()))
    gap = float((alone.softmax(0) - within.softmax(0)).abs().max())
    if not gap <= 10 * rounding:
        what = f"what follows a token changes the probabilities predicted there by {gap:.2g}"
        raise ValueError(f"`model` must be causal; in {name} {what}")
    return wanted, rounding


def _last_logits(model: Any, keep: int, **inputs: Any) -> Tensor:
    """The last logits of each sequence, shape (B, keep, V), float32; no others are computed where a model can."""
    if "logits_to_keep" in inspect.signature(_base(model).forward).parameters:
        inputs["logits_to_keep"] = keep
    logits: Tensor = model(**inputs).logits
    return logits[:, -keep:].float()


def _name_of_cache(model: Any) -> str:
    """What the model calls what it keeps of the tokens that it has read."""
    taken = inspect.signature(_base(model).forward).parameters
    return next(name for name in ("cache", "past_key_values", "cache_params") if name in taken)


def _log_probs(logits: Tensor, ids: Tensor) -> Tensor:
    """Log-probability of each token, shape (B, T), float64, from the logits that predict it."""
    return (logits.gather(-1, ids[..., None]).squeeze(-1) - logits.logsumexp(-1)).double()


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _attention_of(model: Any) -> str:
    return str(getattr(model.config, "_attn_implementation", None))
