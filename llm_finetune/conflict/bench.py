"""What parts of the study `conflict` do: each model is loaded, asked every prompt, and its answers are kept."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_softmax, logsumexp

from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.vocabulary import refusals
from llm_finetune.asking import asked_as
from llm_finetune.conflict.config import ConflictConfig
from llm_finetune.conflict.prompts import CONTENT_FREE, Asked
from llm_finetune.conflict.scored import named
from llm_finetune.conflict.suite import Item
from llm_finetune.prompts import Prompter
from llm_finetune.ready import ready
from llm_finetune.score import generate, require_different, score_candidates
from llm_finetune.study import SAMPLES
from llm_finetune.tokens import require_fit, split
from theory.validation import Floats

__all__ = ["answer_suite", "check", "keep_answers", "seconds"]

TIMED = 4  # items from which the time of a run is estimated
BATCH = 4  # prompts of one item are of different lengths, and padding costs


def answer_suite(
    model: Any,
    prompter: Prompter,
    items: Sequence[Item],
    asked: Sequence[Asked],
    said_in: Sequence[str] = ("no_context",),
    *,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """A model's answers to prompts of a suite: log-probabilities of the candidates, and free answers.

    Args:
        model: a causal language model, left in the mode it was in.
        prompter: renders the prompts; its tokenizer is the model's.
        items: the items that are asked.
        asked: the prompts, those of one item together.
        said_in: conditions in which it answers freely.
        say: receives a line about a model that is not scored the fastest way.

    Returns:
        One row for each prompt and candidate, with the columns of `llm_finetune.conflict.scored`.
    """
    texts = [prompter.render(prompt.question, prompt.sentences) for prompt in asked]
    freely = [k for k, prompt in enumerate(asked) if prompt.condition in said_in]
    answers = generate(model, prompter.tokenizer, [texts[k] for k in freely], closing=prompter.closing)
    said = dict(zip(freely, answers, strict=True))
    by_id = {item.id: item for item in items}
    own = {asked[k].item: text for k, text in said.items() if asked[k].condition == "no_context"}
    candidates = {name: _candidates(by_id[name], own.get(name, "")) for name in dict.fromkeys(a.item for a in asked)}
    free = _content_free(model, prompter, candidates, say)
    tables = []
    for name, places in groupby(range(len(asked)), lambda k: asked[k].item):
        some = [*places]
        held = [prompter.answer(text) for text in candidates[name]]
        prompts = [texts[k] for k in some]
        scores = score_candidates(
            model, prompter.tokenizer, prompts, held, closing=prompter.closing, batch_size=BATCH, say=say
        )
        n_tokens = np.broadcast_to(scores.n_tokens, scores.log_prob.shape)
        for k, log_prob, tokens in zip(some, scores.log_prob, n_tokens, strict=True):
            shared = {
                "prompt_number": k, "item": name, "group": asked[k].group, "condition": asked[k].condition,
                "stated": asked[k].stated, "size": asked[k].size, "prompt": texts[k], "target": by_id[name].answer,
                "said": said.get(k), "aliases": "\n".join(by_id[name].aliases),
            }  # fmt: skip
            tables.append(
                pd.DataFrame({
                    **{column: [value] * len(held) for column, value in shared.items()},
                    "candidate": candidates[name], "log_prob": log_prob, "n_tokens": tokens, "content_free": free[name],
                })
            )  # fmt: skip
    return pd.concat([table.astype({"stated": object, "said": object}) for table in tables], ignore_index=True)


def _candidates(item: Item, own: str) -> list[str]:
    """An item's candidates, and the model's own free answer where it counts and names none of them."""
    held = [*item.candidates]
    first = own.split("\n")[0].strip()
    if item.open and first and named(own, held, item.aliases) == -1 and first not in held:
        held.append(first)
    return held


def _content_free(
    model: Any, prompter: Prompter, candidates: dict[str, list[str]], say: Callable[[str], None]
) -> dict[str, Floats]:
    """Log of the mean probability among its candidates after prompts that say nothing, by item."""
    every = list(dict.fromkeys(text for held in candidates.values() for text in held))
    prompts = [prompter.render(text) for text in CONTENT_FREE]
    scores = score_candidates(
        model, prompter.tokenizer, prompts, [prompter.answer(text) for text in every],
        closing=prompter.closing, batch_size=1, say=say,
    )  # fmt: skip
    places = {text: k for k, text in enumerate(every)}
    found = {}
    for name, held in candidates.items():
        among = log_softmax(scores.log_prob[:, [places[text] for text in held]], axis=1)
        found[name] = np.asarray(logsumexp(among, axis=0) - np.log(len(prompts)))
    return found


def check(config: ConflictConfig, resources: Resources) -> None:
    """Loads every model, and looks whether prompts and answers suit it.

    Raises:
        SpecError: a model cannot be read, has no template that is asked for, cannot tell two answers apart, or has
            no room for a prompt and its answer.
    """
    for name in config.sources:
        model, prompter = ready(config, name, resources)
        with asked_as("`models`"), refusals():
            prompts = [prompter.render(asked.question, asked.sentences) for asked in config.asked]
            texts = dict.fromkeys(text for item in config.questions.items for text in item.candidates)
            answers = [prompter.answer(text) for text in texts]
            require_fit(model, prompter.tokenizer, prompts, answers, prompter.closing, least=16)
            (tokens,) = split(prompter.tokenizer, prompts[:1], [answers], prompter.closing)
            require_different(answers, [tuple(answer) for answer in tokens.answers])


def keep_answers(config: ConflictConfig, name: str, place: Place, resources: Resources) -> None:
    """Asks a model every prompt, and keeps prompts, candidates, scores and free answers."""
    model, prompter = ready(config, name, resources)
    resources.say(f"asking {name} {len(config.asked)} prompts")
    items = config.questions.items
    found = answer_suite(model, prompter, items, config.asked, config.said_in, say=resources.say)
    place.save_table(SAMPLES, found.assign(model=name))


def seconds(config: ConflictConfig, resources: Resources) -> float:
    """Estimated seconds of a run, from loading the first model and a few of its items."""
    start = time.perf_counter()
    model, prompter = ready(config, next(iter(config.sources)), resources)
    loaded = time.perf_counter() - start
    names = list(dict.fromkeys(asked.item for asked in config.asked))
    few = {*names[:: -max(1, len(names) // TIMED)]}
    some, start = [asked for asked in config.asked if asked.item in few], time.perf_counter()
    answer_suite(model, prompter, config.questions.items, some, config.said_in)
    return (loaded + (time.perf_counter() - start) / len(some) * len(config.asked)) * len(config.models)
