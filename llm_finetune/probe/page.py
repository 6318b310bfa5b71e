"""Page of the study `probe`: abilities, their changes, and examples of what became of prompts."""

from collections.abc import Hashable, Iterator, Mapping

import pandas as pd

from gating.page.figures import Axis, Block, Figure, Layer, Page, Panel
from gating.page.names import GREY, System, system_of
from gating.page.said import in_lines
from gating.page.text_table import TextTable, ends_of
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import first_of, select
from llm_finetune.asking import EXAMPLES
from llm_finetune.collection_suites import CollectionSuite
from llm_finetune.conditions import CHANGES
from llm_finetune.page import CONTEXTS, example_table, outcome_cells, short
from llm_finetune.probe.config import BASE, WHOLE, ProbeConfig
from llm_finetune.probe.verdict import probe_verdict

__all__ = ["probe_page", "probe_text"]

WORDS = page_words("llm_finetune.probe")
HEADINGS = WORDS.tables["abilities"]
"""Headings of the abilities, in the order of tables."""

DECISIVE = "in_context_accuracy"
"""The ability that the terminal shows by relation and language; the page shows all."""

SHOWN = 8  # examples of each kind of change, model and suite on the page


def ability_table(config: ProbeConfig, rows: pd.DataFrame, *, change: bool) -> TextTable:
    """A line for each ability and a column for each model: its value, or its change, with its interval."""
    end, models = ("_change", list(config.sources)[1:]) if change else ("", list(config.sources))
    lines = []
    for name in (*(f"{ability}{end}" for ability in HEADINGS), *(CHANGES if change else ())):
        found = [first_of(rows, model=model, measure=name) for model in models]
        cells = [*map(ends_of, found)]
        if any(cells):
            lines.append((measure_of(name).meaning, *cells))
    return TextTable(("", *models), tuple(lines))


def probe_text(config: ProbeConfig, table: pd.DataFrame) -> str:
    """What was gained and lost, then abilities and their changes, for a terminal."""
    answers = select(table[table["answer"]], {"group": "all"})
    parts = [in_lines(probe_verdict(config, table)), WORDS.said["interval"]]
    for suite in config.given:
        each = select(answers, {"suite": suite.name})
        here = select(each, WHOLE)
        head = f"{suite.name}\n" if len(config.given) > 1 else ""
        parts += [head + str(ability_table(config, here, change=False))]
        parts += ["Changes, and what became of reading\n" + str(ability_table(config, here, change=True))]
        if kinds := _kinds(suite):
            lines = (
                (
                    value,
                    *(ends_of(first_of(each, **where, model=model, measure=DECISIVE)) for model in config.sources),
                )
                for value, where in kinds
            )
            parts += [
                "In-context accuracy by relation and language\n" + str(TextTable(("", *config.sources), tuple(lines)))
            ]
    return "\n\n".join(parts)


def _kinds(suite: CollectionSuite) -> list[tuple[str, dict[str, str]]]:
    """The relations, then the languages of a suite that has several, with what selects their rows."""
    held = [(what, suite.values(what)) for what in WHOLE]
    return [(value, {**WHOLE, what: value}) for what, values in held if len(values) > 1 for value in values]


def kind_table(suite: CollectionSuite, rows: pd.DataFrame, model: str, *, change: bool) -> TextTable:
    """A line for each relation and language of a suite and a column for each ability of a model, or for its change."""
    end = "_change" if change else ""
    lines = [
        (
            value,
            *(ends_of(first_of(rows, **where, model=model, measure=f"{ability}{end}")) for ability in HEADINGS),
        )
        for value, where in _kinds(suite)
    ]
    return TextTable(("", *map(_in_one_line, HEADINGS.values())), tuple(lines))


def _in_one_line(heading: str) -> str:
    return heading.replace("\n", " ").replace("- ", "-")


def _looks(config: ProbeConfig) -> dict[str, System]:
    tuned = {name: system_of(name)._replace(name=name) for name in list(config.sources)[1:]}
    return {BASE: System(BASE, "", GREY, "circle"), **tuned}


def _figure(config: ProbeConfig, name: str, answers: pd.DataFrame, *, change: bool) -> Figure:
    """A panel for each ability and collection, with a point for each model."""
    looks, words, panels = _looks(config), WORDS.figures[name], []
    axis = Axis("change", -1.04, 1.04) if change else Axis("share of prompts, or gate", -0.04, 1.04)
    zero = pd.DataFrame({"x": [BASE], "value": [0.0]})
    for suite in config.questions:
        here = select(answers, {"suite": suite})
        for ability, heading in HEADINGS.items():
            layers = []
            for model, look in looks.items():
                row = first_of(here, model=model, measure=f"{ability}_change" if change else ability)
                if row is not None:
                    point = pd.DataFrame([{"x": model, **row[["value", "low", "high"]].to_dict()}])
                    layers.append(Layer(look, point, "points"))
            if change:
                layers.append(Layer(System("no change", "", GREY), zero[["value"]].assign(x=None), "across"))
            where = suite if len(config.questions) > 1 else ""
            panels.append(Panel(where, _in_one_line(heading), axis, tuple(layers)))
    sentences = (words["look"], WORDS.said["interval"])
    x = Axis(words["x"], scale="words")
    return Figure(name, words["title"], sentences, x, tuple(panels), 4, order=tuple(config.sources))


def _blocks(config: ProbeConfig, table: pd.DataFrame) -> Iterator[Block]:
    answers = table[table["answer"]]
    for suite in config.given:
        each = select(answers, {"suite": suite.name})
        here = select(each, WHOLE)
        for group in dict.fromkeys(here["group"]):
            rows = select(here, {"group": group})
            which = "" if group == "all" else f": group {group}"
            values, moved = (ability_table(config, rows, change=change) for change in (False, True))
            tables = (("Abilities", values), ("Changes against the base, and what became of reading", moved))
            yield Block(f"{suite.name}{which}", tables)
        for model in config.sources if _kinds(suite) else ():
            whether = (("Abilities", False), ("Changes against the base", True))[: 1 if model == BASE else 2]
            found = tuple((name, kind_table(suite, each, model, change=change)) for name, change in whether)
            yield Block(f"{suite.name} by relation and language: {model}", found)
    details = select(table[~table["answer"]], {"group": "all"})
    for model in config.sources:
        here = select(details, {"model": model})
        by_suite = [(name, outcome_cells(select(here, {"suite": name}))) for name in config.questions]
        yield Block(f"Every condition: {model}", tuple(by_suite))


def _examples(config: ProbeConfig, lines: pd.DataFrame) -> Iterator[Block]:
    """Some prompts of each kind of change, the others being in the file; tables of the page can be searched."""
    if lines.empty:
        return
    for model in list(config.sources)[1:]:
        tables = []
        for suite in config.questions:
            here = select(lines, {"model": model, "suite": suite})
            some = here.groupby("change", sort=False).head(SHOWN)
            some = some.sort_values("change", key=lambda kinds: kinds.map(CHANGES.index), kind="stable")
            rows = tuple(map(_example, some.astype(str).to_dict("records")))
            tables.append((suite, TextTable(tuple(WORDS.tables["examples"]), rows)))
        yield Block(f"Examples of each kind of change: {model}", tuple(tables))


def _example(line: dict[Hashable, str]) -> tuple[str, ...]:
    chosen = (line["subject"], line["memorised"], line["stated"], line["chose_before"], line["chose_after"])
    said = (short(line["said_before"]), short(line["said_after"]))
    return line["change"], CONTEXTS[line["condition"]].name, *chosen, *said, line["prompt"]


def probe_page(question: str, config: ProbeConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
    """The page of the study `probe`."""
    lines = example_table(beside, EXAMPLES)
    answers = select(table[table["answer"]], {"group": "all", **WHOLE})
    figures = tuple(_figure(config, name, answers, change=name == "changes") for name in ("abilities", "changes"))
    return Page(
        title=WORDS.title,
        question=question,
        systems=("llm",),
        figures=figures,
        terms=WORDS.terms,
        blocks=(*_blocks(config, table), *_examples(config, lines)),
        verdict=probe_verdict(config, table),
        intervals=WORDS.said["interval"],
        results_title="Results, and examples of each kind of change",
    )
