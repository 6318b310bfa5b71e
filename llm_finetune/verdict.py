"""What came out of a run of the study `finetune`, in sentences."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from gating.page.said import few_seeds, listed
from gating.page.text_table import ends_of
from gating.results.columns import measure
from gating.results.query import select
from gating.results.table import summarise
from llm_finetune.advice import advice_of, advice_sentence
from llm_finetune.config import FinetuneConfig, Run

__all__ = ["finetune_verdict"]

MOST_NAMED = 2  # ways of training that a sentence names one by one
MOST_TOLD = 4  # ways of training whose gains and losses are told
READ = ("in_context_accuracy", "reading_elsewhere")
TOLD = ("recall", *READ, "reversal")
MEANING = {name: measure(name).meaning for name in TOLD}
BY = {"said": "by what the model says", "score": "by its scores"}


class _Ends(NamedTuple):
    """The summarised rows of the language model, before and after training."""

    before: pd.DataFrame
    after: pd.DataFrame


def finetune_verdict(config: FinetuneConfig, table: pd.DataFrame) -> tuple[str, ...]:
    """What came out: what was gained and lost, what random answers do, whose answer wins a contradiction, the advised
    share; and caveats.

    Args:
        config: settings of the run.
        table: its rows, answers included.
    """
    llm = select(table, {"system": "llm", "kind": "measured", "answer": False})
    if llm.empty:
        return ("No language model was measured.",)
    summary = summarise(llm.assign(**{name: llm.get(name) for name in ("context", "mixture", "exposure")}))
    summary = select(summary, {"group": "all"})
    ends = _Ends(*(summary[summary["step"] == step] for step in (summary["step"].min(), summary["step"].max())))
    answers = table[table["answer"]]
    advice = advice_sentence(advice_of(table), config.margin, config.n_seeds)
    sentences = [*_effects(config, answers), _winner(config, ends), advice]
    if llm["step"].nunique() < 2:
        sentences = ["The model was measured at one step alone: nothing is said of what training does."]
    return tuple(sentence for sentence in [*sentences, *_caveats(advice_of(table)), *few_seeds(llm)] if sentence)


def _by_run(config: FinetuneConfig, rows: pd.DataFrame, context: str, measure: str) -> dict[str, pd.Series]:
    """The row of a condition and measure for each way of training that has one, by its name in quotes."""
    found = select(rows, {"context": context, "measure": measure})
    named = {
        f'"{run.label}"': select(found, {"mixture": run.mixture.text, "exposure": run.exposure}) for run in config.runs
    }
    return {name: row.iloc[0] for name, row in named.items() if len(row) and np.isfinite(row["value"].iloc[0])}


def _ways(config: FinetuneConfig) -> int:
    """How many ways of training there are."""
    return len({run.label for run in config.runs})


def _named(names: list[str], of: int) -> str:
    """Ways of training in a sentence: by name where they are few, else how many."""
    if len(names) == of > 1:
        return "every mixture"
    return listed(names) if len(names) <= MOST_NAMED else f"{len(names)} of {of} mixtures"


def _winner(config: FinetuneConfig, ends: _Ends) -> str:
    """Whose answer wins after training where the context contradicts a trained fact."""
    memorised, stated = (
        _by_run(config, ends.after, "contradicting", f"{whose}_wins") for whose in ("memorised", "stated")
    )
    groups: dict[str, list[str]] = {}
    for name in [name for name in memorised if name in stated]:
        m, s = memorised[name], stated[name]
        if m["value"] + s["value"] < 0.5:
            outcome = "other answers win most prompts"
        elif m["low"] > s["high"]:
            outcome = "the memorised answer wins"
        elif s["low"] > m["high"]:
            outcome = "the context's answer wins"
        else:
            outcome = "the memorised and the context's answer cannot be told apart"
        groups.setdefault(outcome, []).append(name)
    said = []
    for outcome, names in groups.items():
        first = f" ({ends_of(memorised[names[0]])} against {ends_of(stated[names[0]])})" if len(names) == 1 else ""
        said.append(f"{outcome} with {_named(names, _ways(config))}{first}")
    return f"Where a context contradicts a trained fact, {'; '.join(said)}." if said else ""


def _effects(config: FinetuneConfig, answers: pd.DataFrame) -> Iterator[str]:
    """What each way of training gained and lost; and whether it is lost without anything to memorise too."""
    rows = select(answers, {"judge": config.judge})
    ways = {run.label: run for run in config.runs}
    said, compared = [], []
    for label, run in _most_telling(ways).items():
        here = select(rows, run.columns)
        moves = {name: _moved(here, name, f"{name}_change") for name in TOLD}
        parts = [
            f"{word} {listed([text for name, (way, text) in moves.items() if way == sign])}"
            for sign, word in ((1, "gained"), (-1, "lost"))
            if any(way == sign for way, _ in moves.values())
        ]
        measured = any(text for _, text in moves.values())
        said += [f'with "{label}" {" and ".join(parts) or "no change beyond its interval"}'] if measured else []
        if run.mixture.memory == 1:
            compared = [(name, _cell(here, f"{name}_less_random")) for name in READ]
    if said:
        yield f"What was gained and lost, {BY[config.judge]}: {'; '.join(said)}."
    found = [(name, row) for name, row in compared if row is not None]
    if found:
        said = [_against(*each) for each in found]
        yield f"Random answers give nothing to memorise; after memory alone {listed(said)}."


def _most_telling(ways: Mapping[str, Run]) -> dict[str, Run]:
    """All ways of training; where they are many, those with the least and the largest share of contexts to be read."""
    if len(ways) <= MOST_TOLD:
        return dict(ways)
    ordered = sorted(ways.items(), key=lambda item: item[1].mixture.reading)
    return dict([ordered[0], ordered[-1]])


def _cell(rows: pd.DataFrame, measure: str) -> pd.Series | None:
    found = select(rows, {"measure": measure})
    return None if found.empty else found.iloc[-1]


def _moved(rows: pd.DataFrame, name: str, change: str) -> tuple[int, str]:
    """Whether an ability rose (1) or fell (-1) beyond its interval, and from where to where."""
    ends, moved = select(rows, {"measure": name}).sort_values("step"), _cell(rows, change)
    if moved is None or len(ends) < 2:
        return 0, ""
    before, after = ends["value"].iloc[[0, -1]]
    text = f"{MEANING[name]} ({before:.2f} to {after:.2f}, change {ends_of(moved)})"
    return int(moved["low"] > 0) - int(moved["high"] < 0), text


def _against(name: str, row: pd.Series) -> str:
    """How an ability after memory alone compares to that after random answers."""
    if row["high"] < 0:
        how = "is lower than after them"
    elif row["low"] > 0:
        how = "is higher than after them"
    else:
        how = "cannot be told apart from that after them"
    return f"{MEANING[name]} {how} (by {ends_of(row)})"


def _caveats(advice: pd.DataFrame) -> Iterator[str]:
    if advice.empty:
        yield "No other share of prompts with a context to be read was trained as a control: no share is advised."
