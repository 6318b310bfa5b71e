"""Tasks of classification: texts with labels, made from words or supplied, and which are shown and which are asked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from theory.fields import shown
from theory.settings import SpecError

__all__ = ["GIVEN", "TEXTS", "Plan", "Task", "load_task", "plan_of", "task_texts"]

GIVEN = ("sentiment", "topic")
"""Tasks that come with the package, by name."""

SUITE, TEXTS = "suite.yaml", "texts.jsonl"
"""Files of a suite: what it is, and its texts."""

TEMPLATE = "Text: {text}\nLabel: {label}"
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
        licence: of the texts.
        source: where they come from.
    """

    name: str
    labels: tuple[str, ...]
    template: str
    shown: tuple[tuple[str, ...], ...]
    asked: tuple[tuple[str, ...], ...] = ()
    licence: str = ""
    source: str = ""

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


def task_texts(source: str) -> dict[str, str]:
    """The files of a task as they stand, by name.

    Args:
        source: as in `load_task`.

    Raises:
        SpecError: a file is not there, or no text.
    """
    if source in GIVEN:
        return {"tasks.yaml": (resources.files(__package__) / "tasks.yaml").read_text(encoding="utf-8")}
    files = [Path(source, SUITE), Path(source, TEXTS)] if os.path.isdir(source) else [Path(source)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        what = f"{GIVEN}, a file of JSON Lines, or a folder with {SUITE} and {TEXTS}"
        raise SpecError([f"`tasks` must be among {what}; got '{source}', and there is no '{missing[0]}'"])
    try:
        return {file.name: file.read_text(encoding="utf-8") for file in files}
    except (UnicodeDecodeError, OSError) as error:
        raise SpecError([f"`tasks` must be files in UTF-8; '{source}' is not: {error}"]) from None


def load_task(source: str, texts: Mapping[str, str] | None = None) -> Task:
    r"""A task by its name, from a file of JSON Lines with ``text`` and ``label``, or from a folder.

    A folder holds ``texts.jsonl`` and ``suite.yaml``, with ``name``, ``licence`` and ``source``, and, if wanted,
    ``labels`` in their order and the ``template``.

    Args:
        source: one of `GIVEN`, or the path of a file or folder.
        texts: what `task_texts` read, where that is at hand.

    Raises:
        SpecError: a file is not there, or a sentence for each thing that is wrong.

    Example:
        >>> load_task("sentiment").labels, load_task("sentiment").template
        (('negative', 'positive'), 'Review: {text}\nSentiment: {label}')
        >>> load_task("mine.jsonl", {"mine.jsonl": '{"text": "How fine", "label": "good"}\n{"text": "How dire"}'})
        Traceback (most recent call last):
        ...
        theory.settings.SpecError: mine.jsonl, line 2: `label` must be a text that is not blank; got None
    """
    held = dict(task_texts(source) if texts is None else texts)
    if source in GIVEN:
        return _made(source, yaml.safe_load(held["tasks.yaml"])[source])
    problems: list[str] = []
    folder = SUITE in held
    about = _about(source, held.pop(SUITE), problems) if folder else {"name": Path(source).stem}
    (lines,) = held.values()
    rows = list(_rows(f"{source}/{TEXTS}" if folder else source, lines, problems))
    task = _supplied(about, rows, problems)
    if task is None:
        raise SpecError(problems)
    return task


def _made(name: str, of: Mapping[str, Any]) -> Task:
    """A task of sentences, in which every text is made of a sentence, a thing and a word of its label."""
    uses: dict[str, list[tuple[str, ...]]] = {"shown": [], "asked": []}
    for words in of["words"].values():
        for use, pools in uses.items():
            made = product(of["sentences"], of["things"], words[use])
            pools.append(tuple(sentence.format(thing=thing, word=word) for sentence, thing, word in made))
    labels = tuple(of["words"])
    source = "made from words of this project"
    return Task(name, labels, of["template"], tuple(uses["shown"]), tuple(uses["asked"]), "that of the project", source)


def _about(source: str, text: str, problems: list[str]) -> dict[str, Any]:
    """What ``suite.yaml`` says."""
    try:
        held = yaml.safe_load(text)
    except yaml.YAMLError as error:
        held = None
        problems.append(f"{source}/{SUITE}: must be YAML; {str(error).splitlines()[0]}")
        return {"name": Path(source).name}
    if not isinstance(held, dict):
        problems.append(f"{source}/{SUITE}: must hold `name`, `licence` and `source`; got {shown(held, 40)}")
        return {"name": Path(source).name}
    for key in ("name", "licence", "source"):
        if not isinstance(held.get(key), str) or not held[key].strip():
            problems.append(f"{source}/{SUITE}: `{key}` must be a text that is not blank; got {held.get(key)!r}")
    for key in sorted({*map(str, held)} - {"name", "licence", "source", "labels", "template"}):
        problems.append(f"{source}/{SUITE}: unknown key `{key}`; there are name, licence, source, labels and template")
    return {"name": Path(source).name, **held}


def _rows(where: str, lines: str, problems: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(f"{where}, line {number}: must be a JSON object; {error.msg} at column {error.colno}")
            continue
        if not isinstance(row, dict):
            problems.append(f"{where}, line {number}: must be a JSON object; got {shown(row, 40)}")
            continue
        wrong = [key for key in ("text", "label") if not isinstance(row.get(key), str) or not row[key].strip()]
        problems += [
            f"{where}, line {number}: `{key}` must be a text that is not blank; got {row.get(key)!r}" for key in wrong
        ]
        if not wrong:
            yield row["text"].strip(), row["label"].strip()


def _supplied(about: Mapping[str, Any], rows: list[tuple[str, str]], problems: list[str]) -> Task | None:
    """A task of a user's texts; problems are added to those that there are."""
    name, template = str(about["name"]), about.get("template", TEMPLATE)
    found = dict.fromkeys(label for _, label in rows)
    labels = tuple(about.get("labels") or found)
    if not problems and (len(labels) < LABELS or set(labels) != set(found)):
        problems.append(f"'{name}' must have two or more labels, those of its texts, each once; got {list(labels)}")
    label_of: dict[str, str] = {}
    for text, label in rows:
        if label_of.setdefault(text, label) != label:
            problems.append(f"'{name}' must give a text one label; {shown(text, 60)} has two")
    if not _is_template(template):
        what = "words, {text}, words and {label} at its end"
        problems.append(f"'{name}': `template` must hold {what}; got {shown(template, 80)}")
    if problems:
        return None
    pools = tuple(tuple(text for text, own in label_of.items() if own == label) for label in labels)
    return Task(name, labels, template, pools, (), str(about.get("licence", "")), str(about.get("source", "")))


def _is_template(template: Any) -> bool:
    if not isinstance(template, str) or template.count("{text}") != 1 or template.count("{label}") != 1:
        return False
    lead, _, rest = template.partition("{text}")
    return bool(lead.strip()) and bool(rest.partition("{label}")[0].strip()) and template.endswith("{label}")
