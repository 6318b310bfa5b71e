"""Suites of texts with labels, as tasks of classification: which texts are shown, and which are asked.

The folder of such a `llm_finetune.suites` holds ``texts.jsonl``, a ``text`` and its ``label`` on each line, and its
card may also hold ``labels`` in their order and the ``template``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import yaml

from llm_finetune.lines import file_text, json_rows
from llm_finetune.suites import SuiteCard, Words, given_suites, read_card, suite_files
from theory.fields import DIFFERENT, Rule, shown
from theory.settings import SpecError, settings

__all__ = ["GIVEN", "TEXTS", "Plan", "Task", "load_task", "plan_of", "task_files"]

GIVEN = given_suites("labelled")
"""Tasks that come with the package, by name."""

TEXTS, WORDS = "texts.jsonl", "words.yaml"
"""Files of texts beside the card: as they are, or as the words of which the texts of a given task are made."""


def _is_template(template: str) -> bool:
    lead, _, rest = template.partition("{text}")
    between, _, end = rest.partition("{label}")
    return bool(lead.strip() and between.strip()) and not end and template.endswith("{label}") and "{text}" not in rest


Labels = Annotated[tuple[Words, ...], DIFFERENT]
Template = Annotated[str, Rule("words, {text}, words and {label} at its end", _is_template)]


@settings
class TaskCard(SuiteCard):
    """What ``suite.yaml`` says of a suite of texts with labels.

    Args:
        name: what tables and pages call it.
        licence: under which licence its files may be used.
        source: who wrote them, or where they are from.
        languages: codes of its languages.
        labels: the labels in their order; that of the texts where it is empty.
        template: how a text stands with its label.

    Raises:
        SpecError: with a sentence for each unknown key and each value out of its set.
    """

    labels: Labels = ()
    template: Template = "Text: {text}\nLabel: {label}"


LABELS = 2  # at least


class Text(NamedTuple):
    """A text and the number of its label."""

    text: str
    label: int


@dataclass(frozen=True)
class Task:
    """Texts to be classified.

    Args:
        name: its name.
        labels: two or more labels.
        template: how a text stands with its label: words, ``{text}``, words, ``{label}``.
        shown: texts of each label that demonstrations are drawn from.
        asked: texts of each label that a model is asked about; where it is empty, they are drawn from `shown`, and
            demonstrations from the others.
        card: what its folder says of it; None for a single file.
    """

    name: str
    labels: tuple[str, ...]
    template: str
    shown: tuple[tuple[str, ...], ...]
    asked: tuple[tuple[str, ...], ...] = ()
    card: TaskCard | None = None

    @property
    def lead(self) -> str:
        """What stands before a text."""
        return self.template.partition("{text}")[0]

    @property
    def between(self) -> str:
        """What stands between a text and its label, without the space before the label."""
        return self.template.partition("{text}")[2].partition("{label}")[0].rstrip()

    def problems(self, queries: int, shots: int) -> Iterator[str]:
        """Why there are too few texts for so many queries and demonstrations, one sentence for each label."""
        share, most = queries // len(self.labels), -(-shots // len(self.labels))
        if queries % len(self.labels):
            labels = f"the number of labels, {len(self.labels)} of '{self.name}'"
            yield f"`queries` must be a multiple of {labels}; got {queries}"
        for k, label in enumerate(self.labels):
            have = len(self.asked[k]) if self.asked else len(self.shown[k]) - most
            if have < share or len(self.shown[k]) < most:
                need = f"{most} to show and {share} to ask"
                yield f"`tasks`: '{self.name}' must have {need} with the label '{label}'; it has too few texts"


class Plan(NamedTuple):
    """What is asked, and what is shown before it.

    Attributes:
        queries: test texts, as many of each label.
        shots: demonstrations of each draw; any first k of them have, as far as may be, as many of each label.
    """

    queries: list[Text]
    shots: list[list[Text]]


def plan_of(task: Task, *, queries: int, shots: int, draws: int, seed: int) -> Plan:
    """Draws test texts, and demonstrations among the other texts.

    Args:
        task: the task.
        queries: number of test texts, a multiple of the number of labels.
        shots: demonstrations of a draw.
        draws: how many times demonstrations are drawn.
        seed: seed of every draw.

    Raises:
        SpecError: the task has too few texts.
    """
    problems = list(task.problems(queries, shots))
    if problems:
        raise SpecError(problems)
    rng, n_labels = np.random.default_rng(seed), len(task.labels)
    asked = [
        _some(rng, pool, queries // n_labels) for pool in (task.asked or task.shown)
    ]  # the same ones whatever is shown
    pools = [[text for text in pool if text not in own] for pool, own in zip(task.shown, asked, strict=True)]
    drawn = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        own = [_some(rng, pool, -(-shots // n_labels)) for pool in pools]
        order = [int(label) for _ in own[0] for label in rng.permutation(n_labels)]
        drawn.append([Text(own[label].pop(), label) for label in order][:shots])
    return Plan([Text(text, label) for label, texts in enumerate(asked) for text in texts], drawn)


def _some(rng: np.random.Generator, pool: Any, count: int) -> list[str]:
    return [pool[k] for k in rng.choice(len(pool), count, replace=False)]


def task_files(source: str) -> list[Path]:
    """The files of a task.

    Args:
        source: as in `load_task`.

    Raises:
        SpecError: one is not there.
    """
    file = WORDS if source in GIVEN else TEXTS
    return suite_files("labelled", source, [file], file="a file of JSON Lines")


def load_task(source: str) -> Task:
    r"""A task by its name, from a folder, or from a file of JSON Lines with ``text`` and ``label``.

    Args:
        source: one of `GIVEN`, or the path of a folder or file.

    Raises:
        SpecError: a file is not there, or a sentence for each thing that is wrong.

    Example:
        >>> load_task("sentiment").labels, load_task("sentiment").template
        (('negative', 'positive'), 'Review: {text}\nSentiment: {label}')
    """
    *cards, file = task_files(source)
    card = read_card(TaskCard, cards[0]) if cards else None
    text = file_text(file, "suite")
    if source in GIVEN and card:
        return _made(card, yaml.safe_load(text))
    problems: list[str] = []
    lines = json_rows(str(file), text, problems)
    problems += [f"{place}: {problem}" for place, line in lines.items() for problem in _line_problems(line)]
    if problems:
        raise SpecError(problems)
    return _supplied(file.stem, card, [(line["text"].strip(), line["label"].strip()) for line in lines.values()])


def _made(card: TaskCard, of: Mapping[str, Any]) -> Task:
    """A task of sentences, in which every text is made of a sentence, a thing and a word of its label."""
    uses: dict[str, list[tuple[str, ...]]] = {"shown": [], "asked": []}
    for label, (use, pools) in product(card.labels, uses.items()):
        made = product(of["sentences"], of["things"], of["words"][label][use])
        pools.append(tuple(sentence.format(thing=thing, word=word) for sentence, thing, word in made))
    return Task(card.name, card.labels, card.template, tuple(uses["shown"]), tuple(uses["asked"]), card)


def _line_problems(line: Any) -> Iterator[str]:
    if not isinstance(line, dict):
        yield f"must be a JSON object; got {shown(line, 40)}"
        return
    for key in ("text", "label"):
        if not isinstance(line.get(key), str) or not line[key].strip():
            yield f"`{key}` must be a text that is not blank; got {line.get(key)!r}"


def _supplied(name: str, card: TaskCard | None, rows: Sequence[tuple[str, str]]) -> Task:
    """A task of a user's texts."""
    name = card.name if card else name
    found = dict.fromkeys(label for _, label in rows)
    labels = (card and card.labels) or tuple(found)
    problems = []
    if len(labels) < LABELS or {*labels} != {*found}:
        problems.append(f"'{name}' must have two or more labels, those of its texts, each once; got {list(labels)}")
    label_of: dict[str, str] = {}
    for text, label in rows:
        if label_of.setdefault(text, label) != label:
            problems.append(f"'{name}' must give a text one label; {shown(text, 60)} has two")
    if problems:
        raise SpecError(problems)
    pools = tuple(tuple(text for text, own in label_of.items() if own == label) for label in labels)
    return Task(name, labels, card.template if card else TaskCard.template, pools, (), card)
