"""Page of the study `conflict`: who wins, by confidence and size, every gate, and examples."""

from collections.abc import Hashable, Iterator, Mapping

import pandas as pd

from gating.page.figures import Axis, Block, Figure, Layer, Page, Panel
from gating.page.names import System, system_of
from gating.page.said import in_lines
from gating.page.text_table import TextTable, ends_of
from gating.page.words import page_words
from gating.results.query import first_of, select
from llm_finetune.asking import EXAMPLES
from llm_finetune.conflict.config import ConflictConfig
from llm_finetune.conflict.verdict import GATE_NAMES, complete, conflict_verdict
from llm_finetune.page import example_table, short

__all__ = ["conflict_page", "conflict_text"]

WORDS = page_words("llm_finetune.conflict")
WAYS, CASES, CONDITIONS, JUDGES = (WORDS.tables[name] for name in ("ways", "cases", "conditions", "judges"))

SHOWN = 6  # examples of each way and condition on the page
BIASES = {"conflict_accuracy": "accuracy", "context_bias": "context bias", "prior_bias": "prior bias"}
STATING = ("contradicting", "both", "distractors", "long_context")
SHARE = Axis("share of prompts", -0.04, 1.04)


def ways_table(rows: pd.DataFrame) -> TextTable:
    """A line for each condition, case and judge: the three ways."""
    lines = []
    for judge, by in JUDGES.items():
        for context, what in CONDITIONS.items():
            for case, which in {**CASES, "": ""}.items():
                here = select(rows, {"judge": judge, "context": context, "group": "all"})
                here = here[here["case"] == case] if case else here[here["case"].isna()]
                here = here[here["size"].isna() & here["bin"].isna()]
                cells = [ends_of(first_of(here, measure=way)) for way in WAYS]
                if any(cells):
                    lines.append((what, which, by, *cells))
    return TextTable(("context", "case", "read", *WAYS.values()), tuple(lines))


def accuracy_table(rows: pd.DataFrame) -> TextTable:
    """A line for each condition and judge: how often the answer is right, over all items and by group."""
    groups = list(dict.fromkeys(rows["group"]))
    lines = []
    for judge, by in JUDGES.items():
        for context, what in CONDITIONS.items():
            here = select(rows, {"judge": judge, "context": context})
            name = "prior_accuracy" if context == "no_context" else "context_accuracy"
            cells = [ends_of(first_of(here, measure=name, group=group)) for group in groups]
            if any(cells):
                lines.append((what, by, *cells))
    return TextTable(("context", "read", *groups), tuple(lines))


def gate_table(rows: pd.DataFrame) -> TextTable:
    """A line for each gate: accuracy and biases, and their changes against the plain model."""
    lines = []
    for gate, name in GATE_NAMES.items():
        here = select(rows, {"gate": gate})
        cells = [ends_of(first_of(here, measure=f"{m}{end}")) for end in ("", "_gain") for m in BIASES]
        if any(cells):
            lines.append((name, *cells))
    heads = (*BIASES.values(), *(f"change of\n{name}" for name in BIASES.values()))
    return TextTable(("gate", *heads), tuple(lines))


def conflict_text(config: ConflictConfig, table: pd.DataFrame) -> str:
    """Who wins and which gate helps, then both tables of each model, for a terminal."""
    parts = [in_lines(conflict_verdict(config, table)), WORDS.said["interval"]]
    for model in config.sources:
        here = select(complete(table), {"model": model})
        head = f"{model}\n" if len(config.sources) > 1 else ""
        parts += [head + str(ways_table(here[here["answer"]])), str(gate_table(here))]
    return "\n\n".join(parts)


def _looks(config: ConflictConfig) -> dict[str, System]:
    return {name: system_of(name)._replace(name=name) for name in config.sources}


def _layer(look: System, rows: pd.DataFrame, x: Mapping[str, str] | None, by: str, mark: str = "points") -> Layer:
    named = rows.assign(x=rows[by].map(dict(x)) if x else rows[by])
    return Layer(look, named[["x", "value", "low", "high"]], mark)  # type: ignore[arg-type]


def _three_ways(config: ConflictConfig, rows: pd.DataFrame) -> Figure:
    words, panels = WORDS.figures["three-ways"], []
    for judge, by in JUDGES.items():
        for context, case in (*((c, "prior_right") for c in STATING), ("agreeing", "context_right")):
            here = select(
                rows, {"judge": judge, "context": context, "case": case, "group": "all", "measure": tuple(WAYS)}
            )
            layers = tuple(
                _layer(look, select(here, {"model": name}), WAYS, "measure") for name, look in _looks(config).items()
            )
            if len(here):
                panels.append(Panel(by, f"{CONDITIONS[context]}", SHARE, layers))
    x = Axis(words["x"], scale="words")
    return Figure("three-ways", words["title"], (words["look"], WORDS.said["interval"]), x, tuple(panels), 3,
                  order=tuple(config.sources))  # fmt: skip


def _curves(config: ConflictConfig, rows: pd.DataFrame) -> Iterator[Figure]:
    words = WORDS.figures["by-confidence"]
    binned = rows[rows["bin"].notna()]
    layers = []
    for name, look in _looks(config).items():
        here = select(binned, {"model": name})
        mean = select(here, {"measure": "prior_confidence"}).set_index("bin")["value"]
        kept = select(here, {"measure": "prior_kept"})
        if len(kept):
            points = kept.assign(x=kept["bin"].map(mean))[["x", "value", "low", "high"]]
            layers.append(Layer(look, points.astype(float), "curve"))
    if layers:
        panel = Panel("", "", Axis("share of prompts: own answer kept", -0.04, 1.04), tuple(layers))
        x = Axis(words["x"], 0.0, 1.0)
        yield Figure("by-confidence", words["title"], (words["look"], WORDS.said["interval"]), x, (panel,), 1,
                     order=tuple(config.sources))  # fmt: skip


def _sizes(config: ConflictConfig, rows: pd.DataFrame) -> Iterator[Figure]:
    words, panels = WORDS.figures["by-size"], []
    sized = rows[rows["size"].notna()]
    for judge, by in JUDGES.items():
        for way in ("prior_kept", "context_followed"):
            here = select(sized, {"judge": judge, "measure": way})
            layers = tuple(_layer(look, select(here, {"model": n}), None, "size") for n, look in _looks(config).items())
            if len(here):
                panels.append(Panel(by, WAYS[way], SHARE, layers))
    if panels:
        x = Axis(words["x"], scale="words")
        yield Figure("by-size", words["title"], (words["look"], WORDS.said["interval"]), x, tuple(panels), 2,
                     order=tuple(config.sources))  # fmt: skip


def _gates(config: ConflictConfig, rows: pd.DataFrame) -> Iterator[Figure]:
    words, panels = WORDS.figures["gates"], []
    for gate, name in GATE_NAMES.items():
        here = select(rows, {"gate": gate, "measure": tuple(BIASES)})
        layers = tuple(
            _layer(look, select(here, {"model": model}), BIASES, "measure") for model, look in _looks(config).items()
        )
        if len(here):
            panels.append(Panel("", name, SHARE, layers))
    if panels:
        x = Axis(words["x"], scale="words")
        yield Figure("gates", words["title"], (words["look"], WORDS.said["interval"]), x, tuple(panels), 3,
                     order=tuple(config.sources))  # fmt: skip


def _blocks(config: ConflictConfig, table: pd.DataFrame) -> Iterator[Block]:
    for model in config.sources:
        here = select(table, {"model": model})
        yield Block(f"{model}: three ways, and gates", (("Three ways", ways_table(here)), ("Gates", gate_table(here))))
        yield Block(f"{model}: right answers by group", (("", accuracy_table(here)),))


def _examples(config: ConflictConfig, lines: pd.DataFrame) -> Iterator[Block]:
    """Some prompts of each way and condition, the others being in the file; tables of the page can be searched."""
    if lines.empty:
        return
    for model in config.sources:
        some = select(lines, {"model": model}).groupby(["condition", "way"], sort=False).head(SHOWN)
        rows = tuple(map(_example, some.astype(str).to_dict("records")))
        yield Block(f"Examples: {model}", ((config.questions.name, TextTable(tuple(WORDS.tables["examples"]), rows)),))


def _example(line: dict[Hashable, str]) -> tuple[str, ...]:
    what = (WAYS[line["way"]], CASES[line["case"]], CONDITIONS[line["condition"]], line["item"], line["target"])
    said = (short(line["said_without"]), short(line["said"]))
    return (*what, line["own"], line["stated"], line["size"], line["chosen"], line["confidence"], *said, line["prompt"])


def conflict_page(question: str, config: ConflictConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
    """The page of the study `conflict`."""
    lines = example_table(beside, EXAMPLES)
    rows = complete(table)
    figures = (_three_ways(config, rows), *_curves(config, rows), *_sizes(config, rows), *_gates(config, rows))
    return Page(
        title=WORDS.title,
        question=question,
        systems=("llm",),
        figures=figures,
        terms=WORDS.terms,
        blocks=(*_blocks(config, rows), *_examples(config, lines)),
        verdict=conflict_verdict(config, table),
        intervals=WORDS.said["interval"],
        results_title="Results, and examples",
    )
