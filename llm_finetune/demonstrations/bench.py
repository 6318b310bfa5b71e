"""What parts of the study `demonstrations` do: a model is asked about every test text after every demonstration."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.vocabulary import refusals
from llm_finetune.asking import asked_as
from llm_finetune.demonstrations.config import DemonstrationsConfig
from llm_finetune.demonstrations.interventions import Chances, Intervention, labels_shown, shown_counts
from llm_finetune.demonstrations.tasks import Plan, Task, Text
from llm_finetune.prompts import Prompter
from llm_finetune.ready import ready
from llm_finetune.score import score_candidates
from llm_finetune.study import SAMPLES
from llm_finetune.tokens import require_room, split
from theory.settings import SpecError

__all__ = ["Cell", "Layout", "ask", "cells_of", "check", "keep_answers", "seconds"]

SEPARATOR = "\n\n"
"""What stands behind each demonstration of plain text, and so closes an answer."""

BLANK = "N/A"
"""The text without content, after Zhao et al. (2021)."""

BATCH = 4  # prompts per pass: each has the tree of all test texts behind it


class Layout:
    """Renders demonstrations and test texts of a task for a model.

    All test texts follow the same demonstrations, so these are one prompt, and a test text with its label is an answer
    to it: of two answers with the same text, the difference is that of their labels.

    Args:
        task: the task.
        prompter: for the model's tokenizer.

    Raises:
        SpecError: the chat template changes the texts.
    """

    def __init__(self, task: Task, prompter: Prompter):
        self.task, self.prompter = task, prompter
        self.closing = prompter.closing if prompter.chat else SEPARATOR
        self._space = task.lead[len(task.lead.rstrip()) :]

    def prompt(self, texts: Sequence[str], labels: Sequence[str]) -> str:
        """Demonstrations, and what stands before a test text."""
        return self._cut(self._demonstrations(texts, labels), BLANK)[0]

    def answer(self, text: str, label: str) -> str:
        """A test text and its label."""
        return self._space + text + self._cut("", text)[1] + self.prompter.answer(label)

    def _demonstrations(self, texts: Sequence[str], labels: Sequence[str]) -> str:
        shown = (self.task.lead + t + self.task.between + f" {own}" for t, own in zip(texts, labels, strict=True))
        return "".join(text + SEPARATOR for text in shown)

    def _cut(self, before: str, text: str) -> tuple[str, str]:
        """A rendered prompt up to the test text, and behind it."""
        lead = before + self.task.lead.rstrip()
        whole = lead + self._space + text + self.task.between
        if not self.prompter.chat:
            return self.prompter.beginning + lead, self.task.between
        rendered = self.prompter.render(whole)
        if rendered.count(whole) != 1:
            raise SpecError(["`chat` must be plain for a chat template that changes texts; got template"])
        ahead, _, behind = rendered.partition(whole)
        return ahead + lead, self.task.between + behind


class Cell(NamedTuple):
    """A draw of demonstrations with its labels.

    Attributes:
        intervention: what was done to the labels.
        draw: number of the draw.
        shots: the demonstrations; none for questions without.
        shown: number of the label, or of the abstract word, that each shows.
        right: number of the label, or word, that is right for a text of each label.
    """

    intervention: Intervention
    draw: int
    shots: list[Text]
    shown: NDArray[np.int64]
    right: NDArray[np.int64]


def cells_of(config: DemonstrationsConfig, task: Task, plan: Plan) -> Iterator[Cell]:
    """Every draw with every number of demonstrations and every kind of labels, as the settings have it."""
    n_labels = len(task.labels)
    for draw, shots in enumerate(plan.shots):
        chances = Chances.drawn(len(shots), n_labels, [config.seed, draw, 1])
        for intervention, count in product(config.interventions, (0, *config.shots)):
            if count == 0 and intervention.name not in ("gold", "abstract"):
                continue  # without demonstrations there is no label to change
            if intervention.name == "flipped" and intervention.share < config.flips[-1] and count < config.shots[-1]:
                continue
            own = shots[:count]
            shown = labels_shown(intervention, [shot.label for shot in own], n_labels, chances)
            right = chances.words if intervention.name == "abstract" else np.arange(n_labels)
            yield Cell(intervention, draw, own, shown, right)


def ask(model: Any, prompter: Prompter, task: Task, config: DemonstrationsConfig) -> pd.DataFrame:
    """A model's log-probability of every label of every test text, after all demonstrations.

    Args:
        model: a causal language model.
        prompter: renders for its tokenizer.
        task: the task.
        config: settings of the study.

    Returns:
        A table with a row for each cell of `cells_of`, test text and label, or abstract word: ``task``, ``labels``
        (kind of labels), ``flipped``, ``shots``, ``draw``, ``query`` (number of the test text), ``text``, ``gold``
        (number of its label), ``candidate``, ``right`` (whether it is the right one), ``count`` (how many
        demonstrations of the gold label's class show it), ``log_prob`` (nats, of text and label), ``blank`` (that of
        the text without content; NaN without calibration) and ``prompt``.
    """
    plan, layout = config.plan(task), Layout(task, prompter)
    cells = list(cells_of(config, task, plan))
    parts = []
    for abstract in (False, True):
        own = [cell for cell in cells if (cell.intervention.name == "abstract") == abstract]
        words = config.abstract_labels[: len(task.labels)] if abstract else task.labels
        prompts = [layout.prompt([shot.text for shot in c.shots], [words[k] for k in c.shown]) for c in own]
        scores, blank = _scores(model, layout, prompts, [query.text for query in plan.queries], words, config)
        parts += [
            _rows(cell, plan.queries, words, prompt, scores[prompt], blank[prompt])
            for cell, prompt in zip(own, prompts, strict=True)
        ]
    return pd.concat(parts, ignore_index=True).assign(task=task.name)


def _scores(
    model: Any, layout: Layout, prompts: Sequence[str], texts: Sequence[str], words: Sequence[str],
    config: DemonstrationsConfig,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:  # fmt: skip
    """By prompt: log-probabilities of texts and labels, shape (texts, labels), and of the text without content."""
    distinct = list(dict.fromkeys(prompts))
    asked = [*texts, *([BLANK] if config.calibration else [])]
    answers = [layout.answer(text, word) for text in asked for word in words]
    found = score_candidates(
        model, layout.prompter.tokenizer, distinct, answers, closing=layout.closing, batch_size=BATCH
    ).log_prob.reshape(len(distinct), len(asked), len(words))
    blank = found[:, len(texts)] if config.calibration else np.full((len(distinct), len(words)), np.nan)
    return dict(zip(distinct, found[:, : len(texts)], strict=True)), dict(zip(distinct, blank, strict=True))


def _rows(
    cell: Cell, queries: Sequence[Text], words: Sequence[str], prompt: str, scores: NDArray[np.float64],
    blank: NDArray[np.float64],
) -> pd.DataFrame:  # fmt: skip
    n_queries, n_labels = scores.shape
    gold = np.array([query.label for query in queries])
    counts = shown_counts(cell.shots, cell.shown, n_labels)
    return pd.DataFrame(
        {
            "labels": cell.intervention.name,
            "flipped": cell.intervention.share,
            "shots": len(cell.shots),
            "draw": cell.draw,
            "query": np.repeat(np.arange(n_queries), n_labels),
            "text": np.repeat([query.text for query in queries], n_labels),
            "gold": np.repeat(gold, n_labels),
            "candidate": [*words] * n_queries,
            "right": np.tile(np.arange(n_labels), n_queries) == np.repeat(cell.right[gold], n_labels),
            "count": counts[gold].ravel(),
            "log_prob": scores.ravel(),
            "blank": np.tile(blank, n_queries),
            "prompt": prompt,
        }
    )


def check(config: DemonstrationsConfig, resources: Resources) -> None:
    """Loads every model, and looks whether its longest prompts and answers suit it.

    Raises:
        SpecError: a model cannot be read, has no template that is asked for, or a prompt does not fit into its context.
    """
    for name in config.sources:
        model, prompter = ready(config, name, resources)
        with asked_as("`models`"), refusals():
            for task in config.named_tasks.values():
                plan, layout = config.plan(task), Layout(task, prompter)
                for words in (task.labels, config.abstract_labels[: len(task.labels)]):
                    longest = [layout.prompt([s.text for s in shots], [words[s.label] for s in shots])
                               for shots in plan.shots]  # fmt: skip
                    empty = layout.prompt([], [])
                    answers = [layout.answer(query.text, word) for query in plan.queries for word in words]
                    tokens = split(
                        prompter.tokenizer, [empty, *longest], [answers] * (1 + len(longest)), layout.closing
                    )
                    room = [len(own.prompt) + max(map(len, own.answers)) for own in tokens]
                    require_room(model, [empty, *longest], room)


def keep_answers(config: DemonstrationsConfig, name: str, task: str, place: Place, resources: Resources) -> None:
    """Asks a model about every text of a task, and keeps prompts, candidates and scores."""
    model, prompter = ready(config, name, resources)
    resources.say(f"asking {name} about {task}")
    place.save_table(SAMPLES, ask(model, prompter, config.named_tasks[task], config).assign(model=name))


def seconds(config: DemonstrationsConfig, resources: Resources) -> float:
    """Estimated seconds of a run, from the longest prompts of the first model's first task."""
    start = time.perf_counter()
    model, prompter = ready(config, next(iter(config.sources)), resources)
    loaded, asked = time.perf_counter() - start, 0.0
    for task in config.named_tasks.values():
        plan, layout = config.plan(task), Layout(task, prompter)
        prompts = [layout.prompt([s.text for s in cell.shots], [task.labels[k] for k in cell.shown])
                   for cell in cells_of(config, task, plan)]  # fmt: skip
        texts = [query.text for query in plan.queries]
        some = sorted(prompts, key=len)
        timed = [some[0], some[-1]]
        _scores(model, layout, timed, texts, task.labels, config)  # the first time a model is scored, it is compared
        start = time.perf_counter()
        _scores(model, layout, timed, texts, task.labels, config)
        taken, letters = time.perf_counter() - start, sum(map(len, texts)) * len(task.labels)
        asked += taken / (sum(map(len, timed)) + 2 * letters) * sum(len(prompt) + letters for prompt in {*prompts})
    return (loaded + asked) * len(config.models)
