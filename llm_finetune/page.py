"""Page of the study `finetune`: language models that are fine-tuned on prompt collections."""

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import pandas as pd

from gating.page.figures import Axis, Block, Figure, Page
from gating.page.multiples import Facet, Multiples, Row, Trace, YAxis
from gating.page.names import in_order
from gating.page.said import in_lines
from gating.page.text_table import TextTable, cross_table, number
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import ordered, seeds_phrase, select
from gating.results.table import summarise
from gating.studies.vocabulary import group_of
from llm_finetune.advice import advice_of
from llm_finetune.conditions import Judge
from llm_finetune.config import FinetuneConfig
from llm_finetune.figures import FACTS, share_figure
from llm_finetune.verdict import finetune_verdict

__all__ = ["CONTEXTS", "EXAMPLES", "example_table", "finetune_page", "finetune_text", "outcome_cells", "outcome_table",
           "short"]  # fmt: skip

WORDS = page_words("llm_finetune")

CONTEXTS = WORDS.looks
"""Test conditions of language models in the order of legends and tables."""

EXAMPLES = "samples.jsonl"
"""File of free answers in the folder of a run: one line for each run, step and prompt."""

OUTCOMES, MAIN = WORDS.tables["outcomes"], WORDS.tables["main"]
"""Measures of the table of outcomes; conditions and measures that a terminal shows, by heading."""

GROUP_LOOKS = {group: group_of(group)._replace(name=FACTS[group], shape=shape)
               for group, shape in (("high", "circle"), ("low", "diamond"))}  # fmt: skip
JUDGED = {"said": "By what the model says", "score": "By its scores"}
MOST_BESIDE = 4  # ways of training, beyond which panels over steps do not stand beside each other
EXAMPLES_SHOWN = 3  # free answers of each condition and mixture on the page


def labels_of(config: FinetuneConfig) -> dict[tuple[str, str], str]:
    """How each model is trained, in words, by mixture and exposure."""
    return {(run.mixture.text, run.exposure): run.label for run in config.runs}


def outcome_table(summary: pd.DataFrame) -> TextTable:
    """Outcomes of one mixture, exposure and group by condition, before and after training, with their intervals."""
    ends = int(summary["step"].min()), int(summary["step"].max())
    return outcome_cells(select(summary, {"step": ends}).sort_values("step"), lambda row: f", step {row.step}")


def outcome_cells(rows: pd.DataFrame, end: Callable[[Any], str] = lambda row: "") -> TextTable:
    """Outcomes by condition, with their intervals.

    Args:
        rows: rows of the conditions' measures.
        end: what stands behind the name of the condition of a row.
    """
    headings = {name: textwrap.fill(measure_of(name).meaning, 18) for name in OUTCOMES}
    return cross_table(ordered(rows, ["context"], CONTEXTS), ("condition",),
                       lambda row: (f"{_condition(row.context)}{end(row)}",),
                       lambda row: headings.get(row.measure, ""), _cell, headings.values())  # fmt: skip


def _condition(context: str) -> str:
    return CONTEXTS[context].name if context in CONTEXTS else context


def _cell(row: Any) -> str:
    return number(row.value, row.low, row.high)


def _figures(config: FinetuneConfig, table: pd.DataFrame) -> Iterator[Figure | Multiples]:
    """The figures, the one that shows the answer first: over steps, or over shares where there are many."""
    words, answers = WORDS.figures, advice_of(table)
    facets = tuple(
        Facet(label.replace("; ", "\n"), {"mixture": mixture, "exposure": exposure})
        for (mixture, exposure), label in labels_of(config).items()
    )
    shares = [] if answers.empty else [share_figure(words["accuracy-by-share"], answers, config.margin)]
    many = len(facets) > MOST_BESIDE
    yield from shares if many else []
    yield from (_by_step(name, facets) for name in ("accuracy-by-step", "probability-by-step", "groups-by-step"))
    yield from [] if many else shares


def _blocks(config: FinetuneConfig, table: pd.DataFrame) -> Iterator[Block]:
    yield Block("What became of each ability", tuple(_abilities(config, table)))
    answers = advice_of(table)
    if not answers.empty:
        after = select(answers, {"measure": "in_context_accuracy"})
        lines = [
            (f"{100 * share:g}%", number(*ends)) for share, *ends in after[["share", "value", "low", "high"]].values
        ]
        accuracies = TextTable(("share of context prompts", "in-context accuracy"), tuple(lines))
        yield Block("In-context accuracy after training", (("", accuracies),))
    llm = summarise(select(table, {"system": "llm", "kind": "measured", "answer": False}))
    for (mixture, exposure), label in labels_of(config).items():
        here = select(llm, {"mixture": mixture, "exposure": exposure})
        groups = in_order(here["group"], FACTS)
        yield Block(label, tuple((FACTS.get(g, g), outcome_table(select(here, {"group": g}))) for g in groups))


def _abilities(config: FinetuneConfig, table: pd.DataFrame) -> Iterator[tuple[str, TextTable]]:
    """Every ability before and after each way of training, by what the model says and by its scores."""
    answers = table[table["answer"]]
    for judge in get_args(Judge) if "judge" in answers else ():
        rows = select(answers, {"judge": judge})
        if rows.empty:
            continue
        before = rows[rows["step"] == 0].drop_duplicates("measure")
        columns = [("before training", before)]
        for (mixture, exposure), label in labels_of(config).items():
            here = select(rows, {"mixture": mixture, "exposure": exposure, "step": config.training.steps})
            columns.append((label, here))
        lines = []
        for name in dict.fromkeys(rows["measure"]):
            found = [select(part, {"measure": name}) for _, part in columns]
            cells = ["" if row.empty else _cell(row.iloc[0]) for row in found]
            lines.append((measure_of(name).meaning, *cells))
        yield JUDGED[judge], TextTable(("", *(label for label, _ in columns)), tuple(lines))


def _samples(config: FinetuneConfig, samples: pd.DataFrame) -> Iterator[Block]:
    """Free answers before and after, to the first prompts of each condition; seeds after the first are in the file."""
    if samples.empty:
        return
    tables = []
    keys = ["condition", "subject", "memorised", "stated", "prompt"]
    for (mixture, exposure), label in labels_of(config).items():
        here = select(samples, {"mixture": mixture, "exposure": exposure, "seed": config.seed})
        said = here.pivot_table("said", keys, "step", aggfunc="first", sort=False)
        said = said.groupby("condition", sort=False).head(EXAMPLES_SHOWN)
        rows = [
            (_condition(condition), *facts, *map(short, texts))
            for (condition, *facts, _), texts in zip(said.index, said.to_numpy(), strict=True)
        ]
        header = ("condition", "subject", "memorised", "context's", *(f"says at step {step}" for step in said.columns))
        tables.append((label, TextTable(header, tuple(rows))))
    yield Block(f"Sample answers before and after, seed {config.seed}", tuple(tables))


def example_table(beside: Mapping[str, str], file: str) -> pd.DataFrame:
    """Lines of a file of examples, if there is one, as a table; empty where a line does not say."""
    return pd.DataFrame(json.loads(line) for line in beside.get(file, "").split("\n") if line).fillna("")


def short(text: str, most: int = 60) -> str:
    """A free answer in a cell of a table."""
    return text if 0 < len(text) <= most else f"{text[:most]}..." if text else "(nothing)"


def finetune_text(config: FinetuneConfig, table: pd.DataFrame) -> str:
    """What came out, then the main outcomes after training, for a terminal."""
    last = select(table, {"system": "llm", "kind": "measured", "answer": False, "step": config.training.steps})
    found = summarise(select(last, {"group": "all"}))
    labels = labels_of(config)
    rows = ordered(found, ["mixture", "exposure"], [part for run in labels for part in run])
    headings = {(where["context"], where["measure"]): heading for heading, where in MAIN.items()}
    outcomes = cross_table(rows, ("mixture",), lambda row: (labels.get((row.mixture, row.exposure), row.mixture),),
                           lambda row: headings.get((row.context, row.measure), ""), _cell, MAIN)  # fmt: skip
    said = in_lines(finetune_verdict(config, table))
    return f"{said}\n\nAfter {config.training.steps} steps. {seeds_phrase(found)}\n\n{outcomes}"


def _by_step(name: str, facets: tuple[Facet, ...]) -> Multiples:
    """A figure over steps as its words declare it, with a column for each way of training."""
    words = WORDS.figures[name]
    rows = [
        Row(
            row["label"],
            {"group": tuple(row["group"]), "context": tuple(row["context"])},
            (Trace(row["measure"]),),
            YAxis(Axis(**row["axis"])),
            optional=row.get("optional", False),
        )
        for row in words["rows"]
    ]
    looks = CONTEXTS if words["hue"] == "context" else GROUP_LOOKS
    return Multiples(
        **{**words, "rows": tuple(rows)},
        x="step",
        columns=lambda summary: facets,
        systems=("llm",),
        look_of=looks.__getitem__,
        order=tuple(looks),
    )


def finetune_page(question: str, config: FinetuneConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
    """The page of the study `finetune`."""
    samples = example_table(beside, EXAMPLES)
    return Page(
        title=WORDS.title,
        question=question,
        systems=("llm",),
        figures=tuple(_figures(config, table)),
        terms=WORDS.terms,
        blocks=(*_blocks(config, table), *_samples(config, samples)),
        verdict=finetune_verdict(config, table),
        results_title="Results",
    )
