"""Page of the study `finetune`: language models that are fine-tuned on prompt collections."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gating.evaluation.context_share import IN_CONTEXT, ShareAdvice, advise_share
from gating.evaluation.table import summarise
from gating.files import reading
from gating.report.figures import Block, Drawing, Facet, FigureSpec, Row, Settings, Study, Trace, YAxis
from gating.report.finetune_drawings import (
    GATES_TITLE,
    SHARE_TITLE,
    draw_gates,
    draw_share,
    gates_by_exposure,
    setting_label,
)
from gating.report.names import CONTEXTS, in_order
from gating.report.query import find_setting, seeds_phrase, select
from gating.report.tables import TextTable, number

__all__ = ["FINETUNE", "advice_sentence", "outcome_table"]

RECALL = ("no_context", "paraphrased", "agreeing", "someone_else")
EVERY = (*RECALL, *IN_CONTEXT, "unrelated")
SHARE = YAxis("share of prompts", -0.04, 1.04)
OUTCOMES = {
    "accuracy": "right answer",
    "accuracy_per_token": "right, per token",
    "memorised_wins": "memorised answer",
    "stated_wins": "context's answer",
    "softmax": "softmax of\nthe right answer",
    "margin": "margin (nats)",
    "effective_gate": "effective gate",
    "effective_gate_remainder": "neither answer\n(softmax)",
    "generated_target": "named freely",
}
"""Columns of the table of outcomes."""

WHOSE = {"all": "All facts", "high": "Frequent facts", "low": "Rare facts"}
SAMPLES_SHOWN = 3  # free answers of each condition and setting on the page


def by_setting(summary: pd.DataFrame) -> tuple[Facet, ...]:
    """One column for each mixture and exposure."""
    settings = summary.loc[summary["system"] == "llm", "setting"].dropna().unique()
    return tuple(Facet(setting_label(setting).replace("; ", "\n"), {"setting": setting}) for setting in settings)


def outcome_table(table: pd.DataFrame, setting: str, group: str) -> TextTable:
    """Outcomes of one setting by condition, before and after training: means with their intervals.

    Intervals are over seeds; over prompts where there is a single seed.
    """
    rows = select(table, {"system": "llm", "setting": setting, "group": group, "kind": "measured"})
    steps = sorted({int(step) for step in rows["step"].dropna()})
    found = spread(rows)
    lines = []
    for context in in_order(found["context"], CONTEXTS):
        for step in dict.fromkeys((steps[0], steps[-1])):
            here = select(found, {"context": context, "step": step}).set_index("measure")
            cells = [_cell(here, measure) for measure in OUTCOMES]
            lines.append((f"{CONTEXTS[context].name}, step {step}", *cells))
    return TextTable(("condition", *OUTCOMES.values()), tuple(lines))


def spread(rows: pd.DataFrame) -> pd.DataFrame:
    """Means with intervals over seeds; where there is one seed, its own row with the interval over prompts."""
    return summarise(rows) if rows["seed"].nunique() > 1 else rows.drop(columns="seed").assign(seeds=1)


def _cell(rows: pd.DataFrame, measure: str) -> str:
    if measure not in rows.index:
        return ""
    value, low, high = rows.loc[[measure], ["value", "low", "high"]].to_numpy(np.float64)[0]
    return number(value, low, high)


def advice_sentence(advice: ShareAdvice, margin: float) -> str:
    """The advice in words."""
    if math.isnan(advice.advised):
        return (
            f"No measured share keeps the in-context accuracy within {margin:g} of the largest one, {advice.best:.3f}."
        )
    ends = ""
    if advice.seeds > 1:
        latest = "more than any measured" if math.isinf(advice.latest) else f"{100 * advice.latest:g}%"
        ends = f" (95% bootstrap interval over {advice.seeds} seeds: {100 * advice.earliest:g}% to {latest})"
    return (
        f"From {100 * advice.advised:g}% of prompts with a context to be read on{ends}, the in-context accuracy stays"
        f" within {margin:g} of the largest one, {advice.best:.3f}; before training it was {advice.base:.3f}."
    )


def _share_table(advice: ShareAdvice) -> TextTable:
    lines = [
        (f"{100 * share:g}%", number(value, low, high))
        for share, value, low, high in zip(advice.shares, advice.accuracy, advice.low, advice.high, strict=True)
    ]
    return TextTable(("share of context prompts", "in-context accuracy"), tuple(lines))


def _by_seed(table: pd.DataFrame, settings: Settings) -> tuple[list[Drawing], list[Block]]:
    drawings, blocks = [], []
    margin = float(find_setting(settings, "margin") or 0.05)
    advice = advise_share(table, margin)
    if advice is not None:
        names = "; ".join(CONTEXTS[name].name.lower() for name in IN_CONTEXT)
        means = f"Mean over four conditions ({names}); bars are 95% intervals over seeds."
        sentence = advice_sentence(advice, margin)
        drawings.append(Drawing("accuracy-by-share", SHARE_TITLE, draw_share(advice, margin), [sentence, means]))
        blocks.append(Block("Advice", ((sentence, _share_table(advice)),)))
    gates = gates_by_exposure(summarise(table))
    if not gates.empty:
        look = "Contexts that contradict what was trained: 0 is the context's answer, 1 the trained one."
        beside = "" if set(gates["system"]) > {"llm"} else "No run of `gating compare` was given to lay beside it."
        drawings.append(
            Drawing("gate-by-exposure", GATES_TITLE, draw_gates(gates), [look, *([beside] if beside else [])])
        )
    return drawings, [*blocks, *_outcomes(table)]


def _outcomes(table: pd.DataFrame) -> list[Block]:
    llm = select(table, {"system": "llm", "kind": "measured"})
    blocks = []
    over = "95% intervals over seeds" if llm["seed"].nunique() > 1 else "one seed, 95% intervals over prompts"
    for setting in llm["setting"].dropna().unique():
        groups = in_order(select(llm, {"setting": setting})["group"], WHOSE)
        tables = tuple((f"{WHOSE[g]}; {over}", outcome_table(llm, setting, g)) for g in groups)
        blocks.append(Block(setting_label(setting), tables))
    return blocks


def _samples(folder: Path) -> list[Block]:
    """Free answers before and after, to the first prompts of each condition; seeds after the first are in the file."""
    path = folder / "samples.jsonl"
    if not path.is_file():
        return []
    with reading(path, "where it is missing, the report goes without"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    tables = []
    for setting in dict.fromkeys(line["setting"] for line in lines):
        here = [line for line in lines if line["setting"] == setting and line["seed"] == lines[0]["seed"]]
        steps = sorted({line["step"] for line in here})
        said = {(line["prompt"], line["step"]): line["said"] for line in here}
        rows: list[tuple[str, ...]] = []
        for context in dict.fromkeys(line["condition"] for line in here):
            asked = {line["prompt"]: line for line in here if line["condition"] == context}
            rows += [
                _sample_row(line, [said[p, step] for step in steps]) for p, line in [*asked.items()][:SAMPLES_SHOWN]
            ]
        header = ("condition", "subject", "memorised", "context's", *(f"says at step {step}" for step in steps))
        tables.append((setting_label(setting), TextTable(header, tuple(rows))))
    return [Block(f"Sample answers before and after, seed {lines[0]['seed']}", tuple(tables))] if lines else []


def _sample_row(line: dict[str, Any], said: list[str]) -> tuple[str, ...]:
    name = CONTEXTS[line["condition"]].name
    return (
        name,
        line["subject"],
        line["memorised"] or "",
        line["stated"] or "",
        *(_short(text) for text in said),
    )


def _short(text: str, most: int = 60) -> str:
    return text if 0 < len(text) <= most else f"{text[:most]}..." if text else "(nothing)"


def _text(table: pd.DataFrame) -> str:
    llm = select(table, {"system": "llm", "kind": "measured"})
    last = llm[llm["step"] == llm["step"].max()]
    found = spread(last[last["group"] == "all"])
    columns = {
        "recall": ("no_context", "accuracy"),
        "context\nfollowed": ("contradicting", "stated_wins"),
        "memorised\nwins": ("contradicting", "memorised_wins"),
        "gate": ("contradicting", "effective_gate"),
        "new\nsubject": ("unseen", "accuracy"),
        "another\nrelation": ("unrelated", "accuracy"),
    }
    lines = []
    for setting in found["setting"].dropna().unique():
        here = select(found, {"setting": setting})
        cells = [_cell(select(here, {"context": c}).set_index("measure"), measure) for c, measure in columns.values()]
        lines.append((setting_label(setting), *cells))
    interval = seeds_phrase(found) if llm["seed"].nunique() > 1 else "One seed: intervals are over prompts."
    return f"After {int(last['step'].max())} steps. {interval}\n\n{TextTable(('mixture', *columns), tuple(lines))}"


def _contexts(label: str, contexts: tuple[str, ...], measure: str, axis: YAxis) -> Row:
    return Row(label, {"group": "all", "context": contexts}, (Trace(measure),), axis)


def _groups(label: str, context: str, measure: str) -> Row:
    return Row(label, {"group": ("high", "low"), "context": context}, (Trace(measure),), SHARE, optional=True)


FINETUNE = Study(
    title="What fine-tuning a language model on a prompt collection does to its in-context ability",
    question="Which answers come from the weights and which from the context, before, during and after fine-tuning, and"
    " which share of prompts with a context keeps the ability to read?",
    systems=("llm", "transformer", "stylized"),
    figures=(
        FigureSpec(
            name="accuracy-by-step",
            title="Right answers by condition, over steps",
            look="Above, what weights can answer. Below, what only the context tells; where contradicting contexts fall"
            " and new subjects do not, weights override the context for trained facts; where another relation falls"
            " too, reading as a whole has collapsed.",
            x="step",
            rows=(
                _contexts("memorised\nanswer is right", RECALL, "accuracy", SHARE),
                _contexts("context's\nanswer is right", (*IN_CONTEXT, "unrelated"), "accuracy", SHARE),
                _contexts("context contradicts:\nmemorised wins", IN_CONTEXT[:2], "memorised_wins", SHARE),
            ),
            columns=by_setting,
            systems=("llm",),
            hue="context",
        ),
        FigureSpec(
            name="probability-by-step",
            title="Softmax over candidates, margin and absolute log-probability, over steps",
            look="The absolute log-probability of the right answer rises at first in most conditions, since the model"
            " learns the form of an answer; the softmax over candidates and the margin do not share that rise.",
            x="step",
            rows=(
                _contexts("right answer", EVERY, "softmax", YAxis("softmax", -0.04, 1.04)),
                _contexts("context's less memorised", IN_CONTEXT[:2], "margin", YAxis("margin (nats)")),
                _contexts("right answer", EVERY, "log_prob", YAxis("log P (nats)", high=0)),
            ),
            columns=by_setting,
            systems=("llm",),
            hue="context",
        ),
        FigureSpec(
            name="groups-by-step",
            title="Frequent and rare facts, over steps",
            look="Frequent facts are recalled first; the rows below tell whether they also override contexts first.",
            x="step",
            rows=(
                _groups("no context:\nrecalled", "no_context", "accuracy"),
                _groups("context contradicts:\nmemorised wins", "contradicting", "memorised_wins"),
                _groups("context contradicts:\ncontext wins", "contradicting", "stated_wins"),
            ),
            columns=by_setting,
            systems=("llm",),
            hue="group",
        ),
    ),
    terms=(
        ("Memory, reading, agreeing, irrelevant", "Kinds of training prompts: no context; a context whose answer is"
         " paired with the subject anew at every prompt and is right; one that states the memorised answer; one about"
         " another subject."),
        ("Right answer", "Of all candidates, the right one has the largest log-probability, end token included; per"
         " token, the largest mean over its tokens, which spares long answers."),
        ("Named freely", "The greedy answer of the model names the right one."),
        ("Softmax, margin", "Probability among the candidates; log-probability of the context's answer less that of the"
         " memorised one, in nats."),
        ("Gate", "The weight, from 0 to 1, of the memorised answer g against the context's answer h, given that the"
         " model answers with one of them; the softmax mass of all other candidates is given as neither answer."),
        ("Seed", "A pairing of subjects with answers, with its own training prompts and test prompts."),
    ),
    results_title="Results",
    results=lambda summary, settings: [],
    by_seed=_by_seed,
    beside=_samples,
    text=_text,
    all_rows=False,
)  # fmt: skip
"""The page of the study `finetune`."""
