"""Page of the study `demonstrations`: accuracy over shots, flips, recognition and learning, gates, and examples."""

import math
import textwrap
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from gating.page.figures import Axis, Block, Figure, Layer, Page, Panel
from gating.page.names import GREY, System
from gating.page.said import in_lines
from gating.page.text_table import TextTable, cross_table, number
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import select
from llm_finetune.asking import EXAMPLES
from llm_finetune.demonstrations.config import DemonstrationsConfig
from llm_finetune.demonstrations.verdict import demonstrations_verdict
from llm_finetune.page import example_table

__all__ = ["demonstrations_page", "demonstrations_text"]

WORDS = page_words("llm_finetune.demonstrations")
LOOKS = WORDS.looks
GUESS = System("A guess", "", GREY, dash=(4, 4))

TAIL = 60  # letters of a prompt that the page shows


def accuracy_table(config: DemonstrationsConfig, rows: pd.DataFrame) -> TextTable:
    """Accuracy by kind of labels and number of demonstrations, of a model and task."""
    found = select(rows, {"measure": "accuracy"})
    return cross_table(found, ("labels",), lambda row: (kind_of(row.context, row.flipped),),
                       lambda row: str(row.shots), _cell, map(str, (0, *config.shots)))  # fmt: skip


def effect_table(config: DemonstrationsConfig, rows: pd.DataFrame) -> TextTable:
    """What demonstrations do, by number of them, of a model and task."""
    found = select(rows, {"measure": tuple(WORDS.tables["effects"])})
    return cross_table(
        found.sort_values("shots", kind="stable"),
        ("",),
        lambda row: (measure_of(row.measure).meaning,),
        lambda row: str(row.shots),
        _cell,
        map(str, config.shots),
    )


def kind_of(context: str, flipped: float) -> str:
    """What labels were shown, in words.

    Example:
        >>> kind_of("flipped", 0.25), kind_of("gold", float("nan"))
        ('flipped labels, 25%', 'gold labels')
    """
    name = LOOKS[context].name.lower()
    return name if pd.isna(flipped) else f"{name}, {flipped:.0%}"


def _cell(row: Any) -> str:
    return number(row.value, row.low, row.high, 2)


def demonstrations_text(config: DemonstrationsConfig, table: pd.DataFrame) -> str:
    """What demonstrations do and how accuracy changes, for a terminal."""
    parts = [in_lines(demonstrations_verdict(config, table)), WORDS.said["interval"]]
    for model, task, rows in _each(config, table):
        parts += [f"{model}, {task}\n{accuracy_table(config, rows)}", str(effect_table(config, rows))]
    return "\n\n".join(parts)


def _each(config: DemonstrationsConfig, table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for model in config.sources:
        for task in config.named_tasks:
            yield model, task, select(table, {"model": model, "task": task})


def _points(rows: pd.DataFrame, x: pd.Series) -> pd.DataFrame:
    return rows[["value", "low", "high"]].assign(x=x.astype(float)).astype(float).sort_values("x")


def _shot_figure(config: DemonstrationsConfig, table: pd.DataFrame, name: str, measure: str, label: str) -> Figure:
    """A panel for each model and task, with a curve over shots for each kind of labels."""
    words, panels = WORDS.figures[name], []
    for model, task, rows in _each(config, table):
        layers, values = [], select(rows, {"measure": measure})
        none = select(values, {"context": "none"})
        for kind in ("gold", "flipped", "random", "abstract"):
            own = select(values, {"context": kind})
            own = own[own["flipped"].isna() | (own["flipped"] == config.flips[-1])]
            before = none if kind != "abstract" else none.iloc[:0]
            held = pd.concat([before, own]) if len(before) else own
            if len(held):
                layers.append(Layer(_look(config, kind), _points(held, held["shots"]), "curve"))
        if measure == "accuracy":
            chance = pd.DataFrame({"x": [None], "value": [1 / len(config.named_tasks[task].labels)]})
            layers.append(Layer(GUESS, chance, "across"))
        row = model if len(config.models) > 1 else ""
        panels.append(Panel(row, task, Axis(label, -0.02, 1.02), tuple(layers)))
    x = Axis(words["x"], 0, config.shots[-1] * 1.03, scale="sqrt", ticks=(0, *map(float, config.shots)))
    return _figure(name, x, panels, config)


def _look(config: DemonstrationsConfig, kind: str) -> System:
    whole = kind != "flipped" or config.flips[-1] == 1
    return LOOKS[kind] if whole else LOOKS[kind]._replace(name=f"{LOOKS[kind].name}, {config.flips[-1]:.0%}")


def _flip_figure(config: DemonstrationsConfig, table: pd.DataFrame) -> Figure:
    """A panel for each model and task: right label and label shown over the share of flipped labels."""
    panels = []
    for model, task, rows in _each(config, table):
        own = select(rows, {"shots": config.shots[-1], "context": ("gold", "flipped")})
        own = own.assign(flipped=own["flipped"].fillna(0.0))
        layers = [
            Layer(LOOKS[look], _points(part, 100 * part["flipped"]), "curve")
            for look, name in (("right", "accuracy"), ("shown", "accuracy_shown"))
            if len(part := select(own, {"measure": name}))
        ]
        chance = pd.DataFrame({"x": [None], "value": [1 / len(config.named_tasks[task].labels)]})
        layers.append(Layer(GUESS, chance, "across"))
        row = model if len(config.models) > 1 else ""
        panels.append(Panel(row, task, Axis("share of answers", -0.02, 1.02), tuple(layers)))
    words = WORDS.figures["flips"]
    x = Axis(f"{words['x']}, of {config.shots[-1]}", -2, 102, ticks=(0, *(100 * share for share in config.flips)))
    return _figure("flips", x, panels, config)


def _figure(name: str, x: Axis, panels: list[Panel], config: DemonstrationsConfig) -> Figure:
    words = WORDS.figures[name]
    sentences = (words["look"], WORDS.said["interval"])
    return Figure(name, words["title"], sentences, x, tuple(panels), len(config.named_tasks))


def _blocks(config: DemonstrationsConfig, table: pd.DataFrame) -> Iterator[Block]:
    for model, task, rows in _each(config, table):
        yield Block(
            f"{task}: {model}",
            (
                ("Recognition, learning and flips, by number of demonstrations", effect_table(config, rows)),
                ("Accuracy, by number of demonstrations", accuracy_table(config, rows)),
            ),
        )
    for model, task, rows in _each(config, table):
        most = rows[rows["shots"].isin((0, config.shots[-1])) & rows["context"].notna()]
        yield Block(f"Every measure after {config.shots[-1]} demonstrations: {task}, {model}", (("", _cells(most)),))


def _cells(rows: pd.DataFrame) -> TextTable:
    """Every measure by kind of labels."""
    heads = {name: textwrap.fill(measure_of(name).meaning, 16) for name in WORDS.tables["cells"]}
    return cross_table(rows, ("labels",),
                       lambda row: (kind_of(row.context, row.flipped) + ("" if row.shots else ", none shown"),),
                       lambda row: heads.get(row.measure, ""), _cell, heads.values())  # fmt: skip


def _examples(lines: pd.DataFrame) -> Iterator[Block]:
    """Some test texts after each kind of labels; tables of the page can be searched."""
    for (model, task), rows in lines.groupby(["model", "task"], sort=False) if len(lines) else ():
        cells = tuple(map(_example, rows.to_dict("records")))
        yield Block(f"Examples: {task}, {model}", (("", TextTable(tuple(WORDS.tables["examples"]), cells)),))


def _example(line: dict[Hashable, Any]) -> tuple[str, ...]:
    prompt = line["prompt"]
    tail = prompt if len(prompt) <= TAIL else f"... {prompt[-TAIL:]}"
    said = (line[name] for name in ("text", "right", "chosen"))
    return kind_of(line["labels"], line["flipped"] or math.nan), *said, f"{line['probability']:.2f}", tail


def demonstrations_page(
    question: str, config: DemonstrationsConfig, table: pd.DataFrame, beside: Mapping[str, str]
) -> Page:
    """The page of the study `demonstrations`."""
    lines = example_table(beside, EXAMPLES)
    figures = (
        _shot_figure(config, table, "accuracy", "accuracy", "accuracy"),
        _flip_figure(config, table),
        _shot_figure(config, table, "gate", "effective_gate", "effective gate"),
    )
    return Page(
        title=WORDS.title,
        question=question,
        systems=(),
        figures=figures,
        terms=WORDS.terms,
        blocks=(*_blocks(config, table), *_examples(lines)),
        verdict=demonstrations_verdict(config, table),
        intervals=WORDS.said["interval"],
        results_title="Results, and examples",
    )
