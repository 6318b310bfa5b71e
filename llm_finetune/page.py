"""Page of the study `finetune`: language models that are fine-tuned on prompt collections."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from gating.page.figures import Block, Drawing, Facet, FigureSpec, Page, Row, Trace, YAxis
from gating.page.names import INK, System, in_order
from gating.page.text_table import TextTable, number
from gating.page.words import page_words
from gating.results.columns import measure as measure_of
from gating.results.query import seeds_phrase, select
from gating.results.table import summarise
from gating.studies.vocabulary import GROUPS, group_of
from llm_finetune.advice import advice_sentence
from llm_finetune.conditions import IN_CONTEXT
from llm_finetune.config import FinetuneConfig
from llm_finetune.drawings import GATES_TITLE, SHARE_TITLE, Setting, draw_gates, draw_share, gates_by_exposure

__all__ = ["CONTEXTS", "SAMPLES", "finetune_page", "finetune_text", "outcome_table"]

WORDS = page_words("llm_finetune")

CONTEXTS: dict[str, System] = {
    "no_context": System("No context", "Trained subjects: recall.", INK, "o"),
    "paraphrased": System(
        "No context, question reworded", "Recall, asked as training never does.", "#56b4e9", "s", False
    ),
    "agreeing": System("Context agrees", "The context states the memorised answer.", "#7f6fbf", "P"),
    "someone_else": System("Someone else's fact", "A context about another subject: copy or recall?", "#cc79a7", "v"),
    "contradicting": System("Context contradicts", "The context states another trained answer.", "#d55e00", "D"),
    "contradicting_new": System("Context contradicts, new answer", "An answer never trained.", "#e69f00", "D", False),
    "unseen": System("New subject", "A subject never trained, with a trained answer.", "#009e73", "^"),
    "unseen_new": System("New subject, new answer", "Neither was ever trained.", "#44aa99", "^", False),
    "unrelated": System("Another relation", "Colours of things: reading at large.", "#0072b2", "s"),
}
"""Test conditions of language models in the order of legends and tables."""

SAMPLES = "samples.jsonl"
"""File of free answers in the folder of a run: one line for each run, step and prompt."""

RECALL = ("no_context", "paraphrased", "agreeing", "someone_else")
EVERY = (*RECALL, *IN_CONTEXT, "unrelated")
SHARE = YAxis("share of prompts", -0.04, 1.04)
OUTCOMES = (
    "accuracy", "accuracy_per_token", "memorised_wins", "stated_wins", "softmax", "margin", "effective_gate",
    "effective_gate_remainder", "generated_target",
)  # fmt: skip
"""Measures of the table of outcomes."""

MAIN = {
    "recall": ("no_context", "accuracy"),
    "context\nfollowed": ("contradicting", "stated_wins"),
    "memorised\nwins": ("contradicting", "memorised_wins"),
    "gate": ("contradicting", "effective_gate"),
    "new\nsubject": ("unseen", "accuracy"),
    "another\nrelation": ("unrelated", "accuracy"),
}
"""Conditions and measures that a terminal shows."""

WHOSE = {"all": "All facts", "high": "Frequent facts", "low": "Rare facts"}
SAMPLES_SHOWN = 3  # free answers of each condition and mixture on the page


def labels_of(config: FinetuneConfig) -> dict[Setting, str]:
    """How each model is trained, in words, by mixture and exposure."""
    return {(run.mixture.text, run.exposure): run.label for run in config.runs}


def outcome_table(summary: pd.DataFrame) -> TextTable:
    """Outcomes of one mixture, exposure and group by condition, before and after training, with their intervals."""
    steps = sorted({int(step) for step in summary["step"].dropna()})
    lines = []
    for context in in_order(summary["context"], CONTEXTS):
        for step in dict.fromkeys((steps[0], steps[-1])):
            here = select(summary, {"context": context, "step": step})
            lines.append((f"{CONTEXTS[context].name}, step {step}", *(_cell(here, measure) for measure in OUTCOMES)))
    header = (textwrap.fill(measure_of(name).meaning, 18) for name in OUTCOMES)
    return TextTable(("condition", *header), tuple(lines))


def _cell(rows: pd.DataFrame, measure: str) -> str:
    found = rows.loc[rows["measure"] == measure, ["value", "low", "high"]].to_numpy(np.float64)
    return number(*found[0]) if len(found) else ""


def _drawings(config: FinetuneConfig, table: pd.DataFrame) -> Iterator[Drawing]:
    answers = table[table["answer"]]
    if not answers.empty:
        names = "; ".join(CONTEXTS[name].name.lower() for name in IN_CONTEXT)
        sentences = [
            advice_sentence(answers, config.margin, config.n_seeds),
            f"Mean over four conditions ({names}); bars are 95% intervals.",
        ]
        yield Drawing("accuracy-by-share", SHARE_TITLE, draw_share(answers, config.margin), sentences)
    gates = gates_by_exposure(summarise(table[~table["answer"]]))
    if not gates.empty:
        look = "Contexts that contradict what was trained: 0 is the context's answer, 1 the trained one."
        alone = ["No run of `gating compare` was given to lay beside it."] if set(gates["system"]) == {"llm"} else []
        yield Drawing("gate-by-exposure", GATES_TITLE, draw_gates(gates, labels_of(config)), [look, *alone])


def _blocks(config: FinetuneConfig, table: pd.DataFrame) -> Iterator[Block]:
    answers = table[table["answer"]]
    if not answers.empty:
        after = select(answers, {"measure": "in_context_accuracy"})
        lines = [
            (f"{100 * share:g}%", number(*ends)) for share, *ends in after[["share", "value", "low", "high"]].values
        ]
        accuracies = TextTable(("share of context prompts", "in-context accuracy"), tuple(lines))
        yield Block("Advice", ((advice_sentence(answers, config.margin, config.n_seeds), accuracies),))
    llm = summarise(select(table, {"system": "llm", "kind": "measured", "answer": False}))
    for (mixture, exposure), label in labels_of(config).items():
        here = select(llm, {"mixture": mixture, "exposure": exposure})
        groups = in_order(here["group"], WHOSE)
        yield Block(label, tuple((WHOSE[g], outcome_table(select(here, {"group": g}))) for g in groups))


def _samples(config: FinetuneConfig, lines: list[dict[str, Any]]) -> Iterator[Block]:
    """Free answers before and after, to the first prompts of each condition; seeds after the first are in the file."""
    tables = []
    for (mixture, exposure), label in labels_of(config).items():
        wanted = (mixture, exposure, config.seed)
        here = [line for line in lines if (line["mixture"], line["exposure"], line["seed"]) == wanted]
        steps = sorted({line["step"] for line in here})
        said = {(line["prompt"], line["step"]): line["said"] for line in here}
        rows: list[tuple[str, ...]] = []
        for context in dict.fromkeys(line["condition"] for line in here):
            asked = {line["prompt"]: line for line in here if line["condition"] == context}
            rows += [
                _sample_row(line, [said[p, step] for step in steps]) for p, line in [*asked.items()][:SAMPLES_SHOWN]
            ]
        header = ("condition", "subject", "memorised", "context's", *(f"says at step {step}" for step in steps))
        tables.append((label, TextTable(header, tuple(rows))))
    if lines:
        yield Block(f"Sample answers before and after, seed {config.seed}", tuple(tables))


def _sample_row(line: dict[str, Any], said: list[str]) -> tuple[str, ...]:
    name = CONTEXTS[line["condition"]].name
    return (name, line["subject"], line["memorised"] or "", line["stated"] or "", *(_short(text) for text in said))


def _short(text: str, most: int = 60) -> str:
    return text if 0 < len(text) <= most else f"{text[:most]}..." if text else "(nothing)"


def finetune_text(config: FinetuneConfig, table: pd.DataFrame) -> str:
    """Main outcomes after training, and the advice, for a terminal."""
    last = select(table, {"system": "llm", "kind": "measured", "answer": False, "step": config.training.steps})
    found = summarise(select(last, {"group": "all"}))
    lines = []
    for (mixture, exposure), label in labels_of(config).items():
        here = select(found, {"mixture": mixture, "exposure": exposure})
        lines.append((label, *(_cell(select(here, {"context": c}), measure) for c, measure in MAIN.values())))
    outcomes = TextTable(("mixture", *MAIN), tuple(lines))
    advice = advice_sentence(table[table["answer"]], config.margin, config.n_seeds)
    return f"After {config.training.steps} steps. {seeds_phrase(found)}\n\n{outcomes}\n\n{advice}".rstrip()


def _contexts(label: str, contexts: tuple[str, ...], measure: str, axis: YAxis) -> Row:
    return Row(label, {"group": "all", "context": contexts}, (Trace(measure),), axis)


def _groups(label: str, context: str, measure: str) -> Row:
    return Row(label, {"group": ("high", "low"), "context": context}, (Trace(measure),), SHARE, optional=True)


def _figures(config: FinetuneConfig) -> tuple[FigureSpec, ...]:
    facets = tuple(
        Facet(label.replace("; ", "\n"), {"mixture": mixture, "exposure": exposure})
        for (mixture, exposure), label in labels_of(config).items()
    )

    def columns(summary: pd.DataFrame) -> tuple[Facet, ...]:
        return facets

    return (
        FigureSpec(
            **WORDS.figures["accuracy-by-step"],
            x="step",
            rows=(
                _contexts("memorised\nanswer is right", RECALL, "accuracy", SHARE),
                _contexts("context's\nanswer is right", (*IN_CONTEXT, "unrelated"), "accuracy", SHARE),
                _contexts("context contradicts:\nmemorised wins", IN_CONTEXT[:2], "memorised_wins", SHARE),
            ),
            columns=columns,
            systems=("llm",),
            hue="context",
            look_of=CONTEXTS.__getitem__,
            order=tuple(CONTEXTS),
        ),
        FigureSpec(
            **WORDS.figures["probability-by-step"],
            x="step",
            rows=(
                _contexts("right answer", EVERY, "softmax", YAxis("softmax", -0.04, 1.04)),
                _contexts("context's less memorised", IN_CONTEXT[:2], "margin", YAxis("margin (nats)")),
                _contexts("right answer", EVERY, "log_prob", YAxis("log P (nats)", high=0)),
            ),
            columns=columns,
            systems=("llm",),
            hue="context",
            look_of=CONTEXTS.__getitem__,
            order=tuple(CONTEXTS),
        ),
        FigureSpec(
            **WORDS.figures["groups-by-step"],
            x="step",
            rows=(
                _groups("no context:\nrecalled", "no_context", "accuracy"),
                _groups("context contradicts:\nmemorised wins", "contradicting", "memorised_wins"),
                _groups("context contradicts:\ncontext wins", "contradicting", "stated_wins"),
            ),
            columns=columns,
            systems=("llm",),
            hue="group",
            look_of=group_of,
            order=tuple(GROUPS),
        ),
    )


def finetune_page(question: str, config: FinetuneConfig, table: pd.DataFrame, beside: Mapping[str, str]) -> Page:
    """The page of the study `finetune`."""
    lines = [json.loads(line) for line in beside.get(SAMPLES, "").split("\n") if line]
    return Page(
        title=WORDS.title,
        question=question,
        systems=("llm", "transformer", "stylized"),
        figures=(*_figures(config), *_drawings(config, table)),
        terms=WORDS.terms,
        blocks=(*_blocks(config, table), *_samples(config, lines)),
        results_title="Results",
    )
